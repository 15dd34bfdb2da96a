"""Representatives of what is foreign, compared by what two images share."""

from mada.acquisition import Acquisition, Pool, strategy
from mada.covering import cover, masked_pairwise_distances, normalised_by_category


@strategy("masked-cover", per_budget=True)
def bringing_foreign_images_nearest_by_shared_categories(pool: Pool) -> Acquisition:
    """``foreign-cover`` with distances over the categories that both images have.

    Blocks are taken at unit length.  So it is how things look that tells two images apart, not
    which rare category one of them lacks.
    """
    foreign, anchor = pool.foreignness()
    rows = normalised_by_category(pool.features, pool.categories)
    apart = masked_pairwise_distances(rows, pool.categories)
    return cover(apart, pool.wanted, pool.taken, pool.free, weights=foreign), anchor
