"""The multi-anchor soft alignment loss (Eq. 9) and the anchors' moving average (Eq. 8)."""

import numpy as np
import pytest
import torch

from mada.nn.alignment import soft_alignment, update_anchors


def naive_soft_alignment(features: np.ndarray, anchors: np.ndarray) -> float:
    """Eq. 9 with the mean over C·D in place of the sum of squares; mean over images."""
    losses = []
    for feature in features:
        reciprocals = 0.0
        for anchor in anchors:
            distance = 0.0
            for f, a in zip(feature, anchor, strict=True):
                distance += (f - a) ** 2
            reciprocals += 1 / (distance / len(feature))
        losses.append(len(anchors) / reciprocals)
    return sum(losses) / len(losses)


def naive_gradient(features: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Eq. 9 differentiated by hand: V/S^2 · sum_v d_v^-2 · 2(F - A_v)/(C·D), S = sum_v 1/d_v."""
    gradient = np.zeros_like(features)
    for n, feature in enumerate(features):
        distances = [((feature - anchor) ** 2).mean() for anchor in anchors]
        total = sum(1 / d for d in distances)
        for anchor, d in zip(anchors, distances, strict=True):
            pull = 2 * (feature - anchor) / len(feature)
            gradient[n] += len(anchors) / total**2 / d**2 * pull / len(features)
    return gradient


def naive_update(anchors: np.ndarray, features: np.ndarray, decay: float) -> np.ndarray:
    """Eq. 8 image by image: A = alpha·A + (1 - alpha)·F for the closest anchor, first of equals."""
    anchors = anchors.copy()
    for feature in features:
        closest, least = 0, np.inf
        for v, anchor in enumerate(anchors):
            distance = sum((f - a) ** 2 for f, a in zip(feature, anchor, strict=True))
            if distance < least:
                closest, least = v, distance
        anchors[closest] = decay * anchors[closest] + (1 - decay) * feature
    return anchors


def as_float(array) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float32).copy())


@pytest.mark.parametrize(("images", "count", "width"), [(1, 1, 3), (4, 10, 12), (3, 2, 95)])
def test_soft_alignment_is_the_harmonic_mean_of_the_distances_to_all_anchors(
    rng, images, count, width
):
    features = rng.normal(size=(images, width))
    anchors = rng.normal(size=(count, width))
    features[0, : width // 3] = 0  # an absent category counts like any other
    loss = soft_alignment(as_float(features), as_float(anchors))
    assert loss.shape == ()
    assert loss.item() == pytest.approx(naive_soft_alignment(features, anchors), rel=1e-4)


def test_soft_alignment_worked_by_hand():
    # Mean squared distances 1 and 4, so 2 / (1/1 + 1/4) = 1.6.
    features, anchors = torch.zeros(1, 2), torch.tensor([[1.0, 1.0], [2.0, 2.0]])
    assert soft_alignment(features, anchors).item() == pytest.approx(1.6, rel=1e-5)


def test_one_anchor_makes_the_loss_a_plain_distance(rng):
    features, anchor = rng.normal(size=(5, 8)), rng.normal(size=(1, 8))
    expected = np.mean([((row - anchor[0]) ** 2).mean() for row in features])
    loss = soft_alignment(as_float(features), as_float(anchor))
    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_loss_does_not_grow_with_the_width_of_the_features(rng):
    features, anchors = rng.normal(size=(2, 10)), rng.normal(size=(3, 10))
    narrow = soft_alignment(as_float(features), as_float(anchors))
    wide = soft_alignment(as_float(np.tile(features, 7)), as_float(np.tile(anchors, 7)))
    assert wide.item() == pytest.approx(narrow.item(), rel=1e-4)


def test_repeating_every_anchor_changes_nothing(rng):
    features, anchors = rng.normal(size=(2, 6)), rng.normal(size=(3, 6))
    once = soft_alignment(as_float(features), as_float(anchors))
    twice = soft_alignment(as_float(features), as_float(np.repeat(anchors, 2, axis=0)))
    assert twice.item() == pytest.approx(once.item(), rel=1e-4)


@pytest.mark.parametrize("count", [1, 4])
def test_an_image_that_sits_on_an_anchor_gives_a_finite_loss_and_gradient(rng, count):
    anchors = as_float(rng.normal(size=(count, 6)))
    features = torch.stack([anchors[0], anchors[-1] + 1]).requires_grad_()
    loss = soft_alignment(features, anchors)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(features.grad).all()
    assert features.grad[0].abs().max() < 1e-4  # it is where it should be
    assert soft_alignment(anchors[:1], anchors).item() < 1e-4


def test_gradient_is_the_derivative_of_the_formula(rng):
    features, anchors = rng.normal(size=(3, 8)), rng.normal(size=(4, 8))
    moving = as_float(features).requires_grad_()
    soft_alignment(moving, as_float(anchors)).backward()
    expected = naive_gradient(features, anchors)
    np.testing.assert_allclose(moving.grad.numpy(), expected, rtol=1e-3, atol=1e-6)


def test_descent_draws_images_to_the_anchors_and_most_to_the_nearest():
    anchors = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    image = torch.tensor([[2.0, 0.0]], requires_grad=True)
    soft_alignment(image, anchors).backward()
    step = -image.grad[0]
    assert step[0] < 0  # towards the near anchor at 0, although the far one pulls too
    assert step[1] == 0
    lone = torch.tensor([[2.0, 1.0]], requires_grad=True)
    soft_alignment(lone, anchors[1:]).backward()
    direction = (anchors[1] - lone[0]).detach()
    cosine = torch.cosine_similarity(-lone.grad[0], direction, dim=0)
    assert cosine.item() == pytest.approx(1, abs=1e-5)


def test_descent_on_the_loss_ends_at_an_anchor(rng):
    anchors = as_float(rng.normal(size=(3, 4)) * 3)
    image = as_float(rng.normal(size=(1, 4))).requires_grad_()
    for _ in range(300):
        image.grad = None
        soft_alignment(image, anchors).backward()
        with torch.no_grad():
            image -= 0.3 * image.grad
    assert (image - anchors).norm(dim=1).min() < 0.05


def test_features_and_anchors_of_different_widths_are_refused():
    with pytest.raises(ValueError, match=r"4.*6"):
        soft_alignment(torch.zeros(2, 4), torch.zeros(3, 6))


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.999])
def test_moving_average_follows_the_formula_image_by_image(rng, decay):
    anchors, features = rng.normal(size=(4, 6)), rng.normal(size=(9, 6))
    moved = as_float(anchors)
    update_anchors(moved, as_float(features), decay)
    expected = naive_update(anchors, features, decay)
    np.testing.assert_allclose(moved.numpy(), expected, rtol=1e-5, atol=1e-6)
    assert not np.allclose(moved.numpy(), anchors, atol=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.75])
def test_moving_average_follows_the_formula_with_absent_categories_and_ties(decay):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        # Small whole numbers, and decays that are exact in binary: ties stay ties.
        anchors = rng.integers(-2, 3, size=(6, 6)).astype(float)
        anchors[4] = anchors[1]
        features = rng.integers(-2, 3, size=(9, 3, 2)).astype(float)
        features[rng.random((9, 3)) < 0.4] = 0
        features = features.reshape(9, 6)
        features[3] = (anchors[0] + anchors[2]) / 2
        moved = as_float(anchors)
        update_anchors(moved, as_float(features), decay)
        expected = naive_update(anchors, features, decay)
        np.testing.assert_allclose(moved.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_only_the_closest_anchor_moves_and_the_others_keep_their_bits(rng):
    anchors = as_float(rng.normal(size=(5, 6)) * 10)
    before = anchors.clone()
    update_anchors(anchors, before[3:4] + 0.5, 0.9)
    assert torch.equal(anchors[[0, 1, 2, 4]], before[[0, 1, 2, 4]])
    torch.testing.assert_close(anchors[3], before[3] + 0.05)


def test_an_image_between_two_anchors_moves_the_first_of_them():
    anchors = torch.tensor([[9.0], [1.0], [-1.0], [1.0]])
    update_anchors(anchors, torch.tensor([[0.0]]), 0.5)
    assert anchors.flatten().tolist() == [9.0, 0.5, -1.0, 1.0]


def test_each_image_sees_the_anchors_as_earlier_images_left_them():
    anchors = torch.tensor([[0.0], [10.0]])
    # 4.9 takes the first anchor with it; 6 then is nearer to it than to the one at 10.
    update_anchors(anchors, torch.tensor([[4.9], [6.0]]), 0.0)
    assert anchors.flatten().tolist() == [6.0, 10.0]


def test_a_decay_of_1_leaves_the_anchors(rng):
    anchors = as_float(rng.normal(size=(3, 4)))
    before = anchors.clone()
    update_anchors(anchors, as_float(rng.normal(size=(5, 4))), 1.0)
    assert torch.equal(anchors, before)


def test_updating_anchors_leaves_no_trace_in_the_gradient(rng):
    features = as_float(rng.normal(size=(2, 4))).requires_grad_()
    anchors = as_float(rng.normal(size=(3, 4)))
    update_anchors(anchors, features, 0.9)
    assert not anchors.requires_grad
    assert features.grad is None
