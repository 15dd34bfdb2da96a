"""Distances between image-level features and anchors (Eq. 5)."""

import faiss
import numpy as np

ROWS_AT_ONCE = 4096  # bounds the memory taken beside a memory-mapped feature file


def nearest_anchor(
    features: np.ndarray, anchors: np.ndarray, categories: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return each image's squared distance to the anchor nearest to it, and that anchor.

    D(x) = min_k ||F(x) - A_k||^2, Eq. 5 of Ning et al., ICCV 2021.  A large distance marks an
    image unlike every mode of the source domain.

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
        Position of the nearest anchor; of several equally near to within rounding, one of them.

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
    for start in range(0, len(features), ROWS_AT_ONCE):
        rows = np.ascontiguousarray(features[start : start + ROWS_AT_ONCE], dtype=np.float32)
        if categories is None:
            d, k = faiss.knn(rows, anchors, 1)
            d, k = d[:, 0], k[:, 0]
        else:
            squared = _masked_squared_distances(rows, anchors, categories)
            k = squared.argmin(axis=1)
            d = squared[np.arange(len(rows)), k]
        distance[start : start + len(rows)] = np.maximum(d, 0)  # rounding can fall below zero
        nearest[start : start + len(rows)] = k
    return distance, nearest


def _masked_squared_distances(rows: np.ndarray, anchors: np.ndarray, categories: int) -> np.ndarray:
    """Return (N, K) squared distances over the categories present in each row, rescaled.

    Absent blocks of a row are zero, so ||x||^2 - 2 x·A needs no mask: only the anchors' norms,
    taken block by block, are summed over the categories present.
    """
    if rows.shape[1] % categories:
        raise ValueError(f"width {rows.shape[1]} is no multiple of {categories} categories")
    blocks = rows.reshape(len(rows), categories, -1)
    present = (blocks != 0).any(axis=2).astype(np.float32)
    anchor_norms = np.square(anchors.reshape(len(anchors), categories, -1)).sum(axis=2)
    squared = np.square(rows).sum(axis=1, keepdims=True) - 2 * rows @ anchors.T
    squared += present @ anchor_norms.T
    return squared * (categories / np.maximum(present.sum(axis=1, keepdims=True), 1))
