"""Representatives of what is foreign, compared by what two images share."""

from mada.acquisition import Acquisition, Pool, strategy
from mada.covering import cover, masked_pairwise_distances, normalised_by_category


@strategy("masked-cover", per_budget=True, all_pairs=True)
def bringing_foreign_images_nearest_by_shared_categories(pool: Pool) -> Acquisition:
    """Greedy k-medoids of the pool, by the categories that two images share, foreign ones first.

    As ``foreign-cover``, each image weighted by its distance to the source anchors (Eq. 5), with
    distances between images over the categories that both have, at unit length.  So it is how
    things look that tells two images apart, not which rare category one of them lacks.
    """
    foreign, anchor = pool.foreignness()
    rows = normalised_by_category(pool.features, pool.categories)
    apart = masked_pairwise_distances(rows, pool.categories)
    return cover(apart, pool.wanted, pool.taken, pool.free, weights=foreign), anchor
