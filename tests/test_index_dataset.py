"""The index of a split, and that bad files are named before anything trains on them."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mada.labels import train_id_table
from tiny import error_lines, index_of, make_tiny, run_step


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("pristine")
    make_tiny(root, source=3, train=2, tune=1, val=2)
    return root


@pytest.fixture
def roots(pristine, tmp_path) -> tuple[Path, Path]:
    """A copy of the data set that a test may spoil."""
    shutil.copytree(pristine, tmp_path / "data")
    return tmp_path / "data" / "gta5", tmp_path / "data" / "cityscapes"


def run_index(output: Path, layout: str, root: Path, split: str, labels: str, classes=None):
    return run_step(
        *("index_dataset", "--layout", layout, "--root", root, "--split", split),
        *("--labels", labels, "--classes", classes or "cityscapes19", "--output", output),
    )


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"id": str})


def test_tiny_set_holds_every_class(tmp_path):
    gta5, cityscapes = make_tiny(tmp_path, size=(64, 48))
    for layout, root, split in (
        ("gta5", gta5, "train"),
        ("cityscapes", cityscapes, "train"),
        ("cityscapes", cityscapes, "tune"),
        ("cityscapes", cityscapes, "val"),
    ):
        index = index_of(layout, root, split, labels=True)
        values = np.concatenate([np.unique(np.asarray(Image.open(p))) for p in index["label"]])
        train_ids = set(train_id_table(f"{layout}-ids", "cityscapes19")[values].tolist())
        assert train_ids >= set(range(19))
        assert set(index["width"]) == {64} and set(index["height"]) == {48}


def test_source_is_indexed_with_its_labels(roots, tmp_path):
    source, _ = roots
    output = tmp_path / "index" / "source.csv"
    result = run_index(output, "gta5", source, "train", "required")
    assert result.returncode == 0, result.stderr
    table = read(output)
    assert list(table) == ["id", "image", "label", "width", "height", "sequence", "frame"]
    assert table["id"].tolist() == ["00001", "00002", "00003"]
    assert table["image"].tolist() == [str(source / "images" / f"{i}.png") for i in table["id"]]
    assert table["label"].tolist() == [str(source / "labels" / f"{i}.png") for i in table["id"]]
    assert table[["width", "height"]].to_numpy().tolist() == [[96, 64]] * 3


def test_target_training_images_are_indexed_without_looking_at_labels(roots, tmp_path):
    _, target = roots
    for label in (target / "gtFine" / "train").rglob("*.png"):
        label.write_bytes(b"garbage")
    output = tmp_path / "target_train.csv"
    result = run_index(output, "cityscapes", target, "train", "none")
    assert result.returncode == 0, result.stderr
    table = read(output)
    assert list(table) == ["id", "image", "width", "height", "sequence", "frame"]
    assert table["id"].tolist() == ["northtown_000000_000019", "southtown_000001_000019"]
    assert table["sequence"].tolist() == ["northtown", "southtown"]


def test_optional_labels_are_indexed_where_there_are_any(roots, tmp_path):
    _, target = roots
    with_labels, without = tmp_path / "with.csv", tmp_path / "without.csv"
    assert run_index(with_labels, "cityscapes", target, "val", "optional").returncode == 0
    assert "label" in read(with_labels)
    shutil.rmtree(target / "gtFine")
    assert run_index(without, "cityscapes", target, "val", "optional").returncode == 0
    assert "label" not in read(without)
    assert len(read(without)) == 2


def lose_root(source: Path) -> None:
    shutil.rmtree(source)


def lose_label(source: Path) -> None:
    (source / "labels" / "00002.png").unlink()


def shrink_label(source: Path) -> None:
    path = source / "labels" / "00002.png"
    Image.open(path).crop((0, 0, 95, 64)).save(path)


def write_unknown_value(source: Path) -> None:
    path = source / "labels" / "00002.png"
    values = np.array(Image.open(path))
    values[3, 5] = 77
    Image.fromarray(values).save(path)


def truncate_image(source: Path) -> None:
    path = source / "images" / "00002.png"
    path.write_bytes(path.read_bytes()[:2000])


def empty_set(source: Path) -> None:
    for image in (source / "images").iterdir():
        image.unlink()


def double_id(source: Path) -> None:
    Image.open(source / "images" / "00002.png").save(source / "images" / "00002.bmp")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lose_root, ["/gta5", "root folder"]),
        (lose_label, ["images/00002.png", "labels/00002.png", "found none"]),
        (shrink_label, ["labels/00002.png", "expected 96x64", "found 95x64"]),
        (write_unknown_value, ["labels/00002.png", "[77]"]),
        (truncate_image, ["images/00002.png", "expected a readable image"]),
        (empty_set, ["/gta5/images", "found none"]),
        (double_id, ["images/00002.bmp", "images/00002.png", "unique id"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_bad_input_ends_in_one_line_that_names_file_and_reason(roots, tmp_path, spoil, words):
    source, _ = roots
    spoil(source)
    result = run_index(tmp_path / "out" / "source.csv", "gta5", source, "train", "required")
    (line,) = error_lines(result)
    assert all(word in line for word in words), line
    assert not list(tmp_path.glob("out/**/*"))


def test_all_bad_files_are_named_in_one_run(roots, tmp_path):
    source, _ = roots
    write_unknown_value(source)
    (source / "labels" / "00001.png").unlink()
    path = source / "images" / "00003.png"
    path.write_bytes(path.read_bytes()[:1000])
    result = run_index(tmp_path / "out" / "source.csv", "gta5", source, "train", "required")
    lines = error_lines(result)
    named = ("labels/00001.png", "labels/00002.png", "images/00003.png")
    assert all(any(name in line for line in lines) for name in named), lines
    assert "3 problems" in lines[-1]
    assert not list(tmp_path.glob("out/**/*"))


def test_labels_that_the_class_set_cannot_express_are_refused(tmp_path):
    path = tmp_path / "camvid" / "train" / "drive_0001.png"
    path.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(path)
    root = tmp_path / "camvid"
    for number in range(2, 11):
        shutil.copy(path, path.with_name(f"drive_{number:04d}.png"))
    result = run_index(tmp_path / "index.csv", "camvid", root, "train", "required", "cityscapes19")
    (line,) = error_lines(result)
    assert "camvid11" in line and "cityscapes19" in line
