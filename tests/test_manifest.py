"""Who is annotated: budgets, exclude and must-include lists, the manifest and its bundle."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from mada.cli import InputError
from mada.manifest import active_samples, budget_count
from tiny import error_lines, index_of, make_tiny, run_here


@pytest.mark.parametrize(
    ("budget", "pool", "count"),
    [
        ("5%", 2975, 148),  # 148.75: rounded down, as in the paper's experiments
        ("5%", 40, 2),
        ("5%", 19, 1),  # 0.95: at least one
        ("0.1%", 10, 1),
        ("2.5%", 100, 2),
        ("30%", 10, 3),  # 10 · 0.3 is 2.9999… to a computer
        ("100%", 7, 7),
        ("16", 328, 16),
        ("1", 1, 1),
        ("7", 7, 7),
    ],
)
def test_budget_buys_whole_images(budget, pool, count):
    assert budget_count(budget, pool) == count


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        ("0", "expected 1 to 7 images, found 0"),
        ("8", "expected 1 to 7 images, found 8"),
        ("0%", "above 0% and up to 100%, found 0%"),
        ("101%", "above 0% and up to 100%, found 101%"),
        *((text, "expected a share like 5% or a count like 16") for text in ("-1", "five", "")),
        *((text, "expected a share like 5% or a count like 16") for text in ("1.5", "nan", "%")),
    ],
)
def test_budget_that_cannot_be_met_is_refused(budget, reason):
    with pytest.raises(InputError, match=f"^budget: .*{reason}"):
        budget_count(budget, 7)


@pytest.fixture
def ranking() -> pd.DataFrame:
    table = pd.DataFrame({"image_id": list("fbdaceghij"), "rank": range(1, 11)})
    return table.assign(score=[20.0 - rank for rank in table["rank"]], anchor=0)


def chosen(ranking, count, exclude=(), include=()) -> str:
    return "".join(active_samples(ranking, count, list(exclude), list(include))["image_id"])


def test_the_highest_ranked_are_chosen(ranking):
    assert chosen(ranking, 3) == "fbd"
    assert chosen(ranking, 10) == "fbdaceghij"


def test_rows_of_a_ranking_may_stand_in_any_order(ranking):
    shuffled = ranking.sample(frac=1, random_state=0)
    assert list(shuffled["rank"]) != list(ranking["rank"])
    assert chosen(shuffled, 3) == "fbd"
    assert chosen(shuffled, 4, exclude="d", include="j") == "fbaj"


def test_excluded_images_make_room_for_the_next(ranking):
    assert chosen(ranking, 3, exclude="bf") == "dac"


def test_images_that_must_be_included_count_towards_the_budget(ranking):
    assert chosen(ranking, 3, include="j") == "fbj"
    assert chosen(ranking, 3, include="b") == "fbd"  # would have been chosen anyway
    assert chosen(ranking, 3, include="jih") == "hij"  # the whole budget
    assert chosen(ranking, 3, exclude="f", include="g") == "bdg"


def test_budget_may_take_all_that_the_exclude_list_leaves(ranking):
    assert chosen(ranking, 8, exclude="fj", include="i") == "bdaceghi"


@pytest.mark.parametrize(
    ("count", "exclude", "include", "reason"),
    [
        (3, ["z"], [], "^exclude: .*found 'z'"),
        (3, [], ["z"], "^include: .*found 'z'"),
        (3, ["a", "b"], ["b"], "^include: .*not excluded too, found 'b'"),
        (3, [], ["a", "b", "c", "d"], "^include: .*budget of 3, found 4"),
        (9, ["a", "b"], [], "^budget: expected at most 8 images.*found 9"),
    ],
)
def test_lists_that_contradict_the_ranking_or_the_budget_are_refused(
    ranking, count, exclude, include, reason
):
    with pytest.raises(InputError, match=reason):
        active_samples(ranking, count, exclude, include)


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("pool")
    _, target = make_tiny(root, size=(48, 32), source=0, train=6, tune=0, val=0)
    index_of("cityscapes", target).to_csv(root / "index.csv", index=False)
    return root / "index.csv"


def write_ranking(path: Path, ids: list[str], anchors: list | None = None) -> Path:
    table = pd.DataFrame({"image_id": ids, "rank": range(1, len(ids) + 1)})
    table["score"] = [1.5 / rank for rank in table["rank"]]
    table["anchor"] = anchors
    table.to_csv(path, index=False)
    return path


def run_write_manifest(tmp_path: Path, index: Path, ranking: Path, budget: str, *more: object):
    return run_here(
        *("write_manifest", "--ranking", ranking, "--index", index, "--budget", budget),
        *("--output", tmp_path / "out" / "manifest.csv", *more),
    )


def test_manifest_names_the_images_and_what_they_are(tmp_path, index):
    pool = pd.read_csv(index)
    ids = pool["id"].tolist()[::-1]
    ranking = write_ranking(tmp_path / "ranking.csv", ids, [2, 0, 1, 1, 0, 2])
    result = run_write_manifest(tmp_path, index, ranking, "50%")
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / "out" / "manifest.csv")
    assert list(table) == [
        *("image_id", "image", "rank", "score", "anchor", "width", "height", "sha256")
    ]
    assert table["image_id"].tolist() == ids[:3]
    assert table["rank"].tolist() == [1, 2, 3]
    assert table["score"].tolist() == [1.5, 0.75, 0.5]
    assert table["anchor"].tolist() == [2, 0, 1]
    assert table[["width", "height"]].to_numpy().tolist() == [[48, 32]] * 3
    images = pool.set_index("id")["image"]
    assert table["image"].tolist() == [images[image_id] for image_id in ids[:3]]
    contents = [Path(path).read_bytes() for path in table["image"]]
    assert table["sha256"].tolist() == [hashlib.sha256(data).hexdigest() for data in contents]


def test_lists_are_files_of_one_id_a_line(tmp_path, index):
    ids = pd.read_csv(index)["id"].tolist()
    ranking = write_ranking(tmp_path / "ranking.csv", ids)
    (tmp_path / "exclude.txt").write_text(f"# blurred\n{ids[0]}\n\n")
    (tmp_path / "include.txt").write_text(f"  {ids[5]}  \n")
    lists = ("--exclude", tmp_path / "exclude.txt", "--include", tmp_path / "include.txt")
    result = run_write_manifest(tmp_path, index, ranking, "2", *lists)
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / "out" / "manifest.csv")
    assert table["image_id"].tolist() == [ids[1], ids[5]]
    assert table["anchor"].isna().all()  # this strategy has none


def test_what_earlier_rounds_brought_back_is_not_chosen_again(tmp_path, index):
    ids = pd.read_csv(index)["id"].tolist()
    ranking = write_ranking(tmp_path / "ranking.csv", ids)
    (tmp_path / "exclude.txt").write_text(ids[0])
    for number, name in enumerate((ids[1], ids[3])):
        (tmp_path / f"{number}.csv").write_text(f"id\n{name}\n")
    lists = ("--exclude", tmp_path / "exclude.txt", "--earlier", tmp_path / "0.csv")
    lists += (tmp_path / "1.csv",)
    for budget, expected in (("2", [ids[2], ids[4]]), ("100%", [ids[2], ids[4], ids[5]])):
        result = run_write_manifest(tmp_path, index, ranking, budget, *lists)
        assert result.returncode == 0, result.stderr
        table = pd.read_csv(tmp_path / "out" / "manifest.csv")
        assert table["image_id"].tolist() == expected


def test_ranking_of_another_pool_and_lost_images_are_refused(tmp_path, index):
    ids = pd.read_csv(index)["id"].tolist()
    ranking = write_ranking(tmp_path / "ranking.csv", [*ids[:5], "stranger"])
    (line,) = error_lines(run_write_manifest(tmp_path, index, ranking, "2"))
    assert "ranking.csv" in line

    pool = pd.read_csv(index)
    Image.open(pool.loc[1, "image"]).save(tmp_path / "lost.png")
    pool.loc[1, "image"] = str(tmp_path / "lost.png")
    pool.to_csv(tmp_path / "index.csv", index=False)
    (tmp_path / "lost.png").unlink()
    ranking = write_ranking(tmp_path / "ranking.csv", ids)
    (line,) = error_lines(run_write_manifest(tmp_path, tmp_path / "index.csv", ranking, "2"))
    assert "lost.png" in line
    assert not (tmp_path / "out").exists()


def test_all_images_are_all_that_the_exclude_list_leaves():
    assert budget_count("100%", 10, excluded=3) == 7
    assert budget_count("50%", 10, excluded=3) == 5  # shares are of the whole pool
