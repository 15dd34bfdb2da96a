"""DeepLabV3+ over any torchvision ResNet: the encoder f_E and the classifier f_C of the paper.

Layout and receptive details follow Chen et al., ECCV 2018: output stride 16, ASPP rates
6/12/18, a 48-channel low-level branch at stride 4 and two 3x3 convolutions in the decoder.
The decoder's output is the latent representation f_E(x) that image-level features are
averaged from; the 1x1 classifier f_C reads it (MADA, section 4.2).
"""

import re
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from mada.cli import InputError

# Mean and standard deviation of ImageNet in RGB, the scale torchvision's weights expect.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
LOW_LEVEL_CHANNELS = 48
ASPP_RATES = (6, 12, 18)  # at output stride 16; elsewhere scaled, to span the same pixels
OUTPUT_STRIDES = (16, 32)
RESNETS = [
    name
    for name in torchvision.models.list_models(torchvision.models)
    if re.match(r"(wide_)?res(net|next)\d", name)
]


@dataclass(frozen=True)
class NetworkDescription:
    """What is needed to build the network again; stored in every checkpoint."""

    backbone: str
    classes: int
    feature_channels: int = 256
    output_stride: int = 16

    def as_dict(self) -> dict:
        return asdict(self)


def conv_bn_relu(inputs: int, outputs: int, kernel: int, dilation: int = 1) -> nn.Sequential:
    """Convolution that keeps the size, batch norm, ReLU."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: five views of the same map, concatenated and mixed."""

    def __init__(self, inputs: int, outputs: int, output_stride: int):
        super().__init__()
        rates = [rate * 16 // output_stride for rate in ASPP_RATES]
        self.branches = nn.ModuleList(
            [conv_bn_relu(inputs, outputs, 1)]
            + [conv_bn_relu(inputs, outputs, 3, dilation=rate) for rate in rates]
        )
        # No batch norm on the pooled branch: it is one value per image, and a batch of one
        # image would have no variance to normalise by.
        self.pooled = nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.ReLU(inplace=True))
        self.project = conv_bn_relu(outputs * (len(rates) + 2), outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        views = [branch(x) for branch in self.branches]
        pooled = self.pooled(x.mean(dim=(2, 3), keepdim=True))
        views.append(pooled.expand(-1, -1, *x.shape[2:]))
        return self.project(torch.cat(views, dim=1))


def dilate_last_stage(stage: nn.Sequential) -> None:
    """Trade the stage's stride of 2 for a dilation of 2, in place.

    torchvision offers this for bottleneck blocks only; here it works for basic blocks too.
    As there, the first block keeps its own dilation and only loses the stride.
    """
    for position, block in enumerate(stage):
        for module in block.modules():
            if not isinstance(module, nn.Conv2d):
                continue
            module.stride = (1, 1)
            if position > 0 and module.kernel_size == (3, 3):
                module.dilation = (2, 2)
                module.padding = (2, 2)


def pretrained(backbone: str, weights: str) -> dict[str, Tensor]:
    """State dict of a torchvision network, from torch's cache or else from the network.

    Raises
    ------
    InputError
        If it cannot be had, or the file there is damaged or holds more than tensors.
    """
    entry = torchvision.models.get_model_weights(backbone)[weights]
    try:
        # torchvision's own builders would run whatever code a file in the cache holds.
        return entry.get_state_dict(check_hash=True, weights_only=True)
    except Exception as error:  # no network, a full disk, and all that a damaged file may raise
        place = Path(torch.hub.get_dir()) / "checkpoints" / Path(entry.url).name
        found = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"weights {weights}: expected them at {place} or on the network, found {found}; "
            f"fetch {entry.url} elsewhere and place it there"
        ) from error


def resize(scores: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize scores (B, C, h, w) bilinearly to (B, C, *size), float32 whatever the autocast.

    As ``F.interpolate`` without aligned corners, but by two matrix products: of an iteration on a
    CPU, ``F.interpolate``, its backward pass and the loss of its maps took nearly a quarter, these
    take a third of that.
    """

    def weights(before: int, after: int) -> Tensor:
        units = torch.eye(before, device=scores.device)[None]
        return F.interpolate(units, after, mode="linear", align_corners=False)[0]

    (height, width), (rows, columns) = size, scores.shape[2:]
    with torch.autocast(scores.device.type, enabled=False):
        wide = scores.float().contiguous() @ weights(columns, width)
        return weights(rows, height).T @ wide


class DeepLabV3Plus(nn.Module):
    """Segmentation network f_C(f_E(x)).

    ``forward`` takes images (B, 3, H, W), float32 in [0, 1], and returns

    - logits (B, C, H, W): f_C's output, resized bilinearly to the input's size;
    - features (B, D, h, w): f_E's output at stride 4, D = ``feature_channels``;
    - scores (B, C, h, w): f_C's output before the resize.

    The pixel mean and standard deviation are buffers, so that the model owns its preprocessing.

    Raises
    ------
    InputError
        If the backbone is not a torchvision ResNet, the output stride is not 16 or 32, or the
        weights are none of it, neither in torch's cache nor on the network, or damaged.
    """

    def __init__(self, description: NetworkDescription, weights: str | None = None):
        super().__init__()
        if description.backbone not in RESNETS:
            raise InputError(
                f"backbone: expected a torchvision ResNet of {RESNETS}, "
                f"found {description.backbone!r}"
            )
        offered = list(torchvision.models.get_model_weights(description.backbone).__members__)
        if weights is not None and weights not in offered:
            raise InputError(
                f"weights: expected none or those of {description.backbone} in torchvision, "
                f"{offered}, found {weights!r}"
            )
        if description.output_stride not in OUTPUT_STRIDES:
            raise InputError(
                f"output_stride: expected {OUTPUT_STRIDES}, found {description.output_stride}"
            )
        self.description = description
        resnet = torchvision.models.get_model(description.backbone)
        if weights is not None:
            resnet.load_state_dict(pretrained(description.backbone, weights))
        if description.output_stride == 16:
            dilate_last_stage(resnet.layer4)
        width, depth = description.feature_channels, resnet.fc.in_features
        low = depth // 8  # channels of layer1, for basic blocks and bottlenecks alike
        self.stem = nn.Sequential(resnet.conv1, resnet.bn1, resnet.relu, resnet.maxpool)
        self.layer1, self.layer2 = resnet.layer1, resnet.layer2
        self.layer3, self.layer4 = resnet.layer3, resnet.layer4
        self.aspp = ASPP(depth, width, description.output_stride)
        self.low_level = conv_bn_relu(low, LOW_LEVEL_CHANNELS, 1)
        self.decoder = nn.Sequential(
            conv_bn_relu(width + LOW_LEVEL_CHANNELS, width, 3), conv_bn_relu(width, width, 3)
        )
        self.classifier = nn.Conv2d(width, description.classes, 1)
        self.register_buffer("pixel_mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("pixel_std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

    def encode(self, images: Tensor) -> Tensor:
        """Return f_E(x), (B, D, h, w) at stride 4, of images (B, 3, H, W) in [0, 1]."""
        x = self.stem((images - self.pixel_mean) / self.pixel_std)
        low = self.layer1(x)
        deep = self.aspp(self.layer4(self.layer3(self.layer2(low))))
        deep = F.interpolate(deep, size=low.shape[2:], mode="bilinear", align_corners=False)
        return self.decoder(torch.cat([deep, self.low_level(low)], dim=1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.encode(images)
        scores = self.classifier(features)
        # In float32: losses and probabilities are taken of these.
        return resize(scores, images.shape[2:]), features, scores
