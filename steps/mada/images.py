"""Images as pixels: decoded whole, upright and as RGB, or refused with the file and the reason;
and which few to show of many."""

import contextlib
import io
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mada.cli import InputError

# More than 8 bits a channel, by the raw mode of the file: Pillow reads 16-bit colour as RGB and
# says nothing of the bits that it drops.
_DEEP_MODES = ("I", "F")
_DEEP_RAW_MODE = re.compile(r"[A-Za-z]+;(16|32)[BFLNS]")
_UNREADABLE = (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError)


def evenly_spread(count: int, most: int) -> np.ndarray:
    """Places of at most ``most`` of ``count`` images, evenly spread: neighbours are often alike."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)


@contextlib.contextmanager
def opened(path: str | Path, data: bytes | None = None) -> Iterator[Image.Image]:
    """Open an image file; whatever goes wrong with it inside the block is laid to the file.

    ``data`` are the file's bytes where they do not lie at ``path`` but, say, in an archive.

    Raises
    ------
    InputError
        If the file is missing, truncated, or not an image.
    """
    try:
        with Image.open(path if data is None else io.BytesIO(data)) as image:
            yield image
    except _UNREADABLE as error:
        raise InputError(f"{path}: expected a readable image, found {error}") from error


def read_image(path: str | Path) -> Image.Image:
    """Read an image as a person sees it: upright, by its EXIF orientation, and in RGB.

    Grey values and palettes become the colours that they show.  An alpha channel is dropped: the
    colours below it stay as they are stored, however transparent.  Of several pages the first is
    read.

    Returns
    -------
    Image.Image
        Mode RGB, 8 bits a channel.

    Raises
    ------
    InputError
        If the file is missing, truncated, or not an image, or if it stores 16-bit, 32-bit or
        float values, whose range cannot be told.
    """
    with opened(path) as image:
        deep = _DEEP_RAW_MODE.search(str(image.tile))
        if deep or image.mode.startswith(_DEEP_MODES):
            found = deep[0] if deep else image.mode
            raise InputError(f"{path}: expected 8 bits a channel, found pixels stored as {found}")
        ImageOps.exif_transpose(image, in_place=True)
        image.info.pop("transparency", None)  # what alpha says is dropped with it
        return image.convert("RGB")


def first_channel(path: str | Path) -> np.ndarray:
    """Read the first channel of a PNG of several channels of 16 bits each.

    Pillow keeps the high byte alone of such values; libpng, by way of imagecodecs, keeps both.

    Returns
    -------
    np.ndarray, shape (H, W), uint16

    Raises
    ------
    InputError
        If the file is missing, truncated, or of another kind.
    """
    import imagecodecs  # 0.2 s, which only readers of such files should wait for

    try:
        values = imagecodecs.png_decode(Path(path).read_bytes())
    except (OSError, ValueError, imagecodecs.PngError) as error:
        raise InputError(f"{path}: expected a readable PNG, found {error}") from error
    if values.ndim != 3 or values.dtype != np.uint16:
        raise InputError(
            f"{path}: expected a PNG of several channels of 16 bits, "
            f"found {values.dtype} of shape {values.shape}"
        )
    return values[..., 0]
