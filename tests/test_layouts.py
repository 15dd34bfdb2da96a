"""Which images, labels, drives and frames the readers find in the data sets' own folders."""

from pathlib import Path

import pytest

from mada.cli import InputError
from mada.layouts import list_items


def touch(root: Path, *names: str) -> Path:
    """Make empty files; readers go by names alone."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def ids(items) -> list[str]:
    return [item.id for item in items]


def test_gta5_pairs_images_and_labels_by_number(tmp_path):
    root = touch(tmp_path, "images/00002.png", "images/00001.png", "labels/00001.png")
    items = list_items("gta5", root, "train")
    assert ids(items) == ["00001", "00002"]
    assert [item.image for item in items] == [root / "images/00001.png", root / "images/00002.png"]
    assert [item.label for item in items] == [root / "labels/00001.png", root / "labels/00002.png"]


def test_gta5_has_no_tuning_split(tmp_path):
    with pytest.raises(InputError, match=r"train split only, found 'tune'"):
        list_items("gta5", touch(tmp_path, "images/00001.png"), "tune")


def test_cityscapes_reads_city_sequence_and_frame_from_the_name(tmp_path):
    image = "leftImg8bit/val/bad-town/bad-town_000003_000019_leftImg8bit.png"
    touch(tmp_path, image, "leftImg8bit/val/bad-town/bad-town_000003_000019_leftImg8bit.json")
    touch(tmp_path, "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png")
    (item,) = list_items("cityscapes", tmp_path, "val")
    assert item.id == "bad-town_000003_000019"
    assert item.image == tmp_path / image
    assert item.label == tmp_path / "gtFine/val/bad-town/bad-town_000003_000019_gtFine_labelIds.png"
    assert (item.sequence, item.frame) == ("bad-town", 3)


def test_cityscapes_name_without_sequence_is_named(tmp_path):
    touch(tmp_path, "leftImg8bit/train/aachen/aachen_one_leftImg8bit.png")
    with pytest.raises(InputError, match=r"aachen_one_leftImg8bit\.png: expected <city>_"):
        list_items("cityscapes", tmp_path, "train")


def camvid_splits(root: Path) -> dict[str, list[str]]:
    return {split: ids(list_items("camvid", root, split)) for split in ("train", "tune", "val")}


def test_camvid_drives_are_cut_in_stretches_of_time_over_all_folders(tmp_path):
    # 20 frames of one drive, every third in val/; in order of time 14 train, 3 tune, 3 validate.
    frames = [f"drive_{number * 30:05d}" for number in range(20)]
    for position, frame in enumerate(frames):
        touch(tmp_path, f"{'val' if position % 3 == 0 else 'train'}/{frame}.png")
    splits = camvid_splits(tmp_path)
    assert splits == {"train": frames[:14], "tune": frames[14:17], "val": frames[17:]}
    label = {item.id: item.label for item in list_items("camvid", tmp_path, "train")}
    assert label["drive_00000"] == tmp_path / "valannot/drive_00000.png"
    assert label["drive_00030"] == tmp_path / "trainannot/drive_00030.png"


def test_camvid_orders_frames_by_number_whatever_their_spelling(tmp_path):
    # As in drive 0006R0, whose frame numbers carry an f, and with a number of one digit more.
    touch(tmp_path, *(f"train/day_f{number}.png" for number in range(91, 111)))
    splits = camvid_splits(tmp_path)
    assert splits["tune"] == ["day_f105", "day_f106", "day_f107"]
    assert splits["val"] == ["day_f108", "day_f109", "day_f110"]
    assert {item.sequence for item in list_items("camvid", tmp_path, "val")} == {"day"}
    assert [item.frame for item in list_items("camvid", tmp_path, "tune")] == [105, 106, 107]


def test_every_camvid_drive_is_in_every_split_and_no_frame_in_two(tmp_path):
    for drive in ("day", "dusk"):
        touch(tmp_path, *(f"train/{drive}_{number:04d}.png" for number in range(20)))
    splits = camvid_splits(tmp_path)
    for split, counted in (("train", 14), ("tune", 3), ("val", 3)):
        for drive in ("day", "dusk"):
            assert sum(name.startswith(f"{drive}_") for name in splits[split]) == counted
    assert len(set().union(*splits.values())) == 40


def test_camvid_share_that_is_a_whole_number_is_met_exactly(tmp_path):
    touch(tmp_path, *(f"train/drive_{number:04d}.png" for number in range(90)))
    assert len(camvid_splits(tmp_path)["train"]) == 63  # 70 % of 90


def test_camvid_name_without_frame_number_is_named(tmp_path):
    with pytest.raises(InputError, match=r"drive_x\.png: expected <drive>_<frame number>"):
        list_items("camvid", touch(tmp_path, "train/drive_x.png"), "train")


def test_folder_layout_takes_subfolders_as_sequences(tmp_path):
    touch(tmp_path, "train/images/b/2.jpg", "train/images/a/1.png", "train/images/a/notes.txt")
    items = list_items("folder", tmp_path, "train")
    assert ids(items) == ["a/1", "b/2"]
    assert [item.sequence for item in items] == ["a", "b"]
    assert [item.image for item in items] == [
        tmp_path / "train/images/a/1.png",
        tmp_path / "train/images/b/2.jpg",
    ]
    assert [item.label for item in items] == [
        tmp_path / "train/labels/a/1.png",
        tmp_path / "train/labels/b/2.png",
    ]


@pytest.mark.parametrize(
    ("layout", "files"),
    [
        ("gta5", ("images/1.png", "images/1.jpg")),
        ("folder", ("train/images/a.png", "train/images/a.jpg")),
        ("camvid", ("train/d_1.png", "val/d_1.png")),
        (
            "cityscapes",
            (
                "leftImg8bit/train/x/a_000001_000019_leftImg8bit.png",
                "leftImg8bit/train/y/a_000001_000019_leftImg8bit.png",
            ),
        ),
    ],
)
def test_two_images_of_one_id_are_both_named(tmp_path, layout, files):
    with pytest.raises(InputError, match="expected a unique id") as refused:
        list_items(layout, touch(tmp_path, *files), "train")
    assert all(str(tmp_path / file) in str(refused.value) for file in files)


@pytest.mark.parametrize(
    ("layout", "folder"),
    [
        ("gta5", "images"),
        ("cityscapes", "leftImg8bit/train"),
        ("camvid", "train"),
        ("folder", "train/images"),
    ],
)
def test_empty_and_missing_folders_are_named(tmp_path, layout, folder):
    with pytest.raises(InputError, match=rf"{folder}: expected a folder of images"):
        list_items(layout, tmp_path, "train")
    touch(tmp_path, f"{folder}/readme.txt")
    with pytest.raises(InputError, match=rf"{folder}: expected images"):
        list_items(layout, tmp_path, "train")


@pytest.mark.parametrize("layout", ["gta5", "cityscapes", "camvid", "folder"])
def test_missing_root_is_named(tmp_path, layout):
    with pytest.raises(InputError, match=rf"nowhere: expected the root folder of a {layout}"):
        list_items(layout, tmp_path / "nowhere", "train")


def test_stretch_of_a_drive_too_short_to_be_cut_is_named(tmp_path):
    touch(tmp_path, "train/drive_1.png")
    with pytest.raises(InputError, match="expected images in split 'tune', found none"):
        list_items("camvid", tmp_path, "tune")


def test_unknown_layout_and_split_are_named(tmp_path):
    with pytest.raises(InputError, match=r"expected one of .*gta5.*found 'kitti'"):
        list_items("kitti", tmp_path, "train")
    with pytest.raises(InputError, match="found 'test'"):
        list_items("folder", tmp_path, "test")
