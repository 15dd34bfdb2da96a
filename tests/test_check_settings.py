"""Settings that the data sets cannot meet are refused before anything trains."""

from pathlib import Path

import pytest

from check_settings import budget_problems
from mada.files import read_csv, read_json, write_csv
from tiny import error_lines, index_of, make_tiny, run_here

GOOD = {
    "--strategies": ("mada", "random"),
    "--budget": ("25%",),
    "--source-anchors": (3,),
    "--target-anchors": (12,),
}


@pytest.fixture(scope="module")
def indexes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("indexes")
    gta5, cityscapes = make_tiny(folder)
    write_csv(folder / "source.csv", index_of("gta5", gta5))
    write_csv(folder / "target.csv", index_of("cityscapes", cityscapes))
    return folder


def check(indexes: Path, without: tuple = (), **changes: tuple):
    good = {name: value for name, value in GOOD.items() if name[2:] not in without}
    chosen = good | {"--" + name.replace("_", "-"): value for name, value in changes.items()}
    words = [word for flag, values in chosen.items() for word in (flag, *values)]
    files = ("--source", indexes / "source.csv", "--target", indexes / "target.csv")
    return run_here("check_settings", *files, *words, "--output", indexes / "settings.json")


def test_good_settings_pass(indexes):
    assert check(indexes).returncode == 0
    assert read_json(indexes / "settings.json") == {"source": 12, "target": 12}
    (indexes / "settings.json").unlink()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source_anchors": (13,)}, "source_anchors: expected at most the 12 images"),
        ({"target_anchors": (13,)}, "target_anchors: expected at most the 12 images"),
        ({"budget": ("0%",)}, "budget: expected a share above 0% and up to 100%, found 0%"),
        ({"budget": ("101%",)}, "budget: expected a share above 0% and up to 100%, found 101%"),
        ({"budget": ("0",)}, "budget: expected 1 to 12 images, found 0"),
        ({"budget": ("13",)}, "budget: expected 1 to 12 images, found 13"),
        ({"strategies": ("mada", "best")}, "strategy: expected one of"),
    ],
)
def test_each_setting_out_of_reach_is_one_line(indexes, changes, message):
    result = check(indexes, **changes)
    assert result.returncode == 1
    assert [line for line in error_lines(result) if line.startswith(f"error: {message}")]
    assert len(error_lines(result)) == 1
    assert not (indexes / "settings.json").exists()


@pytest.mark.parametrize("rounds", [("25%", "75%"), (10, 2), (11, "100%"), ("5%", "5%")])
def test_rounds_that_the_images_are_enough_for_pass(indexes, rounds):
    assert check(indexes, without=("budget",), rounds=rounds).returncode == 0
    (indexes / "settings.json").unlink()


@pytest.mark.parametrize(
    ("rounds", "message"),
    [
        ((13,), "rounds.0: expected 1 to 12 images, found 13"),
        ((2, "0%"), "rounds.1: expected a share above 0% and up to 100%, found 0%"),
        (("25%", "200%"), "rounds.1: expected a share above 0% and up to 100%, found 200%"),
        (("50%", 7), "rounds: expected at most 12 images in all"),
        ((12, "100%"), "rounds.1: expected images that are left to label, found none"),
    ],
)
def test_each_round_out_of_reach_is_one_line(indexes, rounds, message):
    result = check(indexes, without=("budget",), rounds=rounds)
    assert result.returncode == 1
    (line,) = error_lines(result)
    assert line.startswith(f"error: {message}")
    assert not (indexes / "settings.json").exists()


def test_rounds_leave_excluded_images_out(indexes):
    excluded = indexes / "excluded.txt"
    excluded.write_text("\n".join(read_csv(indexes / "target.csv", ("id",))["id"][:2]) + "\n")
    lists = {"without": ("budget",), "exclude": (excluded,)}
    assert check(indexes, rounds=(4, "100%"), **lists).returncode == 0
    (indexes / "settings.json").unlink()
    result = check(indexes, rounds=(4, 7), **lists)
    assert "rounds: expected at most 10 images in all" in error_lines(result)[0]
    result = check(indexes, rounds=(11,), **lists)
    assert "rounds.0: expected at most 10 images after the exclude" in error_lines(result)[0]


@pytest.mark.parametrize("budgets", [("12",), ("100%",), ("5", "7"), ("5", "100%")])
def test_variants_that_need_unlabelled_images_are_refused_where_none_are_left(budgets):
    known, named = set("abcdefghijkl"), {f"rounds.{n}": budget for n, budget in enumerate(budgets)}
    found = budget_problems(named, known, set(), set(), ["M2", "M4"])
    rest = "needs images without annotation, found that all 12 are to be annotated"
    assert found == [f"variants: M2 {rest}", f"variants: M4 {rest}"]
    assert budget_problems(named, known, set(), set()) == []
    if "100%" in budgets:  # of all but the excluded, which nobody annotates
        assert budget_problems(named, known, {"a"}, set(), ["M4"]) == []


@pytest.mark.parametrize("budget", [1, "5%"])
def test_a_round_that_could_not_be_divided_for_scores_is_refused(indexes, budget):
    expected = "annotation_holdout: expected at least one of 1 annotated images to be left"
    for changes in ({"budget": (budget,)}, {"without": ("budget",), "rounds": (4, budget)}):
        (line,) = error_lines(check(indexes, holdout=(0.25,), **changes))
        assert line.startswith(f"error: {expected}")
        assert check(indexes, **changes).returncode == 0
        (indexes / "settings.json").unlink()


def test_a_listed_id_that_is_no_target_image_is_named(indexes):
    (indexes / "ids.txt").write_text("# never\nnowhere_000000_000019\n")
    result = check(indexes, exclude=(indexes / "ids.txt",))
    assert "exclude: expected ids of target images, found 'nowhere_000000_000019'" in result.stderr


def test_all_problems_are_listed_at_once(indexes):
    result = check(indexes, source_anchors=(13,), budget=("0%",), strategies=("best",))
    assert len(error_lines(result)) == 4  # three problems and their sum
