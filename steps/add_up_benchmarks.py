"""Add up what trainings cost: how many there were, how long they took, how much memory they held.

Inputs   benchmark files of Snakemake (TSV: s, max_rss in MB, …), one a training; some may be gone
Output   CSV: training, count, measured, hours, max_memory_gb; one row per kind of training and one
         for all

A training that was interrupted counts from where it was last taken up: Snakemake keeps no more.
"""

import argparse
import re
from pathlib import Path

import numpy as np
import pandas as pd

from mada.cli import InputError, StepParser, run_step
from mada.files import write_csv


def kind(path: Path) -> str:
    """The kind of training that a benchmark file is of: warmup, finetune, adapt-M4 …"""
    return re.sub(r"-V\d+$", "", path.stem)


def cost(paths: list[Path]) -> pd.DataFrame:
    """One row per kind of training in order of appearance, and one for all of them.

    Raises
    ------
    InputError
        If a file is no benchmark.
    """
    rows = []
    for path in paths:
        if not path.is_file():
            rows.append({"training": kind(path), "seconds": np.nan, "memory": np.nan})
            continue
        try:
            found = pd.read_csv(path, sep="\t", na_values="-")
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: expected a benchmark, found {error}") from error
        if not {"s", "max_rss"} <= set(found) or found.empty:
            raise InputError(f"{path}: expected a benchmark with s and max_rss, found {[*found]}")
        seconds, memory = found["s"].sum(), found["max_rss"].max()
        rows.append({"training": kind(path), "seconds": seconds, "memory": memory})
    each = pd.DataFrame(rows)
    together = pd.concat([each, each.assign(training="all")])
    found = together.groupby("training", sort=False).agg(
        count=("seconds", "size"),
        measured=("seconds", "count"),
        seconds=("seconds", "sum"),
        memory=("memory", "max"),
    )
    return pd.DataFrame(
        {
            "training": found.index,
            "count": found["count"].to_numpy(),
            "measured": found["measured"].to_numpy(),
            "hours": (found["seconds"] / 3600).round(3).to_numpy(),
            "max_memory_gb": (found["memory"] / 1024).round(2).to_numpy(),
        }
    )


def main(args: argparse.Namespace) -> None:
    table = cost(args.benchmarks)
    write_csv(args.output, table)
    print(table.to_string(index=False))


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--benchmarks", required=True, nargs="+", type=Path)
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
