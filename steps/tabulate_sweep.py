"""Scores along a budget or a number of anchors (Table 5 and Figure 4 of the paper).

Inputs   evaluations (JSON), each named with its seed, the series it belongs to and its place
Outputs  CSV (one line per evaluation), Markdown (mean ± standard deviation over seeds of each
         series at each place, beside the paper's) and a plot (PNG)

Places are numbers, or shares such as 5%, in the order in which they are given. mIoU is in percent.
Along budgets every series is compared with random selection, paired by seed; numbers of source and
of target anchors are places of different kinds, and their series are not.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from mada.cli import StepParser, run_step
from mada.evaluations import stored_evaluation
from mada.figures import PAGE_WIDTH, save_figure
from mada.files import atomic_path, write_csv
from mada.paper import EXPERIMENTS, Reported, paper_note, reported_score, reported_scores
from mada.tables import one_figure, percent, table_lines, with_deviation

AXES = {"budgets": "budget", "anchors": "anchors"}
REFERENCE = "random"
ALL = "100%"  # of all labels there is one model, whatever would have picked them


def read_scores(entries: list[list[str]]) -> pd.DataFrame:
    """One row per evaluation: seed, series, place, miou and how many images it is over.

    Raises
    ------
    InputError
        If a file is no evaluation.
    """
    rows = []
    for seed, series, place, path in entries:
        scores = stored_evaluation(Path(path))
        row = {"seed": int(seed), "series": series, "place": place}
        rows.append(row | {"miou": percent(scores["miou"]), "images": scores["images"]})
    return pd.DataFrame(rows)


def summarise(scores: pd.DataFrame, compared: bool = True) -> pd.DataFrame:
    """Mean and deviation over seeds of every (series, place), in order of appearance.

    ``over`` and ``over ±`` are, where series are to be ``compared``, the difference to random
    selection at the same place, paired by seed, and NaN where that was not scored.
    """
    by_place = {
        key: rows.set_index("seed")["miou"]
        for key, rows in scores.groupby(["series", "place"], sort=False)
    }
    lines = []
    for (name, place), values in by_place.items():
        line = {"series": name, "place": place, "seeds": len(values)}
        line |= {"mean": values.mean(), "deviation": values.std()}
        if compared and name != REFERENCE and place != ALL and (REFERENCE, place) in by_place:
            difference = values - by_place[REFERENCE, place]
            line |= {"over": difference.mean(), "over ±": difference.std()}
        lines.append(line)
    return pd.DataFrame(lines)


def markdown(
    summary: pd.DataFrame, axis: str, paper: dict[str, float], images: int, note: str
) -> str:
    """Places down, series across; in brackets what a series has over random selection."""
    head = [axis, *dict.fromkeys(summary["series"])]
    rows = []
    for place, here in summary.groupby("place", sort=False):
        cells = {row["series"]: score_cell(row) for row in here.to_dict("records")}
        row = [place, *(cells.get(name, "-") for name in head[1:])]
        rows.append(row + ([one_figure(paper.get(place))] if paper else []))
    seeds = int(summary["seeds"].max())
    over = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    lines = table_lines(head + (["paper's mada"] if paper else []), 1, rows)
    compared = f"; in brackets over {REFERENCE}, paired by seed" if "over" in summary else ""
    lines.append(f"mIoU %, {over}{compared}; scored on {images} images. {note}")
    return "\n".join(lines) + "\n"


def score_cell(row: dict) -> str:
    """A mean with its deviation, and in brackets the difference to random selection if any."""
    cell = with_deviation(row, "mean", "deviation")
    over = with_deviation(row, "over", "over ±", "+")
    return cell if over == "-" else f"{cell} ({over})"


def anchors_note(reported: Reported) -> str:
    """What the paper says of Figure 4, whose numbers it does not print."""
    m1, m4 = (reported_score(reported, variant, "mada", "5%")["miou"] for variant in ("M1", "M4"))
    return (
        f"The paper has M1 {m1} and M4 {m4} with 10 anchors of each domain and prints no other "
        "number of its Figure 4; on GTA5 to Cityscapes it finds 5 to 10 best, and several always "
        "better than one (section 4.6). "
    )


def draw(summary: pd.DataFrame, axis: str, path: Path) -> None:
    """One line a series, with its deviation over seeds as a band."""
    figure, axes = plt.subplots(figsize=(0.6 * PAGE_WIDTH, 2.8), layout="constrained")
    places = list(dict.fromkeys(summary["place"]))
    for name, rows in summary.groupby("series", sort=False):
        at = [places.index(place) for place in rows["place"]]
        deviation = rows["deviation"].fillna(0)
        (line,) = axes.plot(at, rows["mean"], marker="o", markersize=4, label=name)
        low, high = rows["mean"] - deviation, rows["mean"] + deviation
        axes.fill_between(at, low, high, color=line.get_color(), alpha=0.18, linewidth=0)
    axes.set_xticks(range(len(places)), places)
    axes.set_xlabel(axis)
    axes.set_ylabel("mIoU (%)")
    axes.legend()
    save_figure(figure, path)


def main(args: argparse.Namespace) -> None:
    scores = read_scores(args.score)
    summary = summarise(scores, compared=args.axis == "budgets")
    reported = reported_scores(args.paper, of_classes=False)
    paper, note = {}, paper_note(args.paper, args.for_orientation)
    if args.axis == "anchors":
        note = anchors_note(reported) + note
    else:
        for place in dict.fromkeys(scores["place"]):
            # All labels are Mu to the paper, whose Table 5 and Table 3 agree on it.
            variant = "Mu" if place == ALL else "M1"
            score = reported_score(reported, variant, "mada", place)
            paper |= {place: score["miou"]} if score else {}
        note = note if paper else ""
    text = markdown(summary, AXES[args.axis], paper, int(scores["images"].iloc[0]), note)
    write_csv(args.output, scores)
    draw(summary, AXES[args.axis], args.figure)
    with atomic_path(args.markdown) as partial:
        partial.write_text(text)
    print(text)


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument(
        "--score",
        required=True,
        action="append",
        nargs=4,
        metavar=("SEED", "SERIES", "PLACE", "FILE"),
    )
    parser.add_argument("--axis", required=True, choices=AXES)
    parser.add_argument("--paper", required=True, choices=EXPERIMENTS)
    parser.add_argument("--for-orientation", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--markdown", required=True, type=Path)
    parser.add_argument("--figure", required=True, type=Path)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
