"""Choose the active samples from a ranking and pack what an annotator receives.

Inputs   ranking, target index, budget, lists of ids to exclude and to include
Outputs  manifest.csv: image_id, image, rank, score, anchor, width, height, sha256
         bundle/: images/, classes.csv, manifest.csv and a README for the annotators
"""

import argparse
import shutil
from pathlib import Path

import pandas as pd

from mada.cli import InputError, StepParser, existing_file, refuse, run_step
from mada.files import atomic_directory, read_csv, read_index, sha256, write_csv
from mada.labels import VOID, class_set, class_set_name
from mada.manifest import active_samples, budget_count, read_ids

INSTRUCTIONS = """\
Images to label: {count} (in images/, one label map each)

Paint every pixel with one of the classes of classes.csv. A label map is an 8-bit PNG of one
channel, exactly as large as its image is upright (width and height in manifest.csv) and named
like it with the ending .png; each pixel holds the class's train_id. Leave as void ({void}) what
belongs to no class or cannot be told.
"""


def write_bundle(folder: Path, manifest: pd.DataFrame, classes: str) -> None:
    """Fill a folder with everything that an annotator needs; image names follow the ids."""
    for row in manifest.itertuples():
        copy = folder / "images" / (row.image_id + Path(row.image).suffix)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(row.image, copy)
    chosen = class_set(classes)
    colours = pd.DataFrame(chosen.colours, columns=["red", "green", "blue"])
    colours.insert(0, "name", chosen.names)
    colours.insert(0, "train_id", range(len(chosen)))
    write_csv(folder / "classes.csv", colours)
    write_csv(folder / "manifest.csv", manifest)
    (folder / "README.txt").write_text(INSTRUCTIONS.format(count=len(manifest), void=VOID))


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
    exclude, include = read_ids(args.exclude), read_ids(args.include)
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
    manifest["sha256"] = [sha256(path) for path in manifest["image"]]
    columns = ["image_id", "image", "rank", "score", "anchor", "width", "height", "sha256"]
    with atomic_directory(args.bundle) as folder:
        write_bundle(folder, manifest[columns], args.classes)
    write_csv(args.output, manifest[columns])
    print(f"{args.output}: {count} of {len(index)} images to annotate; bundle in {args.bundle}")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--ranking", required=True, type=existing_file)
    parser.add_argument("--index", required=True, type=existing_file)
    parser.add_argument("--budget", required=True, help="a share like 5%% or a count like 16")
    parser.add_argument("--exclude", type=existing_file, help="file of ids never to annotate")
    parser.add_argument("--include", type=existing_file, help="file of ids to annotate in any case")
    parser.add_argument("--classes", required=True, type=class_set_name)
    parser.add_argument("--bundle", required=True, type=Path)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
