"""How picks lie in their pool: neighbouring frames, and what the picks cover."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mada.diversity import adjacent_picks, coverage
from mada.files import read_json
from tiny import error_lines, run_here


def drive(frames: dict[str, list[int]]) -> pd.DataFrame:
    """An index of sequences and their frames, in order of id."""
    rows = [(f"{name}_{n:05d}", name, n) for name, numbers in frames.items() for n in numbers]
    return pd.DataFrame(sorted(rows), columns=["id", "sequence", "frame"])


@pytest.mark.parametrize(
    ("picks", "count"),
    [
        ([], 0),
        ([90], 0),
        ([91, 92, 93, 94, 95, 96, 97], 7),
        ([90, 92, 94], 0),
        ([90, 91, 95], 2),
        ([90, 91, 95, 96, 97], 5),
        (range(90, 100), 10),
    ],
)
def test_a_pick_counts_where_the_frame_before_or_after_is_picked_too(picks, count):
    index = drive({"seq": list(range(90, 100))})
    assert adjacent_picks(index, [f"seq_{n:05d}" for n in picks]) == count


def test_frames_are_neighbours_in_the_pool_s_own_order():
    index = drive({"day": [10, 40, 70, 100], "dusk": [5, 35, 65]})
    assert adjacent_picks(index, ["day_00010", "day_00040"]) == 2  # every thirtieth frame is kept
    assert adjacent_picks(index, ["day_00010", "day_00070"]) == 0
    assert adjacent_picks(index, ["day_00100", "dusk_00005"]) == 0  # another drive


def test_frames_are_ordered_as_numbers_whatever_their_ids():
    index = pd.DataFrame({"id": list("abcd"), "sequence": "s", "frame": [100, 9, 10, 11]})
    assert adjacent_picks(index, ["b", "c"]) == 2
    assert adjacent_picks(index, ["a", "b"]) == 0
    assert adjacent_picks(index, ["a", "d"]) == 2


def test_adjacent_picks_equal_a_plain_count(rng):
    index = drive({"a": list(range(0, 60, 3)), "b": list(range(17)), "c": [4]})
    shuffled = index.sample(frac=1, random_state=0)
    for _ in range(20):
        picks = set(rng.choice(index["id"], 12, replace=False))
        beside = set()
        for (_, one), (_, two) in pairwise(index.iterrows()):
            if one["sequence"] == two["sequence"] and {one["id"], two["id"]} <= picks:
                beside |= {one["id"], two["id"]}
        assert adjacent_picks(shuffled, picks) == len(beside)


def test_coverage_is_the_mean_distance_to_the_nearest_pick(rng):
    features = rng.normal(size=(20, 6)).astype(np.float32)
    picks = [3, 11, 12]
    nearest = [
        min(
            math.sqrt(sum((a - b) ** 2 for a, b in zip(row, features[n], strict=True)))
            for n in picks
        )
        for row in features.astype(np.float64)
    ]
    assert coverage(features, np.array(picks)) == pytest.approx(sum(nearest) / 20, rel=1e-5)
    assert coverage(features, np.arange(20)) == 0
    # Far from zero float32 tells an image from itself by more than nothing.
    far = (1000 + 100 * rng.normal(size=(40, 64))).astype(np.float32)
    for n in range(40):
        expected = np.linalg.norm(far.astype(np.float64) - far[n], axis=1).mean()
        assert coverage(far, np.array([n])) == pytest.approx(expected, rel=1e-5)


@pytest.fixture
def files(tmp_path) -> Path:
    """Four images on a line in category 0, of two lengths; picked are the first two."""
    features = np.zeros((4, 38), dtype=np.float32)
    features[:, 0], features[3, 1] = [1, 3, 5, 4], 3
    np.save(tmp_path / "features.npy", features)
    index = drive({"s": [0, 1, 2, 3]})
    index.assign(image="i.png", width=8, height=8).to_csv(tmp_path / "index.csv", index=False)
    index[["id"]].to_csv(tmp_path / "features.csv", index=False)
    index.head(2).rename(columns={"id": "image_id"}).to_csv(tmp_path / "manifest.csv", index=False)
    return tmp_path


def measure(files: Path, *manifests: str, **changes: str):
    named = {"index": "index.csv", "features": "features.npy"}
    words = [*(manifests or (f"--manifest={files / 'manifest.csv'}",))]
    words += [f"--{k}={files / v}" for k, v in (named | {"output": "out/selection.json"}).items()]
    words += [
        f"--{name}={value}" for name, value in ({"classes": "cityscapes19"} | changes).items()
    ]
    return run_here("measure_selection", *words)


def test_the_step_writes_what_a_table_compares_strategies_by(files):
    result = measure(files)
    assert result.returncode == 0, result.stderr
    found = read_json(files / "out/selection.json")
    assert found.pop("coverage") == pytest.approx((2 + math.sqrt(1 + 9)) / 4)
    unit = math.hypot(4 / 5 - 1, 3 / 5)  # from (4, 3) / 5 to (1, 0); the others point alike
    assert found.pop("coverage_by_category") == pytest.approx(unit / 4, abs=1e-6)
    assert found == {"images": 4, "picks": 2, "adjacent_picks": 2}


def test_the_manifests_of_all_rounds_make_one_selection(files):
    second = "image_id\n" + pd.read_csv(files / "index.csv")["id"][3] + "\n"
    (files / "second.csv").write_text(second)
    manifests = ["--manifest", str(files / "manifest.csv"), str(files / "second.csv")]
    result = measure(files, *manifests)
    assert result.returncode == 0, result.stderr
    found = read_json(files / "out/selection.json")
    assert (found["picks"], found["adjacent_picks"]) == (3, 2)
    assert found["coverage"] == pytest.approx(2 / 4)


def test_a_manifest_or_features_of_another_pool_are_refused(files):
    (files / "manifest.csv").write_text("image_id\nstranger\n")
    (line,) = error_lines(measure(files))
    assert "manifest.csv: expected images of" in line and "stranger" in line
    (files / "manifest.csv").write_text("image_id\n")
    (line,) = error_lines(measure(files))
    assert "manifest.csv: expected at least one image, found none" in line
    (line,) = error_lines(measure(files, classes="cityscapes16"))
    assert "features.npy: expected rows of 16 categories, found 38 values" in line
