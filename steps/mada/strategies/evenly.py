"""Spread in time instead of features."""

import numpy as np

from mada.acquisition import Acquisition, Pool, strategy


@strategy("evenly", per_budget=True, source_anchors=False)
def evenly_spaced(pool: Pool) -> Acquisition:
    """Every n-th image in order of id, from a random start: systematic sampling.

    Picks the free images floor((i N + s) / n), i = 0 … n - 1, of N, s being drawn from 0 … N - 1.
    Ids of frames follow their drives, so this is what spreading picks over time alone gives.
    Ranked by the radical inverse of i, base 2 (van der Corput, 1935), the first few picks are
    spread as well, for labelling that stops half way.
    """
    places = np.flatnonzero(pool.free)
    score = np.zeros(len(pool.features))
    if pool.wanted:
        start = pool.rng.integers(len(places))
        steps = (np.arange(pool.wanted) * len(places) + start) // pool.wanted
        score[places[steps]] = 1 - radical_inverse(pool.wanted)
    return score, None


def radical_inverse(count: int) -> np.ndarray:
    """Of 0 … ``count`` - 1 their binary digits mirrored at the point, (count,), in [0, 1)."""
    bits = max(1, (count - 1).bit_length())
    return sum((np.arange(count) >> bit & 1) / 2 ** (bit + 1) for bit in range(bits))
