"""Anchors of the target, drawn to where the model is uncertain."""

from mada.acquisition import Acquisition, Pool, strategy
from mada.covering import medoids, normalised_by_category


@strategy("uncertain-medoids", per_budget=True, source_anchors=False)
def nearest_to_anchors_weighted_by_entropy(pool: Pool) -> Acquisition:
    """K-means of the pool, each image weighted by its entropy (Eq. 12); the image nearest to each.

    As ``target-medoids``, but for the weights.  This is CLUE (Prabhu et al., ICCV 2021) on
    image-level features: it clusters embeddings with the entropy as weight, and labels the image
    nearest to each centroid.  Where every image is certain, all weigh alike.
    """
    rows = normalised_by_category(pool.features, pool.categories)
    entropy = pool.scores["entropy"].to_numpy()
    weights = entropy if entropy.any() else None
    return medoids(rows, pool.seed, pool.wanted, pool.taken, pool.free, weights), None
