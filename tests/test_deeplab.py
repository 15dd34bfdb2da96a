"""The networks: DeepLabV3+ (f_E and f_C), the discriminator f_D, and the learning rate's course."""

import math
from itertools import product

import pytest
import torch
import torchvision
from jsonschema import Draft202012Validator
from torch import nn

from mada.cli import InputError
from mada.nn.deeplab import RESNETS, DeepLabV3Plus, NetworkDescription, dilate_last_stage, resize
from mada.nn.discriminator import Discriminator
from mada.nn.pooling import category_masks, category_means
from mada.nn.schedules import set_poly_rate
from test_settings import SCHEMA


def small_network(stride: int = 16, classes: int = 5) -> DeepLabV3Plus:
    torch.manual_seed(0)
    return DeepLabV3Plus(NetworkDescription("resnet18", classes, 32, stride))


def shape_of_output(module: nn.Module) -> list[tuple[int, ...]]:
    """A list that receives the shape of each output of a module."""
    shapes: list[tuple[int, ...]] = []
    module.register_forward_hook(lambda _, __, output: shapes.append(tuple(output.shape)))
    return shapes


def convolutions(module: nn.Module) -> list[nn.Conv2d]:
    return [part for part in module.modules() if isinstance(part, nn.Conv2d)]


@pytest.fixture(scope="module")
def paper_network() -> DeepLabV3Plus:
    """ResNet-101 with the paper's 19 classes and a latent representation of 256 channels."""
    torch.manual_seed(0)
    return DeepLabV3Plus(NetworkDescription("resnet101", 19)).eval()


def test_the_paper_s_network_gives_features_of_19_x_256_at_stride_4(paper_network):
    deepest = shape_of_output(paper_network.layer4)
    with torch.inference_mode():
        logits, features, scores = paper_network(torch.rand(1, 3, 64, 96))
        row = category_means(features, category_masks(scores), 19)
    assert deepest == [(1, 2048, 64 // 16, 96 // 16)]
    assert features.shape == (1, 256, 64 // 4, 96 // 4)
    assert scores.shape == (1, 19, 64 // 4, 96 // 4)
    assert logits.shape == (1, 19, 64, 96)
    assert row.shape == (1, 4864)


def test_parameters_of_the_paper_s_network_are_those_of_its_layers(paper_network):
    def batch_norm(channels: int) -> int:
        return 2 * channels  # scale and shift

    def bottleneck(inputs: int, width: int) -> int:
        # 1x1 to the width, 3x3, 1x1 to four times the width, each with a batch norm.
        weights = inputs * width + 9 * width * width + width * 4 * width
        return weights + batch_norm(width) + batch_norm(width) + batch_norm(4 * width)

    def stage(inputs: int, width: int, blocks: int) -> int:
        shortcut = inputs * 4 * width + batch_norm(4 * width)
        return bottleneck(inputs, width) + shortcut + (blocks - 1) * bottleneck(4 * width, width)

    stem = 7 * 7 * 3 * 64 + batch_norm(64)
    backbone = stem + stage(64, 64, 3) + stage(256, 128, 4) + stage(512, 256, 23)
    backbone += stage(1024, 512, 3)
    assert backbone == 44_549_160 - (2048 * 1000 + 1000)  # ResNet-101 without its classifier

    aspp = 2048 * 256 + batch_norm(256)  # the 1x1 branch
    aspp += 3 * (9 * 2048 * 256 + batch_norm(256))  # rates 6, 12, 18
    aspp += 2048 * 256 + 256  # the pooled branch: a bias, no batch norm
    aspp += 5 * 256 * 256 + batch_norm(256)  # the five views mixed
    decoder = 256 * 48 + batch_norm(48)  # the low-level branch, from stage 1
    decoder += 9 * (256 + 48) * 256 + batch_norm(256) + 9 * 256 * 256 + batch_norm(256)
    classifier = 256 * 19 + 19

    total = sum(parameter.numel() for parameter in paper_network.parameters())
    assert total == backbone + aspp + decoder + classifier


def test_aspp_looks_with_rates_6_12_and_18_at_output_stride_16(paper_network):
    branches = [convolutions(branch) for branch in paper_network.aspp.branches]
    assert [len(found) for found in branches] == [1, 1, 1, 1]
    shapes = [(found[0].kernel_size, found[0].dilation, found[0].padding) for found in branches]
    assert shapes[0] == ((1, 1), (1, 1), (0, 0))
    assert shapes[1:] == [((3, 3), (rate, rate), (rate, rate)) for rate in (6, 12, 18)]
    assert all(found[0].out_channels == 256 for found in branches)


def test_aspp_rates_span_the_same_pixels_at_output_stride_32():
    with torch.device("meta"):
        network = DeepLabV3Plus(NetworkDescription("resnet18", 5, output_stride=32))
    rates = [convolutions(branch)[0].dilation[0] for branch in network.aspp.branches]
    assert rates == [1, 3, 6, 9]


def test_pooled_branch_is_one_value_per_image_and_channel():
    network = small_network().eval()
    x = torch.rand(2, 512, 4, 6)
    seen = shape_of_output(network.aspp.pooled)
    network.aspp(x)
    assert seen == [(2, 32, 1, 1)]
    means = x.sum(dim=(2, 3)) / 24
    conv = convolutions(network.aspp.pooled)[0]
    expected = (means @ conv.weight.flatten(1).T + conv.bias).relu()
    got = network.aspp.pooled(x.mean(dim=(2, 3), keepdim=True)).flatten(1)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_decoder_has_a_48_channel_low_level_branch_and_two_3x3_convolutions_of_256(paper_network):
    (low,) = convolutions(paper_network.low_level)
    assert (low.in_channels, low.out_channels, low.kernel_size) == (256, 48, (1, 1))
    first, second = convolutions(paper_network.decoder)
    assert (first.in_channels, first.out_channels, first.kernel_size) == (304, 256, (3, 3))
    assert (second.in_channels, second.out_channels, second.kernel_size) == (256, 256, (3, 3))
    for conv in (low, first, second):
        assert conv.stride == (1, 1)


def test_low_level_branch_reads_the_map_at_stride_4():
    network = small_network().eval()
    seen = shape_of_output(network.low_level)
    network(torch.rand(1, 3, 64, 96))
    assert seen == [(1, 48, 16, 24)]


@pytest.mark.parametrize(
    "backbone", ["resnet50", "resnet101", "resnet152", "resnext50_32x4d", "wide_resnet50_2"]
)
def test_dilating_the_last_stage_is_what_torchvision_does_for_bottlenecks(backbone):
    with torch.device("meta"):
        ours = torchvision.models.get_model(backbone)
        theirs = torchvision.models.get_model(
            backbone, replace_stride_with_dilation=[False, False, True]
        )
    before = [conv.stride for conv in convolutions(ours.layer4)]
    dilate_last_stage(ours.layer4)
    assert before != [conv.stride for conv in convolutions(ours.layer4)]
    for one, other in zip(convolutions(ours), convolutions(theirs), strict=True):
        assert (one.stride, one.dilation, one.padding) == (
            other.stride,
            other.dilation,
            other.padding,
        )
        assert one.groups == other.groups


def test_dilated_backbone_computes_what_torchvision_s_computes():
    torch.manual_seed(0)
    theirs = torchvision.models.resnet50(replace_stride_with_dilation=[False, False, True]).eval()
    ours = DeepLabV3Plus(NetworkDescription("resnet50", 3)).eval()
    own = {name: value for name, value in theirs.state_dict().items() if name[:2] != "fc"}
    stem = {"conv1": "stem.0", "bn1": "stem.1"}
    renamed = {}
    for name, value in own.items():
        first, _, rest = name.partition(".")
        renamed[f"{stem.get(first, first)}.{rest}"] = value
    missing = ours.load_state_dict(renamed, strict=False)
    assert not missing.unexpected_keys
    assert not any(key.startswith(("stem", "layer")) for key in missing.missing_keys)
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        expected = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(x))))
        got = ours.stem(x)
        for name in ("layer1", "layer2", "layer3", "layer4"):
            expected, got = getattr(theirs, name)(expected), getattr(ours, name)(got)
    assert got.shape == (1, 2048, 4, 4)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_dilating_basic_blocks_keeps_the_map_at_stride_16_and_widens_all_but_the_first():
    with torch.device("meta"):
        stage = torchvision.models.resnet18().layer4
    dilate_last_stage(stage)
    assert all(conv.stride == (1, 1) for conv in convolutions(stage))
    for position, block in enumerate(stage):
        for conv in (block.conv1, block.conv2):
            expected = (1, 1) if position == 0 else (2, 2)
            assert conv.dilation == conv.padding == expected


@pytest.mark.parametrize("stride", [16, 32])
def test_basic_blocks_work_at_both_output_strides(stride):
    network = small_network(stride).eval()
    deepest = shape_of_output(network.layer4)
    with torch.inference_mode():
        logits, features, scores = network(torch.rand(2, 3, 64, 96))
    assert deepest == [(2, 512, 64 // stride, 96 // stride)]
    assert features.shape == (2, 32, 16, 24)
    assert scores.shape == (2, 5, 16, 24)
    assert logits.shape == (2, 5, 64, 96)


@pytest.mark.parametrize("size", [(65, 97), (71, 50)])
def test_sizes_that_no_stride_divides_come_back_at_full_size(size):
    network = small_network().eval()
    with torch.inference_mode():
        logits, features, _ = network(torch.rand(1, 3, *size))
    assert logits.shape[2:] == size
    assert features.shape[2:] == tuple(math.ceil(side / 4) for side in size)


@pytest.mark.parametrize("stride", [16, 32])
def test_a_batch_of_one_image_trains(stride):
    network = small_network(stride).train()
    logits, _, _ = network(torch.rand(1, 3, 64, 64))
    logits.square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    assert network.aspp.pooled[0].weight.grad.abs().max() > 0


def test_scores_are_a_linear_reading_of_each_pixel_s_features():
    network = small_network().eval()
    with torch.inference_mode():
        logits, features, scores = network(torch.rand(1, 3, 64, 64))
    weight, bias = network.classifier.weight.detach(), network.classifier.bias.detach()
    for i, j in ((0, 0), (7, 3), (15, 15)):
        expected = weight[:, :, 0, 0] @ features[0, :, i, j] + bias
        torch.testing.assert_close(scores[0, :, i, j], expected, rtol=1e-4, atol=1e-5)
    # Bilinear, corners not aligned: pixel (5, 9) sits at (5.5 / 4 - 0.5, 9.5 / 4 - 0.5).
    y, x = 5.5 / 4 - 0.5, 9.5 / 4 - 0.5
    top, left, dy, dx = int(y), int(x), y % 1, x % 1
    around = scores[0, :, top : top + 2, left : left + 2]
    rows = around[:, 0] * (1 - dy) + around[:, 1] * dy
    expected = rows[:, 0] * (1 - dx) + rows[:, 1] * dx
    torch.testing.assert_close(logits[0, :, 5, 9], expected, rtol=1e-4, atol=1e-5)


def test_the_network_owns_its_preprocessing():
    network = small_network().eval()
    seen: list[torch.Tensor] = []
    network.stem.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.rand(1, 3, 64, 64)
    network(images)
    for channel, (mean, std) in enumerate(((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))):
        expected = (images[:, channel] - mean) / std
        torch.testing.assert_close(seen[0][:, channel], expected, rtol=1e-5, atol=1e-5)
    assert {"pixel_mean", "pixel_std"} <= set(network.state_dict())


@pytest.mark.parametrize(
    "backbone", ["vgg16", "no_such_net", "ResNet18_Weights", "densenet121", "resnet", "resnet19"]
)
def test_a_backbone_that_is_no_torchvision_resnet_is_refused(backbone):
    with pytest.raises(InputError, match=f"expected a torchvision ResNet .*, found '{backbone}'"):
        DeepLabV3Plus(NetworkDescription(backbone, 5))


def test_the_settings_allow_what_torchvision_offers():
    section = Draft202012Validator(SCHEMA["properties"]["network"])
    models = torchvision.models.list_models(torchvision.models)
    offered = {name: {*torchvision.models.get_model_weights(name).__members__} for name in models}
    for backbone, weights in product(models, {"none"}.union(*offered.values())):
        network = {"backbone": backbone, "weights": weights}
        network |= {"feature_channels": 8, "output_stride": 16}
        fits = backbone in RESNETS and weights in {"none"} | offered[backbone]
        assert section.is_valid(network) == fits, network


@pytest.mark.parametrize("stride", [8, 0, 64])
def test_other_output_strides_are_refused(stride):
    with pytest.raises(InputError, match=rf"16, 32.*found {stride}"):
        DeepLabV3Plus(NetworkDescription("resnet18", 5, output_stride=stride))


def test_discriminator_is_five_3x3_convolutions_of_stride_2():
    layers = convolutions(Discriminator(19))
    assert [conv.in_channels for conv in layers] == [19, 64, 128, 256, 512]
    assert [conv.out_channels for conv in layers] == [64, 128, 256, 512, 1]
    assert {(conv.kernel_size, conv.stride) for conv in layers} == {((3, 3), (2, 2))}


def test_discriminator_has_relu_after_three_layers_and_leaky_relu_after_the_fourth():
    kinds = [type(layer) for layer in Discriminator(19)]
    expected = [nn.Conv2d, nn.ReLU] * 3 + [nn.Conv2d, nn.LeakyReLU, nn.Conv2d]
    assert kinds == expected
    slopes = [layer.negative_slope for layer in Discriminator(19) if type(layer) is nn.LeakyReLU]
    assert slopes == [0.2]


@pytest.mark.parametrize("size", [(64, 128), (96, 32)])
def test_discriminator_gives_one_logit_per_32_x_32_pixels(size):
    discriminator = Discriminator(5)
    nn.init.constant_(discriminator[-1].bias, 7.0)
    verdict = discriminator(torch.rand(2, 5, *size).softmax(dim=1))
    assert verdict.shape == (2, 1, size[0] // 32, size[1] // 32)
    assert verdict.min() > 1  # a logit, with no sigmoid of its own


def test_source_probability_is_the_mean_of_the_sigmoid_over_each_map():
    torch.manual_seed(0)
    discriminator = Discriminator(5)
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.mul_(4)  # verdicts far apart, so that the order of mean and sigmoid shows
    maps = (torch.randn(3, 5, 64, 96) * 5).softmax(dim=1)
    with torch.inference_mode():
        verdict = discriminator(maps)
        found = discriminator.source_probability(maps)
    assert found.shape == (3,)
    for b in range(3):
        values = [1 / (1 + math.exp(-v)) for v in verdict[b].flatten().tolist()]
        assert found[b].item() == pytest.approx(sum(values) / len(values), rel=1e-5)
        of_the_mean = 1 / (1 + math.exp(-verdict[b].mean().item()))
        assert found[b].item() != pytest.approx(of_the_mean, rel=1e-5)


@pytest.mark.parametrize("power", [0.9, 1.0, 2.0])
def test_learning_rate_follows_the_poly_policy_in_every_group(power):
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": [p], "lr": 99.0} for p in parameters])
    for iteration in range(40):
        set_poly_rate(optimizer, 2.5e-4, iteration, 40, power)
        expected = 2.5e-4 * math.pow((40 - iteration) / 40, power)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([expected] * 2)


def test_learning_rate_starts_at_its_base_and_nears_0():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    set_poly_rate(optimizer, 2.5e-4, 0, 1000, 0.9)
    assert optimizer.param_groups[0]["lr"] == 2.5e-4
    set_poly_rate(optimizer, 2.5e-4, 999, 1000, 0.9)
    assert 0 < optimizer.param_groups[0]["lr"] < 1e-6


@pytest.mark.parametrize(
    ("before", "after"), [((3, 5), (12, 20)), ((4, 7), (4, 19)), ((6, 2), (5, 1))]
)
def test_resize_and_its_gradient_are_interpolates_in_float32_under_autocast(before, after):
    scores = torch.randn(2, 4, *before, generator=torch.Generator().manual_seed(0))
    theirs, ours = (scores.clone().requires_grad_() for _ in range(2))
    weight = torch.randn(2, 4, *after, generator=torch.Generator().manual_seed(1))
    expected = nn.functional.interpolate(theirs, after, mode="bilinear", align_corners=False)
    with torch.autocast("cpu", torch.bfloat16):
        found = resize(ours, after)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)
    (expected * weight).sum().backward()
    (found * weight).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
