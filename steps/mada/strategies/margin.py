"""Uncertainty between two classes."""

from mada.acquisition import Acquisition, Pool, strategy


@strategy("margin", source_anchors=False)
def narrowest_margin(pool: Pool) -> Acquisition:
    """Smallest mean difference between the two most probable classes."""
    return -pool.scores["margin"].to_numpy(), None
