"""What the paper's several anchors are compared with."""

from mada.acquisition import Acquisition, Pool, strategy
from mada.cli import InputError


@strategy("single-centroid")
def furthest_from_the_source_mean(pool: Pool) -> Acquisition:
    """Eq. 5 with K = 1, the mean of all source images (section 4.6): the furthest first.

    Raises
    ------
    InputError
        If there is more than one anchor.
    """
    if len(pool.anchors) != 1:
        raise InputError(
            f"strategy: single-centroid expected one source anchor, found {len(pool.anchors)}"
        )
    return pool.foreignness()
