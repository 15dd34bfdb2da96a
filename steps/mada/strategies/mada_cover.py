"""Representatives of what the source anchors leave uncovered."""

import numpy as np

from mada.acquisition import Acquisition, Pool, strategy
from mada.covering import cover, pairwise_distances


@strategy("mada-cover", per_budget=True)
def bringing_the_pool_nearest_to_anchors_and_picks(pool: Pool) -> Acquisition:
    """``target-cover`` with the source anchors in the set from the start.

    Each pick lowers the mean distance to the nearest source anchor or pick (Eq. 5, unsquared)
    the most, where ``mada-greedy`` picks the image whose distance is largest.  So what a source
    anchor stands for needs no label, and an outlier that stands for nothing else gets none.
    """
    foreign, anchor = pool.foreignness()
    apart = pairwise_distances(pool.features)
    scores = cover(apart, pool.wanted, pool.taken, pool.free, distance=np.sqrt(foreign))
    return scores, anchor
