"""Distances between image-level features and anchors (Eq. 5)."""

from collections.abc import Iterator
from functools import cache

import faiss
import numpy as np

# Features are taken in blocks of this many rows, which bounds the memory beside a memory-mapped
# file: 20 MB at the paper's width of 4,864.
ROWS_AT_ONCE = 1024
# Of two anchors whose distances differ by less than this share, rounding could choose either.
ROUNDING = 1e-5


def blocks(features: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (position, rows) of consecutive blocks of features, float32."""
    for start in range(0, len(features), ROWS_AT_ONCE):
        rows = np.ascontiguousarray(features[start : start + ROWS_AT_ONCE], dtype=np.float32)
        yield slice(start, start + len(rows)), rows


def nearest_anchor(
    features: np.ndarray, anchors: np.ndarray, categories: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return each image's squared distance to the anchor nearest to it, and that anchor.

    D(x) = min_k ||F(x) - A_k||^2, Eq. 5 of Ning et al., ICCV 2021.  A large distance marks an
    image unlike every mode of the source domain.  Equal images have equal distances, wherever
    they stand among the others.

    Parameters
    ----------
    features : np.ndarray, shape (N, C·D), float32
        F(x): one row per image, its category features laid end to end (Eq. 4).
    anchors : np.ndarray, shape (K, C·D), float32
        A_k: the source anchors (Eq. 3).
    categories : int or None
        C, for the *masked* distance: only categories present in the image count (an absent one
        is a block of zeros), and the sum is scaled by C / present.  None, the paper's rule,
        counts absent categories like any other.

    Returns
    -------
    distance : np.ndarray, shape (N,), float32
        Squared distances, in squared units of the features.
    anchor : np.ndarray, shape (N,), int64
        Position of the nearest anchor, the first of equals.

    Raises
    ------
    ValueError
        If features and anchors differ in width, or the width is no multiple of ``categories``.
    """
    if features.ndim != 2 or anchors.ndim != 2 or features.shape[1] != anchors.shape[1]:
        raise ValueError(
            f"features and anchors must share their width, found shapes "
            f"{features.shape} and {anchors.shape}"
        )
    anchors = np.ascontiguousarray(anchors, dtype=np.float32)
    distance = np.empty(len(features), dtype=np.float32)
    nearest = np.empty(len(features), dtype=np.int64)
    for place, rows in blocks(features):
        if categories is None:
            squared, scale = squared_distances(rows, anchors), 1
        else:
            present = _present(rows, categories)
            squared, scale = _masked_squared_distances(rows, anchors, present), _rescaling(present)
        nearest[place] = smallest(squared, rows, anchors, categories)
        found = np.take_along_axis(squared, nearest[place, None], axis=1)[:, 0]
        distance[place] = np.maximum(found * scale, 0)  # rounding can fall below zero
    close = _indistinguishable(distance, anchors)
    for start in range(0, len(close), ROWS_AT_ONCE):
        part = close[start : start + ROWS_AT_ONCE]
        distance[part] = _exact_distances(features[part], anchors[nearest[part]], categories)
    return distance, nearest


def _indistinguishable(distance: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Images that another is as far as, for all that float32 can tell: (n,) positions.

    A matrix product rounds by the place of a row in it, so that which of them is further would
    depend on their order and on the machine.
    """
    order = distance.argsort(kind="stable")
    ordered = distance[order]
    norm = np.square(anchors).sum(axis=1).max()
    close = np.diff(ordered) <= ROUNDING * (ordered[:-1] + norm)
    return np.sort(order[np.append(close, False) | np.insert(close, 0, False)])


def _exact_distances(rows: np.ndarray, anchors: np.ndarray, categories: int | None) -> np.ndarray:
    """Return the squared distance of each row, or of a single one, to the anchor beside it,
    (n,) float64."""
    squares = np.square(rows.astype(np.float64) - anchors)
    if categories is None:
        return squares.sum(axis=1)
    present = _present(rows, categories)
    by_category = squares.reshape(len(squares), categories, -1).sum(axis=2)
    return (by_category * present).sum(axis=1) * _rescaling(present)


def _present(rows: np.ndarray, categories: int) -> np.ndarray:
    """Which categories each row holds, (N, C) bool: an absent one is a block of zeros."""
    if rows.shape[1] % categories:
        raise ValueError(f"width {rows.shape[1]} is no multiple of {categories} categories")
    return (rows.reshape(len(rows), categories, -1) != 0).any(axis=2)


def _rescaling(present: np.ndarray) -> np.ndarray:
    """C / present, (N,) float64, by which a masked distance is that of all categories."""
    return present.shape[1] / np.maximum(present.sum(axis=1), 1)


def squared_distances(rows: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Return ||F(x) - A_k||^2, (N, K) float32, computed by faiss: on a GPU where there is one."""
    if faiss.get_num_gpus() > 0:
        return faiss.pairwise_distance_gpu(_gpu(), rows, anchors)
    return faiss.pairwise_distances(rows, anchors)


@cache
def _gpu():
    """What faiss keeps on the GPU between calls; only its GPU build has it."""
    return faiss.StandardGpuResources()


def smallest(
    squared: np.ndarray, rows: np.ndarray, anchors: np.ndarray, categories: int | None = None
) -> np.ndarray:
    """Return the position of each row's nearest anchor, (N,) int64, the first of equals.

    Where the two nearest are closer to each other than float32 can tell, the distances are
    computed anew in float64.  So the answer does not depend on what rounds differently: the
    number of threads, the rows that share a block, a CPU or a GPU.

    Parameters
    ----------
    squared : np.ndarray, shape (N, K), float32
        ``squared_distances(rows, anchors)``, or the masked ones before they are scaled.
    rows, anchors : np.ndarray, shapes (N, C·D) and (K, C·D), float32
    categories : int or None
        C, for the masked distance.
    """
    nearest = squared.argmin(axis=1)
    if len(anchors) == 1:
        return nearest
    first, second = np.partition(squared, 1, axis=1)[:, :2].T
    norm = np.square(anchors).sum(axis=1).max()
    unsure = np.flatnonzero(second - first <= ROUNDING * (first + norm))
    if len(unsure):
        exact = anchors.astype(np.float64)
        for n in unsure:
            nearest[n] = _exact_distances(rows[n : n + 1], exact, categories).argmin()
    return nearest


def _masked_squared_distances(
    rows: np.ndarray, anchors: np.ndarray, present: np.ndarray
) -> np.ndarray:
    """Return (N, K) squared distances over the categories present in each row, not yet rescaled.

    Absent blocks of a row are zero, so ||x||^2 - 2 x·A needs no mask: only the anchors' norms,
    taken block by block, are summed over the categories present.
    """
    anchor_norms = np.square(anchors.reshape(len(anchors), present.shape[1], -1)).sum(axis=2)
    squared = np.square(rows).sum(axis=1, keepdims=True) - 2 * rows @ anchors.T
    squared += present.astype(np.float32) @ anchor_norms.T
    return squared
