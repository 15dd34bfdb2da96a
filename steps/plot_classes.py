"""Compare variants class by class.

Inputs   evaluations (JSON), each with the name of its variant; several of a name are its seeds
Output   PNG: for every class and for the mean of all a bar of each variant's IoU; with several
         seeds the mean, and a line of one sample standard deviation to each side
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from mada.cli import StepParser, refuse, run_step
from mada.evaluations import read_evaluation
from mada.figures import GREY, INK, PAGE_WIDTH, SMALL, VARIANT_COLOURS, save_figure
from mada.labels import class_set, class_set_name

HEIGHT = 2.5  # inches
SHARE = 0.84  # of the distance between classes that bars take
APART = 0.5  # classes' distance between the last class and the mean


def values_by_variant(
    entries: list[list[str]], classes: tuple[str, ...]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Mean and standard deviation over seeds of each class's IoU and of the mIoU, in percent.

    Returns
    -------
    dict
        Variant -> two arrays (C + 1,) float64; NaN where a class is neither present nor predicted,
        and for the deviation of a single seed.
    """
    seeds: dict[str, list[np.ndarray]] = {}
    for variant, path in entries:
        scores = read_evaluation(Path(path), classes)
        seeds.setdefault(variant, []).append(100 * np.append(scores["iou"], scores["miou"]))
    values = {variant: np.array(rows) for variant, rows in seeds.items()}
    return {
        variant: (
            rows.mean(axis=0),
            rows.std(axis=0, ddof=1) if len(rows) > 1 else np.full(rows.shape[1], np.nan),
        )
        for variant, rows in values.items()
    }


def draw(
    values: dict[str, tuple[np.ndarray, np.ndarray]], classes: tuple[str, ...], path: Path
) -> None:
    figure, axes = plt.subplots(figsize=(PAGE_WIDTH, HEIGHT), layout="constrained")
    middle = np.append(np.arange(len(classes)), len(classes) + APART)
    width = SHARE / len(values)
    for n, (variant, (mean, deviation)) in enumerate(values.items()):
        places = middle + (n - (len(values) - 1) / 2) * width
        axes.bar(places, np.nan_to_num(mean), width, color=VARIANT_COLOURS[variant], label=variant)
        spread = np.isfinite(deviation)
        style = {"fmt": "none", "ecolor": INK, "elinewidth": 0.7}
        axes.errorbar(places[spread], mean[spread], deviation[spread], **style)
    absent = np.all([np.isnan(mean) for mean, _ in values.values()], axis=0)
    for x in middle[absent]:
        style = {"rotation": 90, "ha": "center", "va": "bottom", "fontsize": SMALL}
        axes.text(x, 1, "not there", color=GREY, **style)
    axes.set_xticks(middle, [*classes, "mean"], rotation=45, ha="right", rotation_mode="anchor")
    axes.get_xticklabels()[-1].set_weight("bold")
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(middle[0] - 0.6, middle[-1] + 0.6)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("IoU (%)")
    axes.grid(axis="y")
    figure.legend(loc="outside upper right", ncols=len(values), handlelength=1, handleheight=1)
    save_figure(figure, path)


def main(args: argparse.Namespace) -> None:
    refuse(
        [
            f"{p}: expected an evaluation, found no file"
            for _, p in args.score
            if not Path(p).is_file()
        ]
        + [
            f"--score: expected one of {', '.join(VARIANT_COLOURS)}, found {name!r}"
            for name, _ in args.score
            if name not in VARIANT_COLOURS
        ],
        "the arguments",
    )
    classes = class_set(args.classes).names
    values = values_by_variant(args.score, classes)
    draw(values, classes, args.output)
    print(f"{args.output}: {', '.join(values)}")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--classes", required=True, type=class_set_name)
    parser.add_argument(
        "--score",
        required=True,
        action="append",
        nargs=2,
        metavar=("VARIANT", "FILE"),
        help="an evaluation; once per variant and seed",
    )
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
