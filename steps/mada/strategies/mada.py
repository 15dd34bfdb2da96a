"""The paper's rule."""

from mada.acquisition import Acquisition, Pool, strategy


@strategy("mada")
def furthest_from_source_anchors(pool: Pool) -> Acquisition:
    """Distance to the nearest source anchor (Eq. 5): the furthest image first."""
    return pool.foreignness()
