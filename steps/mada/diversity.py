"""How the picks of a selection lie in their pool; nothing here takes part in selecting."""

from collections.abc import Collection

import numpy as np
import pandas as pd

from mada.distances import nearest_anchor


def adjacent_picks(index: pd.DataFrame, picks: Collection[str]) -> int:
    """Return how many picks stand beside another pick in the same sequence.

    Beside means next to each other in the pool's own order: images of a sequence by frame, with
    none of the pool between them.  So it does not matter how many frames of the drive the data
    set leaves out.  Frames 91 to 97 all picked are seven.

    Parameters
    ----------
    index : pd.DataFrame
        The pool: id, sequence, frame.
    picks : collection of str
        Ids of the picks.
    """
    pool = index.sort_values(["sequence", "frame", "id"], kind="stable")
    picked = pool["id"].isin(set(picks)).to_numpy()
    sequence = pool["sequence"].to_numpy()
    together = picked[:-1] & picked[1:] & (sequence[:-1] == sequence[1:])
    beside = np.zeros(len(pool), dtype=bool)
    beside[:-1] |= together
    beside[1:] |= together
    return int(beside.sum())


def coverage(features: np.ndarray, picks: np.ndarray) -> float:
    """Return the mean Euclidean distance of all images to the nearest pick, 0 for the picks.

    Parameters
    ----------
    features : np.ndarray, shape (N, C·D), float32
    picks : np.ndarray, int
        Rows of the picks.
    """
    squared, _ = nearest_anchor(features, features[picks])
    squared[picks] = 0  # but for rounding
    return float(np.sqrt(squared, dtype=np.float64).mean())
