"""An image and its label map that the same polygons are drawn into, seen in perspective.

World coordinates are metres: x to the right, y up from the road, z away from the camera, which
stands over x = z = 0.  Pixels are those of the enlarged image.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from cityscapesscripts.helpers.labels import name2label
from PIL import Image, ImageDraw

from mada.streets.appearance import Weather
from mada.streets.chance import between, pick
from mada.streets.colours import Colour, scaled

SUPERSAMPLING = 2  # image and label are drawn this much larger, then reduced
NEAR, FAR = 1.6, 150.0  # metres: nothing is drawn closer; the ground ends at the far distance


class Canvas:
    """An image and its label map, both drawn by the same polygons in world coordinates."""

    def __init__(self, width: int, height: int, rng: np.random.Generator, weather: Weather):
        size = (width * SUPERSAMPLING, height * SUPERSAMPLING)
        self.rng, self.width, self.height = rng, *size
        self.image = Image.new("RGB", size)
        self.label = Image.new("L", size, name2label["sky"].id)
        self.colour_pen = ImageDraw.Draw(self.image, "RGBA")
        self.label_pen = ImageDraw.Draw(self.label)
        self.focal = size[0] * rng.uniform(0.85, 1.1)
        self.camera_height = rng.uniform(1.3, 1.75)
        self.vanishing_x = size[0] * rng.uniform(0.36, 0.64)
        self.horizon = size[1] * rng.uniform(0.36, 0.5)
        self.curve = rng.normal(0, 0.0016)  # 1/m: half the curvature of the road
        self.shadow = between(rng, weather.shadow)
        self.sun = pick(rng, (-1, 1))  # the side the sun stands on
        self.haze = between(rng, weather.haze)
        self.haze_colour = weather.sky_low
        self.glass = scaled(weather.sky_low, 0.45)
        self.lit = 0.3 if weather.gain[1] < 0.8 else 0.03  # share of lit windows

    def project(self, x: float, y: float, z: float) -> tuple[float, float]:
        """Return where a point is seen, in pixels of the enlarged image."""
        z = max(z, NEAR)
        return (
            self.vanishing_x + self.focal * (x / z + self.curve * z),
            self.horizon + self.focal * (self.camera_height - y) / z,
        )

    def pixels(self, metres: float, z: float) -> float:
        """Return the size of a length seen at a distance, in pixels of the enlarged image."""
        return self.focal * metres / max(z, NEAR)

    def polygon(self, points: Sequence, colour: Colour, name: str | None, alpha: float = 1.0):
        """Fill a polygon of (x, y, z); without a class name the label map stays as it is."""
        outline = [self.project(*point) for point in points]
        us, vs = [u for u, _ in outline], [v for _, v in outline]
        if max(us) < 0 or min(us) > self.width or max(vs) < 0 or min(vs) > self.height:
            return
        clear = math.exp(-self.haze * sum(max(p[2], NEAR) for p in points) / len(points))
        fill = [
            int(c * clear + h * (1 - clear)) for c, h in zip(colour, self.haze_colour, strict=True)
        ]
        self.colour_pen.polygon(outline, fill=(*fill, int(255 * alpha)))
        if name is not None:
            self.label_pen.polygon(outline, fill=name2label[name].id)

    def ground(self, x0, x1, z0, z1, colour: Colour, name: str | None = None, alpha=1.0, y=0.0):
        """Fill a strip of the ground (or of a plane at height y); it follows the road's curve."""
        z0, z1 = max(z0, NEAR), max(z1, NEAR)
        zs = np.geomspace(z0, z1, 2 + int(6 * math.log(z1 / z0))).tolist()
        for b, a in itertools.pairwise(reversed(zs)):
            corners = ((x0, y, a), (x1, y, a), (x1, y, b), (x0, y, b))
            self.polygon(corners, colour, name, alpha)

    def shade(self, x0, x1, z0, z1, strength: float = 1.0):
        """Darken the ground under a thing, and to the side away from the sun."""
        reach = 0.9 * self.shadow * strength * (x1 - x0 + 0.5)
        left, right = (x0, x1 + reach) if self.sun < 0 else (x0 - reach, x1)
        alpha = min(0.7, self.shadow * strength + 0.15)
        corners = ((left, 0, z0), (right, 0, z0), (right, 0, z1), (left, 0, z1))
        self.polygon(corners, (12, 12, 20), None, alpha)

    def wall(self, x: float, z: float, light: float = 1.0) -> "Face":
        """Return a plane that runs down the road, its side to the camera lit by sun or sky."""
        in_shade = (x > 0) == (self.sun > 0)  # it turns its back on the sun
        light *= 1.0 + 0.32 * self.shadow * (-1 if in_shade else 1) - 0.06
        return Face(self, x, z, "z", light=light)

    def reduced(self) -> tuple[Image.Image, np.ndarray]:
        """Return the image and its label map (H, W), uint8, label ids, at their final size.

        Colours are averaged; of the labels one is taken, for ids have no average.
        """
        step, half = SUPERSAMPLING, SUPERSAMPLING // 2
        label = np.ascontiguousarray(np.asarray(self.label)[half::step, half::step])
        return self.image.reduce(step), label


@dataclass
class Face:
    """An upright plane to draw on: s metres along it, t metres above the road.

    along = "x" faces the camera, along = "z" runs down the road; stretch < 1 turns a flat figure
    away from the camera.
    """

    canvas: Canvas
    x: float
    z: float
    along: str = "x"
    stretch: float = 1.0
    light: float = 1.0

    def polygon(self, points: Iterable, colour: Colour, name: str | None = None, alpha=1.0):
        """Fill a polygon of (s, t)."""
        if self.along == "x":
            corners = [(self.x + s * self.stretch, t, self.z) for s, t in points]
        else:
            corners = [(self.x, t, self.z + s * self.stretch) for s, t in points]
        self.canvas.polygon(corners, scaled(colour, self.light), name, alpha)

    def rectangle(self, s0, t0, s1, t1, colour: Colour, name: str | None = None, alpha=1.0):
        """Fill a rectangle from (s0, t0) to (s1, t1)."""
        self.polygon(((s0, t0), (s1, t0), (s1, t1), (s0, t1)), colour, name, alpha)

    def ellipse(self, s, t, a, b, colour: Colour, name: str | None = None, alpha=1.0):
        """Fill an ellipse with half axes a along and b up."""
        angles = [math.tau * i / 14 for i in range(14)]
        outline = [(s + a * math.cos(w), t + b * math.sin(w)) for w in angles]
        self.polygon(outline, colour, name, alpha)

    def line(self, s0, t0, s1, t1, width, colour: Colour, name: str | None = None):
        """Draw a bar from (s0, t0) to (s1, t1), width in metres."""
        length = math.hypot(s1 - s0, t1 - t0) or 1.0
        ds, dt = -(t1 - t0) / length * width / 2, (s1 - s0) / length * width / 2
        outline = ((s0 - ds, t0 - dt), (s1 - ds, t1 - dt), (s1 + ds, t1 + dt), (s0 + ds, t0 + dt))
        self.polygon(outline, colour, name)
