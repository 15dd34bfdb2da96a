"""List one split of a data set and check every file of it.

Inputs   a data set's root folder in one of the known layouts
Output   CSV: id, image, [label,] width, height, sequence, frame; one row per image, by id

All bad files are named at once, before anything trains on them: unreadable or truncated
images, missing labels, labels of another size than their image, label values outside the class
table.  With ``--labels none`` no label file is opened or even looked for, and the table has no
label column: that is how target training images are indexed.
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
from mada.labels import read_label, read_pixels, train_id_table
from mada.layouts import LAYOUTS, SPLITS, Item, list_items


def check_item(item: Item, table: np.ndarray | None) -> tuple[tuple[int, int], str | None]:
    """Decode an image, and its label given a ``table``; return (width, height) and a problem."""
    try:
        height, width = read_pixels(item.image).shape[:2]
        if table is not None:
            if not item.label.is_file():
                raise InputError(f"{item.image}: expected a label at {item.label}, found none")
            label = read_label(item.label, table)
            if label.shape != (height, width):
                raise InputError(
                    f"{item.label}: expected {width}x{height} pixels like its image, "
                    f"found {label.shape[1]}x{label.shape[0]}"
                )
    except InputError as error:
        return (0, 0), str(error)
    return (width, height), None


def main(args: argparse.Namespace) -> None:
    items = list_items(args.layout, args.root, args.split)
    labelled = args.labels == "required" or (
        args.labels == "optional" and any(item.label.is_file() for item in items)
    )
    table = train_id_table(LAYOUTS[args.layout].encoding, args.classes) if labelled else None
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
    parser.add_argument("--layout", required=True, choices=sorted(LAYOUTS))
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument("--split", required=True, choices=SPLITS)
    parser.add_argument("--classes", required=True, help="class set the labels are read as")
    parser.add_argument("--labels", required=True, choices=("required", "optional", "none"))
    parser.add_argument("--workers", type=positive_int, default=1)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
