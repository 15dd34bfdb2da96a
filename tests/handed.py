"""Images handed out for annotation, labels that people give them, and what their tools write."""

import hashlib
import json
import zipfile
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pandas as pd
from PIL import Image

from mada.annotation.classes import annotation_classes
from mada.labels import VOID, class_set, save_label

# Names that tools stumble over: spaces, letters beyond ASCII, dots, one name in two folders.
IMAGES = {
    "day/a b": (48, 32),
    "night/a b": (48, 32),
    "Größe/ü": (48, 32),
    "day/c.d": (40, 24),
}
# A class that CVAT's own label is called, one in the colour of unlabelled pixels, and a colon.
TABLE = [
    {"name": "background", "ids": [3], "colour": [10, 20, 30]},
    {"name": "black ice", "ids": [1, 2], "colour": [0, 0, 0]},
    {"name": "sign: stop", "ids": [9], "colour": [200, 0, 0]},
    {"name": "tree", "ids": [0], "colour": [0, 200, 0]},
]


def write_class_table(folder: Path, rows: list[dict] = TABLE, void_ids: tuple = (7,)) -> str:
    path = folder / "classes.json"
    path.write_text(json.dumps({"classes": rows, "void_ids": list(void_ids)}))
    return str(path)


def blobs(rng: np.random.Generator, size: tuple[int, int], classes: int) -> np.ndarray:
    """Random labels (H, W) uint8 in patches; about a tenth is void."""
    width, height = size
    small = rng.integers(0, classes, (height // 8, width // 8)).astype(np.uint8)
    small[rng.random(small.shape) < 0.1] = VOID
    return small.repeat(8, axis=0).repeat(8, axis=1)


def hand_out(folder: Path, classes: str, rng: np.random.Generator, images=IMAGES):
    """Write images, manifest, index and pre-annotations; return where, and people's labels.

    Each pre-annotation is what people will paint, part of it open and part of it wrong.
    """
    count = len(class_set(classes))
    labels, rows = {}, []
    for rank, (image_id, size) in enumerate(images.items(), start=1):
        image = folder / "photographs" / f"{image_id}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).save(image)
        label = blobs(rng, size, count)
        guess = label.copy()
        guess[: size[1] // 4] = VOID
        guess[-4:] = (guess[-4:] + 1) % count
        save_label(folder / "pre_annotations/labels" / f"{image_id}.png", guess, classes)
        labels[image_id] = label
        digest = hashlib.sha256(image.read_bytes()).hexdigest()
        row = {"image_id": image_id, "image": str(image), "rank": rank, "score": 1 / rank}
        rows.append(row | {"anchor": 0, "width": size[0], "height": size[1], "sha256": digest})
    manifest = pd.DataFrame(rows)
    manifest.to_csv(folder / "manifest.csv", index=False)
    index = manifest[["image_id", "image", "width", "height"]].rename(columns={"image_id": "id"})
    index.assign(sequence="", frame=0).to_csv(folder / "index.csv", index=False)
    (folder / "returned").mkdir()
    return SimpleNamespace(
        folder=folder,
        returned=folder / "returned",
        class_set=classes,
        classes=annotation_classes(classes),
        labels=labels,
        sizes=images,
    )


def write_plain(folder: Path, labels: dict[str, np.ndarray], values, mode: str = "L") -> None:
    """Label maps as people save them: ``values`` maps training ids (H, W) to what is stored."""
    for image_id, label in labels.items():
        path = folder / f"{image_id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values(label), mode=mode).save(path)


def _dataset(labels: dict[str, np.ndarray], names: list[str]):
    """Masks as CVAT has them, one a class, of items called by path."""
    import datumaro as dm

    items = []
    for image_id, label in labels.items():
        masks = [
            dm.Mask(label == n, label=place, group=place)
            for place, n in enumerate([VOID, *range(len(names) - 1)])
            if place and (label == n).any()
        ]
        items.append(dm.DatasetItem(image_id, subset="default", annotations=masks))
    return dm.Dataset.from_iterable(items, categories=names, media_type=dm.Image)


def write_cvat(folder: Path, handed, labels: dict[str, np.ndarray], colours=None) -> None:
    """What CVAT's "Segmentation mask 1.1" export writes, by the library that CVAT writes it with.

    CVAT declares its labels' colours itself: ``colours`` need not be those of the class table.
    """
    names = ["background", *handed.classes.names]
    colours = colours or handed.classes.colours
    declared = {n: [c, [], []] for n, c in zip(names, [(0, 0, 0), *colours], strict=True)}
    dataset = _dataset(labels, names)
    dataset.export(str(folder), "voc_segmentation", apply_colormap=True, label_map=declared)


def write_cityscapes(folder: Path, handed, labels: dict[str, np.ndarray]) -> None:
    """What CVAT's "Cityscapes 1.0" export writes."""
    from datumaro.plugins.data_formats.cityscapes import CityscapesExporter

    names = ["background", *handed.classes.names]
    declared = dict(zip(names, [(0, 0, 0), *handed.classes.colours], strict=True))
    dataset = _dataset(labels, names)

    def save_mask(self, path, mask, dtype=np.uint8, **settings):
        # Pillow writes no 32-bit PNGs any more, which it would of the instances.
        save(self, path, mask, dtype=np.uint16 if dtype == np.int32 else dtype, **settings)

    save = CityscapesExporter.save_mask
    with mock.patch.object(CityscapesExporter, "save_mask", save_mask):
        dataset.export(str(folder), "cityscapes", apply_colormap=True, label_map=declared)


def label_studio_tasks(handed, labels: dict[str, np.ndarray]) -> list[dict]:
    """Label Studio's JSON export, with strokes packed by its own converter."""
    from label_studio_sdk.converter.brush import mask2rle

    tasks = []
    for number, (image_id, label) in enumerate(labels.items(), start=11):
        height, width = label.shape
        regions = []
        for n, name in enumerate(handed.classes.names):
            stroke = np.uint8(label == n) * 255
            if stroke.any():
                value = {"format": "rle", "rle": list(map(int, mask2rle(stroke)))}
                region = {"id": f"r{n}", "type": "brushlabels", "origin": "manual"}
                region |= {"from_name": "label", "to_name": "image", "image_rotation": 0}
                region |= {"original_width": width, "original_height": height}
                regions.append(region | {"value": value | {"brushlabels": [name]}})
        data = {"image": "/data/local-files/?d=x", "image_id": image_id}
        annotation = {"id": 70 + number, "completed_by": 1, "result": regions}
        annotation |= {"was_cancelled": False, "ground_truth": False}
        tasks.append({"id": number, "data": data, "annotations": [annotation]})
    return tasks


def zipped(folder: Path, archive: Path) -> None:
    """Zip a folder as tools do, names relative to it."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                file.write(path, path.relative_to(folder).as_posix())


def collect_arguments(handed, *more: object) -> list[str]:
    """Command line of collect_returned."""
    folder = handed.folder
    words = ["--manifest", folder / "manifest.csv", "--index", folder / "index.csv"]
    words += ["--pre-annotations", folder / "pre_annotations", "--returned", handed.returned]
    words += ["--classes", handed.class_set, "--output", folder / "annotations"]
    return [str(word) for word in (*words, *more)]


def collected(handed) -> dict[str, np.ndarray]:
    """Training ids that were taken over, by image id."""
    found = {}
    for row in pd.read_csv(handed.folder / "annotations/index.csv").itertuples():
        with Image.open(row.label) as label:
            found[row.id] = np.array(label)
    return found
