"""The ranking step: what it asks for, and that neither rows nor lists confuse it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rank_targets
from mada import acquisition
from mada.acquisition import NEED_ANCHORS, PER_BUDGET, load_strategies
from mada.cli import InputError
from mada.manifest import active_samples
from tiny import error_lines, run_step

IMAGES, CLASSES = 24, 19
IDS = [f"day_{n:03d}" for n in range(IMAGES)]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Features in order of id, the same shuffled, and anchors."""
    folder = tmp_path_factory.mktemp("features")
    rng = np.random.default_rng(5)
    features = rng.normal(size=(IMAGES, CLASSES * 2)).astype(np.float32)
    scores = rng.random((IMAGES, 3)).clip(0.05, 0.95)
    table = pd.DataFrame(scores, columns=["entropy", "margin", "source_probability"])
    table.insert(0, "id", IDS)
    shuffled = rng.permutation(IMAGES)
    for name, order in (("ordered", np.arange(IMAGES)), ("shuffled", shuffled)):
        np.save(folder / f"{name}.npy", features[order])
        table.iloc[order].to_csv(folder / f"{name}.csv", index=False)
    for count in (1, 4):
        np.save(folder / f"anchors-{count}.npy", features[:count] + 1)
    (folder / "exclude.txt").write_text("day_003\nday_004\n")
    (folder / "include.txt").write_text("day_023\nday_010\n")
    return folder


def words(files: Path, strategy: str, output: Path, features="ordered", **flags) -> list[str]:
    count = 1 if strategy == "single-centroid" else 4
    anchors = ["--anchors", str(files / f"anchors-{count}.npy")] if strategy in NEED_ANCHORS else []
    return [
        *("--features", str(files / f"{features}.npy"), "--strategy", strategy, "--seed", "0"),
        *("--classes", "cityscapes19", *anchors),
        *("--output", str(output), *(w for k, v in flags.items() for w in (f"--{k}", str(v)))),
    ]


def rank(*arguments, **flags) -> pd.DataFrame:
    """Run the step in this process."""
    arguments = words(*arguments, **flags)
    rank_targets.main(rank_targets.parser().parse_args(arguments))
    return pd.read_csv(arguments[arguments.index("--output") + 1])


@pytest.mark.parametrize("name", sorted(load_strategies()))
def test_the_order_of_rows_changes_no_byte(files, tmp_path, name):
    lists = {"exclude": files / "exclude.txt", "include": files / "include.txt"}
    budget = {"budget": "25%", **lists} if name in PER_BUDGET else {}
    for features in ("ordered", "shuffled"):
        rank(files, name, tmp_path / features, features, **budget)
    assert (tmp_path / "ordered").read_bytes() == (tmp_path / "shuffled").read_bytes()


@pytest.mark.parametrize("name", sorted(PER_BUDGET))
@pytest.mark.parametrize(("share", "count"), [("1%", "1"), ("12.5%", "3"), ("100%", "24")])
def test_a_share_buys_the_set_of_its_number_of_images(files, tmp_path, name, share, count):
    table = rank(files, name, tmp_path / "share.csv", budget=share)
    assert sorted(table["image_id"]) == IDS
    pd.testing.assert_frame_equal(table, rank(files, name, tmp_path / "n.csv", budget=count))


def test_what_share_is_bought_matters(files, tmp_path):
    few, many = (rank(files, "target-medoids", tmp_path / b, budget=b) for b in ("3", "6"))
    assert not set(few["image_id"].head(3)) <= set(many["image_id"].head(6))


@pytest.mark.parametrize("name", ["coreset", "mada-greedy", "target-medoids", "target-cover"])
def test_images_on_the_lists_take_part_in_the_choice(files, tmp_path, name):
    """What is labelled in any case stands for its likes; what is excluded leaves them."""
    plain = rank(files, name, tmp_path / "plain.csv", budget="6")
    (tmp_path / "picked.txt").write_text(plain["image_id"][1])
    barred = rank(files, name, tmp_path / "barred.csv", budget="6", exclude=tmp_path / "picked.txt")
    assert plain["image_id"][1] not in set(barred["image_id"].head(6))
    taken = rank(files, name, tmp_path / "taken.csv", budget="6", include=files / "include.txt")
    chosen = active_samples(taken, 6, [], ["day_023", "day_010"])["image_id"]
    blind = active_samples(plain, 6, [], ["day_023", "day_010"])["image_id"]
    assert set(chosen) != set(blind)


@pytest.mark.parametrize(("name", "most"), [("evenly", 4), ("target-medoids", 5)])
def test_images_that_are_included_leave_the_rest_of_the_budget(files, tmp_path, name, most):
    table = rank(files, name, tmp_path / "r.csv", budget="6", include=files / "include.txt")
    # Four picks, and one more where both included images stand for the same anchor.
    assert 4 <= (table["score"] > 0).sum() <= most


def test_the_setting_of_the_distance_reaches_the_ranking(files, tmp_path):
    blocks = np.load(files / "ordered.npy").reshape(IMAGES, CLASSES, 2)
    blocks[np.random.default_rng(1).random((IMAGES, CLASSES)) < 0.4] = 0
    np.save(tmp_path / "absent.npy", blocks.reshape(IMAGES, -1))
    (tmp_path / "absent.csv").write_bytes((files / "ordered.csv").read_bytes())
    anchors = np.load(files / "anchors-4.npy").reshape(4, CLASSES, 2)
    orders = []
    for distance in ("full", "masked"):
        table = rank(files, "mada", tmp_path / "r.csv", tmp_path / "absent", distance=distance)
        expected = {}
        for name, image in zip(IDS, blocks, strict=True):
            shown = [c for c in range(CLASSES) if distance == "full" or image[c].any()]
            squared = [((image[shown] - anchor[shown]) ** 2).sum() for anchor in anchors]
            expected[name] = min(squared) * CLASSES / len(shown)
        orders.append(sorted(IDS, key=lambda name: -expected[name]))
        assert table["image_id"].tolist() == orders[-1]
        np.testing.assert_allclose(table["score"], [expected[n] for n in orders[-1]], rtol=1e-4)
    assert orders[0] != orders[1]


def test_what_earlier_rounds_brought_back_stands_in_the_set(files, tmp_path):
    """Images that were handed out and did not come back are not in the index, and free."""
    first = rank(files, "coreset", tmp_path / "first.csv", budget="4")["image_id"].head(4)
    first[1:].rename("id").to_csv(tmp_path / "index.csv", index=False)
    table = rank(files, "coreset", tmp_path / "r.csv", budget="4", earlier=tmp_path / "index.csv")
    assert not set(first[1:]) & set(table["image_id"].head(4))
    left = rank(files, "coreset", tmp_path / "l.csv", budget="100%", earlier=tmp_path / "index.csv")
    assert set(left["image_id"].head(21)) == set(IDS) - set(first[1:])


def test_a_set_without_a_budget_is_refused(files, tmp_path):
    (line,) = error_lines(run_step("rank_targets", *words(files, "coreset", tmp_path / "r.csv")))
    assert line == "error: budget: expected one, since coreset chooses a set; found none"
    assert not (tmp_path / "r.csv").exists()


def test_foreignness_without_anchors_is_refused(files, tmp_path):
    arguments = words(files, "mada", tmp_path / "ranking.csv")[:-4]  # without those and the output
    arguments += ["--output", str(tmp_path / "ranking.csv")]
    assert "--anchors" not in arguments
    with pytest.raises(InputError, match="anchors: mada expected source anchors, found none"):
        rank_targets.main(rank_targets.parser().parse_args(arguments))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"budget": "25"}, "budget: expected 1 to 24 images, found 25"),
        ({"budget": "1", "include": "include.txt"}, "include: expected at most the budget of 1"),
        ({"budget": "24", "exclude": "exclude.txt"}, "budget: expected at most 22 images"),
    ],
)
def test_lists_and_budgets_that_cannot_be_met_are_refused(files, tmp_path, flags, message):
    flags = {k: v if k == "budget" else files / v for k, v in flags.items()}
    with pytest.raises(InputError, match=message):
        rank(files, "coreset", tmp_path / "ranking.csv", **flags)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (
            np.zeros(IMAGES),
            "strategy odd: expected a pair, of scores and of anchors or None, found",
        ),
        ((np.zeros(3), None), r"strategy odd: expected scores of shape \(24,\), .* found \(3,\)"),
        ((np.zeros(IMAGES), [0]), r"strategy odd: expected anchors of shape .* found \(1,\)"),
        (
            (np.r_[0, np.nan, np.zeros(IMAGES - 2)], None),
            r"ordered.csv: strategy odd expected a finite score of every image, "
            r"found none for day_001$",
        ),
    ],
)
def test_what_a_strategy_must_not_return_is_said(files, tmp_path, monkeypatch, returned, message):
    monkeypatch.setitem(load_strategies(), "odd", lambda pool: returned)
    with pytest.raises(InputError, match=message):
        rank(files, "odd", tmp_path / "ranking.csv")
    assert not (tmp_path / "ranking.csv").exists()


def test_more_images_than_can_be_compared_pair_by_pair_are_refused(files, tmp_path, monkeypatch):
    monkeypatch.setattr(acquisition, "MOST_PAIRED", IMAGES - 1)
    message = "target-cover compares every image with every other, expected at most 23 target"
    with pytest.raises(InputError, match=f"{message} images, found 24"):
        rank(files, "target-cover", tmp_path / "ranking.csv", budget="3")
    rank(files, "target-medoids", tmp_path / "ranking.csv", budget="3")


def test_classes_that_the_features_are_not_of_are_refused(files, tmp_path):
    arguments = words(files, "mada", tmp_path / "ranking.csv")
    arguments[arguments.index("cityscapes19")] = "cityscapes16"
    with pytest.raises(InputError, match="expected rows of 16 categories, found 38 values"):
        rank_targets.main(rank_targets.parser().parse_args(arguments))
