"""Say what a selection took and from where: the facts behind the gallery and the report.

Inputs   manifest, features of the pool and of the source (.npy, each with its .csv beside it),
         source anchors, indices of both
Output   JSON: the strategy and its rule in words; how many selected images stand beside another
         selected one in their sequence; of every source anchor how many source, pool and
         selected images are nearest to it, and the source images closest to it; of every selected
         image rank, score, nearest source anchor and distance to it (Eq. 5); quartiles of that
         distance over the pool and the selection

The nearest source anchor is found here for all strategies alike, those too that rank by something
else.
"""

import argparse
import inspect
from pathlib import Path

import faiss
import numpy as np
import pandas as pd

from mada.acquisition import load_strategies
from mada.cli import InputError, StepParser, existing_file, positive_int, run_step
from mada.distances import nearest_anchor
from mada.diversity import adjacent_picks
from mada.files import read_csv, read_features, read_index, read_npy, write_json
from mada.labels import class_set, class_set_name


def places(ids: pd.Series, wanted: pd.Series, where: Path) -> np.ndarray:
    """Row of each wanted id among all ids."""
    found = pd.Index(ids).get_indexer(wanted)
    if (found < 0).any():
        raise InputError(f"{where}: expected an image {wanted[found < 0].iloc[0]!r}, found none")
    return found


def closest(distance: np.ndarray, members: np.ndarray, ids: pd.Series, count: int) -> list[str]:
    """Ids of the members nearest to their anchor, ties by id."""
    order = np.lexsort((ids.to_numpy(str)[members], distance[members]))
    return ids.iloc[members[order[:count]]].tolist()


def quartiles(distance: np.ndarray) -> list[float]:
    return [float(value) for value in np.quantile(distance, (0.25, 0.5, 0.75))]


def rule_in_words(strategy: str) -> str:
    """First paragraph of what the strategy says of itself."""
    text = inspect.getdoc(load_strategies()[strategy]) or ""
    return " ".join(text.split("\n\n")[0].replace("``", "").split())


def described_anchors(
    nearest: dict[str, np.ndarray], count: int, shown: list[list[str]], files: pd.Series
) -> list[dict]:
    """What lies at each of ``count`` anchors.

    Parameters
    ----------
    nearest : dict
        ``source``, ``pool`` and ``selected``: the anchor of each image.
    shown : list of list of str
        Ids of the source images to name at each anchor.
    files : pd.Series
        Source image by id.
    """
    counts = {name: np.bincount(anchor, minlength=count) for name, anchor in nearest.items()}
    return [
        {f"{name}_images": int(numbers[n]) for name, numbers in counts.items()}
        | {"closest_source_images": [{"image_id": i, "image": files[i]} for i in shown[n]]}
        for n in range(count)
    ]


def main(args: argparse.Namespace) -> None:
    faiss.omp_set_num_threads(args.threads)
    anchors = read_npy(args.anchors)
    pool, pool_table = read_features(args.features, anchors.shape[1])
    source, source_table = read_features(args.source_features, anchors.shape[1])
    pool_ids, source_ids = pool_table["id"], source_table["id"]
    columns = ["image_id", "image", "rank", "score"]
    manifest = read_csv(args.manifest, tuple(columns))
    taken = places(pool_ids, manifest["image_id"], args.features.with_suffix(".csv"))
    files = read_index(args.source).set_index("id")["image"]
    places(files.index.to_series(), source_ids, args.source)
    categories = len(class_set(args.classes)) if args.distance == "masked" else None
    distance, anchor = nearest_anchor(pool, anchors, categories)
    source_distance, source_anchor = nearest_anchor(source, anchors, categories)
    nearest = {"source": source_anchor, "pool": anchor, "selected": anchor[taken]}
    shown = [
        closest(source_distance, np.flatnonzero(source_anchor == n), source_ids, args.closest)
        for n in range(len(anchors))
    ]
    described = {
        "strategy": args.strategy,
        "rule": rule_in_words(args.strategy),
        "pool_images": len(pool),
        "adjacent_picks": adjacent_picks(read_index(args.target), manifest["image_id"]),
        "anchors": described_anchors(nearest, len(anchors), shown, files),
        "selected": [
            row | {"anchor": int(anchor[place]), "distance": float(distance[place])}
            for row, place in zip(manifest[columns].to_dict("records"), taken, strict=True)
        ],
        "pool_distance_quartiles": quartiles(distance),
        "selected_distance_quartiles": quartiles(distance[taken]),
    }
    write_json(args.output, described)
    print(f"{args.output}: {len(taken)} of {len(pool)} images")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--manifest", required=True, type=existing_file)
    parser.add_argument("--strategy", required=True, choices=sorted(load_strategies()))
    parser.add_argument("--features", required=True, type=existing_file)
    parser.add_argument("--source-features", required=True, type=existing_file)
    parser.add_argument("--anchors", required=True, type=existing_file)
    parser.add_argument("--source", required=True, type=existing_file, help="index")
    parser.add_argument("--target", required=True, type=existing_file, help="index of the pool")
    parser.add_argument("--classes", required=True, type=class_set_name)
    parser.add_argument("--distance", choices=("full", "masked"), default="full")
    parser.add_argument("--closest", type=positive_int, default=3, help="source images an anchor")
    parser.add_argument("--threads", type=positive_int, default=1)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
