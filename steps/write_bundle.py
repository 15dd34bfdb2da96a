"""Pack what annotators receive: images, pre-annotations, classes, instructions, a gallery.

Inputs   manifest, pre-annotations (label maps of training ids, void where left to people)
Output   a folder: README.txt, gallery.html, manifest.csv, classes.csv, images/, labels/ (label
         ids), and what is ready to upload for each labelling tool that is asked for
"""

import argparse
from pathlib import Path

import numpy as np

from mada.annotation.bundle import (
    CVAT_TOOL,
    LABEL_STUDIO_TOOL,
    copy_images,
    handed_out,
    write_instructions,
    write_plain,
)
from mada.annotation.classes import annotation_classes
from mada.annotation.cvat import write_cvat
from mada.annotation.gallery import write_gallery
from mada.cli import StepParser, existing_file, run_step
from mada.files import atomic_directory, read_csv
from mada.labels import VOID, class_set_name

TOOLS = {"cvat": CVAT_TOOL, "label-studio": LABEL_STUDIO_TOOL}


def main(args: argparse.Namespace) -> None:
    columns = ("image_id", "image", "rank", "score", "anchor", "width", "height", "sha256")
    manifest = read_csv(args.manifest, columns)
    classes = annotation_classes(args.classes)
    items = handed_out(manifest, args.pre_annotations, args.classes)
    shares = [(item.train_ids() == VOID).mean() for item in items]
    open_share = float(np.average(shares, weights=manifest["width"] * manifest["height"]))
    with atomic_directory(args.output) as folder:
        copy_images(folder, items)
        write_plain(folder, items, classes)
        tools = "".join(text for tool, text in TOOLS.items() if tool in args.tools)
        write_instructions(folder, manifest, classes, tools, open_share)
        write_gallery(folder, items, classes, f"{len(items)} images to label")
        if "cvat" in args.tools:
            write_cvat(folder, items, classes)
        if "label-studio" in args.tools:
            # Its package takes a second to load.
            from mada.annotation.label_studio import write_label_studio

            write_label_studio(folder, items, classes)
    print(f"{args.output}: {len(items)} images, {open_share:.1%} of their pixels left open")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--manifest", required=True, type=existing_file)
    parser.add_argument("--pre-annotations", required=True, type=Path, help="folder of labels/")
    parser.add_argument("--classes", required=True, type=class_set_name)
    parser.add_argument("--tools", nargs="*", default=[], choices=sorted(TOOLS))
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
