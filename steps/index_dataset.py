"""List one split of a data set and check every file of it.

Inputs   a data set's root folder in one of the known layouts
Output   CSV: id, image, [label,] width, height, sequence, frame; one row per image, by id;
         width and height are those of the upright image, as are its label's

All bad files are named at once, before anything trains on them: unreadable or truncated
images, 16-bit images, missing labels, labels of another size than their image, label values
outside the class table.  ``--skip-mismatched-labels`` leaves images out whose label has another
size, names them and counts them.  With ``--labels none`` no label file is opened or even looked
for, and the table has no label column: that is how target training images are indexed.
``--check-splits`` checks other splits of the data set too, with their labels, which are named
together with this one's and keep its table from being written.
"""

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from mada.cli import InputError, StepParser, positive_int, progress, refuse, run_step
from mada.files import write_csv
from mada.images import read_image
from mada.labels import LabelSizeError, class_set_name, read_label
from mada.layouts import SPLITS, Item, add_arguments, label_table, list_items, passed_over


def check_item(item: Item, table: np.ndarray | None) -> tuple[tuple[int, int], InputError | None]:
    """Decode an image, and its label given a ``table``; return (width, height) and a problem."""
    try:
        width, height = read_image(item.image).size
        if table is not None:
            if not item.label.is_file():
                raise InputError(f"{item.image}: expected a label at {item.label}, found none")
            read_label(item.label, table, (width, height))
    except InputError as error:
        return (0, 0), error
    return (width, height), None


def without_mismatched(checked: list[tuple], skip: bool) -> list[tuple]:
    """Leave out of (item, size, problem) those whose label has another size, if that is asked for.

    Each of them is named; where they are to stay, the way to leave them out is.
    """
    mismatched = [isinstance(problem, LabelSizeError) for _, _, problem in checked]
    if not any(mismatched):
        return checked
    if not skip:
        hint = f"{sum(mismatched)} labels of another size than their image: for the source, "
        print(f"{hint}skip_mismatched_labels: true leaves those images out", file=sys.stderr)
        return checked
    left_out = [row for row, wrong in zip(checked, mismatched, strict=True) if wrong]
    for _, _, problem in left_out:
        print(f"left out: {problem}", file=sys.stderr)
    ids = ", ".join(item.id for item, _, _ in left_out)
    print(f"{len(left_out)} images left out, whose labels have another size: {ids}")
    return [row for row, wrong in zip(checked, mismatched, strict=True) if not wrong]


def check_split(args: argparse.Namespace, split: str, labels: str) -> tuple[bool, list[tuple]]:
    """Return whether a split has labels, and (item, size, problem) of each of its images."""
    items = list_items(args.layout, args.root, split, args.image_glob, args.label_glob)
    without = [item for item in items if item.label is None]
    if without and labels == "required":
        raise InputError(f"label glob: expected a pattern of labels, found {args.label_glob!r}")
    labelled = labels == "required" or (
        labels == "optional" and any(item.label and item.label.is_file() for item in items)
    )
    table = label_table(args.layout, args.classes) if labelled else None
    with ProcessPoolExecutor(args.workers) as pool:
        checks = pool.map(partial(check_item, table=table), items, chunksize=16)
        found = list(progress(checks, f"checking images, {split}", total=len(items)))
    return labelled, [(item, *result) for item, result in zip(items, found, strict=True)]


def main(args: argparse.Namespace) -> None:
    labelled, checked = check_split(args, args.split, args.labels)
    checked = without_mismatched(checked, args.skip_mismatched_labels)
    besides = [
        row for split in args.check_splits for row in check_split(args, split, "required")[1]
    ]
    refuse([str(problem) for *_, problem in checked + besides if problem], str(args.root))
    if not checked:
        raise InputError(f"{args.root}: expected labels of their image's size, found none")
    items, sizes, _ = zip(*checked, strict=True)
    columns = {"id": [item.id for item in items], "image": [os.fspath(i.image) for i in items]}
    if labelled:
        columns["label"] = [os.fspath(item.label) for item in items]
    columns["width"], columns["height"] = zip(*sizes, strict=True)
    columns["sequence"] = [item.sequence for item in items]
    columns["frame"] = [item.frame for item in items]
    write_csv(args.output, pd.DataFrame(columns))
    print(f"{args.output}: {len(items)} images{', with labels' if labelled else ''}")
    others = passed_over(args.layout, args.root, args.split, args.image_glob)
    if others:
        print(f"{args.root}: passed over {others}: no images that can be read")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    add_arguments(parser)
    parser.add_argument("--split", required=True, choices=SPLITS)
    parser.add_argument(
        "--classes", required=True, type=class_set_name, help="what the labels are read as"
    )
    parser.add_argument("--labels", required=True, choices=("required", "optional", "none"))
    parser.add_argument(
        "--skip-mismatched-labels", action=argparse.BooleanOptionalAction, default=False
    )
    parser.add_argument(
        "--check-splits", nargs="+", choices=SPLITS, default=[], help="others to check, with labels"
    )
    parser.add_argument("--workers", type=positive_int, default=1)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
