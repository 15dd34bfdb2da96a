"""Which training id every stored label value stands for, and which label files are refused."""

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mada.cli import InputError
from mada.labels import (
    CLASS_SETS,
    REPORTED_SUBSETS,
    UNKNOWN,
    VOID,
    class_set,
    label_image,
    read_label,
    train_id_table,
)

# Cityscapes' ids in the order of its training ids: road, sidewalk, building, wall, fence, pole,
# traffic light, traffic sign, vegetation, terrain, sky, person, rider, car, truck, bus, train,
# motorcycle, bicycle.
IN_19 = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
IN_16 = [7, 8, 11, 12, 13, 17, 19, 20, 21, 23, 24, 25, 26, 28, 32, 33]  # no 22, 27, 31
# The 11 classes of CamVid's SegNet distribution, and what each takes in.
CAMVID = (
    ("sky", ["sky"]),
    ("building", ["building", "wall", "bridge", "tunnel"]),
    ("pole", ["pole"]),
    ("road", ["road"]),
    ("pavement", ["sidewalk"]),
    ("tree", ["vegetation", "terrain"]),
    ("sign", ["traffic sign", "traffic light"]),
    ("fence", ["fence", "guard rail"]),
    ("car", ["car", "truck", "bus", "train", "caravan", "trailer"]),
    ("pedestrian", ["person"]),
    ("bicyclist", ["rider", "bicycle", "motorcycle"]),
)
INTO_CAMVID = {
    23: 0,  # sky
    **{11: 1, 12: 1, 15: 1, 16: 1},  # building, wall, bridge, tunnel
    17: 2,  # pole
    7: 3,  # road
    8: 4,  # sidewalk
    **{21: 5, 22: 5},  # vegetation, terrain
    **{19: 6, 20: 6},  # traffic light, traffic sign
    **{13: 7, 14: 7},  # fence, guard rail
    **{26: 8, 27: 8, 28: 8, 29: 8, 30: 8, 31: 8},  # car, truck, bus, caravan, trailer, train
    24: 9,  # person
    **{25: 10, 32: 10, 33: 10},  # rider, motorcycle, bicycle
}
TRAINED = {
    "cityscapes19": {value: place for place, value in enumerate(IN_19)},
    "cityscapes16": {value: place for place, value in enumerate(IN_16)},
    "camvid": INTO_CAMVID,
}


def write_classes(path: Path, table: list[dict], void_ids: list[int]) -> str:
    path.write_text(json.dumps({"classes": table, "void_ids": void_ids}))
    return str(path)


@pytest.fixture
def classes(request, tmp_path) -> str:
    """A built-in class set's name, or the file of CamVid's class table."""
    if request.param in CLASS_SETS:
        return request.param
    table = [
        {"name": name, "ids": [place], "colour": [place, 9, 9], "cityscapes": cities}
        for place, (name, cities) in enumerate(CAMVID)
    ]
    return write_classes(tmp_path / "classes.json", table, [11])


def expected_table(trained: dict[int, int], defined: set[int]) -> list[int]:
    return [trained.get(v, VOID if v in defined else UNKNOWN) for v in range(256)]


IN_EVERY_SET = pytest.mark.parametrize(
    ("classes", "trained"), TRAINED.items(), indirect=["classes"], ids=list(TRAINED)
)


@IN_EVERY_SET
def test_cityscapes_ids_are_those_of_the_official_evaluation(classes, trained):
    table = train_id_table("cityscapes-ids", classes)
    assert table.tolist() == expected_table(trained, set(range(34)))


@IN_EVERY_SET
def test_gta5_ids_are_those_of_cityscapes_and_34_for_licence_plates(classes, trained):
    table = train_id_table("gta5-ids", classes)
    assert table.tolist() == expected_table(trained, set(range(35)))


@pytest.mark.parametrize(
    ("classes", "count"),
    [("cityscapes19", 19), ("cityscapes16", 16), ("camvid", 11)],
    indirect=["classes"],
)
def test_training_ids_stand_for_themselves(classes, count):
    trained = {value: value for value in range(count)}
    assert train_id_table("train-ids", classes).tolist() == expected_table(trained, {255})


@pytest.mark.parametrize(
    ("classes", "count", "void"),
    [("cityscapes19", 19, 255), ("cityscapes16", 16, 255), ("camvid", 11, 11)],
    indirect=["classes"],
)
def test_own_ids_are_the_tables_and_of_a_built_in_set_the_training_ids(classes, count, void):
    trained = {value: value for value in range(count)}
    assert train_id_table("own-ids", classes).tolist() == expected_table(trained, {void})


def test_own_ids_may_be_any_values_and_several_for_one_class(tmp_path):
    table = [
        {"name": "way", "ids": [200, 3], "colour": [1, 1, 1]},
        {"name": "rest", "ids": [0], "colour": [2, 2, 2]},
        {"name": "never labelled here", "colour": [3, 3, 3], "cityscapes": ["sky"]},
    ]
    classes = write_classes(tmp_path / "classes.json", table, [255, 9])
    found = train_id_table("own-ids", classes)
    assert found.tolist() == expected_table({200: 0, 3: 0, 0: 1}, {255, 9})
    Image.fromarray(np.uint8([[3, 200, 9], [0, 255, 3]])).save(tmp_path / "label.png")
    assert read_label(tmp_path / "label.png", found).tolist() == [[0, 0, VOID], [1, VOID, 0]]
    Image.fromarray(np.uint8([[3, 2]])).save(tmp_path / "label.png")
    with pytest.raises(InputError, match=r"label\.png: expected values of .* found \[2\]"):
        read_label(tmp_path / "label.png", found)


def test_unknown_class_set_and_encoding_are_named(tmp_path):
    with pytest.raises(InputError, match=r"cityscapes19.*found 'cityscapes20'"):
        train_id_table("cityscapes-ids", "cityscapes20")
    with pytest.raises(InputError, match=r"gta5-ids.*found 'gta6-ids'"):
        train_id_table("gta6-ids", "cityscapes19")
    with pytest.raises(InputError, match=r"gone\.json: expected a class table, found no file"):
        train_id_table("own-ids", str(tmp_path / "gone.json"))


def test_subsets_with_a_mean_of_their_own_have_the_sizes_they_are_named_for():
    assert {name: len(subset) for name, subset in REPORTED_SUBSETS.items()} == {
        "19": 19,
        "16": 16,
        "13": 13,
    }
    left_out = set(REPORTED_SUBSETS["19"]) - set(REPORTED_SUBSETS["13"])
    assert left_out == {"terrain", "truck", "train", "wall", "fence", "pole"}


@pytest.fixture
def table() -> np.ndarray:
    return train_id_table("cityscapes-ids", "cityscapes19")


def save(values: np.ndarray, path, **options):
    Image.fromarray(values).save(path, **options)
    return path


def test_label_is_read_as_training_ids(tmp_path, table):
    path = save(np.uint8([[7, 8, 33], [0, 11, 26]]), tmp_path / "label.png")
    label = read_label(path, table)
    assert label.dtype == np.uint8
    assert label.tolist() == [[0, 1, 18], [VOID, 2, 13]]


def test_palette_is_only_for_show(tmp_path, table):
    image = Image.fromarray(np.uint8([[7, 8], [33, 0]])).convert("P")
    image.putdata([7, 8, 33, 0])
    image.putpalette([255 - value // 3 for value in range(768)])  # colours unlike the indices
    image.save(tmp_path / "label.png")
    with Image.open(tmp_path / "label.png") as stored:
        assert stored.mode == "P"
    assert read_label(tmp_path / "label.png", table).tolist() == [[0, 1], [18, VOID]]


@pytest.mark.parametrize("classes", TRAINED, indirect=True)
def test_label_images_hold_training_ids_and_show_the_colours_of_their_classes(tmp_path, classes):
    chosen = class_set(classes)
    train_ids = np.uint8([[*range(len(chosen)), VOID]])
    label_image(train_ids, classes).save(tmp_path / "label.png")
    table = train_id_table("train-ids", classes)
    assert read_label(tmp_path / "label.png", table).tolist() == train_ids.tolist()
    with Image.open(tmp_path / "label.png") as stored:
        shown = np.asarray(stored.convert("RGB"))[0].tolist()
    assert shown == [*map(list, chosen.colours), [0, 0, 0]]


def test_every_unknown_value_is_named_with_its_file(tmp_path, table):
    path = save(np.uint8([[7, 200], [35, 8]]), tmp_path / "odd.png")
    with pytest.raises(InputError, match=r"odd\.png: .*found \[35, 200\]"):
        read_label(path, table)


@pytest.mark.parametrize(
    "values",
    [np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6, 4), np.uint8), np.zeros((4, 6), np.uint16)],
    ids=["colour", "colour with alpha", "16 bit"],
)
def test_label_of_several_channels_or_more_than_8_bits_is_refused(tmp_path, table, values):
    path = save(values, tmp_path / "colour.png")
    with pytest.raises(InputError, match=r"colour\.png: expected 8-bit label ids in one channel"):
        read_label(path, table)


def packed_png(depth: int, row: bytes) -> bytes:
    """A greyscale PNG of 2 x 1 pixels, ``depth`` bits each."""

    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", 2, 1, depth, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*parts) for parts in chunks)


@pytest.mark.parametrize(("depth", "row"), [(4, b"\x01"), (2, b"\x30")], ids=["4 bit", "2 bit"])
def test_grey_values_of_fewer_than_8_bits_are_refused(tmp_path, depth, row):
    # Decoders stretch them over 0 … 255: 1 of 4 bits becomes 17, 3 of 2 bits becomes 255.
    (tmp_path / "packed.png").write_bytes(packed_png(depth, row))
    with pytest.raises(InputError, match=r"packed\.png: expected 8-bit label ids"):
        read_label(tmp_path / "packed.png", train_id_table("train-ids", "cityscapes19"))


def test_png_cut_off_anywhere_in_its_pixels_is_refused_and_named(tmp_path, table):
    values = np.random.default_rng(0).integers(0, 34, (24, 32)).astype(np.uint8)
    whole = save(values, tmp_path / "whole.png").read_bytes()
    end_of_pixels = whole.index(b"IEND") - 8  # before the checksum of the last pixel chunk
    path = tmp_path / "cut.png"
    for length in (0, 7, 20, *range(40, end_of_pixels, 50)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut\.png: expected a readable image"):
            read_label(path, table)


def test_missing_label_is_named(tmp_path, table):
    with pytest.raises(InputError, match=r"gone\.png"):
        read_label(tmp_path / "gone.png", table)
