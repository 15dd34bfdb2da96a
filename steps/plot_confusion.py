"""Show what a variant takes each class for.

Inputs   evaluations of one variant (JSON), one per seed
Output   PNG: confusion matrix of all seeds together, each row in percent of the true class's
         pixels; beside it each class's share of all pixels
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from mada.cli import StepParser, existing_file, run_step
from mada.evaluations import read_evaluation
from mada.figures import GREY, SMALL, save_figure
from mada.labels import class_set, class_set_name

CELL = 0.235  # inches
LEFT, TOP = 1.2, 1.0  # inches that the names take
TINY = 5.5  # points, of the numbers
LIGHT_FROM = 55  # percent from which numbers are white


def row_shares(confusion: np.ndarray) -> np.ndarray:
    """Each row in percent of its sum, (C, C) float64; NaN where a class has no pixel."""
    total = confusion.sum(axis=1, keepdims=True)
    empty = np.full(confusion.shape, np.nan)
    return np.divide(100.0 * confusion, total, out=empty, where=total > 0)


def whole(percent: float) -> str:
    """A share of a row, nothing where it rounds to 0 or is not there."""
    return "" if np.isnan(percent) or percent < 0.5 else f"{percent:.0f}"


def share_of_all(percent: float) -> str:
    return "<0.1" if 0 < percent < 0.05 else f"{percent:.1f}"


def draw(confusion: np.ndarray, classes: tuple[str, ...], title: str, path: Path) -> None:
    shares, count = row_shares(confusion), len(classes)
    size = (LEFT + CELL * (count + 2.5), TOP + CELL * count + 0.35)
    figure, axes = plt.subplots(figsize=size, layout="constrained")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for row, column in np.argwhere(shares >= 0.5):
        colour = "white" if shares[row, column] > LIGHT_FROM else "black"
        style = {"ha": "center", "va": "center", "fontsize": TINY, "color": colour}
        axes.text(column, row, whole(shares[row, column]), **style)
    for row, percent in enumerate(100 * confusion.sum(axis=1) / confusion.sum()):
        style = {"ha": "right", "va": "center", "fontsize": TINY, "color": GREY}
        axes.text(count + 1.2, row, share_of_all(percent), **style)
    axes.text(count + 1.2, -0.9, "% of\npixels", ha="right", va="bottom", fontsize=TINY, color=GREY)
    axes.set_xticks(range(count), classes, rotation=45, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(count), classes)
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axes.set_xticks(np.arange(count + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
    axes.grid(which="minor")
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(f"predicted by {title} (% of the true class)", fontsize=SMALL)
    axes.set_ylabel("true class", fontsize=SMALL)
    save_figure(figure, path)


def main(args: argparse.Namespace) -> None:
    classes = class_set(args.classes).names
    confusion = sum(read_evaluation(path, classes)["confusion"] for path in args.scores)
    draw(confusion, classes, args.variant, args.output)
    print(f"{args.output}: {args.variant}, {len(args.scores)} seed(s)")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--classes", required=True, type=class_set_name)
    parser.add_argument("--variant", required=True)
    parser.add_argument("--scores", required=True, nargs="+", type=existing_file)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
