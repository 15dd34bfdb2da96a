"""Collect what annotators handed back, and check all of it.

Inputs   manifest and pre-annotations as handed out, target index, folder of what came back
Outputs  a folder of label maps (8-bit PNG of training ids), index.csv in it, returned.csv (file,
         share of void, share left open, share changed); where some is held out for scores
         holdout.csv, where some are missing missing.txt

What came back may be an export of CVAT ("Segmentation mask 1.1", "Cityscapes 1.0") or of Label
Studio (JSON, or PNG with it), or plain label maps, in folders or zip archives; it is read and
never changed.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from mada.annotation.bundle import HandedOut, handed_out
from mada.annotation.classes import annotation_classes
from mada.annotation.formats import LABEL_IDS, TRAIN_IDS
from mada.annotation.returns import Work, gather, sampled, swap_problems, void_problem
from mada.cli import InputError, StepParser, existing_file, progress, refuse, run_step
from mada.files import atomic_directory, read_csv, read_index, sha256, write_csv
from mada.labels import VOID, class_set_name, save_label
from mada.manifest import annotation_index, held_out_ids


def main(args: argparse.Namespace) -> None:
    columns = ("image_id", "image", "width", "height", "sha256")
    manifest = read_csv(args.manifest, columns)
    index = read_index(args.index)
    refuse(changed_images(manifest, index), str(args.manifest))
    classes = annotation_classes(args.classes)
    items = handed_out(manifest, args.pre_annotations, args.classes)
    ids = manifest["image_id"].tolist()
    work = gather(args.returned, ids, classes, args.classes, args.values)
    with atomic_directory(args.output) as folder:
        facts, found = write_labels(folder, items, work, args)
        missing = [image_id for image_id in ids if image_id not in work.maps]
        refuse(found + missing_problems(missing, len(ids), args), str(args.returned))
        held_out = held_out_ids(facts["image_id"].tolist(), args.holdout)
        chosen = annotation_index(index, facts["image_id"], args.output)
        validates = chosen["id"].isin(held_out)
        write_csv(folder / "index.csv", chosen[~validates])
        if held_out:
            write_csv(folder / "holdout.csv", chosen[validates])
        write_csv(folder / "returned.csv", facts)
        if missing:
            (folder / "missing.txt").write_text("".join(f"{name}\n" for name in missing))
    formats = ", ".join(sorted(set(work.formats)))
    print(f"{args.output}: {len(facts)} of {len(ids)} label maps from {formats}")
    if held_out:
        print(f"held out for scores: {', '.join(held_out)}")
    if missing:
        print(f"trained without, since nothing came back: {', '.join(missing)}")


def changed_images(manifest: pd.DataFrame, index: pd.DataFrame) -> list[str]:
    """Name images that are not those any more that were handed out."""
    images = dict(zip(index["id"], index["image"], strict=True))
    problems = []
    for row in manifest.itertuples():
        image = images.get(row.image_id)
        if image is None:
            problems.append(f"{row.image_id}: expected an image of the data set, found none")
        elif not Path(image).is_file() or sha256(image) != row.sha256:
            problems.append(f"{image}: expected the image that was handed out, found another")
    return problems


def write_labels(
    folder: Path, items: list[HandedOut], work: Work, args: argparse.Namespace
) -> tuple[pd.DataFrame, list[str]]:
    """Write every label map that can be read; return facts of each, and all that is wrong."""
    facts, problems, samples, started = [], list(work.problems), {}, {}
    for item in progress([i for i in items if i.image_id in work.maps], "checking annotations"):
        returned = work.maps[item.image_id]
        try:
            label = returned.read((item.row.width, item.row.height))
            before = item.train_ids()
        except InputError as error:
            problems.append(str(error))
            continue
        problem = void_problem(label, returned.place, args.max_void)
        if problem:
            problems.append(problem)
        save_label(folder / f"labels/{item.image_id}.png", label, args.classes)
        samples[item.image_id], started[item.image_id] = sampled(label), sampled(before)
        facts.append((item.image_id, returned.place, *shares(label, before)))
    if args.check_swaps and samples:
        sizes = {item.image_id: (item.row.width, item.row.height) for item in items}
        places = {image_id: returned.place for image_id, returned in work.maps.items()}
        problems += swap_problems(samples, started, sizes, places)
    return pd.DataFrame(facts, columns=["image_id", "file", "void", "open", "changed"]), problems


def shares(label: np.ndarray, before: np.ndarray) -> tuple[float, float, float]:
    """Share of void in a label map, of open pixels in its pre-annotation, of the others changed."""
    filled = before != VOID
    changed = float((label != before)[filled].mean()) if filled.any() else 0.0
    return float((label == VOID).mean()), float(1 - filled.mean()), changed


def missing_problems(missing: list[str], count: int, args: argparse.Namespace) -> list[str]:
    """Name images without a label map, where none may be missing; some must be there anyway."""
    if len(missing) == count:
        return [f"{args.returned}: expected label maps of {count} images, found none"]
    if args.allow_partial:
        return []
    return [f"{args.returned}: expected a label map of {name}, found none" for name in missing]


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--manifest", required=True, type=existing_file)
    parser.add_argument("--pre-annotations", required=True, type=Path, help="folder of labels/")
    parser.add_argument("--index", required=True, type=existing_file)
    parser.add_argument("--returned", required=True, type=Path, help="what annotators handed back")
    parser.add_argument("--classes", required=True, type=class_set_name)
    parser.add_argument(
        "--values",
        choices=(LABEL_IDS, TRAIN_IDS),
        default=LABEL_IDS,
        help="what plain label maps of one channel hold",
    )
    parser.add_argument(
        "--allow-partial",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="go on where some images came back without label map",
    )
    parser.add_argument(
        "--check-swaps",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="refuse label maps that look like one another's",
    )
    parser.add_argument("--max-void", type=float, default=0.5, help="share of a label map")
    parser.add_argument("--holdout", type=float, default=0.0, help="share that is for scores")
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
