"""Which training id every stored label value stands for, and which label files are refused."""

import json
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
    LabelSizeError,
    class_set,
    label_image,
    read_label,
    train_id_table,
)
from tiny import deep_png, png_by_hand

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


# What each of SYNTHIA's ids becomes: 1 sky, 2 building, 3 road, 4 sidewalk, 5 fence, 6 vegetation,
# 7 pole, 8 car, 9 traffic sign, 10 pedestrian, 11 bicycle, 12 motorcycle, 15 traffic light,
# 16 terrain, 17 rider, 18 truck, 19 bus, 20 train, 21 wall; 0 void, 13 parking-slot, 14 road-work
# and 22 lane marking are void.
# fmt: off
FROM_SYNTHIA = {
    "cityscapes19": {3: 0, 4: 1, 2: 2, 21: 3, 5: 4, 7: 5, 15: 6, 9: 7, 6: 8, 16: 9, 1: 10, 10: 11,
                     17: 12, 8: 13, 18: 14, 19: 15, 20: 16, 12: 17, 11: 18},
    "cityscapes16": {3: 0, 4: 1, 2: 2, 21: 3, 5: 4, 7: 5, 15: 6, 9: 7, 6: 8, 1: 9, 10: 10, 17: 11,
                     8: 12, 19: 13, 12: 14, 11: 15},
    "camvid": {1: 0, 2: 1, 21: 1, 7: 2, 3: 3, 4: 4, 6: 5, 16: 5, 9: 6, 15: 6, 5: 7, 8: 8, 18: 8,
               19: 8, 20: 8, 10: 9, 17: 10, 11: 10, 12: 10},
}
# What each of Cityscapes' training ids becomes, in the order of IN_19.
FROM_TRAIN_IDS = {
    "cityscapes19": {value: value for value in range(19)},
    "cityscapes16": {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8, 10: 9, 11: 10, 12: 11,
                     13: 12, 15: 13, 17: 14, 18: 15},
    "camvid": {0: 3, 1: 4, 2: 1, 3: 1, 4: 7, 5: 2, 6: 6, 7: 6, 8: 5, 9: 5, 10: 0, 11: 9, 12: 10,
               13: 8, 14: 8, 15: 8, 16: 8, 17: 10, 18: 10},
}
# fmt: on


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


def expected_table(trained: dict[int, int], defined: set[int], values: int = 256) -> list[int]:
    return [trained.get(v, VOID if v in defined else UNKNOWN) for v in range(values)]


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
    ("classes", "trained"), FROM_SYNTHIA.items(), indirect=["classes"], ids=list(FROM_SYNTHIA)
)
def test_synthia_ids_are_those_of_its_readme_in_16_bits(classes, trained):
    table = train_id_table("synthia-ids", classes)
    assert table.tolist() == expected_table(trained, set(range(23)), values=65536)


@pytest.mark.parametrize(
    ("classes", "trained"), FROM_TRAIN_IDS.items(), indirect=["classes"], ids=list(FROM_TRAIN_IDS)
)
def test_cityscapes_training_ids_are_its_19_whatever_the_classes(classes, trained):
    table = train_id_table("cityscapes-train-ids", classes)
    assert table.tolist() == expected_table(trained, {*range(19), 255})


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


@pytest.mark.parametrize("classes", CLASS_SETS)
def test_both_kinds_of_cityscapes_labels_are_read_alike(rng, tmp_path, classes):
    ids = rng.integers(0, 34, (24, 32))
    train_ids = [[TRAINED["cityscapes19"].get(value, 255) for value in row] for row in ids.tolist()]
    labels = {"cityscapes-ids": ids, "cityscapes-train-ids": train_ids}
    read = [
        read_label(save(np.uint8(values), tmp_path / f"{kind}.png"), train_id_table(kind, classes))
        for kind, values in labels.items()
    ]
    assert read[0].tolist() == read[1].tolist()


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


@pytest.mark.parametrize(("depth", "row"), [(4, b"\x01"), (2, b"\x30")], ids=["4 bit", "2 bit"])
def test_grey_values_of_fewer_than_8_bits_are_refused(tmp_path, depth, row):
    # Decoders stretch them over 0 … 255: 1 of 4 bits becomes 17, 3 of 2 bits becomes 255.
    (tmp_path / "packed.png").write_bytes(png_by_hand(2, 1, depth, 0, [row]))
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


@pytest.fixture
def synthia_table() -> np.ndarray:
    return train_id_table("synthia-ids", "cityscapes16")


def test_class_of_a_synthia_label_is_in_its_first_channel(rng, tmp_path, synthia_table):
    classes = rng.integers(0, 23, (12, 18))
    others = rng.integers(0, 65536, (12, 18, 2))  # instance, and a channel that says nothing
    values = np.concatenate([classes[..., None], others], axis=2).astype(np.uint16)
    (tmp_path / "label.png").write_bytes(deep_png(values))
    label = read_label(tmp_path / "label.png", synthia_table, (18, 12))
    assert label.dtype == np.uint8
    trained = FROM_SYNTHIA["cityscapes16"]
    assert label.tolist() == [[trained.get(v, VOID) for v in row] for row in classes.tolist()]


def test_synthia_label_with_an_unknown_class_is_named(tmp_path, synthia_table):
    values = np.zeros((4, 6, 3), np.uint16)
    values[1, 2, 0], values[3, 5, 0] = 23, 3 + 256  # 259 would be a road if a byte were dropped
    (tmp_path / "odd.png").write_bytes(deep_png(values))
    with pytest.raises(InputError, match=r"odd\.png: .*found \[23, 259\]"):
        read_label(tmp_path / "odd.png", synthia_table)


def test_8_bit_label_in_the_place_of_synthias_is_refused(tmp_path, synthia_table):
    path = save(np.zeros((4, 6), np.uint8), tmp_path / "label.png")
    with pytest.raises(InputError, match=r"label\.png: expected .* several channels of 16 bits"):
        read_label(path, synthia_table)


def test_label_of_another_size_than_its_image_is_told_apart(tmp_path, table, synthia_table):
    path = save(np.full((4, 6), 7, np.uint8), tmp_path / "label.png")
    (tmp_path / "deep.png").write_bytes(deep_png(np.zeros((4, 6, 3), np.uint16)))
    for label, values in ((path, table), (tmp_path / "deep.png", synthia_table)):
        read_label(label, values, (6, 4))
        with pytest.raises(LabelSizeError, match="expected 6x5 pixels like its image, found 6x4"):
            read_label(label, values, (6, 5))
