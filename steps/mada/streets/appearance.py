"""Light, and what a renderer or a camera makes of it: haze, colour cast, blur, noise."""

from dataclasses import dataclass

import numpy as np
from cityscapesscripts.helpers.labels import name2label
from PIL import Image, ImageFilter

from mada.streets.chance import Range, between, smooth_noise
from mada.streets.colours import Colour


@dataclass(frozen=True)
class Weather:
    """One state of light; ranges are drawn from uniformly, per image."""

    sky_top: Colour
    sky_low: Colour
    clouds: Range  # 0 clear - 1 closed
    gain: Range  # brightness of everything
    warmth: Range  # > 0 yellow light, < 0 blue light
    shadow: Range  # opacity of cast shadows
    haze: Range  # extinction per metre


WEATHERS = {
    "sunny": Weather((70, 120, 195), (176, 204, 230), (0.0, 0.5), (0.98, 1.15), (0.0, 0.08),
                     (0.35, 0.55), (0.0005, 0.002)),
    "overcast": Weather((168, 174, 182), (206, 208, 210), (0.5, 1.0), (0.8, 0.98), (-0.05, 0.02),
                        (0.1, 0.22), (0.002, 0.006)),
    "haze": Weather((184, 190, 194), (214, 214, 212), (0.2, 0.7), (0.88, 1.05), (-0.03, 0.06),
                    (0.1, 0.25), (0.009, 0.02)),
    "dusk": Weather((70, 82, 122), (216, 160, 122), (0.1, 0.7), (0.48, 0.66), (-0.1, 0.12),
                    (0.15, 0.3), (0.002, 0.006)),
}  # fmt: skip


@dataclass(frozen=True)
class Appearance:
    """What renderer or camera make of a scene; ranges are drawn from uniformly, per image."""

    weathers: dict[str, float]
    saturation: Range
    contrast: Range
    lift: Range  # added to black: stray light
    cast: tuple[Range, Range, Range]  # gain of red, green and blue
    texture: Range  # strength of surface noise
    blur: Range  # radius in pixels, at 256 pixels image width
    noise: Range  # standard deviation of the sensor's noise, in grey levels
    vignette: Range  # darkening of the corners
    hood: float  # probability that the own car is in view


APPEARANCE = {
    # A renderer: clean, sharp and colourful, plain textures, mostly fine weather.
    "source": Appearance(
        {"sunny": 0.72, "overcast": 0.15, "dusk": 0.08, "haze": 0.05}, (1.05, 1.3), (1.02, 1.18),
        (0, 6), ((0.98, 1.06), (0.97, 1.02), (0.93, 1.02)), (0.4, 0.8), (0.0, 0.35), (0.0, 2.0),
        (0.0, 0.05), 0.12,
    ),
    # A car's camera: dull northern light, greenish cast, flat contrast, soft lens, noise.
    "target": Appearance(
        {"overcast": 0.5, "sunny": 0.2, "haze": 0.16, "dusk": 0.14}, (0.5, 0.85), (0.72, 0.95),
        (6, 26), ((0.86, 0.96), (0.97, 1.06), (0.88, 1.0)), (0.9, 1.4), (0.45, 0.95), (3.0, 8.0),
        (0.08, 0.3), 0.6,
    ),
}  # fmt: skip

# Surface noise by class: amplitude of fine grain and of blotches, relative to the colour.
TEXTURES = {
    "vegetation": (0.17, 0.17), "terrain": (0.11, 0.1), "road": (0.04, 0.025),
    "sidewalk": (0.05, 0.03), "building": (0.03, 0.03), "wall": (0.07, 0.09),
    "fence": (0.06, 0.04), "rail track": (0.14, 0.08), "bridge": (0.04, 0.08), "sky": (0.0, 0.0),
}  # fmt: skip
OTHER_TEXTURE = (0.025, 0.03)


def class_textures() -> np.ndarray:
    """Return the amplitudes of fine and coarse surface noise by label id, (256, 2) float32."""
    table = np.full((256, 2), OTHER_TEXTURE, np.float32)
    for name, amplitudes in TEXTURES.items():
        table[name2label[name].id] = amplitudes
    return table


def expose(
    drawing: Image.Image,
    label: np.ndarray,
    weather: Weather,
    look: Appearance,
    rng: np.random.Generator,
) -> Image.Image:
    """Return the picture that the domain's renderer or camera takes of a drawing.

    Parameters
    ----------
    drawing : Image.Image, W x H pixels, RGB
    label : np.ndarray, shape (H, W), uint8
        Cityscapes label ids; they decide the surface noise.
    weather, look, rng
        The light, the domain's appearance, and what draws from their ranges.
    """
    shape = label.shape
    pixels = np.asarray(drawing, dtype=np.float32)
    amplitude = class_textures()[label] * between(rng, look.texture)
    fine = rng.standard_normal(shape, dtype=np.float32)
    coarse = smooth_noise(rng, shape, shape[1] / 42)
    grain = amplitude[..., 0] * fine + amplitude[..., 1] * coarse
    pixels = pixels * (1 + np.clip(grain, -0.6, 0.6))[..., None]
    warmth = between(rng, weather.warmth)
    light = np.array([1 + warmth, 1.0, 1 - warmth]) * between(rng, weather.gain)
    pixels = pixels * (light * [between(rng, limits) for limits in look.cast]).astype(np.float32)
    grey = pixels @ np.float32([0.299, 0.587, 0.114])
    pixels = grey[..., None] + np.float32(between(rng, look.saturation)) * (
        pixels - grey[..., None]
    )
    contrast, middle = between(rng, look.contrast), 118 * light.mean()
    offset = middle * (1 - contrast) + between(rng, look.lift)
    pixels = pixels * np.float32(contrast) + np.float32(offset)
    rows = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, shape[1], dtype=np.float32)[None]
    pixels *= (1 - between(rng, look.vignette) * (rows**2 + columns**2) / 2)[..., None]
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    image = image.filter(ImageFilter.GaussianBlur(between(rng, look.blur) * shape[1] / 256))
    pixels = np.asarray(image, dtype=np.float32)
    pixels = pixels + np.float32(between(rng, look.noise)) * rng.standard_normal(
        pixels.shape, dtype=np.float32
    )
    return Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))
