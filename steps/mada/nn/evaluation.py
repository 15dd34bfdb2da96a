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


@torch.inference_mode()
def predictions(
    network: DeepLabV3Plus, images: WholeImages, batch: int, runtime: Runtime, workers: int
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield (row, probabilities (C, H, W), label (H, W) or empty) at each image's full size."""
    was_training = network.training
    network.eval()
    rows, loader = images.batches(batch, workers)
    for chosen, (pixels, labels) in zip(rows, progress(loader, "predicting"), strict=True):
        with runtime.autocast():
            _, _, scores = network(runtime.images(pixels))
        width, height = (int(side) for side in images.sizes[chosen[0]])
        logits = F.interpolate(
            scores.float(), (height, width), mode="bilinear", align_corners=False
        )
        yield from zip(chosen, logits.softmax(dim=1), labels, strict=True)
    network.train(was_training)


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
    for row, probabilities, label in predictions(network, images, batch, runtime, workers):
        predicted = probabilities.argmax(dim=0).to(torch.uint8).cpu().numpy()
        total += confusion_matrix(label.numpy(), predicted, classes)
        see(row, predicted)
    return total
