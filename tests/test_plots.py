"""What the figure steps promise: pictures that show what they are given, the same bytes again."""

import json
import re
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

import plot_classes
import plot_confusion
import plot_features
import plot_history
import plot_panels
import plot_selection
import tiny
from mada.cli import InputError
from mada.evaluations import read_evaluation
from mada.figures import DOMAIN_COLOURS, DPI, VARIANT_COLOURS, three_digits
from mada.labels import CLASS_SETS, label_image
from mada.metrics import score_table
from mada.selections import by_anchor, read_selection, thumbnail

WIDTH, HEIGHT = 240, 120
ROAD, SKY = CLASS_SETS["cityscapes19"].names.index("road"), 10
ROAD_ID, VOID_ID = 7, 0  # of Cityscapes' own encoding
COLOURS = [np.array(colour) for colour in CLASS_SETS["cityscapes19"].colours]


def twice(step: str, output: Path, *arguments: object) -> np.ndarray:
    """Pixels of a step's picture, having made it twice with the same bytes."""
    made = []
    for name in (output, output.with_name("again.png")):
        result = tiny.run_step(step, *arguments, "--output", name)
        assert result.returncode == 0, result.stderr
        made.append(name.read_bytes())
    assert made[0] == made[1]
    return read_pixels(output)


def read_pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def drawn(step: ModuleType, output: Path, *arguments: object) -> np.ndarray:
    """Pixels of a step's picture, made in this process."""
    given = [str(argument) for argument in (*arguments, "--output", output)]
    step.main(step.parser().parse_args(given))
    return read_pixels(output)


def figure_of(step: ModuleType, *arguments: object) -> Figure:
    """What a step draws, before it becomes a picture."""
    given = [str(argument) for argument in (*arguments, "--output", "not written")]
    with tiny.figures_of(step.__name__) as figures:
        step.main(step.parser().parse_args(given))
    (figure,) = figures
    return figure


def texts(artists: list) -> list[str]:
    return [artist.get_text() for artist in artists]


def share(pixels: np.ndarray, colour) -> float:
    """Share of the pixels that have exactly this colour."""
    return float((pixels == colour).all(axis=-1).mean())


@pytest.fixture
def panels(tmp_path):
    """Eight grey images, left half road and right half void; M0 says all road, M4 all sky."""
    rows = []
    for name in ("labels", "images", "M0", "M4"):
        (tmp_path / name).mkdir()
    truth = np.full((HEIGHT, WIDTH), VOID_ID, dtype=np.uint8)
    truth[:, : WIDTH // 2] = ROAD_ID
    for frame in range(8):
        image_id = f"town_{frame:06d}"
        image, label = tmp_path / f"images/{image_id}.png", tmp_path / f"labels/{image_id}.png"
        Image.new("RGB", (WIDTH, HEIGHT), (119, 119, 119)).save(image)
        Image.fromarray(truth).save(label)
        for name, value in (("M0", ROAD), ("M4", SKY)):
            predicted = np.full((HEIGHT, WIDTH), value, dtype=np.uint8)
            label_image(predicted, "cityscapes19").save(tmp_path / name / f"{image_id}.png")
        rows.append((image_id, image, label, WIDTH, HEIGHT, "town", frame))
    columns = ["id", "image", "label", "width", "height", "sequence", "frame"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "index.csv", index=False)
    everything = score_table(np.eye(19, dtype=np.int64), CLASS_SETS["cityscapes19"].names)
    (tmp_path / "M4.json").write_text(json.dumps({"images": 19, **everything}))
    return tmp_path


def panel_arguments(folder: Path) -> list:
    given = ["--images", folder / "index.csv", "--encoding", "cityscapes-ids"]
    given += ["--classes", "cityscapes19"]
    return given + [x for name in ("M0", "M4") for x in ("--prediction", name, folder / name)]


def test_panels_hold_image_truth_and_predictions_side_by_side(panels):
    scores = ("--scores", "M4", panels / "M4.json")
    pixels = twice("plot_panels", panels / "out.png", *panel_arguments(panels), *scores)
    height, width, _ = pixels.shape
    assert 4 * WIDTH < width < 4.7 * WIDTH
    assert 6 * HEIGHT < height < 8 * HEIGHT  # 6 of the 8 images, a header and a legend
    # Along the middle of the first row: grey image, road and void, all road, all sky.
    middle = pixels[plot_panels.MARGIN + plot_panels.HEADER + HEIGHT // 2]
    lengths = {}
    for colour in map(tuple, middle):
        lengths[colour] = lengths.get(colour, 0) + 1
    assert lengths[(119, 119, 119)] == WIDTH
    assert lengths[tuple(COLOURS[ROAD])] == 1.5 * WIDTH
    assert lengths[(0, 0, 0)] == WIDTH // 2
    assert lengths[tuple(COLOURS[SKY])] == WIDTH
    order = [c for c in map(tuple, middle) if lengths[c] >= WIDTH // 2 and c != (255, 255, 255)]
    assert list(dict.fromkeys(order)) == [
        (119, 119, 119),
        tuple(COLOURS[ROAD]),
        (0, 0, 0),
        tuple(COLOURS[SKY]),
    ]


def test_the_legend_shows_every_class(panels):
    pixels = drawn(plot_panels, panels / "out.png", *panel_arguments(panels))
    for colour in COLOURS:
        assert (pixels == colour).all(axis=-1).sum() >= plot_panels.SWATCH**2


def test_panels_say_what_every_column_row_and_colour_is(panels):
    scores = ("--scores", "M4", panels / "M4.json", "--rows", "3")
    figure = figure_of(plot_panels, *panel_arguments(panels), *scores)
    written = texts(figure.texts)
    columns = ["Image", "", "Ground truth", "", "M0", "", "M4", "mIoU 100.0 %"]
    assert written[:8] == columns
    assert written[8:11] == ["town_000000", "town_000004", "town_000007"]  # of eight
    sheet = figure.images[0].get_array()
    height, width, _ = sheet.shape
    classes = CLASS_SETS["cityscapes19"]
    entries = [*zip(classes.names, classes.colours, strict=True), ("void", (0, 0, 0))]
    for text, (name, colour) in zip(figure.texts[11:], entries, strict=True):
        x, y = text.get_position()
        middle = round(x * width) - plot_panels.GAP - plot_panels.SWATCH // 2
        assert text.get_text() == name
        assert tuple(sheet[round((1 - y) * height), middle]) == tuple(colour)


def test_a_column_that_is_given_twice_is_refused(panels):
    arguments = [*panel_arguments(panels), "--prediction", "M0", panels / "M4"]
    with pytest.raises(InputError, match="expected every name once, found one twice"):
        figure_of(plot_panels, *arguments)


def test_a_missing_prediction_is_named_in_one_line(panels):
    missing = panels / "M4" / "town_000003.png"
    missing.unlink()
    result = tiny.run_step("plot_panels", *panel_arguments(panels), "--output", panels / "out.png")
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {missing}: expected M4's prediction")
    assert result.stderr.count("\n") == 1
    assert not (panels / "out.png").exists()


def test_images_without_any_prediction_are_passed_over(panels):
    for name in ("M0", "M4"):
        for frame in range(2, 8):
            (panels / name / f"town_{frame:06d}.png").unlink()
    pixels = drawn(plot_panels, panels / "out.png", *panel_arguments(panels))
    assert len(pixels) < 4 * HEIGHT


def test_a_prediction_of_another_size_is_refused(panels):
    wrong = panels / "M0" / "town_000000.png"
    label_image(np.zeros((7, 9), dtype=np.uint8), "cityscapes19").save(wrong)
    with pytest.raises(InputError, match=r"town_000000\.png: expected 240×120 .* found 9×7"):
        drawn(plot_panels, panels / "out.png", *panel_arguments(panels))


def test_scores_of_a_variant_without_predictions_are_refused(panels):
    arguments = [*panel_arguments(panels), "--scores", "M2", panels / "M4.json"]
    with pytest.raises(InputError, match=r"expected one of .* found 'M2'"):
        drawn(plot_panels, panels / "out.png", *arguments)


def test_ids_break_after_their_separators_and_lose_nothing():
    assert plot_panels.id_lines("town_000000_000019") == "town_000000_\n000019"
    assert plot_panels.id_lines("x" * 30).replace("\n", "") == "x" * 30


def test_wide_labels_are_shrunk_and_small_ones_enlarged_by_whole_multiples():
    assert [plot_panels.tile_width(width) for width in (2048, 256, 192, 100)] == [
        256,
        256,
        192,
        200,
    ]
    label = Image.fromarray(np.uint8([[(9, 9, 9), (99, 99, 99)]]))
    wide, narrow = (plot_panels.resized(label, width, label=True) for width in (6, 1))
    assert wide[..., 0].tolist() == 3 * [[9, 9, 9, 99, 99, 99]]
    assert narrow.tolist() == [[[54, 54, 54]]]  # the mean of both


@pytest.fixture
def selection(tmp_path):
    """Five selected images at two anchors, each of one colour; ranks 5, 1, 8, 2, 3."""
    rows = []
    for n, (rank, anchor) in enumerate(((5, 2), (1, 0), (8, 2), (2, 2), (3, 0))):
        path = tmp_path / f"{n}.png"
        Image.new("RGB", (WIDTH, HEIGHT), (10 * rank, 200, 50)).save(path)
        row = {"image_id": f"town_{n:06d}", "image": str(path), "rank": rank, "score": 100 / rank}
        rows.append(row | {"anchor": anchor, "distance": 1.0})
    anchors = []
    for n in range(3):
        Image.new("RGB", (WIDTH, HEIGHT), (200, 10 * n, 50)).save(tmp_path / f"source-{n}.png")
        source = [{"image_id": f"source-{n}", "image": str(tmp_path / f"source-{n}.png")}]
        counts = {"source_images": 7, "pool_images": 9, "selected_images": (2, 0, 3)[n]}
        anchors.append(counts | {"closest_source_images": source})
    described = {"strategy": "mada", "rule": "the furthest", "pool_images": 27, "selected": rows}
    described |= {"anchors": anchors, "adjacent_picks": 2}
    described |= {"pool_distance_quartiles": [1, 2, 3], "selected_distance_quartiles": [3, 4, 5]}
    (tmp_path / "selection.json").write_text(json.dumps(described))
    return tmp_path / "selection.json"


def runs(values: np.ndarray) -> list:
    """Values of a row of pixels, each stretch of equals once."""
    return [v for n, v in enumerate(values) if n == 0 or v != values[n - 1]]


def test_the_gallery_has_a_band_for_each_anchor_and_goes_by_rank(selection):
    output = selection.with_name("out.png")
    pixels = twice("plot_selection", output, "--selection", selection)
    assert pixels.shape[1] == 1400
    source = np.abs(pixels - (200, 0, 50)).sum(axis=2) <= 20  # whatever its green
    left = np.flatnonzero(source.any(axis=0)).max()
    tops = list(np.flatnonzero(np.diff(source[:, left].astype(int)) == 1) + 1)
    assert len(tops) == 2  # none for the anchor that nothing was selected at
    bands = [pixels[top + 5] for top in tops]
    assert [int(band[left, 1]) for band in bands] == [20, 0]  # three images, then two
    found = [[int(r) for r, g, b in runs(list(map(tuple, band))) if g == 200] for band in bands]
    assert found == [[20, 50, 80], [10, 30]]


def test_the_gallery_says_rank_score_and_id_of_every_image(selection):
    figure = figure_of(plot_selection, "--selection", selection, "--limit", "4")
    facts = "images nearest to it: 7 of the source, 9 of the pool, {} of the selected"
    assert texts(figure.texts) == [
        *("Source images closest to the anchor", "Selected target images: rank, score"),
        *("Anchor 0", facts.format(2), "source-0"),
        *("1", "100", "town_000001", "3", "33.3", "town_000004"),
        *("Anchor 2", facts.format(3), "source-2"),
        *("2", "50.0", "town_000003", "5", "20.0", "town_000000"),
    ]


def test_images_of_an_anchor_that_fill_more_than_a_line_do_not_cover_each_other(selection):
    described, sheet = read_selection(selection), plot_selection.Sheet(1400)
    source = described["anchors"][0]["closest_source_images"]
    plot_selection.add_band(sheet, ("Anchor 0", ""), source, 3 * described["selected"])
    assert len({(x, y) for x, y, _ in sheet.pictures}) == 1 + 15
    assert max(y + picture.height for _, y, picture in sheet.pictures) < sheet.height


def test_many_closest_source_images_leave_the_selected_their_place(selection):
    described = json.loads(selection.read_text())
    for anchor in described["anchors"]:
        anchor["closest_source_images"] *= 9
    selection.write_text(json.dumps(described))
    ids = texts(figure_of(plot_selection, "--selection", selection).texts)
    assert ids.count("source-0") == ids.count("source-2") == 3
    assert sum(text.startswith("town") for text in ids) == 5


def test_the_gallery_shows_the_first_by_rank_where_there_are_too_many(selection):
    described = read_selection(selection)
    shown = [(n, [row["rank"] for row in rows]) for n, _, rows in by_anchor(described, 3)]
    assert shown == [(0, [1, 3]), (2, [2])]


def test_ids_are_drawn_as_they_are(selection):
    """A pair of $ would be a formula to matplotlib, and one that makes no sense an error."""
    renamed = re.sub("town_00000(.)", r"price_$\1_to_${_", selection.read_text())
    (selection.parent / "renamed.json").write_text(renamed)
    output = selection.with_name("out.png")
    plain = drawn(plot_selection, output, "--selection", selection)
    odd = drawn(plot_selection, output, "--selection", selection.parent / "renamed.json")
    assert odd.shape == plain.shape and (odd != plain).any()


def test_images_of_the_selection_that_are_gone_are_named(selection):
    (selection.parent / "3.png").unlink()
    with pytest.raises(InputError, match=r"town_000003: expected an image at .*3\.png"):
        read_selection(selection)


def test_thumbnails_are_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "photo.jpg", exif=exif)
    assert thumbnail(tmp_path / "photo.jpg", 60).size == (60, 60 * WIDTH // HEIGHT)


def test_scores_keep_three_significant_digits():
    written = [three_digits(x) for x in (60.541, 0.04567, 1234.5, 0, -3, 2.5e-6, 99_999)]
    assert written == ["60.5", "0.0457", "1230", "0", "−3.00", "2.50e−06", "1.00e+05"]


def test_no_two_variants_or_domains_have_the_same_colour():
    for colours in (VARIANT_COLOURS, DOMAIN_COLOURS):
        assert len(set(colours.values())) == len(colours)


def test_long_ids_keep_both_ends():
    short = plot_selection.shortened("beginning" + 40 * "_" + "end", 6, 200)
    assert short.startswith("begin") and short.endswith("end") and "…" in short


@pytest.fixture
def domains(tmp_path, rng):
    """Features of 15 source and 12 target images, K = 2 anchors, and indices of both."""
    arrays = {"source": rng.normal(size=(15, 6)), "target": rng.normal(size=(12, 6)) + 1}
    for name, rows in arrays.items():
        np.save(tmp_path / f"{name}.npy", rows.astype(np.float32))
        ids = [f"{name}-{n:02d}" for n in range(len(rows))]
        pd.DataFrame({"id": ids}).to_csv(tmp_path / f"{name}.csv", index=False)
        index = pd.DataFrame({"id": ids, "image": [f"{i}.png" for i in ids], "width": 4})
        index = index.assign(height=2, sequence="town", frame=range(len(ids)))
        index.to_csv(tmp_path / f"{name}-index.csv", index=False)
    np.save(tmp_path / "anchors.npy", arrays["source"][[3, 8]].astype(np.float32))
    picked = [{"image_id": f"target-{n:02d}", "image": "x.png", "rank": 9 - n} for n in (4, 5, 9)]
    pd.DataFrame(picked).assign(score=0.5).to_csv(tmp_path / "manifest.csv", index=False)
    return tmp_path


def test_a_selection_is_described_as_its_features_say(domains):
    result = tiny.run_step(
        *("describe_selection", "--manifest", domains / "manifest.csv", "--strategy", "random"),
        *("--features", domains / "target.npy", "--source-features", domains / "source.npy"),
        *("--anchors", domains / "anchors.npy", "--source", domains / "source-index.csv"),
        *("--target", domains / "target-index.csv", "--classes", "cityscapes19"),
        *("--output", domains / "out.json"),
    )
    assert result.returncode == 0, result.stderr
    anchors, source = np.load(domains / "anchors.npy"), np.load(domains / "source.npy")
    target = np.load(domains / "target.npy")
    apart = {"source": [], "target": []}
    for name, rows in (("source", source), ("target", target)):
        for row in rows:
            squares = [float(((row - anchor) ** 2).sum()) for anchor in anchors]
            apart[name].append((min(squares), squares.index(min(squares))))
    found = json.loads((domains / "out.json").read_text())
    assert found["rule"] == "Every order of the images is equally likely."
    assert (found["pool_images"], found["adjacent_picks"]) == (12, 2)
    for n, anchor in enumerate(found["anchors"]):
        own = sorted((d, i) for i, (d, k) in enumerate(apart["source"]) if k == n)
        names = [f"source-{i:02d}" for _, i in own[:3]]
        assert [row["image_id"] for row in anchor["closest_source_images"]] == names
        assert [row["image"] for row in anchor["closest_source_images"]] == [
            f"{name}.png" for name in names
        ]
        assert anchor["source_images"] == len(own)
        assert anchor["pool_images"] == sum(k == n for _, k in apart["target"])
        assert anchor["selected_images"] == sum(apart["target"][i][1] == n for i in (4, 5, 9))
    for row, place in zip(found["selected"], (4, 5, 9), strict=True):
        assert (row["image_id"], row["rank"]) == (f"target-{place:02d}", 9 - place)
        assert row["anchor"] == apart["target"][place][1]
        assert row["distance"] == pytest.approx(apart["target"][place][0], rel=1e-5)
    middle = float(np.median([apart["target"][i][0] for i in (4, 5, 9)]))
    assert found["selected_distance_quartiles"][1] == pytest.approx(middle, rel=1e-5)


def feature_arguments(folder: Path) -> list:
    arguments = ["--source", folder / "source.npy", "--target", folder / "target.npy"]
    arguments += ["--source-anchors", folder / "anchors.npy"]
    return [*arguments, "--manifest", folder / "manifest.csv"]


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def test_the_map_shows_m0_alone_or_m1_beside_it(domains):
    alone = drawn(plot_features, domains / "out.png", *feature_arguments(domains))
    adapted = ("--adapted", domains / "target.npy", "--target-anchors", domains / "anchors.npy")
    both = twice("plot_features", domains / "out.png", *feature_arguments(domains), *adapted)
    assert both.shape[1] == 2 * alone.shape[1] == 1400
    for pixels, places in ((alone, ([True], [False])), (both, ([True, False], [False, True]))):
        halves = np.split(pixels, len(places[0]), axis=1)
        for domain, expected in zip(("source", "adapted"), places, strict=True):
            marks = rgb(DOMAIN_COLOURS[domain])  # of anchors, which are opaque
            assert [share(half, marks) > 0 for half in halves] == expected


def test_the_map_rings_what_was_selected_in_both_panels_and_shows_every_point(domains):
    target = np.load(domains / "target.npy")
    np.save(domains / "adapted.npy", target + np.float32([5, 0, 0, 0, 3, 0]))
    np.save(domains / "target-anchors.npy", target[:3])
    more = ["--adapted", domains / "adapted.npy", "--most", "10"]
    more += ["--target-anchors", domains / "target-anchors.npy"]
    figure = figure_of(plot_features, *feature_arguments(domains), *more)
    shown = np.union1d(np.linspace(0, 11, 10).round().astype(int), [4, 5, 9])
    source, adapted = DOMAIN_COLOURS["source"], DOMAIN_COLOURS["adapted"]
    marks = [
        [("source", 10, source), ("target", len(shown), DOMAIN_COLOURS["target"])],
        [("source (M0)", 10, source), ("target (M0)", len(shown), DOMAIN_COLOURS["target"])],
    ]
    marks[0] += [("selected", 3, None), ("source anchors", 2, source)]
    marks[1] += [("target (M1)", len(shown), adapted), ("selected", 3, None)]
    marks[1] += [("target anchors", 3, adapted)]
    places = []
    for axes, expected in zip(figure.axes, marks, strict=True):
        for cloud, (label, count, colour) in zip(axes.collections, expected, strict=True):
            assert (cloud.get_label(), len(cloud.get_offsets())) == (label, count)
            assert colour is None or to_hex(cloud.get_facecolor()[0]) == colour
            assert (cloud.get_alpha() == 0.2) == (axes is figure.axes[1] and "(M0)" in label)
        places.append({c.get_label(): np.array(c.get_offsets()) for c in axes.collections})
    before, after = places
    ringed = np.isin(shown, [4, 5, 9])
    assert (before["selected"] == before["target"][ringed]).all()
    assert (after["selected"] == after["target (M1)"][ringed]).all()
    moved = after["target (M1)"] - before["target"]  # all alike, as their features
    assert np.ptp(moved, axis=0).max() < 1e-3 < np.abs(moved).max()
    everything = np.concatenate([*before.values(), *after.values()])
    spread = np.ptp(everything, axis=0)
    assert everything.std(axis=0)[0] > everything.std(axis=0)[1]  # the main direction goes right
    for axes in figure.axes:
        low, high = np.transpose([axes.get_xlim(), axes.get_ylim()])
        assert everything.min(axis=0) - low == pytest.approx(0.04 * spread, rel=1e-3)
        assert high - everything.max(axis=0) == pytest.approx(0.04 * spread, rel=1e-3)


def test_features_that_do_not_belong_together_are_refused(domains):
    np.save(domains / "adapted.npy", np.load(domains / "target.npy")[1:])
    adapted = ("--adapted", domains / "adapted.npy", "--target-anchors", domains / "anchors.npy")
    with pytest.raises(InputError, match=r"adapted\.npy: expected 12 rows .*, found 11"):
        figure_of(plot_features, *feature_arguments(domains), *adapted)
    manifest = domains / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("target-05", "elsewhere"))
    with pytest.raises(InputError, match="expected an image 'elsewhere', found none"):
        figure_of(plot_features, *feature_arguments(domains))


def test_few_points_are_mapped_by_their_two_main_directions(rng):
    points = rng.normal(size=(30, 5)) * (1, 5, 1, 3, 1)
    places, method = plot_features.to_plane(points.astype(np.float32), 0)
    centred = points - points.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    expected = centred @ directions[:, :-3:-1]
    assert method == "PCA"
    assert np.abs(places) == pytest.approx(np.abs(expected), abs=1e-4)


def test_many_points_keep_their_neighbours_and_come_out_the_same_twice(rng):
    groups = np.arange(120) % 3
    points = (rng.normal(size=(120, 8)) + 20 * np.eye(8)[groups]).astype(np.float32)
    places, method = plot_features.to_plane(points, 0)
    again, _ = plot_features.to_plane(points, 0)
    assert method == "t-SNE"
    assert (places == again).all()
    apart = np.square(places[:, None] - places).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (groups[apart.argmin(axis=1)] == groups).all()


def test_of_many_images_evenly_spaced_ones_are_mapped_and_all_selected():
    rows = plot_features.mapped_rows(1001, 11, np.array([7, 500]))
    assert rows.tolist() == [0, 7, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]
    assert plot_features.mapped_rows(3, 10).tolist() == [0, 1, 2]


NAMES = ("road", "car", "boat")


@pytest.fixture
def evaluations(tmp_path):
    """Two seeds of M0 and M4 on three classes; nobody has a boat."""
    rows = [{"name": n, "ids": [i], "colour": [i, 9, 9]} for i, n in enumerate(NAMES)]
    (tmp_path / "classes.json").write_text(json.dumps({"classes": rows, "void_ids": [255]}))
    matrices = {"M0-0": ((6, 2, 0), (3, 1, 0)), "M0-1": ((8, 0, 0), (2, 2, 0))}
    matrices |= {"M4-0": ((7, 1, 0), (1, 3, 0)), "M4-1": ((8, 0, 0), (0, 4, 0))}
    for name, rows in matrices.items():
        scores = {"images": 1, **score_table(np.array([*rows, (0, 0, 0)]), NAMES)}
        (tmp_path / f"{name}.json").write_text(json.dumps(scores, sort_keys=True))
    return tmp_path


def score_arguments(folder: Path) -> list[list[str]]:
    return [[f"M{n}", str(folder / f"M{n}-{seed}.json")] for n in (0, 4) for seed in (0, 1)]


def test_bars_are_means_over_seeds_with_their_deviation(evaluations):
    values = plot_classes.values_by_variant(score_arguments(evaluations), NAMES)
    mean, deviation = values["M0"]
    road = [100 * 6 / 11, 100 * 8 / 10]  # hits over the union of truth and prediction
    car = [100 * 1 / 6, 100 * 2 / 4]
    expected = [np.mean(road), np.mean(car), np.nan, np.mean(road + car)]
    assert mean == pytest.approx(expected, nan_ok=True)
    assert deviation[0] == pytest.approx(np.std(road, ddof=1))
    one = plot_classes.values_by_variant(score_arguments(evaluations)[:1], NAMES)
    assert np.isnan(one["M0"][1]).all()


def test_every_variant_has_its_colour_among_the_bars(evaluations):
    scores = [x for pair in score_arguments(evaluations) for x in ("--score", *pair)]
    arguments = ("--classes", evaluations / "classes.json", *scores)
    pixels = twice("plot_classes", evaluations / "out.png", *arguments)
    height = {}
    for variant in ("M0", "M4"):
        column = (pixels[90:] == rgb(VARIANT_COLOURS[variant])).all(axis=2)  # below the legend
        height[variant] = int(column.sum(axis=0).max())
    # M4's tallest bar is road, M0's too: 93.75 and 67.3 percent as the matrices have it.
    road = {"M0": (6 / 11 + 8 / 10) / 2, "M4": (7 / 9 + 8 / 8) / 2}
    assert height["M4"] / height["M0"] == pytest.approx(road["M4"] / road["M0"], rel=0.03)


def test_bars_stand_side_by_side_above_their_class_in_the_order_of_the_variants(evaluations):
    scores = [x for pair in score_arguments(evaluations) for x in ("--score", *pair)]
    figure = figure_of(plot_classes, "--classes", evaluations / "classes.json", *scores)
    (axes,) = figure.axes
    assert texts(axes.get_xticklabels()) == [*NAMES, "mean"]
    assert texts(figure.legends[0].get_texts()) == ["M0", "M4"]
    ticks = axes.get_xticks()
    assert (np.diff(ticks) > 0).all() and axes.get_ylim()[0] == 0
    # Hits over the union of truth and prediction, by variant and seed; nobody has a boat.
    road = {"M0": (600 / 11, 800 / 10), "M4": (700 / 9, 100)}
    car = {"M0": (100 / 6, 200 / 4), "M4": (300 / 5, 100)}
    for n, variant in enumerate(("M0", "M4")):
        bars = axes.patches[4 * n : 4 * n + 4]
        mean = (np.array(road[variant]) + car[variant]) / 2
        of_seeds = np.array([road[variant], car[variant], mean])
        assert {to_hex(bar.get_facecolor()) for bar in bars} == {VARIANT_COLOURS[variant]}
        heights = [*of_seeds[:2].mean(axis=1), 0, mean.mean()]
        assert [bar.get_height() for bar in bars] == pytest.approx(heights)
        inner = [bar.get_x() + (bar.get_width() if variant == "M0" else 0) for bar in bars]
        assert inner == pytest.approx(ticks)  # the two meet above the class
        ends = [line[:, 1] for line in axes.collections[n].get_segments()]
        deviation = of_seeds.std(axis=1, ddof=1)
        assert np.mean(ends, axis=1) == pytest.approx(of_seeds.mean(axis=1))
        assert np.ptp(ends, axis=1) == pytest.approx(2 * deviation)
    (note,) = axes.texts
    assert note.get_text() == "not there" and note.get_position()[0] == ticks[2]


def test_an_evaluation_of_other_classes_is_refused(evaluations):
    with pytest.raises(InputError, match=r"M0-0\.json: expected the IoU of road, car, found"):
        read_evaluation(evaluations / "M0-0.json", ("road", "car"))


def test_rows_of_the_confusion_matrix_are_shares_of_the_true_class(evaluations):
    confusion = np.array([[6, 2, 0], [3, 1, 0], [0, 0, 0]])
    shares = plot_confusion.row_shares(confusion)
    assert shares[:2].tolist() == [[75, 25, 0], [75, 25, 0]]
    assert np.isnan(shares[2]).all()
    assert [plot_confusion.whole(x) for x in (75.0, 0.6, 0.4, float("nan"))] == ["75", "1", "", ""]
    assert [plot_confusion.share_of_all(x) for x in (12.34, 0.04, 0)] == ["12.3", "<0.1", "0.0"]


def test_rows_of_the_confusion_matrix_are_true_classes_and_columns_predicted_ones(evaluations):
    arguments = ["--classes", evaluations / "classes.json", "--variant", "M0", "--scores"]
    seeds = [evaluations / "M0-0.json", evaluations / "M0-1.json"]
    (axes,) = figure_of(plot_confusion, *arguments, *seeds).axes
    assert axes.get_ylabel() == "true class" and axes.get_xlabel().startswith("predicted by M0")
    assert texts(axes.get_xticklabels()) == texts(axes.get_yticklabels()) == [*NAMES]
    # Of 16 pixels of road 2 are taken for a car; of 8 of cars 5 for road.
    shown = axes.images[0].get_array()
    assert shown[:2].tolist() == [[87.5, 12.5, 0], [62.5, 37.5, 0]]
    cells = {text.get_position(): (text.get_text(), text.get_color()) for text in axes.texts}
    assert {place: cell for place, cell in cells.items() if place[0] < 3 and place[1] >= 0} == {
        (0, 0): ("88", "white"),
        (1, 0): ("12", "black"),
        (0, 1): ("62", "white"),
        (1, 1): ("38", "black"),
    }
    assert [cells[4.2, row][0] for row in range(3)] == ["66.7", "33.3", "0.0"]


def test_the_confusion_matrix_is_that_of_all_seeds_together(evaluations):
    arguments = ["--classes", evaluations / "classes.json", "--variant", "M4", "--scores"]
    seeds = [evaluations / "M4-0.json", evaluations / "M4-1.json"]
    both = twice("plot_confusion", evaluations / "out.png", *arguments, *seeds)
    # Of 16 pixels of road 15 are found: 94 percent; of 8 of the second seed alone all.
    darkest = [round(255 * channel) for channel in plt.get_cmap("Blues")(1.0)[:3]]
    assert share(both, darkest) == 0
    alone = drawn(plot_confusion, evaluations / "out.png", *arguments, seeds[1])
    assert share(alone, darkest) > 0.01


def write_history(path: Path, **columns) -> Path:
    table = pd.DataFrame(columns)
    table.insert(0, "iteration", range(1, len(table) + 1))
    table.to_csv(path, index=False)
    return path


def test_history_has_one_panel_per_training(tmp_path):
    decay = np.exp(-np.arange(100) / 30)
    tune = [0.3 if n % 50 == 49 else None for n in range(100)]
    first = write_history(tmp_path / "a.csv", segmentation=decay, tune_miou=tune)
    second = write_history(tmp_path / "b.csv", source=decay, active=0.5 * decay)
    arguments = ("--history", "M0", first, "--history", "M1", second)
    pixels = twice("plot_history", tmp_path / "out.png", *arguments)
    width, height = plot_history.PANEL[0] * 2 + 0.6, plot_history.PANEL[1] + 0.55
    assert pixels.shape[:2] == (round(height * DPI), round(width * DPI))
    half = pixels.shape[1] // 2
    colours = list(map(rgb, plot_history.COLOURS[:3]))
    panel = pixels[: int(0.8 * pixels.shape[0])]  # without the legend
    left, right = panel[:, :half], panel[:, half:]
    assert [share(left, colour) > 0 for colour in colours] == [True, False, False]
    assert [share(right, colour) > 0 for colour in colours] == [False, True, True]


def test_panels_of_trainings_share_labels_and_show_raw_and_smoothed_losses(tmp_path):
    """Five trainings in two rows; the first, second and fourth have a score of tuning."""
    arguments = []
    for n in range(5):
        path = write_history(tmp_path / f"{n}.csv", **{f"loss {n}": 1 + np.arange(8) % 2})
        table = pd.read_csv(path).assign(iteration=range(10, 90, 10))
        if n in (0, 1, 3):
            table["tune_miou"] = [None] * 7 + [0.1 * (n + 1)]
        table.to_csv(path, index=False)
        arguments += ["--history", f"training {n}", path]
    figure = figure_of(plot_history, *arguments)
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    scores = [axes for axes in figure.axes if axes not in panels]
    assert [axes.get_title(loc="left") for axes in panels] == [f"training {n}" for n in range(5)]
    assert [axes.get_ylabel() for axes in panels] == ["loss", "", "", "loss", ""]
    assert [axes.get_xlabel() for axes in panels] == ["", "", *["iteration"] * 3]
    for axes in panels:
        raw, smoothed = (line.get_ydata() for line in axes.lines)
        assert raw.tolist() == [1, 2, 1, 2, 1, 2, 1, 2]
        assert smoothed[3] == pytest.approx(8 / 5)  # of 2, 1, 2, 1, 2
        assert axes.get_xlim() == (0, 80)
    assert [axes.get_ylabel() for axes in scores] == ["", "mIoU (%)", "mIoU (%)"]
    found = [axes.lines[0].get_xydata().tolist() for axes in scores]
    assert found == [[[80, pytest.approx(value)]] for value in (10, 20, 40)]
    assert {axes.get_ylim() for axes in scores} == {(0, 50)}
    named = texts(figure.legends[0].get_texts())
    assert named == [*(f"loss {n}" for n in range(5)), "mIoU on the tuning split"]
    with pytest.raises(InputError, match="expected every name once, found one twice"):
        figure_of(plot_history, *arguments, "--history", "training 0", tmp_path / "1.csv")


def test_a_running_mean_leaves_a_straight_line_as_it_is():
    history = pd.DataFrame({"loss": np.arange(1000.0)}, index=pd.RangeIndex(1, 1001))
    inner = plot_history.smoothed(history)["loss"].iloc[20:-20]
    assert np.abs(inner - history["loss"].iloc[20:-20]).max() <= 0.5  # an even window's half step


def test_losses_of_very_different_size_get_a_logarithmic_axis():
    large, small = pd.DataFrame({"a": [1.0, 2.0]}), pd.DataFrame({"b": [0.01, 0.02]})
    assert plot_history.loss_axis([large])[0] == "linear"
    assert plot_history.loss_axis([large, small])[0] == "log"
    assert plot_history.loss_axis([large, small - 0.01])[0] == "linear"  # zero has no logarithm


def test_histories_that_make_no_sense_are_refused(tmp_path):
    backwards = pd.DataFrame({"iteration": [2, 1], "loss": [1.0, 1.0]})
    words = pd.DataFrame({"iteration": [1, 2], "loss": [1.0, "high"]})
    never = pd.DataFrame({"iteration": [1, 2], "loss": [np.inf, np.nan]})
    for table, complaint in (
        (backwards, "increasing"),
        (words, "row 2: expected a number as loss, found 'high'"),
        (never, "expected finite values of loss"),
        (words[["iteration"]], "one loss"),
    ):
        table.to_csv(tmp_path / "h.csv", index=False)
        with pytest.raises(InputError, match=complaint):
            plot_history.read_history(tmp_path / "h.csv")
