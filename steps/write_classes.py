"""Check the class table of the configuration and write it as a file.

Inputs   the table as JSON text, a row per class in order of training id: name, colour (red,
         green, blue), ids (values in the data set's own label files), cityscapes (names of the
         Cityscapes classes that it takes in); the values that stand for void
Output   classes.json: classes and void_ids; the other steps take its path as --classes
"""

import argparse
import json
from pathlib import Path

from mada.class_tables import as_rows, checked_class_set
from mada.cli import InputError, StepParser, run_step
from mada.files import write_json


def main(args: argparse.Namespace) -> None:
    try:
        table = json.loads(args.table)
    except ValueError as error:
        raise InputError(f"class table: expected JSON, found {error}") from error
    classes = checked_class_set(table, args.void_ids, "the class table")
    write_json(args.output, {"classes": as_rows(classes), "void_ids": list(classes.void_ids)})
    print(f"{args.output}: {len(classes)} classes")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--table", required=True, help="JSON text: a list of classes")
    parser.add_argument("--void-ids", nargs="*", type=int, default=[])
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
