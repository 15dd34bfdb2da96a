"""What annotators receive: images, pre-annotations, classes, instructions."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from mada.annotation.classes import UNLABELLED_COLOUR, AnnotationClasses
from mada.files import write_csv
from mada.labels import VOID, read_label, train_id_table

IMAGES, LABELS = "images", "labels"
README = """\
{count} images to label

What lies here

  gallery.html    all images with their pre-annotations; open it in a browser first
  images/         the images
  labels/         the pre-annotations: one label map an image, named like it, ending .png
  classes.csv     the classes: name, label id, colour
  manifest.csv    the images in order of rank, the most useful first: labels that stop half way
                  are best spent from the top
{tools}
What to do

  Give every pixel one of the classes below. The pre-annotation is a model's guess: correct it
  where it is wrong, and paint what it left open, {open:.0%} of the pixels, where it was unsure.
  Wrong guesses look as sure as right ones, so look at the whole image.

What stays unlabelled

  Leave a pixel unlabelled (id {void}, black) if it belongs to none of the classes, if you cannot
  tell which, or if it is part of what took the picture: a bonnet, a frame, a reflection. Nothing
  is learnt from such pixels, so where you can tell, label. An edge between two classes belongs
  to the one in front; do not leave a seam.

Classes

  label id   colour (red green blue)   name
{classes}

How to hand it back

  Any of these, as a folder or a zip file as the tool writes it; do not mix two for one image.

  Plain     a PNG for every image, exactly as large, of one channel that holds label ids, or in
            the colours above. No half-transparent brush, no smoothing: a colour in between is
            no class.
  CVAT      export as "Segmentation mask 1.1", or "Cityscapes 1.0".
  Label Studio
            export as JSON, one annotation a task. Brush labels as PNG need that JSON beside
            them, since their names say no image.
"""
CVAT_TOOL = """\
  cvat/           for CVAT: make a task with the labels of labels.json (paste them under "Raw")
                  and the images of images.zip, then upload pre-annotations.zip as
                  "Segmentation mask 1.1". Its label "background" is what stays unlabelled.
"""
LABEL_STUDIO_TOOL = """\
  label_studio/   for Label Studio: start it with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and
                  LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=<this folder>, make a project with
                  config.xml as its labelling interface, add images/ as local storage without
                  syncing it, and import tasks.json. What is painted later lies above.
"""


@dataclass(frozen=True)
class HandedOut:
    """One image of a bundle.

    Attributes
    ----------
    row : tuple
        Its row of the manifest.
    image : Path
        The image in the bundle, relative to it.
    pre_annotation : Path
        Its label map of training ids.
    class_set : str
    """

    row: tuple
    image: Path
    pre_annotation: Path
    class_set: str

    @property
    def image_id(self) -> str:
        return self.row.image_id

    def train_ids(self) -> np.ndarray:
        """The pre-annotation (H, W) uint8, ``VOID`` where it is left to people.

        Raises
        ------
        InputError
            If it cannot be read or does not fit its image.
        """
        table = train_id_table("train-ids", self.class_set)
        return read_label(self.pre_annotation, table, (self.row.width, self.row.height))


def handed_out(manifest: pd.DataFrame, pre_annotations: Path, class_set: str) -> list[HandedOut]:
    """The images of a manifest with their pre-annotations, in its order."""
    return [
        HandedOut(
            row,
            image_place(row.image_id, row.image),
            pre_annotations / LABELS / f"{row.image_id}.png",
            class_set,
        )
        for row in manifest.itertuples(index=False)
    ]


def id_map(train_ids: np.ndarray, classes: AnnotationClasses) -> Image.Image:
    """Paletted image of label ids that shows the classes' colours."""
    image = Image.fromarray(classes.label_ids(train_ids), mode="P")
    image.putpalette(classes.palette())
    return image


def save_id_map(path: Path, train_ids: np.ndarray, classes: AnnotationClasses) -> None:
    """Write a plain label map, with the folders that its name asks for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    id_map(train_ids, classes).save(path)


def class_table(classes: AnnotationClasses) -> pd.DataFrame:
    """Name, label id, training id and colour of every class, unlabelled pixels last."""
    table = pd.DataFrame([*classes.colours, UNLABELLED_COLOUR], columns=["red", "green", "blue"])
    table.insert(0, "name", [*classes.names, "unlabelled"])
    table.insert(1, "id", [*classes.ids, classes.void_id])
    table.insert(2, "train_id", [*range(len(classes)), VOID])
    return table


def bundled_manifest(manifest: pd.DataFrame) -> pd.DataFrame:
    """The manifest with each image's place in the bundle instead of where it came from."""
    places = [image_place(row.image_id, row.image) for row in manifest.itertuples()]
    return manifest.assign(image=[place.as_posix() for place in places])


def image_place(image_id: str, image: str) -> Path:
    """Where an image lies in a bundle; unlike its file's name its id is its own."""
    return Path(IMAGES) / (image_id + Path(image).suffix)


def write_plain(folder: Path, items: Sequence[HandedOut], classes: AnnotationClasses) -> None:
    """Write pre-annotations as label maps of label ids."""
    for item in items:
        save_id_map(folder / LABELS / f"{item.image_id}.png", item.train_ids(), classes)


def copy_images(folder: Path, items: Sequence[HandedOut]) -> None:
    """Copy the images, byte by byte, under names that follow their ids."""
    for item in items:
        copy = folder / item.image
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(item.row.image, copy)


def write_instructions(
    folder: Path,
    manifest: pd.DataFrame,
    classes: AnnotationClasses,
    tools: str,
    open_share: float,
) -> None:
    """Write README.txt, classes.csv and manifest.csv."""
    table = class_table(classes)
    write_csv(folder / "classes.csv", table)
    write_csv(folder / "manifest.csv", bundled_manifest(manifest))
    lines = [
        f"  {row.id:8d}   {f'{row.red:3d} {row.green:3d} {row.blue:3d}':23s}   {row.name}"
        for row in table.itertuples(index=False)
    ]
    text = README.format(
        count=len(manifest),
        tools=tools,
        open=open_share,
        void=classes.void_id,
        classes="\n".join(lines),
    )
    (folder / "README.txt").write_text(text, encoding="utf-8")
