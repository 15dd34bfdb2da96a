"""Spread in time instead of features."""

import numpy as np

from mada.acquisition import Acquisition, Pool, strategy


@strategy("evenly", per_budget=True, source_anchors=False)
def evenly_spaced(pool: Pool) -> Acquisition:
    """Every n-th image in order of id, from a random start: systematic sampling.

    Picks the free images floor((i N + s) / n), i = 0 … n - 1, of N, s being drawn from 0 … N - 1.
    Ids of frames follow their drives, so this is what spreading picks over time alone gives.
    """
    places = np.flatnonzero(pool.free)
    score = np.zeros(len(pool.features))
    if pool.wanted:
        start = pool.rng.integers(len(places))
        steps = (np.arange(pool.wanted) * len(places) + start) // pool.wanted
        score[places[steps]] = 1
    return score, None
