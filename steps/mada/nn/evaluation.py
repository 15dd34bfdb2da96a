"""Run a network over whole images: scores against labels, and predictions."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mada.cli import progress
from mada.metrics import confusion_matrix
from mada.nn.datasets import WholeImages
from mada.nn.deeplab import DeepLabV3Plus
from mada.nn.runtime import Runtime

BAND_VALUES = 2**23  # logits made at a time, of all classes: 32 MiB


def bands(scores: Tensor, size: tuple[int, int], values: int = BAND_VALUES) -> Iterator[Tensor]:
    """Yield scores resized bilinearly, one band of rows (C, b, W) after the other.

    As ``F.interpolate`` without aligned corners, rows first and then columns: no value depends on
    where a band begins.

    Parameters
    ----------
    scores : Tensor, shape (C, h, w)
    size : (height, width)
    values : int
        Most values of a band; it has at least one row.
    """
    (classes, rows, _), (height, width) = scores.shape, size
    scores = scores.float().contiguous()
    places = ((torch.arange(height, dtype=torch.float64) + 0.5) * rows / height - 0.5).clamp(min=0)
    above = places.long()
    weights = (places - above).float().to(scores.device)[:, None]
    above = above.to(scores.device)
    below = (above + 1).clamp(max=rows - 1)
    step = max(1, values // (classes * width))
    for start in range(0, height, step):
        band = slice(start, start + step)
        mixed = torch.lerp(scores[:, above[band]], scores[:, below[band]], weights[band])
        # With as many rows as before only columns are made.
        to = (mixed.shape[1], width)
        yield F.interpolate(mixed[None], to, mode="bilinear", align_corners=False)[0]


@torch.inference_mode()
def predictions(
    network: DeepLabV3Plus,
    images: WholeImages,
    batch: int,
    runtime: Runtime,
    workers: int,
    keep: Callable[[Tensor], Tensor],
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield (row, what is kept of the probabilities, label (H, W) or empty) at full size.

    ``keep`` takes the probabilities (C, b, W) of a band of rows of one image and returns what is
    wanted of them (..., b, W): of a large image all of them, C numbers a pixel, are many.
    """
    was_training = network.training
    network.eval()
    rows, loader = images.batches(batch, workers)
    for chosen, (pixels, labels) in zip(rows, progress(loader, "predicting"), strict=True):
        with runtime.autocast():
            scores = network.classifier(network.encode(runtime.images(pixels)))
        width, height = (int(side) for side in images.sizes[chosen[0]])
        for row, of_one, label in zip(chosen, scores, labels, strict=True):
            kept = [keep(band.softmax(dim=0)) for band in bands(of_one, (height, width))]
            yield row, torch.cat(kept, dim=-2), label
    network.train(was_training)


def most_probable(probabilities: Tensor) -> Tensor:
    """Training ids (H, W) uint8 of probabilities (C, H, W)."""
    return probabilities.argmax(dim=0).to(torch.uint8)


def confusion(
    network: DeepLabV3Plus,
    images: WholeImages,
    batch: int,
    runtime: Runtime,
    workers: int,
    see: Callable[[int, np.ndarray], None] = lambda row, predicted: None,
) -> np.ndarray:
    """Return the confusion matrix (C, C) over all labelled images.

    ``see`` is shown each image's row and its predicted training ids (H, W) uint8.
    """
    classes = network.description.classes
    total = np.zeros((classes, classes), dtype=np.int64)
    found = predictions(network, images, batch, runtime, workers, most_probable)
    for row, train_ids, label in found:
        predicted = train_ids.cpu().numpy()
        total += confusion_matrix(label.numpy(), predicted, classes)
        see(row, predicted)
    return total
