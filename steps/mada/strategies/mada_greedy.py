"""The paper's rule without its neighbours."""

from mada.acquisition import Acquisition, Pool, strategy
from mada.covering import furthest_first, squared_distances_to


@strategy("mada-greedy", per_budget=True)
def furthest_from_anchors_and_picks(pool: Pool) -> Acquisition:
    """Eq. 5 anew before each pick, each picked image being an anchor from then on.

    The first pick is mada's.  With neither anchors nor labelled images it would be ``coreset``.
    """
    distance, anchor = pool.foreignness()
    categories = pool.categories if pool.masked else None
    distance_to, rounding = squared_distances_to(pool.features, categories)
    for image in pool.taken.nonzero()[0]:
        distance = distance.clip(max=distance_to(image))
    return furthest_first(distance, distance_to, pool.wanted, pool.free, rounding), anchor
