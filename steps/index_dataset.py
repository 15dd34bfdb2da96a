"""List one split of a data set and check every file of it.

Inputs   a data set's root folder in one of the known layouts
Output   CSV: id, image, [label,] width, height, sequence, frame; one row per image, by id;
         width and height are those of the upright image, as are its label's

All bad files are named at once, before anything trains on them: unreadable or truncated
images, 16-bit images, missing labels, labels of another size than their image, label values
outside the class table.  With ``--labels none`` no label file is opened or even looked for, and
the table has no label column: that is how target training images are indexed.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from mada.cli import InputError, StepParser, positive_int, progress, refuse, run_step
from mada.files import write_csv
from mada.images import read_image
from mada.labels import class_set_name, read_label
from mada.layouts import SPLITS, Item, add_arguments, label_table, list_items


def check_item(item: Item, table: np.ndarray | None) -> tuple[tuple[int, int], str | None]:
    """Decode an image, and its label given a ``table``; return (width, height) and a problem."""
    try:
        width, height = read_image(item.image).size
        if table is not None:
            if not item.label.is_file():
                raise InputError(f"{item.image}: expected a label at {item.label}, found none")
            read_label(item.label, table, (width, height))
    except InputError as error:
        return (0, 0), str(error)
    return (width, height), None


def main(args: argparse.Namespace) -> None:
    items = list_items(args.layout, args.root, args.split, args.image_glob, args.label_glob)
    without = [item for item in items if item.label is None]
    if without and args.labels == "required":
        raise InputError(f"label glob: expected a pattern of labels, found {args.label_glob!r}")
    labelled = args.labels == "required" or (
        args.labels == "optional" and any(item.label and item.label.is_file() for item in items)
    )
    table = label_table(args.layout, args.classes) if labelled else None
    with ProcessPoolExecutor(args.workers) as pool:
        checks = pool.map(partial(check_item, table=table), items, chunksize=16)
        checked = list(progress(checks, "checking images", total=len(items)))
    refuse([problem for _, problem in checked if problem], str(args.root))
    columns = {"id": [item.id for item in items], "image": [os.fspath(i.image) for i in items]}
    if labelled:
        columns["label"] = [os.fspath(item.label) for item in items]
    columns["width"], columns["height"] = zip(*(size for size, _ in checked), strict=True)
    columns["sequence"] = [item.sequence for item in items]
    columns["frame"] = [item.frame for item in items]
    write_csv(args.output, pd.DataFrame(columns))
    print(f"{args.output}: {len(items)} images{', with labels' if labelled else ''}")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    add_arguments(parser)
    parser.add_argument("--split", required=True, choices=SPLITS)
    parser.add_argument(
        "--classes", required=True, type=class_set_name, help="what the labels are read as"
    )
    parser.add_argument("--labels", required=True, choices=("required", "optional", "none"))
    parser.add_argument("--workers", type=positive_int, default=1)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
