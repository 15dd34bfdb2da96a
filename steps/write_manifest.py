"""Choose the active samples from a ranking: what annotators are to label.

Inputs   ranking, target index, budget, lists of ids to exclude and to include
Output   manifest.csv: image_id, image, rank, score, anchor, width, height, sha256
"""

import argparse
from pathlib import Path

from mada.cli import InputError, StepParser, existing_file, progress, refuse, run_step
from mada.files import read_csv, read_index, sha256, write_csv
from mada.manifest import active_samples, add_lists, budget_count, read_ids


def main(args: argparse.Namespace) -> None:
    ranking = read_csv(args.ranking, ("image_id", "rank", "score", "anchor"))
    index = read_index(args.index)
    strangers = sorted(set(ranking["image_id"]) ^ set(index["id"]))
    if strangers:
        raise InputError(
            f"{args.ranking}: expected the ids of {args.index}, differs by {strangers[0]}"
        )
    twice = ranking.loc[ranking["image_id"].duplicated(), "image_id"]
    if len(twice):
        raise InputError(f"{args.ranking}: expected unique ids, found {twice.iloc[0]!r} twice")
    labelled = [i for path in args.earlier for i in read_csv(path, ("id",))["id"]]
    exclude, include = [*read_ids(args.exclude), *labelled], read_ids(args.include)
    count = budget_count(args.budget, len(index), len(set(exclude)))
    chosen = active_samples(ranking, count, exclude, include)
    manifest = chosen.merge(
        index[["id", "image", "width", "height"]].rename(columns={"id": "image_id"}),
        on="image_id",
        validate="one_to_one",
    )
    refuse(
        [f"{p}: image of the index is gone" for p in manifest["image"] if not Path(p).is_file()],
        "the index",
    )
    manifest["anchor"] = manifest["anchor"].astype("Int64")
    manifest["sha256"] = [sha256(path) for path in progress(manifest["image"], "checksums")]
    columns = ["image_id", "image", "rank", "score", "anchor", "width", "height", "sha256"]
    write_csv(args.output, manifest[columns])
    print(f"{args.output}: {count} of {len(index)} images to annotate")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--ranking", required=True, type=existing_file)
    parser.add_argument("--index", required=True, type=existing_file)
    parser.add_argument("--budget", required=True, help="a share like 5%% or a count like 16")
    add_lists(parser)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
