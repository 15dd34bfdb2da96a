"""What closes the view: the sky, and hills, a forest or a skyline at the horizon."""

import math

import numpy as np
from PIL import Image

from mada.streets.appearance import Weather
from mada.streets.canvas import FAR, SUPERSAMPLING, Canvas, Face
from mada.streets.chance import between, pick, smooth_noise
from mada.streets.colours import jitter
from mada.streets.street import Street


def draw_sky(canvas: Canvas, weather: Weather):
    """Fill the image with a gradient and clouds."""
    rng, h, w = canvas.rng, canvas.height // SUPERSAMPLING, canvas.width // SUPERSAMPLING
    height = np.clip(np.arange(h) / max(1, canvas.horizon / SUPERSAMPLING), 0, 1)[:, None, None]
    top, low = (np.array(jitter(rng, c, 6)) for c in (weather.sky_top, weather.sky_low))
    sky = top * (1 - height) + low * height
    noise = smooth_noise(rng, (h, w), w / 6) + 0.5 * smooth_noise(rng, (h, w), w / 16)
    cover = np.clip(noise * 0.6 + 2 * between(rng, weather.clouds) - 0.9, 0, 1)[..., None]
    cloud = 0.35 * top + 0.65 * np.array([238, 238, 238]) * (low.mean() / 215)
    sky = sky * (1 - 0.7 * cover) + cloud * 0.7 * cover
    picture = Image.fromarray(np.clip(sky, 0, 255).astype(np.uint8))
    canvas.image.paste(picture.resize(canvas.image.size, Image.Resampling.BILINEAR))


def draw_backdrop(street: Street):
    """Close the view at the horizon: hills, a forest's edge or a skyline."""
    canvas, rng, z = street.canvas, street.rng, FAR - 5
    kind, reach = pick(rng, street.scene.backdrop), 110.0
    centre = -canvas.curve * z * z
    if kind == "skyline":
        x = centre - reach
        colour = pick(rng, street.palette.facades)
        while x < centre + reach:
            width = rng.uniform(5, 18)
            face = Face(canvas, x, z)
            face.rectangle(0, -2, width, rng.uniform(6, 30), jitter(rng, colour, 18), "building")
            x += width * rng.uniform(0.75, 1.1)
        return
    name, colours = {
        "forest": ("vegetation", street.palette.foliage),
        "hills": ("terrain", street.palette.terrain),
    }[kind]
    for layer in range(2):
        colour = jitter(rng, pick(rng, colours), 8)
        height = rng.uniform(5, 11) if kind == "forest" else rng.uniform(6, 24) / (layer + 1)
        waves = rng.uniform((0.015, 0), (0.07, math.tau), (4, 2))
        step = 2 if kind == "forest" else 5
        outline = [(centre - reach, -2)]
        for x in np.arange(centre - reach, centre + reach, step):
            y = height * (1 + 0.25 * sum(math.sin(x * f + p) for f, p in waves))
            outline.append((x, y + (rng.normal(0, 0.8) if kind == "forest" else 0)))
        outline.append((centre + reach, -2))
        Face(canvas, 0, z).polygon(outline, colour, name)
