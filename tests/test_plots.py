"""What the figure steps promise: pictures that show what they are given, the same bytes again."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import plot_history
import plot_panels
import plot_selection
from mada.cli import InputError
from mada.labels import CLASS_SETS, label_image

STEPS = Path(__file__).parents[1] / "steps"
WIDTH, HEIGHT = 240, 120
ROAD, SKY = CLASS_SETS["cityscapes19"].names.index("road"), 10
ROAD_ID, VOID_ID = 7, 0  # of Cityscapes' own encoding
COLOURS = [np.array(colour) for colour in CLASS_SETS["cityscapes19"].colours]


def run(step: str, *arguments: object) -> subprocess.CompletedProcess:
    command = map(str, (sys.executable, STEPS / f"{step}.py", *arguments))
    return subprocess.run([*command], check=False, capture_output=True, text=True)


def twice(step: str, output: Path, *arguments: object) -> np.ndarray:
    """Pixels of a step's picture, having made it twice with the same bytes."""
    made = []
    for name in (output, output.with_name("again.png")):
        result = run(step, *arguments, "--output", name)
        assert result.returncode == 0, result.stderr
        made.append(name.read_bytes())
    assert made[0] == made[1]
    with Image.open(output) as image:
        return np.asarray(image.convert("RGB")).astype(int)


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
    (tmp_path / "M4.json").write_text(json.dumps({"miou": 0.5}))
    return tmp_path


def panel_arguments(folder: Path) -> list:
    given = ["--images", folder / "index.csv", "--encoding", "cityscapes-ids"]
    given += ["--classes", "cityscapes19"]
    return given + [x for name in ("M0", "M4") for x in ("--prediction", name, folder / name)]


def check_panels(arguments: list, output: Path) -> None:
    given = [str(argument) for argument in (*arguments, "--output", output)]
    plot_panels.main(plot_panels.parser().parse_args(given))


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
    check_panels(panel_arguments(panels), panels / "out.png")
    with Image.open(panels / "out.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    for colour in COLOURS:
        assert (pixels == colour).all(axis=-1).sum() >= plot_panels.SWATCH**2


def test_a_missing_prediction_is_named_in_one_line(panels):
    missing = panels / "M4" / "town_000003.png"
    missing.unlink()
    result = run("plot_panels", *panel_arguments(panels), "--output", panels / "out.png")
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {missing}: expected M4's prediction")
    assert result.stderr.count("\n") == 1
    assert not (panels / "out.png").exists()


def test_images_without_any_prediction_are_passed_over(panels):
    for name in ("M0", "M4"):
        for frame in range(2, 8):
            (panels / name / f"town_{frame:06d}.png").unlink()
    check_panels(panel_arguments(panels), panels / "out.png")
    with Image.open(panels / "out.png") as image:
        assert image.height < 4 * HEIGHT


def test_a_prediction_of_another_size_is_refused(panels):
    wrong = panels / "M0" / "town_000000.png"
    label_image(np.zeros((7, 9), dtype=np.uint8), "cityscapes19").save(wrong)
    with pytest.raises(InputError, match=r"town_000000\.png: expected 240×120 .* found 9×7"):
        check_panels(panel_arguments(panels), panels / "out.png")


def test_scores_of_a_variant_without_predictions_are_refused(panels):
    arguments = [*panel_arguments(panels), "--scores", "M2", panels / "M4.json"]
    with pytest.raises(InputError, match=r"expected one of .* found 'M2'"):
        check_panels(arguments, panels / "out.png")


def test_ids_break_after_their_separators_and_lose_nothing():
    assert plot_panels.id_lines("town_000000_000019") == "town_000000_\n000019"
    assert plot_panels.id_lines("x" * 30).replace("\n", "") == "x" * 30


def test_wide_labels_are_shrunk_and_small_ones_enlarged_by_whole_multiples():
    assert [plot_panels.tile_width(width) for width in (2048, 256, 192, 100)] == [
        320,
        256,
        384,
        300,
    ]


@pytest.fixture
def manifest(tmp_path):
    """Five images, each of one colour, listed in no order; ranks 1, 2, 3, 5, 8."""
    rows = []
    for n, rank in enumerate((5, 1, 8, 2, 3)):
        path = tmp_path / f"{n}.png"
        Image.new("RGB", (WIDTH, HEIGHT), (10 * rank, 200, 50)).save(path)
        rows.append((f"town_{n:06d}", path, rank, 100 / rank, n))
    columns = ["image_id", "image", "rank", "score", "anchor"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "manifest.csv", index=False)
    return tmp_path / "manifest.csv"


def test_contact_sheet_goes_by_rank(manifest):
    output = manifest.with_name("out.png")
    title = ("--title", "mada, 5 %")
    pixels = twice("plot_selection", output, "--manifest", manifest, *title, "--limit", 4)
    width = plot_selection.THUMBNAIL
    cell = width + plot_selection.GAP
    assert pixels.shape[1] == 2 * plot_selection.MARGIN + 4 * cell - plot_selection.GAP
    top = plot_selection.MARGIN + plot_selection.HEADER + 20
    found = [pixels[top, plot_selection.MARGIN + n * cell + width // 2, 0] for n in range(4)]
    assert found == [10, 20, 30, 50]


def test_images_of_the_manifest_that_are_gone_are_named(manifest):
    (manifest.parent / "3.png").unlink()
    arguments = ["--manifest", str(manifest), "--output", str(manifest.with_name("out.png"))]
    with pytest.raises(InputError, match=r"town_000003: expected an image at .*3\.png"):
        plot_selection.main(plot_selection.parser().parse_args(arguments))


def test_thumbnails_are_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "photo.jpg", exif=exif)
    thumbnail = plot_selection.thumbnail(str(tmp_path / "photo.jpg"))
    width = plot_selection.THUMBNAIL
    assert thumbnail.shape == (width * WIDTH // HEIGHT, width, 3)


def test_scores_keep_three_significant_digits():
    written = [plot_selection.three_digits(x) for x in (60.541, 0.04567, 1234.5, 0, -3, 2.5e-6)]
    assert written == ["60.5", "0.0457", "1230", "0", "−3.00", "2.50e−06"]


def test_long_ids_keep_both_ends():
    short = plot_selection.shortened("beginning" + 40 * "_" + "end", 6, 150)
    assert short.startswith("begin") and short.endswith("end") and "…" in short


def test_columns_leave_few_empty_cells():
    assert [plot_selection.columns_for(n) for n in (1, 5, 16, 20, 40)] == [1, 5, 8, 5, 8]


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
    width, height = plot_history.PANEL[0] * 2 + 0.6, plot_history.PANEL[1] + 0.5
    assert pixels.shape[:2] == (round(height * 150), round(width * 150))
    half = pixels.shape[1] // 2
    rgb = [tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in plot_history.COLOURS[:3]]
    panel = pixels[: int(0.8 * pixels.shape[0])]  # without the legend
    left, right = panel[:, :half], panel[:, half:]
    assert [share(left, colour) > 0 for colour in rgb] == [True, False, False]
    assert [share(right, colour) > 0 for colour in rgb] == [False, True, True]


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
