"""Which images, labels, drives and frames the readers find in the data sets' own folders."""

import os
from pathlib import Path

import pytest

from mada.cli import InputError
from mada.layouts import label_table, list_items


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


def test_synthia_pairs_images_and_labels_by_number(tmp_path):
    root = touch(tmp_path, "RGB/0000001.png", "RGB/0000000.png", "GT/LABELS/0000000.png")
    touch(tmp_path, "GT/COLOR/0000000.png", "Depth/Depth/0000000.png")
    items = list_items("synthia", root, "train")
    assert ids(items) == ["0000000", "0000001"]
    assert [item.image for item in items] == [root / f"RGB/{item.id}.png" for item in items]
    assert [item.label for item in items] == [root / f"GT/LABELS/{item.id}.png" for item in items]


@pytest.mark.parametrize(("layout", "folder"), [("gta5", "images"), ("synthia", "RGB")])
def test_rendered_sets_have_no_tuning_split(tmp_path, layout, folder):
    with pytest.raises(InputError, match=r"train split only, found 'tune'"):
        list_items(layout, touch(tmp_path, f"{folder}/00001.png"), "tune")


def test_cityscapes_reads_city_sequence_and_frame_from_the_name(tmp_path):
    image = "leftImg8bit/val/bad-town/bad-town_000003_000019_leftImg8bit.png"
    touch(tmp_path, image, "leftImg8bit/val/bad-town/bad-town_000003_000019_leftImg8bit.json")
    touch(tmp_path, "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png")
    (item,) = list_items("cityscapes", tmp_path, "val")
    assert item.id == "bad-town_000003_000019"
    assert item.image == tmp_path / image
    assert item.label == tmp_path / "gtFine/val/bad-town/bad-town_000003_000019_gtFine_labelIds.png"
    assert item.sequence == "bad-town"


@pytest.mark.parametrize(
    "numbers",
    [
        ["000000_000019", "000001_000019", "000010_000019"],  # most cities
        ["000000_000042", "000000_000629", "000000_106102"],  # hamburg and some others
    ],
)
def test_cityscapes_frames_stand_in_the_order_of_the_drive(tmp_path, numbers):
    for name in numbers:
        touch(tmp_path, f"leftImg8bit/train/town/town_{name}_leftImg8bit.png")
    items = list_items("cityscapes", tmp_path, "train")
    in_order = sorted(items, key=lambda item: item.frame)
    assert [item.id for item in in_order] == [f"town_{name}" for name in numbers]
    assert len({item.frame for item in items}) == 3


def test_cityscapes_labels_are_of_one_kind_alone_whatever_is_there(tmp_path):
    # One image has both kinds of label, the other none.
    for number in (3, 4):
        touch(tmp_path, f"leftImg8bit/train/ulm/ulm_00000{number}_000019_leftImg8bit.png")
    for kind in ("labelIds", "labelTrainIds"):
        touch(tmp_path, f"gtFine/train/ulm/ulm_000003_000019_gtFine_{kind}.png")
    for layout, kind in (("cityscapes", "labelIds"), ("cityscapes-train-ids", "labelTrainIds")):
        items = list_items(layout, tmp_path, "train")
        assert [item.label for item in items] == [
            tmp_path / f"gtFine/train/ulm/{item.id}_gtFine_{kind}.png" for item in items
        ]


def test_cityscapes_training_images_need_no_folder_of_labels(tmp_path):
    touch(tmp_path, "leftImg8bit/train/ulm/ulm_000003_000019_leftImg8bit.png")
    assert ids(list_items("cityscapes", tmp_path, "train")) == ["ulm_000003_000019"]


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


def found(root: Path, split: str, image_glob: str, label_glob: str | None) -> list[tuple]:
    """Id, image, label and sequence of every item, paths relative to the root."""
    return [
        (
            item.id,
            item.image.relative_to(root).as_posix(),
            item.label and item.label.relative_to(root).as_posix(),
            item.sequence,
        )
        for item in list_items("folder", root, split, image_glob, label_glob)
    ]


@pytest.mark.parametrize(
    ("image_glob", "label_glob", "image", "item_id", "label"),
    [
        # A name with a fixed beginning and end
        (
            *("rgb/{split}/*_rgb.jpg", "masks/{split}/*_mask.png"),
            *("rgb/train/a_7_rgb.jpg", "a_7", "masks/train/a_7_mask.png"),
        ),
        # Folders below, or none
        ("rgb/**/*", "gt/**/*.png", "rgb/x/y/7.jpeg", "x/y/7", "gt/x/y/7.png"),
        ("rgb/**/*", "gt/**/*.png", "rgb/7.jpeg", "7", "gt/7.png"),
        # Folders first, and in between; what is fixed is no part of the id
        ("**/rgb/*.png", "**/gt/*.png", "x/y/rgb/7.png", "x/y/7", "x/y/gt/7.png"),
        ("**/rgb/*.png", "**/gt/*.png", "rgb/7.png", "7", "gt/7.png"),
        ("*/rgb/*", "labels/*/*.png", "x/rgb/7.webp", "x/7", "labels/x/7.png"),
        # Two wildcards in a name, one side by side with another
        ("s*_f??.png", "*/??_l.png", "s3_f07.png", "3/07", "3/07_l.png"),
        # Dots that end no name, and suffixes left open
        ("rgb/*", "gt/*.png", "rgb/7.5.png", "7.5", "gt/7.5.png"),
        ("rgb/*.png", "gt/*.png", "rgb/7.5.png", "7.5", "gt/7.5.png"),
        ("rgb/*.*", "gt/*.png", "rgb/7.5.png", "7.5", "gt/7.5.png"),
        ("rgb/*.jp*g", "gt/*.png", "rgb/7.JPG", None, None),
        ("rgb/*.jp*g", "gt/*.png", "rgb/7.jpeg", "7", "gt/7.png"),
        ("rgb/*_v1.2*", "gt/*_*.png", "rgb/7_v1.2_b.png", "7/_b", "gt/7__b.png"),
        # Spellings of one pattern
        ("./rgb//*", "gt/./*.png", "rgb/7.png", "7", "gt/7.png"),
    ],
)
def test_label_has_in_its_wildcards_what_the_image_has(
    tmp_path, image_glob, label_glob, image, item_id, label
):
    touch(tmp_path, image, "rgb/notes.txt")
    if item_id is None:
        with pytest.raises(InputError, match="expected images"):
            found(tmp_path, "train", image_glob, label_glob)
        return
    sequence = Path(item_id).parent.as_posix()
    expected = [(item_id, image, label, sequence)]
    assert found(tmp_path, "train", image_glob, label_glob) == expected


def test_split_may_stand_anywhere_in_a_pattern(tmp_path):
    touch(tmp_path, "day/train-1.png", "day/val-1.png", "day/val-2.png")
    patterns = ("*/{split}-*.png", "*/{split}-*.gt.png")
    assert found(tmp_path, "val", *patterns) == [
        ("day/1", "day/val-1.png", "day/val-1.gt.png", "day"),
        ("day/2", "day/val-2.png", "day/val-2.gt.png", "day"),
    ]


def test_pattern_without_a_split_serves_training_alone(tmp_path):
    touch(tmp_path, "a/1.png")
    assert len(found(tmp_path, "train", "a/*", "b/*.png")) == 1
    with pytest.raises(InputError, match=r"image glob: expected \{split\} in it to tell 'val' ap"):
        found(tmp_path, "val", "a/*", "b/*.png")


def test_unlabelled_images_need_no_pattern_of_labels(tmp_path):
    touch(tmp_path, "a/1.png")
    assert found(tmp_path, "train", "a/*", "none") == [("1", "a/1.png", None, ".")]


def test_hidden_files_and_what_is_no_image_are_passed_over(tmp_path):
    touch(tmp_path, "train/images/a/1.png", "train/images/a/._1.png", "train/images/.b/2.png")
    touch(tmp_path, "train/images/Thumbs.db", "train/images/a.png/3.png")
    assert ids(list_items("folder", tmp_path, "train")) == ["a.png/3", "a/1"]


def test_links_to_folders_are_followed(tmp_path):
    touch(tmp_path / "elsewhere", "1.png")
    touch(tmp_path / "root", "train/images/2.png")
    (tmp_path / "root/train/images/drive").symlink_to(tmp_path / "elsewhere")
    assert ids(list_items("folder", tmp_path / "root", "train")) == ["2", "drive/1"]


@pytest.mark.parametrize(
    ("image_glob", "label_glob", "message"),
    [
        ("a/*", None, "label glob: .* as in image glob 'a/\\*', or 'none' .* '{split}/lab"),
        ("a/*", "b/**/*.png", "label glob: expected as many wildcards as in image glob"),
        ("a/*", "b/*", "label glob: expected a suffix such as .png, found 'b/\\*'"),
        ("a/*", "b/*.*", "label glob: expected a suffix such as .png"),
        ("a/[12].png", "b/*.png", "image glob: expected {split}, .* alone, found 'a/\\[12\\].png'"),
        ("a/*", "b/{name}.png", "label glob: expected {split}, .* alone, found 'b/{name}.png'"),
        ("../a/*", "none", "image glob: expected a pattern below the root, found '../a/\\*'"),
        ("/a/*", "none", "image glob: expected a pattern below the root, found '/a/\\*'"),
        ("a/*", "/b/*.png", "label glob: expected a pattern below the root"),
        ("a/1.png", "none", "1.png: expected a name in place of wildcards, found 'a/1.png'"),
        ("a/*.jpg", "none", r"/a: expected images \(\*.jpg\), found none"),
        ("d/*", "none", r"/d: expected images \(\*\), found but 2 without a suffix, 1 .HEIC"),
        ("c/*.jpg", "none", "/c: expected a folder of images, found none"),
    ],
)
def test_patterns_that_make_no_sense_are_refused(tmp_path, image_glob, label_glob, message):
    touch(tmp_path, "a/1.png", "d/1.HEIC", "d/2", "d/3")
    with pytest.raises(InputError, match=message):
        list_items("folder", tmp_path, "train", image_glob, label_glob)


def test_patterns_are_for_the_folder_layout_alone(tmp_path):
    touch(tmp_path, "images/1.png")
    with pytest.raises(InputError, match=r"image glob: expected none with layout gta5, found '\*'"):
        list_items("gta5", tmp_path, "train", image_glob="*")
    with pytest.raises(InputError, match=r"label glob: expected none with layout gta5, found 'no"):
        list_items("gta5", tmp_path, "train", label_glob="none")


def test_camvid_labels_make_sense_with_a_class_table_only():
    with pytest.raises(InputError, match=r"class table .* layout camvid, found 'cityscapes19'"):
        label_table("camvid", "cityscapes19")
    assert label_table("folder", "cityscapes19")[18] == 18


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


def test_of_several_ids_that_stand_twice_all_are_named(tmp_path, capsys):
    names = [f"train/images/{name}" for name in ("a.png", "a.jpg", "b.png", "b.jpg", "c.png")]
    with pytest.raises(InputError, match="2 problems in the data set"):
        list_items("folder", touch(tmp_path, *names), "train")
    told = capsys.readouterr().err
    assert "'a' too" in told and "'b' too" in told and "'c'" not in told


@pytest.mark.parametrize(
    ("layout", "folder"),
    [
        ("gta5", "images"),
        ("synthia", "RGB"),
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


def test_names_that_are_no_text_are_all_named(tmp_path, capsys):
    touch(tmp_path, "train/images/gross/1.png")
    for name in (b"stra\xdfe.png", b"\xff.png"):
        (tmp_path / "train/images" / os.fsdecode(name)).touch()
    with pytest.raises(InputError):
        list_items("folder", tmp_path, "train")
    lines = capsys.readouterr().err.splitlines()
    assert [line.count("expected a name in UTF-8") for line in lines] == [1, 1]
    assert "stra\\udcdfe.png'" in lines[0] + lines[1]
