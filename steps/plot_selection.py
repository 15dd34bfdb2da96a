"""Show the active samples of one run beside the source images that they are compared with.

Input    selection (JSON, from describe_selection)
Output   PNG: a band for every source anchor that images were selected at: left the source images
         closest to the anchor, right the selected images nearest to it in order of rank, below
         each its rank, score and image id
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from mada.cli import StepParser, existing_file, positive_int, run_step
from mada.figures import (
    DPI,
    GREY,
    LARGE,
    PAGE_WIDTH,
    PLAIN,
    SMALL,
    save_figure,
    text_width,
    three_digits,
)
from mada.selections import by_anchor, read_selection, thumbnail

COLUMNS, SOURCES = 7, 3  # images a line, and how many of them the source may have
MARGIN, GAP, WIDE_GAP = 12, 10, 30  # pixels
HEADING, LINE = 34, 20  # heights of a heading and of a line below a thumbnail
RULE = 2  # width of the line between source and selected images
TINY = 5.5  # points


def shortened(text: str, points: float, pixels: float) -> str:
    """A text that fits, its middle left out if need be: the ends of ids tell more."""
    short, kept = text, len(text)
    while text_width(short, points) > pixels and kept > 2:
        kept -= 1
        short = f"{text[: kept // 3]}…{text[len(text) - (kept - kept // 3) :]}"
    return short


class Sheet:
    """A white page, in pixels, that grows downwards: pictures, lines and texts."""

    def __init__(self, width: int):
        self.width, self.height = width, MARGIN
        self.pictures: list[tuple[int, int, Image.Image]] = []
        self.rules: list[tuple[int, int, int]] = []  # x, top, bottom
        self.texts: list[tuple[int, int, str, dict]] = []

    def write(self, x: int, baseline: int, text: str, **style) -> None:
        self.texts.append((x, baseline, text, style))

    def save(self, path: Path) -> None:
        height = self.height + MARGIN
        pixels = np.full((height, self.width, 3), 255, dtype=np.uint8)
        for x, y, picture in self.pictures:
            pixels[y : y + picture.height, x : x + picture.width] = np.asarray(picture)
        for x, top, bottom in self.rules:
            pixels[top:bottom, x : x + RULE] = 190
        figure = plt.figure(figsize=(self.width / DPI, height / DPI), dpi=DPI)
        for x, baseline, text, style in self.texts:
            figure.text(x / self.width, 1 - baseline / height, text, **style)
        figure.figimage(pixels, origin="upper")
        save_figure(figure, path)


def cell_width(sheet: Sheet) -> int:
    return (sheet.width - 2 * MARGIN - (COLUMNS - 2) * GAP - WIDE_GAP) // COLUMNS


def selected_from(sheet: Sheet, source: int) -> int:
    """Where the selected images begin, right of so many source images."""
    return MARGIN + source * (cell_width(sheet) + GAP) - GAP + WIDE_GAP


def add_titles(sheet: Sheet, source: int) -> None:
    baseline = sheet.height + LINE
    titles = ((MARGIN, "Source images closest to the anchor"),)
    titles += ((selected_from(sheet, source), "Selected target images: rank, score"),)
    for x, title in titles:
        sheet.write(x, baseline, title, fontsize=LARGE, weight="bold")
    sheet.height += HEADING


def add_cell(sheet: Sheet, x: int, bottom: int, row: dict, picture: Image.Image) -> None:
    """A picture above ``bottom``, and below it its id, with rank and score if it has them."""
    sheet.pictures.append((x, bottom - picture.height, picture))
    baseline = bottom + LINE + 1
    if "rank" in row:
        rank = str(row["rank"])
        sheet.write(x, baseline, rank, fontsize=SMALL, weight="bold")
        after = x + text_width(rank, SMALL, "bold") + 8
        sheet.write(after, baseline, three_digits(row["score"]), fontsize=SMALL)
        baseline += LINE
    name = shortened(row["image_id"], TINY, cell_width(sheet))
    sheet.write(x, baseline, name, fontsize=TINY, color=GREY)


def add_band(sheet: Sheet, heading: tuple[str, str], source: list[dict], rows: list[dict]) -> None:
    """One anchor: its source images, and beside them the images that were selected at it."""
    width = cell_width(sheet)
    pictures = {row["image"]: thumbnail(row["image"], width) for row in [*source, *rows]}
    tall = max(picture.height for picture in pictures.values())
    sheet.height += WIDE_GAP if sheet.pictures else 0
    name, facts = heading
    sheet.write(MARGIN, sheet.height + LINE, name, fontsize=PLAIN, weight="bold")
    after = MARGIN + text_width(name, PLAIN, "bold") + GAP
    sheet.write(after, sheet.height + LINE, facts, fontsize=SMALL, color=GREY)
    top = sheet.height + HEADING
    for n, row in enumerate(source):
        add_cell(sheet, MARGIN + n * (width + GAP), top + tall, row, pictures[row["image"]])
    left = selected_from(sheet, len(source))
    beside, step = COLUMNS - len(source), tall + 2 * LINE + GAP
    for n, row in enumerate(rows):
        x, bottom = left + n % beside * (width + GAP), top + n // beside * step + tall
        add_cell(sheet, x, bottom, row, pictures[row["image"]])
    sheet.height = top + -(-len(rows) // beside) * step - GAP + 2
    sheet.rules.append((left - WIDE_GAP // 2, top, sheet.height))


def main(args: argparse.Namespace) -> None:
    selection = read_selection(args.selection)
    sheet = Sheet(round(PAGE_WIDTH * DPI))
    bands = by_anchor(selection, args.limit)
    sources = [anchor["closest_source_images"][:SOURCES] for _, anchor, _ in bands]
    add_titles(sheet, max(map(len, sources)))
    for (number, anchor, rows), source in zip(bands, sources, strict=True):
        facts = (
            f"images nearest to it: {anchor['source_images']} of the source, "
            f"{anchor['pool_images']} of the pool, {anchor['selected_images']} of the selected"
        )
        heading = (f"Anchor {number}", facts)
        add_band(sheet, heading, source, rows)
    sheet.save(args.output)
    total = len(selection["selected"])
    print(f"{args.output}: {min(args.limit, total)} of {total} active samples")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--selection", required=True, type=existing_file)
    parser.add_argument("--limit", type=positive_int, default=40, help="images to show at most")
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
