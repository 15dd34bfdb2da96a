"""Measure how the active samples lie in the pool, to compare selection strategies by.

Inputs   manifests of all rounds, target index, target features by the warm-up
Output   JSON: the numbers of images and of picks; adjacent_picks, picks that stand beside another
         pick in their sequence; coverage, the mean Euclidean distance of the pool to its nearest
         pick in image-level features; coverage_by_category, the same with every category's block
         of the features at unit length
"""

import argparse
from pathlib import Path

import faiss
import numpy as np

from mada.cli import InputError, StepParser, existing_file, positive_int, run_step
from mada.covering import normalised_by_category
from mada.diversity import adjacent_picks, coverage
from mada.files import read_csv, read_features, read_index, write_json
from mada.labels import class_set, class_set_name


def main(args: argparse.Namespace) -> None:
    faiss.omp_set_num_threads(args.threads)
    selected = {path: read_csv(path, ("image_id",))["image_id"] for path in args.manifest}
    index = read_index(args.index)
    categories = len(class_set(args.classes))
    features, table = read_features(args.features, categories=categories)
    ids = table["id"]
    for path, names in (selected | {args.index: index["id"]}).items():
        strangers = sorted(set(names) - set(ids))
        if strangers:
            raise InputError(f"{path}: expected images of {args.features}, found {strangers[0]!r}")
        if names.empty:
            raise InputError(f"{path}: expected at least one image, found none")
    active = {name for names in selected.values() for name in names}
    picks = np.flatnonzero(ids.isin(active))
    by_category = normalised_by_category(features, categories)
    measures = {
        "images": len(ids),
        "picks": len(picks),
        "adjacent_picks": adjacent_picks(index, active),
        "coverage": coverage(features, picks),
        "coverage_by_category": coverage(by_category, picks),
    }
    write_json(args.output, measures)
    print(f"{args.output}: {measures}")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--manifest", required=True, nargs="+", type=existing_file)
    parser.add_argument("--index", required=True, type=existing_file)
    parser.add_argument("--features", required=True, type=existing_file)
    parser.add_argument("--classes", required=True, type=class_set_name)
    parser.add_argument("--threads", type=positive_int, default=1)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
