"""Selection strategies: how much labelling a target image is expected to help.

Every strategy maps a ``Pool`` to one score per image, higher meaning picked earlier, and where
it applies the anchor that the score refers to.  Adding a strategy means adding one function
under ``@strategy("name")`` and one test.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mada.distances import nearest_anchor


@dataclass(frozen=True)
class Pool:
    """What a strategy may look at: target images, never their labels.

    Attributes
    ----------
    features : np.ndarray, shape (N, C·D), float32
        Image-level features of the target images (Eq. 4).
    anchors : np.ndarray, shape (K, C·D), float32
        Source anchors (Eq. 3).
    scores : pd.DataFrame
        N rows: ``entropy``, ``margin`` and ``source_probability`` of each image.
    categories : int or None
        C for the masked distance, None for the paper's.
    rng : np.random.Generator
    """

    features: np.ndarray
    anchors: np.ndarray
    scores: pd.DataFrame
    categories: int | None
    rng: np.random.Generator


Acquisition = tuple[np.ndarray, np.ndarray | None]
STRATEGIES: dict[str, Callable[[Pool], Acquisition]] = {}


def strategy(name: str) -> Callable:
    """Register a strategy under the name that the configuration chooses it by."""

    def register(function: Callable[[Pool], Acquisition]) -> Callable[[Pool], Acquisition]:
        STRATEGIES[name] = function
        return function

    return register


@strategy("mada")
def furthest_from_source_anchors(pool: Pool) -> Acquisition:
    """Distance to the nearest source anchor (Eq. 5): the furthest image first."""
    return nearest_anchor(pool.features, pool.anchors, pool.categories)


@strategy("nearest")
def nearest_to_source_anchors(pool: Pool) -> Acquisition:
    """The opposite of Eq. 5, as Algorithm 1's line 5 has it: the nearest image first."""
    distance, anchor = nearest_anchor(pool.features, pool.anchors, pool.categories)
    return -distance, anchor


@strategy("random")
def uniformly_at_random(pool: Pool) -> Acquisition:
    """Every order of the images is equally likely."""
    return pool.rng.permutation(len(pool.features)).astype(np.float64), None


@strategy("all")
def every_image_alike(pool: Pool) -> Acquisition:
    """No preference; at a budget of 100 % the upper bound Mu."""
    return np.zeros(len(pool.features)), None


@strategy("entropy")
def prediction_entropy(pool: Pool) -> Acquisition:
    """Mean entropy of the prediction (Eq. 12)."""
    return pool.scores["entropy"].to_numpy(), None


@strategy("margin")
def narrowest_margin(pool: Pool) -> Acquisition:
    """Smallest mean difference between the two most probable classes."""
    return -pool.scores["margin"].to_numpy(), None


def adversarial_score(source_probability: np.ndarray) -> np.ndarray:
    """E_adv = (1 - f_D) / f_D (Eq. 13), with f_D the probability of *source*, in (0, 1]."""
    probability = np.asarray(source_probability, dtype=np.float64)
    return (1 - probability) / np.maximum(probability, np.finfo(np.float64).tiny)


@strategy("adversarial")
def least_like_source(pool: Pool) -> Acquisition:
    """E_adv of the warm-up's discriminator (Eq. 13)."""
    return adversarial_score(pool.scores["source_probability"]), None


@strategy("aada")
def uncertain_and_unlike_source(pool: Pool) -> Acquisition:
    """E_AADA = E_ent · E_adv (Eq. 14)."""
    entropy = pool.scores["entropy"].to_numpy()
    return entropy * adversarial_score(pool.scores["source_probability"]), None


def ranking(ids: pd.Series, score: np.ndarray, anchor: np.ndarray | None) -> pd.DataFrame:
    """Order images by score, highest first, ties by id.

    Parameters
    ----------
    ids : pd.Series of str, N image ids
    score : np.ndarray, shape (N,), float
    anchor : np.ndarray of int, shape (N,), or None where no anchor applies

    Returns
    -------
    pd.DataFrame
        image_id, rank (from 1), score, anchor; one row per image.
    """
    table = pd.DataFrame({"image_id": ids.to_numpy(), "score": score})
    table["anchor"] = pd.array([pd.NA] * len(table) if anchor is None else anchor, dtype="Int64")
    table = table.sort_values(["score", "image_id"], ascending=[False, True], kind="stable")
    table.insert(1, "rank", np.arange(1, len(table) + 1))
    return table.reset_index(drop=True)
