"""Batch-norm statistics of the domain that a model is used on."""

import torch
from torch import nn

from mada.cli import progress
from mada.nn.datasets import WholeImages
from mada.nn.runtime import Runtime

MOST_IMAGES = 512  # means and variances of this many images are settled


@torch.no_grad()
def estimate_statistics(
    network: nn.Module, images: WholeImages, batch: int, runtime: Runtime, workers: int
) -> None:
    """Set every batch norm's running mean and variance to those of whole target images.

    During training each batch is normalised by itself, a batch a domain, so that the running
    statistics are a mixture of domains and of crops that no image at use resembles.  Labels play
    no part.  Adaptive batch normalisation: Li et al., ICLR workshop 2017.

    Parameters
    ----------
    images : WholeImages
        Target training images; of more than ``MOST_IMAGES``, as many evenly spread.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over all batches
    was_training = network.training
    network.train()
    _, loader = images.batches(batch, workers, most=MOST_IMAGES)
    for pixels, _ in progress(loader, "batch-norm statistics"):
        with runtime.autocast():
            network.encode(runtime.images(pixels))
    network.train(was_training)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
