"""Batch-norm statistics are those of the images that a model is used on."""

import argparse
import copy

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from mada.nn import normalisation, runtime
from mada.nn.datasets import WholeImages
from mada.nn.deeplab import DeepLabV3Plus, NetworkDescription
from mada.nn.normalisation import estimate_statistics, spread
from tiny import index_of, make_tiny


class OneNorm(nn.Module):
    """A network whose only batch norm sees the images themselves."""

    def __init__(self):
        super().__init__()
        self.description = NetworkDescription("resnet18", 5, output_stride=16)
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


@pytest.mark.parametrize("batch", [1, 4, 5, 12])
def test_statistics_are_those_of_all_pixels_of_all_images(here, images, batch):
    network = OneNorm()
    network.norm.running_mean.fill_(7.0)  # whatever training left there
    estimate_statistics(network, images, batch, here, 0)
    pixels = torch.stack([images[row][0] for row in range(12)]).double() / 255
    by_channel = pixels.transpose(0, 1).flatten(1)
    mean, variance = by_channel.mean(dim=1), by_channel.var(dim=1, correction=0)
    torch.testing.assert_close(network.norm.running_mean.double(), mean, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(network.norm.running_var.double(), variance, atol=1e-6, rtol=1e-5)


def test_nothing_else_of_the_network_changes(here, images):
    network = OneNorm().eval()
    before = {name: value.clone() for name, value in network.named_parameters()}
    estimate_statistics(network, images, 4, here, 0)
    assert not network.training
    assert network.norm.momentum == 0.1
    assert all(torch.equal(value, before[name]) for name, value in network.named_parameters())


def test_of_more_images_than_are_needed_only_some_are_seen(here, images, monkeypatch):
    monkeypatch.setattr(normalisation, "MOST_IMAGES", 3)
    network, seen = OneNorm(), []
    network.norm.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    estimate_statistics(network, images, 2, here, 0)
    assert sum(seen) == 3
    assert not network.norm._forward_pre_hooks  # nothing goes on watching


def test_a_tiny_image_alone_of_its_size_is_no_obstacle(here, tmp_path):
    """Its deepest map is a single value, of which no variance can be had; all else counts it."""
    rows = []
    for name, size in (("tiny", (16, 16)), ("a", (64, 64)), ("b", (64, 64))):
        noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{name}.png")
        rows.append({"image": str(tmp_path / f"{name}.png"), "width": size[0], "height": size[1]})
    network = DeepLabV3Plus(NetworkDescription("resnet18", 5, 8, 16))
    with_tiny, without = copy.deepcopy(network), copy.deepcopy(network)
    for trained, chosen in ((with_tiny, rows), (without, rows[1:])):
        estimate_statistics(trained, WholeImages(pd.DataFrame(chosen), None, None), 2, here, 0)
        assert all(value.isfinite().all() for value in trained.state_dict().values())
    assert not torch.equal(with_tiny.stem[1].running_mean, without.stem[1].running_mean)


def test_of_many_images_some_evenly_spread_are_taken_and_mixed():
    rows = spread(np.full((1000, 2), 64), 100)
    assert len(set(rows)) == 100
    assert max(np.diff(sorted(rows))) <= 11
    assert rows != sorted(rows)


def test_images_of_one_size_share_batches():
    sizes = np.array([[96, 64], [64, 96]] * 10)
    widths = sizes[spread(sizes, 20), 0].tolist()
    assert widths == sorted(widths)
