"""Representatives of what is foreign to the source."""

from mada.acquisition import Acquisition, Pool, strategy
from mada.covering import cover, pairwise_distances


@strategy("foreign-cover", per_budget=True, all_pairs=True)
def bringing_foreign_images_nearest_to_the_picks(pool: Pool) -> Acquisition:
    """Greedy k-medoids of the pool, each image weighted by its distance to the source (Eq. 5).

    As ``target-cover``, but for the weights: least sum_i D(x_i) min_y ||F(x_i) - F(y)|| over the
    picks y, D being Eq. 5's.  An image far from the source thus asks for a pick near it, rather
    than being picked itself: outliers far from everything else stand for nothing but themselves.
    """
    foreign, anchor = pool.foreignness()
    apart = pairwise_distances(pool.features)
    return cover(apart, pool.wanted, pool.taken, pool.free, weights=foreign), anchor
