"""Batch-norm statistics are those of the images that a model is used on."""

import argparse
from itertools import chain

import pytest
import torch
from torch import nn

from mada.nn import runtime
from mada.nn.datasets import WholeImages
from mada.nn.normalisation import estimate_statistics
from tiny import index_of, make_tiny


class OneNorm(nn.Module):
    """A network whose only batch norm sees the images themselves."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3, momentum=0.1)

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return self.norm(images)


@pytest.fixture
def here() -> runtime.Runtime:
    return runtime.start(argparse.Namespace(threads=1, device="cpu", precision="fp32"))


@pytest.fixture
def images(tmp_path) -> WholeImages:
    _, target = make_tiny(tmp_path)
    return WholeImages(index_of("cityscapes", target), None, None)


def test_statistics_are_the_average_over_all_batches_of_target_images(here, images):
    network = OneNorm()
    network.norm.running_mean.fill_(7.0)  # whatever training left there
    estimate_statistics(network, images, 4, here, 0)
    pixels = torch.stack([images[row][0] for row in range(12)]).double() / 255
    batches = pixels.split(4)
    mean = torch.stack([b.mean(dim=(0, 2, 3)) for b in batches]).mean(dim=0)
    variance = torch.stack([b.transpose(0, 1).flatten(1).var(dim=1) for b in batches]).mean(dim=0)
    torch.testing.assert_close(network.norm.running_mean.double(), mean, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(network.norm.running_var.double(), variance, atol=1e-6, rtol=1e-5)


def test_nothing_else_of_the_network_changes(here, images):
    network = OneNorm().eval()
    before = {name: value.clone() for name, value in network.named_parameters()}
    estimate_statistics(network, images, 4, here, 0)
    assert not network.training
    assert network.norm.momentum == 0.1
    assert all(torch.equal(value, before[name]) for name, value in network.named_parameters())


def test_of_many_images_a_few_evenly_spread_are_taken(images):
    rows, _ = images.batches(2, 0, most=4)
    assert list(chain(*rows)) == [0, 4, 7, 11]
    rows, _ = images.batches(5, 0)
    assert list(chain(*rows)) == list(range(12))
