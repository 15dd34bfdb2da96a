"""From a ranking to the active samples and to their annotations' index."""

import argparse
import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from mada.cli import InputError, existing_file


def add_lists(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the lists that a selection heeds."""
    parser.add_argument("--exclude", type=existing_file, help="file of ids never to annotate")
    parser.add_argument("--include", type=existing_file, help="file of ids to annotate in any case")
    parser.add_argument(
        "--earlier",
        nargs="*",
        default=[],
        type=existing_file,
        help="indexes of what earlier rounds brought back labelled; the rest may be chosen again",
    )


def budget_count(budget: str, pool: int, excluded: int = 0) -> int:
    """Return how many images a budget buys from a pool of ``pool`` images.

    Parameters
    ----------
    budget : str
        A share such as ``5%`` (rounded down, at least one image) or a count such as ``16``.
    excluded : int
        Images never to be picked: they count in the pool that shares are of, and 100 % means all
        the others.

    Raises
    ------
    InputError
        If the budget is neither, is 0, or is more than the pool holds.
    """
    text = str(budget).strip()
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", text)
    if parts is None or (not parts[2] and "." in parts[1]):
        raise InputError(f"budget: expected a share like 5% or a count like 16, found {text!r}")
    amount = float(parts[1])
    if parts[2]:
        if not 0 < amount <= 100:
            raise InputError(f"budget: expected a share above 0% and up to 100%, found {text}")
        if amount == 100:
            return pool - excluded
        # Rounding first keeps 0.3 of 10 from becoming 2.9999… and so 2.
        return max(1, int(round(pool * amount / 100, 9)))
    if not 1 <= amount <= pool:
        raise InputError(f"budget: expected 1 to {pool} images, found {text}")
    return int(amount)


def read_ids(path: Path | None) -> list[str]:
    """Ids, one a line; empty lines and lines that begin with # are passed over.

    Raises
    ------
    InputError
        If the file is no text in UTF-8.
    """
    if path is None:
        return []
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors may put a mark before the first id
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected ids as text in UTF-8, found {error}") from error
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def check_lists(
    known: Collection[str], count: int, exclude: Collection[str], include: Collection[str]
) -> None:
    """Refuse lists of ids that cannot be met.

    Raises
    ------
    InputError
        If a listed id is no target image or stands in both lists, if more images must be
        included than the budget buys, or too few are left by the exclude list.
    """
    for name, ids in (("exclude", exclude), ("include", include)):
        strangers = sorted(set(ids) - set(known))
        if strangers:
            found = ", ".join(map(repr, strangers))
            raise InputError(f"{name}: expected ids of target images, found {found}")
    both = sorted(set(exclude) & set(include))
    if both:
        found = ", ".join(map(repr, both))
        raise InputError(f"include: expected ids that are not excluded too, found {found}")
    if len(set(include)) > count:
        raise InputError(
            f"include: expected at most the budget of {count}, found {len(set(include))}"
        )
    left = len(known) - len(set(exclude))
    if count > left:
        raise InputError(
            f"budget: expected at most {left} images after the exclude list, found {count}"
        )


def active_samples(
    ranking: pd.DataFrame, count: int, exclude: Collection[str], include: Collection[str]
) -> pd.DataFrame:
    """Return the rows of a ranking that are to be annotated.

    Images that must be included are among them and count towards the budget; excluded ones never
    come; the rest is filled by rank.

    Parameters
    ----------
    ranking : pd.DataFrame
        image_id, rank, score, anchor.
    count : int
        The budget in images.

    Returns
    -------
    pd.DataFrame
        The chosen rows, in order of rank.

    Raises
    ------
    InputError
        As ``check_lists``, or if ``count`` is more than the ranking holds.
    """
    check_lists(set(ranking["image_id"]), count, exclude, include)
    ranking = ranking.sort_values("rank", kind="stable", ignore_index=True)
    forced = ranking["image_id"].isin(set(include))
    free = ranking[~forced & ~ranking["image_id"].isin(set(exclude))]
    wanted = count - int(forced.sum())
    return ranking[forced | ranking.index.isin(free.index[:wanted])]


def annotation_index(index: pd.DataFrame, ids: Sequence[str], folder: Path) -> pd.DataFrame:
    """Return the rows of a target index that are annotated, with their label maps.

    Parameters
    ----------
    index : pd.DataFrame
        As ``mada.files.read_index`` gives it.
    ids : sequence of str
        Annotated images, in the order of the rows to return.
    folder : Path
        Where their label maps will lie, as ``labels/<id>.png``.
    """
    chosen = index.set_index("id", drop=False).loc[list(ids)]
    chosen.insert(2, "label", [os.fspath(folder / f"labels/{name}.png") for name in chosen["id"]])
    return chosen


def held_out_ids(ids: Sequence[str], share: float) -> list[str]:
    """Return a share of ids, evenly spread over their order, for scores instead of training.

    The nearest whole number of them, and at least one if the share is above 0.

    Raises
    ------
    InputError
        If none would be left to train with.
    """
    count = max(1, round(share * len(ids))) if share else 0
    if count and count >= len(ids):
        raise InputError(
            f"annotation_holdout: expected at least one of {len(ids)} annotated images to be left "
            f"for training, found {share:.0%} held out"
        )
    return [ids[(2 * place + 1) * len(ids) // (2 * count)] for place in range(count)]
