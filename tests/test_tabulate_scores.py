"""The results table: means and deviations over seeds, differences paired by seed."""

import json
import math
from pathlib import Path

import pandas as pd
import pytest

import tabulate_scores as step
from mada.cli import InputError
from tiny import error_lines, run_step

# mIoU of two seeds. Seed 1 of M1 is given first: pairs are made by seed, not by position.
MIOU = [
    (0, "none", "M0", 0.20),
    (1, "none", "M0", 0.30),
    (1, "mada", "M1", 0.44),
    (0, "mada", "M1", 0.30),
    (0, "random", "M1", 0.28),
    (1, "random", "M1", 0.34),
    (0, "all", "Mu", 0.40),
    (1, "all", "Mu", 0.50),
]


def entry(folder: Path, seed: int, strategy: str, variant: str, miou: float | None) -> list[str]:
    path = folder / f"{strategy}-{variant}-{seed}.json"
    scores = {"images": 4, "iou": {"road": 0.75, "traffic sign": None}}
    if miou is not None:
        scores |= {"miou": miou, "miou_13": miou / 2}
    path.write_text(json.dumps(scores))
    return [str(seed), strategy, variant, "1500", str(path)]


@pytest.fixture
def entries(tmp_path) -> list[list[str]]:
    return [entry(tmp_path, *row) for row in MIOU]


@pytest.fixture
def summary(entries) -> pd.DataFrame:
    table = step.summarise(step.read_scores(entries))
    return table.set_index(["variant", "selection"])


def test_scores_are_in_percent_one_line_per_evaluation(entries):
    scores = step.read_scores(entries)
    assert len(scores) == 8
    line = scores.iloc[2]
    assert (line["seed"], line["strategy"], line["variant"]) == (1, "mada", "M1")
    assert (line["iterations"], line["images"]) == (1500, 4)
    assert line["miou"] == pytest.approx(44) and line["miou_13"] == pytest.approx(22)
    assert line["iou_road"] == pytest.approx(75)
    assert pd.isna(line["iou_traffic_sign"])


def test_rows_keep_the_order_in_which_they_were_given(summary):
    assert list(summary.index) == [("M0", "none"), ("M1", "mada"), ("M1", "random"), ("Mu", "all")]
    assert summary["seeds"].tolist() == [2, 2, 2, 2]


def test_deviation_is_over_seeds_less_one(summary):
    row = summary.loc[("M1", "mada")]
    assert row["mean"] == pytest.approx(37)  # of 30 and 44
    assert row["deviation"] == pytest.approx(math.sqrt(7**2 + 7**2))


def test_differences_are_paired_by_seed(summary):
    over_m0 = summary.loc[("M1", "mada")]
    assert over_m0["over M0"] == pytest.approx(12)  # of 10 and 14
    assert over_m0["over M0 ±"] == pytest.approx(math.sqrt(2**2 + 2**2))
    over_m1 = summary.loc[("M1", "random")]  # compared with the first selection's M1
    assert over_m1["over M1"] == pytest.approx(-6)  # of -2 and -10
    assert over_m1["over M1 ±"] == pytest.approx(math.sqrt(4**2 + 4**2))


def test_share_of_the_way_to_all_labels_is_averaged_over_seeds(summary):
    assert summary.loc[("M0", "none"), "closed"] == pytest.approx(0)
    assert summary.loc[("M1", "mada"), "closed"] == pytest.approx(60)  # of 10/20 and 14/20
    assert summary.loc[("M1", "random"), "closed"] == pytest.approx(30)  # of 8/20 and 4/20
    assert summary.loc[("Mu", "all"), "closed"] == pytest.approx(100)


def test_adaptation_is_compared_with_the_control_that_trained_as_long(tmp_path):
    rows = [
        entry(tmp_path, seed, "mada", variant, miou)
        for variant, of_seeds in {"M0": (0.2, 0.2), "M1+": (0.3, 0.4), "M4": (0.35, 0.41)}.items()
        for seed, miou in enumerate(of_seeds)
    ]
    summary = step.summarise(step.read_scores(rows)).set_index("variant")
    assert summary.loc["M4", "over M1+"] == pytest.approx(3)  # of 5 and 1
    assert summary.loc["M4", "over M1+ ±"] == pytest.approx(math.sqrt(2**2 + 2**2))
    assert pd.isna(summary.loc["M1+", "over M1+"])  # not with itself


def test_one_seed_has_no_deviation(tmp_path):
    rows = [entry(tmp_path, 0, "none", "M0", 0.2), entry(tmp_path, 0, "mada", "M1", 0.26)]
    summary = step.summarise(step.read_scores(rows))
    assert summary["deviation"].isna().all()
    text = step.markdown(summary, 4)
    assert "| 26.0 | +6.0 | - |" in text and "One seed" in text
    assert "±" not in text


def test_step_writes_table_numbers_and_figure(entries, tmp_path):
    outputs = [tmp_path / "out" / name for name in ("t.md", "t.png", "t.csv")]
    words = [word for row in entries for word in ("--score", *row)]
    for flag, path in zip(("--markdown", "--figure", "--output"), outputs, strict=True):
        words += [flag, str(path)]
    step.main(step.parser().parse_args(words))
    rows = [line for line in outputs[0].read_text().splitlines() if line.startswith("| M")]
    assert len(rows) == 4
    assert "37.0 ± 9.9" in rows[1] and "+12.0 ± 2.8" in rows[1] and "60 %" in rows[1]
    assert "-6.0 ± 5.7" in rows[2]
    assert outputs[1].read_bytes().startswith(b"\x89PNG")
    assert pd.read_csv(outputs[2])["miou"].tolist() == pytest.approx(
        [100 * miou for *_, miou in MIOU]
    )


def test_evaluation_without_a_mean_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"mada-M1-0\.json: expected an evaluation with a miou"):
        step.read_scores([entry(tmp_path, 0, "mada", "M1", None)])


def test_step_names_the_bad_evaluation_and_writes_nothing(tmp_path):
    good, bad = entry(tmp_path, 0, "none", "M0", 0.2), entry(tmp_path, 0, "mada", "M1", None)
    out = tmp_path / "out"
    (line,) = error_lines(
        run_step(
            *("tabulate_scores", "--score", *good, "--score", *bad, "--markdown", out / "t.md"),
            *("--figure", out / "t.png", "--output", out / "t.csv"),
        )
    )
    assert bad[-1] in line
    assert not out.exists()
