"""What annotators handed back, matched to the images handed out and checked as a whole."""

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mada.annotation.classes import AnnotationClasses
from mada.annotation.containers import containers
from mada.annotation.formats import Returned, read_delivery
from mada.labels import VOID

GRID = 32  # rows and columns of the sample in which label maps are compared with each other
# Two label maps are taken for swapped where that raises their agreement with what was handed out
# by this much together, each pair of maps sharing so many labelled pixels.  Of the demo's 4,950
# pairs of validation images this names none that is right, and 80 % of those that are swapped; of
# 5,995 pairs of CamVid's, guessed by a model of rendered streets, none and 10 %.
SWAP_MARGIN, LEAST_COMMON = 0.35, 0.1


@dataclass
class Work:
    """Label maps that came back, by image id, and what is wrong besides their pixels."""

    maps: dict[str, Returned] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)


def gather(
    folder: Path,
    ids: Collection[str],
    classes: AnnotationClasses,
    class_set: str,
    values: str,
) -> Work:
    """Look through all that was delivered, and find the image of every label map.

    Parameters
    ----------
    folder : Path
        What annotators put their work into: files, folders and zip archives of one or several
        tools.
    ids : collection of str
        Images that were handed out.
    class_set, values : str
        As for ``mada.annotation.formats.read_delivery``.
    """
    found, problems = containers(folder, len(ids))
    work = Work(problems=problems)
    for container in found:
        delivery = read_delivery(container, classes, class_set, values)
        work.formats.append(delivery.format)
        work.problems += delivery.problems
        for returned in delivery.maps:
            matches = matching_ids(returned.name, ids)
            if len(matches) == 1 and matches[0] not in work.maps:
                work.maps[matches[0]] = returned
                continue
            expected = "the label map of an image that was handed out, found one of another"
            if len(matches) > 1:
                expected = f"a name that only one image has, found that of {', '.join(matches)}"
            elif matches:
                first = work.maps[matches[0]].place
                expected = f"one label map of {matches[0]}, found {first} too"
            work.problems.append(f"{returned.place}: expected {expected}")
    return work


def matching_ids(name: str, ids: Collection[str]) -> list[str]:
    """Return the ids that a tool's name of an image may mean.

    Tools keep the path that an image had when it was uploaded, a longer or shorter end of it than
    its id: the longest id that the name ends with counts, or else all that end with the name.
    Letters compare as people see them, since some systems store an accent apart.
    """
    name = _parted(name)
    parted = {image_id: _parted(image_id) for image_id in ids}
    ends = [one for one, parts in parted.items() if name[-len(parts) :] == parts]
    if ends:
        return [max(ends, key=lambda image_id: len(parted[image_id]))]
    return [one for one, parts in parted.items() if parts[-len(name) :] == name]


def _parted(name: str) -> tuple[str, ...]:
    return tuple(part for part in unicodedata.normalize("NFC", name).split("/") if part)


def void_problem(label: np.ndarray, place: str, limit: float) -> str | None:
    """What is wrong with a label map (H, W) of which more than ``limit`` is void, else None."""
    share = float((label == VOID).mean())
    if share == 1:
        return f"{place}: expected labels, found void alone"
    if share > limit:
        most = f"{limit:.0%} void (annotation_max_void)"
        return f"{place}: expected at most {most}, found {share:.1%}"
    return None


def sampled(label: np.ndarray) -> np.ndarray:
    """A grid of ``GRID`` x ``GRID`` pixels of a label map (H, W), evenly spread."""
    rows, columns = (np.linspace(0, side - 1, GRID).round().astype(int) for side in label.shape)
    return label[np.ix_(rows, columns)]


def swap_problems(
    labels: Mapping[str, np.ndarray],
    handed_out: Mapping[str, np.ndarray],
    sizes: Mapping[str, tuple[int, int]],
    places: Mapping[str, str],
) -> list[str]:
    """Name label maps that look like another image's: people correct what they were handed.

    A label map agrees with a pre-annotation in as many of the pixels that both label as have the
    same class.  Two of one size are taken for swapped where each agrees better with the other's
    pre-annotation than with its own, and clearly so (``SWAP_MARGIN``, ``LEAST_COMMON``).

    Parameters
    ----------
    labels, handed_out : mapping of image id to np.ndarray, shape (GRID, GRID), uint8
        Samples of what came back and of the pre-annotations, see ``sampled``.
    sizes : mapping of image id to (width, height)
    places : mapping of image id to its label map's file, as messages call it
    """
    ids = list(labels)
    same, common = agreement(
        np.stack([labels[i].ravel() for i in ids]), np.stack([handed_out[i].ravel() for i in ids])
    )
    own, enough = np.diag(same), common >= LEAST_COMMON
    gain = same - own[:, None]  # of taking map i for the image j
    told = enough & enough.T & np.diag(enough) & np.diag(enough)[:, None]
    problems = []
    for first in range(len(ids)):
        for second in range(first + 1, len(ids)):
            if sizes[ids[first]] != sizes[ids[second]]:
                continue
            there, back = gain[first, second], gain[second, first]
            if told[first, second] and min(there, back) > 0 and there + back > SWAP_MARGIN:
                problems.append(
                    f"{places[ids[first]]}: expected the label map of {ids[first]}, found one "
                    f"that looks like {ids[second]}'s, and the other way round: the first agrees "
                    f"with its own pre-annotation in {own[first]:.0%} of the pixels, with the "
                    f"other's in {same[first, second]:.0%} (annotation_check_swaps: false takes "
                    f"them as they are)"
                )
    return problems


def agreement(labels: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compare every label map with every other.

    Parameters
    ----------
    labels, others : np.ndarray, shape (N, P), uint8
        Training ids and ``VOID``.

    Returns
    -------
    same : np.ndarray, shape (N, N), float32
        Of the pixels that row i of ``labels`` and row j of ``others`` both label, the share of
        one class; 0 where there are none.
    common : np.ndarray, shape (N, N), float32
        Share of pixels that both label.
    """

    def counts(here: np.ndarray, there: np.ndarray) -> np.ndarray:
        return here.astype(np.float32) @ there.T.astype(np.float32)

    both = counts(labels != VOID, others != VOID)
    classes = np.setdiff1d(np.union1d(labels, others), [VOID])
    equal = sum((counts(labels == c, others == c) for c in classes), np.zeros_like(both))
    return equal / np.maximum(both, 1), both / labels.shape[1]
