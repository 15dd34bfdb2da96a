"""The domain discriminator f_D of the adversarial warm-ups (MADA, section 4.2)."""

import math

import torch
from torch import Tensor, nn

from mada.cli import InputError

WIDTHS = (64, 128, 256, 512)
SMALLEST = 1e-30  # keeps the logarithm of a probability of 0 finite


def self_information(probabilities: Tensor) -> Tensor:
    """Return -p · log p / log C of every class, (B, C, H, W) in [0, 1] when summed over classes.

    Weighted self-information maps, Vu et al., CVPR 2019 (AdvEnt), section 3.2.
    """
    classes = probabilities.shape[1]
    return -probabilities * (probabilities + SMALLEST).log() / math.log(classes)


# What a discriminator tells the domains apart by, given class probabilities.
VIEWS = {"probabilities": lambda probabilities: probabilities, "self-information": self_information}


class Discriminator(nn.Sequential):
    """Tell source from target by a map of class probabilities.

    Five 3x3 convolutions of stride 2 with 64, 128, 256, 512 and 1 filters; ReLU after the first
    three, leaky ReLU of slope 0.2 after the fourth.  Takes softmax maps (B, C, H, W) and returns
    logits (B, 1, H/32, W/32), positive where the map looks like *source*.

    Parameters
    ----------
    classes : int
    view : str
        What it sees of the maps, one of ``VIEWS``.

    Raises
    ------
    InputError
        If there is no such view.
    """

    def __init__(self, classes: int, view: str = "probabilities"):
        if view not in VIEWS:
            raise InputError(f"discriminator: expected a view of {sorted(VIEWS)}, found {view!r}")
        layers: list[nn.Module] = []
        inputs = classes
        for position, width in enumerate(WIDTHS):
            layers.append(nn.Conv2d(inputs, width, 3, stride=2, padding=1))
            last = position == len(WIDTHS) - 1
            layers.append(nn.LeakyReLU(0.2, inplace=True) if last else nn.ReLU(inplace=True))
            inputs = width
        layers.append(nn.Conv2d(inputs, 1, 3, stride=2, padding=1))
        super().__init__(*layers)
        self.view = view

    def forward(self, probabilities: Tensor) -> Tensor:
        return super().forward(VIEWS[self.view](probabilities))

    def source_probability(self, probabilities: Tensor) -> Tensor:
        """Mean over the map of the probability of *source*, (B,), for softmax maps (B, C, H, W)."""
        return torch.sigmoid(self(probabilities).float()).mean(dim=(1, 2, 3))
