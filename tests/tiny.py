"""A tiny two-domain data set of random blobs, and the ways in which tests run steps on it."""

import importlib
import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from cityscapesscripts.helpers.labels import labels as CITYSCAPES_LABELS
from PIL import Image

from mada import cli
from mada.layouts import list_items

STEPS = Path(__file__).parents[1] / "steps"
_COLOURS = {label.id: label.color for label in CITYSCAPES_LABELS if label.id >= 0}
_CLASSES = [label.id for label in CITYSCAPES_LABELS if label.id >= 0 and not label.ignoreInEval]
_IDS = np.array([*_CLASSES, 0, 4])  # and two that do not train: unlabelled, static
_BLOBS = 18  # so that each image lacks two or three of the ids, and a few images hold them all


def example(start: str) -> str:
    """The Python of the README that has a line which begins so."""
    texts = (STEPS.parent / "README.md").read_text().split("```python\n")[1:]
    codes = [text.split("```")[0] for text in texts]
    return next(code for code in codes if any(li.startswith(start) for li in code.splitlines()))


def make_tiny(
    root: Path,
    size: tuple[int, int] = (96, 64),
    source: int = 12,
    train: int = 12,
    tune: int = 4,
    val: int = 4,
    seed: int = 0,
) -> tuple[Path, Path]:
    """Write a source in GTA5's layout and a target in Cityscapes'; return their roots.

    Parameters
    ----------
    root : Path
        Folder to fill.
    size : (width, height)
        Of every image, in pixels.
    source, train, tune, val : int
        Number of source images and of target images in each split.
    """
    gta5, cityscapes = root / "gta5", root / "cityscapes"
    rng = np.random.default_rng(seed)
    for number in range(source):
        name = f"{number + 1:05d}.png"
        _write(rng, size, 1.0, gta5 / "images" / name, gta5 / "labels" / name)
    for split, count in (("train", train), ("tune", tune), ("val", val)):
        for number in range(count):
            city = ("northtown", "southtown")[number % 2]
            name = f"{city}_{number:06d}_000019"
            image = cityscapes / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png"
            label = cityscapes / "gtFine" / split / city / f"{name}_gtFine_labelIds.png"
            _write(rng, size, 0.6, image, label)  # the target is darker
    return gta5, cityscapes


def _write(rng: np.random.Generator, size: tuple[int, int], light: float, image: Path, label: Path):
    """Write one image whose blobs have their classes' colours, and its label ids."""
    width, height = size
    ids = rng.permutation(_IDS)[:_BLOBS]
    centres = rng.uniform(0, (width, height), (_BLOBS, 2))
    y, x = np.mgrid[:height, :width]
    closest = np.hypot(x[..., None] - centres[:, 0], y[..., None] - centres[:, 1]).argmin(axis=2)
    colours = np.array([_COLOURS[int(value)] for value in ids])[closest]
    pixels = colours * light + rng.normal(0, 8, (height, width, 3))
    for path, values in ((image, pixels.clip(0, 255)), (label, ids[closest])):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values.astype(np.uint8)).save(path)


def png_by_hand(width: int, height: int, depth: int, colour_type: int, rows: list[bytes]) -> bytes:
    """A PNG of rows as its standard packs them, made without any image library."""

    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))  # 0: no filter
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*parts) for parts in chunks)


def deep_png(values: np.ndarray) -> bytes:
    """A PNG of 16-bit values (H, W, C), as SYNTHIA's labels are, made by hand."""
    height, width, channels = values.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = [row.astype(">u2").tobytes() for row in values]
    return png_by_hand(width, height, 16, colour_type, rows)


def index_of(layout: str, root: Path, split: str = "train", labels: bool = False) -> pd.DataFrame:
    """Return what ``index_dataset`` writes for a split, without checking any file."""
    rows = []
    for item in list_items(layout, root, split):
        with Image.open(item.image) as image:
            width, height = image.size
        row = {"id": item.id, "image": str(item.image)}
        row |= {"label": str(item.label)} if labels else {}
        row |= {"width": width, "height": height, "sequence": item.sequence, "frame": item.frame}
        rows.append(row)
    return pd.DataFrame(rows)


class Code:
    """Pickles as a call that makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def command(step: str, *arguments: object) -> list[str]:
    """Command line of a step."""
    return [sys.executable, str(STEPS / f"{step}.py"), *map(str, arguments)]


def run_step(step: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run a step as a program of its own and wait for its end."""
    return subprocess.run(command(step, *arguments), check=False, capture_output=True, text=True)


def run_here(step: str, *arguments: object) -> subprocess.CompletedProcess:
    """As ``run_step``, but in this process: for light steps, whose start would take the longest."""
    module = importlib.import_module(step)
    out, error, status = io.StringIO(), io.StringIO(), 0
    words = command(step, *arguments)
    with mock.patch.object(sys, "argv", words[1:]), redirect_stdout(out), redirect_stderr(error):
        try:
            cli.run_step(module.main, module.parser())
        except SystemExit as end:
            status = end.code
    return subprocess.CompletedProcess(words, status, out.getvalue(), error.getvalue())


@contextmanager
def figures_of(step: str) -> Iterator[list]:
    """The figures that a step would save here, to look at what is drawn in them."""
    module, figures = importlib.import_module(step), []

    def keep(figure, path: Path) -> None:
        module.plt.close(figure)
        figures.append(figure)

    with mock.patch.object(module, "save_figure", keep):
        yield figures


def error_lines(result: subprocess.CompletedProcess) -> list[str]:
    """Return the lines by which a step refused its input, having checked that it did refuse."""
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr, result.stderr
    return [line for line in result.stderr.splitlines() if line.startswith("error: ")]
