"""K-means anchors (Eqs. 2 and 3)."""

from pathlib import Path

import faiss
import numpy as np
import pytest

from mada import anchors, distances
from mada.anchors import cluster


def naive_assignment(features: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """The nearest anchor of each image, the first of equals."""
    result = np.zeros(len(features), dtype=np.int64)
    for n, feature in enumerate(features):
        least = np.inf
        for k, anchor in enumerate(anchors):
            distance = ((feature.astype(np.float64) - anchor.astype(np.float64)) ** 2).sum()
            if distance < least:
                result[n], least = k, distance
    return result


def naive_objective(features: np.ndarray, anchors: np.ndarray) -> float:
    """Eq. 2: the sum over clusters of the sum over their images of ||F(x) - A_k||^2."""
    nearest = naive_assignment(features, anchors)
    total = 0.0
    for k, anchor in enumerate(anchors):
        for feature in features[nearest == k]:
            total += ((feature.astype(np.float64) - anchor.astype(np.float64)) ** 2).sum()
    return total


def naive_lloyd(
    features: np.ndarray, anchors: np.ndarray, iterations: int = 1000
) -> tuple[np.ndarray, list[float]]:
    """Lloyd's iterations over all images until no image changes its cluster, and Eq. 2 after each.

    Anchors are float32, as their files are.
    """
    anchors, objective = anchors.copy(), []
    nearest = naive_assignment(features, anchors)
    for _ in range(iterations):
        for k in range(len(anchors)):
            members = [
                features[n].astype(np.float64) for n in range(len(features)) if nearest[n] == k
            ]
            anchors[k] = sum(members) / len(members)  # Eq. 3
        before, nearest = nearest, naive_assignment(features, anchors)
        objective.append(naive_objective(features, anchors))
        if np.array_equal(nearest, before):
            break
    return anchors, objective


@pytest.fixture
def starts(monkeypatch) -> list[tuple[int, np.ndarray]]:
    """The seed and the first anchors of every restart, as they are drawn."""
    found: list[tuple[int, np.ndarray]] = []

    class Noted(anchors._Restart):
        def __init__(self, features, count, seed, weights):
            super().__init__(features, count, seed, weights)
            found.append((seed, self.anchors.copy()))

    monkeypatch.setattr(anchors, "_Restart", Noted)
    return found


def blobs(rng: np.random.Generator, count: int, images: int, width: int) -> np.ndarray:
    centres = rng.normal(scale=20, size=(count, width))
    features = centres[np.arange(images) % count] + rng.normal(size=(images, width))
    return features.astype(np.float32)


@pytest.mark.parametrize(("count", "images", "width"), [(1, 30, 5), (3, 90, 6), (5, 200, 12)])
def test_last_objective_is_the_sum_over_images_of_the_distance_to_their_anchor(
    rng, count, images, width
):
    features = blobs(rng, count, images, width)
    anchors, _, objective = cluster(features, count, seed=0)
    assert objective[-1] == pytest.approx(naive_objective(features, anchors), rel=1e-4)


def test_last_objective_belongs_to_the_returned_anchors_even_before_convergence(rng):
    features = rng.normal(size=(400, 3)).astype(np.float32)
    anchors, _, objective = cluster(features, 8, seed=0, iterations=2, restarts=1)
    assert objective[-1] == pytest.approx(naive_objective(features, anchors), rel=1e-4)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_objective_tells_one_restart_and_never_rises(rng, seed):
    features = rng.normal(size=(60, 5)).astype(np.float32)
    _, _, objective = cluster(features, 4, seed, iterations=50, restarts=5)
    assert 1 <= len(objective) <= 50
    assert (np.diff(objective) <= 1e-4 * objective[0]).all(), objective


def with_absent_categories(seed: int, images: int = 80) -> np.ndarray:
    """Features of 4 categories, most images without one, of small whole numbers; some are equal."""
    rng = np.random.default_rng(seed)
    features = rng.integers(-3, 4, size=(images, 4, 3)).astype(np.float32)
    features[rng.random((images, 4)) < 0.3] = 0
    features[10:14] = features[20:24]
    return features.reshape(images, 12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("count", "restarts", "iterations"), [(1, 1, 50), (3, 4, 50), (6, 5, 3)])
def test_k_means_is_lloyd_s_from_each_start_and_the_best_of_them(
    starts, seed, count, restarts, iterations
):
    features = with_absent_categories(seed)
    found, assignment, objective = cluster(features, count, seed, iterations, restarts)
    assert len(starts) == restarts
    assert all(len(np.unique(naive_assignment(features, start))) == count for _, start in starts)
    runs = [naive_lloyd(features, start, iterations) for _, start in starts]
    assert count == 1 or len({len(run[1]) for run in runs} | {run[1][-1] for run in runs}) > 1
    expected, course = min(runs, key=lambda run: run[1][-1])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(objective, course, rtol=1e-6)
    assert assignment.tolist() == naive_assignment(features, expected).tolist()


@pytest.mark.parametrize("count", [1, 4, 10])
def test_each_anchor_is_the_mean_of_the_images_assigned_to_it(rng, count):
    features = rng.normal(size=(150, 7)).astype(np.float32)
    features[:, 3:5] = 0  # a category that is absent everywhere
    anchors, assignment, _ = cluster(features, count, seed=0)
    assert anchors.shape == (count, 7)
    assert anchors.dtype == np.float32
    for k in range(count):
        members = features[assignment == k].astype(np.float64)
        assert len(members) > 0
        np.testing.assert_allclose(anchors[k], members.sum(axis=0) / len(members), atol=1e-5)


def test_anchors_are_means_of_their_images_when_fewer_images_differ_than_anchors():
    features = np.repeat(np.float32([[1, 2], [5, 6]]), [6, 4], axis=0)
    anchors, assignment, _ = cluster(features, 3, seed=0)
    for k in np.unique(assignment):
        expected = features[assignment == k].mean(axis=0)
        np.testing.assert_allclose(anchors[k], expected, atol=1e-6)


def test_each_image_is_assigned_to_its_nearest_anchor(rng):
    features = rng.normal(size=(150, 7)).astype(np.float32)
    anchors, assignment, _ = cluster(features, 5, seed=0)
    assert np.array_equal(assignment, naive_assignment(features, anchors))


def test_every_image_counts_however_many_there_are_per_anchor(rng):
    # Far more than the 256 images per anchor that faiss samples by default.
    features = rng.normal(size=(2000, 3)).astype(np.float32)
    anchors, _, objective = cluster(features, 2, seed=0, iterations=1000)
    assert len(objective) < 1000
    np.testing.assert_allclose(anchors, naive_lloyd(features, anchors)[0], atol=1e-5)


def test_a_single_anchor_is_the_mean_of_all_images(rng):
    features = rng.exponential(size=(2000, 4)).astype(np.float32)
    anchors, assignment, _ = cluster(features, 1, seed=0)
    np.testing.assert_allclose(anchors[0], features.astype(np.float64).mean(axis=0), rtol=1e-5)
    assert not assignment.any()


def test_clearly_separate_modes_each_get_their_anchor(rng):
    centres = np.float32([[0, 0, 0], [50, 0, 0], [0, 50, 0]])
    member = rng.integers(0, 3, size=300)
    features = (centres[member] + rng.normal(size=(300, 3))).astype(np.float32)
    anchors, assignment, _ = cluster(features, 3, seed=0)
    for mode in range(3):
        found = np.unique(assignment[member == mode])
        assert len(found) == 1
        expected = features[member == mode].mean(axis=0)
        np.testing.assert_allclose(anchors[found[0]], expected, atol=1e-4)


def test_the_same_seed_gives_the_same_bytes(rng):
    features = rng.normal(size=(300, 9)).astype(np.float32)
    first, again = cluster(features, 6, seed=5), cluster(features, 6, seed=5)
    for one, other in zip(first, again, strict=True):
        assert one.tobytes() == other.tobytes()


def test_the_seed_chooses_the_first_centroids(rng):
    features = rng.normal(size=(300, 9)).astype(np.float32)
    anchors = [cluster(features, 6, seed, iterations=1, restarts=1)[0] for seed in (1, 2)]
    assert not np.array_equal(*anchors)


def test_as_many_anchors_as_images_puts_one_on_each(rng):
    features = rng.normal(size=(6, 4)).astype(np.float32)
    anchors, assignment, objective = cluster(features, 6, seed=0)
    assert sorted(assignment.tolist()) == list(range(6))
    np.testing.assert_allclose(anchors[assignment], features, atol=1e-6)
    assert objective[-1] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("count", [0, 7])
def test_more_anchors_than_images_or_none_at_all_are_refused(rng, count):
    features = rng.normal(size=(6, 4)).astype(np.float32)
    with pytest.raises(ValueError, match=rf"between 1 and 6 anchors, found {count}"):
        cluster(features, count, seed=0)


def test_features_are_left_as_they_were_and_may_be_read_only(rng):
    features = rng.normal(size=(50, 4)).astype(np.float32)
    copy = features.copy()
    features.setflags(write=False)
    cluster(features, 3, seed=0)
    assert np.array_equal(features, copy)


def overlapping(rng: np.random.Generator, images: int = 400, width: int = 24) -> np.ndarray:
    """Features whose clusters touch, so that K-means takes many iterations."""
    centres = rng.normal(size=(9, width))
    return (centres[rng.integers(0, 9, images)] + rng.normal(size=(images, width))).astype("f4")


@pytest.mark.parametrize("seed", range(6))
def test_an_anchor_without_images_goes_to_the_image_furthest_from_all_others(seed):
    # Two of the first three anchors are equal, so that one of them gets no image and stays there.
    features = np.float32([[0, 0]] * 30 + [[10, 0]] * 30 + [[10, 6]])
    anchors, assignment, objective = cluster(features, 3, seed, restarts=1)
    assert sorted(anchors.tolist()) == [[0, 0], [10, 0], [10, 6]]
    assert sorted(np.bincount(assignment).tolist()) == [1, 30, 30]
    assert objective[-1] == 0


def test_the_restarts_of_one_seed_are_not_those_of_the_next(rng, starts):
    for seed in range(4):
        cluster(overlapping(rng, images=40, width=3), 3, seed)
    seeds = [seed for seed, _ in starts]
    assert len(seeds) >= 8 and len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("rows_at_once", [1, 7, 64, 399])
def test_the_number_of_rows_taken_at_once_changes_no_byte(rng, monkeypatch, rows_at_once):
    features = overlapping(rng)
    assert len(features) < distances.ROWS_AT_ONCE
    whole = cluster(features, 8, seed=0)
    assert len(whole[2]) > 4
    monkeypatch.setattr(distances, "ROWS_AT_ONCE", rows_at_once)
    for found, expected in zip(cluster(features, 8, seed=0), whole, strict=True):
        assert found.tobytes() == expected.tobytes()


class FileOfFeatures:
    """Features of which no more than a block is ever read at once."""

    def __init__(self, path: Path):
        self.mapped = np.load(path, mmap_mode="r")
        self.shape, self.ndim = self.mapped.shape, self.mapped.ndim
        self.passes = 0

    def __len__(self) -> int:
        return len(self.mapped)

    def __getitem__(self, rows):
        found = self.mapped[rows]
        assert len(found) <= distances.ROWS_AT_ONCE
        self.passes += isinstance(rows, slice) and rows.start == 0
        return found


def test_features_stay_in_their_file_and_restarts_share_its_passes(rng, monkeypatch, tmp_path):
    features = overlapping(rng)
    np.save(tmp_path / "features.npy", features)
    monkeypatch.setattr(distances, "ROWS_AT_ONCE", 32)
    mapped = FileOfFeatures(tmp_path / "features.npy")
    found = cluster(mapped, 8, seed=0, iterations=3)
    for one, other in zip(found, cluster(features, 8, seed=0, iterations=3), strict=True):
        assert one.tobytes() == other.tobytes()
    assert mapped.passes == 1 + 1 + 3  # squared norms, first assignment, three iterations


def test_distances_that_round_otherwise_give_the_same_bytes(rng, monkeypatch):
    features = overlapping(rng) + np.float32(30)  # far from zero, where more digits are lost
    expected = cluster(features, 8, seed=0)
    exact = distances.squared_distances
    noise = np.random.default_rng(1)

    def rounded_otherwise(rows, anchors):
        squared = exact(rows, anchors)
        scale = np.square(rows).sum(axis=1, keepdims=True) + np.square(anchors).sum(axis=1)
        return squared + (1e-6 * scale * noise.uniform(-1, 1, squared.shape)).astype(np.float32)

    monkeypatch.setattr("mada.anchors.squared_distances", rounded_otherwise)
    for one, other in zip(cluster(features, 8, seed=0), expected, strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.skipif(faiss.get_num_gpus() == 0, reason="faiss reports no GPU")
def test_anchors_of_a_gpu_are_those_of_the_cpu(rng, monkeypatch):
    features = overlapping(rng, images=3000, width=640)
    on_gpu, *_ = cluster(features, 10, seed=0)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0)
    on_cpu, *_ = cluster(features, 10, seed=0)
    np.testing.assert_allclose(on_gpu, on_cpu, atol=1e-4)


def test_an_image_of_weight_n_counts_as_n_images(rng):
    features = rng.normal(size=(40, 6)).astype(np.float32)
    weights = rng.integers(0, 4, size=40)
    anchors, assignment, objective = cluster(features, 5, seed=0, weights=weights)
    repeated, own = features.repeat(weights, axis=0), assignment.repeat(weights)
    for k in np.unique(own):
        mean = repeated[own == k].astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(anchors[k], mean, rtol=1e-5, atol=1e-6)
    assert np.array_equal(assignment, naive_assignment(features, anchors))
    np.testing.assert_allclose(objective[-1], naive_objective(repeated, anchors), rtol=1e-6)
    assert (np.diff(objective) <= 1e-9).all()
