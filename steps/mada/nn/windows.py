"""Predictions of images larger than the network was trained on, by a sliding window."""

import torch
from torch import Tensor

from mada.nn.deeplab import DeepLabV3Plus
from mada.nn.runtime import Runtime


def window_starts(length: int, window: int, overlap: float) -> list[int]:
    """Where windows begin that cover a length, evenly spread, neighbours sharing at least a share.

    A window longer than the length begins at 0 and is as long as it.

    Parameters
    ----------
    length, window : int
        Pixels.
    overlap : float
        Least share of a window that its neighbour covers too, 0 … 1 without 1.
    """
    if window >= length:
        return [0]
    stride = max(1, int(window * (1 - overlap)))
    count = -(-(length - window) // stride) + 1
    return [round(number * (length - window) / (count - 1)) for number in range(count)]


@torch.inference_mode()
def windowed_probabilities(
    network: DeepLabV3Plus,
    pixels: Tensor,
    window: tuple[int, int],
    overlap: float,
    batch: int,
    runtime: Runtime,
) -> Tensor:
    """Return the mean of what all windows over a pixel say.

    Parameters
    ----------
    network : DeepLabV3Plus
        In evaluation mode.
    pixels : Tensor, shape (3, H, W), uint8
    window : (width, height)
    overlap : float
        As for ``window_starts``.
    batch : int
        Windows at a time.

    Returns
    -------
    Tensor, shape (C, H, W), float32
        Probabilities.
    """
    _, height, width = pixels.shape
    w, h = min(window[0], width), min(window[1], height)
    corners = [
        (top, left)
        for top in window_starts(height, h, overlap)
        for left in window_starts(width, w, overlap)
    ]
    total = torch.zeros(network.description.classes, height, width, device=runtime.device)
    times = torch.zeros(height, width, device=runtime.device)
    for start in range(0, len(corners), batch):
        chosen = corners[start : start + batch]
        views = torch.stack([pixels[:, top : top + h, left : left + w] for top, left in chosen])
        with runtime.autocast():
            logits, _, _ = network(runtime.images(views))
        for (top, left), p in zip(chosen, logits.softmax(dim=1), strict=True):
            total[:, top : top + h, left : left + w] += p
            times[top : top + h, left : left + w] += 1
    return total / times
