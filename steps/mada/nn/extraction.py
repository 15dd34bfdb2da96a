"""Run a network over whole images: image-level features (Eqs. 1 and 4) and scores."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from mada.nn.deeplab import DeepLabV3Plus
from mada.nn.discriminator import Discriminator
from mada.nn.pooling import category_masks, category_means, prediction_scores
from mada.nn.runtime import Runtime

SCORES = ("entropy", "margin", "source_probability")


@torch.inference_mode()
def features_and_scores(
    network: DeepLabV3Plus,
    discriminator: Discriminator | None,
    batches: Iterable[tuple[Tensor, Tensor]],
    runtime: Runtime,
    truth: str = "none",
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield features (B, C·D) and ``SCORES`` (B, 3), float32, of one batch after the other.

    Parameters
    ----------
    network : DeepLabV3Plus
        In evaluation mode.
    discriminator : Discriminator or None
        None leaves the source probability NaN.
    batches : iterable of (Tensor, Tensor)
        Images (B, 3, H, W) uint8, and training ids at any size where ``truth`` needs them.
    truth : str
        Rule of ``category_masks`` by which labels take part in the masks; ``none``: they do not.
    """
    for pixels, labels in batches:
        images = runtime.images(pixels)
        with runtime.autocast():
            if discriminator is None:  # no one needs the scores at full size
                latent = network.encode(images)
                small = network.classifier(latent)
            else:
                logits, latent, small = network(images)
        if truth == "none":
            masks = category_masks(small)
        else:
            masks = category_masks(small, runtime.labels(labels), truth)
        means = category_means(latent, masks, network.description.classes)
        scores = [*prediction_scores(small), torch.full(means.shape[:1], torch.nan)]
        if discriminator is not None:
            with runtime.autocast():
                scores[2] = discriminator.source_probability(logits.softmax(dim=1)).float()
        yield means.cpu().numpy(), torch.stack([score.cpu() for score in scores], dim=1).numpy()
