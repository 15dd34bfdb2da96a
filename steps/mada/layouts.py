"""Readers of the data sets' own folder layouts: which image has which label, and from which drive.

A reader lists files by name alone; nothing is opened here.  Adding a data set means adding one
function and one line to ``LAYOUTS``; most need none, since ``folder`` takes patterns.

A pattern is relative to a data set's root.  ``*`` and ``?`` stand for characters of one name,
``**`` for any number of folders; hidden files and what is no image are passed over.
"""

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path, PurePosixPath

import numpy as np

from mada.cli import InputError, refuse
from mada.labels import CLASS_SETS, train_id_table
from mada.listing import image_files, other_files

SPLITS = ("train", "tune", "val")
_WILDCARDS = re.compile(r"([*?]+)")
# The share of each CamVid drive that trains, rounded, and that tunes, rounded down, in order of
# time; the rest validates.
CAMVID_TRAIN, CAMVID_TUNE = 0.70, 0.15
FOLDER_IMAGES, FOLDER_LABELS = "{split}/images/**/*", "{split}/labels/**/*.png"
NO_LABELS = "none"  # in place of a pattern of labels


@dataclass(frozen=True)
class Item:
    """One image of a data set.

    ``label`` is where its label file lies if there is one, None where there can be none;
    ``sequence`` and ``frame`` place it in a drive, so that neighbouring frames can be told.
    """

    id: str
    image: Path
    label: Path | None
    sequence: str
    frame: int


@dataclass(frozen=True)
class Layout:
    list_items: Callable[..., list[Item]]  # of a root and a split
    encoding: str  # of its label files, see mada.labels
    own_classes: bool = False  # whether its label files make sense with a class table only


def _images(root: Path, pattern: str) -> list[Path]:
    """Image files of a pattern, in a fixed order.

    Raises
    ------
    InputError
        If the pattern's folder is missing, or no image matches.
    """
    parts = PurePosixPath(pattern).parts
    fixed = next((n for n, part in enumerate(parts) if _WILDCARDS.search(part)), len(parts) - 1)
    folder = root.joinpath(*parts[:fixed])
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of images, found none")
    found = image_files(root, pattern)
    if not found:
        inside, others = PurePosixPath(*parts[fixed:]), _kinds(root, pattern)
        raise InputError(
            f"{folder}: expected images ({inside}), found {f'but {others}' if others else 'none'}"
        )
    return found


def list_gta5(root: Path, split: str) -> list[Item]:
    """GTA5: ``images/00001.png`` and ``labels/00001.png``; every image trains."""
    return _list_rendered(root, split, "GTA5", "images", "labels")


def list_synthia(root: Path, split: str) -> list[Item]:
    """SYNTHIA-RAND-CITYSCAPES: ``RGB/0000000.png`` and ``GT/LABELS/0000000.png``."""
    return _list_rendered(root, split, "SYNTHIA", "RGB", "GT/LABELS")


def _list_rendered(root: Path, split: str, name: str, images: str, labels: str) -> list[Item]:
    """A set of single rendered images, all of which train, in one folder with labels in another."""
    if split != "train":
        raise InputError(f"{root}: {name}'s layout has a train split only, found {split!r}")
    return [
        Item(image.stem, image, root / labels / f"{image.stem}.png", name.lower(), position)
        for position, image in enumerate(_images(root, f"{images}/**/*"))
    ]


def list_cityscapes(root: Path, split: str, kind: str = "labelIds") -> list[Item]:
    """Cityscapes: ``leftImg8bit/<split>/<city>/<city>_<sequence>_<frame>_leftImg8bit.png``.

    Labels of one ``kind`` alone are taken, whatever else is there; a training split needs none.
    """
    items = []
    for image in _images(root, f"leftImg8bit/{split}/**/*_leftImg8bit.png"):
        name = image.name.removesuffix("_leftImg8bit.png")
        parts = re.fullmatch(r"(.+)_(\d+)_(\d+)", name)
        if parts is None:
            raise InputError(f"{image}: expected <city>_<sequence>_<frame>_leftImg8bit.png")
        label = root / "gtFine" / split / image.parent.name / f"{name}_gtFine_{kind}.png"
        # The still images of one city were cut from one drive.  In most cities the first number
        # counts them and the second is the same for all; in the others it is the other way round.
        items.append(Item(name, image, label, parts[1], int(parts[2] + parts[3])))
    return items


def list_camvid(root: Path, split: str) -> list[Item]:
    """CamVid as the SegNet distribution lays it out: ``train/``, ``trainannot/``, ``val/`` ….

    The distribution's own splits take neighbouring frames apart; here each drive is cut in
    three stretches of time (``CAMVID_TRAIN``, ``CAMVID_TUNE``) over all folders together.
    """
    drives: dict[str, list[Item]] = {}
    for part in ("train", "val", "test"):
        if part != "train" and not (root / part).is_dir():
            continue
        for image in _images(root, f"{part}/**/*"):
            drive, _, number = image.stem.rpartition("_")
            digits = re.sub(r"\D", "", number)
            if not digits:
                raise InputError(f"{image}: expected <drive>_<frame number>")
            label = root / f"{part}annot" / f"{image.stem}.png"
            drives.setdefault(drive, []).append(Item(image.stem, image, label, drive, int(digits)))
    refuse_twins([item for items in drives.values() for item in items])
    chosen = []
    for drive in sorted(drives):
        items = sorted(drives[drive], key=lambda item: (item.frame, item.id))
        train_end = round(len(items) * CAMVID_TRAIN)
        tune_end = train_end + int(len(items) * CAMVID_TUNE)
        stretch = {"train": (0, train_end), "tune": (train_end, tune_end), "val": (tune_end, None)}
        chosen += items[slice(*stretch[split])]
    return chosen


def _checked_glob(name: str, pattern: str, split: str) -> str:
    """A pattern of the configuration for one split.

    Raises
    ------
    InputError
        If it leads out of the root, or has wildcards of another kind.
    """
    chosen = PurePosixPath(pattern.replace("{split}", split))
    if chosen.is_absolute() or ".." in chosen.parts:
        raise InputError(f"{name}: expected a pattern below the root, found {pattern!r}")
    if re.search(r"[][{}]", str(chosen)):
        raise InputError(f"{name}: expected {{split}}, *, ** and ? alone, found {pattern!r}")
    return str(chosen)


def _wildcard_values(pattern: str, name: str) -> list[str]:
    """What the wildcards of a pattern stand for in a name that it matches.

    Wildcards side by side count as one, and the suffix of the name belongs to none:
    ``images/**/*`` stands for ``["a/b", "1"]`` in ``images/a/b/1.png``.
    """
    expression = ""
    for part in PurePosixPath(pattern).parts:
        if part == "**":
            expression += "((?:[^/]+/)*)"
            continue
        for n, piece in enumerate(_WILDCARDS.split(part)):  # every second one is wildcards
            run = "".join("[^/]" if wildcard == "?" else "[^/]*" for wildcard in piece)
            expression += f"({run})" if n % 2 else re.escape(piece)
        expression += "/"
    found = re.fullmatch(expression, f"{name}/")
    end = len(name) - len(PurePosixPath(name).suffix)
    spans = [found.span(group) for group in range(1, found.re.groups + 1)]
    return [name[start : min(stop, end)].strip("/") for start, stop in spans if start <= end]


def _filled(pattern: str, values: list[str]) -> str:
    """The name that a pattern stands for where its wildcards have these values."""
    pieces = _WILDCARDS.split(pattern)
    pieces[1::2] = values
    return "".join(pieces).lstrip("/")  # ** may stand for no folder at all


def list_folder(
    root: Path, split: str, image_glob: str = FOLDER_IMAGES, label_glob: str = FOLDER_LABELS
) -> list[Item]:
    """One's own images, wherever they and their labels lie.

    What the wildcards of ``image_glob`` stand for, without the suffix, is the image's id, joined
    by ``/``; its folder counts as the sequence.  Put in the place of the wildcards of
    ``label_glob`` it names the label.  So ``rgb/{split}/*_rgb.jpg`` with
    ``masks/{split}/*_mask.png`` finds the image ``rgb/train/7_rgb.jpg``, of id ``7``, and its
    label ``masks/train/7_mask.png``.

    Parameters
    ----------
    image_glob, label_glob : str
        Patterns below the root; ``{split}`` stands for the split.  ``none`` as ``label_glob``
        says that there are no labels.

    Raises
    ------
    InputError
        If a pattern makes no sense, or images are missing.
    """
    if split != "train" and "{split}" not in image_glob:
        raise InputError(
            f"image glob: expected {{split}} in it to tell {split!r} apart, found {image_glob!r}"
        )
    images, labels = _checked_glob("image glob", image_glob, split), None
    if label_glob != NO_LABELS:
        labels = _checked_glob("label glob", label_glob, split)
        suffix = PurePosixPath(labels).suffix
        if not suffix or _WILDCARDS.search(suffix):
            raise InputError(f"label glob: expected a suffix such as .png, found {label_glob!r}")
    items = []
    for position, image in enumerate(_images(root, images)):
        values = _wildcard_values(images, image.relative_to(root).as_posix())
        inside = PurePosixPath(*values)
        if not inside.name:
            raise InputError(f"{image}: expected a name in place of wildcards, found {images!r}")
        if labels and len(_WILDCARDS.findall(labels)) != len(values):
            raise InputError(
                f"label glob: expected as many wildcards as in image glob {image_glob!r}, or "
                f"{NO_LABELS!r} where there are no labels, found {label_glob!r}"
            )
        label = root / _filled(labels, values) if labels else None
        items.append(Item(inside.as_posix(), image, label, inside.parent.as_posix(), position))
    return items


LAYOUTS = {
    "gta5": Layout(list_gta5, "gta5-ids"),
    "synthia": Layout(list_synthia, "synthia-ids"),
    "cityscapes": Layout(list_cityscapes, "cityscapes-ids"),
    "cityscapes-train-ids": Layout(
        partial(list_cityscapes, kind="labelTrainIds"), "cityscapes-train-ids"
    ),
    "camvid": Layout(list_camvid, "own-ids", own_classes=True),
    "folder": Layout(list_folder, "own-ids"),
}


def label_table(layout: str, classes: str) -> np.ndarray:
    """Table that takes a layout's label values to training ids, as ``train_id_table``.

    Raises
    ------
    InputError
        If the layout has classes of its own, and ``classes`` is a built-in class set.
    """
    if LAYOUTS[layout].own_classes and classes in CLASS_SETS:
        raise InputError(
            f"classes: expected a class table for labels of layout {layout}, found {classes!r}"
        )
    return train_id_table(LAYOUTS[layout].encoding, classes)


def refuse_twins(items: list[Item]) -> None:
    """Raise an InputError naming all images that share an id with another."""
    pairs = pairwise(sorted(items, key=lambda item: item.id))
    refuse(
        [
            f"{item.image}: expected a unique id, {before.image} is {item.id!r} too"
            for before, item in pairs
            if before.id == item.id
        ],
        "the data set",
    )


def list_items(
    layout: str,
    root: Path,
    split: str,
    image_glob: str | None = None,
    label_glob: str | None = None,
) -> list[Item]:
    """List a split of a data set, ids unique, in order of id.

    Parameters
    ----------
    image_glob, label_glob : str or None
        Of layout ``folder``, see ``list_folder``; None leaves them as they are there.

    Raises
    ------
    InputError
        If the layout or split is unknown, the root is missing, the set is empty, two images
        share an id, or a pattern is given with another layout.
    """
    if layout not in LAYOUTS:
        raise InputError(f"layout: expected one of {sorted(LAYOUTS)}, found {layout!r}")
    if split not in SPLITS:
        raise InputError(f"split: expected one of {SPLITS}, found {split!r}")
    given = {"image_glob": image_glob, "label_glob": label_glob}
    given = {name: pattern for name, pattern in given.items() if pattern is not None}
    if given and layout != "folder":
        name, pattern = next(iter(given.items()))
        name = name.replace("_", " ")
        raise InputError(f"{name}: expected none with layout {layout}, found {pattern!r}")
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root}: expected the root folder of a {layout} data set, found none")
    items = sorted(LAYOUTS[layout].list_items(root, split, **given), key=lambda item: item.id)
    if not items:
        raise InputError(f"{root}: expected images in split {split!r}, found none")
    refuse_twins(items)
    odd = [ascii(str(item.image)) for item in items if not _is_text(item)]
    refuse([f"{name}: expected a name in UTF-8" for name in odd], str(root))
    return items


def passed_over(layout: str, root: Path, split: str, image_glob: str | None = None) -> str:
    """What lies among the images but is of a kind that is not read, such as "12 .heic".

    Of layout ``folder`` alone, whose folders people fill themselves; empty where all is read.
    """
    if layout != "folder":
        return ""
    return _kinds(Path(root), _checked_glob("image glob", image_glob or FOLDER_IMAGES, split))


def _kinds(root: Path, pattern: str) -> str:
    found = sorted(other_files(root, pattern).items())
    return ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in found)


def _is_text(item: Item) -> bool:
    """Whether a file name can be written down; what is no UTF-8 arrives as surrogates."""
    return not re.search("[\ud800-\udfff]", f"{item.image}{item.label}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say where a data set lies, and what it looks like there."""
    parser.add_argument("--layout", required=True, choices=sorted(LAYOUTS))
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument("--image-glob", help=f"of layout folder, by default {FOLDER_IMAGES}")
    parser.add_argument(
        "--label-glob", help=f"of layout folder, by default {FOLDER_LABELS}; none: no labels"
    )
