"""Anchors of the target itself."""

from mada.acquisition import Acquisition, Pool, strategy
from mada.covering import medoids, normalised_by_category


@strategy("target-medoids", per_budget=True, source_anchors=False)
def nearest_to_anchors_of_the_target(pool: Pool) -> Acquisition:
    """K-means of the pool into as many anchors as the budget buys; the image nearest to each.

    argmin_x ||F(x) - a_v|| for each anchor a_v (Eqs. 2 and 3 of the pool, V = the budget).
    Blocks of F(x) are taken at unit length, so that every category present counts alike.
    """
    rows = normalised_by_category(pool.features, pool.categories)
    return medoids(rows, pool.seed, pool.wanted, pool.taken, pool.free), None
