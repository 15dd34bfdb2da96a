"""Batch-norm statistics of the domain that a model is used on."""

import numpy as np
import torch
from torch import Tensor, nn

from mada.cli import progress
from mada.images import evenly_spread
from mada.nn.datasets import WholeImages
from mada.nn.runtime import Runtime

MOST_IMAGES = 256  # means and variances of this many images are settled


def _batch_norms(network: nn.Module) -> list[nn.Module]:
    return [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


def training_mode(network: nn.Module, frozen: bool) -> None:
    """Set the network to train; ``frozen`` batch norms go on using their running statistics."""
    network.train()
    if frozen:
        for norm in _batch_norms(network):
            norm.eval()


class _Moments:
    """Mean and variance of every channel over all that passes a batch norm's door."""

    def __init__(self, norm: nn.Module):
        self.norm, self.count = norm, 0
        self.mean = torch.zeros(norm.num_features, dtype=torch.float64)
        self.square = torch.zeros_like(self.mean)
        self.hook = norm.register_forward_pre_hook(self.see)

    def see(self, _: nn.Module, inputs: tuple[Tensor]) -> None:
        x = inputs[0].transpose(0, 1).flatten(1).float()
        variance, mean = torch.var_mean(x, dim=1, correction=0)
        mean, variance = mean.double().cpu(), variance.double().cpu()
        share = x.shape[1] / (self.count + x.shape[1])
        self.count += x.shape[1]
        self.mean += share * (mean - self.mean)
        self.square += share * (variance + mean**2 - self.square)

    def store(self) -> None:
        self.hook.remove()
        self.norm.running_mean.copy_(self.mean)
        self.norm.running_var.copy_((self.square - self.mean**2).clamp(min=0))


def spread(sizes: np.ndarray, most: int) -> list[int]:
    """Rows of at most ``most`` images, evenly spread and mixed, images of one size together."""
    rows = np.random.default_rng(0).permutation(evenly_spread(len(sizes), most))
    return rows[np.lexsort((sizes[rows, 1], sizes[rows, 0]))].tolist()


@torch.no_grad()
def estimate_statistics(
    network: nn.Module, images: WholeImages, batch: int, runtime: Runtime, workers: int
) -> None:
    """Set every batch norm's running mean and variance to those over whole images of one domain.

    In training each batch is normalised by itself, a batch a domain, so that the running
    statistics become a mixture of domains and of crops that no image at use resembles.  Labels
    play no part.  Adaptive batch normalisation: Li et al., ICLR workshop 2017.  Variances are of
    the whole set, the spread between batches included.

    Parameters
    ----------
    images : WholeImages
        Of more than ``MOST_IMAGES``, as many evenly spread; mixed, since each batch is normalised
        by itself on the way and neighbouring frames are alike.  One that no variance can be had
        of, having a single value in the deepest map, is normalised by the statistics of before.
    """
    was_training = network.training
    moments = [_Moments(norm) for norm in _batch_norms(network)]
    _, loader = images.batches(batch, workers, spread(images.sizes, MOST_IMAGES))
    for pixels, _ in progress(loader, "batch-norm statistics"):
        # The deepest map of one tiny image is a single value, which has no variance.
        network.train(len(pixels) > 1 or max(pixels.shape[2:]) > network.description.output_stride)
        with runtime.autocast():
            network.encode(runtime.images(pixels))
    for moment in moments:
        moment.store()
    network.train(was_training)
