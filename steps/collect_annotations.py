"""Collect the label maps of the active samples and check each of them.

Inputs   manifest, target index, root of the target data set: a benchmark has its own labels
Outputs  a folder of label maps (8-bit PNG of training ids) and index.csv in it

This is the only step that opens a label of a target training image, and only for the ids of
the manifest.  What annotators hand back is collected by collect_returned.
"""

import argparse
from pathlib import Path

from mada.cli import InputError, StepParser, existing_file, progress, refuse, run_step
from mada.files import atomic_directory, read_csv, read_index, write_csv
from mada.labels import class_set_name, read_label, save_label
from mada.layouts import SPLITS, add_arguments, label_table, list_items
from mada.manifest import annotation_index


def main(args: argparse.Namespace) -> None:
    manifest = read_csv(args.manifest, ("image_id", "width", "height"))
    listed = list_items(args.layout, args.root, args.split, args.image_glob, args.label_glob)
    items = {item.id: item for item in listed}
    table = label_table(args.layout, args.classes)
    index = read_index(args.index)
    indexed = set(index["id"])
    problems = []
    with atomic_directory(args.output) as folder:
        for row in progress(list(manifest.itertuples()), "collecting labels"):
            try:
                if row.image_id not in items:
                    raise InputError(
                        f"{args.manifest}: {row.image_id}: no such image in {args.root}"
                    )
                if row.image_id not in indexed:
                    raise InputError(
                        f"{args.manifest}: {row.image_id}: no such image in {args.index}"
                    )
                path = items[row.image_id].label
                if path is None or not path.is_file():
                    place = f"at {path}" if path else f"by label glob {args.label_glob!r}"
                    raise InputError(f"{args.manifest}: {row.image_id}: no label {place}")
                label = read_label(path, table, (row.width, row.height))
                save_label(folder / f"labels/{row.image_id}.png", label, args.classes)
            except InputError as error:
                problems.append(str(error))
        refuse(problems, str(args.manifest))
        chosen = annotation_index(index, manifest["image_id"], args.output)
        write_csv(folder / "index.csv", chosen)
    print(f"{args.output}: {len(chosen)} label maps")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--manifest", required=True, type=existing_file)
    parser.add_argument("--index", required=True, type=existing_file)
    add_arguments(parser)
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--classes", required=True, type=class_set_name)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
