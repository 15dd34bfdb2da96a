"""Opening images: decoded whole, upright and as RGB, or refused with the file and the reason."""

import contextlib
import re
import struct
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageOps

from mada.cli import InputError

# More than 8 bits a channel, by the raw mode of the file: Pillow reads 16-bit colour as RGB and
# says nothing of the bits that it drops.
_DEEP_MODES = ("I", "F")
_DEEP_RAW_MODE = re.compile(r"[A-Za-z]+;(16|32)[BFLNS]")
_UNREADABLE = (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError)


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[Image.Image]:
    """Open an image file; whatever goes wrong with it inside the block is laid to the file.

    Raises
    ------
    InputError
        If the file is missing, truncated, or not an image.
    """
    try:
        with Image.open(path) as image:
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
