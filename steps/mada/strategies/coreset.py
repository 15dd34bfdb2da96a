"""Coverage of the pool, whatever the source."""

import numpy as np

from mada.acquisition import Acquisition, Pool, strategy
from mada.covering import furthest_first, squared_distances_to
from mada.distances import nearest_anchor


@strategy("coreset", per_budget=True, source_anchors=False)
def furthest_from_picks(pool: Pool) -> Acquisition:
    """k-center greedy on image-level features (Sener & Savarese, ICLR 2018).

    Begins with the images labelled in any case; where there are none, with the image nearest to
    the mean of the pool, where the paper takes a random labelled set.
    """

    if pool.taken.any():
        distance, _ = nearest_anchor(pool.features, pool.features[pool.taken])
    else:
        mean = pool.features.mean(axis=0, dtype=np.float64, keepdims=True)
        from_mean, _ = nearest_anchor(pool.features, mean)
        # The distance to an empty set is infinite: this is more than any two images are apart,
        # at most 4 max, and most for the image nearest to the mean.
        distance = 8 * from_mean.max() - from_mean
    distance_to, rounding = squared_distances_to(pool.features)
    return furthest_first(distance, distance_to, pool.wanted, pool.free, rounding), None
