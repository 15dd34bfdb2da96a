"""Uncertainty between two classes."""

from mada.acquisition import Acquisition, Pool, strategy


@strategy("margin", source_anchors=False)
def narrowest_margin(pool: Pool) -> Acquisition:
    """Smallest mean over pixels of p_1 - p_2, the two most probable classes' probabilities.

    Margin sampling (Scheffer, Decomain & Wrobel, IDA 2001), of one output, taken of every pixel.
    """
    return -pool.scores["margin"].to_numpy(), None
