"""Cluster a domain's image-level features into anchors with K-means (Eqs. 2 and 3).

Input    features (N x C·D float32 .npy, with their .csv beside), of source or target alike
Outputs  anchors (K x C·D float32 .npy), and beside it <stem>.csv (the anchor of each image)
         and <stem>-objective.csv (Eq. 2 after each iteration, squared units of the features)
"""

import argparse
from pathlib import Path

import faiss
import pandas as pd

from mada.anchors import cluster
from mada.cli import InputError, StepParser, existing_file, positive_int, run_step
from mada.files import read_features, write_csv, write_npy


def main(args: argparse.Namespace) -> None:
    faiss.omp_set_num_threads(args.threads)
    features, images = read_features(args.features)
    if args.count > len(features):
        raise InputError(
            f"{args.features}: expected at least as many images as anchors, "
            f"found {len(features)} images for {args.count} anchors"
        )
    anchors, assignment, objective = cluster(features, args.count, args.seed)
    write_csv(args.assignments, pd.DataFrame({"image_id": images["id"], "anchor": assignment}))
    write_csv(
        args.objective,
        pd.DataFrame({"iteration": range(1, len(objective) + 1), "objective": objective}),
    )
    write_npy(args.output, anchors)
    print(f"{args.output}: {args.count} anchors of {len(features)} images")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--features", required=True, type=existing_file)
    parser.add_argument("--count", required=True, type=positive_int, help="K, or V for the target")
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--threads", type=positive_int, default=1)
    parser.add_argument("--assignments", required=True, type=Path)
    parser.add_argument("--objective", required=True, type=Path)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
