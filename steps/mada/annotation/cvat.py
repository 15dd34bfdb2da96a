"""CVAT's "Segmentation mask 1.1": a zip archive of masks in the colours that it declares.

CVAT takes unpainted pixels for a label, "background", that masks paint black and that it must
declare; one that no task has, or a colour that is not declared, stops the whole upload.  Where a
mask of objects lies beside that of classes, only pixels of an object are uploaded, so that what
is left open stays unpainted.
"""

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mada.annotation.bundle import HandedOut
from mada.annotation.classes import (
    UNLABELLED,
    UNLABELLED_COLOUR,
    AnnotationClasses,
    hexadecimal,
)
from mada.annotation.formats import LABELMAP, MASKS
from mada.labels import VOID

OBJECTS, SUBSET = "SegmentationObject", "ImageSets/Segmentation/default.txt"
_OLDEST = (1980, 1, 1, 0, 0, 0)  # for all entries: the same work gives the same bytes


def labels_json(classes: AnnotationClasses) -> list[dict]:
    """The labels of a task, as CVAT's "Raw" editor takes them."""
    rows = [(UNLABELLED, UNLABELLED_COLOUR), *zip(classes.names, classes.colours, strict=True)]
    return [
        {"name": name, "color": hexadecimal(colour), "type": "any", "attributes": []}
        for name, colour in rows
    ]


def labelmap(classes: AnnotationClasses) -> str:
    """``labelmap.txt``: the name and colour of every label."""
    rows = [(UNLABELLED, UNLABELLED_COLOUR), *zip(classes.names, classes.colours, strict=True)]
    lines = [f"{name}:{red},{green},{blue}::" for name, (red, green, blue) in rows]
    return "\n".join(["# label:color_rgb:parts:actions", *lines]) + "\n"


def object_colour(number: int) -> tuple[int, int, int]:
    """Colour of an object by its number, as PASCAL VOC spreads its bits over the channels."""
    channels = [0, 0, 0]
    for bit in range(8):
        channels[bit % 3] |= (number >> bit & 1) << (7 - bit // 3)
    return tuple(channels)


def write_cvat(folder: Path, items: Sequence[HandedOut], classes: AnnotationClasses) -> None:
    """Write ``labels.json``, ``images.zip`` and ``pre-annotations.zip``, each ready to upload.

    Images keep their folders in the archive, so that two of one name stay apart.

    Parameters
    ----------
    folder : Path
        The bundle, whose images are there already.
    """
    place = folder / "cvat"
    place.mkdir()
    (place / "labels.json").write_text(json.dumps(labels_json(classes), indent=1) + "\n")
    with zipfile.ZipFile(place / "images.zip", "w") as archive:
        for item in items:
            name = item.image.relative_to(item.image.parts[0]).as_posix()
            _add(archive, name, (folder / item.image).read_bytes())
    palette = np.array([object_colour(number) for number in range(256)], np.uint8)
    with zipfile.ZipFile(place / "pre-annotations.zip", "w") as archive:
        _add(archive, LABELMAP, labelmap(classes).encode())
        _add(archive, SUBSET, "".join(f"{item.image_id}\n" for item in items).encode())
        for item in items:
            train_ids = item.train_ids()
            objects = np.where(train_ids == VOID, 0, train_ids + np.uint8(1))
            masks = {MASKS: classes.painted(train_ids), OBJECTS: palette[objects]}
            for kind, pixels in masks.items():
                _add(archive, f"{kind}/{item.image_id}.png", _png(pixels))


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Add a file as it is: images and masks are packed already."""
    archive.writestr(zipfile.ZipInfo(name, _OLDEST), data)


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
