"""Readers of the data sets' own folder layouts: which image has which label, and from which drive.

A reader lists files by name alone; nothing is opened here.  Adding a data set means adding one
function and one line to ``LAYOUTS``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from mada.cli import InputError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
SPLITS = ("train", "tune", "val")
# The share of each CamVid drive that trains, rounded, and that tunes, rounded down, in order of
# time; the rest validates.
CAMVID_TRAIN, CAMVID_TUNE = 0.70, 0.15


@dataclass(frozen=True)
class Item:
    """One image of a data set.

    ``label`` is where its label file lies if there is one; ``sequence`` and ``frame`` place it
    in a drive, so that neighbouring frames can be told.
    """

    id: str
    image: Path
    label: Path
    sequence: str
    frame: int


@dataclass(frozen=True)
class Layout:
    list_items: Callable[[Path, str], list[Item]]
    encoding: str  # of its label files, see mada.labels


def _images_in(folder: Path, pattern: str = "*") -> list[Path]:
    """Image files below a folder, in a fixed order.

    Raises
    ------
    InputError
        If the folder is missing or holds no image.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of images, found none")
    found = sorted(p for p in folder.rglob(pattern) if p.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise InputError(f"{folder}: expected images ({pattern}), found none")
    return found


def list_gta5(root: Path, split: str) -> list[Item]:
    """GTA5: ``images/00001.png`` and ``labels/00001.png``; every image trains."""
    if split != "train":
        raise InputError(f"{root}: GTA5's layout has a train split only, found {split!r}")
    return [
        Item(image.stem, image, root / "labels" / f"{image.stem}.png", "gta5", position)
        for position, image in enumerate(_images_in(root / "images"))
    ]


def list_cityscapes(root: Path, split: str) -> list[Item]:
    """Cityscapes: ``leftImg8bit/<split>/<city>/<city>_<sequence>_<frame>_leftImg8bit.png``."""
    items = []
    for image in _images_in(root / "leftImg8bit" / split, "*_leftImg8bit.png"):
        name = image.name.removesuffix("_leftImg8bit.png")
        parts = re.fullmatch(r"(.+)_(\d+)_(\d+)", name)
        if parts is None:
            raise InputError(f"{image}: expected <city>_<sequence>_<frame>_leftImg8bit.png")
        label = root / "gtFine" / split / image.parent.name / f"{name}_gtFine_labelIds.png"
        # The still images of one city were cut from one drive: its second number counts them.
        items.append(Item(name, image, label, parts[1], int(parts[2])))
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
        for image in _images_in(root / part):
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


def list_folder(root: Path, split: str) -> list[Item]:
    """One's own images: ``<split>/images/`` and, where there are labels, ``<split>/labels/``.

    Labels are PNGs of the same name; subfolders count as sequences.
    """
    folder = root / split / "images"
    items = []
    for position, image in enumerate(_images_in(folder)):
        inside = image.relative_to(folder).with_suffix("")
        label = root / split / "labels" / inside.with_suffix(".png")
        items.append(Item(inside.as_posix(), image, label, inside.parent.as_posix(), position))
    return items


LAYOUTS = {
    "gta5": Layout(list_gta5, "gta5-ids"),
    "cityscapes": Layout(list_cityscapes, "cityscapes-ids"),
    "camvid": Layout(list_camvid, "camvid-ids"),
    "folder": Layout(list_folder, "train-ids"),
}


def refuse_twins(items: list[Item]) -> None:
    """Raise an InputError naming both images if two share an id."""
    for before, item in pairwise(sorted(items, key=lambda item: item.id)):
        if before.id == item.id:
            raise InputError(
                f"{item.image}: expected a unique id, {before.image} is {item.id!r} too"
            )


def list_items(layout: str, root: Path, split: str) -> list[Item]:
    """List a split of a data set, ids unique, in order of id.

    Raises
    ------
    InputError
        If the layout or split is unknown, the root is missing, the set is empty, or two images
        share an id.
    """
    if layout not in LAYOUTS:
        raise InputError(f"layout: expected one of {sorted(LAYOUTS)}, found {layout!r}")
    if split not in SPLITS:
        raise InputError(f"split: expected one of {SPLITS}, found {split!r}")
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root}: expected the root folder of a {layout} data set, found none")
    items = sorted(LAYOUTS[layout].list_items(root, split), key=lambda item: item.id)
    if not items:
        raise InputError(f"{root}: expected images in split {split!r}, found none")
    refuse_twins(items)
    return items
