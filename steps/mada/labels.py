"""Class sets, and the tables that take label files of any encoding to training ids.

Cityscapes' names, ids and colours come from ``cityscapesscripts``, so that classes count here
exactly as in the official evaluation.  A *class set* is what the network predicts: a built-in
one, or a class table of the configuration.  An *encoding* is what numbers a data set's label
files hold.
"""

import argparse
from pathlib import Path

import numpy as np
from cityscapesscripts.helpers.labels import labels as CITYSCAPES_LABELS
from PIL import Image

from mada.class_tables import ClassSet, read_class_set
from mada.cli import InputError
from mada.images import first_channel, opened

VOID = 255  # training id of pixels that neither train nor count
UNKNOWN = -1  # an id that the encoding does not define

_CITYSCAPES = {label.name: label for label in CITYSCAPES_LABELS if label.id >= 0}
_EVALUATED = sorted(
    (label for label in _CITYSCAPES.values() if not label.ignoreInEval),
    key=lambda label: label.trainId,
)


def _cityscapes_set(left_out: tuple[str, ...] = ()) -> ClassSet:
    kept = [label for label in _EVALUATED if label.name not in left_out]
    return ClassSet(
        tuple(label.name for label in kept),
        tuple(label.color for label in kept),
        {label.name: label.name for label in kept},
        tuple((place,) for place in range(len(kept))),
        (VOID,),
    )


# SYNTHIA-RAND-CITYSCAPES defines terrain, truck and train, but no pixel of it is one; its
# 13-class mean leaves out three thin or rare classes more (MADA, table 2: mIoU and mIoU*).
NOT_IN_SYNTHIA = ("terrain", "truck", "train")
_NOT_IN_13 = ("wall", "fence", "pole")

CLASS_SETS = {
    "cityscapes19": _cityscapes_set(),
    "cityscapes16": _cityscapes_set(NOT_IN_SYNTHIA),
}

# Subsets whose mean is reported beside the mean over all classes.
REPORTED_SUBSETS = {
    "19": CLASS_SETS["cityscapes19"].names,
    "16": CLASS_SETS["cityscapes16"].names,
    "13": tuple(n for n in CLASS_SETS["cityscapes16"].names if n not in _NOT_IN_13),
}


def class_set(name: str) -> ClassSet:
    """Return the built-in class set of a name, or the one of a ``classes.json`` file.

    Raises
    ------
    InputError
        If there is none of that name, or the file's table has mistakes.
    """
    if name in CLASS_SETS:
        return CLASS_SETS[name]
    if name.endswith(".json"):
        return read_class_set(Path(name))
    raise InputError(
        f"classes: expected one of {sorted(CLASS_SETS)} or a classes.json file, found {name!r}"
    )


def class_set_name(text: str) -> str:
    """argparse type: the name of a class set, or the path of its file."""
    try:
        class_set(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


# Cityscapes name of each id of SYNTHIA-RAND-CITYSCAPES, from the README of that data set.  Void,
# road-work and lane marking are void as in the public mappings to Cityscapes: it has no class of
# road-works, and though it counts lane markings as road, comparisons with published figures need
# the same training pixels.  Parking slots are Cityscapes' parking, which is not evaluated either.
SYNTHIA_NAMES = (
    *("unlabeled", "sky", "building", "road", "sidewalk", "fence", "vegetation", "pole", "car"),
    *("traffic sign", "person", "bicycle", "motorcycle", "parking", "unlabeled"),
    *("traffic light", "terrain", "rider", "truck", "bus", "train", "wall", "unlabeled"),
)


def _names_by_id(encoding: str) -> dict[int, str]:
    """Cityscapes name of every id that an encoding defines."""
    if encoding == "synthia-ids":
        return dict(enumerate(SYNTHIA_NAMES))
    if encoding == "cityscapes-train-ids":
        return {label.trainId: label.name for label in _EVALUATED} | {VOID: "unlabeled"}
    by_id = {label.id: label.name for label in _CITYSCAPES.values()}
    if encoding == "gta5-ids":
        # GTA5 writes licence plates as 34 where Cityscapes leaves them at -1.
        by_id[34] = "license plate"
    return by_id


ENCODINGS = (
    *("cityscapes-ids", "cityscapes-train-ids", "gta5-ids", "own-ids", "synthia-ids"),
    "train-ids",
)
# Files of these hold 16-bit values in several channels, of which the first is the class.
_DEEP_ENCODINGS = ("synthia-ids",)


def train_id_table(encoding: str, classes: str) -> np.ndarray:
    """Return the table that takes a stored label value to its training id.

    Parameters
    ----------
    encoding : str
        One of ``ENCODINGS``; own-ids are those of the class table, and of a built-in class set
        the training ids; cityscapes-train-ids are those of Cityscapes' 19 classes, whatever the
        class set.
    classes : str
        Class set, see ``class_set``.

    Returns
    -------
    np.ndarray, shape (256,), int16
        0 … C-1, ``VOID`` for values that are defined but not trained, ``UNKNOWN`` for values
        that the encoding does not define; of shape (65536,) where files hold 16-bit values.

    Raises
    ------
    InputError
        If there is no such encoding or class set.
    """
    chosen = class_set(classes)
    table = np.full(1 << (16 if encoding in _DEEP_ENCODINGS else 8), UNKNOWN, dtype=np.int16)
    if encoding == "train-ids":
        table[: len(chosen)] = np.arange(len(chosen))
        table[VOID] = VOID
    elif encoding == "own-ids":
        for place, ids in enumerate(chosen.ids):
            table[list(ids)] = place
        table[list(chosen.void_ids)] = VOID
    elif encoding in ENCODINGS:
        for value, name in _names_by_id(encoding).items():
            member = chosen.members.get(name)
            table[value] = VOID if member is None else chosen.names.index(member)
    else:
        raise InputError(f"label encoding: expected one of {ENCODINGS}, found {encoding!r}")
    return table


class LabelSizeError(InputError):
    """A label that measures other than its image."""


def read_label(path: Path, table: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
    """Read a label file as training ids.

    Parameters
    ----------
    path : Path
        8-bit PNG of one channel; a palette, if any, is only for show.  With a table of 16-bit
        values, PNG of several channels of 16 bits, of which the first holds the class.
    table : np.ndarray, shape (256,) or (65536,), int16
        From ``train_id_table``.
    size : (width, height) or None
        What the label must measure to fit its image, if that is to be checked.

    Returns
    -------
    np.ndarray, shape (H, W), uint8
        0 … C-1 and ``VOID``.

    Raises
    ------
    InputError
        If the file cannot be read, has not the channels and bits that its encoding has, or
        holds an undefined value.
    LabelSizeError
        If it does not fit its image.
    """
    values = _single_channel(path) if len(table) == 256 else first_channel(path)
    mapped = table[values]
    if (mapped == UNKNOWN).any():
        wrong = sorted(int(value) for value in np.unique(values[mapped == UNKNOWN]))
        raise InputError(f"{path}: expected values of the class table, found {wrong}")
    height, width = mapped.shape
    if size is not None and size != (width, height):
        raise LabelSizeError(
            f"{path}: expected {size[0]}x{size[1]} pixels like its image, found {width}x{height}"
        )
    return mapped.astype(np.uint8)


def _single_channel(path: Path) -> np.ndarray:
    """Stored values (H, W) uint8 of a label file of one channel; errors as ``read_label``."""
    with opened(path) as image:
        image.load()
        values = np.asarray(image)  # of a palette the indices
    bits = _grey_bits(path)
    if bits is not None and bits < 8:
        # Pillow stretches these to 0 … 255, and ids would be taken for others.
        raise InputError(f"{path}: expected 8-bit label ids, found {bits}-bit grey values")
    if values.ndim != 2 or values.dtype != np.uint8:
        raise InputError(
            f"{path}: expected 8-bit label ids in one channel, "
            f"found {values.dtype} of shape {values.shape}"
        )
    return values


def _grey_bits(path: Path) -> int | None:
    """Bits of a greyscale PNG's values, from its header; None for any other file."""
    with open(path, "rb") as file:
        header = file.read(26)
    greyscale = header[12:16] == b"IHDR" and header[25] == 0
    return header[24] if greyscale else None


def palette(classes: str) -> list[int]:
    """Flat palette of 256 RGB triples for ``Image.putpalette``; void is black."""
    flat = [channel for colour in class_set(classes).colours for channel in colour]
    return flat + [0] * (768 - len(flat))


def label_image(train_ids: np.ndarray, classes: str) -> Image.Image:
    """Paletted image that holds training ids (H, W) uint8 and shows the classes' colours."""
    image = Image.fromarray(train_ids, mode="P")
    image.putpalette(palette(classes))
    return image


def save_label(path: Path, train_ids: np.ndarray, classes: str) -> None:
    """Write a label map (H, W) uint8 of training ids, with the folders that its name asks for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    label_image(train_ids, classes).save(path)
