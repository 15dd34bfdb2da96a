"""Draw the losses of every training, one panel each.

Inputs   histories (CSV: iteration, one column per loss, tune_miou where it was measured)
Output   PNG: each loss as a running mean over 2 % of its training, the raw values faint behind
         it, and mIoU on the tuning split as markers on an axis of its own

All panels share the axis of the losses; it is logarithmic where they differ too much in size for
a linear one.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from mada.cli import InputError, StepParser, refuse, run_step
from mada.figures import BLUE, GREEN, GREY, INK, ORANGE, PINK, SKY, VERMILLION, save_figure
from mada.files import read_csv

SMOOTHED_SHARE = 0.02  # of a training's iterations
FEWEST_SMOOTHED = 5  # iterations
LOGARITHMIC_FROM = 20  # ratio of the largest typical loss to the smallest
RAW_POINTS = 4000  # of a faint line at most; more would not show
PANEL = (2.13, 1.55)  # inches
BORDER = (0.6, 0.55)  # inches that axes and legend take, right and below
MOST_COLUMNS = 3
COLOURS = (BLUE, VERMILLION, GREEN, PINK, ORANGE, SKY, GREY)


def read_history(path: Path) -> pd.DataFrame:
    """Losses and tune_miou by iteration; what is not finite becomes a gap.

    Raises
    ------
    InputError
        If iterations do not increase, a value is no number, or a loss is never finite.
    """
    table = read_csv(path, ("iteration",))
    if table.empty or len(table.columns) < 2:
        raise InputError(f"{path}: expected at least one iteration and one loss, found none")
    for column in table:
        numbers = pd.to_numeric(table[column], errors="coerce").astype(float)
        wrong = numbers.isna() & table[column].notna()
        if wrong.any():
            row = int(np.argmax(wrong))
            found = table[column].iloc[row]
            raise InputError(
                f"{path}: row {row + 1}: expected a number as {column}, found {found!r}"
            )
        table[column] = numbers.where(np.isfinite(numbers))
        if table[column].isna().all() and column != "tune_miou":
            raise InputError(f"{path}: expected finite values of {column}, found none")
    if not (table["iteration"].diff().iloc[1:] > 0).all():
        raise InputError(f"{path}: expected iterations in increasing order, found another order")
    return table.set_index("iteration")


def losses(history: pd.DataFrame) -> list[str]:
    return [column for column in history if column != "tune_miou"]


def smoothed(history: pd.DataFrame) -> pd.DataFrame:
    """Centred running mean of each loss; near the ends over what there is."""
    window = max(FEWEST_SMOOTHED, round(SMOOTHED_SHARE * len(history)))
    return history[losses(history)].rolling(window, center=True, min_periods=1).mean()


def loss_axis(curves: list[pd.DataFrame]) -> tuple[str, tuple[float, float]]:
    """Scale and limits that suit all smoothed losses together."""
    low = min(curve.min().min() for curve in curves)
    high = max(curve.max().max() for curve in curves)
    typical = pd.concat([curve.median() for curve in curves])
    if low > 0 and typical.max() > LOGARITHMIC_FROM * typical.min():
        return "log", (low / 1.6, high * 1.3)
    bottom = min(0.0, 1.06 * low)
    return "linear", (bottom, 1.06 * high if high > bottom else bottom + 1)


def draw_panel(axes, name: str, history: pd.DataFrame, colours: dict[str, str]) -> None:
    axes.set_title(name)
    every = max(1, -(-len(history) // RAW_POINTS))
    curve = smoothed(history)
    for loss in curve:
        raw = history[loss].iloc[::every]
        axes.plot(raw.index, raw, color=colours[loss], linewidth=0.4, alpha=0.22)
    for loss in curve:
        axes.plot(curve.index, curve[loss], color=colours[loss], linewidth=1.1)
    axes.grid(True)
    axes.set_xlim(0, history.index.max())
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))


def draw_miou(axes, history: pd.DataFrame, top: float, labelled: bool) -> None:
    """Markers on a second axis; its numbers stand only beside a row's last panel."""
    second = axes.twinx()
    second.spines["right"].set_visible(True)
    second.grid(False)
    measured = 100 * history["tune_miou"].dropna()
    second.plot(
        measured.index,
        measured,
        color=INK,
        marker="o",
        markersize=2.6,
        linewidth=0.7,
        linestyle=":",
        clip_on=False,
        zorder=5,
    )
    second.set_ylim(0, top)
    second.yaxis.set_major_locator(MaxNLocator(5))
    if labelled:
        second.set_ylabel("mIoU (%)")
    else:
        second.tick_params(labelright=False)


def draw(histories: dict[str, pd.DataFrame], path: Path) -> None:
    """One panel per training, one legend for all."""
    names = list(dict.fromkeys(loss for history in histories.values() for loss in losses(history)))
    colours = {loss: COLOURS[n % len(COLOURS)] for n, loss in enumerate(names)}
    scale, limits = loss_axis([smoothed(history) for history in histories.values()])
    with_miou = [
        "tune_miou" in history and history["tune_miou"].notna().any()
        for history in histories.values()
    ]
    rows = -(-len(histories) // MOST_COLUMNS)
    columns = -(-len(histories) // rows)
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(columns * PANEL[0] + BORDER[0], rows * PANEL[1] + BORDER[1]),
        layout="constrained",
        sharey=True,
        squeeze=False,
    )
    cells = grid.ravel()
    cells[0].set_yscale(scale)
    cells[0].set_ylim(limits)
    if scale == "log":
        cells[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
        cells[0].yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        cells[0].yaxis.set_minor_locator(NullLocator())
    best = [
        100 * history["tune_miou"].max()
        for history, there in zip(histories.values(), with_miou, strict=True)
        if there
    ]
    for n, (name, history) in enumerate(histories.items()):
        draw_panel(cells[n], name, history, colours)
        end_of_row = min(len(histories), (n // columns + 1) * columns)
        if with_miou[n]:
            top = min(100, 10 * np.ceil(1.1 * max(best) / 10)) or 10
            draw_miou(cells[n], history, top, labelled=not any(with_miou[n + 1 : end_of_row]))
        if n % columns == 0:
            cells[n].set_ylabel("loss")
        if n + columns >= len(histories):
            cells[n].set_xlabel("iteration")
    for cell in cells[len(histories) :]:
        cell.remove()
    handles = [Line2D([], [], color=colours[loss], linewidth=1.3, label=loss) for loss in names]
    if best:
        handles.append(
            Line2D(
                [],
                [],
                color=INK,
                marker="o",
                markersize=2.6,
                linewidth=0.7,
                linestyle=":",
                label="mIoU on the tuning split",
            )
        )
    lines = -(-len(handles) // (2 * columns))
    figure.legend(handles=handles, loc="outside lower center", ncols=-(-len(handles) // lines))
    save_figure(figure, path)


def main(args: argparse.Namespace) -> None:
    paths = {name: Path(path) for name, path in args.history}
    if len(paths) < len(args.history):
        raise InputError("--history: expected every name once, found one twice")
    refuse(
        [f"{p}: expected a history, found no file" for p in paths.values() if not p.is_file()],
        "the arguments",
    )
    histories = {name: read_history(path) for name, path in paths.items()}
    draw(histories, args.output)
    print(f"{args.output}: {', '.join(histories)}")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument(
        "--history",
        required=True,
        action="append",
        nargs=2,
        metavar=("NAME", "FILE"),
        help="a training and its history; once per panel",
    )
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
