"""What the rendered data set promises: its layout, its labels, and the same bytes every time."""

import csv
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cityscapesscripts.helpers.labels import labels
from PIL import Image

STEP = Path(__file__).parents[1] / "steps" / "make_demo_data.py"
KNOWN_IDS = {label.id for label in labels if label.id >= 0}
TRAIN_CLASSES = {label.id: label.name for label in labels if 0 <= label.trainId < 19}


def run_step(output: Path, *arguments: object) -> subprocess.CompletedProcess:
    command = map(str, (sys.executable, STEP, "--output", output, *arguments))
    return subprocess.run([*command], check=False, capture_output=True, text=True)


def render(output: Path, source: int, train: int, tune: int, val: int, *more: object) -> Path:
    counts = ("--source-images", source, "--target-train-images", train)
    counts += ("--target-tune-images", tune, "--target-val-images", val)
    result = run_step(output, *counts, *more)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""  # no progress bar where nobody watches
    return output


def file_bytes(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def label_ids(path: Path) -> set[int]:
    with Image.open(path) as image:
        return set(np.unique(np.asarray(image)).tolist())


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    return render(tmp_path_factory.mktemp("small") / "demo", 12, 12, 4, 4, "--workers", 1)


@pytest.fixture(scope="module")
def medium(tmp_path_factory) -> Path:
    return render(tmp_path_factory.mktemp("medium") / "demo", 60, 60, 1, 1)


def test_number_of_workers_does_not_change_a_byte(small, tmp_path):
    again = render(tmp_path / "demo", 12, 12, 4, 4, "--workers", 2)
    assert file_bytes(again) == file_bytes(small)


def test_another_seed_gives_another_data_set(small, tmp_path):
    other = file_bytes(render(tmp_path / "demo", 1, 1, 1, 1, "--seed", 1, "--workers", 1))
    assert other["source/images/00001.png"] != file_bytes(small)["source/images/00001.png"]


def test_fewer_images_are_the_first_of_more(small, tmp_path):
    fewer = file_bytes(render(tmp_path / "demo", 2, 2, 1, 1, "--workers", 1))
    pictures = {name: data for name, data in fewer.items() if name.endswith(".png")}
    assert pictures.items() <= file_bytes(small).items()


def test_the_scenes_are_those_that_results_were_measured_on(small):
    """By what is drawn, not by the bytes of a PNG, which are another library's."""
    labels, brightness = hashlib.sha256(), []
    for path in sorted(small.rglob("*.png")):
        with Image.open(path) as image:
            if {"labels", "gtFine"} & set(path.parts):
                labels.update(np.asarray(image).tobytes())
            else:
                brightness.append(np.asarray(image.convert("RGB")).mean())
    assert labels.hexdigest().startswith("03a1595f9fe07cdc3ba0379af59404ac")
    assert np.mean(brightness) == pytest.approx(108.9375, abs=0.01)


def test_source_lies_in_the_layout_of_gta5_with_paletted_labels(small):
    names = [f"{i:05d}.png" for i in range(1, 13)]
    for kind, mode in (("images", "RGB"), ("labels", "P")):
        paths = sorted((small / "source" / kind).iterdir())
        assert [path.name for path in paths] == names
        for path in paths:
            with Image.open(path) as image:
                assert (image.mode, image.size) == (mode, (256, 128))
    with Image.open(small / "source" / "labels" / "00001.png") as image:
        palette = np.array(image.getpalette()).reshape(-1, 3)
    for label in labels:
        if 0 <= label.id < len(palette):
            assert tuple(palette[label.id].tolist()) == label.color


def test_target_lies_in_the_layout_of_cityscapes_with_grey_labels(small):
    target, cities = small / "target", {}
    for split, count in (("train", 12), ("tune", 4), ("val", 4)):
        images = sorted((target / "leftImg8bit" / split).glob("*/*"))
        assert len(images) == count
        cities[split] = {path.parent.name for path in images}
        for city in cities[split]:
            mine = [path.name for path in images if path.parent.name == city]
            expected = [f"{city}_{i:06d}_000019_leftImg8bit.png" for i in range(len(mine))]
            assert mine == expected
        for path in images:
            name = path.name.replace("leftImg8bit", "gtFine_labelIds")
            label = target / "gtFine" / split / path.parent.name / name
            for file, mode in ((path, "RGB"), (label, "L")):
                with Image.open(file) as image:
                    assert (image.mode, image.size) == (mode, (256, 128))
        assert len(list((target / "gtFine" / split).glob("*/*"))) == count
    assert not cities["train"] & cities["tune"]
    assert not cities["train"] & cities["val"]
    assert not cities["tune"] & cities["val"]


def test_labels_hold_known_ids_only(small):
    paths = [*small.glob("source/labels/*"), *small.glob("target/gtFine/*/*/*")]
    assert len(paths) == 32
    for path in paths:
        assert label_ids(path) <= KNOWN_IDS, path


@pytest.mark.parametrize("pattern", ["source/labels/*", "target/gtFine/train/*/*"])
def test_training_sets_hold_all_classes_and_some_void(medium, pattern):
    found = set().union(*(label_ids(path) for path in medium.glob(pattern)))
    missing = [name for i, name in TRAIN_CLASSES.items() if i not in found]
    assert missing == []
    assert found - set(TRAIN_CLASSES)


def test_domains_are_different_mixtures_of_scene_types(medium):
    with (medium / "scenes.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    kinds = {d: [r["scene"] for r in rows if r["domain"] == d] for d in ("source", "target")}
    assert len(set(kinds["source"]) | set(kinds["target"])) >= 6
    assert "oldtown" in kinds["target"] and "oldtown" not in kinds["source"]
    assert kinds["source"].count("highway") > 2 * kinds["target"].count("highway")


def test_scenes_csv_names_every_image_once(small):
    with (small / "scenes.csv").open() as file:
        rows = [(r["domain"], r["split"], r["id"]) for r in csv.DictReader(file)]
    source = [("source", "train", path.stem) for path in small.glob("source/images/*")]
    target = [
        ("target", path.parts[-3], path.name.removesuffix("_leftImg8bit.png"))
        for path in small.glob("target/leftImg8bit/*/*/*")
    ]
    assert sorted(rows) == sorted(source + target)


def test_dataset_json_tells_settings_and_digest_of_the_files(small):
    summary = json.loads((small / "dataset.json").read_text())
    files = {name: data for name, data in file_bytes(small).items() if name != "dataset.json"}
    digest = hashlib.sha256()
    for name, data in sorted(files.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
    assert summary == {
        "seed": 0,
        "images": {"source_train": 12, "target_train": 12, "target_tune": 4, "target_val": 4},
        "width": 256,
        "height": 128,
        "files": 65,
        "sha256": digest.hexdigest(),
    }


def test_rerun_replaces_the_earlier_data_set_and_nothing_else(tmp_path):
    output = tmp_path / "demo"
    render(output, 3, 1, 1, 1, "--workers", 1)
    (output / "notes.txt").write_text("mine")
    size = ("--width", 96, "--height", 64, "--workers", 1)
    render(output, 2, 1, 1, 1, *size)
    fresh = file_bytes(render(tmp_path / "fresh", 2, 1, 1, 1, *size))
    assert file_bytes(output) == {**fresh, "notes.txt": b"mine"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo", "fresh"]


@pytest.mark.parametrize(
    ("argument", "value"),
    [("--source-images", 0), ("--target-val-images", -1), ("--width", 63), ("--height", 9),
     ("--workers", 0), ("--seed", -1)],
)  # fmt: skip
def test_bad_argument_is_named_in_one_line(tmp_path, argument, value):
    result = run_step(tmp_path / "demo", argument, value)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert argument in result.stderr and "expected" in result.stderr
    assert f"found {value}" in result.stderr
    assert list(tmp_path.iterdir()) == []
