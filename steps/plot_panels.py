"""Show what each variant predicts: one row per image, one column per variant.

Inputs   index with labels, a folder of predicted label maps (PNG of training ids, named after
         the images) for each variant, its evaluation (JSON) where the mIoU is to be shown
Output   PNG: image, ground truth and predictions side by side, above the classes' colours

Shown are a few of the images that have predictions, evenly spread over the index. Void is black.
Label maps wider than a tile are shrunk by averaging colours, so that thin things stay visible.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from PIL import Image

from mada.cli import InputError, StepParser, existing_file, positive_int, refuse, run_step
from mada.evaluations import read_evaluation
from mada.figures import DPI, GREY, LARGE, PLAIN, SMALL, save_figure, text_width
from mada.files import read_index
from mada.images import evenly_spread, read_image
from mada.labels import (
    ENCODINGS,
    class_set,
    class_set_name,
    label_image,
    read_label,
    train_id_table,
)

NARROWEST, WIDEST = 160, 256  # of a tile, pixels: five of them fill a page
GAP, MARGIN, HEADER = 6, 12, 36  # pixels
SWATCH, ENTRY = 20, 34  # side of a legend's swatch and height of its line, pixels
ID_LINE = 12  # characters of an id on one line
TINY = 5.5  # points


def id_lines(image_id: str) -> str:
    """An id over several short lines, broken after its separators where it has any."""
    lines = [""]
    for part in image_id.replace("/", "/\0").replace("_", "_\0").replace("-", "-\0").split("\0"):
        if lines[-1] and len(lines[-1] + part) > ID_LINE:
            lines.append("")
        lines[-1] += part
    return "\n".join(
        line[start : start + ID_LINE] for line in lines for start in range(0, len(line), ID_LINE)
    )


def shown_rows(index: pd.DataFrame, folders: dict[str, Path], rows: int) -> pd.DataFrame:
    """The rows to show, evenly spread over those that some variant has a prediction of.

    Raises
    ------
    InputError
        If there is no prediction, or a variant lacks one that another has.
    """
    there = {
        name: index["id"].map(lambda i, folder=folder: (folder / f"{i}.png").is_file())
        for name, folder in folders.items()
    }
    predicted = pd.DataFrame(there).any(axis=1)
    if not predicted.any():
        raise InputError(
            f"{next(iter(folders.values()))}: expected predictions named after the index, "
            f"such as {index['id'].iloc[0]}.png, found none"
        )
    refuse(
        [
            f"{folders[name] / image_id}.png: expected {name}'s prediction, found no file"
            for name in folders
            for image_id in index.loc[predicted & ~there[name], "id"]
        ],
        "the predictions",
    )
    candidates = index[predicted]
    return candidates.iloc[evenly_spread(len(candidates), rows)]


def read_row(row, folders: dict[str, Path], encoding: str, classes: str) -> list[Image.Image]:
    """Image, ground truth and predictions of one row, as colours and at full size.

    Raises
    ------
    InputError
        If a file cannot be read, or is not as large as the image.
    """
    image = read_image(row.image)
    paths = [(Path(row.label), encoding)]
    paths += [(folder / f"{row.id}.png", "train-ids") for folder in folders.values()]
    tiles = [image]
    for path, values in paths:
        label = read_label(path, train_id_table(values, classes))
        if label.shape != image.size[::-1]:
            raise InputError(
                f"{path}: expected {image.width}×{image.height} pixels like its image, "
                f"found {label.shape[1]}×{label.shape[0]}"
            )
        tiles.append(label_image(label, classes).convert("RGB"))
    return tiles


def tile_width(width: int) -> int:
    """Width to show an image at: whole multiples of small ones keep label edges sharp."""
    return WIDEST if width > WIDEST else width * -(-NARROWEST // width)


def resized(tile: Image.Image, width: int, label: bool) -> np.ndarray:
    """A tile (h, width, 3) uint8; labels keep their exact colours away from edges."""
    size = (width, max(1, round(tile.height * width / tile.width)))
    if label:
        how = Image.Resampling.BOX if width < tile.width else Image.Resampling.NEAREST
    else:
        how = Image.Resampling.LANCZOS
    return np.asarray(tile.resize(size, how))


def draw(
    ids: list[str], rows: list[list[Image.Image]], titles: dict[str, str], classes: str, path: Path
) -> None:
    """Lay tiles, titles and legend out on a grid of pixels, and write the picture."""
    width = tile_width(rows[0][0].width)
    tiles = [[resized(t, width, label=n > 0) for n, t in enumerate(row)] for row in rows]
    names = [id_lines(image_id) for image_id in ids]
    left = MARGIN + max(text_width(line, TINY) for n in names for line in n.split("\n")) + 2 * GAP
    content = len(titles) * (width + GAP) - GAP
    bottom = MARGIN + HEADER + sum(row[0].shape[0] + GAP for row in tiles)

    entries = [*zip(class_set(classes).names, class_set(classes).colours, strict=True)]
    entries.append(("void", (0, 0, 0)))
    entry_width = SWATCH + GAP + max(text_width(name, SMALL) for name, _ in entries) + 3 * GAP
    most = max(1, content // entry_width)
    legend_rows = -(-len(entries) // most)
    per_row = -(-len(entries) // legend_rows)
    spacing = content / per_row

    height = bottom + 2 * GAP + legend_rows * ENTRY + MARGIN - (ENTRY - SWATCH)
    sheet = np.full((height, left + content + MARGIN, 3), 255, dtype=np.uint8)
    figure = plt.figure(figsize=(sheet.shape[1] / DPI, height / DPI), dpi=DPI)

    def write(x: float, y: float, text: str, **style) -> None:
        figure.text(x / sheet.shape[1], 1 - y / height, text, **style)

    for column, (name, score) in enumerate(titles.items()):
        x = left + column * (width + GAP)
        baseline = MARGIN + HEADER - 10
        write(x, baseline, name, fontsize=LARGE, weight="bold")
        after = x + text_width(name, LARGE, "bold") + 12
        write(after, baseline, score, fontsize=PLAIN, color=GREY)
    y = MARGIN + HEADER
    for name, row in zip(names, tiles, strict=True):
        tall = row[0].shape[0]
        style = {"fontsize": TINY, "ha": "right", "va": "center", "color": GREY}
        write(left - 2 * GAP, y + tall / 2, name, **style)
        for column, tile in enumerate(row):
            x = left + column * (width + GAP)
            sheet[y : y + tall, x : x + width] = tile
        y += tall + GAP
    for n, (name, colour) in enumerate(entries):
        x, y = left + round(n % per_row * spacing), bottom + 2 * GAP + n // per_row * ENTRY
        sheet[y : y + SWATCH, x : x + SWATCH] = colour
        write(x + SWATCH + GAP, y + SWATCH / 2, name, fontsize=SMALL, va="center_baseline")
    figure.figimage(sheet, origin="upper")
    save_figure(figure, path)


def main(args: argparse.Namespace) -> None:
    folders = {name: Path(folder) for name, folder in args.prediction}
    if len(folders) < len(args.prediction):
        raise InputError("--prediction: expected every name once, found one twice")
    strangers = [name for name, _ in args.scores if name not in folders]
    if strangers:
        raise InputError(f"--scores: expected one of {[*folders]}, found {strangers[0]!r}")
    refuse(
        [
            f"{f}: expected a folder of predictions, found none"
            for f in folders.values()
            if not f.is_dir()
        ]
        + [
            f"{f}: expected an evaluation, found no file"
            for _, f in args.scores
            if not Path(f).is_file()
        ],
        "the arguments",
    )
    classes = class_set(args.classes).names
    miou = {name: read_evaluation(Path(path), classes)["miou"] for name, path in args.scores}
    index = shown_rows(read_index(args.images, labels=True), folders, args.rows)
    rows = [read_row(row, folders, args.encoding, args.classes) for row in index.itertuples()]
    titles = {"Image": "", "Ground truth": ""}
    titles |= {name: f"mIoU {100 * miou[name]:.1f} %" if name in miou else "" for name in folders}
    draw(index["id"].tolist(), rows, titles, args.classes, args.output)
    print(f"{args.output}: {len(rows)} images, predictions of {', '.join(folders)}")


def parser() -> StepParser:
    parser = StepParser(__doc__)
    parser.add_argument("--images", required=True, type=existing_file, help="index with labels")
    parser.add_argument("--encoding", required=True, choices=ENCODINGS)
    parser.add_argument("--classes", required=True, type=class_set_name)
    parser.add_argument(
        "--prediction",
        required=True,
        action="append",
        nargs=2,
        metavar=("NAME", "FOLDER"),
        help="a variant and its predicted label maps; once per column",
    )
    parser.add_argument(
        "--scores",
        action="append",
        default=[],
        nargs=2,
        metavar=("NAME", "FILE"),
        help="a variant and its evaluation, for the mIoU above its column",
    )
    parser.add_argument("--rows", type=positive_int, default=6, help="images to show at most")
    parser.add_argument("--output", required=True, type=Path)
    return parser


if __name__ == "__main__":
    run_step(main, parser())
