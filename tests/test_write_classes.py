"""Class tables: what they say comes back from the file, and every mistake in them is named."""

import json
from pathlib import Path

import pytest

from mada.class_tables import checked_class_set, read_class_set
from mada.cli import InputError
from mada.labels import class_set
from tiny import error_lines, run_here

SKY = {"name": "sky", "ids": [4, 7], "colour": [70, 130, 180], "cityscapes": ["sky"]}
CAR = {"name": "car", "ids": [1], "colour": [0, 0, 142], "cityscapes": ["car", "truck"]}
TREE = {"name": "tree", "ids": [0], "colour": [107, 142, 35], "cityscapes": ["vegetation"]}


def write(output: Path, table: object, void: list[object]):
    return run_here(
        *("write_classes", "--table", json.dumps(table), "--void-ids", *void, "--output", output)
    )


def test_table_comes_back_as_a_class_set(tmp_path):
    result = write(tmp_path / "out" / "classes.json", [SKY, CAR, TREE], [11, 255])
    assert result.returncode == 0, result.stderr
    classes = class_set(str(tmp_path / "out" / "classes.json"))
    assert len(classes) == 3
    assert classes.names == ("sky", "car", "tree")
    assert classes.colours == ((70, 130, 180), (0, 0, 142), (107, 142, 35))
    assert classes.ids == ((4, 7), (1,), (0,))
    assert classes.void_ids == (11, 255)
    assert classes.members == {"sky": "sky", "car": "car", "truck": "car", "vegetation": "tree"}


def test_file_of_the_same_table_has_the_same_bytes_however_it_is_spelt(tmp_path):
    for name, table in (
        ("a.json", [{"name": "a", "ids": [1], "colour": [0, 0, 1]}, SKY]),
        ("b.json", [{"cityscapes": [], "colour": [0, 0, 1], "ids": [1], "name": "a"}, SKY]),
    ):
        assert write(tmp_path / name, table, []).returncode == 0
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_own_ids_or_cityscapes_names_may_be_left_out():
    labelled = {"name": "hand", "ids": [3], "colour": [1, 1, 1]}
    mapped = {"name": "person", "colour": [2, 2, 2], "cityscapes": ["person", "rider"]}
    classes = checked_class_set([labelled, mapped], [], "a test")
    assert classes.ids == ((3,), ())
    assert classes.members == {"person": "person", "rider": "person"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**TREE, "name": ""}, "expected a name, found ''"),
        ({**TREE, "name": 5}, "expected a name, found 5"),
        ({**TREE, "name": "sky"}, "expected a name of its own, found 'sky', which row 1 has"),
        ({**TREE, "ids": [256]}, r"expected ids of whole numbers of 0 to 255, found \[256\]"),
        ({**TREE, "ids": [-1]}, r"expected ids of whole numbers of 0 to 255, found \[-1\]"),
        ({**TREE, "ids": [True]}, "expected ids of whole numbers"),
        ({**TREE, "ids": 3}, "expected ids of whole numbers of 0 to 255, found 3"),
        ({**TREE, "ids": [2, 7]}, "expected ids of its own, found 7, which row 1 has"),
        ({**TREE, "ids": [2, 2]}, "expected ids of its own, found 2, which row 3 has"),
        ({**TREE, "ids": [11]}, "expected ids that are not void, found 11"),
        ({**TREE, "colour": [0, 0]}, r"expected a colour of three numbers .*found \[0, 0\]"),
        ({**TREE, "colour": [0, 0, 256]}, "expected a colour of three numbers of 0 to 255"),
        ({**TREE, "colour": [0, 0, 0.5]}, "expected a colour of three numbers of 0 to 255"),
        ({**TREE, "colour": "green"}, "expected a colour of three numbers .*found 'green'"),
        ({**TREE, "colour": SKY["colour"]}, "expected a colour of its own, .*which row 1 has"),
        ({**TREE, "cityscapes": ["tree"]}, "expected names of Cityscapes classes, found 'tree'"),
        ({**TREE, "cityscapes": "sky"}, "expected names of Cityscapes classes, found 'sky'"),
        (
            {**TREE, "cityscapes": ["truck"]},
            "expected Cityscapes classes of its own, found 'truck', which row 2 has",
        ),
        ({**TREE, "color": [1, 2, 3]}, "expected name, ids, colour, cityscapes, found 'color'"),
        ({"name": "tree", "colour": [1, 2, 3]}, "expected ids, names .* or both, found neither"),
        ("tree", "expected name, ids, colour, cityscapes, found 'tree'"),
    ],
)
def test_each_mistake_of_a_row_is_named_with_its_number(row, message):
    with pytest.raises(InputError, match=f"^class table: row 3: {message}"):
        checked_class_set([SKY, CAR, row], [11], "a test")


@pytest.mark.parametrize(
    ("table", "void", "message"),
    [
        ([SKY], [], "^class table: expected 2 to 254 classes, found 1$"),
        (
            [{"name": str(n), "ids": [n], "colour": [n, 0, 1]} for n in range(255)],
            [],
            "^class table: expected 2 to 254 classes, found 255$",
        ),
        ({"sky": SKY}, [], "^class table: expected a list of classes, found "),
        (
            [CAR | {"ids": [0]}, SKY | {"ids": list(range(1, 256))}],
            [],
            "^void ids: expected a value that is no class's, found none left$",
        ),
        (
            [SKY | {"name": "clear sky"}, CAR | {"name": "clear_sky"}],
            [],
            "^class table: row 2: expected a name of its own, found 'clear_sky', which row 1 has$",
        ),
        ([SKY, CAR], [256], r"^void ids: expected whole numbers of 0 to 255, found \[256\]"),
    ],
    ids=["one class", "255 classes", "no list", "all values", "alike", "void ids"],
)
def test_mistakes_of_the_whole_table_are_named(table, void, message):
    with pytest.raises(InputError, match=message):
        checked_class_set(table, void, "a test")


def test_all_mistakes_are_listed_at_once_and_nothing_is_written(tmp_path):
    table = [{**SKY, "name": " "}, {**CAR, "ids": [11]}, {**TREE, "cityscapes": ["car"]}]
    lines = error_lines(write(tmp_path / "out" / "classes.json", table, [11]))
    expected = ("row 1: expected a name", "row 2: expected ids", "row 3: expected Citysc", "3 prob")
    assert all(words in line for words, line in zip(expected, lines, strict=True)), lines
    assert not (tmp_path / "out").exists()


def test_table_that_is_no_json_is_refused_in_one_line(tmp_path):
    result = run_here("write_classes", "--table", "[{", "--output", tmp_path / "classes.json")
    (line,) = error_lines(result)
    assert line.startswith("error: class table: expected JSON, found ")


def test_file_of_classes_is_checked_again_when_it_is_read(tmp_path):
    path = tmp_path / "classes.json"
    with pytest.raises(InputError, match=r"classes\.json: expected a class table, found no file"):
        read_class_set(path)
    path.write_text('{"names": []}')
    with pytest.raises(InputError, match=r"classes\.json: expected a class table with classes and"):
        read_class_set(path)
    path.write_text(json.dumps({"classes": [SKY, {**CAR, "ids": [4]}], "void_ids": []}))
    with pytest.raises(InputError, match="row 2: expected ids of its own, found 4"):
        read_class_set(path)
