"""Sweeps and costs: means and deviations over seeds, differences paired by seed, sums of time."""

import json
from pathlib import Path

import pandas as pd
import pytest

import add_up_benchmarks
import tabulate_sweep as sweep
from mada.cli import InputError
from tiny import error_lines, figures_of, run_here

# mIoU of two seeds; seed 1 of mada at 5% is given first, since pairs are made by seed.
MIOU = [
    (1, "mada", "5%", 0.50),
    (0, "mada", "5%", 0.40),
    (0, "mada", "20%", 0.44),
    (1, "mada", "20%", 0.52),
    (0, "random", "5%", 0.39),
    (1, "random", "5%", 0.46),
    (0, "random", "20%", 0.45),
    (1, "random", "20%", 0.50),
]


@pytest.fixture
def entries(tmp_path) -> list[list[str]]:
    made = []
    for seed, series, place, miou in MIOU:
        path = tmp_path / f"{seed}-{series}-{place}.json"
        path.write_text(json.dumps({"miou": miou, "images": 7, "iou": {}}))
        made.append([str(seed), series, place, str(path)])
    return made


def test_every_place_of_every_series_has_its_mean_and_deviation(entries):
    table = sweep.summarise(sweep.read_scores(entries)).set_index(["series", "place"])
    assert len(table) == 4
    row = table.loc["mada", "5%"]
    assert row["mean"] == pytest.approx(45) and row["seeds"] == 2
    assert row["deviation"] == pytest.approx(50**0.5)  # of 40 and 50, over seeds less one
    assert row["over"] == pytest.approx(2.5)  # of 1 and 4, by seed
    assert row["over ±"] == pytest.approx(4.5**0.5)
    assert table.loc[("mada", "20%"), "over"] == pytest.approx(0.5)
    assert pd.isna(table.loc[("random", "5%"), "over"])


def test_table_has_places_down_and_series_across_with_the_papers(entries):
    summary = sweep.summarise(sweep.read_scores(entries))
    lines = sweep.markdown(summary, "budget", {"5%": 61.6}, 7, "Note.").splitlines()
    assert lines[0] == "| budget | mada | random | paper's mada |"
    assert lines[2] == "| 5% | 45.0 ± 7.1 (+2.5 ± 2.1) | 42.5 ± 4.9 | 61.6 |"
    assert lines[3] == "| 20% | 48.0 ± 5.7 (+0.5 ± 2.1) | 47.5 ± 3.5 | - |"
    assert lines[-1] == (
        "mIoU %, mean ± standard deviation over 2 seeds; in brackets over random, paired by seed; "
        "scored on 7 images. Note."
    )


def test_every_series_is_compared_with_random_selection_wherever_it_stands(entries):
    last = [[seed, "evenly", place, path] for seed, name, place, path in entries if name == "mada"]
    table = sweep.summarise(sweep.read_scores(entries + last)).set_index(["series", "place"])
    assert table.loc["evenly", "over"].tolist() == table.loc["mada", "over"].tolist()


def test_a_series_is_drawn_at_its_own_places_with_a_band_of_its_deviation(entries):
    late = [[seed, "evenly", place, path] for seed, name, place, path in entries if place == "20%"]
    summary = sweep.summarise(sweep.read_scores(entries + late[:2]))
    with figures_of("tabulate_sweep") as figures:
        sweep.draw(summary, "anchors", Path("not written"))
    (axes,) = figures[0].axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["5%", "20%"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("anchors", "mIoU (%)")
    found = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert found == {
        "mada": [[0, pytest.approx(45)], [1, pytest.approx(48)]],
        "random": [[0, pytest.approx(42.5)], [1, pytest.approx(47.5)]],
        "evenly": [[1, pytest.approx(48)]],
    }
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(found)
    corners = axes.collections[0].get_paths()[0].vertices
    at_first = corners[corners[:, 0] == 0, 1]
    assert (at_first.min(), at_first.max()) == pytest.approx((45 - 50**0.5, 45 + 50**0.5))


def test_series_that_share_no_place_with_random_are_not_compared(entries):
    only = [row for row in entries if (row[1], row[2]) in (("mada", "5%"), ("random", "20%"))]
    summary = sweep.summarise(sweep.read_scores(only))
    assert "over" not in summary
    text = sweep.markdown(summary, "anchors", {}, 7, "")
    assert text.splitlines()[0] == "| anchors | mada | random |"
    assert "| 5% | 45.0 ± 7.1 | - |" in text


def run_sweep(entries, folder: Path, axis: str):
    scores = [word for row in entries for word in ("--score", *row)]
    return run_here(
        *("tabulate_sweep", *scores, "--axis", axis, "--paper", "gta5-to-cityscapes"),
        *("--output", folder / "t.csv", "--markdown", folder / "t.md"),
        *("--figure", folder / "t.png"),
    )


def test_budgets_stand_beside_the_papers_table_5(entries, tmp_path):
    names = ("mada", "random")
    all_labels = [[seed, name, "100%", entries[0][3]] for name in names for seed in ("0", "1")]
    assert run_sweep(entries + all_labels, tmp_path, "budgets").returncode == 0
    text = (tmp_path / "t.md").read_text()
    by_place = {line.split(" | ")[0]: line.split(" | ")[-1] for line in text.splitlines()[2:5]}
    assert "| paper's mada |" in text.splitlines()[0]
    # All labels are one model, which is not compared with itself.
    assert "(" in text.splitlines()[2] and "(" not in text.splitlines()[4]
    assert by_place == {"| 5%": "61.6 |", "| 20%": "64.1 |", "| 100%": "69.3 |"}
    assert len(pd.read_csv(tmp_path / "t.csv")) == 12
    assert (tmp_path / "t.png").read_bytes()[:4] == b"\x89PNG"


def test_numbers_of_anchors_are_not_compared_across_domains(entries, tmp_path):
    """One source anchor and one target anchor are two things, whatever their number."""
    assert run_sweep(entries, tmp_path, "anchors").returncode == 0
    text = (tmp_path / "t.md").read_text()
    assert text.splitlines()[0] == "| anchors | mada | random |"
    assert "M1 61.6 and M4 64.9 with 10 anchors of each domain" in text
    assert "over random" not in text and "(+" not in text


def test_budgets_that_the_paper_has_none_of_stand_alone(entries, tmp_path):
    other = [[seed, name, "16", path] for seed, name, place, path in entries if place == "5%"]
    assert run_sweep(other, tmp_path, "budgets").returncode == 0
    assert "paper" not in (tmp_path / "t.md").read_text().lower()


def test_a_single_seed_is_called_so(entries):
    first = [row for row in entries if row[0] == "0"]
    text = sweep.markdown(sweep.summarise(sweep.read_scores(first)), "budget", {}, 7, "")
    assert "| 5% | 40.0 (+1.0) | 39.0 |" in text and "mIoU %, one seed; in brackets" in text


def test_what_is_no_evaluation_is_refused(entries, tmp_path):
    Path(entries[2][3]).write_text("{}")
    (line,) = error_lines(run_sweep(entries, tmp_path, "anchors"))
    assert entries[2][3] in line and "expected an evaluation with a miou" in line


def benchmark(path: Path, seconds: float, memory: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:01\t{memory}\n")
    return path


def test_costs_add_up_by_kind_of_training(tmp_path):
    files = [
        benchmark(tmp_path / "seed-0/warmup.tsv", 3600, 1024),
        benchmark(tmp_path / "seed-1/warmup.tsv", 1800, 2048),
        benchmark(tmp_path / "seed-0/adapt-M4-V10.tsv", 900, 512),
        benchmark(tmp_path / "seed-0/adapt-M4-V5.tsv", 900, 512),
        tmp_path / "seed-1/adapt-M4-V5.tsv",  # cleared away
    ]
    table = add_up_benchmarks.cost(files)
    assert table.to_dict("records") == [
        {"training": "warmup", "count": 2, "measured": 2, "hours": 1.5, "max_memory_gb": 2.0},
        {"training": "adapt-M4", "count": 3, "measured": 2, "hours": 0.5, "max_memory_gb": 0.5},
        {"training": "all", "count": 5, "measured": 4, "hours": 2.0, "max_memory_gb": 2.0},
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a\tb\n1\t2\n", " with s and max_rss"),
        (b"", ", found No columns"),
        (b"s\n1\t2\n3\t4\t5\n", ", found Error tokenizing"),
        (b"\xff\xfe\xfd", ", found 'utf-8' codec"),
    ],
)
def test_what_is_no_benchmark_is_refused(tmp_path, content, reason):
    (tmp_path / "x.tsv").write_bytes(content)
    with pytest.raises(InputError, match=rf"x\.tsv: expected a benchmark{reason}"):
        add_up_benchmarks.cost([tmp_path / "x.tsv"])
