"""Category means (Eqs. 1 and 4), their masks, and the scores of a prediction (Eq. 12)."""

import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mada.labels import VOID
from mada.nn.pooling import MIN_SHARE, category_masks, category_means, prediction_scores


def naive_means(features: np.ndarray, masks: np.ndarray, classes: int, least: int = 1):
    """Eqs. 1 and 4, pixel by pixel: 1/|Lambda_c| times the sum of f_E(x) where y_c is 1."""
    B, D, h, w = features.shape
    result = np.zeros((B, classes * D))
    for b in range(B):
        for c in range(classes):
            total, pixels = np.zeros(D), 0
            for i in range(h):
                for j in range(w):
                    if masks[b, i, j] == c:
                        total += features[b, :, i, j]
                        pixels += 1
            if pixels >= least:
                result[b, c * D : (c + 1) * D] = total / pixels
    return result


def naive_prediction(scores: np.ndarray) -> np.ndarray:
    """The category with the highest score at each pixel, the first of equals."""
    B, C, h, w = scores.shape
    result = np.zeros((B, h, w), dtype=np.int64)
    for b, i, j in np.ndindex(B, h, w):
        for c in range(1, C):
            if scores[b, c, i, j] > scores[b, result[b, i, j], i, j]:
                result[b, i, j] = c
    return result


def random_case(rng: np.random.Generator, classes: int = 6):
    """Features, tied scores and labels; the last category is never predicted nor labelled."""
    features = rng.normal(size=(3, 5, 7, 9))
    scores = rng.integers(0, 4, size=(3, classes, 7, 9)).astype(np.float64)  # many ties
    scores[:, -1] = -1
    truth = rng.integers(0, classes - 1, size=(3, 7, 9))
    truth[rng.random(truth.shape) < 0.3] = VOID
    return features, scores, truth


def as_float(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32))


def test_target_feature_is_the_mean_over_the_pixels_predicted_as_each_category(rng):
    features, scores, _ = random_case(rng)
    predicted = category_masks(as_float(scores))
    assert np.array_equal(predicted.numpy(), naive_prediction(scores))
    result = category_means(as_float(features), predicted, 6)
    expected = naive_means(features, naive_prediction(scores), 6)
    assert result.dtype == torch.float32
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_source_feature_by_agreement_counts_pixels_whose_label_is_also_predicted(rng):
    features, scores, truth = random_case(rng)
    masks = category_masks(as_float(scores), torch.from_numpy(truth), "agreement")
    predicted = naive_prediction(scores)
    agreed = np.full(truth.shape, VOID)
    for place in np.ndindex(truth.shape):
        if truth[place] == predicted[place]:
            agreed[place] = truth[place]
    assert 0 < (agreed != VOID).sum() < (truth != VOID).sum()
    result = category_means(as_float(features), masks, 6)
    np.testing.assert_allclose(
        result.numpy(), naive_means(features, agreed, 6), rtol=1e-5, atol=1e-6
    )


def test_source_feature_by_label_counts_labelled_pixels_whatever_is_predicted(rng):
    features, scores, truth = random_case(rng)
    masks = category_masks(as_float(scores), torch.from_numpy(truth), "label")
    result = category_means(as_float(features), masks, 6)
    np.testing.assert_allclose(
        result.numpy(), naive_means(features, truth, 6), rtol=1e-5, atol=1e-6
    )


def test_agreement_is_the_default_rule_for_labelled_images(rng):
    _, scores, truth = random_case(rng)
    labels = torch.from_numpy(truth)
    default = category_masks(as_float(scores), labels)
    assert torch.equal(default, category_masks(as_float(scores), labels, "agreement"))
    assert not torch.equal(default, category_masks(as_float(scores), labels, "label"))


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_labels_reach_the_feature_map_by_the_pixel_at_each_cell_s_centre(rng, scale):
    h, w = 5, 6
    truth = rng.integers(0, 4, size=(2, h * scale, w * scale))
    masks = category_masks(torch.zeros(2, 4, h, w), torch.from_numpy(truth), "label")
    for b, i, j in np.ndindex(2, h, w):
        row, column = math.floor((i + 0.5) * scale), math.floor((j + 0.5) * scale)
        assert masks[b, i, j] == truth[b, row, column]


def test_labels_are_never_blended_between_categories():
    truth = torch.tensor([[[0, 18, VOID, 3, 0, 18]]]).repeat(1, 6, 1)
    masks = category_masks(torch.zeros(1, 19, 4, 4), truth, "label")
    assert set(masks.unique().tolist()) <= {0, 3, 18, VOID}


def test_an_unknown_mask_rule_is_refused():
    truth = torch.zeros(1, 2, 2, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"agreement.*label.*majority"):
        category_masks(torch.zeros(1, 3, 2, 2), truth, "majority")


def test_absent_category_is_a_block_of_zeros_in_its_own_place(rng):
    features = rng.normal(size=(1, 3, 4, 4)) + 10
    masks = np.full((1, 4, 4), 2)
    result = category_means(as_float(features), torch.from_numpy(masks), 4).reshape(4, 3)
    assert torch.equal(result[[0, 1, 3]], torch.zeros(3, 3))
    np.testing.assert_allclose(result[2], features[0].mean(axis=(1, 2)), rtol=1e-5)


def test_void_never_counts_not_even_in_the_number_of_pixels():
    features = torch.tensor([[[[1.0, 3.0, 1000.0]]]])
    masks = torch.tensor([[[1, 1, VOID]]])
    assert category_means(features, masks, 2).tolist() == [[0.0, 2.0]]


def test_an_image_that_is_all_void_has_a_zero_feature():
    masks = torch.full((2, 3, 3), VOID)
    assert category_means(torch.ones(2, 4, 3, 3), masks, 3).tolist() == [[0.0] * 12] * 2


@pytest.mark.parametrize("size", [(2, 2), (100, 125), (200, 250), (263, 479), (400, 375)])
def test_category_counts_as_present_from_a_share_of_8e_5_and_one_pixel_on(size):
    h, w = size
    assert MIN_SHARE == 8e-5
    least = max(1, -(-8 * h * w // 100_000))  # the smallest whole number at or above the share
    for pixels, expected in ((least - 1, 0.0), (least, 5.0)):
        masks = torch.zeros(1, h * w, dtype=torch.int64)
        masks[0, :pixels] = 1
        features = torch.full((1, 1, h, w), 5.0)
        result = category_means(features, masks.view(1, h, w), 2)
        assert result[0, 1].item() == pytest.approx(expected), f"{pixels} pixels of {h}x{w}"


def test_threshold_is_a_share_of_the_map_so_that_it_means_the_same_at_any_size(rng):
    features, scores, _ = random_case(rng)
    masks = naive_prediction(scores)
    least = math.ceil(0.2 * 7 * 9)
    counts = [[(masks[b] == c).sum() for c in range(6)] for b in range(3)]
    assert any(0 < n < least for row in counts for n in row)
    assert any(n >= least for row in counts for n in row)
    result = category_means(as_float(features), torch.from_numpy(masks), 6, min_share=0.2)
    expected = naive_means(features, masks, 6, least)
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_features_and_masks_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 4, 4\).*\(1, 2, 2\)"):
        category_means(torch.zeros(1, 3, 4, 4), torch.zeros(1, 2, 2, dtype=torch.int64), 2)


def test_means_pass_gradients_to_counted_pixels_alone():
    features = torch.zeros(1, 1, 1, 4, requires_grad=True)
    category_means(features, torch.tensor([[[0, 0, 1, VOID]]]), 2).sum().backward()
    assert features.grad.flatten().tolist() == [0.5, 0.5, 1.0, 0.0]


class CountedOps(TorchDispatchMode):
    """Note the name of every tensor operation that runs."""

    def __init__(self):
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def operations(classes: int) -> list[str]:
    features = torch.ones(2, 3, 8, 8)
    masks = torch.zeros(2, 8, 8, dtype=torch.int64)
    with CountedOps() as counted:
        category_means(features, masks, classes)
    return counted.names


def test_all_categories_come_from_one_matrix_product_and_no_loop_over_them():
    few, many = operations(2), operations(150)
    assert many.count("bmm") == 1
    assert not {"mm", "matmul", "einsum", "addmm", "baddbmm"} & set(many)
    assert few == many


def naive_scores(scores: np.ndarray) -> tuple[list[float], list[float]]:
    """Eq. 12 with the mean over pixels, and the mean margin, pixel by pixel."""
    B, C, h, w = scores.shape
    entropies, margins = [], []
    for b in range(B):
        entropy, margin = 0.0, 0.0
        for i, j in np.ndindex(h, w):
            exponentials = [math.exp(scores[b, c, i, j]) for c in range(C)]
            p = [value / sum(exponentials) for value in exponentials]
            entropy += -sum(value * math.log(value) for value in p) / math.log(C)
            first, second = sorted(p, reverse=True)[:2]
            margin += first - second
        entropies.append(entropy / (h * w))
        margins.append(margin / (h * w))
    return entropies, margins


@pytest.mark.parametrize("classes", [2, 5, 19])
def test_entropy_and_margin_are_means_over_pixels_of_the_definition(rng, classes):
    scores = rng.normal(scale=3, size=(3, classes, 4, 6))
    scores[1] = rng.integers(0, 3, size=scores[1].shape)  # ties between the best two
    entropy, margin = prediction_scores(as_float(scores))
    expected = naive_scores(scores)
    np.testing.assert_allclose(entropy.numpy(), expected[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(margin.numpy(), expected[1], rtol=1e-5, atol=1e-6)


def test_a_uniform_prediction_has_entropy_1_and_margin_0():
    entropy, margin = prediction_scores(torch.zeros(1, 19, 3, 3))
    assert entropy.item() == pytest.approx(1, abs=1e-6)
    assert margin.item() == pytest.approx(0, abs=1e-6)


def test_a_certain_prediction_has_entropy_0_and_margin_1_and_both_are_finite():
    scores = torch.full((1, 19, 3, 3), -1e4)
    scores[:, 7] = 1e4
    entropy, margin = prediction_scores(scores)
    assert (entropy.item(), margin.item()) == (pytest.approx(0), pytest.approx(1))


def test_entropy_does_not_depend_on_the_number_of_pixels(rng):
    scores = as_float(rng.normal(size=(1, 5, 4, 4)))
    small = prediction_scores(scores)[0].item()
    large = prediction_scores(scores.repeat(1, 1, 3, 2))[0].item()
    assert large == pytest.approx(small, rel=1e-5)


def test_padding_counts_for_no_category():
    scores = torch.zeros(1, 2, 4, 4)
    scores[:, 1] = 1  # everything is predicted to be category 1
    inside = torch.ones(1, 16, 16, dtype=torch.bool)
    inside[:, 8:] = False
    masks = category_masks(scores, inside=inside)
    assert (masks[0, :2] == 1).all() and (masks[0, 2:] == VOID).all()
    features = torch.ones(1, 1, 4, 4)
    features[:, :, 2:] = 100  # whatever a network makes of padding
    assert category_means(features, masks, 2).tolist() == [[0, 1]]
