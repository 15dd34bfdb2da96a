"""The formats that annotations come back in: which label map is whose, and how it is read.

A reader looks at the files of one folder or archive and returns what it found, unread; errors of
single files appear when they are read, all others at once.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath

import numpy as np

from mada.annotation import pictures
from mada.annotation.classes import AnnotationClasses, Colour
from mada.annotation.containers import Container
from mada.annotation.pictures import Size
from mada.cli import InputError
from mada.labels import UNKNOWN, VOID, train_id_table

LABEL_IDS, TRAIN_IDS = "label-ids", "train-ids"  # what plain label maps of one channel may hold
LABELMAP, MASKS = "labelmap.txt", "SegmentationClass"  # CVAT "Segmentation mask 1.1"
_BESIDE_MASKS = ("SegmentationObject", "ImageSets", "JPEGImages")
LABEL_COLOURS, FINE = "label_colors.txt", "gtFine"  # CVAT "Cityscapes 1.0"
_FINE_NAME = re.compile(r"(?:.*/)?gtFine/[^/]+/(.+)_gtFine_(color|labelIds|instanceIds)\.png")
# Parts of a bundle that people hand back with their work.
OURS = ("README.txt", "classes.csv", "manifest.csv")


@dataclass(frozen=True)
class Returned:
    """One label map that came back."""

    name: str  # of its image, as the tool calls it
    place: str  # file, as messages call it
    read: Callable[[Size], np.ndarray]  # training ids (H, W) uint8 of an image of this size


@dataclass
class Delivery:
    """What a folder or an archive holds."""

    format: str
    maps: list[Returned] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_delivery(container: Container, classes: AnnotationClasses, class_set: str, values: str):
    """Return the ``Delivery`` of a folder or archive, whatever format it is in.

    Parameters
    ----------
    class_set : str
        What ``classes`` came of, for Cityscapes' own ids.
    values : str
        ``LABEL_IDS`` or ``TRAIN_IDS``: what plain label maps of one channel hold.
    """
    names = [PurePosixPath(name).name for name in container.names]
    if LABELMAP in names:
        return _read_cvat(container, classes)
    if LABEL_COLOURS in names or any(_FINE_NAME.fullmatch(name) for name in container.names):
        return _read_cityscapes(container, classes, class_set)
    if any(name.lower().endswith(".json") for name in names):
        # Only these need its package, which takes a second to load.
        from mada.annotation.label_studio import read_label_studio

        return read_label_studio(container, classes)
    return _read_plain(container, classes, values)


def _read_plain(container: Container, classes: AnnotationClasses, values: str) -> Delivery:
    """A folder of PNGs named like their images."""
    delivery = Delivery("plain folder")
    ids = classes.by_id
    if values == TRAIN_IDS:
        ids = np.full(256, UNKNOWN, np.int16)
        ids[: len(classes)], ids[VOID] = np.arange(len(classes)), VOID
    for name in container.names:
        place = container.described(name)
        if not name.lower().endswith(".png"):
            if PurePosixPath(name).name not in OURS:
                delivery.problems.append(f"{place}: expected a PNG, found another file")
            continue
        if re.match(r"task-\d+-annotation-", PurePosixPath(name).name):
            delivery.problems.append(
                f"{place}: expected the JSON export of the same project beside Label Studio's "
                "PNGs, which name no image, found none"
            )
            continue
        delivery.maps.append(_plain(container, name, place, ids, classes.by_colour))
    return delivery


def _plain(
    container: Container, name: str, place: str, ids: np.ndarray, colours: Mapping[Colour, int]
) -> Returned:
    def read(size: Size) -> np.ndarray:
        return pictures.read_ids_or_colours(container.read(name), place, size, ids, colours)

    return Returned(name[: -len(".png")], place, read)


def _text(container: Container, name: str) -> list[str]:
    """Lines of a text file that are no comment; InputError if it is none."""
    try:
        text = container.read(name).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{container.described(name)}: expected UTF-8 text, found {error}"
        ) from error
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _declared(
    container: Container, name: str, rows: list[tuple[str, list[str]]], classes: AnnotationClasses
) -> tuple[list[int], dict[Colour, int], dict[Colour, str]]:
    """Training ids in order, those by colour, and colours of labels that no class is.

    Raises
    ------
    InputError
        If a colour cannot be read, or stands for two classes or for a class and another label.
    """
    place = container.described(name)
    order, colours, strangers = [], {}, {}

    def shared(label: str, colour: Colour) -> InputError:
        return InputError(
            f"{place}: expected a colour of its own for {label!r}, found {colour}, "
            "which another label has"
        )

    for label, numbers in rows:
        try:
            red, green, blue = (int(number) for number in numbers)
        except ValueError as error:
            raise InputError(f"{place}: expected red, green, blue of {label!r}") from error
        if label not in classes.by_name:
            order.append(UNKNOWN)
            strangers[red, green, blue] = label
            continue
        train_id = classes.by_name[label]
        order.append(train_id)
        if colours.setdefault((red, green, blue), train_id) != train_id:
            raise shared(label, (red, green, blue))
    for colour, label in strangers.items():
        if colour in colours:
            raise shared(label, colour)
    return order, colours, strangers


def _colour_maps(
    delivery: Delivery,
    container: Container,
    labels: str,
    rows: Callable[[], list[tuple[str, list[str]]]],
    classes: AnnotationClasses,
    masks: list[tuple[str, str]],
) -> None:
    """Add masks, (file, image name) each, in the colours that the rows of ``labels`` declare."""
    try:
        declared = _declared(container, labels, rows(), classes)
    except InputError as error:
        delivery.problems.append(str(error))
        return

    def read_one(file: str, place: str) -> Callable[[Size], np.ndarray]:
        return lambda size: pictures.read_colours(container.read(file), place, size, *declared)

    for file, name in masks:
        place = container.described(file)
        delivery.maps.append(Returned(name, place, read_one(file, place)))


def _refuse_others(delivery: Delivery, container: Container, known: Callable[[str], object]):
    """Name every file that is no part of the format, since it may be somebody's work."""
    for name in container.names:
        if not known(name) and PurePosixPath(name).name not in OURS:
            delivery.problems.append(
                f"{container.described(name)}: expected files of a {delivery.format} export "
                "alone, found another"
            )


def _read_cvat(container: Container, classes: AnnotationClasses) -> Delivery:
    """CVAT's "Segmentation mask 1.1": masks in the colours that ``labelmap.txt`` declares."""
    delivery = Delivery("CVAT Segmentation mask 1.1")
    folders = "|".join((MASKS, *_BESIDE_MASKS))
    expected = re.compile(rf"(.*/)?({LABELMAP}|({folders})/.+)")
    _refuse_others(delivery, container, expected.fullmatch)
    for labels in [n for n in container.names if PurePosixPath(n).name == LABELMAP]:
        start = f"{labels[: -len(LABELMAP)]}{MASKS}/"
        files = [name for name in container.names if name.startswith(start)]
        if not files:
            delivery.problems.append(
                f"{container.described(labels)}: expected masks in {MASKS}/ beside it, found none"
            )
        masks = [(file, file[len(start) :].removesuffix(".png")) for file in files]
        _colour_maps(
            delivery, container, labels, partial(_labelmap, container, labels), classes, masks
        )
    return delivery


def _labelmap(container: Container, labels: str) -> list[tuple[str, list[str]]]:
    """Name and colour of each line of a ``labelmap.txt``: ``name:red,green,blue:parts:actions``."""
    parts = [line.rsplit(":", 3) for line in _text(container, labels)]
    if any(len(part) != 4 for part in parts):
        place = container.described(labels)
        raise InputError(f"{place}: expected name:red,green,blue:: in each line")
    return [(part[0], part[1].split(",")) for part in parts]


def _label_colours(container: Container, labels: str) -> list[tuple[str, list[str]]]:
    """Name and colour of each line of a ``label_colors.txt``: ``red green blue name``."""
    parts = [line.split(maxsplit=3) for line in _text(container, labels)]
    if any(len(part) != 4 for part in parts):
        place = container.described(labels)
        raise InputError(f"{place}: expected red green blue name in each line")
    return [(part[3], part[:3]) for part in parts]


def _read_cityscapes(container: Container, classes: AnnotationClasses, class_set: str) -> Delivery:
    """Cityscapes' layout as CVAT's "Cityscapes 1.0" writes it, or with Cityscapes' own ids.

    CVAT numbers its labels as it likes and declares their colours in ``label_colors.txt``, so its
    colour maps are read.  Without that file the maps of label ids are Cityscapes'.
    """
    delivery = Delivery("Cityscapes 1.0")
    expected = re.compile(rf"(.*/)?({LABEL_COLOURS}|(imgsFine/)?leftImg8bit/.+)")
    found = {name: _FINE_NAME.fullmatch(name) for name in container.names}
    _refuse_others(delivery, container, lambda name: found[name] or expected.fullmatch(name))
    labels = [name for name in container.names if PurePosixPath(name).name == LABEL_COLOURS]
    kind = "color" if labels else "labelIds"
    masks = [(name, match[1]) for name, match in found.items() if match and match[2] == kind]
    if len(labels) > 1:
        delivery.problems.append(
            f"{container.place}: expected one {LABEL_COLOURS}, found {len(labels)}"
        )
    elif not masks:
        delivery.problems.append(
            f"{container.place}: expected {FINE}/<subset>/*_gtFine_{kind}.png, found none"
        )
    elif labels:
        rows = partial(_label_colours, container, labels[0])
        _colour_maps(delivery, container, labels[0], rows, classes, masks)
    else:
        _cityscapes_ids(delivery, container, masks, train_id_table("cityscapes-ids", class_set))
    return delivery


def _cityscapes_ids(
    delivery: Delivery, container: Container, masks: list[tuple[str, str]], table: np.ndarray
) -> None:
    """Add label maps, (file, image name) each, that hold Cityscapes' own label ids."""

    def read_one(file: str, place: str) -> Callable[[Size], np.ndarray]:
        what = "Cityscapes' label ids"
        return lambda size: pictures.read_ids(container.read(file), place, size, table, what)

    for file, name in masks:
        place = container.described(file)
        delivery.maps.append(Returned(name, place, read_one(file, place)))


def read_json(container: Container, name: str) -> object:
    """A JSON file of a container; InputError if it is none."""
    try:
        return json.loads(container.read(name))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{container.described(name)}: expected JSON, found {error}") from error
