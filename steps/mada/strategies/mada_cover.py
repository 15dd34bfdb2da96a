"""Representatives of what the source anchors leave uncovered."""

import numpy as np

from mada.acquisition import Acquisition, Pool, strategy
from mada.covering import cover, pairwise_distances
from mada.distances import nearest_anchor


@strategy("mada-cover", per_budget=True, all_pairs=True)
def bringing_the_pool_nearest_to_anchors_and_picks(pool: Pool) -> Acquisition:
    """Greedy k-medoids of the pool, the source anchors being in the set from the start.

    Least sum_i min_y ||F(x_i) - F(y)||, y being the source anchors and the picks.
    Each pick lowers the mean distance to the nearest source anchor or pick (Eq. 5, unsquared)
    the most, where ``mada-greedy`` picks the image whose distance is largest.  So what a source
    anchor stands for needs no label, and an outlier that stands for nothing else gets none.
    Distances count all categories, ``distance: masked`` or not, to be those between images.
    """
    foreign, anchor = nearest_anchor(pool.features, pool.anchors)
    apart = pairwise_distances(pool.features)
    scores = cover(apart, pool.wanted, pool.taken, pool.free, distance=np.sqrt(foreign))
    return scores, anchor
