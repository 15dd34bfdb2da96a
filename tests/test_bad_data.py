"""Data and budgets that cannot be used end a run before any training, in lines that name them."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from test_pipeline import WARMUP, make_project, snakemake


def test_settings_that_the_data_cannot_meet_stop_the_run_before_training(tmp_path):
    folder = make_project(tmp_path, budget=12)
    result = snakemake(folder, "--show-failed-logs", "results/demo/index/settings.json")
    assert "error: variants: M4 needs images without annotation" in result.stderr
    more = ("--config", "budget=13", "source_anchors=13")
    result = snakemake(folder, "--show-failed-logs", *more)
    assert result.returncode != 0
    assert "error: source_anchors: expected at most the 12 images" in result.stderr
    assert "error: budget: expected 1 to 12 images" in result.stderr
    assert not (folder / WARMUP).exists()


def test_bad_files_are_all_named_before_training(tmp_path):
    folder = make_project(tmp_path)
    images, labels = folder / "data/gta5/images", folder / "data/gta5/labels"
    (labels / "00001.png").unlink()
    Image.new("L", (8, 8)).save(labels / "00002.png")
    Image.new("L", (96, 64), 77).save(labels / "00003.png")
    (images / "00004.png").write_bytes((images / "00004.png").read_bytes()[:200])
    result = snakemake(folder, "--show-failed-logs")
    assert result.returncode != 0
    for message in (
        "00001.png: expected a label at",
        "00002.png: expected 96x64 pixels like its image, found 8x8",
        "00003.png: expected values of the class table, found [77]",
        "00004.png: expected a readable image",
    ):
        assert message in result.stderr
    assert not (folder / WARMUP).exists()


def lose_source(folder: Path) -> None:
    shutil.rmtree(folder / "data/gta5")


def empty_source(folder: Path) -> None:
    for image in (folder / "data/gta5/images").iterdir():
        image.unlink()


def double_id(folder: Path) -> None:
    images = folder / "data/gta5/images"
    Image.open(images / "00002.png").save(images / "00002.bmp")


def truncate_target(folder: Path) -> None:
    image = folder / "data/cityscapes/leftImg8bit/train/northtown"
    image /= "northtown_000000_000019_leftImg8bit.png"
    image.write_bytes(image.read_bytes()[:200])


def nothing(folder: Path) -> None:
    """Leave the data as they are."""


@pytest.mark.parametrize(
    ("spoil", "setting", "message"),
    [
        (lose_source, None, "source_root: expected a folder, found none at data/gta5"),
        (empty_source, None, "data/gta5/images: expected images (**/*), found none"),
        (double_id, None, "00002.png: expected a unique id"),
        (truncate_target, None, "000000_000019_leftImg8bit.png: expected a readable image"),
        (nothing, "budget=0", "budget: expected a value like 5% or 16, found 0"),
        (nothing, "budget=0%", "budget: expected a share above 0% and up to 100%, found 0%"),
        (nothing, "budget=101%", "budget: expected a share above 0% and up to 100%, found 101%"),
    ],
)
def test_bad_data_and_budgets_end_the_run_before_training(tmp_path, spoil, setting, message):
    folder = make_project(tmp_path)
    spoil(folder)
    words = ("--config", setting) if setting else ()
    result = snakemake(folder, *words)
    assert result.returncode != 0
    assert message in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert not list(folder.glob("results/**/*.pt"))


@pytest.mark.parametrize("words", [(), ("--prioritize", "adapt")])
@pytest.mark.parametrize("split", ["val", "tune"])
def test_a_bad_label_of_any_split_stops_the_run_before_training(tmp_path, split, words):
    folder = make_project(tmp_path)
    label = next((folder / f"data/cityscapes/gtFine/{split}").rglob("*_labelIds.png"))
    label.write_bytes(b"garbage")
    result = snakemake(folder, "--show-failed-logs", *words)
    assert result.returncode != 0
    assert f"{label.name}: expected a readable" in result.stderr
    assert not (folder / WARMUP).exists()
