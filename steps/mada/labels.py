"""Class sets, and the tables that take label files of any encoding to training ids.

Cityscapes' names, ids and colours come from ``cityscapesscripts``, so that classes count here
exactly as in the official evaluation.  A *class set* is what the network predicts; an
*encoding* is what numbers a data set's label files hold.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cityscapesscripts.helpers.labels import labels as CITYSCAPES_LABELS
from PIL import Image

from mada.cli import InputError

VOID = 255  # training id of pixels that neither train nor count
UNKNOWN = -1  # an id that the encoding does not define

_CITYSCAPES = {label.name: label for label in CITYSCAPES_LABELS if label.id >= 0}
_EVALUATED = sorted(
    (label for label in _CITYSCAPES.values() if not label.ignoreInEval),
    key=lambda label: label.trainId,
)


@dataclass(frozen=True)
class ClassSet:
    """The categories of one experiment; a category's position is its training id."""

    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    members: dict[str, str]  # Cityscapes name -> name in this set; names not listed are void

    def __len__(self) -> int:
        return len(self.names)


def _cityscapes_set(left_out: tuple[str, ...] = ()) -> ClassSet:
    kept = [label for label in _EVALUATED if label.name not in left_out]
    return ClassSet(
        tuple(label.name for label in kept),
        tuple(label.color for label in kept),
        {label.name: label.name for label in kept},
    )


# SYNTHIA has no terrain, truck and train; its 13-class mean leaves out three thin or rare
# classes more (MADA, table 2: mIoU and mIoU*).
_NOT_IN_SYNTHIA = ("terrain", "truck", "train")
_NOT_IN_13 = ("wall", "fence", "pole")

# The 11 classes of CamVid's SegNet distribution with their usual colours, in the order of its
# ids, and the Cityscapes classes that each takes in.
_CAMVID = (
    ("sky", (128, 128, 128), ("sky",)),
    ("building", (128, 0, 0), ("building", "wall", "bridge", "tunnel")),
    ("pole", (192, 192, 128), ("pole",)),
    ("road", (128, 64, 128), ("road",)),
    ("pavement", (60, 40, 222), ("sidewalk",)),
    ("tree", (128, 128, 0), ("vegetation", "terrain")),
    ("sign", (192, 128, 128), ("traffic sign", "traffic light")),
    ("fence", (64, 64, 128), ("fence", "guard rail")),
    ("car", (64, 0, 128), ("car", "truck", "bus", "train", "caravan", "trailer")),
    ("pedestrian", (64, 64, 0), ("person",)),
    ("bicyclist", (0, 128, 192), ("rider", "bicycle", "motorcycle")),
)

CLASS_SETS = {
    "cityscapes19": _cityscapes_set(),
    "cityscapes16": _cityscapes_set(_NOT_IN_SYNTHIA),
    "camvid11": ClassSet(
        tuple(name for name, _, _ in _CAMVID),
        tuple(colour for _, colour, _ in _CAMVID),
        {city: name for name, _, cities in _CAMVID for city in cities},
    ),
}

# Subsets whose mean is reported beside the mean over all classes.
REPORTED_SUBSETS = {
    "19": CLASS_SETS["cityscapes19"].names,
    "16": CLASS_SETS["cityscapes16"].names,
    "13": tuple(n for n in CLASS_SETS["cityscapes16"].names if n not in _NOT_IN_13),
}


def class_set(name: str) -> ClassSet:
    """Return the class set of a name.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in CLASS_SETS:
        raise InputError(f"classes: expected one of {sorted(CLASS_SETS)}, found {name!r}")
    return CLASS_SETS[name]


def class_set_name(text: str) -> str:
    """argparse type: the name of a class set."""
    try:
        class_set(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _names_by_id(encoding: str) -> dict[int, str]:
    """Cityscapes name of every id that an encoding defines."""
    by_id = {label.id: label.name for label in _CITYSCAPES.values()}
    if encoding == "gta5-ids":
        # GTA5 writes licence plates as 34 where Cityscapes leaves them at -1.
        by_id[34] = "license plate"
    return by_id


ENCODINGS = ("cityscapes-ids", "gta5-ids", "camvid-ids", "train-ids")


def train_id_table(encoding: str, classes: str) -> np.ndarray:
    """Return the table that takes a stored label value to its training id.

    Parameters
    ----------
    encoding : str
        One of ``ENCODINGS``.
    classes : str
        Name of a class set, see ``class_set``.

    Returns
    -------
    np.ndarray, shape (256,), int16
        0 … C-1, ``VOID`` for values that are defined but not trained, ``UNKNOWN`` for values
        that the encoding does not define.

    Raises
    ------
    InputError
        If the encoding cannot be expressed in the class set.
    """
    chosen = class_set(classes)
    table = np.full(256, UNKNOWN, dtype=np.int16)
    if encoding == "train-ids":
        table[: len(chosen)] = np.arange(len(chosen))
        table[VOID] = VOID
    elif encoding == "camvid-ids":
        if classes != "camvid11":
            raise InputError(f"classes: CamVid's labels need camvid11, found {classes!r}")
        table[: len(chosen)] = np.arange(len(chosen))
        table[len(chosen)] = VOID  # 11: unlabelled
    elif encoding in ENCODINGS:
        for value, name in _names_by_id(encoding).items():
            member = chosen.members.get(name)
            table[value] = VOID if member is None else chosen.names.index(member)
    else:
        raise InputError(f"label encoding: expected one of {ENCODINGS}, found {encoding!r}")
    return table


def read_label(path: Path, table: np.ndarray) -> np.ndarray:
    """Read a label file as training ids.

    Parameters
    ----------
    path : Path
        8-bit PNG of one channel; a palette, if any, is only for show.
    table : np.ndarray, shape (256,), int16
        From ``train_id_table``.

    Returns
    -------
    np.ndarray, shape (H, W), uint8
        0 … C-1 and ``VOID``.

    Raises
    ------
    InputError
        If the file cannot be read, has several channels, or holds an undefined value.
    """
    values = read_pixels(path)
    bits = _grey_bits(path)
    if bits is not None and bits < 8:
        # Pillow stretches these to 0 … 255, and ids would be taken for others.
        raise InputError(f"{path}: expected 8-bit label ids, found {bits}-bit grey values")
    if values.ndim != 2 or values.dtype != np.uint8:
        raise InputError(
            f"{path}: expected 8-bit label ids in one channel, "
            f"found {values.dtype} of shape {values.shape}"
        )
    mapped = table[values]
    if (mapped == UNKNOWN).any():
        wrong = sorted(int(value) for value in np.unique(values[mapped == UNKNOWN]))
        raise InputError(f"{path}: expected values of the class table, found {wrong}")
    return mapped.astype(np.uint8)


def _grey_bits(path: Path) -> int | None:
    """Bits of a greyscale PNG's values, from its header; None for any other file."""
    with open(path, "rb") as file:
        header = file.read(26)
    greyscale = header[12:16] == b"IHDR" and header[25] == 0
    return header[24] if greyscale else None


def read_pixels(path: Path) -> np.ndarray:
    """Decode an image file to its stored values (palette indices for paletted files).

    Raises
    ------
    InputError
        If the file is missing, truncated, or not an image.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: expected a readable image, found {error}") from error


def palette(classes: str) -> list[int]:
    """Flat palette of 256 RGB triples for ``Image.putpalette``; void is black."""
    flat = [channel for colour in class_set(classes).colours for channel in colour]
    return flat + [0] * (768 - len(flat))


def label_image(train_ids: np.ndarray, classes: str) -> Image.Image:
    """Paletted image that holds training ids (H, W) uint8 and shows the classes' colours."""
    image = Image.fromarray(train_ids, mode="P")
    image.putpalette(palette(classes))
    return image
