"""Order the target images by a selection strategy's acquisition score.

Inputs   target features (.npy, and the .csv of ids and scores beside it), source anchors
Output   CSV: image_id, rank (from 1), score (higher is picked earlier), anchor
"""

import argparse
from pathlib import Path

import faiss
import numpy as np

from mada.acquisition import STRATEGIES, Pool, ranking
from mada.cli import InputError, StepParser, existing_file, positive_int, run_step
from mada.files import read_csv, read_npy, write_csv
from mada.labels import class_set, class_set_name


def main(args: argparse.Namespace) -> None:
    faiss.omp_set_num_threads(args.threads)
    anchors = read_npy(args.anchors)
    features = read_npy(args.features, columns=anchors.shape[1])
    table = args.features.with_suffix(".csv")
    scores = read_csv(table, ("id", "entropy", "margin", "source_probability"))
    if len(scores) != len(features):
        raise InputError(f"{table}: expected {len(features)} rows, found {len(scores)}")
    pool = Pool(
        features,
        anchors,
        scores,
        categories=len(class_set(args.classes)) if args.distance == "masked" else None,
        rng=np.random.default_rng(args.seed),
    )
    score, anchor = STRATEGIES[args.strategy](pool)
    if not np.isfinite(score).all():
        raise InputError(
            f"{table}: strategy {args.strategy} expected the scores it ranks by, found none "
            f"for {scores['id'][~np.isfinite(score)].iloc[0]} (a model without a discriminator?)"
        )
    write_csv(args.output, ranking(scores["id"], score, anchor))
    print(f"{args.output}: {len(scores)} images ranked by {args.strategy}")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--features", required=True, type=existing_file)
    parser.add_argument("--anchors", required=True, type=existing_file)
    parser.add_argument("--strategy", required=True, choices=sorted(STRATEGIES))
    parser.add_argument("--distance", choices=("full", "masked"), default="full")
    parser.add_argument("--classes", required=True, type=class_set_name)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--threads", type=positive_int, default=1)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
