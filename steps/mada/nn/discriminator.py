"""The domain discriminator f_D of the adversarial warm-up (MADA, section 4.2)."""

import torch
from torch import Tensor, nn

WIDTHS = (64, 128, 256, 512)


class Discriminator(nn.Sequential):
    """Tell source from target by a map of class probabilities.

    Five 3x3 convolutions of stride 2 with 64, 128, 256, 512 and 1 filters; ReLU after the first
    three, leaky ReLU of slope 0.2 after the fourth.  Takes softmax maps (B, C, H, W) and returns
    logits (B, 1, H/32, W/32), positive where the map looks like *source*.
    """

    def __init__(self, classes: int):
        layers: list[nn.Module] = []
        inputs = classes
        for position, width in enumerate(WIDTHS):
            layers.append(nn.Conv2d(inputs, width, 3, stride=2, padding=1))
            last = position == len(WIDTHS) - 1
            layers.append(nn.LeakyReLU(0.2, inplace=True) if last else nn.ReLU(inplace=True))
            inputs = width
        layers.append(nn.Conv2d(inputs, 1, 3, stride=2, padding=1))
        super().__init__(*layers)

    def source_probability(self, probabilities: Tensor) -> Tensor:
        """Mean over the map of the probability of *source*, (B,), for softmax maps (B, C, H, W)."""
        return torch.sigmoid(self(probabilities).float()).mean(dim=(1, 2, 3))
