"""Representatives of the target, without chance."""

from mada.acquisition import Acquisition, Pool, strategy
from mada.covering import cover, pairwise_distances


@strategy("target-cover", per_budget=True, source_anchors=False, all_pairs=True)
def bringing_the_pool_nearest_to_its_picks(pool: Pool) -> Acquisition:
    """Greedy k-medoids of the pool: least mean distance ||F(x) - F(y)|| to the nearest pick y.

    Unlike ``target-medoids`` it has no seed, and picks for a smaller budget are the first of those
    for a larger one.
    """
    apart = pairwise_distances(pool.features)
    return cover(apart, pool.wanted, pool.taken, pool.free), None
