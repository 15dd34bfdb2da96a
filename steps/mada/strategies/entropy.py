"""Uncertainty."""

from mada.acquisition import Acquisition, Pool, strategy


@strategy("entropy", source_anchors=False)
def prediction_entropy(pool: Pool) -> Acquisition:
    """Mean entropy of the prediction (Eq. 12)."""
    return pool.scores["entropy"].to_numpy(), None
