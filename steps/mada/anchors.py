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
    objective : np.ndarray, shape (iterations,), float64
        Eq. 2 after each iteration of the kept restart, in squared units of the features.

    Raises
    ------
    ValueError
        If there are fewer images than anchors.
    """
    if not 1 <= count <= len(features):
        raise ValueError(f"expected between 1 and {len(features)} anchors, found {count}")
    rows = np.ascontiguousarray(features, dtype=np.float32)
    kmeans = faiss.Kmeans(
        rows.shape[1],
        count,
        niter=iterations,
        nredo=restarts,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=len(rows),
        gpu=faiss.get_num_gpus() > 0 if hasattr(faiss, "StandardGpuResources") else False,
    )
    kmeans.train(rows)
    _, assignment = nearest_anchor(rows, kmeans.centroids)
    # faiss lists the iterations of all restarts up to the one it keeps, which comes last.
    objective = np.asarray(kmeans.obj, dtype=np.float64)[-iterations:]
    return kmeans.centroids.astype(np.float32), assignment, objective
