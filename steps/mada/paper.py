"""What the paper reports, to stand beside one's own results (the tables in ``reference/``)."""

from pathlib import Path

import pandas as pd

from mada.files import read_csv

REFERENCE = Path(__file__).with_name("reference")
# The paper's experiments, and what their mean is over.
EXPERIMENTS = {
    "gta5-to-cityscapes": "GTA5 to Cityscapes, 19 classes",
    "synthia-to-cityscapes": "SYNTHIA to Cityscapes, 16 classes",
}
_BUDGET = 5.0  # percent, of all tables but Table 5 (section 4.2)
_ANY = (None, None)  # M0 has no selection and no budget, Mu the whole target

# (variant, selection, budget in percent) -> name of a score -> percent
Reported = dict[tuple[str, str | None, float | None], dict[str, float]]


def reported_scores(experiment: str, of_classes: bool = True) -> Reported:
    """Return every result of an experiment that is a row of this pipeline's tables.

    Returns
    -------
    dict
        Of each row ``miou`` over all classes of the experiment and, where the paper gives them,
        ``miou_13`` and ``iou_<class>``, the latter unless ``of_classes`` is False.
    """
    scores: Reported = {}
    if experiment == "gta5-to-cityscapes":
        column = "gta5_miou"
        for row in _table("table5_budget_gta5_to_cityscapes"):
            if row["budget_percent"] < 100:  # which is Mu
                scores["M1", "mada", float(row["budget_percent"])] = {"miou": row["miou"]}
        for row in _table("table4_selection_gta5_to_cityscapes"):
            selection = row["method"].lower().replace("proposed", "mada")
            scores["M1", selection, _BUDGET] = _of_classes(row)
        by_method = {"MADA (Ours)": ("M4", "mada", _BUDGET)}
        others = _table("table1_gta5_to_cityscapes")
    else:
        column = "synthia_miou"
        # AADA is an M1: its row for GTA5 in Table 1 is the one of Table 4, which compares these.
        by_method = {"MADA (Ours)": ("M4", "mada", _BUDGET), "AADA": ("M1", "aada", _BUDGET)}
        others = _table("table2_synthia_to_cityscapes")
    scores |= {by_method[r["method"]]: _of_classes(r) for r in others if r["method"] in by_method}
    for row in _table("table3_ablation"):
        key = _ANY if row["variant"] in ("M0", "Mu") else ("mada", _BUDGET)
        scores.setdefault((row["variant"], *key), {})["miou"] = row[column]
    return {
        key: {name: value for name, value in row.items() if of_classes or name.startswith("miou")}
        for key, row in scores.items()
    }


def reported_score(scores: Reported, variant: str, selection: str, budget: str) -> dict[str, float]:
    """Return what the paper reports for a row of a table, nothing where it has no such row.

    Parameters
    ----------
    scores : dict
        From ``reported_scores``.
    budget : str
        As configured: the paper's are shares (5%), so that a count has none.
    """
    share = float(budget.removesuffix("%")) if budget.endswith("%") else None
    return scores.get((variant, *_ANY)) or scores.get((variant, selection, share), {})


def paper_note(experiment: str, orientation: bool) -> str:
    """What the column of the paper's results is, and how far they can be compared."""
    note = (
        f"Paper: {EXPERIMENTS[experiment]}, ResNet-101, K = V = 10 (Ning et al., ICCV 2021, "
        "Tables 1 to 5)"
    )
    return f"{note}; other data than here, for orientation." if orientation else f"{note}."


def _table(name: str) -> list[dict]:
    return read_csv(REFERENCE / f"{name}.csv").to_dict("records")


def _of_classes(row: dict) -> dict[str, float]:
    """A row of IoUs with the names that scores have here; what the paper leaves out is left out."""
    names = {"miou": "miou", "miou13": "miou_13"}
    return {
        names.get(name, f"iou_{name}"): value
        for name, value in row.items()
        if name != "method" and not pd.isna(value)
    }
