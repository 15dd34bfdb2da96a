"""Order the target images by a selection strategy's acquisition score.

Inputs   target features (.npy, and the .csv of ids and scores beside it); source anchors for
         strategies that look at them; the budget and lists of ids for strategies that choose a
         set, whose order holds for that budget alone
Output   CSV: image_id, rank (from 1), score (higher is picked earlier), anchor
"""

import argparse
import tempfile
from pathlib import Path

import faiss
import numpy as np
import pandas as pd

from mada.acquisition import (
    NEED_ANCHORS,
    PER_BUDGET,
    Acquisition,
    Pool,
    load_strategies,
    pair_problems,
    ranking,
)
from mada.cli import InputError, StepParser, existing_file, positive_int, refuse, run_step
from mada.distances import blocks
from mada.files import read_csv, read_features, read_npy, write_csv
from mada.labels import class_set, class_set_name
from mada.manifest import add_lists, budget_count, check_lists, read_ids


def main(args: argparse.Namespace) -> None:
    faiss.omp_set_num_threads(args.threads)
    categories = len(class_set(args.classes))
    if args.strategy in NEED_ANCHORS and args.anchors is None:
        raise InputError(f"anchors: {args.strategy} expected source anchors, found none")
    features, scores = read_features(
        args.features,
        categories=categories,
        described=("id", "entropy", "margin", "source_probability"),
    )
    refuse(pair_problems([args.strategy], len(features)), args.features)
    anchors = None if args.anchors is None else read_npy(args.anchors, features.shape[1])
    if not scores["id"].is_monotonic_increasing:  # what is equally good goes by id
        order = scores["id"].argsort(kind="stable").to_numpy()
        features = in_order(features, order, args.output.parent)
        scores = scores.iloc[order].reset_index(drop=True)
    if args.strategy in PER_BUDGET and args.budget is None:
        raise InputError(f"budget: expected one, since {args.strategy} chooses a set; found none")
    exclude, include = set(read_ids(args.exclude)), set(read_ids(args.include))
    labelled = {i for path in args.earlier for i in read_csv(path, ("id",))["id"]}
    count = 0
    if args.budget is not None:
        count = budget_count(args.budget, len(scores), len(exclude | labelled))
        check_lists(set(scores["id"]), count, exclude | labelled, include)
    pool = Pool(
        features,
        anchors,
        scores,
        categories=categories,
        masked=args.distance == "masked",
        seed=args.seed,
        wanted=max(0, count - len(include)),
        taken=scores["id"].isin(include | labelled).to_numpy(),
        barred=scores["id"].isin(exclude - labelled).to_numpy(),
    )
    score, anchor = checked(args.strategy, load_strategies()[args.strategy](pool), scores["id"])
    if not np.isfinite(score).all():
        row = scores[~np.isfinite(score)].iloc[0]
        unjudged = " (a model without a discriminator?)" if row.isna().any() else ""
        raise InputError(
            f"{args.features.with_suffix('.csv')}: strategy {args.strategy} expected a finite "
            f"score of every image, found none for {row['id']}{unjudged}"
        )
    write_csv(args.output, ranking(scores["id"], score, anchor))
    print(f"{args.output}: {len(scores)} images ranked by {args.strategy}")


def checked(name: str, found: Acquisition, ids: pd.Series) -> Acquisition:
    """Return what a strategy returned, if it is one score an image and one anchor or none."""
    if not isinstance(found, tuple) or len(found) != 2:
        raise InputError(
            f"strategy {name}: expected a pair, of scores and of anchors or None, "
            f"found {type(found).__name__}"
        )
    for kind, values in zip(("scores", "anchors"), found, strict=True):
        if (kind == "scores" or values is not None) and np.shape(values) != ids.shape:
            raise InputError(
                f"strategy {name}: expected {kind} of shape {ids.shape}, one an image, "
                f"found {np.shape(values)}"
            )
    return found


def in_order(features: np.ndarray, order: np.ndarray, folder: Path) -> np.ndarray:
    """Return features with their rows in another order, in a nameless file: memory may not do."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        ordered = np.memmap(file, np.float32, "w+", shape=features.shape)
    for place, _ in blocks(ordered):
        ordered[place] = features[order[place]]
    return ordered


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--features", required=True, type=existing_file)
    parser.add_argument("--anchors", type=existing_file, help="of the source (.npy)")
    parser.add_argument("--strategy", required=True, choices=sorted(load_strategies()))
    parser.add_argument("--distance", choices=("full", "masked"), default="full")
    parser.add_argument("--classes", required=True, type=class_set_name)
    parser.add_argument("--budget", help="a share like 5%% or a count like 16")
    add_lists(parser)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--threads", type=positive_int, default=1)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
