"""The index of a split, and that bad files are named before anything trains on them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mada.labels import train_id_table
from tiny import deep_png, error_lines, index_of, make_tiny, run_here


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


def run_index(
    output: Path,
    layout: str,
    root: Path,
    split: str,
    labels: str,
    *more: str,
    classes: str = "cityscapes19",
):
    return run_here(
        *("index_dataset", "--layout", layout, "--root", root, "--split", split),
        *("--labels", labels, "--classes", classes, "--output", output, *more),
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


def test_bad_files_of_the_other_splits_are_named_too(roots, tmp_path):
    _, target = roots
    spoiled = []
    for pattern in (
        "leftImg8bit/train/**/*.png",
        "gtFine/tune/**/*Ids.png",
        "gtFine/val/**/*Ids.png",
    ):
        path = sorted(target.glob(pattern))[0]
        path.write_bytes(path.read_bytes()[:60])
        spoiled.append(path.name)
    more = ("--check-splits", "tune", "val")
    result = run_index(tmp_path / "out" / "train.csv", "cityscapes", target, "train", "none", *more)
    lines = error_lines(result)
    assert all(any(name in line for line in lines) for name in spoiled), lines
    assert "3 problems" in lines[-1]
    assert not list(tmp_path.glob("out/**/*"))


def test_a_split_to_check_that_is_not_there_is_named(roots, tmp_path):
    _, target = roots
    shutil.rmtree(target / "leftImg8bit" / "val")
    more = ("--check-splits", "val")
    result = run_index(tmp_path / "out" / "train.csv", "cityscapes", target, "train", "none", *more)
    (line,) = error_lines(result)
    assert "leftImg8bit/val" in line
    assert not list(tmp_path.glob("out/**/*"))


def test_labels_that_the_class_set_cannot_express_are_refused(tmp_path):
    path = tmp_path / "camvid" / "train" / "drive_0001.png"
    path.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(path)
    root = tmp_path / "camvid"
    for number in range(2, 11):
        shutil.copy(path, path.with_name(f"drive_{number:04d}.png"))
    result = run_index(tmp_path / "index.csv", "camvid", root, "train", "required")
    (line,) = error_lines(result)
    assert "class table" in line and "cityscapes19" in line


def mismatch(source: Path, *numbers: int) -> None:
    """Make labels one column narrower than their images."""
    for number in numbers:
        path = source / "labels" / f"{number:05d}.png"
        Image.open(path).crop((0, 0, 95, 64)).save(path)


def test_labels_of_another_size_are_all_named_with_the_way_to_leave_them_out(roots, tmp_path):
    source, _ = roots
    mismatch(source, 1, 3)
    result = run_index(tmp_path / "out" / "source.csv", "gta5", source, "train", "required")
    lines = error_lines(result)
    for name in ("labels/00001.png", "labels/00003.png"):
        assert sum(name in line and "found 95x64" in line for line in lines) == 1
    assert "2 labels of another size" in result.stderr
    assert "skip_mismatched_labels: true" in result.stderr
    assert not list(tmp_path.glob("out/**/*"))


def test_images_whose_labels_have_another_size_are_left_out_on_demand_and_named(roots, tmp_path):
    source, _ = roots
    mismatch(source, 1, 3)
    output = tmp_path / "source.csv"
    skip = "--skip-mismatched-labels"
    result = run_index(output, "gta5", source, "train", "required", skip)
    assert result.returncode == 0, result.stderr
    assert read(output)["id"].tolist() == ["00002"]
    assert "2 images left out, whose labels have another size: 00001, 00003" in result.stdout
    for name in ("labels/00001.png", "labels/00003.png"):
        assert f"left out: {source / name}: expected 96x64" in result.stderr


def test_other_bad_files_are_refused_though_labels_of_another_size_are_left_out(roots, tmp_path):
    source, _ = roots
    mismatch(source, 1)
    write_unknown_value(source)
    output = tmp_path / "out" / "source.csv"
    skip = "--skip-mismatched-labels"
    (line,) = error_lines(run_index(output, "gta5", source, "train", "required", skip))
    assert "labels/00002.png" in line and "[77]" in line
    assert not output.parent.exists()


def test_a_set_of_nothing_but_labels_of_another_size_is_refused(roots, tmp_path):
    source, _ = roots
    mismatch(source, 1, 2, 3)
    skip = "--skip-mismatched-labels"
    result = run_index(tmp_path / "source.csv", "gta5", source, "train", "required", skip)
    (line,) = error_lines(result)
    assert f"{source}: expected labels of their image's size" in line


def test_target_training_images_need_no_folder_of_labels(roots, tmp_path):
    _, target = roots
    shutil.rmtree(target / "gtFine")
    output = tmp_path / "target_train.csv"
    assert run_index(output, "cityscapes", target, "train", "none").returncode == 0
    assert len(read(output)) == 2


def test_cityscapes_training_ids_are_read_by_their_own_layout(roots, tmp_path):
    _, target = roots
    for label in (target / "gtFine" / "val").rglob("*_labelIds.png"):
        Image.new("L", (96, 64), 18).save(str(label).replace("labelIds", "labelTrainIds"))
        label.unlink()
    lines = error_lines(run_index(tmp_path / "a.csv", "cityscapes", target, "val", "required"))
    assert all("_labelIds.png, found none" in line for line in lines[:-1])
    output = tmp_path / "b.csv"
    result = run_index(output, "cityscapes-train-ids", target, "val", "required")
    assert result.returncode == 0, result.stderr
    assert read(output)["label"].str.endswith("_labelTrainIds.png").all()


def test_synthia_is_indexed_with_its_16_bit_labels(tmp_path):
    root = tmp_path / "synthia"
    for folder in ("RGB", "GT/LABELS"):
        (root / folder).mkdir(parents=True)
    values = np.zeros((6, 8, 3), np.uint16)
    values[..., 0], values[..., 1] = 22, 700
    for number in range(3):
        Image.new("RGB", (8, 6)).save(root / f"RGB/000000{number}.png")
        (root / f"GT/LABELS/000000{number}.png").write_bytes(deep_png(values))
    output = tmp_path / "source.csv"
    result = run_index(output, "synthia", root, "train", "required", classes="cityscapes16")
    assert result.returncode == 0, result.stderr
    table = read(output)
    assert table["id"].tolist() == ["0000000", "0000001", "0000002"]
    assert table["label"].tolist() == [str(root / f"GT/LABELS/{i}.png") for i in table["id"]]
    values[2, 3, 0] = 23
    (root / "GT/LABELS/0000001.png").write_bytes(deep_png(values))
    (line,) = error_lines(run_index(output, "synthia", root, "train", "required"))
    assert "GT/LABELS/0000001.png: expected values of the class table, found [23]" in line


@pytest.fixture
def photos(tmp_path) -> Path:
    """A root of two photographs of one's own, one of them held sideways, and their labels."""
    root = tmp_path / "photos"
    for folder in ("rgb", "masks"):
        (root / folder).mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (12, 8)).save(root / "rgb" / "a.jpg", exif=exif)
    Image.new("L", (10, 6)).save(root / "rgb" / "b.png")
    Image.new("L", (8, 12), 40).save(root / "masks" / "a_mask.png")
    Image.new("L", (10, 6), 255).save(root / "masks" / "b_mask.png")
    table = [
        {"name": "way", "ids": [40], "colour": [1, 1, 1]},
        {"name": "rest", "ids": [41], "colour": [2, 2, 2]},
    ]
    (tmp_path / "classes.json").write_text(json.dumps({"classes": table, "void_ids": [255]}))
    return root


def index_photos(photos: Path, output: Path, labels: str, *more: object):
    return run_here(
        *("index_dataset", "--layout", "folder", "--root", photos, "--split", "train"),
        *("--labels", labels, "--classes", photos.parent / "classes.json"),
        *("--image-glob", "rgb/*", "--output", output, *more),
    )


def test_photographs_of_any_kind_are_indexed_upright_with_labels_of_own_ids(photos, tmp_path):
    output = tmp_path / "index.csv"
    result = index_photos(photos, output, "required", "--label-glob", "masks/*_mask.png")
    assert result.returncode == 0, result.stderr
    table = read(output)
    assert table["id"].tolist() == ["a", "b"]
    assert table["label"].tolist() == [str(photos / f"masks/{n}_mask.png") for n in "ab"]
    assert table[["width", "height"]].to_numpy().tolist() == [[8, 12], [10, 6]]


def test_label_must_match_the_upright_image(photos, tmp_path):
    Image.new("L", (12, 8), 40).save(photos / "masks" / "a_mask.png")
    more = ("--label-glob", "masks/*_mask.png")
    (line,) = error_lines(index_photos(photos, tmp_path / "index.csv", "required", *more))
    assert "a_mask.png: expected 8x12 pixels like its image, found 12x8" in line


def test_photographs_without_labels(photos, tmp_path):
    for labels in ("none", "optional"):
        result = index_photos(photos, tmp_path / "index.csv", labels, "--label-glob", "none")
        assert result.returncode == 0, result.stderr
        assert "label" not in read(tmp_path / "index.csv")
    (line,) = error_lines(
        index_photos(photos, tmp_path / "other.csv", "required", "--label-glob", "none")
    )
    assert "label glob: expected a pattern of labels, found 'none'" in line


def test_16_bit_photograph_is_refused_in_one_line(photos, tmp_path):
    Image.fromarray(np.ones((6, 10), np.uint16)).save(photos / "rgb" / "b.png")
    result = index_photos(photos, tmp_path / "index.csv", "none", "--label-glob", "none")
    (line,) = error_lines(result)
    assert "rgb/b.png: expected 8 bits a channel" in line


def test_photographs_of_a_kind_that_is_not_read_are_counted(photos, tmp_path):
    for name in ("c.HEIC", "d.HEIC", "notes"):
        (photos / "rgb" / name).touch()
    result = index_photos(photos, tmp_path / "index.csv", "none", "--label-glob", "none")
    assert result.returncode == 0, result.stderr
    assert f"{photos}: passed over 1 without a suffix, 2 .HEIC: no images" in result.stdout
