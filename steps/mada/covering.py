"""Choosing images together, so that a few of them stand for a whole pool.

``furthest_first``, ``medoids`` and ``cover`` return scores by which the picks stand before all
other images.  Of equally good images the first is picked; a pool's rows are in order of id.
"""

from collections.abc import Callable

import numpy as np

from mada.anchors import cluster
from mada.cli import progress

# Products of float32 rows round by the rows' places: equal images differ by less than this, as a
# share of the largest squared length.
ROUNDING = 4e-6
TINY = np.finfo(np.float64).tiny


def normalised_by_category(features: np.ndarray, categories: int) -> np.ndarray:
    """Return features with every category's block at unit length, (N, C·D) float32.

    Every category present then counts alike, whatever the size of its features; blocks of absent
    categories stay zero.
    """
    blocks = np.asarray(features, dtype=np.float32).reshape(len(features), categories, -1)
    lengths = np.sqrt(np.einsum("ncd,ncd->nc", blocks, blocks))
    return (blocks / np.where(lengths > 0, lengths, 1)[..., None]).reshape(features.shape)


def squared_distances_to(
    features: np.ndarray, categories: int | None = None
) -> tuple[Callable[[int], np.ndarray], float]:
    """Return a function that gives the squared distances (N,) of all images to one of them.

    As ``nearest_anchor`` with that image as the anchor, masked if there are ``categories``, but
    what every call needs is computed once: a call is one product of matrix and vector.  Beside it
    stands what equal images may differ by for want of digits.
    """
    rows = np.asarray(features)
    blocks = rows.reshape(len(rows), categories or 1, -1)
    norms = np.einsum("ncd,ncd->nc", blocks, blocks)
    counted = norms > 0 if categories else np.ones_like(norms, dtype=bool)
    scale = (categories or 1) / np.maximum(counted.sum(axis=1), 1)
    own, counted = norms.sum(axis=1), counted.astype(np.float32)

    def distances(image: int) -> np.ndarray:
        squared = own - 2 * (rows @ rows[image]) + counted @ norms[image]
        return np.maximum(squared * scale, 0)

    return distances, ROUNDING * float((own * scale).max())


def furthest_first(
    distance: np.ndarray,
    distance_to: Callable[[int], np.ndarray],
    wanted: int,
    free: np.ndarray,
    rounding: float,
) -> np.ndarray:
    """Pick the image furthest from all that stands in the set, again and again.

    k-center greedy, Algorithm 1 of Sener & Savarese, ICLR 2018: its largest distance of an image
    to the set is at most twice the smallest possible, a squared one four times.

    Parameters
    ----------
    distance : np.ndarray, shape (N,)
        From each image to the nearest member of the set before the first pick.
    distance_to : Callable
        Distances (N,) of all images to one of them, by its position.
    wanted : int
        Images to pick.
    free : np.ndarray, shape (N,), bool
        Images that may be picked.
    rounding : float
        Images whose distances differ by no more are equally far: the first is picked.

    Returns
    -------
    np.ndarray, shape (N,), float64
        The distance at which an image was picked, for others the one that is left; -1 for what
        may not be picked.
    """
    left, free = distance.astype(np.float64), free.copy()
    score = np.full(len(left), -1.0)  # of what may not be picked
    for _ in progress(range(wanted), "choosing"):
        largest = left[free].max()
        pick = int((free & (left >= largest - rounding)).argmax())
        score[pick] = largest  # so that later picks never stand before it
        free[pick] = False
        left = np.minimum(left, distance_to(pick))
    score[free] = left[free]
    return score


def medoids(
    rows: np.ndarray,
    seed: int,
    wanted: int,
    taken: np.ndarray,
    free: np.ndarray,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Cluster the pool into as many anchors as images, and pick the one nearest to each.

    Parameters
    ----------
    rows : np.ndarray, shape (N, C·D), float32
    seed : int
        Of K-means.
    wanted : int
        Images to pick.
    taken : np.ndarray, shape (N,), bool
        Images of the set before the first pick: there are anchors for them too, and a cluster
        that holds one needs no pick.
    free : np.ndarray, shape (N,), bool
        Images that may be picked.
    weights : np.ndarray or None, shape (N,)
        How much each image counts in the means; None: all alike.

    Returns
    -------
    np.ndarray, shape (N,), float64
        Picks have the number of images that they stand for.  Then follow the images second
        nearest to their anchor (above -1), third nearest (above -2) and so on, those of large
        clusters first: where a cluster has none to pick, these make up for it.
    """
    count = wanted + int(taken.sum())
    anchors, own, _ = cluster(rows, count, seed, restarts=1, weights=weights)
    score = np.full(len(rows), -len(rows), dtype=np.float64)
    for k, anchor in enumerate(anchors.astype(np.float64)):
        members = np.flatnonzero((own == k) & free)
        distance = np.square(rows[members] - anchor).sum(axis=1)
        # Two images are equally far from their mean, but for rounding: they go by id.
        distance = np.round(distance / distance.max(initial=TINY), 5)
        place = np.empty(len(members))
        place[np.argsort(distance, kind="stable")] = np.arange(len(members))
        place += taken[own == k].any()
        size = np.count_nonzero(own == k)
        score[members] = np.where(place == 0, size, size / (len(rows) + 1) - place)
    return score


def pairwise_distances(rows: np.ndarray) -> np.ndarray:
    """Return the Euclidean distance of every image to every other, (N, N) float32."""
    # Differences of large numbers lose digits; distances are the same from the mean.
    centred = rows - rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    squared = centred @ centred.T  # of a matrix with itself: half the work of any other product
    norms = squared.diagonal().copy()
    squared *= -2
    squared += norms[:, None]
    squared += norms
    return _rooted(squared)


def masked_pairwise_distances(rows: np.ndarray, categories: int) -> np.ndarray:
    """Return distances over the categories that both images have, (N, N) float32.

    For rows normalised by category: the root of sum_c ||F_c(x) - F_c(y)||^2 over shared
    categories, scaled by C / shared.  Two images that share none are as far apart as images of
    orthogonal features.
    """
    present = rows.reshape(len(rows), categories, -1).any(axis=2).astype(np.float32)
    shared = present @ present.T
    # Absent blocks are zero, so the product needs no mask; of unit blocks, ||a-b||^2 = 2 - 2 a·b.
    # In place: two matrices of all pairs are enough to hold at once.
    squared = rows @ rows.T
    squared -= shared
    squared *= -2
    apart = shared == 0
    np.divide(categories, np.maximum(shared, 1, out=shared), out=shared)
    squared *= shared
    squared[apart] = 2 * categories
    return _rooted(squared)


def _rooted(squared: np.ndarray) -> np.ndarray:
    """Square roots, in place; rounding leaves small numbers, below zero too, where 0 is meant."""
    np.fill_diagonal(squared, 0)
    return np.sqrt(np.maximum(squared, 0, out=squared), out=squared)


def cover(
    apart: np.ndarray,
    wanted: int,
    taken: np.ndarray,
    free: np.ndarray,
    weights: np.ndarray | None = None,
    distance: np.ndarray | None = None,
) -> np.ndarray:
    """Pick the image that brings the pool closest to the set, again and again.

    Greedy descent of sum_i w_i min_{j in set} d_ij, the k-median cost, whose fall is submodular:
    the greedy set brings at least 1 - 1/e of what the best one would (Nemhauser, Wolsey & Fisher,
    Mathematical Programming 1978).

    Parameters
    ----------
    apart : np.ndarray, shape (N, N)
        d_ij.
    wanted : int
        Images to pick.
    taken, free : np.ndarray, shape (N,), bool
        Images of the set before the first pick, and those that may be picked.
    weights : np.ndarray or None, shape (N,)
        w_i, how much it counts that image i is near to the set; None: all alike.
    distance : np.ndarray or None, shape (N,)
        From each image to what else stands in the set, such as source anchors.

    Returns
    -------
    np.ndarray, shape (N,), float64
        How far a pick brought the cost down; for others what they could at most still bring; -1
        for what may not be picked.
    """
    left = np.full(len(apart), apart.max(), dtype=np.float64)  # for want of infinity
    if distance is not None:
        left = distance.astype(np.float64)
    if taken.any():
        left = np.minimum(left, apart[taken].min(axis=0))
    weights = np.ones(len(apart)) if weights is None else weights

    def gain(image: int) -> float:
        # Equal images gain the same but for rounding, which goes by their places: by four digits.
        return float(f"{weights @ np.maximum(left - apart[image], 0):.3e}")

    images = progress(range(len(apart)), "weighing")
    bound = np.array([gain(image) if free[image] else -1.0 for image in images])
    picked: dict[int, float] = {}
    for _ in progress(range(wanted), "choosing"):
        # A gain only falls as the set grows, so what was computed earlier is a bound: whatever
        # stands first with a gain of now is the best (Minoux 1978).
        fresh: set[int] = set()
        while (pick := int(bound.argmax())) not in fresh:
            bound[pick] = min(bound[pick], gain(pick))
            fresh.add(pick)
        picked[pick] = bound[pick]
        bound[pick] = -np.inf
        left = np.minimum(left, apart[pick])
    bound[list(picked)] = list(picked.values())
    return bound
