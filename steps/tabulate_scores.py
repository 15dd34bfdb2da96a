"""Put scores side by side: every row of a table for every seed, means, and paired differences.

Inputs   evaluations (JSON), each named with its seed, strategy, variant and iterations; for tables
         of strategies how each selection lies in the pool (JSON of measure_selection)
Outputs  CSV (one line per seed and row), Markdown (mean ± standard deviation over seeds beside what
         the paper reports, differences to M0, M1 and M1+ paired by seed; means over 19, 16 and 13
         classes; IoU by class beside the paper's) and a bar chart (PNG)

mIoU is in percent throughout. The standard deviation is over seeds (n - 1 in the denominator).
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from mada.class_tables import column_name
from mada.cli import StepParser, run_step
from mada.evaluations import stored_evaluation
from mada.figures import INK, PAGE_WIDTH, SMALL, VARIANT_COLOURS, save_figure
from mada.files import atomic_path, read_json, write_csv
from mada.paper import EXPERIMENTS, Reported, paper_note, reported_score, reported_scores
from mada.tables import one_figure, percent, table_lines, with_deviation

# What rows are compared with, and the rows that the comparison says nothing of.
BASES = {"M0": (), "M1": ("M0",), "M1+": ("M0", "M1")}
MEASURED = (
    " Adjacent picks stand beside another pick in their sequence; coverage is the mean distance of "
    "the pool to its nearest pick, less being more, of F(x) as it is and with every category at "
    "unit length."
)
# How a selection lies in its pool, beside the M1 that was trained on it.
MEASURES = {
    "adjacent_picks": ("adjacent picks", "{:,.1f}"),
    "coverage": ("coverage", "{:.2f}"),
    "coverage_by_category": ("at unit length", "{:.2f}"),
}
SUBSETS = {"miou_19": "19 classes", "miou_16": "16 classes", "miou_13": "13 classes"}
TITLES = {
    "M0": "warm-up only",
    "M1": "fine-tuned on the active samples",
    "M1+": "M1 continued as long as M4",
    "M2": "+ soft alignment",
    "M3": "+ moving anchors",
    "M4": "+ pseudo labels",
    "Mu": "all target labels, as long as M4",
}


def read_scores(entries: list[list[str]], reported: Reported, budget: str) -> pd.DataFrame:
    """One row per evaluation: seed, strategy, variant, iterations, the means, IoU by class.

    ``paper_…`` is what the paper reports for such a row, from ``reported_scores``; what the class
    set or the paper does not have is empty.
    """
    classes = dict.fromkeys(n for row in reported.values() for n in row if n.startswith("iou_"))
    rows = []
    for seed, strategy, variant, iterations, path in entries:
        scores = stored_evaluation(Path(path))
        row = {"seed": int(seed), "strategy": strategy, "variant": variant}
        row |= {"iterations": int(iterations), "images": scores["images"]}
        row |= {name: percent(scores.get(name)) for name in ("miou", *SUBSETS)}
        paper = reported_score(reported, variant, strategy, budget)
        row |= {f"paper_{name}": paper.get(name, float("nan")) for name in ("miou", "miou_13")}
        row |= {f"iou_{column_name(name)}": percent(value) for name, value in scores["iou"].items()}
        row |= {f"paper_{name}": paper.get(name, float("nan")) for name in classes}
        rows.append(row)
    return pd.DataFrame(rows)


def with_measures(scores: pd.DataFrame, entries: list[list[str]]) -> pd.DataFrame:
    """Add what was measured of each selection, by seed and strategy; empty where nothing was."""
    rows = [
        {"seed": int(seed), "strategy": strategy} | {name: found[name] for name in MEASURES}
        for seed, strategy, path in entries
        for found in [read_json(Path(path))]
    ]
    columns = ["seed", "strategy", *MEASURES]
    return scores.merge(pd.DataFrame(rows, columns=columns), on=columns[:2], how="left")


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """Means and deviations over seeds of each (strategy, variant), in order of appearance.

    Adds what the paper reports and, paired by seed, the mean and deviation of the differences to
    M0, to the first M1 and to the first M1+ (the control: M1 trained for as long), and the mean
    share of the way from M0 to Mu.
    """
    by_row = {
        key: rows.set_index("seed")["miou"]
        for key, rows in scores.groupby(["strategy", "variant"], sort=False)
    }
    first = {}
    for (_, variant), values in by_row.items():
        first.setdefault(variant, values)
    lines = []
    for (strategy, variant), values in by_row.items():
        line = {"variant": variant, "selection": strategy, "seeds": len(values)}
        chosen = scores[(scores["strategy"] == strategy) & (scores["variant"] == variant)]
        line["iterations"] = int(chosen["iterations"].iloc[0])
        line["mean"], line["deviation"] = values.mean(), values.std()
        for name in SUBSETS:
            line[name], line[f"{name} ±"] = chosen[name].mean(), chosen[name].std()
        for name in ("paper_miou", "paper_miou_13"):
            line[name] = chosen[name].iloc[0]
        for name in MEASURES:
            if name in chosen:
                line[name] = chosen[name].mean()
        for base, left_out in BASES.items():
            compared = base in first and values is not first[base]
            if compared and variant not in left_out:
                difference = values - first[base]
                line[f"over {base}"] = difference.mean()
                line[f"over {base} ±"] = difference.std()
        if "M0" in first and "Mu" in first:
            whole = first["Mu"] - first["M0"]
            closed = 100 * (values - first["M0"]) / whole
            # A way of no length, or one that leads back, has no shares.
            line["closed"] = float("nan") if (whole <= 0).any() else closed.mean()
        lines.append(line)
    return pd.DataFrame(lines)


def markdown(summary: pd.DataFrame, images: int, note: str) -> str:
    """The summary as a table for people, and the ``note`` on the paper's column below it."""
    bases = [base for base in BASES if f"over {base}" in summary]
    head = ["variant", "what it is", "selection", "iterations", "mIoU %", "paper"]
    head += [f"over {base}" for base in bases]
    ended = ["M0 to Mu"] if "closed" in summary else []
    measured = [name for name in MEASURES if name in summary]
    head += ended + [MEASURES[name][0] for name in measured]
    rows = []
    for row in summary.to_dict("records"):
        cells = [row["variant"], TITLES[row["variant"]], row["selection"], f"{row['iterations']:,}"]
        cells += [with_deviation(row, "mean", "deviation"), one_figure(row["paper_miou"])]
        cells += [with_deviation(row, f"over {base}", f"over {base} ±", "+") for base in bases]
        cells += [one_figure(row["closed"], "{:.0f} %") for _ in ended]
        rows.append(cells + [one_figure(row[name], MEASURES[name][1]) for name in measured])
    seeds = int(summary["seeds"].max())
    over = f"Mean ± standard deviation over {seeds} seeds" if seeds > 1 else "One seed"
    lines = table_lines(head, 3, rows)
    firsts = summary.loc[summary["variant"] == "M1", "selection"].iloc[:1]
    compared = "".join(f", to M1 and M1+ of {selection}" for selection in firsts)
    way = '; "M0 to Mu" is the mean of each seed\'s share of that way' if ended else ""
    lines.append(
        f"{over}; differences are paired by seed{compared}{way}; "
        f"scored on {images} images. {note}{MEASURED if measured else ''}"
    )
    return "\n".join(lines) + "\n"


def subset_markdown(summary: pd.DataFrame) -> str:
    """Means over 19, 16 and 13 classes side by side; nothing where the class set has none."""
    names = [name for name in SUBSETS if summary[name].notna().any()]
    if not names:
        return ""
    reported = ["paper_miou_13"] if summary["paper_miou_13"].notna().any() else []
    head = ["variant", "selection", *(SUBSETS[name] for name in names)]
    rows = []
    for row in summary.to_dict("records"):
        cells = [row["variant"], row["selection"]]
        cells += [with_deviation(row, name, f"{name} ±") for name in names]
        rows.append(cells + [one_figure(row[name]) for name in reported])
    lines = table_lines(head + ["paper, 13 classes" for _ in reported], 2, rows)
    return "\n".join(["", "mIoU % by set of classes:", "", *lines])


def class_markdown(scores: pd.DataFrame) -> str:
    """IoU by class, mean over seeds, beside the paper's for the rows that it gives classes of."""
    names = [name for name in scores if name.startswith("iou_") and f"paper_{name}" in scores]
    columns = [("class", [name.removeprefix("iou_").replace("_", " ") for name in names])]
    for (strategy, variant), rows in scores.groupby(["strategy", "variant"], sort=False):
        paper = rows[[f"paper_{name}" for name in names]].iloc[0]
        if paper.notna().any():
            columns.append((f"{variant}, {strategy}", rows[names].mean().map(one_figure)))
            columns.append(("paper", paper.map(one_figure)))
    if len(columns) == 1:
        return ""
    head, values = zip(*columns, strict=True)
    lines = table_lines(list(head), 1, zip(*values, strict=True))
    return "\n".join(["", "IoU % by class:", "", *lines])


def draw(summary: pd.DataFrame, strategy: str, path: Path) -> None:
    """A bar a row, mean mIoU with the deviation over seeds; paler for other selections."""
    height = 0.24 * len(summary) + 0.5
    figure, axes = plt.subplots(figsize=(PAGE_WIDTH, height), layout="constrained")
    labels = []
    for place, row in enumerate(summary.to_dict("records")):
        alone = row["variant"] in ("M0", "Mu")
        labels.append(row["variant"] if alone else f"{row['variant']}  {row['selection']}")
        deviation = 0 if pd.isna(row["deviation"]) else row["deviation"]
        axes.barh(
            place,
            row["mean"],
            height=0.72,
            color=VARIANT_COLOURS[row["variant"]],
            alpha=1 if alone or row["selection"] == strategy else 0.45,
            xerr=deviation or None,
            error_kw={"ecolor": INK, "capsize": 2, "elinewidth": 0.8},
        )
        axes.annotate(
            with_deviation(row, "mean", "deviation"),
            (row["mean"] + deviation, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
        )
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlabel("mIoU (%)")
    axes.margins(x=0.12)
    save_figure(figure, path)


def main(args: argparse.Namespace) -> None:
    reported = reported_scores(args.paper, of_classes=not args.for_orientation)
    scores = read_scores(args.score, reported, args.budget)
    if args.selection:
        scores = with_measures(scores, args.selection)
    summary = summarise(scores)
    note = paper_note(args.paper, args.for_orientation)
    text = markdown(summary, int(scores["images"].iloc[0]), note)
    text += subset_markdown(summary) + class_markdown(scores)
    write_csv(args.output, scores)
    draw(summary, args.strategy, args.figure)
    with atomic_path(args.markdown) as partial:
        partial.write_text(text)
    print(text)


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument(
        "--score",
        required=True,
        action="append",
        nargs=5,
        metavar=("SEED", "STRATEGY", "VARIANT", "ITERATIONS", "FILE"),
    )
    parser.add_argument(
        "--selection", action="append", nargs=3, metavar=("SEED", "STRATEGY", "FILE")
    )
    parser.add_argument("--strategy", required=True, help="whose bars the figure makes strong")
    parser.add_argument("--budget", required=True, help="of all rows but M0 and Mu, like 5%% or 16")
    parser.add_argument(
        "--paper", required=True, choices=EXPERIMENTS, help="experiment to show the results of"
    )
    parser.add_argument(
        "--for-orientation",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="say that the paper's data sets are others, and leave its classes out",
    )
    parser.add_argument("--markdown", required=True, type=Path)
    parser.add_argument("--figure", required=True, type=Path)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
