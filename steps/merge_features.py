"""Put the shards of an extraction together: features and scores in the order of the index.

Inputs   index; features of every shard in order (.npy, and the .csv of ids and scores beside it)
Outputs  the same two files of all images, as one extraction without shards writes them

Features go from one memory-mapped file to the other without passing through memory of our own.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from mada.cli import InputError, StepParser, existing_file, run_step
from mada.files import atomic_path, read_features, read_index


def main(args: argparse.Namespace) -> None:
    first = read_features(args.features[0])
    width = first[0].shape[1]
    rest = [read_features(path, width) for path in args.features[1:]]
    parts, tables = zip(first, *rest, strict=True)
    expected = read_index(args.images)["id"].to_numpy()
    ids = pd.concat(tables)["id"].to_numpy()
    if len(ids) != len(expected):
        raise InputError(
            f"{args.images}: expected {len(expected)} images in the shards, found {len(ids)}"
        )
    if (ids != expected).any():
        row = np.argmax(ids != expected)
        raise InputError(
            f"{args.images}: row {row}: expected {expected[row]} in the shards, found {ids[row]}"
        )
    with atomic_path(args.output) as partial:
        merged = np.lib.format.open_memmap(partial, "w+", np.float32, (len(ids), width))
        start = 0
        for part in parts:
            merged[start : start + len(part)] = part
            start += len(part)
        merged.flush()
        del merged
        _join([path.with_suffix(".csv") for path in args.features], args.output.with_suffix(".csv"))
    print(f"{args.output}: {len(ids)} images of {len(parts)} shards")


def _join(tables: list[Path], output: Path) -> None:
    """Write the rows of all tables below one header, as text: numbers would be rounded anew."""
    with atomic_path(output) as partial, open(partial, "wb") as joined:
        for number, table in enumerate(tables):
            with open(table, "rb") as file:
                header = file.readline()
                if number == 0:
                    joined.write(header)
                joined.write(file.read())


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--images", required=True, type=existing_file, help="index CSV")
    parser.add_argument("--features", required=True, nargs="+", type=existing_file)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
