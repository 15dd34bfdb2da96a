"""Label Studio: tasks with brush strokes as predictions, and its exports of brush labels.

Strokes are run lengths of the red, green, blue and alpha values of a picture, each class in a
region of its own; ``label-studio-sdk`` packs and unpacks them.
"""

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import numpy as np
from label_studio_sdk.converter.brush import decode_rle, mask2rle

from mada.annotation import pictures
from mada.annotation.bundle import HandedOut
from mada.annotation.classes import AnnotationClasses, hexadecimal
from mada.annotation.containers import Container
from mada.annotation.formats import OURS, Delivery, Returned, read_json
from mada.annotation.pictures import Size
from mada.cli import InputError
from mada.labels import VOID

CONTROL, OBJECT = "label", "image"  # names of the two tags of the labelling interface
CHANNELS = 4
_STROKES = re.compile(r"task-(\d+)-annotation-(\d+)-by-[^-]*-(.+)-\d+\.png")


def labelling_config(classes: AnnotationClasses) -> str:
    """The labelling interface: an image, and a brush for every class."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name=OBJECT, value="$image", zoom="true")
    brushes = ElementTree.SubElement(view, "BrushLabels", name=CONTROL, toName=OBJECT)
    for name, colour in zip(classes.names, classes.colours, strict=True):
        ElementTree.SubElement(brushes, "Label", value=name, background=hexadecimal(colour))
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def task(image_id: str, file: Path, train_ids: np.ndarray, classes: AnnotationClasses) -> dict:
    """A task whose prediction is a pre-annotation.

    Parameters
    ----------
    file : Path
        The image, below the folder that Label Studio serves.
    train_ids : np.ndarray, shape (H, W), uint8
        Training ids; ``VOID`` is painted by no brush.
    """
    height, width = train_ids.shape
    regions = []
    for train_id in np.unique(train_ids[train_ids != VOID]):
        stroke = np.where(train_ids == train_id, 255, 0).astype(np.uint8)
        name = classes.names[train_id]
        value = {"format": "rle", "rle": [int(byte) for byte in mask2rle(stroke)]}
        regions.append(
            {
                "id": f"class-{train_id}",
                "type": "brushlabels",
                "from_name": CONTROL,
                "to_name": OBJECT,
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "value": value | {"brushlabels": [name]},
            }
        )
    served = f"/data/local-files/?d={quote(file.as_posix())}"
    return {
        "data": {"image": served, "image_id": image_id},
        "predictions": [{"model_version": "pre-annotation", "result": regions}],
    }


def write_label_studio(
    folder: Path, items: Sequence[HandedOut], classes: AnnotationClasses
) -> None:
    """Write ``config.xml`` and ``tasks.json``.

    Parameters
    ----------
    folder : Path
        The bundle, which Label Studio is told to serve files of.
    """
    place = folder / "label_studio"
    place.mkdir()
    (place / "config.xml").write_text(labelling_config(classes), encoding="utf-8")
    tasks = [task(item.image_id, item.image, item.train_ids(), classes) for item in items]
    packed = json.dumps(tasks, separators=(",", ":"))
    (place / "tasks.json").write_text(packed + "\n")


def read_label_studio(container: Container, classes: AnnotationClasses) -> Delivery:
    """A JSON export, or one of PNGs with the JSON export of the same project beside it."""
    delivery = Delivery("Label Studio")
    files = [name for name in container.names if name.lower().endswith(".json")]
    strokes: dict[int, list[tuple[str, re.Match]]] = {}
    for name in container.names:
        match = _STROKES.fullmatch(PurePosixPath(name).name)
        if match:
            strokes.setdefault(int(match[1]), []).append((name, match))
        elif name not in files and PurePosixPath(name).name not in OURS:
            delivery.problems.append(
                f"{container.described(name)}: expected files of a Label Studio export alone, "
                "found another"
            )
    numbers = set()
    for file in files:
        try:
            tasks = _tasks(container, file)
        except InputError as error:
            delivery.problems.append(str(error))
            continue
        for number, entry in tasks:
            place = f"{container.described(file)}: task {number}"
            if number in strokes and number in numbers:
                delivery.problems.append(
                    f"{place}: expected one JSON export with the task of {strokes[number][0][0]}, "
                    "found two; hand exports of several projects back as an archive each"
                )
                continue
            numbers.add(number)
            try:
                image_id = _image_id(entry, place)
                read = (
                    _read_pictures(container, strokes[number], place, classes)
                    if number in strokes
                    else _read_regions(_annotation(entry, place), place, classes)
                )
            except InputError as error:
                delivery.problems.append(str(error))
                continue
            if read:
                delivery.maps.append(Returned(image_id, place, read))
    for number in sorted(set(strokes) - numbers):
        delivery.problems.append(
            f"{container.described(strokes[number][0][0])}: expected task {number} in a JSON "
            "export of the same project beside it, found none"
        )
    return delivery


def _tasks(container: Container, file: str) -> list[tuple[int, dict]]:
    """Number and content of every task of an export; InputError if the file is none."""
    tasks = read_json(container, file)
    if not isinstance(tasks, list) or not all(
        isinstance(task, dict) and isinstance(task.get("id"), int) for task in tasks
    ):
        raise InputError(
            f"{container.described(file)}: expected a JSON export of Label Studio, a list of "
            "tasks with an id each, found something else"
        )
    return [(task["id"], task) for task in tasks]


def _image_id(entry: dict, place: str) -> str:
    """The image that a task is of, as our own tasks say it; in JSON-MIN it stands outside data."""
    data = entry.get("data", entry)
    image_id = data.get("image_id") if isinstance(data, dict) else None
    if not isinstance(image_id, str):
        raise InputError(f"{place}: expected image_id in its data, as tasks.json has it")
    return image_id


def _annotation(entry: dict, place: str) -> list | None:
    """Regions of the one annotation that a task must have; None where nobody has made one."""
    found = entry.get("annotations")
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InputError(f"{place}: expected annotations, as in the JSON export, found none")
    kept = [one for one in found if not one.get("was_cancelled")]
    if len(kept) > 1:
        raise InputError(f"{place}: expected one annotation, found {len(kept)}")
    regions = kept[0].get("result") if kept else None
    if kept and not isinstance(regions, list):
        raise InputError(f"{place}: expected regions in its annotation, found none")
    return regions


def _read_regions(
    regions: list | None, place: str, classes: AnnotationClasses
) -> Callable[[Size], np.ndarray] | None:
    if regions is None:
        return None

    def read(size: Size) -> np.ndarray:
        train_ids = np.full(size[::-1], VOID, np.uint8)
        for number, region in enumerate(regions, start=1):
            try:
                painted, name = _region(region, size)
                train_ids[painted] = _class(name, classes)  # later strokes lie above
            except InputError as error:
                raise InputError(f"{place}: region {number}: {error}") from error
        return train_ids

    return read


def _class(name: object, classes: AnnotationClasses) -> int:
    if name not in classes.by_name:
        raise InputError(f"expected a class of classes.csv, found {name!r}")
    return classes.by_name[name]


def _region(region: object, size: Size) -> tuple[np.ndarray, object]:
    """Painted pixels (H, W) bool and label of a brush region; InputError if it is no such."""
    value = region.get("value") if isinstance(region, dict) else None
    if not isinstance(value, dict) or region.get("type") != "brushlabels":
        kind = region.get("type") if isinstance(region, dict) else type(region).__name__
        raise InputError(f"expected a region of type brushlabels, found {kind}")
    measured = (region.get("original_width"), region.get("original_height"))
    if measured != size:
        raise InputError(
            f"expected {size[0]}x{size[1]} pixels like its image, found {measured[0]}x{measured[1]}"
        )
    if region.get("image_rotation"):
        raise InputError("expected an image that was not turned, found image_rotation")
    labels = value.get("brushlabels")
    if not isinstance(labels, list) or len(labels) != 1 or not isinstance(labels[0], str):
        raise InputError(f"expected one label, found {labels!r}")
    return _unpacked(value.get("rle"), size), labels[0]


def _unpacked(rle: object, size: Size) -> np.ndarray:
    """Painted pixels (H, W) bool of run lengths; InputError if they are damaged."""
    width, height = size
    values = width * height * CHANNELS
    if not isinstance(rle, list) or not all(type(b) is int and 0 <= b <= 255 for b in rle):
        raise InputError("expected run lengths, numbers of 0 to 255, found something else")
    # Told from the header, before as much memory as it says is taken.
    declared = int.from_bytes(bytes(rle[:4]), "big")
    if declared != values:
        raise InputError(f"expected run lengths of {values} values, found {declared}")
    try:
        unpacked = decode_rle(rle)
    except (ValueError, IndexError) as error:
        raise InputError(f"expected whole run lengths, found {error}") from error
    return unpacked.reshape(height, width, CHANNELS)[..., 3] > 0


def _read_pictures(
    container: Container,
    strokes: list[tuple[str, re.Match]],
    place: str,
    classes: AnnotationClasses,
) -> Callable[[Size], np.ndarray]:
    """PNGs of one task, a class each."""
    annotations = {match[2] for _, match in strokes}
    if len(annotations) > 1:
        raise InputError(f"{place}: expected one annotation, found {len(annotations)}")
    # Its export writes the name of the tag, then the label's without slashes.
    slashes = re.compile(r"[/\\]")
    known = {f"{CONTROL}-{slashes.sub('-', name)}": n for name, n in classes.by_name.items()}

    def read(size: Size) -> np.ndarray:
        train_ids = np.full(size[::-1], VOID, np.uint8)
        for file, match in sorted(strokes, key=lambda stroke: stroke[0]):
            where = container.described(file)
            if match[3] not in known:
                raise InputError(f"{where}: expected a class of classes.csv, found {match[3]!r}")
            painted = pictures.read_stroke(container.read(file), where, size)
            if (painted & (train_ids != VOID)).any():
                raise InputError(
                    f"{where}: expected pixels that no other class has, found some that one has; "
                    "the JSON export tells which was painted later"
                )
            train_ids[painted] = known[match[3]]
        return train_ids

    return read
