"""Show the active samples of one run as a contact sheet, in order of rank.

Input    manifest
Output   PNG: thumbnails; below each its rank, score, nearest anchor (if any) and image id
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from PIL import Image

from mada.cli import InputError, StepParser, existing_file, positive_int, refuse, run_step
from mada.figures import DPI, GREY, save_figure, text_width
from mada.files import read_csv
from mada.images import read_image

THUMBNAIL = 200  # width, pixels
CAPTION = 44  # height of the two lines below a thumbnail, pixels
GAP, MARGIN, HEADER = 12, 16, 58  # pixels
SWATCH = 11  # side of an anchor's colour, pixels
SMALL, PLAIN, LARGE = 6, 7, 11  # points
FEWEST, MOST = 4, 8  # columns, where there are enough images


def shortened(text: str, points: float, pixels: float) -> str:
    """A text that fits, its middle left out if need be: the ends of ids tell more."""
    short, kept = text, len(text)
    while text_width(short, points) > pixels and kept > 2:
        kept -= 1
        short = f"{text[: kept // 3]}…{text[len(text) - (kept - kept // 3) :]}"
    return short


def three_digits(value: float) -> str:
    """A number with three significant digits, without an exponent where that stays readable."""
    value = float(f"{value:.3g}")
    size = abs(value)
    if size == 0:
        return "0"
    if not 1e-3 <= size < 1e5:
        text = f"{value:.2e}"
    else:
        text = f"{value:.{max(0, 2 - int(np.floor(np.log10(size))))}f}"
    return text.replace("-", "−")


def columns_for(count: int) -> int:
    """Columns that leave the fewest cells of the last row empty; the more the better."""
    if count <= MOST:
        return count
    return min(range(FEWEST, MOST + 1), key=lambda columns: (-count % columns, -columns))


def read_manifest(path: Path) -> pd.DataFrame:
    """The active samples in order of rank.

    Raises
    ------
    InputError
        If there is none, or a rank or score is not a number.
    """
    manifest = read_csv(path, ("image_id", "image", "rank", "score", "anchor"))
    if manifest.empty:
        raise InputError(f"{path}: expected at least one active sample, found an empty manifest")
    for column in ("rank", "score", "anchor"):
        found = manifest[column]
        numbers = pd.to_numeric(found, errors="coerce")
        wrong = ~np.isfinite(numbers) & ~(found.isna() & (column == "anchor"))
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(
                f"{path}: row {row + 1}: expected a number as {column}, found {found.iloc[row]!r}"
            )
        manifest[column] = numbers
    return manifest.sort_values(["rank", "image_id"], kind="stable")


def thumbnail(path: str) -> np.ndarray:
    """An image shrunk or enlarged to the thumbnails' width, (h, THUMBNAIL, 3) uint8."""
    image = read_image(path)
    height = max(1, round(image.height * THUMBNAIL / image.width))
    return np.asarray(image.resize((THUMBNAIL, height), Image.Resampling.LANCZOS))


def anchor_colour(anchor: int) -> np.ndarray:
    """A colour of its own for each of the first 20 anchors, RGB 0 … 255."""
    strong_first = [*range(0, 20, 2), *range(1, 20, 2)]
    return np.round(255 * np.array(plt.get_cmap("tab20")(strong_first[anchor % 20])[:3]))


def draw(
    samples: pd.DataFrame, thumbnails: list[np.ndarray], headings: tuple[str, str], path: Path
):
    """Lay thumbnails and captions out on a grid of pixels, and write the picture."""
    columns = columns_for(len(samples))
    tall = max(len(t) for t in thumbnails)
    cell = (tall + CAPTION + GAP, THUMBNAIL + GAP)
    height = 2 * MARGIN + HEADER + -(-len(samples) // columns) * cell[0] - GAP
    title, subtitle = headings
    needed = max(text_width(title, LARGE, "bold"), text_width(subtitle, PLAIN)) + GAP
    width = 2 * MARGIN + max(columns * cell[1] - GAP, needed)
    sheet = np.full((height, width, 3), 255, dtype=np.uint8)
    figure = plt.figure(figsize=(width / DPI, height / DPI), dpi=DPI)

    def write(x: float, y: float, text: str, **style) -> None:
        figure.text(x / width, 1 - y / height, text, **style)

    write(MARGIN, MARGIN + 20, title, fontsize=LARGE, weight="bold")
    write(MARGIN, MARGIN + 43, subtitle, fontsize=PLAIN, color=GREY)
    for n, (row, image) in enumerate(zip(samples.itertuples(), thumbnails, strict=True)):
        x, y = MARGIN + n % columns * cell[1], MARGIN + HEADER + n // columns * cell[0]
        y += tall - len(image)  # thumbnails of a row stand on one line
        sheet[y : y + len(image), x : x + THUMBNAIL] = image
        first, second = y + len(image) + 17, y + len(image) + 35
        rank = f"{row.rank:.0f}"
        write(x, first, rank, fontsize=PLAIN, weight="bold")
        after = x + text_width(rank, PLAIN, "bold") + 10
        write(after, first, three_digits(row.score), fontsize=PLAIN)
        if pd.notna(row.anchor):
            right = x + THUMBNAIL
            sheet[first - SWATCH : first, right - SWATCH : right] = anchor_colour(int(row.anchor))
            style = {"fontsize": PLAIN, "ha": "right"}
            write(right - SWATCH - 6, first, f"anchor {row.anchor:.0f}", **style)
        name = shortened(row.image_id, SMALL, THUMBNAIL)
        write(x, second, name, fontsize=SMALL, color=GREY)
    figure.figimage(sheet, origin="upper")
    save_figure(figure, path)


def main(args: argparse.Namespace) -> None:
    manifest = read_manifest(args.manifest)
    shown = manifest.head(args.limit)
    refuse(
        [
            f"{args.manifest}: {row.image_id}: expected an image at {row.image}, found no file"
            for row in shown.itertuples()
            if not Path(str(row.image)).is_file()
        ],
        "the manifest",
    )
    part = f"{len(shown)} of " if len(shown) < len(manifest) else ""
    plural = "s" if len(manifest) > 1 else ""
    parts = "rank, score" + (", nearest anchor" if shown["anchor"].notna().any() else "")
    subtitle = f"{part}{len(manifest)} active sample{plural} ({parts}, image id)"
    thumbnails = [thumbnail(image) for image in shown["image"]]
    draw(shown, thumbnails, (args.title, subtitle), args.output)
    print(f"{args.output}: {len(shown)} of {len(manifest)} active samples")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--manifest", required=True, type=existing_file)
    parser.add_argument("--title", default="Active samples", help="strategy and budget, say")
    parser.add_argument("--limit", type=positive_int, default=40, help="images to show at most")
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
