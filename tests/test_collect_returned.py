"""What comes back from people: taken over pixel by pixel, or refused with all that is wrong."""

import io
import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import collect_returned
from handed import (
    IMAGES,
    collect_arguments,
    collected,
    hand_out,
    label_studio_tasks,
    write_cityscapes,
    write_class_table,
    write_cvat,
    write_plain,
    zipped,
)
from mada.annotation.returns import matching_ids, swap_problems
from mada.cli import InputError
from mada.labels import CLASS_SETS, VOID
from mada.manifest import held_out_ids
from tiny import error_lines, png_by_hand, run_step


@pytest.fixture(params=["cityscapes19", "own"])
def handed(request, tmp_path, rng):
    classes = write_class_table(tmp_path) if request.param == "own" else request.param
    return hand_out(tmp_path, classes, rng)


@pytest.fixture
def city(tmp_path, rng):
    """Cityscapes classes alone, where both would tell the same."""
    return hand_out(tmp_path, "cityscapes19", rng)


def collect(handed, *more: object) -> dict[str, np.ndarray]:
    collect_returned.main(collect_returned.parser().parse_args(collect_arguments(handed, *more)))
    return collected(handed)


def problems(handed, capsys, *more: object) -> list[str]:
    """All that is wrong with a return, none of which was taken over."""
    with pytest.raises(InputError) as error:
        collect(handed, *more)
    assert not (handed.folder / "annotations").exists()
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return [line.removeprefix("error: ") for line in lines] or [str(error.value)]


def assert_taken_over(found: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> None:
    assert sorted(found) == sorted(labels)
    for image_id, label in labels.items():
        assert (found[image_id] == label).all()


def label_ids(handed):
    return handed.classes.label_ids


def write_all(handed) -> None:
    write_plain(handed.returned, handed.labels, label_ids(handed))


# The formats


def test_plain_label_ids(handed):
    write_all(handed)
    assert_taken_over(collect(handed), handed.labels)


def test_plain_colours(handed):
    write_plain(handed.returned, handed.labels, handed.classes.painted, "RGB")
    assert_taken_over(collect(handed), handed.labels)


def test_plain_training_ids_if_they_are_said_to_be(handed):
    write_plain(handed.returned, handed.labels, lambda label: label)
    assert_taken_over(collect(handed, "--values", "train-ids"), handed.labels)


def test_a_palette_whose_indices_a_paint_program_chose_counts_by_its_colours(city):
    for image_id, label in city.labels.items():
        painted = Image.fromarray(city.classes.painted(label))
        path = city.returned / f"{image_id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        painted.quantize(32, dither=Image.Dither.NONE).save(path)
        with Image.open(path) as image:
            assert image.mode == "P"
    assert_taken_over(collect(city), city.labels)


def test_ids_whose_palette_is_for_show_count_by_themselves(city):
    palette = [value for grey in range(256) for value in (grey, grey, 255 - grey)]
    for image_id, label in city.labels.items():
        image = Image.fromarray(ids(city, label), mode="P")
        image.putpalette(palette)
        path = some(city, image_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    assert_taken_over(collect(city), city.labels)


def test_archives_may_lie_in_folders_and_come_from_any_system(city, tmp_path):
    work = tmp_path / "work"
    write_plain(work, city.labels, label_ids(city))
    (work / "day/a b.png").rename(work / "day/a b.PNG")
    (work / "__MACOSX/day").mkdir(parents=True)
    (work / "__MACOSX/day/._a b.png").write_bytes(b"what the Finder leaves")
    (work / "day/manifest.csv").write_text("their copy")
    (city.returned / "from Ann").mkdir()
    made = shutil.make_archive(str(tmp_path / "work"), "zip", work)  # with entries of folders
    shutil.move(made, city.returned / "from Ann/WORK.ZIP")
    assert_taken_over(collect(city), city.labels)


def test_opaque_alpha_is_no_matter(city):
    for image_id, label in city.labels.items():
        path = city.returned / f"{image_id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(city.classes.painted(label)).convert("RGBA").save(path)
    assert_taken_over(collect(city), city.labels)


@pytest.mark.parametrize("as_zip", [False, True])
@pytest.mark.parametrize("write", [write_cvat, write_cityscapes])
def test_exports_of_cvat(handed, tmp_path, write, as_zip):
    folder = tmp_path / "export" if as_zip else handed.returned / "export"
    write(folder, handed, handed.labels)
    if as_zip:
        zipped(folder, handed.returned / "task 7 – export.zip")
    assert_taken_over(collect(handed), handed.labels)


def test_colours_of_a_cvat_export_are_those_it_declares(city):
    own = [(n, 255 - n, 7) for n in range(len(city.classes))]
    write_cvat(city.returned, city, city.labels, own)
    assert_taken_over(collect(city), city.labels)


def test_masks_of_a_cvat_export_in_one_channel_hold_places_in_its_label_map(city):
    write_cvat(city.returned, city, city.labels)
    labelmap = city.returned / "labelmap.txt"
    comment, *lines = labelmap.read_text().splitlines()
    lines.insert(5, "tram:1,2,3::")  # which no pixel has
    labelmap.write_text("\n".join([comment, *lines]))
    declared = [line.split(":")[0] for line in lines]
    places = np.array([declared.index(name) for name in city.classes.names], np.uint8)
    values = np.full(256, declared.index("background"), np.uint8)
    values[: len(places)] = places
    write_plain(city.returned / "SegmentationClass", city.labels, lambda label: values[label])
    assert_taken_over(collect(city), city.labels)


def test_the_label_map_of_a_cvat_export_may_have_passed_through_an_editor(tmp_path, rng):
    handed = hand_out(tmp_path, write_class_table(tmp_path), rng)
    write_cvat(handed.returned, handed, handed.labels)
    labelmap = handed.returned / "labelmap.txt"
    text = labelmap.read_text().replace("sign- stop:", "sign: stop:")  # as the class is called
    labelmap.write_text(text, encoding="utf-8-sig")  # with a mark before the first line
    assert_taken_over(collect(handed), handed.labels)


def test_names_of_a_cvat_export_may_have_been_uploaded_from_higher_or_lower_folders(city):
    higher = {f"images/{image_id}": label for image_id, label in city.labels.items()}
    write_cvat(city.returned, city, higher)
    assert_taken_over(collect(city), city.labels)


def test_cityscapes_own_ids_without_a_label_map(city):
    labels = {f"gtFine/x/{i}_gtFine_labelIds": label for i, label in city.labels.items()}
    # Also ids that are not evaluated, which are void there.
    write_plain(city.returned, labels, lambda label: np.where(label == VOID, 4, ids(city, label)))
    assert_taken_over(collect(city), city.labels)


def ids(handed, label: np.ndarray) -> np.ndarray:
    return handed.classes.label_ids(label)


def test_label_studio_json(handed):
    tasks = label_studio_tasks(handed, handed.labels)
    (handed.returned / "project-1.json").write_text(json.dumps(tasks))
    assert_taken_over(collect(handed), handed.labels)


def test_label_studio_paints_later_strokes_over_earlier_ones(city):
    tasks = label_studio_tasks(city, city.labels)
    whole = label_studio_tasks(city, {i: np.zeros_like(x) for i, x in city.labels.items()})
    for task, painted_first in zip(tasks, whole, strict=True):
        regions = task["annotations"][0]["result"]
        task["annotations"][0]["result"] = painted_first["annotations"][0]["result"] + regions
    (city.returned / "export.json").write_text(json.dumps(tasks))
    expected = {i: np.where(x == VOID, 0, x) for i, x in city.labels.items()}
    assert_taken_over(collect(city), expected)


def test_label_studio_strokes_are_where_something_was_painted_in_whatever_colour(city):
    from label_studio_sdk.converter.brush import decode_rle, encode_rle

    tasks = label_studio_tasks(city, city.labels)
    for task in tasks:
        for painted in task["annotations"][0]["result"]:
            values = np.array(decode_rle(painted["value"]["rle"])).reshape(-1, 4)
            faint = np.where(values[:, 3:] > 0, np.uint8([0, 0, 0, 60]), np.uint8(0))
            painted["value"]["rle"] = list(map(int, encode_rle(faint.ravel())))
    (city.returned / "export.json").write_text(json.dumps(tasks))
    assert_taken_over(collect(city), city.labels)


def test_an_annotation_of_label_studio_that_was_cancelled_does_not_count(city):
    def cancel_another(task: dict) -> None:
        task["annotations"].insert(0, {"id": 1, "result": [], "was_cancelled": True})

    edited(city, cancel_another)
    assert_taken_over(collect(city), city.labels)


def test_json_exports_of_several_projects_may_number_their_tasks_alike(city):
    images = list(city.labels)
    for name, some_images in (("Ann", images[:2]), ("Bob", images[2:])):
        tasks = label_studio_tasks(city, {i: city.labels[i] for i in some_images})
        (city.returned / f"{name}.json").write_text(json.dumps(tasks))
    assert_taken_over(collect(city), city.labels)


def write_brush_pngs(folder: Path, tasks: list[dict]) -> None:
    """Label Studio's PNG export, by its own converter."""
    from label_studio_sdk.converter.brush import convert_task_dir

    folder.mkdir(exist_ok=True)
    items = []
    for task in tasks:
        (annotation,) = task["annotations"]
        regions = [region | region["value"] for region in annotation["result"]]
        item = {"id": task["id"], "output": {"label": regions}, "completed_by": {"email": "a@b.c"}}
        items.append(item | {"annotation_id": annotation["id"]})
    convert_task_dir(items, str(folder), out_format="png")


def test_label_studio_pngs_with_the_json_that_names_their_images(handed):
    tasks = label_studio_tasks(handed, handed.labels)
    write_brush_pngs(handed.returned / "png", tasks)
    least = [{"id": t["id"], "image": "x", "image_id": t["data"]["image_id"]} for t in tasks]
    (handed.returned / "min.json").write_text(json.dumps(least))
    assert_taken_over(collect(handed), handed.labels)


def test_label_studio_pngs_of_classes_with_slashes(tmp_path, rng):
    rows = [{"name": f"a/{n}", "ids": [n], "colour": [n, 9, 9]} for n in range(3)]
    handed = hand_out(tmp_path, write_class_table(tmp_path, rows), rng, {"x": (24, 16)})
    tasks = label_studio_tasks(handed, handed.labels)
    write_brush_pngs(handed.returned, tasks)
    (handed.returned / "export.json").write_text(json.dumps(tasks))
    assert_taken_over(collect(handed), handed.labels)


def test_several_people_may_hand_back_in_several_formats(city, tmp_path):
    (first, *middle, last) = city.labels
    write_plain(city.returned / "from Ann", {first: city.labels[first]}, label_ids(city))
    write_cvat(tmp_path / "cvat", city, {i: city.labels[i] for i in middle})
    zipped(tmp_path / "cvat", city.returned / "Bob.zip")
    write_plain(tmp_path / "plain", {last: city.labels[last]}, city.classes.painted, "RGB")
    zipped(tmp_path / "plain", city.returned / "Cid.zip")
    assert_taken_over(collect(city), city.labels)


def test_nothing_that_was_delivered_is_changed(city):
    write_all(city)
    (city.returned / "manifest.csv").write_text("their copy")
    (city.returned / ".DS_Store").write_text("scrap")
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in city.returned.rglob("*.*")}
    collect(city)
    assert before == {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in city.returned.rglob("*.*")}


def test_what_came_back_is_accounted_for(city):
    write_all(city)
    collect(city)
    table = pd.read_csv(city.folder / "annotations/returned.csv").set_index("image_id")
    for image_id, label in city.labels.items():
        with Image.open(city.folder / f"pre_annotations/labels/{image_id}.png") as image:
            before = np.array(image)
        row = table.loc[image_id]
        assert row["file"] == str(some(city, image_id))
        assert row["void"] == pytest.approx(np.mean(label == VOID))
        assert row["open"] == pytest.approx(np.mean(before == VOID))
        assert row["changed"] == pytest.approx(np.mean((label != before)[before != VOID]))


# Names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("day/a", ["day/a"]),
        ("upload/day/a", ["day/a"]),
        ("a", ["day/a", "night/a"]),  # which of the two cannot be told
        ("c", ["day/c"]),
        ("xday/a", []),
        ("day", []),
        ("gru\u0308n", ["grün"]),  # the accent apart, as some systems write it
    ],
)
def test_a_name_means_the_image_that_its_end_tells(name, expected):
    assert matching_ids(name, ["day/a", "night/a", "day/c", "grün"]) == expected


def test_the_longer_id_wins():
    assert matching_ids("x/day/a", ["a", "day/a"]) == ["day/a"]
    assert matching_ids("x/a", ["a", "day/a"]) == ["a"]


# What is wrong, each with its message


def some(handed, image_id: str) -> Path:
    return handed.returned / f"{image_id}.png"


def test_missing(city, capsys):
    write_all(city)
    some(city, "day/a b").unlink()
    assert problems(city, capsys) == [
        f"{city.returned}: expected a label map of day/a b, found none"
    ]


def test_partial_returns_train_with_what_is_there_and_say_so(city, capsys):
    write_all(city)
    some(city, "day/a b").unlink()
    found = collect(city, "--allow-partial")
    assert sorted(found) == sorted(set(IMAGES) - {"day/a b"})
    said = capsys.readouterr().out
    assert "3 of 4 label maps" in said and "nothing came back: day/a b" in said
    assert (city.folder / "annotations/missing.txt").read_text() == "day/a b\n"


def test_nothing_at_all_is_refused_even_where_part_would_do(city, capsys):
    expected = f"{city.returned}: expected label maps of 4 images, found none"
    assert problems(city, capsys) == [expected]
    assert problems(city, capsys, "--allow-partial") == [expected]


def test_extra(city, capsys):
    write_all(city)
    shutil.copy(some(city, "day/a b"), city.returned / "other.png")
    (line,) = problems(city, capsys)
    assert "other.png: expected the label map of an image that was handed out" in line


def test_twice(city, capsys):
    write_all(city)
    write_plain(city.returned / "again", {"day/a b": city.labels["day/a b"]}, label_ids(city))
    (line,) = problems(city, capsys)
    assert "expected one label map of day/a b, found" in line


def test_a_name_that_two_images_have(city, capsys):
    write_all(city)
    some(city, "day/a b").rename(city.returned / "a b.png")
    lines = problems(city, capsys)
    assert "a b.png: expected a name that only one image has" in lines[0]
    assert "expected a label map of day/a b, found none" in lines[1]


def test_wrong_size(city, capsys):
    write_all(city)
    Image.new("L", (48, 31), 7).save(some(city, "day/a b"))
    (line,) = problems(city, capsys)
    assert line == (f"{some(city, 'day/a b')}: expected 48x32 pixels like its image, found 48x31")


def test_cityscapes_ids_in_colours(city, capsys):
    labels = {f"gtFine/x/{i}_gtFine_labelIds": label for i, label in city.labels.items()}
    write_plain(city.returned, labels, city.classes.painted, "RGB")
    lines = problems(city, capsys)
    assert len(lines) == 4
    assert all("expected Cityscapes' label ids in one channel, found colours" in i for i in lines)


def test_unknown_id(city, capsys):
    write_all(city)
    values = ids(city, city.labels["day/a b"])
    values[0, :3] = 99
    Image.fromarray(values).save(some(city, "day/a b"))
    (line,) = problems(city, capsys)
    assert line.endswith("a b.png: expected label ids of classes.csv, found 99 on 3 pixels")


def test_training_ids_do_not_pass_for_cityscapes_ids(city, capsys):
    write_plain(city.returned, city.labels, lambda label: label)
    lines = problems(city, capsys)
    assert len(lines) == 4
    assert all("expected label ids of classes.csv, found" in line for line in lines)


@pytest.mark.parametrize("colour", [(1, 2, 3), (255, 255, 255)])
def test_unknown_colour(city, capsys, colour):
    write_all(city)
    pixels = city.classes.painted(city.labels["day/a b"])
    pixels[5, 5] = colour
    Image.fromarray(pixels).save(some(city, "day/a b"))
    (line,) = problems(city, capsys)
    assert line.endswith(f"expected colours of classes.csv, found {colour} on 1 pixels")


def test_smoothed_edges_are_unknown_colours(city, capsys):
    write_all(city)
    image = Image.fromarray(city.classes.painted(city.labels["day/a b"]))
    image.resize((96, 64), Image.Resampling.BILINEAR).resize((48, 32)).save(some(city, "day/a b"))
    (line,) = problems(city, capsys)
    assert "expected colours of classes.csv, found" in line and ", …" in line


def test_entirely_void(city, capsys):
    write_all(city)
    Image.new("L", (48, 32), 0).save(some(city, "day/a b"))
    (line,) = problems(city, capsys)
    assert line.endswith("a b.png: expected labels, found void alone")


def test_share_of_void(city, capsys):
    write_all(city)
    values = ids(city, np.where(city.labels["day/a b"] == VOID, 0, city.labels["day/a b"]))
    values[:24] = 0
    Image.fromarray(values).save(some(city, "day/a b"))
    (line,) = problems(city, capsys)
    assert line.endswith("a b.png: expected at most 50% void (annotation_max_void), found 75.0%")
    assert len(collect(city, "--max-void", "0.75")) == 4


def test_unreadable(city, capsys):
    write_all(city)
    path = some(city, "day/a b")
    path.write_bytes(path.read_bytes()[:60])
    (line,) = problems(city, capsys)
    assert "a b.png: expected a readable image, found" in line


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("1", "expected 8 bits a channel"),
        ("I;16", "expected 8 bits a channel"),
        ("RGBA", "expected opaque pixels, found transparent ones"),
    ],
)
def test_pixels_of_another_kind(city, capsys, mode, expected):
    write_all(city)
    Image.new(mode, (48, 32)).save(some(city, "day/a b"))
    (line,) = problems(city, capsys)
    assert expected in line


def test_grey_values_of_four_bits(city, capsys):
    """Readers stretch such values, so that 7 would become 119."""
    write_all(city)
    some(city, "day/a b").write_bytes(png_by_hand(48, 32, 4, 0, [b"\x77" * 24] * 32))
    (line,) = problems(city, capsys)
    assert line.endswith("expected 8 bits a channel, ids or colours, found mode L of 4 bits")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_a_single_transparent_pixel(city, capsys, mode):
    write_all(city)
    with Image.open(some(city, "day/a b")) as image:
        values = np.array(image)
    if mode == "P":
        image = Image.fromarray(values, mode="P")
        image.putpalette(city.classes.palette())
        transparency = {"transparency": int(values[0, 0])}
    else:
        image, transparency = Image.new(mode[:-1], (48, 32), 0), {}
        image.putalpha(255)
        image.putpixel((3, 4), (*image.getpixel((3, 4))[:-1], 254))
    image.save(some(city, "day/a b"), **transparency)
    (line,) = problems(city, capsys)
    assert "a b.png: expected opaque pixels, found transparent ones" in line


def test_a_palette_whose_indices_and_colours_say_different_classes(city, capsys):
    write_all(city)
    image = Image.new("P", (48, 32), 7)
    image.putpalette([0] * 21 + [70, 70, 70])  # 7 is road, the colour building
    image.save(some(city, "day/a b"))
    (line,) = problems(city, capsys)
    assert "expected palette values and colours of one class, found that they differ" in line


def test_files_that_are_no_label_maps(city, capsys):
    write_all(city)
    Image.new("RGB", (48, 32)).save(city.returned / "a.jpg")
    (city.returned / "work.xcf").write_bytes(b"layers")
    Image.new("RGB", (48, 32)).save(city.returned / "really.png", "JPEG")
    shutil.move(city.returned / "really.png", some(city, "day/a b"))
    lines = problems(city, capsys)
    assert any("a.jpg: expected a PNG, found another file" in line for line in lines)
    assert any("work.xcf: expected a PNG, found another file" in line for line in lines)
    assert any("a b.png: expected a PNG, found JPEG" in line for line in lines)


@pytest.mark.parametrize("change", [lambda image: image.write_bytes(b"x"), Path.unlink])
def test_an_image_that_changed_since_it_was_handed_out(city, capsys, change):
    write_all(city)
    image = city.folder / "photographs/day/a b.png"
    change(image)
    (line,) = problems(city, capsys)
    assert line == f"{image}: expected the image that was handed out, found another"


def test_everything_wrong_is_listed_at_once(city, capsys):
    write_all(city)
    some(city, "day/a b").unlink()
    Image.new("L", (9, 9)).save(some(city, "night/a b"))
    Image.new("L", (48, 32), 99).save(some(city, "Größe/ü"))
    some(city, "day/c.d").write_bytes(b"")
    (city.returned / "broken.zip").write_bytes(b"PK")
    lines = problems(city, capsys)
    for part in (
        "found none",
        "found 9x9",
        "found 99 on 1536 pixels",
        "readable image",
        "broken.zip: expected a zip archive",
    ):
        assert sum(part in line for line in lines) == 1, (part, lines)
    assert len(lines) == 5


def test_swapped_label_maps_of_one_size(city, capsys):
    labels = dict(city.labels)
    labels["day/a b"], labels["night/a b"] = labels["night/a b"], labels["day/a b"]
    write_plain(city.returned, labels, label_ids(city))
    (line,) = problems(city, capsys)
    assert "expected the label map of day/a b, found one that looks like night/a b's" in line
    own, other = map(int, re.findall(r"in (\d+)%", line))
    assert own < other
    assert len(collect(city, "--no-check-swaps")) == 4


@pytest.mark.parametrize(
    ("labels", "handed_out", "swapped"),
    [
        (("000.................", "111................."), ("1" * 20, "0" * 20), True),
        (("0...................", "1..................."), ("1" * 20, "0" * 20), False),  # too few
        # The first fits the other image far better, but the second fits its own.
        (
            ("00000000000000000000", "00000000000222220000"),
            ("22222222222222220000", "00000000000000111111"),
            False,
        ),
    ],
)
def test_label_maps_are_swapped_where_both_fit_the_other_image_better(labels, handed_out, swapped):
    def by_id(texts: tuple[str, str]) -> dict[str, np.ndarray]:
        values = [[VOID if c == "." else int(c) for c in text] for text in texts]
        return dict(zip("ab", np.uint8(values), strict=True))

    sizes, places = {"a": (8, 8), "b": (8, 8)}, {"a": "a", "b": "b"}
    found = swap_problems(by_id(labels), by_id(handed_out), sizes, places)
    assert bool(found) == swapped


def test_of_a_pre_annotation_without_labels_nothing_was_changed():
    label, before = np.zeros((2, 2), np.uint8), np.full((2, 2), VOID, np.uint8)
    assert collect_returned.shares(label, before) == (0, 1, 0)


def test_maps_alike_are_no_swap():
    """Neighbouring frames of a drive: either label map fits either image."""
    one = np.repeat(np.arange(4, dtype=np.uint8), 256).reshape(32, 32)
    other = one.copy()
    other[0, :8] = 3
    labels, sizes = {"a": other, "b": one}, {"a": (8, 8), "b": (8, 8)}
    assert swap_problems(labels, {"a": one, "b": other}, sizes, {"a": "a", "b": "b"}) == []


# CVAT's traps


def test_colours_that_a_cvat_export_does_not_declare(city, capsys):
    write_cvat(city.returned, city, city.labels)
    path = city.returned / "SegmentationClass/day/c.d.png"
    pixels = np.array(Image.open(path).convert("RGB"))
    pixels[0, 0] = (5, 6, 7)
    Image.fromarray(pixels).save(path)
    (line,) = problems(city, capsys)
    assert line.endswith("expected declared colours of classes, found (5, 6, 7) on 1 pixels")


def test_a_label_of_a_cvat_export_that_no_class_is(city, capsys):
    write_cvat(city.returned, city, city.labels)
    labelmap = city.returned / "labelmap.txt"
    labelmap.write_text(labelmap.read_text().replace("car:", "automobile:"))
    lines = problems(city, capsys)
    assert lines and all("(0, 0, 142) of label 'automobile'" in line for line in lines)


def test_a_label_that_no_pixel_has_is_no_matter(city):
    labels = {i: np.where(x == 13, VOID, x) for i, x in city.labels.items()}
    write_cvat(city.returned, city, labels)
    labelmap = city.returned / "labelmap.txt"
    labelmap.write_text(labelmap.read_text().replace("car:", "automobile:"))
    assert_taken_over(collect(city), labels)


def test_one_colour_for_two_labels_of_a_cvat_export(city, capsys):
    write_cvat(city.returned, city, city.labels)
    labelmap = city.returned / "labelmap.txt"
    labelmap.write_text(labelmap.read_text().replace("car:0,0,142", "car:128,64,128"))
    lines = problems(city, capsys)
    assert any("expected a colour of its own for" in line for line in lines)


def test_a_label_that_no_class_is_in_the_colour_of_a_class(city, capsys):
    write_cvat(city.returned, city, city.labels)
    with (city.returned / "labelmap.txt").open("a") as file:
        file.write("tram:0,0,142::\n")  # the colour of cars
    lines = problems(city, capsys)
    assert any("expected a colour of its own for 'tram'" in line for line in lines)


@pytest.mark.parametrize(
    ("write", "damage_it", "expected"),
    [
        (write_cvat, lambda f: rewrite(f / "labelmap.txt", "car\n"), "expected name:red,green,bl"),
        (write_cvat, lambda f: rewrite(f / "labelmap.txt", "car:1,2::\n"), "green, blue of 'car'"),
        (write_cvat, lambda f: rewrite(f / "labelmap.txt", "\udcff"), "map.txt: expected UTF-8 te"),
        (
            write_cvat,
            lambda f: shutil.rmtree(f / "SegmentationClass"),
            "labelmap.txt: expected masks in SegmentationClass/ beside it, found none",
        ),
        (
            write_cityscapes,
            lambda f: rewrite(f / "label_colors.txt", "0 0 142\n"),
            "label_colors.txt: expected red green blue name in each line",
        ),
        (
            write_cityscapes,
            lambda f: rewrite(f / "leftImg8bit/label_colors.txt", "0 0 142 car\n"),
            "expected one label_colors.txt, found 2",
        ),
        (
            write_cityscapes,
            lambda f: shutil.rmtree(f / "gtFine"),
            "expected gtFine/<subset>/*_gtFine_color.png, found none",
        ),
    ],
)
def test_damaged_exports_of_cvat(city, capsys, write, damage_it, expected):
    write(city.returned, city, city.labels)
    damage_it(city.returned)
    assert any(expected in line for line in problems(city, capsys))


def rewrite(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode(errors="surrogateescape"))


@pytest.mark.parametrize(
    ("write", "name"),
    [(write_cvat, "CVAT Segmentation mask 1.1"), (write_cityscapes, "Cityscapes 1.0")],
)
def test_work_beside_an_export_is_not_passed_over(city, capsys, write, name):
    write(city.returned / "export", city, city.labels)
    write_plain(city.returned, {"day/a b": city.labels["day/a b"]}, label_ids(city))
    (line,) = problems(city, capsys)
    assert f"expected files of a {name} export alone, found another" in line


# Label Studio's


def edited(handed, change) -> None:
    tasks = label_studio_tasks(handed, handed.labels)
    change(tasks[0])
    (handed.returned / "export.json").write_text(json.dumps(tasks))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t["data"].pop("image_id"), "expected image_id in its data"),
        (
            lambda t: t["annotations"].append(t["annotations"][0]),
            "expected one annotation, found 2",
        ),
        (lambda t: t.pop("annotations"), "expected annotations, as in the JSON export"),
        (lambda t: t["annotations"][0].pop("result"), "expected regions in its annotation"),
        (lambda t: region(t).update(type="polygonlabels"), "of type brushlabels, found polygonl"),
        (lambda t: region(t).update(original_width=9), "expected 48x32 pixels like its image, fo"),
        (lambda t: region(t).update(image_rotation=90), "that was not turned"),
        (lambda t: region(t)["value"].update(brushlabels=["moon"]), "classes.csv, found 'moon'"),
        (lambda t: region(t)["value"].update(brushlabels=["car", "sky"]), "expected one label"),
        (lambda t: region(t)["value"].update(rle=[0, 0]), "run lengths of 6144 values, found 0"),
        (lambda t: region(t)["value"].update(rle="x"), "expected run lengths, numbers of 0 to 255"),
        (lambda t: region(t)["value"].update(rle=[999]), "expected run lengths, numbers of 0 to"),
        (lambda t: halve(region(t)["value"]), "expected whole run lengths, found"),
        (lambda t: t["annotations"].clear(), "expected a label map of day/a b, found none"),
        (
            lambda t: t["annotations"][0].update(was_cancelled=True),
            "expected a label map of day/a b, found none",
        ),
    ],
)
def test_damaged_tasks_of_label_studio(city, capsys, change, expected):
    edited(city, change)
    lines = problems(city, capsys, "--no-check-swaps")
    assert expected in lines[0]
    assert "task 11" in lines[0] or "found none" in lines[0]


def region(task: dict) -> dict:
    return task["annotations"][0]["result"][0]


def halve(value: dict) -> None:
    value["rle"] = value["rle"][: len(value["rle"]) // 2]


def test_run_lengths_that_claim_much_memory_are_refused_before_it_is_taken(city, capsys):
    edited(city, lambda task: region(task)["value"].update(rle=[255] * 40))
    assert "found 4294967295" in problems(city, capsys)[0]


def test_label_studio_pngs_without_their_json(city, capsys):
    tasks = label_studio_tasks(city, city.labels)
    write_brush_pngs(city.returned / "png", tasks)
    assert "expected the JSON export of the same project beside" in problems(city, capsys)[0]
    (city.returned / "other.json").write_text(json.dumps([{"id": 99, "image_id": "day/a b"}]))
    assert any("expected task 11 in a JSON" in line for line in problems(city, capsys))


@pytest.mark.parametrize(
    ("name", "mode", "expected"),
    [
        ("task-11-annotation-81-by-a-label-moon-0.png", "L", "of classes.csv, found 'label-moon'"),
        ("task-11-annotation-99-by-a-label-car-0.png", "L", "task 11: expected one annotation, f"),
        ("task-11-annotation-81-by-a-label-car-7.png", "L", "expected pixels that no other class"),
        ("task-11-annotation-81-by-a-label-car-7.png", "RGB", "expected grey values, found mode R"),
        ("sketch.png", "L", "expected files of a Label Studio export alone, found another"),
    ],
)
def test_label_studio_pngs_that_are_too_many(city, capsys, name, mode, expected):
    tasks = label_studio_tasks(city, city.labels)
    write_brush_pngs(city.returned, tasks)
    (city.returned / "export.json").write_text(json.dumps(tasks))
    Image.new(mode, (48, 32), "white").save(city.returned / name)
    assert any(expected in line for line in problems(city, capsys))


def test_label_studio_pngs_of_a_task_that_two_projects_have(city, capsys):
    """Every project numbers its tasks from anew, so that folders of two would be mixed up."""
    images = list(city.labels)
    ann = label_studio_tasks(city, {i: city.labels[i] for i in images[:2]})
    bob = label_studio_tasks(city, {i: city.labels[i] for i in images[2:]})
    write_brush_pngs(city.returned / "Bob", bob)
    for name, tasks in (("Ann", ann), ("Bob", bob)):
        (city.returned / name).mkdir(exist_ok=True)
        (city.returned / name / "export.json").write_text(json.dumps(tasks))
    lines = problems(city, capsys)
    assert any("Bob/export.json: task 11: expected one JSON export" in line for line in lines)


@pytest.mark.parametrize("text", ["[", "{}", "[1]", '[{"id": "x"}]', "[" * 100_000])
def test_json_that_is_no_export(city, capsys, text):
    (city.returned / "export.json").write_text(text)
    lines = problems(city, capsys)
    assert "export.json: expected" in lines[0]


# Hostile archives


def entry(name: str, **attributes) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info


def hostile(path: Path, kind: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        if kind == "many":
            for number in range(50_000):
                archive.writestr(entry(f"{number}.png"), b"")
        elif kind == "link":
            archive.writestr(entry("link.png", external_attr=0o120777 << 16), b"/etc/passwd")
        elif kind == "twice":
            archive.writestr("a.png", b"1")
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr("a.png", b"2")
        else:
            archive.writestr(entry(kind), b"evil")


OUTSIDE = "../../../outside.png"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("/tmp/outside.png", "found the absolute path '/tmp/outside.png'"),
        ("C:\\outside.png", "found the absolute path 'C:"),
        (OUTSIDE, f"found a path that leads out of it, '{OUTSIDE}'"),
        ("a/..\\..\\outside.png", "found a path that leads out of it"),
        ("link", "found the link 'link.png'"),
        ("twice", "found the same name twice"),
        ("many", "expected at most 1256 files, found 50000"),
    ],
)
def test_hostile_archives_are_refused_and_nothing_is_written(city, capsys, kind, expected):
    write_all(city)
    hostile(city.returned / "evil.zip", kind)
    before = everything(city.folder.parent)
    (line,) = problems(city, capsys)
    assert "evil.zip: expected" in line and expected in line
    assert everything(city.folder.parent) == before


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_archives_of_any_compression_are_named(city, capsys, method):
    write_all(city)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.write(some(city, "day/a b"), "day/a b.png")
    some(city, "day/a b").unlink()
    data = bytearray(buffer.getvalue())
    for at in range(50, 60):  # in what is compressed, behind LZMA's own header
        data[at] ^= 0xFF
    (city.returned / "broken.zip").write_bytes(data)
    assert any("broken.zip" in line for line in problems(city, capsys))


def test_a_manifest_that_leads_elsewhere_writes_nothing_there(city, capsys):
    write_all(city)
    (city.returned / "evil.png").write_bytes(some(city, "day/a b").read_bytes())
    manifest = pd.read_csv(city.folder / "manifest.csv")
    manifest.loc[0, "image_id"] = "../../evil"
    manifest.to_csv(city.folder / "manifest.csv", index=False)
    before = everything(city.folder.parent)
    (line,) = problems(city, capsys)
    assert "../../evil: expected an image of the data set, found none" in line
    assert everything(city.folder.parent) == before


def everything(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


def test_a_bomb_is_refused_by_the_size_that_it_declares(city, capsys):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("day/a b.png", b"x" * 1000)
    data = bytearray(buffer.getvalue())
    at = data.rindex(b"PK\x01\x02") + 24  # the size unpacked, in the list of contents
    data[at : at + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    (city.returned / "bomb.zip").write_bytes(data)
    (line, *_) = problems(city, capsys)
    assert "bomb.zip: expected" in line and "of 4294967280 bytes, 1073741824 at most" in line


def test_a_bomb_of_many_middling_files_is_refused(city, capsys):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(f"{number}.png", b"x")
    data = bytearray(buffer.getvalue())
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        data[at + 24 : at + 28] = (1 << 30).to_bytes(4, "little")
        at = data.find(b"PK\x01\x02", at + 4)
    (city.returned / "bomb.zip").write_bytes(data)
    (line, *_) = problems(city, capsys)
    assert "expected at most 17179869184 bytes unpacked, found 21474836480 declared" in line


def test_a_picture_that_declares_more_pixels_than_its_image_is_never_unpacked(city, capsys):
    write_all(city)
    path = some(city, "day/a b")
    data = bytearray(path.read_bytes())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    path.write_bytes(data)
    (line,) = problems(city, capsys)
    assert "a b.png: expected" in line


def test_a_folder_of_too_many_files_is_refused(city, capsys):
    write_all(city)
    for number in range(1300):
        (city.returned / f"{number}.png").touch()
    assert "expected at most 1256 files, found more" in problems(city, capsys)[0]


def test_an_encrypted_archive_is_refused(city, capsys):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.png", b"x")
    data = bytearray(buffer.getvalue())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(mark) + place] |= 1
    (city.returned / "secret.zip").write_bytes(data)
    assert "found the encrypted file 'a.png'" in problems(city, capsys)[0]


# Held out for scores


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [(4, 0.0, []), (4, 0.25, [2]), (10, 0.3, [1, 5, 8]), (4, 0.01, [2]), (2, 0.5, [1])],
)
def test_held_out_annotations_are_spread_over_the_ranking(count, share, expected):
    assert held_out_ids(list(range(count)), share) == expected


def test_something_must_be_left_to_train_with():
    with pytest.raises(InputError, match="at least one of 2 annotated images to be left"):
        held_out_ids(["a", "b"], 0.9)


def test_held_out_annotations_are_in_no_training_index(city):
    write_all(city)
    found = collect(city, "--holdout", "0.25")
    held_out = pd.read_csv(city.folder / "annotations/holdout.csv")
    assert len(found) == 3 and len(held_out) == 1
    assert not set(found) & set(held_out["id"]) and set(found) | set(held_out["id"]) == set(IMAGES)
    with Image.open(held_out["label"][0]) as label:
        assert (np.array(label) == city.labels[held_out["id"][0]]).all()


# Damage at random


def damage(rng: np.random.Generator, folder: Path, labels: dict[str, np.ndarray]) -> str:
    """Do one of the things that go wrong to a return of plain label maps or an export."""
    masks = [p for p in sorted(folder.rglob("*.png")) if "SegmentationObject" not in p.parts]
    path = masks[rng.integers(len(masks))]
    kind = ("truncated", "resized", "recoloured", "renamed", "swapped")[rng.integers(5)]
    with Image.open(path) as image:
        pixels = np.array(image.convert("RGB") if image.mode == "P" else image)
    height, width = pixels.shape[:2]
    if kind == "truncated":
        data = path.read_bytes()
        path.write_bytes(data[: int(rng.integers(0, len(data) - 12))])
    elif kind == "resized":
        size = (width + int(rng.integers(-7, 8)), height + int(rng.choice([-3, -1, 1, 5])))
        Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST).save(path)
    elif kind == "recoloured":
        row, column = rng.integers(height), rng.integers(width)
        pixels[row, column] = rng.choice([201, 213, 241])  # ids and greys of no class
        Image.fromarray(pixels).save(path)
    elif kind == "renamed":
        path.rename(path.with_name(f"{rng.integers(1000)}{path.name}"))
    else:
        other = masks[(masks.index(path) + 1 + rng.integers(len(masks) - 1)) % len(masks)]
        first, second = path.read_bytes(), other.read_bytes()
        path.write_bytes(second)
        other.write_bytes(first)
    return f"{kind} {path.name}"


@pytest.mark.parametrize("write", ["plain", "cvat"])
def test_damage_never_passes_and_never_ends_in_a_traceback(city, tmp_path, capsys, write):
    whole = tmp_path / "whole"
    if write == "plain":
        write_plain(whole, city.labels, label_ids(city))
    else:
        write_cvat(whole, city, city.labels)
    for seed in range(100):
        rng = np.random.default_rng(seed)
        shutil.rmtree(city.returned)
        shutil.copytree(whole, city.returned)
        done = damage(rng, city.returned, city.labels)
        if seed % 2:
            zipped(city.returned, tmp_path / "export.zip")
            shutil.rmtree(city.returned)
            city.returned.mkdir()
            (tmp_path / "export.zip").rename(city.returned / "export.zip")
        assert problems(city, capsys), done  # any error but InputError ends the test


def test_a_damaged_archive_never_passes(city, tmp_path, capsys):
    write_plain(tmp_path / "whole", city.labels, label_ids(city))
    zipped(tmp_path / "whole", tmp_path / "whole.zip")
    data = (tmp_path / "whole.zip").read_bytes()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        cut = data[: int(rng.integers(len(data) - 22))]
        (city.returned / "export.zip").write_bytes(cut)
        assert problems(city, capsys)


def test_the_step_ends_with_lines_and_no_traceback(city):
    write_all(city)
    some(city, "day/a b").write_bytes(b"garbage")
    some(city, "night/a b").unlink()
    lines = error_lines(run_step("collect_returned", *collect_arguments(city)))
    assert len(lines) == 3 and "2 problems in" in lines[-1]


def test_links_to_files_elsewhere_are_people_s_own_affair(city, tmp_path):
    write_plain(tmp_path / "store", city.labels, label_ids(city))
    for image_id in city.labels:
        link = some(city, image_id)
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(tmp_path / "store" / f"{image_id}.png")
    assert_taken_over(collect(city), city.labels)


def test_every_class_of_the_built_in_sets_has_an_id_of_its_own():
    from mada.annotation.classes import annotation_classes

    for name, chosen in CLASS_SETS.items():
        classes = annotation_classes(name)
        assert classes.names == chosen.names
        assert len({*classes.ids, classes.void_id}) == len(chosen) + 1
