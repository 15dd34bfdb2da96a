"""Warm-up methods: their losses against plain loops from the papers, and each as a training."""

import math
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from torch import nn

import warmup
from mada.cli import InputError
from mada.nn import datasets
from mada.nn.checkpoints import load_discriminator, load_network
from mada.nn.deeplab import DeepLabV3Plus, NetworkDescription
from mada.nn.discriminator import Discriminator, self_information
from mada.nn.runtime import Runtime
from mada.nn.updates import Updates
from mada.nn.warmups import (
    METHODS,
    Warmup,
    classifier_similarity,
    disagreement,
    mean_entropy,
    weighted_domain_loss,
)
from tiny import Code, index_of, make_tiny

B, C, H, W = 2, 5, 3, 4
CPU = Runtime(torch.device("cpu"), "fp32")


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(B, C, H, W, generator=torch.Generator().manual_seed(0)) * 3


def pixels(*maps: torch.Tensor):
    """The class vectors of every pixel, as lists."""
    for b in range(B):
        for y in range(H):
            for x in range(W):
                yield tuple(values[b, :, y, x].tolist() for values in maps)


def probabilities(vector: list[float]) -> list[float]:
    total = sum(math.exp(value) for value in vector)
    return [math.exp(value) / total for value in vector]


def test_entropy_is_the_papers(logits):
    total = 0.0
    for (vector,) in pixels(logits):
        total += -sum(p * math.log(p) for p in probabilities(vector)) / math.log(C)
    assert mean_entropy(logits.softmax(dim=1)).item() == pytest.approx(
        total / (B * H * W), rel=1e-5
    )


def test_entropy_has_its_bounds():
    even = torch.full((1, C, 2, 2), 1 / C)
    sure = torch.eye(C)[None, :, :1, None].expand(1, C, 1, 1)
    assert mean_entropy(even).item() == pytest.approx(1)
    assert mean_entropy(sure).item() == pytest.approx(0, abs=1e-6)


def test_self_information_keeps_the_classes_apart(logits):
    found = self_information(logits.softmax(dim=1))
    assert found.shape == logits.shape
    for vector, seen in pixels(logits, found):
        expected = [-p * math.log(p) / math.log(C) for p in probabilities(vector)]
        assert seen == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_disagreement_is_one_minus_the_cosine(logits):
    other = logits.flip(0) + 1
    expected = []
    for first, second in pixels(logits, other):
        p, q = probabilities(first), probabilities(second)
        length = math.sqrt(sum(a * a for a in p)) * math.sqrt(sum(b * b for b in q))
        expected.append(1 - sum(a * b for a, b in zip(p, q, strict=True)) / length)
    found = disagreement(logits, other)
    assert found.shape == (B, H, W)
    assert found.flatten().tolist() == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert disagreement(logits, logits).abs().max() < 1e-6


@pytest.mark.parametrize("domain", [0.0, 1.0])
def test_weighted_domain_loss_weighs_each_pixel(domain):
    generator = torch.Generator().manual_seed(1)
    verdict = torch.randn(B, 1, H, W, generator=generator)
    weight = torch.rand(B, H, W, generator=generator) * 40
    total = 0.0
    for z, w in zip(verdict.flatten().tolist(), weight.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-z))
        total -= w * (domain * math.log(p) + (1 - domain) * math.log(1 - p))
    found = weighted_domain_loss(verdict, domain, weight)
    assert found.item() == pytest.approx(total / (B * H * W), rel=1e-5)
    # A coarser verdict is resized to the weights.
    even = weighted_domain_loss(torch.zeros(B, 1, 1, 1), domain, weight)
    assert even.item() == pytest.approx(weight.mean().item() * math.log(2), rel=1e-5)


def test_classifier_similarity_is_the_cosine_of_all_weights():
    first, second = nn.Conv2d(3, C, 1), nn.Conv2d(3, C, 1)
    a, b = first.weight.flatten().tolist(), second.weight.flatten().tolist()
    length = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(y * y for y in b))
    expected = sum(x * y for x, y in zip(a, b, strict=True)) / length
    assert classifier_similarity(first, second).item() == pytest.approx(expected, rel=1e-5)


def test_two_classifiers_are_kept_as_their_sum():
    torch.manual_seed(0)
    network = DeepLabV3Plus(NetworkDescription("resnet18", C, 8, 32)).eval()
    method = METHODS["clan"]
    made = Warmup(method, CPU, Updates(CPU, 1), network, network, Discriminator(C), 0.001)
    x = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        first, second = made._logits(x)
        kept, _, _ = made.finished().eval()(CPU.images(x))
        own, _, _ = network(CPU.images(x))
    torch.testing.assert_close(kept, first + second, rtol=1e-4, atol=1e-5)
    assert torch.equal(own, first) and not torch.allclose(own, kept)


def passes_for(judge: nn.Module, maps: torch.Tensor, domain: float, weight=None) -> torch.Tensor:
    """Mean over pixels of -weight · log p, p the probability of a domain by the discriminator."""
    z = judge(maps)
    if weight is not None:
        z = nn.functional.interpolate(z, weight.shape[1:], mode="bilinear", align_corners=False)
    p = torch.sigmoid(z)
    loss = -(domain * p.log() + (1 - domain) * (1 - p).log())
    return (loss if weight is None else weight[:, None] * loss).mean()


def gradients_of(losses: dict[str, torch.Tensor], parts: dict[str, list]) -> list[torch.Tensor]:
    """Gradient of each loss with respect to its own part's parameters, in order of the parts."""
    return [
        gradient
        for name, parameters in parts.items()
        for gradient in torch.autograd.grad(losses[name], parameters, retain_graph=True)
    ]


@pytest.mark.parametrize("micro_batches", [1, 2])
@pytest.mark.parametrize("name", ["minent", "adaptseg", "advent", "clan"])
def test_a_warmup_follows_the_gradients_of_its_losses(name, micro_batches):
    """The network's of CE on the source and of what the target is to change by; the
    discriminator's of telling the domains apart (Tsai et al., CVPR 2018, Eqs. 1-4; Vu et al., CVPR
    2019, section 3; Luo et al., CVPR 2019, Eqs. 2-8)."""
    torch.manual_seed(0)
    method = METHODS[name]
    network = DeepLabV3Plus(NetworkDescription("resnet18", C, 8, 32)).eval()
    judge = None if name == "minent" else Discriminator(C, method.view)
    made = Warmup(method, CPU, Updates(CPU, micro_batches), network, network, judge, 10)
    parts = {"network": [*network.parameters(), *(made.second or nn.Module()).parameters()]}
    assert list(map(id, made.parameters())) == list(map(id, parts["network"]))
    if judge is not None:
        parts["discriminator"] = [*judge.parameters()]
    kept = [weight for part in made.stateful().values() for weight in part.parameters()]
    assert {id(w) for w in kept} == {id(w) for part in parts.values() for w in part}
    images = torch.randint(0, 256, (2, 2, 3, 64, 64), dtype=torch.uint8)
    labels = torch.randint(0, C, (2, 64, 64), dtype=torch.uint8)
    made.gather_gradients((images[0], labels, None), (images[1], None, None))
    found = [weight.grad.clone() for part in parts.values() for weight in part]

    outputs = [network(CPU.images(x)) for x in images]
    both = [[logits] for logits, _, _ in outputs]  # of the source and of the target
    if name == "clan":
        for logits, (_, features, _) in zip(both, outputs, strict=True):
            second = made.second(features)
            logits.append(
                nn.functional.interpolate(second, (64, 64), mode="bilinear", align_corners=False)
            )
    source, target = (sum(logits).softmax(dim=1) for logits in both)
    losses = {}
    losses["network"] = sum(nn.functional.cross_entropy(each, labels.long()) for each in both[0])
    weight = None
    if name == "clan":
        first, second = (each.softmax(dim=1) for each in both[1])
        cosine = (first * second).sum(dim=1) / (first.norm(dim=1) * second.norm(dim=1))
        weight = (40 * (1 - cosine) + 0.4).detach()
        a, b = network.classifier.weight.flatten(), made.second.weight.flatten()
        losses["network"] = losses["network"] + 0.01 * (a @ b) / (a.norm() * b.norm())
    if name == "minent":
        entropy = -(target * target.log()).sum(dim=1).mean() / math.log(C)
        losses["network"] = losses["network"] + 10 * entropy
    else:
        fooled = passes_for(judge, target, 1, weight)
        losses["network"] = losses["network"] + 10 * fooled
        told_apart = passes_for(judge, source.detach(), 1)
        told_apart = told_apart + passes_for(judge, target.detach(), 0, weight)
        losses["discriminator"] = told_apart / 2
    expected = gradients_of(losses, parts)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5 * max(1, other.abs().max()))
    assert any(gradient.abs().max() > 0 for gradient in found[-2:])


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> SimpleNamespace:
    root = tmp_path_factory.mktemp("tiny")
    gta5, cityscapes = make_tiny(root, source=4, train=4)
    index_of("gta5", gta5, labels=True).to_csv(root / "source.csv", index=False)
    index_of("cityscapes", cityscapes).to_csv(root / "target.csv", index=False)
    return SimpleNamespace(source=root / "source.csv", target=root / "target.csv")


def train(data: SimpleNamespace, folder: Path, method: str, *more: object) -> pd.DataFrame:
    """Run the step in this process; return its history."""
    words = (
        *("--classes", "cityscapes19", "--batch-size", 2, "--seed", 0, "--learning-rate", 0.01),
        *("--crop", "64x32", "--resize-range", 0.5, 1.5, "--flip", "--momentum", 0.9),
        *("--weight-decay", 2e-4, "--power", 0.9, "--source-encoding", "gta5-ids"),
        *("--device", "cpu", "--source", data.source, "--target", data.target),
        *("--statistics", data.target, "--iterations", 2, "--backbone", "resnet18"),
        *("--feature-channels", 8, "--output-stride", 32, "--output", folder / "model.pt"),
        *("--history", folder / "history.csv", "--method", method, *more),
    )
    warmup.main(warmup.parser().parse_args([str(word) for word in words]))
    return pd.read_csv(folder / "history.csv")


def judged(folder: Path) -> tuple:
    return (
        *("--adversarial-weight", 0.01, "--discriminator-learning-rate", 1e-4),
        *("--discriminator-output", folder / "discriminator.pt"),
    )


@pytest.fixture(autouse=True)
def strictness():
    """Put back what a training sets for its whole process."""
    strict = torch.are_deterministic_algorithms_enabled()
    yield
    torch.use_deterministic_algorithms(strict)


@pytest.mark.parametrize(
    ("method", "losses"),
    [
        ("none", ["segmentation"]),
        ("minent", ["segmentation", "entropy"]),
        ("adaptseg", ["segmentation", "adversarial", "discriminator"]),
        ("advent", ["segmentation", "adversarial", "discriminator"]),
        ("clan", ["segmentation", "similarity", "adversarial", "discriminator"]),
    ],
)
def test_every_method_trains_with_its_losses(data, tmp_path, method, losses):
    with_discriminator = "discriminator" in losses
    more = judged(tmp_path) if with_discriminator else ("--entropy-weight", 0.001)
    history = train(data, tmp_path, method, *more)
    assert list(history) == ["iteration", *losses]
    assert np.isfinite(history.to_numpy()).all()
    load_network(tmp_path / "model.pt", "cityscapes19")
    assert (tmp_path / "discriminator.pt").exists() == with_discriminator
    if with_discriminator:
        view = load_discriminator(tmp_path / "discriminator.pt", "cityscapes19").view
        assert view == ("self-information" if method == "advent" else "probabilities")


def test_target_images_change_nothing_without_adaptation(data, tmp_path):
    """With weight 0 the target still passes through the network, and M0 is source only's."""
    weights = []
    for method in ("none", "minent"):
        train(data, tmp_path / method, method, "--entropy-weight", 0)
        weights.append(load_network(tmp_path / method / "model.pt", "cityscapes19").state_dict())
    trained = [name for name in weights[0] if "running" not in name and "tracked" not in name]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in trained)


@pytest.mark.parametrize("method", ["minent", "adaptseg"])
def test_the_first_iterations_may_see_the_source_alone(data, tmp_path, method, monkeypatch):
    """They are those of method none, and the target then begins as the source stands."""
    opened = []
    read_image = datasets.read_image
    monkeypatch.setattr(
        datasets, "read_image", lambda path: opened.append(path) or read_image(path)
    )
    alone = train(data, tmp_path / "none", "none", "--iterations", 5)
    opened.clear()
    more = ("--entropy-weight", 1)
    if method == "adaptseg":
        more = (*judged(tmp_path), "--adversarial-weight", 100)  # for the fifth loss to show it
    more = (*more, "--iterations", 5, "--source-only-iterations", 3)
    history = train(data, tmp_path, method, *more)
    of_target = [name for name in history if name not in ("iteration", "segmentation")]
    assert list(history["segmentation"][:4]) == list(alone["segmentation"][:4])
    assert history["segmentation"][4] != alone["segmentation"][4]
    assert history[of_target][:3].isna().all(axis=None)
    assert history[of_target][3:].notna().all(axis=None)
    targets = set(pd.read_csv(data.target)["image"])
    # What follows are whole images, for the statistics of batch norm.
    crops = "".join("t" if path in targets else "s" for path in opened[: 5 * 2 + 2 * 2])
    assert crops == 3 * "ss" + 2 * "sstt"


def test_the_discriminator_waits_for_the_target(data, tmp_path, monkeypatch):
    """It takes no step before, and its rate decays from its own first."""
    rates = []

    def step(optimizer: torch.optim.Adam) -> None:
        rates.append(optimizer.param_groups[0]["lr"])

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    train(data, tmp_path, "adaptseg", *judged(tmp_path), "--iterations", 2)
    at_once = rates.copy()
    rates.clear()
    more = ("--iterations", 5, "--source-only-iterations", 3)
    train(data, tmp_path, "adaptseg", *judged(tmp_path), *more)
    assert rates == at_once and len(rates) == 2


def test_settings_that_a_method_needs_are_named(data, tmp_path):
    with pytest.raises(InputError, match="minent: expected --entropy-weight, found none"):
        train(data, tmp_path, "minent")
    expected = "clan: expected --adversarial-weight, --discriminator-learning-rate, --discrim"
    with pytest.raises(InputError, match=expected):
        train(data, tmp_path, "clan")
    with pytest.raises(InputError, match="source-only iterations: expected fewer than 2 in all, f"):
        train(data, tmp_path, "none", "--source-only-iterations", 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "resnet99"}, r"backbone: expected .* 'resnet18', .*, found 'resnet99'"),
        ({"backbone": "vgg16"}, r"backbone: expected .*, found 'vgg16'"),
        ({"weights": "FOO"}, r"weights: expected none or .* \['IMAGENET1K_V1', .*, found 'FOO'"),
        ({"output_stride": 8}, r"output_stride: expected .*, found 8"),
    ],
)
def test_a_network_that_torchvision_lacks_is_refused_by_its_setting(changes, message):
    network = {"classes": "cityscapes19", "backbone": "resnet18", "weights": "none"}
    network |= {"feature_channels": 8, "output_stride": 32}
    with pytest.raises(InputError, match=f"^{message}"):
        warmup.build(SimpleNamespace(**network | changes))


@pytest.mark.parametrize(
    ("cause", "found"),
    [(URLError("no route to host"), "no route to host"), (RuntimeError("invalid hash"), "invalid")],
)
def test_weights_out_of_reach_are_told_with_where_they_belong(monkeypatch, cause, found):
    def unreachable(url, *_, **__):
        raise cause

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    with pytest.raises(InputError) as error:
        warmup.build(PRETRAINED)
    assert found in str(error.value)
    assert "hub/checkpoints/resnet18-f37072fd.pth or on the network" in str(error.value)
    assert "fetch https://download.pytorch.org/models/resnet18-f37072fd.pth" in str(error.value)


@pytest.fixture
def cached_weights(tmp_path, monkeypatch) -> Path:
    """Where torchvision keeps a ResNet-18's weights, once they are there."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    return tmp_path / "hub/checkpoints/resnet18-f37072fd.pth"


PRETRAINED = SimpleNamespace(
    classes="cityscapes19",
    backbone="resnet18",
    weights="IMAGENET1K_V1",
    feature_channels=8,
    output_stride=16,
)


def test_the_encoder_starts_from_the_weights_named(cached_weights):
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18()
    torch.save(theirs.state_dict(), cached_weights)
    network = warmup.build(PRETRAINED)
    assert torch.equal(network.stem[0].weight, theirs.conv1.weight)
    assert torch.equal(network.layer4[1].conv2.weight, theirs.layer4[1].conv2.weight)


def test_weights_that_hold_code_are_refused_and_do_not_run(cached_weights):
    torch.save({"conv1.weight": Code(cached_weights.with_name("ran"))}, cached_weights)
    with pytest.raises(InputError, match="weights IMAGENET1K_V1: expected them at"):
        warmup.build(PRETRAINED)
    assert not cached_weights.with_name("ran").exists()
