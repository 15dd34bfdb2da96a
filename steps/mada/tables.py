"""Tables for people: Markdown of numbers, and of means with their deviations."""

from collections.abc import Iterable

import pandas as pd


def percent(share: float | None) -> float:
    """A share as JSON holds it in percent, NaN where there is none."""
    return float("nan") if share is None else 100 * share


def one_figure(value: float | None, form: str = "{:.1f}") -> str:
    """A number, or a dash where there is none."""
    return "-" if pd.isna(value) else form.format(value)


def with_deviation(row: dict, name: str, deviation: str, sign: str = "") -> str:
    """``mean ± deviation`` of a summary's row; a dash where there is none."""
    if pd.isna(row.get(name)):
        return "-"
    text = f"{row[name]:{sign}.1f}"
    return text if pd.isna(row[deviation]) else f"{text} ± {row[deviation]:.1f}"


def table_lines(head: list[str], texts: int, rows: Iterable[list[str]]) -> list[str]:
    """Lines of a Markdown table and an empty one; numbers from column ``texts`` on."""
    rule = "|" + "---|" * texts + "---:|" * (len(head) - texts)
    return [f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(row)} |" for row in rows), ""]
