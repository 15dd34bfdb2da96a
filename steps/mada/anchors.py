"""K-means anchors of a domain's image-level features (Eqs. 2 and 3).

Every image counts in every iteration, and features are only ever read block by block, so that
they may lie in a memory-mapped file larger than memory: an iteration is one pass over the file,
which all restarts share.  Sums are kept in float64 and added to in the order of the rows, and
rounding decides no assignment, so that the anchors are the same bytes whatever the number of
threads and rows in a block, on a CPU and on a GPU.
"""

import faiss
import numpy as np

from mada.cli import progress
from mada.distances import blocks, nearest_anchor, smallest, squared_distances


def cluster(
    features: np.ndarray,
    count: int,
    seed: int,
    iterations: int = 50,
    restarts: int = 5,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the anchors of a domain: centroids of K-means over all its images.

    Minimises sum_k sum_{x in C_k} ||F(x) - A_k||^2 (Eq. 2) with A_k the mean of its cluster
    (Eq. 3), by Lloyd's iterations.  faiss computes the distances; its own K-means would need all
    features in memory.

    Parameters
    ----------
    features : np.ndarray, shape (N, C·D), float32
        May be memory-mapped.
    count : int
        K, the number of anchors.
    seed : int
        Of the first centroids, images drawn at random.
    iterations : int
        Of K-means, at most.
    restarts : int
        The restart with the lowest objective is kept.
    weights : np.ndarray or None, shape (N,)
        How much each image counts in the means and in Eq. 2; None: all alike, as in the paper.

    Returns
    -------
    anchors : np.ndarray, shape (K, C·D), float32
    assignment : np.ndarray, shape (N,), int64
        The anchor nearest to each image.
    objective : np.ndarray, float64
        Eq. 2 after each iteration of the kept restart, which may converge early, in squared
        units of the features; the last value is that of the returned anchors.

    Raises
    ------
    ValueError
        If there are fewer images than anchors.
    """
    if not 1 <= count <= len(features):
        raise ValueError(f"expected between 1 and {len(features)} anchors, found {count}")
    # Seeds of their own, which the next seed's restarts do not share.
    seeds = range(seed * restarts, (seed + 1) * restarts)
    weights = np.ones(len(features)) if weights is None else np.asarray(weights, np.float64)
    attempts = [_Restart(features, count, s, weights) for s in seeds]
    norms = [np.square(rows, dtype=np.float64).sum(axis=1) for _, rows in blocks(features)]
    total = (weights * np.concatenate(norms)).sum()
    _assign(features, attempts)
    running = attempts
    for _ in progress(range(iterations), "clustering"):
        for restart in running:
            restart.move_anchors(features)
        _assign(features, running)
        for restart in running:
            restart.objective.append(total - restart.explained())
        running = [restart for restart in running if restart.moved]
        if not running:
            break
    best = min(attempts, key=lambda restart: restart.objective[-1])
    return best.anchors, best.assignment, np.asarray(best.objective)


class _Restart:
    """One run of Lloyd's iterations: anchors, and what the images nearest to each add up to."""

    def __init__(self, features: np.ndarray, count: int, seed: int, weights: np.ndarray):
        order = np.empty(len(features), dtype=np.int32)
        faiss.rand_perm(faiss.swig_ptr(order), len(order), seed + 1)  # as faiss' K-means begins
        self.anchors = np.array(features[order[:count]], dtype=np.float32)
        self.assignment = np.full(len(features), -1, dtype=np.int64)
        self.weights = weights
        self.sums = np.zeros(self.anchors.shape, dtype=np.float64)
        self.moved = 0  # images that the last assignment gave to another anchor
        self.objective: list[float] = []

    def assign(self, place: slice, rows: np.ndarray, nearest: np.ndarray) -> None:
        """Take note of the nearest anchors of a block, touching the sums where they changed."""
        before, weights = self.assignment[place], self.weights[place]
        changed = np.flatnonzero(nearest != before)
        for n in changed.tolist():
            weighted = weights[n] * rows[n]
            self.sums[nearest[n]] += weighted
            if before[n] >= 0:
                self.sums[before[n]] -= weighted
        self.moved += len(changed)
        self.assignment[place] = nearest

    def images(self) -> np.ndarray:
        """Weight of each anchor's images, (K,) float64: how many there are if all count alike."""
        return np.bincount(self.assignment, self.weights, minlength=len(self.anchors))

    def move_anchors(self, features: np.ndarray) -> None:
        """Make every anchor the mean of its images (Eq. 3).

        One without any goes to an image furthest from all others.
        """
        images = self.images()
        taken = images > 0
        self.anchors[taken] = self.sums[taken] / images[taken, None]
        if not taken.all():
            distance, _ = nearest_anchor(features, self.anchors[taken])
            furthest = np.argsort(-distance, kind="stable")
            self.anchors[~taken] = features[furthest[: np.count_nonzero(~taken)]]

    def explained(self) -> float:
        """Sum of w ||x||^2 less Eq. 2, from sums alone: ||x - A||^2 = ||x||^2 - 2 x·A + ||A||^2."""
        anchors = self.anchors.astype(np.float64)
        return float((2 * self.sums * anchors - self.images()[:, None] * anchors**2).sum())


def _assign(features: np.ndarray, restarts: list[_Restart]) -> None:
    """Find the nearest anchor of every image for all restarts, in one pass over the features."""
    stacked = np.concatenate([restart.anchors for restart in restarts])
    for restart in restarts:
        restart.moved = 0
    for place, rows in blocks(features):
        squared = np.split(squared_distances(rows, stacked), len(restarts), axis=1)
        for restart, own in zip(restarts, squared, strict=True):
            restart.assign(place, rows, smallest(own, rows, restart.anchors))
