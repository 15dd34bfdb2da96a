"""What annotators receive is read by the tools' own readers, pixel by pixel."""

import json
import re
import xml.etree.ElementTree as ElementTree
import zipfile
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import write_bundle
from handed import IMAGES, hand_out, write_class_table
from mada.annotation.classes import annotation_classes
from mada.labels import VOID, save_label
from tiny import error_lines, run_step


def bundle_of(handed, *tools: str) -> Path:
    words = ["--manifest", handed.folder / "manifest.csv", "--classes", handed.class_set]
    words += ["--pre-annotations", handed.folder / "pre_annotations"]
    words += ["--output", handed.folder / "bundle", "--tools", *tools]
    write_bundle.main(write_bundle.parser().parse_args([str(word) for word in words]))
    return handed.folder / "bundle"


@pytest.fixture(scope="module", params=["cityscapes19", "own"])
def handed(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("handed")
    classes = write_class_table(folder) if request.param == "own" else request.param
    return hand_out(folder, classes, np.random.default_rng(0))


@pytest.fixture(scope="module")
def bundle(handed) -> Path:
    return bundle_of(handed, "cvat", "label-studio")


def pre_annotation(handed, image_id: str) -> np.ndarray:
    with Image.open(handed.folder / f"pre_annotations/labels/{image_id}.png") as label:
        return np.array(label)


def test_the_manifest_leads_to_the_images_in_the_bundle_alone(handed, bundle):
    manifest = pd.read_csv(bundle / "manifest.csv")
    columns = ["image_id", "image", "rank", "score", "anchor", "width", "height", "sha256"]
    assert list(manifest) == columns
    assert manifest["image_id"].tolist() == list(IMAGES)
    for row in manifest.itertuples():
        original = handed.folder / "photographs" / f"{row.image_id}.png"
        assert (bundle / row.image).read_bytes() == original.read_bytes()


def test_plain_label_maps_hold_the_label_ids_of_classes_csv_in_its_colours(handed, bundle):
    table = pd.read_csv(bundle / "classes.csv").set_index("train_id")
    for image_id in IMAGES:
        expected = pre_annotation(handed, image_id)
        with Image.open(bundle / f"labels/{image_id}.png") as label:
            ids, shown = np.asarray(label), np.asarray(label.convert("RGB"))
        for train_id, row in table.iterrows():
            where = expected == train_id
            assert (ids[where] == row["id"]).all()
            assert (shown[where] == row[["red", "green", "blue"]].to_numpy(int)).all()


def test_cityscapes_classes_keep_cityscapes_label_ids():
    classes = annotation_classes("cityscapes19")
    assert classes.ids[:3] == (7, 8, 11) and classes.ids[-1] == 33 and classes.void_id == 0
    assert classes.by_id[7] == 0 and classes.by_id[0] == VOID
    assert classes.by_id[1] == -1  # some Cityscapes id, but also the training id of sidewalk


def test_no_class_is_called_or_painted_like_unlabelled_pixels(tmp_path):
    classes = annotation_classes(write_class_table(tmp_path))
    assert classes.names == ("background (class)", "black ice", "sign- stop", "tree")
    assert len(set(classes.colours)) == 4 and (0, 0, 0) not in classes.colours
    assert classes.ids == (3, 1, 9, 0) and classes.void_id == 7
    assert classes.by_name["background"] == VOID and classes.by_name["background (class)"] == 0
    assert classes.by_id[[1, 2, 7]].tolist() == [1, 1, VOID]


def test_a_table_may_hold_every_strong_colour(tmp_path):
    strong = [list(colour) for colour in product((0, 255), repeat=3)]
    for colours in (strong, strong[1:]):  # with black, and without
        rows = [{"name": str(n), "ids": [n], "colour": c} for n, c in enumerate(colours)]
        classes = annotation_classes(write_class_table(tmp_path, rows, ()))
        assert len(set(classes.colours)) == len(rows) and (0, 0, 0) not in classes.colours
        assert {tuple(c) for c in colours} - {(0, 0, 0)} <= set(classes.colours)
        assert classes.void_id == 255  # of a table without void ids, the last that it leaves


def test_names_that_a_label_map_of_cvat_cannot_hold_are_changed_and_stay_apart(tmp_path):
    names = ["a:b", "a-b", "# c", "Background", ","]
    rows = [{"name": name, "ids": [n], "colour": [n, 9, 9]} for n, name in enumerate(names)]
    classes = annotation_classes(write_class_table(tmp_path, rows, ()))
    assert classes.names == ("a-b_", "a-b", "c", "Background (class)", "class")
    assert [classes.by_name[name] for name in names] == [0, 1, 2, 3, 4]
    assert [classes.by_name[name] for name in classes.names] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("some", [{}, {"ids": [9]}])
def test_a_class_table_without_ids_of_each_is_handed_out_by_training_ids(tmp_path, some):
    rows = [
        {"name": c, "colour": [n, n, 9], "cityscapes": [c]} for n, c in enumerate(["car", "sky"])
    ]
    rows[0] |= some
    classes = annotation_classes(write_class_table(tmp_path, rows, ()))
    assert classes.ids == (0, 1) and classes.void_id == VOID


def test_cvat_reads_every_pixel_and_no_unlabelled_one(handed, bundle, tmp_path):
    import datumaro as dm

    with zipfile.ZipFile(bundle / "cvat/pre-annotations.zip") as archive:
        archive.extractall(tmp_path)
    dataset = dm.Dataset.import_from(str(tmp_path), "voc_segmentation")
    names = [label.name for label in dataset.categories()[dm.AnnotationType.label].items]
    assert names[: len(handed.classes) + 1] == ["background", *handed.classes.names]
    assert sorted(item.id for item in dataset) == sorted(IMAGES)
    for item in dataset:
        found = np.full(IMAGES[item.id][::-1], VOID, np.uint8)
        for mask in item.annotations:
            assert names[mask.label] != "background"
            found[mask.image.astype(bool)] = handed.classes.names.index(names[mask.label])
        assert (found == pre_annotation(handed, item.id)).all()


def shown_colours(bundle: Path) -> list[str]:
    """Colours of classes.csv as pages write them, without that of unlabelled pixels."""
    table = pd.read_csv(bundle / "classes.csv")[["red", "green", "blue"]]
    return ["#" + bytes(row).hex() for row in table.to_numpy().tolist()][:-1]


def test_cvat_gets_a_declared_background_and_images_in_their_folders(handed, bundle):
    labels = json.loads((bundle / "cvat/labels.json").read_text())
    assert labels[0] | {"attributes": []} == {
        **{"name": "background", "color": "#000000", "type": "any", "attributes": []}
    }
    assert [label["name"] for label in labels[1:]] == list(handed.classes.names)
    assert [label["color"] for label in labels[1:]] == shown_colours(bundle)
    with zipfile.ZipFile(bundle / "cvat/images.zip") as archive:
        assert sorted(archive.namelist()) == sorted(f"{image_id}.png" for image_id in IMAGES)
        times = {entry.date_time for entry in archive.infolist()}  # else no two would be the same
        assert times == {(1980, 1, 1, 0, 0, 0)}
        stored = archive.read("Größe/ü.png")
    assert stored == (handed.folder / "photographs/Größe/ü.png").read_bytes()


def test_label_studio_reads_every_pixel(handed, bundle):
    from label_studio_sdk.converter.brush import decode_rle

    tasks = json.loads((bundle / "label_studio/tasks.json").read_text())
    assert [task["data"]["image_id"] for task in tasks] == list(IMAGES)
    for task in tasks:
        expected = pre_annotation(handed, task["data"]["image_id"])
        found = np.full(expected.shape, VOID, np.uint8)
        regions = task["predictions"][0]["result"]
        assert len({region["id"] for region in regions}) == len(regions)
        for region in regions:
            assert (region["original_height"], region["original_width"]) == expected.shape
            values = decode_rle(region["value"]["rle"]).reshape(*expected.shape, 4)
            (name,) = region["value"]["brushlabels"]
            found[values[..., 3] > 0] = handed.classes.names.index(name)
        assert (found == expected).all()
        served = parse_qs(urlsplit(task["data"]["image"]).query)["d"][0]
        assert (bundle / served).is_file()


def test_label_studio_is_told_of_every_class_and_of_the_tags_that_tasks_name(handed, bundle):
    from label_studio_sdk._extensions.label_studio_tools.core.label_config import parse_config

    text = (bundle / "label_studio/config.xml").read_text()
    ((name, control),) = parse_config(text).items()
    assert control["type"] == "BrushLabels" and control["to_name"] == ["image"]
    assert control["labels"] == list(handed.classes.names)
    tasks = json.loads((bundle / "label_studio/tasks.json").read_text())
    regions = tasks[0]["predictions"][0]["result"]
    assert {(r["from_name"], r["to_name"]) for r in regions} == {(name, "image")}
    shown = [label.get("background") for label in ElementTree.fromstring(text).iter("Label")]
    assert shown == shown_colours(bundle)


class Page(HTMLParser):
    """What a browser would fetch or show of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.links, self.pictures, self.shown, self.tags = [], [], "", set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.links += [value for name, value in attributes if name in ("src", "href")]
        if tag == "img":
            self.pictures.append(dict(attributes))

    def handle_data(self, data):
        self.shown += data


def test_the_gallery_shows_every_image_by_relative_links_that_lead_somewhere(handed, bundle):
    page = Page((bundle / "gallery.html").read_text(encoding="utf-8"))
    assert len(page.links) == 3 * len(IMAGES)
    for link in page.links:
        assert not urlsplit(link).scheme and not link.startswith("/")
        assert (bundle / unquote(link)).is_file()
    for picture in page.pictures:
        with Image.open(bundle / picture["src"]) as image:
            assert image.size == (int(picture["width"]), int(picture["height"]))
    for image_id in IMAGES:
        assert image_id in page.shown


def test_the_legend_of_the_gallery_shows_open_pixels_and_every_class_in_its_colour(bundle):
    page = (bundle / "gallery.html").read_text(encoding="utf-8")
    found = re.findall(r'background: rgb\((\d+), (\d+), (\d+)\)"></span>(.+?)</li>', page)
    labels = json.loads((bundle / "cvat/labels.json").read_text())[1:]
    names = ["open", *(label["name"] for label in labels)]
    assert [name for *_, name in found] == names
    colours = ["#" + bytes(map(int, colour)).hex() for *colour, _ in found]
    assert colours == ["#000000", *shown_colours(bundle)]


def test_a_photograph_keeps_its_format_and_links_to_it_lead_there_whatever_its_name(tmp_path, rng):
    name = "50%20 & #1?"
    handed = hand_out(tmp_path, "cityscapes19", rng, {name: (800, 16)})
    manifest, photograph = pd.read_csv(tmp_path / "manifest.csv"), tmp_path / "photograph.jpg"
    with Image.open(manifest["image"][0]) as image:
        image.save(photograph)
    manifest.assign(image=str(photograph)).to_csv(tmp_path / "manifest.csv", index=False)
    bundle = bundle_of(handed, "label-studio")
    copy = bundle / "images" / f"{name}.jpg"
    assert copy.read_bytes() == photograph.read_bytes()
    assert bundle / pd.read_csv(bundle / "manifest.csv")["image"][0] == copy
    (link, *pictures) = Page((bundle / "gallery.html").read_text(encoding="utf-8")).links
    assert bundle / unquote(urlsplit(link).path) == copy
    for picture in pictures:
        with Image.open(bundle / picture) as image:
            assert image.size == (640, 13)  # no larger than the page shows it
    (task,) = json.loads((bundle / "label_studio/tasks.json").read_text())
    assert bundle / parse_qs(urlsplit(task["data"]["image"]).query)["d"][0] == copy
    assert not (bundle / "cvat").exists()  # nobody asked for it


def test_the_gallery_tells_of_every_image_what_the_manifest_says(tmp_path, rng):
    handed = hand_out(tmp_path, "cityscapes19", rng)
    manifest = pd.read_csv(handed.folder / "manifest.csv").astype({"anchor": object})
    manifest.loc[1, "anchor"] = ""  # as of a strategy that has none
    manifest["rank"] = [2, 5, 9, 40]  # with some that were not to be annotated between them
    manifest.to_csv(handed.folder / "manifest.csv", index=False)
    bundle = bundle_of(handed)
    shown = Page((bundle / "gallery.html").read_text(encoding="utf-8")).shown
    for row in manifest.itertuples():
        open_share = (pre_annotation(handed, row.image_id) == VOID).mean()
        facts = f"{row.width} × {row.height} pixels, {open_share:.0%} open, score {row.score:.4g}"
        facts += ", nearest anchor 0" if row.anchor == 0 else ""
        assert re.search(rf"{row.rank}\W+{re.escape(row.image_id)}\s+{facts}\s", shown), shown
    pictures = [bundle / f"gallery/0001{end}.jpg" for end in ("", "-pre-annotation")]
    plain, overlay = (np.int16(Image.open(picture)) for picture in pictures)
    assert np.abs(plain - overlay).mean() > 20
    with Image.open(manifest["image"][0]) as image:
        original = np.int16(image)
    assert np.abs(original - plain).mean() < np.abs(original - overlay).mean()


def test_the_gallery_darkens_open_pixels_and_colours_the_others(handed, bundle):
    from mada.annotation.gallery import overlaid

    train_ids = np.uint8([[VOID, 3]])
    image = Image.fromarray(np.full((1, 2, 3), 100, np.uint8))
    colours = handed.classes.painted(train_ids)
    (dark, shaded) = np.asarray(overlaid(image, train_ids, colours))[0]
    assert dark.tolist() == [35, 35, 35]
    expected = [round(45 + 0.55 * channel) for channel in handed.classes.colours[3]]
    assert np.abs(shaded - np.array(expected)).max() <= 1


def test_names_cannot_break_the_gallery(tmp_path, rng):
    name = "<img src=x onerror=alert(1)> & 'quotes' \"q\""
    road, car = ({"name": f"<i>{n}</i>", "ids": [n], "colour": [n, 9, 9]} for n in range(2))
    handed = hand_out(tmp_path, write_class_table(tmp_path, [road, car]), rng, {name: (16, 16)})
    page = Page((bundle_of(handed) / "gallery.html").read_text(encoding="utf-8"))
    assert "x" not in page.links and "i" not in page.tags
    assert all("onerror" not in picture for picture in page.pictures)
    assert name in page.shown and "<i>0</i>" in page.shown and "<i>1</i>" in page.shown


def test_the_readme_says_all_classes_and_only_the_tools_that_are_there(handed, bundle, tmp_path):
    text = (bundle / "README.txt").read_text(encoding="utf-8")
    for row in pd.read_csv(bundle / "classes.csv").itertuples():
        assert re.search(rf"{row.id}\s+{row.red}\s+{row.green}\s+{row.blue}\s+", text)
        assert row.name in text
    assert "4 images to label" in text and "pre-annotations.zip" in text
    assert f"(id {handed.classes.void_id}, black)" in text
    alone = hand_out(tmp_path, "cityscapes16", np.random.default_rng(1))
    plain = bundle_of(alone)
    names = {path.name for path in plain.iterdir()}
    assert names == {
        *("README.txt", "gallery.html", "gallery", "classes.csv", "manifest.csv"),
        *("images", "labels"),
    }
    assert "pre-annotations.zip" not in (plain / "README.txt").read_text(encoding="utf-8")


def test_the_readme_tells_which_share_of_all_pixels_is_open(tmp_path, rng):
    handed = hand_out(tmp_path, "cityscapes19", rng, {"large": (48, 32), "small": (8, 8)})
    for image_id, (width, height) in handed.sizes.items():
        before = np.zeros((height, width), np.uint8)
        before[: 4 if image_id == "large" else 8] = VOID
        save_label(tmp_path / f"pre_annotations/labels/{image_id}.png", before, "cityscapes19")
    text = (bundle_of(handed) / "README.txt").read_text(encoding="utf-8")
    assert "what it left open, 16% of the pixels" in text  # 4 x 48 + 8 x 8 of 48 x 32 + 8 x 8


def test_the_same_bundle_has_the_same_bytes(handed, bundle):
    before = {p: p.read_bytes() for p in sorted(bundle.rglob("*")) if p.is_file()}
    again = bundle_of(handed, "cvat", "label-studio")
    after = {p: p.read_bytes() for p in sorted(again.rglob("*")) if p.is_file()}
    assert before == after


def test_a_pre_annotation_that_does_not_fit_is_refused_by_name(tmp_path, rng):
    hand_out(tmp_path, "cityscapes19", rng)
    path = tmp_path / "pre_annotations/labels/day/c.d.png"
    Image.new("L", (8, 8)).save(path)
    (line,) = error_lines(
        run_step(
            *("write_bundle", "--manifest", tmp_path / "manifest.csv"),
            *("--pre-annotations", tmp_path / "pre_annotations", "--classes", "cityscapes19"),
            *("--output", tmp_path / "bundle"),
        )
    )
    assert "c.d.png: expected 40x24 pixels like its image, found 8x8" in line
    assert not (tmp_path / "bundle").exists()
