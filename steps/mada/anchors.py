"""K-means anchors of a domain's image-level features (Eqs. 2 and 3)."""

import faiss
import numpy as np

from mada.distances import nearest_anchor


def cluster(
    features: np.ndarray, count: int, seed: int, iterations: int = 50, restarts: int = 5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the anchors of a domain: centroids of K-means over all its images.

    Minimises sum_k sum_{x in C_k} ||F(x) - A_k||^2 (Eq. 2) with A_k the mean of its cluster
    (Eq. 3).  faiss would train on at most 256 points per centroid unless told otherwise; here
    every image counts.

    Parameters
    ----------
    features : np.ndarray, shape (N, C·D), float32
    count : int
        K, the number of anchors.
    seed : int
        Of the first centroids.
    iterations : int
        Of K-means, per restart.
    restarts : int
        The restart with the lowest objective is kept.

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
    rows = np.ascontiguousarray(features, dtype=np.float32)
    # Seeds of their own, which the next seed's restarts do not share.
    seeds = range(seed * restarts, (seed + 1) * restarts)
    attempts = [_cluster_once(rows, count, s, iterations) for s in seeds]
    return min(attempts, key=lambda attempt: attempt[2][-1])


def _cluster_once(
    rows: np.ndarray, count: int, seed: int, iterations: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    kmeans = faiss.Kmeans(
        rows.shape[1],
        count,
        niter=iterations,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=len(rows),
        gpu=hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0,
    )
    kmeans.train(rows)
    anchors = kmeans.centroids.astype(np.float32)
    # faiss tells each objective before it moves the centroids, and pushes those of empty clusters
    # a little beside a full one: a last step of our own makes every anchor the mean of its
    # images (Eq. 3) and the last objective its own.
    _, assignment = nearest_anchor(rows, anchors)
    members = np.zeros((count, len(rows)), dtype=np.float32)
    members[assignment, np.arange(len(rows))] = 1
    images = members.sum(axis=1, keepdims=True)
    anchors = np.where(images > 0, members @ rows / np.maximum(images, 1), anchors)
    distance, assignment = nearest_anchor(rows, anchors)
    objective = np.append(np.asarray(kmeans.obj, np.float64), distance.sum(dtype=np.float64))
    return anchors, assignment, objective
