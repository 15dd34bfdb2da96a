"""The distance to the nearest anchor (Eq. 5) and its masked relative."""

import faiss
import numpy as np
import pytest

from mada import distances
from mada.distances import nearest_anchor, smallest, squared_distances


def naive_nearest(features: np.ndarray, anchors: np.ndarray) -> tuple[list[float], list[int]]:
    """Eq. 5: min_k ||F(x) - A_k||^2, element by element; the first of equals."""
    result, nearest = [], []
    for feature in features:
        best, least = -1, np.inf
        for k, anchor in enumerate(anchors):
            distance = 0.0
            for f, a in zip(feature.tolist(), anchor.tolist(), strict=True):
                distance += (f - a) ** 2
            if distance < least:
                best, least = k, distance
        result.append(least)
        nearest.append(best)
    return result, nearest


def naive_masked(features: np.ndarray, anchors: np.ndarray, categories: int):
    """Eq. 5 over the categories present in the image alone, scaled by C / present."""
    block = features.shape[1] // categories
    result, nearest = [], []
    for feature in features:
        present = [c for c in range(categories) if any(feature[c * block : (c + 1) * block])]
        best, least = -1, np.inf
        for k, anchor in enumerate(anchors):
            distance = 0.0
            for c in present:
                for j in range(c * block, (c + 1) * block):
                    distance += (float(feature[j]) - float(anchor[j])) ** 2
            distance *= categories / len(present)
            if distance < least:
                best, least = k, distance
        result.append(least)
        nearest.append(best)
    return result, nearest


def with_absent(rng: np.random.Generator, images: int, categories: int, block: int) -> np.ndarray:
    """Random features in which each category is absent from about a third of the images."""
    features = rng.normal(size=(images, categories, block)).astype(np.float32)
    absent = rng.random((images, categories)) < 0.35
    absent[:, 0], absent[0, -1] = False, True
    features[absent] = 0
    return features.reshape(images, categories * block)


def test_distance_is_to_the_nearest_anchor_not_to_their_mean():
    anchors = np.float32([[-3, 0], [3, 0]])  # two modes; their mean is the origin
    images = np.float32([[3, 1], [0, 0]])  # beside one mode; midway between both
    distance, anchor = nearest_anchor(images, anchors)
    assert distance.tolist() == [1, 9]
    assert anchor.tolist() == [1, 0]


@pytest.mark.parametrize("images", [1, 7, 50])  # faiss takes another path from 20 images on
@pytest.mark.parametrize("count", [1, 2, 10])
def test_distance_is_the_smallest_of_the_squared_distances(rng, images, count):
    features = with_absent(rng, images, 4, 6)
    anchors = with_absent(rng, max(count, 2), 4, 6)[:count]
    distance, anchor = nearest_anchor(features, anchors)
    expected, nearest = naive_nearest(features, anchors)
    assert distance.dtype == np.float32
    assert anchor.dtype == np.int64
    np.testing.assert_allclose(distance, expected, rtol=1e-5)
    assert anchor.tolist() == nearest


def test_absent_categories_count_like_any_other_by_default():
    image, anchor = np.float32([[1, 0]]), np.float32([[1, 5]])  # two categories of width 1
    assert nearest_anchor(image, anchor)[0].tolist() == [25]


@pytest.mark.parametrize("categories", [None, 1])
@pytest.mark.parametrize(("images", "width"), [(3, 4), (19, 760), (21, 33), (300, 4), (300, 760)])
def test_ties_go_to_the_first_of_equal_anchors(rng, images, width, categories):
    for count in (2, 3, 5, 10, 17) * 40:
        # Small whole numbers: their products and sums are exact, so that ties are ties.
        features = rng.integers(-4, 5, size=(images, width)).astype(np.float32)
        anchors = rng.integers(-4, 5, size=(count, width)).astype(np.float32)
        _, anchor = nearest_anchor(features, np.concatenate([anchors, anchors]), categories)
        assert anchor.max() < count  # the second half holds the same anchors again


def test_an_image_midway_between_anchors_goes_to_the_first():
    images = np.float32([[0, 1], [0, 5]])
    anchors = np.float32([[9, 9], [2, 0], [-2, 0]])
    for categories in (None, 1):
        assert nearest_anchor(images, anchors, categories)[1].tolist() == [1, 1]


@pytest.mark.parametrize("images", [3, 30, 40, 61])
def test_images_that_are_equal_get_bitwise_equal_distances(rng, images):
    features = np.repeat(rng.normal(size=(1, 95)).astype(np.float32), images, axis=0)
    anchors = rng.normal(size=(10, 95)).astype(np.float32)
    for categories in (None, 19):
        assert len(np.unique(nearest_anchor(features, anchors, categories)[0])) == 1


@pytest.mark.parametrize("categories", [None, 19])
def test_images_that_are_equal_get_the_same_of_two_anchors_equally_far(monkeypatch, categories):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        image = rng.normal(size=(19, 40)).astype(np.float32)
        image[3] = 0
        aside = rng.normal(size=(2, 19, 40))
        aside[:, 3] = 0
        aside *= 8 / np.linalg.norm(aside, axis=(1, 2), keepdims=True)
        anchors = (image + aside).astype(np.float32).reshape(2, -1)
        images = np.repeat(image.reshape(1, -1), 42, axis=0)
        found = nearest_anchor(images, anchors, categories)[1]
        with monkeypatch.context() as patch:
            patch.setattr(distances, "ROWS_AT_ONCE", 1)
            alone = nearest_anchor(images, anchors, categories)[1]
        assert set(found) == set(alone) and len(set(found)) == 1


def test_distance_never_falls_below_zero(rng):
    anchors = (rng.normal(size=(30, 64)) * 100).astype(np.float32)
    for categories in (None, 4):
        distance, anchor = nearest_anchor(anchors.copy(), anchors, categories)
        assert (distance >= 0).all()
        assert (distance < 1e-3 * np.square(anchors).sum(axis=1)).all()
        assert anchor.tolist() == list(range(30))


@pytest.mark.parametrize("rows_at_once", [1, 7, 64, 300])
@pytest.mark.parametrize("categories", [None, 5])
def test_the_number_of_rows_taken_at_once_changes_nothing(
    rng, monkeypatch, rows_at_once, categories
):
    features, anchors = with_absent(rng, 300, 5, 8), with_absent(rng, 6, 5, 8)
    whole = nearest_anchor(features, anchors, categories)
    assert len(features) < distances.ROWS_AT_ONCE
    monkeypatch.setattr(distances, "ROWS_AT_ONCE", rows_at_once)
    distance, anchor = nearest_anchor(features, anchors, categories)
    np.testing.assert_allclose(distance, whole[0], rtol=1e-5)
    assert np.array_equal(anchor, whole[1])


def test_features_are_read_in_pieces_from_a_memory_mapped_file(rng, tmp_path, monkeypatch):
    features, anchors = with_absent(rng, 50, 3, 4), with_absent(rng, 4, 3, 4)
    np.save(tmp_path / "features.npy", features)
    monkeypatch.setattr(distances, "ROWS_AT_ONCE", 16)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    expected, nearest = naive_nearest(features, anchors)
    distance, anchor = nearest_anchor(mapped, anchors)
    np.testing.assert_allclose(distance, expected, rtol=1e-5)
    assert anchor.tolist() == nearest


@pytest.mark.parametrize(("categories", "block"), [(1, 8), (4, 1), (5, 6), (19, 3)])
def test_masked_distance_compares_only_categories_present_in_the_image(rng, categories, block):
    if categories == 1:
        features = rng.normal(size=(30, block)).astype(np.float32)
    else:
        features = with_absent(rng, 30, categories, block)
    features = np.concatenate([features, features[:5]])  # equal ones are computed anew
    anchors = rng.normal(size=(6, categories * block)).astype(np.float32)
    distance, anchor = nearest_anchor(features, anchors, categories)
    expected, nearest = naive_masked(features, anchors, categories)
    np.testing.assert_allclose(distance, expected, rtol=1e-4)
    assert anchor.tolist() == nearest


def test_masked_distance_is_scaled_up_for_the_categories_left_out():
    # Three categories of width 1; the last is absent from the image, so (1 + 4) · 3/2.
    image, anchor = np.float32([[1, 2, 0]]), np.float32([[2, 4, 99]])
    assert nearest_anchor(image, anchor, categories=3)[0].tolist() == [7.5]


def test_masked_and_full_distance_agree_where_every_category_is_present(rng):
    features = rng.normal(size=(30, 12)).astype(np.float32)
    anchors = rng.normal(size=(4, 12)).astype(np.float32)
    masked, full = nearest_anchor(features, anchors, 3), nearest_anchor(features, anchors)
    np.testing.assert_allclose(masked[0], full[0], rtol=1e-4)
    assert np.array_equal(masked[1], full[1])


@pytest.mark.parametrize("categories", [None, 2])
def test_features_and_anchors_of_different_widths_are_refused(categories):
    with pytest.raises(ValueError, match=r"\(3, 4\).*\(2, 6\)"):
        nearest_anchor(np.zeros((3, 4), np.float32), np.zeros((2, 6), np.float32), categories)


def test_a_single_row_without_its_axis_is_refused():
    with pytest.raises(ValueError, match="width"):
        nearest_anchor(np.zeros(4, np.float32), np.zeros((2, 4), np.float32))


def test_a_width_that_is_no_multiple_of_the_categories_is_refused():
    with pytest.raises(ValueError, match="10 is no multiple of 3"):
        nearest_anchor(np.ones((3, 10), np.float32), np.ones((2, 10), np.float32), 3)


def test_distances_come_from_the_gpu_exactly_where_faiss_reports_one(rng, monkeypatch):
    rows, anchors = with_absent(rng, 30, 4, 6), with_absent(rng, 5, 4, 6)
    expected = nearest_anchor(rows, anchors)
    resources, calls = object(), []

    def on_gpu(given, xq, xb):
        calls.append((given, xq.shape, xb.shape))
        return on_cpu(xq, xb)

    on_cpu = faiss.pairwise_distances
    monkeypatch.setattr(faiss, "pairwise_distance_gpu", on_gpu)
    nearest_anchor(rows, anchors)
    assert calls == []

    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "StandardGpuResources", lambda: resources, raising=False)
    monkeypatch.setattr(
        faiss, "pairwise_distances", lambda *_: pytest.fail("the CPU computed distances")
    )
    distances._gpu.cache_clear()
    for found, other in zip(nearest_anchor(rows, anchors), expected, strict=True):
        assert np.array_equal(found, other)
    assert calls == [(resources, (30, 24), (5, 24))]
    distances._gpu.cache_clear()


@pytest.mark.skipif(faiss.get_num_gpus() == 0, reason="faiss reports no GPU")
def test_distances_of_a_gpu_are_those_of_the_cpu(rng):
    rows = rng.normal(size=(500, 4864)).astype(np.float32)
    anchors = rng.normal(size=(10, 4864)).astype(np.float32)
    on_cpu = faiss.pairwise_distances(rows, anchors)
    np.testing.assert_allclose(squared_distances(rows, anchors), on_cpu, rtol=1e-5)


def test_rounding_does_not_choose_between_anchors_almost_equally_near():
    rows = np.float32([[1000, 0], [1000, 1], [0, 0]])
    anchors = np.float32([[1000, 2], [1000, -2], [5000, 0]])
    true = np.float32([[4, 4, 1.6e7], [1, 9, 1.6e7], [1000004, 1000004, 2.5e7]])
    for wrong in ([0, -3, 0], [20, 0, 0], [0, 0, 0]):  # within what float32 makes of 1000^2
        assert smallest(true + np.float32(wrong), rows, anchors).tolist() == [0, 0, 0]


def test_anchors_clearly_apart_are_told_apart_by_their_float32_distance():
    rows, anchors = np.float32([[0, 0], [4, 0]]), np.float32([[0, 1], [4, 1]])
    given = np.float32([[17, 1], [1, 17]])  # which is not what they are
    assert smallest(given, rows, anchors).tolist() == [1, 0]
