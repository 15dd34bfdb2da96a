"""Label maps as pictures of ids or colours, taken to training ids pixel by pixel."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from PIL import Image

from mada.annotation.classes import Colour
from mada.cli import InputError
from mada.images import opened
from mada.labels import UNKNOWN

SHOWN = 5  # undefined values named in an error
_END = b"IEND"  # name of a PNG's last part
Size = tuple[int, int]  # (width, height)


def _picture(data: bytes, where: str, size: Size) -> Image.Image:
    """Decode a PNG that must measure as its image does.

    Raises
    ------
    InputError
        If it is no PNG, cannot be decoded, measures otherwise or has transparent pixels.
    """
    with opened(where, data) as image:
        if image.format != "PNG":
            raise InputError(f"{where}: expected a PNG, found {image.format}")
        if image.size != size:  # told from the header, before anything is unpacked
            raise InputError(
                f"{where}: expected {size[0]}x{size[1]} pixels like its image, "
                f"found {image.width}x{image.height}"
            )
        image.load()
        if _END not in data:  # Pillow is content with all pixels
            raise InputError(f"{where}: expected a whole PNG, found its end missing")
        if image.mode not in ("L", "P", "RGB", "LA", "RGBA") or _few_grey_bits(data):
            raise InputError(
                f"{where}: expected 8 bits a channel, ids or colours, found mode {image.mode} of "
                f"{data[24]} bits"
            )
        # A palette or a single colour may be transparent too.
        if (
            image.has_transparency_data
            and image.convert("RGBA").getchannel("A").getextrema()[0] < 255
        ):
            raise InputError(f"{where}: expected opaque pixels, found transparent ones")
        return image.convert(image.mode.removesuffix("A"))


def _few_grey_bits(data: bytes) -> bool:
    """Whether a PNG stores grey values of under 8 bits, which Pillow stretches to 0 … 255."""
    return data[25] == 0 and data[24] < 8


def _undefined(where: str, what: str, values: list, pixels: int) -> InputError:
    shown = ", ".join(map(str, values[:SHOWN])) + (", …" if len(values) > SHOWN else "")
    return InputError(f"{where}: expected {what}, found {shown} on {pixels} pixels")


def from_ids(values: np.ndarray, table: np.ndarray, where: str, what: str) -> np.ndarray:
    """Take ids (H, W) uint8 to training ids (H, W) uint8; InputError if ``table`` lacks one."""
    mapped = table[values]
    unknown = mapped == UNKNOWN
    if unknown.any():
        raise _undefined(where, what, np.unique(values[unknown]).tolist(), int(unknown.sum()))
    return mapped.astype(np.uint8)


def from_colours(
    pixels: np.ndarray,
    table: Mapping[Colour, int],
    where: str,
    what: str,
    strangers: Mapping[Colour, str] = MappingProxyType({}),
) -> np.ndarray:
    """Take colours (H, W, 3) uint8 to training ids (H, W) uint8.

    Raises
    ------
    InputError
        If a colour is not in ``table``; ``strangers`` are the names that some of those have.
    """
    packed = _packed(pixels.astype(np.uint32))
    known = np.array([_packed(np.uint32(colour)) for colour in table], np.uint32)
    order = np.argsort(known)
    place = np.searchsorted(known[order], packed).clip(max=len(known) - 1)
    unknown = known[order][place] != packed
    if unknown.any():
        colours = [tuple(colour) for colour in np.unique(pixels[unknown], axis=0).tolist()]
        named = [f"{c} of label {strangers[c]!r}" if c in strangers else c for c in colours]
        raise _undefined(where, what, named, int(unknown.sum()))
    return np.array(list(table.values()), np.uint8)[order][place]


def _packed(colours: np.ndarray) -> np.ndarray:
    """Red, green and blue on the last axis as one number."""
    return (colours[..., 0] << 16) | (colours[..., 1] << 8) | colours[..., 2]


def read_ids_or_colours(
    data: bytes, where: str, size: Size, ids: np.ndarray, colours: Mapping[Colour, int]
) -> np.ndarray:
    """Read a plain label map: ids, or colours of the class table.

    A palette is of use both ways: its indices may be the ids, or its colours the classes'.  Where
    both could be meant and differ, the file is refused.

    Parameters
    ----------
    data : bytes
        A PNG.
    where : str
        The file as messages call it.
    size : (width, height)
    ids : np.ndarray, shape (256,), int16
        Training id of each label id.
    colours : mapping
        Training id of each colour.

    Returns
    -------
    np.ndarray, shape (H, W), uint8
        Training ids and ``VOID``.

    Raises
    ------
    InputError
        If the file cannot be read, does not measure as it must, holds an id or colour that is
        undefined, or could be meant in two ways.
    """
    image = _picture(data, where, size)
    values = np.asarray(image)
    if image.mode == "L":
        return from_ids(values, ids, where, "label ids of classes.csv")
    shown = np.asarray(image.convert("RGB"))
    as_colours, colour_error = _tried(from_colours, shown, colours, where, "colours of classes.csv")
    if image.mode == "RGB":
        if colour_error:
            raise colour_error
        return as_colours
    as_ids, id_error = _tried(from_ids, values, ids, where, "label ids of classes.csv")
    if id_error and colour_error:
        raise id_error
    if not id_error and not colour_error and (as_ids != as_colours).any():
        raise InputError(
            f"{where}: expected palette values and colours of one class, found that they differ"
        )
    return as_colours if id_error else as_ids


def _tried(read, *arguments) -> tuple[np.ndarray | None, InputError | None]:
    try:
        return read(*arguments), None
    except InputError as error:
        return None, error


def read_colours(
    data: bytes,
    where: str,
    size: Size,
    order: list[int],
    colours: Mapping[Colour, int],
    strangers: Mapping[Colour, str],
) -> np.ndarray:
    """Read a mask in the colours of a label map of a tool.

    Parameters
    ----------
    order : list of int
        Training ids in the order of the label map, which masks of one channel hold places of.
    colours : mapping
        Training id of each colour.
    strangers : mapping
        Name of each declared colour that stands for no class.

    Returns and raises as ``read_ids_or_colours``.
    """
    image = _picture(data, where, size)
    if image.mode == "L":
        table = np.full(256, UNKNOWN, np.int16)
        table[: len(order)] = order
        return from_ids(np.asarray(image), table, where, "places in its label map")
    shown = np.asarray(image.convert("RGB"))
    return from_colours(shown, colours, where, "declared colours of classes", strangers)


def read_ids(data: bytes, where: str, size: Size, ids: np.ndarray, what: str) -> np.ndarray:
    """Read a label map of ids whose palette, if any, is for show; as ``read_ids_or_colours``."""
    image = _picture(data, where, size)
    if image.mode == "RGB":
        raise InputError(f"{where}: expected {what} in one channel, found colours")
    return from_ids(np.asarray(image), ids, where, what)


def read_stroke(data: bytes, where: str, size: Size) -> np.ndarray:
    """Read a mask of one class, painted where it is not black: bool (H, W)."""
    image = _picture(data, where, size)
    if image.mode != "L":
        raise InputError(f"{where}: expected grey values, found mode {image.mode}")
    return np.asarray(image) > 0
