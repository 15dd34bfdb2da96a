"""Count what labelling costs: images, pixels and hours handed out, and what people changed.

Inputs   manifest, pre-annotations, minutes that an image takes; once they are there the annotations
Outputs  CSV and Markdown, a quantity a row

The hours are the images' number by the minutes, whatever the pre-annotations save.  A pixel counts
as changed where people left another class than the pre-annotation had, or none.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from mada.annotation.bundle import handed_out
from mada.cli import InputError, StepParser, existing_file, progress, run_step
from mada.files import atomic_path, read_csv, write_csv
from mada.labels import VOID, class_set_name, read_label, train_id_table


def main(args: argparse.Namespace) -> None:
    if args.minutes_per_image <= 0:
        raise InputError(
            f"minutes per image: expected a number above 0, found {args.minutes_per_image}"
        )
    manifest = read_csv(args.manifest, ("image_id", "image", "width", "height"))
    table = train_id_table("train-ids", args.classes)
    counts = {"images": 0, "labelled": 0, "void": 0, "changed": 0, "kept": 0, "filled": 0}
    pixels = left_open = 0
    for item in progress(handed_out(manifest, args.pre_annotations, args.classes), "counting"):
        before = item.train_ids()
        pixels += before.size
        left_open += int((before == VOID).sum())
        path = args.annotations and args.annotations / f"labels/{item.image_id}.png"
        if path and path.is_file():
            label = read_label(path, table, (item.row.width, item.row.height))
            for name, value in compared(label, before).items():
                counts[name] += value
    rows = [
        ("images handed out", len(manifest)),
        ("pixels handed out", pixels),
        ("pixels left open by the pre-annotations, %", percent(left_open, pixels)),
        ("minutes an image takes, as configured", args.minutes_per_image),
        ("hours estimated", round(len(manifest) * args.minutes_per_image / 60, 1)),
    ]
    if args.annotations:
        rows += [
            ("images returned", counts["images"]),
            ("pixels labelled", counts["labelled"]),
            ("pixels void, %", percent(counts["void"], counts["labelled"] + counts["void"])),
            (
                "pre-annotated pixels that people changed, %",
                percent(counts["changed"], counts["changed"] + counts["kept"]),
            ),
            ("open pixels that people labelled", counts["filled"]),
        ]
    write_csv(args.output, pd.DataFrame(rows, columns=["quantity", "value"]))
    shown = [(name, "-" if value is None else f"{value:,}") for name, value in rows]
    lines = ["| quantity | value |", "|---|---:|", *(f"| {n} | {value} |" for n, value in shown)]
    with atomic_path(args.markdown) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{args.output}: {rows[4][1]} hours estimated for {len(manifest)} images")


def compared(label: np.ndarray, before: np.ndarray) -> dict[str, int]:
    """Counts of a label map (H, W) beside its pre-annotation, in pixels but for the image."""
    started = before != VOID
    counts = {
        "labelled": label != VOID,
        "void": label == VOID,
        "changed": started & (label != before),
        "kept": started & (label == before),
        "filled": ~started & (label != VOID),
    }
    return {"images": 1} | {name: int(pixels.sum()) for name, pixels in counts.items()}


def percent(part: int, whole: int) -> float | None:
    """Share in percent, to a tenth; None of nothing."""
    return round(100 * part / whole, 1) if whole else None


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--manifest", required=True, type=existing_file)
    parser.add_argument("--pre-annotations", required=True, type=Path, help="folder of labels/")
    parser.add_argument("--annotations", type=Path, help="folder of labels/ that came back")
    parser.add_argument("--minutes-per-image", required=True, type=float)
    parser.add_argument("--classes", required=True, type=class_set_name)
    parser.add_argument("--markdown", required=True, type=Path)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
