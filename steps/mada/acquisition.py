"""Selection strategies: which target images are worth labelling.

A strategy maps a ``Pool`` to one score per image, higher meaning picked earlier, and where it
applies the anchor that the score refers to.  Most judge every image on its own.  Those registered
with ``per_budget=True`` choose a set, so that their order holds for one budget alone.

Each is one function in a file of ``mada/strategies``.  Adding one means adding such a file under
``@strategy("name")`` and one test; the configuration then knows the name.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mada import strategies
from mada.distances import nearest_anchor


@dataclass(frozen=True)
class Pool:
    """What a strategy may look at: target images, never their labels.

    Attributes
    ----------
    features : np.ndarray, shape (N, C·D), float32
        Image-level features of the target images (Eq. 4), in order of image id; may be
        memory-mapped.
    anchors : np.ndarray, shape (K, C·D), float32, or None
        Source anchors (Eq. 3); None for strategies registered with ``source_anchors=False``.
    scores : pd.DataFrame
        N rows: ``entropy``, ``margin`` and ``source_probability`` of each image.
    categories : int
        C.
    masked : bool
        Whether categories absent from an image are left out of its distance to an anchor.
    seed : int
    wanted : int
        Images to pick: what the budget buys beyond those taken; 0 where no budget is given.
    taken : np.ndarray, shape (N,), bool
        Images that are labelled in any case, and so stand in the set before the first pick.
    barred : np.ndarray, shape (N,), bool
        Images that must not be picked.
    """

    features: np.ndarray
    anchors: np.ndarray | None
    scores: pd.DataFrame
    categories: int
    masked: bool
    seed: int
    wanted: int
    taken: np.ndarray
    barred: np.ndarray

    @property
    def rng(self) -> np.random.Generator:
        """A fresh source of chance, the same at every call."""
        return np.random.default_rng(self.seed)

    @property
    def free(self) -> np.ndarray:
        """Images that may be picked, (N,) bool."""
        return ~(self.taken | self.barred)

    def nearest(self, anchors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each image's squared distance to the nearest of some anchors, and which one that is."""
        return nearest_anchor(self.features, anchors, self.categories if self.masked else None)

    def foreignness(self) -> tuple[np.ndarray, np.ndarray]:
        """Each image's squared distance to the nearest source anchor (Eq. 5), and that anchor."""
        return self.nearest(self.anchors)


Acquisition = tuple[np.ndarray, np.ndarray | None]
Strategy = Callable[[Pool], Acquisition]
STRATEGIES: dict[str, Strategy] = {}
PER_BUDGET: set[str] = set()
NEED_ANCHORS: set[str] = set()
NEED_DISCRIMINATOR: set[str] = set()
ALL_PAIRS: set[str] = set()
MOST_PAIRED = 32_768  # images: all pairs of them take 4 GiB as float32, masked-cover's twice that


def strategy(
    name: str,
    per_budget: bool = False,
    source_anchors: bool = True,
    discriminator: bool = False,
    all_pairs: bool = False,
) -> Callable[[Strategy], Strategy]:
    """Register a strategy under the name that the configuration chooses it by.

    The workflow reads names and keywords from the source, so all must be literal.  With
    ``source_anchors=False`` a change of the source anchors leaves a strategy's ranking as it is.
    Refused before anything trains are warm-ups without a discriminator with
    ``discriminator=True``, for one that reads ``source_probability``, and pools of more than
    ``MOST_PAIRED`` images with ``all_pairs=True``, for one that compares every image with every
    other.

    Raises
    ------
    ValueError
        If the name is not of small letters and hyphens, or is taken.
    """
    if not re.fullmatch(r"[a-z-]+", name):
        raise ValueError(f"strategy: expected small letters and hyphens, found {name!r}")

    def register(function: Strategy) -> Strategy:
        if name in STRATEGIES:
            raise ValueError(f"strategy {name!r}: expected one function, found two")
        STRATEGIES[name] = function
        if per_budget:
            PER_BUDGET.add(name)
        if source_anchors:
            NEED_ANCHORS.add(name)
        if discriminator:
            NEED_DISCRIMINATOR.add(name)
        if all_pairs:
            ALL_PAIRS.add(name)
        return function

    return register


def pair_problems(names: Iterable[str], images: int) -> list[str]:
    """Return one line for each of the strategies that compares more images than it can."""
    return [
        f"strategy: {name} compares every image with every other, expected at most "
        f"{MOST_PAIRED:,} target images, found {images:,}"
        for name in sorted(ALL_PAIRS.intersection(names))
        if images > MOST_PAIRED
    ]


def load_strategies() -> dict[str, Strategy]:
    """Import every file of ``mada/strategies`` and return all strategies by name."""
    for module in pkgutil.iter_modules(strategies.__path__):
        importlib.import_module(f"{strategies.__name__}.{module.name}")
    return STRATEGIES


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
