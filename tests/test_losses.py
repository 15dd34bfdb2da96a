"""Cross-entropy (Eqs. 6, 7 and 10) and the loss of the domain discriminator."""

import math

import numpy as np
import pytest
import torch

from mada.labels import VOID
from mada.nn.losses import SOURCE, TARGET, cross_entropy, domain_loss, labelled_pixels


def naive_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Eq. 7 pixel by pixel: the mean of -log p of the labelled class; void pixels do not count."""
    total, pixels = 0.0, 0
    B, C, H, W = logits.shape
    for b, i, j in np.ndindex(B, H, W):
        if labels[b, i, j] == VOID:
            continue
        exponentials = [math.exp(logits[b, c, i, j]) for c in range(C)]
        for c in range(C):
            y = 1.0 if labels[b, i, j] == c else 0.0
            total -= y * math.log(exponentials[c] / sum(exponentials))
        pixels += 1
    return total / pixels


def random_case(rng: np.random.Generator, void: float) -> tuple[np.ndarray, np.ndarray]:
    logits = rng.normal(scale=2, size=(2, 5, 6, 7))
    labels = rng.integers(0, 4, size=(2, 6, 7))  # the last class is absent
    labels[rng.random(labels.shape) < void] = VOID
    return logits, labels


def loss_of(logits: np.ndarray, labels: np.ndarray) -> torch.Tensor:
    return whole(torch.from_numpy(logits).float(), torch.from_numpy(labels))


def whole(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The loss of images that are the whole batch."""
    return cross_entropy(logits, labels, labelled_pixels(labels))


@pytest.mark.parametrize("void", [0.0, 0.4, 0.95])
def test_cross_entropy_is_the_mean_over_labelled_pixels(rng, void):
    logits, labels = random_case(rng, void)
    expected = naive_cross_entropy(logits, labels)
    assert loss_of(logits, labels).item() == pytest.approx(expected, rel=1e-5)


def test_each_domain_is_averaged_over_its_own_pixels_before_the_two_are_added(rng):
    source, active = random_case(rng, 0.0), random_case(rng, 0.9)
    expected = naive_cross_entropy(*source) + naive_cross_entropy(*active)
    assert (loss_of(*source) + loss_of(*active)).item() == pytest.approx(expected, rel=1e-5)


def test_parts_of_a_batch_add_up_to_its_mean_however_labels_are_spread(rng):
    logits, labels = map(torch.from_numpy, random_case(rng, 0.4))
    labels[0, :5] = VOID  # few labels in one image
    pixels = labelled_pixels(labels)
    parts = [cross_entropy(logits[i : i + 1], labels[i : i + 1], pixels) for i in range(2)]
    expected = naive_cross_entropy(logits.numpy(), labels.numpy())
    assert sum(parts).item() == pytest.approx(expected, rel=1e-5)


def test_what_is_predicted_on_void_pixels_does_not_matter(rng):
    logits, labels = random_case(rng, 0.4)
    changed = logits.copy()
    changed[np.broadcast_to((labels == VOID)[:, None], logits.shape)] += 50
    changed[:, 0][labels == VOID] -= 90
    assert loss_of(changed, labels).item() == loss_of(logits, labels).item()


def test_void_pixels_receive_no_gradient_and_the_others_p_minus_y(rng):
    logits, labels = random_case(rng, 0.4)
    moving = torch.from_numpy(logits).float().requires_grad_()
    whole(moving, torch.from_numpy(labels)).backward()
    pixels = (labels != VOID).sum()
    for b, i, j in np.ndindex(labels.shape):
        p = np.exp(logits[b, :, i, j]) / np.exp(logits[b, :, i, j]).sum()
        expected = np.zeros(5)
        if labels[b, i, j] != VOID:
            expected = (p - (np.arange(5) == labels[b, i, j])) / pixels
        np.testing.assert_allclose(moving.grad[b, :, i, j], expected, rtol=1e-4, atol=1e-7)


def test_an_all_void_batch_gives_0_and_a_zero_gradient(rng):
    logits = torch.from_numpy(rng.normal(size=(2, 5, 3, 4))).float().requires_grad_()
    loss = whole(logits, torch.full((2, 3, 4), VOID))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_half_precision_logits_are_summed_in_single_precision():
    logits = torch.zeros(1, 19, 512, 512, dtype=torch.bfloat16)  # a sum of 7.7e5
    labels = torch.zeros(1, 512, 512, dtype=torch.int64)
    assert whole(logits, labels).item() == pytest.approx(math.log(19), rel=1e-4)


def naive_domain_loss(verdict: np.ndarray, source: bool) -> float:
    """-log f_D of a source map, -log(1 - f_D) of a target map, mean over the map."""
    total = 0.0
    for value in verdict.flatten():
        f_d = 1 / (1 + math.exp(-value))
        total -= math.log(f_d) if source else math.log(1 - f_d)
    return total / verdict.size


def test_domain_loss_is_the_binary_cross_entropy_of_the_verdict(rng):
    verdict = rng.normal(scale=3, size=(3, 1, 4, 5))
    tensor = torch.from_numpy(verdict).float()
    for domain, source in ((SOURCE, True), (TARGET, False)):
        expected = naive_domain_loss(verdict, source)
        assert domain_loss(tensor, domain).item() == pytest.approx(expected, rel=1e-5)


def test_positive_verdicts_mean_source():
    sure = torch.full((1, 1, 2, 2), 8.0)
    assert domain_loss(sure, SOURCE) < 0.01 < 5 < domain_loss(sure, TARGET)


def test_domain_loss_of_a_very_sure_discriminator_stays_finite():
    verdict = torch.tensor([[[[200.0, -200.0]]]], requires_grad=True)
    loss = domain_loss(verdict, SOURCE)
    loss.backward()
    assert loss.item() == pytest.approx(100, rel=1e-5)
    assert torch.isfinite(verdict.grad).all()


def test_fooling_the_discriminator_pushes_its_verdict_towards_source():
    verdict = torch.zeros(1, 1, 2, 2, requires_grad=True)
    domain_loss(verdict, SOURCE).backward()
    assert (verdict.grad < 0).all()  # descent raises it
