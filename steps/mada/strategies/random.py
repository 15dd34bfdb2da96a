"""The baseline of all selection."""

import numpy as np

from mada.acquisition import Acquisition, Pool, strategy


@strategy("random", source_anchors=False)
def uniformly_at_random(pool: Pool) -> Acquisition:
    """Every order of the images is equally likely."""
    return pool.rng.permutation(len(pool.features)).astype(np.float64), None
