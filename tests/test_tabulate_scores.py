"""The results table: means and deviations over seeds, differences paired by seed."""

import json
import math
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.colors import to_hex

import tabulate_scores as step
from mada.cli import InputError
from mada.figures import VARIANT_COLOURS
from mada.paper import reported_scores
from tiny import error_lines, figures_of, run_step

# mIoU of two seeds. Seed 1 of M1 is given first: pairs are made by seed, not by position.
MIOU = [
    (0, "none", "M0", 0.20),
    (1, "none", "M0", 0.30),
    (1, "mada", "M1", 0.44),
    (0, "mada", "M1", 0.30),
    (0, "random", "M1", 0.28),
    (1, "random", "M1", 0.34),
    (0, "all", "Mu", 0.40),
    (1, "all", "Mu", 0.55),
]


PAPER = reported_scores("gta5-to-cityscapes")
CHOSEN = ("--strategy", "mada", "--budget", "5%")


def entry(
    folder: Path, seed: int, strategy: str, variant: str, miou: float | None, **more
) -> list[str]:
    path = folder / f"{strategy}-{variant}-{seed}.json"
    scores = {"images": 4, "iou": {"road": 0.75, "traffic sign": None}}
    if miou is not None:
        scores |= {"miou": miou, "miou_13": miou / 2}
    path.write_text(json.dumps(scores | more))
    return [str(seed), strategy, variant, "1500", str(path)]


ITERATIONS = {"M0": "20", "M1": "1500", "Mu": "3000"}


@pytest.fixture
def entries(tmp_path) -> list[list[str]]:
    made = [entry(tmp_path, *row) for row in MIOU]
    return [[*row[:3], ITERATIONS[row[2]], row[4]] for row in made]


@pytest.fixture
def summary(entries) -> pd.DataFrame:
    table = step.summarise(step.read_scores(entries, PAPER, "5%"))
    return table.set_index(["variant", "selection"])


def test_scores_are_in_percent_one_line_per_evaluation(entries):
    scores = step.read_scores(entries, PAPER, "5%")
    assert len(scores) == 8
    line = scores.iloc[2]
    assert (line["seed"], line["strategy"], line["variant"]) == (1, "mada", "M1")
    assert (line["iterations"], line["images"]) == (1500, 4)
    assert line["miou"] == pytest.approx(44) and line["miou_13"] == pytest.approx(22)
    assert line["iou_road"] == pytest.approx(75)
    assert pd.isna(line["iou_traffic_sign"])


def test_means_over_19_16_and_13_classes_have_a_column_each_whatever_the_classes(tmp_path):
    own = entry(tmp_path, 0, "-", "M0", 0.5, miou_13=None)
    columns = ["miou", "miou_19", "miou_16", "miou_13"]
    line = step.read_scores([own], PAPER, "5%").iloc[0]
    assert line[columns].isna().tolist() == [False, True, True, True]
    step.write_csv(tmp_path / "t.csv", step.read_scores([own], PAPER, "5%"))
    assert [c for c in pd.read_csv(tmp_path / "t.csv") if c.startswith("miou")] == columns


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
    assert summary.loc[("M1", "mada"), "closed"] == pytest.approx(53)  # of 10/20 and 14/25
    assert summary.loc[("M1", "random"), "closed"] == pytest.approx(28)  # of 8/20 and 4/25
    assert summary.loc[("Mu", "all"), "closed"] == pytest.approx(100)


@pytest.mark.parametrize("upper", [0.2, 0.1])
def test_a_way_of_no_length_or_back_has_no_shares(tmp_path, upper):
    of_variant = {"M0": (0.2, 0.2), "M1": (0.25, 0.26), "Mu": (0.4, upper)}
    rows = [
        entry(tmp_path, seed, "all" if variant == "Mu" else "mada", variant, miou)
        for variant, of_seeds in of_variant.items()
        for seed, miou in enumerate(of_seeds)
    ]
    summary = step.summarise(step.read_scores(rows, PAPER, "5%"))
    assert summary["closed"].isna().all()
    assert "%" not in step.markdown(summary, 4, "").split("M0 to Mu |")[1]


def test_adaptation_is_compared_with_the_control_that_trained_as_long(tmp_path):
    ladder = {"M0": (0.2, 0.2), "M1": (0.25, 0.3), "M1+": (0.3, 0.4), "M4": (0.35, 0.41)}
    rows = [
        entry(tmp_path, seed, "mada", variant, miou)
        for variant, of_seeds in ladder.items()
        for seed, miou in enumerate(of_seeds)
    ]
    summary = step.summarise(step.read_scores(rows, PAPER, "5%")).set_index("variant")
    assert summary.loc["M4", "over M1+"] == pytest.approx(3)  # of 5 and 1
    assert summary.loc["M4", "over M1+ ±"] == pytest.approx(math.sqrt(2**2 + 2**2))
    assert pd.isna(summary.loc["M1+", "over M1+"])  # not with itself
    assert summary.loc[["M0", "M1"], "over M1+"].isna().all()  # nor what comes before it
    assert pd.isna(summary.loc["M0", "over M1"])


def test_one_seed_has_no_deviation(tmp_path):
    rows = [entry(tmp_path, 0, "none", "M0", 0.2), entry(tmp_path, 0, "mada", "M1", 0.26)]
    summary = step.summarise(step.read_scores(rows, PAPER, "5%"))
    assert summary["deviation"].isna().all()
    text = step.markdown(summary, 4, "")
    assert "| 26.0 | 61.6 | +6.0 |\n" in text and "One seed" in text
    assert "M0 to Mu" not in text  # there is no Mu
    assert "±" not in text + step.subset_markdown(summary)


def tabulate(entries: list[list[str]], folder: Path, paper: str, *more: str) -> tuple[str, str]:
    """Run the step; return the Markdown's main table and what follows it."""
    words = [word for row in entries for word in ("--score", *row)]
    for flag, name in (("--markdown", "t.md"), ("--figure", "t.png"), ("--output", "t.csv")):
        words += [flag, str(folder / name)]
    step.main(step.parser().parse_args([*words, *CHOSEN, "--paper", paper, *more]))
    main, _, rest = (folder / "t.md").read_text().partition("mIoU % by set of classes:")
    return main, rest


def test_step_writes_table_numbers_and_figure(entries, tmp_path):
    out = tmp_path / "out"
    text, rest = tabulate(entries, out, "gta5-to-cityscapes")
    rows = [line for line in text.splitlines() if line.startswith("| M")]
    assert len(rows) == 4
    assert text.splitlines()[1] == "|" + 3 * "---|" + 6 * "---:|"  # numbers to the right
    assert rows[1].startswith("| M1 | fine-tuned on the active samples | mada | 1,500 |")
    assert "| 20 |" in rows[0] and "| 3,000 |" in rows[3]
    assert "Mean ± standard deviation over 2 seeds;" in text and "scored on 4 images." in text
    assert "to M1 and M1+ of mada; " in text
    assert "Adjacent picks" not in text  # nothing was measured
    assert cells(rest, "M1") == [["M1", "mada", "18.5 ± 4.9"], ["M1", "random", "15.5 ± 2.1"]]
    assert "37.0 ± 9.9" in rows[1] and "+12.0 ± 2.8" in rows[1] and "53 %" in rows[1]
    assert "-6.0 ± 5.7" in rows[2]
    assert (out / "t.png").read_bytes().startswith(b"\x89PNG")
    assert pd.read_csv(out / "t.csv")["miou"].tolist() == pytest.approx(
        [100 * miou for *_, miou in MIOU]
    )


def test_bars_go_down_in_the_order_of_the_table_and_comparisons_are_paler(summary):
    with figures_of("tabulate_scores") as figures:
        for strategy in ("mada", "random"):
            step.draw(summary.reset_index(), strategy, Path("not written"))
    (axes,), (other,) = (figure.axes for figure in figures)
    bars = axes.patches
    assert [bar.get_alpha() for bar in other.patches] == [1, 0.45, 1, 1]
    assert [bar.get_width() for bar in bars] == pytest.approx([25, 37, 31, 47.5])
    assert axes.yaxis_inverted() and axes.get_xlabel() == "mIoU (%)"
    places = [bar.get_y() + bar.get_height() / 2 for bar in bars]
    assert places == pytest.approx([0, 1, 2, 3]) == axes.get_yticks().tolist()
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["M0", "M1  mada", "M1  random", "Mu"]
    assert [bar.get_alpha() for bar in bars] == [1, 1, 0.45, 1]
    colours = [VARIANT_COLOURS[variant] for variant in ("M0", "M1", "M1", "Mu")]
    assert [to_hex(bar.get_facecolor()) for bar in bars] == colours
    ends = [lines.get_segments()[0][:, 0] for lines in axes.collections]
    deviations = [math.sqrt(x) for x in (50, 98, 18, 112.5)]
    assert [right - left for left, right in ends] == pytest.approx([2 * d for d in deviations])
    written = [text.get_text() for text in axes.texts]
    assert written == ["25.0 ± 7.1", "37.0 ± 9.9", "31.0 ± 4.2", "47.5 ± 10.6"]


def cells(text: str, start: str) -> list[list[str]]:
    """Cells of the rows that begin so, in a Markdown text."""
    rows = [line for line in text.splitlines() if line.startswith(f"| {start} |")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_what_the_paper_reports_stands_beside_each_row_that_it_has(tmp_path):
    rows = [
        entry(tmp_path, 0, *row, miou_19=row[2], miou_16=0.3)
        for row in (
            *(("-", "M0", 0.2), ("mada", "M1", 0.3), ("mada", "M1+", 0.31), ("mada", "M4", 0.4)),
            *(("random", "M1", 0.35), ("nearest", "M1", 0.28), ("all", "Mu", 0.5)),
        )
    ]
    text, rest = tabulate(rows, tmp_path, "gta5-to-cityscapes")
    (head,) = cells(text, "variant")
    here, paper = head.index("mIoU %"), head.index("paper")
    assert paper == here + 1
    found = {}
    for variant in ("M0", "M1", "M1+", "M4", "Mu"):
        for row in cells(text, variant):
            found[variant, row[head.index("selection")]] = (row[here], row[paper])
    assert found == {
        ("M0", "-"): ("20.0", "42.5"),
        ("M1", "mada"): ("30.0", "61.6"),
        ("M1+", "mada"): ("31.0", "-"),
        ("M4", "mada"): ("40.0", "64.9"),
        ("M1", "random"): ("35.0", "56.7"),
        ("M1", "nearest"): ("28.0", "-"),
        ("Mu", "all"): ("50.0", "69.3"),
    }
    subsets, _, classes = rest.partition("IoU % by class:")
    assert cells(subsets, "variant")[0][2:] == ["19 classes", "16 classes", "13 classes"]
    assert cells(subsets, "M4") == [["M4", "mada", "40.0", "30.0", "20.0"]]
    assert cells(classes, "class") == [
        ["class", "M1, mada", "paper", "M4, mada", "paper", "M1, random", "paper"]
    ]
    assert cells(classes, "road") == [["road", "75.0", "92.4", "75.0", "95.1", "75.0", "92.8"]]
    assert cells(classes, "traffic sign")[0][1:5] == ["-", "57.5", "-", "59.2"]
    assert pd.read_csv(tmp_path / "t.csv")["paper_miou"].tolist()[:2] == [42.5, 61.6]
    assert "GTA5 to Cityscapes, 19 classes" in text and "for orientation" not in text


def test_measures_of_selections_belong_to_their_seed_and_are_averaged(tmp_path):
    rows, words = [], []
    for seed, (miou, picks, apart) in enumerate([(0.3, 999, 1.0), (0.4, 1002, 2.006)]):
        road = {"road": miou + 0.2, "traffic sign": None}
        rows.append(entry(tmp_path, seed, "-", "M0", 0.2))
        rows.append(entry(tmp_path, seed, "mada", "M1", miou, iou=road))
        measures = {"adjacent_picks": picks, "coverage": 10 * apart, "coverage_by_category": apart}
        (tmp_path / f"{seed}.json").write_text(json.dumps(measures))
        words += ["--selection", str(seed), "mada", str(tmp_path / f"{seed}.json")]
    text, rest = tabulate(rows, tmp_path, "gta5-to-cityscapes", *words)
    assert cells(text, "variant")[0][-3:] == ["adjacent picks", "coverage", "at unit length"]
    assert cells(text, "M0")[0][-3:] == ["-", "-", "-"]
    assert cells(text, "M1")[0][-3:] == ["1,000.5", "15.03", "1.50"]
    assert cells(rest, "road")[0][1] == "55.0"  # of 50 and 60
    table = pd.read_csv(tmp_path / "t.csv").set_index(["seed", "variant"])
    assert table["adjacent_picks"].dropna().to_dict() == {(0, "M1"): 999, (1, "M1"): 1002}


def test_results_on_other_data_than_the_papers_are_for_orientation(tmp_path):
    rows = [entry(tmp_path, 0, "-", "M0", 0.2), entry(tmp_path, 0, "mada", "M4", 0.4)]
    text, rest = tabulate(rows, tmp_path, "synthia-to-cityscapes", "--for-orientation")
    assert "SYNTHIA to Cityscapes, 16 classes" in text and "for orientation" in text
    assert cells(text, "M4")[0][4:6] == ["40.0", "68.1"]
    assert cells(rest, "variant")[0][2:] == ["13 classes", "paper, 13 classes"]
    assert cells(rest, "M4") == [["M4", "mada", "20.0", "73.3"]]
    assert "by class:" not in rest


def test_own_classes_have_one_mean_and_no_table_of_subsets(tmp_path):
    rows = [entry(tmp_path, 0, "-", "M0", 0.2, miou_13=None)]
    summary = step.summarise(step.read_scores(rows, PAPER, "5%"))
    assert step.subset_markdown(summary) == ""


def test_evaluation_without_a_mean_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"mada-M1-0\.json: expected an evaluation with a miou"):
        step.read_scores([entry(tmp_path, 0, "mada", "M1", None)], PAPER, "5%")


def test_step_names_the_bad_evaluation_and_writes_nothing(tmp_path):
    good, bad = entry(tmp_path, 0, "none", "M0", 0.2), entry(tmp_path, 0, "mada", "M1", None)
    out = tmp_path / "out"
    (line,) = error_lines(
        run_step(
            *("tabulate_scores", "--score", *good, "--score", *bad, "--markdown", out / "t.md"),
            *("--figure", out / "t.png", "--output", out / "t.csv"),
            *(*CHOSEN, "--paper", "gta5-to-cityscapes"),
        )
    )
    assert bad[-1] in line
    assert not out.exists()
