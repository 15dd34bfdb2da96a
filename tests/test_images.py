"""Images come upright and in RGB whatever they are stored as, or are refused with the reason."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mada.cli import InputError
from mada.images import first_channel, read_image
from tiny import deep_png

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def pixels(path: Path) -> list:
    image = read_image(path)
    assert image.mode == "RGB"
    return np.asarray(image).tolist()


def lossless(path: Path, colours: list[list[tuple]], orientation: int) -> Path:
    """A PNG of these colours with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.uint8(colours)).save(path, exif=exif)
    return path


# What a camera stores, held so that rows and columns take their places by the EXIF standard.
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, [[RED, GREEN, BLUE]]),
        (2, [[BLUE, GREEN, RED]]),  # mirrored
        (3, [[BLUE, GREEN, RED]]),  # upside down: half a turn
        (6, [[RED], [GREEN], [BLUE]]),  # a quarter turn clockwise sets it upright
        (8, [[BLUE], [GREEN], [RED]]),  # a quarter turn the other way
    ],
)
def test_exif_orientation_is_applied(tmp_path, orientation, upright):
    path = lossless(tmp_path / "photo.png", [[RED, GREEN, BLUE]], orientation)
    assert pixels(path) == [[list(colour) for colour in row] for row in upright]


def test_rotated_jpeg_has_width_and_height_swapped_and_its_corner_moved(tmp_path):
    stored = np.zeros((16, 48, 3), np.uint8)
    stored[:8, :8] = 255  # top left as stored, top right once turned clockwise
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(tmp_path / "photo.jpg", exif=exif, quality=95)
    image = read_image(tmp_path / "photo.jpg")
    assert image.size == (16, 48)
    assert min(image.getpixel((12, 4))) > 250
    assert max(image.getpixel((4, 4))) < 5


def test_grey_values_become_equal_channels(tmp_path):
    Image.fromarray(np.uint8([[0, 77, 255]])).save(tmp_path / "grey.png")
    assert pixels(tmp_path / "grey.png") == [[[0] * 3, [77] * 3, [255] * 3]]


def test_black_and_white_become_the_ends_of_the_range(tmp_path):
    Image.fromarray(np.uint8([[0, 255]])).convert("1").save(tmp_path / "bits.png")
    assert pixels(tmp_path / "bits.png") == [[[0] * 3, [255] * 3]]


def test_alpha_is_dropped_and_colours_stay(tmp_path):
    colours = np.uint8([[(*RED, 0), (*GREEN, 128), (*BLUE, 255)]])
    Image.fromarray(colours).save(tmp_path / "alpha.png")
    assert pixels(tmp_path / "alpha.png") == [[list(RED), list(GREEN), list(BLUE)]]
    Image.fromarray(np.uint8([[(40, 0), (90, 255)]]), mode="LA").save(tmp_path / "grey.png")
    assert pixels(tmp_path / "grey.png") == [[[40] * 3, [90] * 3]]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("transparency", [None, 1, bytes([0, 128])])
def test_palette_is_looked_up(tmp_path, transparency):
    image = Image.fromarray(np.uint8([[1, 0]]), mode="P")
    image.putpalette([*RED, *BLUE])
    more = {} if transparency is None else {"transparency": transparency}
    image.save(tmp_path / "palette.png", **more)
    assert pixels(tmp_path / "palette.png") == [[list(BLUE), list(RED)]]


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("deep.png", np.uint16),
        ("deep.tif", np.uint16),
        ("deep.tif", np.int32),
        ("deep.tif", np.float32),
    ],
)
def test_grey_values_of_more_than_8_bits_are_refused(tmp_path, name, dtype):
    Image.fromarray(np.ones((2, 3), dtype)).save(tmp_path / name)
    with pytest.raises(InputError, match=rf"{name}: expected 8 bits a channel, found .*(16|32)"):
        read_image(tmp_path / name)


def test_colour_of_16_bits_is_refused(tmp_path):
    (tmp_path / "deep.png").write_bytes(deep_png(np.uint16([[[300, 2000, 60000]]])))
    with pytest.raises(InputError, match=r"deep\.png: .*found pixels stored as RGB;16B"):
        read_image(tmp_path / "deep.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_truncated_image_is_named(tmp_path, suffix):
    values = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    path = tmp_path / f"cut{suffix}"
    Image.fromarray(values).save(path)
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=rf"cut\{suffix}: expected a readable image"):
            read_image(path)


def test_missing_image_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.png: expected a readable image"):
        read_image(tmp_path / "gone.png")


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_first_of_several_16_bit_channels_is_read_with_all_its_bits(rng, tmp_path, channels):
    values = rng.integers(0, 65536, (7, 5, channels)).astype(np.uint16)
    values[0, :3, 0] = 3, 255, 256  # a low byte alone, its largest value, a high byte alone
    (tmp_path / "deep.png").write_bytes(deep_png(values))
    read = first_channel(tmp_path / "deep.png")
    assert read.dtype == np.uint16
    assert read.tolist() == values[..., 0].tolist()


def test_first_channel_of_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "other.png"
    for values in (np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint16)):
        Image.fromarray(values).save(path)
        with pytest.raises(InputError, match=r"other\.png: .* several channels of 16 bits"):
            first_channel(path)
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(path, format="JPEG")
    with pytest.raises(InputError, match=r"other\.png: expected a readable PNG"):
        first_channel(path)


def test_deep_png_cut_off_in_its_pixels_or_missing_is_named(rng, tmp_path):
    path = tmp_path / "cut.png"
    whole = deep_png(rng.integers(0, 65536, (24, 32, 3)).astype(np.uint16))
    for length in (0, 7, 30, len(whole) // 2, whole.index(b"IEND") - 8):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut\.png: expected a readable PNG"):
            first_channel(path)
    path.unlink()
    with pytest.raises(InputError, match=r"cut\.png: expected a readable PNG"):
        first_channel(path)
