"""Put scores side by side: every row of a table for every seed, means, and paired differences.

Inputs   evaluations (JSON), each named with its seed, strategy, variant and iterations
Outputs  CSV (one line per seed and row), Markdown (mean ± standard deviation over seeds,
         differences to M0, M1 and M1+ paired by seed) and a bar chart (PNG)

mIoU is in percent throughout. The standard deviation is over seeds (n - 1 in the denominator).
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from mada.cli import InputError, StepParser, run_step
from mada.figures import save_figure
from mada.files import atomic_path, read_json, write_csv

# What rows are compared with, and the rows that the comparison says nothing of.
BASES = {"M0": (), "M1": ("M0",), "M1+": ("M0", "M1")}
MEANS = ("miou", "miou_19", "miou_16", "miou_13")
TITLES = {
    "M0": "warm-up only",
    "M1": "fine-tuned on the active samples",
    "M1+": "M1 continued as long as M4",
    "M2": "+ soft alignment",
    "M3": "+ moving anchors",
    "M4": "+ pseudo labels",
    "Mu": "all target labels, as long as M4",
}


def read_scores(entries: list[list[str]]) -> pd.DataFrame:
    """One row per evaluation: seed, strategy, variant, iterations, the means, IoU by class."""
    rows = []
    for seed, strategy, variant, iterations, path in entries:
        scores = read_json(Path(path))
        if "miou" not in scores:
            raise InputError(f"{path}: expected an evaluation with a miou, found {sorted(scores)}")
        row = {"seed": int(seed), "strategy": strategy, "variant": variant}
        row |= {"iterations": int(iterations), "images": scores["images"]}
        row |= {name: 100 * scores[name] for name in MEANS if name in scores}
        row |= {
            f"iou_{name.replace(' ', '_')}": None if value is None else 100 * value
            for name, value in scores["iou"].items()
        }
        rows.append(row)
    return pd.DataFrame(rows)


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean and deviation over seeds of each (strategy, variant), in order of appearance.

    Adds, paired by seed, the mean and deviation of the differences to M0, to the first M1 and to
    the first M1+ (the control: M1 trained for as long), and the mean share of the way from M0 to
    Mu.
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
        for base, left_out in BASES.items():
            compared = base in first and values is not first[base]
            if compared and variant not in left_out:
                difference = values - first[base]
                line[f"over {base}"] = difference.mean()
                line[f"over {base} ±"] = difference.std()
        if "M0" in first and "Mu" in first:
            closed = (values - first["M0"]) / (first["Mu"] - first["M0"])
            line["closed"] = (100 * closed).mean()
        lines.append(line)
    return pd.DataFrame(lines)


def with_deviation(row: dict, name: str, deviation: str, sign: str = "") -> str:
    """``mean ± deviation`` of a summary's row; a dash where there is none."""
    if pd.isna(row.get(name)):
        return "-"
    text = f"{row[name]:{sign}.1f}"
    return text if pd.isna(row[deviation]) else f"{text} ± {row[deviation]:.1f}"


def markdown(summary: pd.DataFrame, images: int) -> str:
    """The summary as a table for people."""
    bases = [base for base in BASES if f"over {base}" in summary]
    head = ["variant", "what it is", "selection", "iterations", "mIoU %"]
    head += [f"over {base}" for base in bases] + ["M0 to Mu"]
    lines = ["| " + " | ".join(head) + " |", "|---|---|---|" + "---:|" * (len(head) - 3)]
    for row in summary.to_dict("records"):
        cells = [row["variant"], TITLES[row["variant"]], row["selection"], f"{row['iterations']:,}"]
        cells.append(with_deviation(row, "mean", "deviation"))
        cells += [with_deviation(row, f"over {base}", f"over {base} ±", "+") for base in bases]
        cells.append("-" if pd.isna(row.get("closed")) else f"{row['closed']:.0f} %")
        lines.append("| " + " | ".join(cells) + " |")
    seeds = int(summary["seeds"].max())
    over = f"Mean ± standard deviation over {seeds} seeds" if seeds > 1 else "One seed"
    lines.append("")
    lines.append(
        f"{over}; differences are paired by seed, to M1 and M1+ of the first selection; "
        f"scored on {images} images."
    )
    return "\n".join(lines) + "\n"


def draw(summary: pd.DataFrame, path: Path) -> None:
    """Bars of mean mIoU with the deviation over seeds."""
    labels = [
        row.variant if row.variant in ("M0", "Mu") else f"{row.variant}\n{row.selection}"
        for row in summary.itertuples()
    ]
    figure, axes = plt.subplots(figsize=(1.1 * len(labels) + 1.5, 3.6), layout="constrained")
    main = summary.loc[summary["variant"] == "M1", "selection"].iloc[:1].tolist()
    colours = [
        "#9a9a9a"
        if v == "M0"
        else "#4d4d4d"
        if v == "Mu"
        else "#1f77b4"
        if [s] == main
        else "#c9b27c"
        for v, s in zip(summary["variant"], summary["selection"], strict=True)
    ]
    bars = axes.bar(
        labels, summary["mean"], yerr=summary["deviation"].fillna(0), color=colours, capsize=3
    )
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.set_ylabel("mIoU (%)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.12)
    save_figure(figure, path)


def main(args: argparse.Namespace) -> None:
    scores = read_scores(args.score)
    summary = summarise(scores)
    text = markdown(summary, int(scores["images"].iloc[0]))
    write_csv(args.output, scores)
    draw(summary, args.figure)
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
    parser.add_argument("--markdown", required=True, type=Path)
    parser.add_argument("--figure", required=True, type=Path)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
