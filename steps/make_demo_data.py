"""Render small labelled street scenes for two domains, in the official folder layouts.

The source plays the part of a rendered game (GTA5's layout), the target that of a real camera
in another country (Cityscapes' layout).  Both are mixtures of scene types; they differ in
appearance (APPEARANCE, PALETTES) and in how often each scene type occurs (MIXTURES).

Inputs
    none: everything follows from the arguments, and the same arguments give the same bytes.

Outputs, under --output
    source/images/00001.png, source/labels/00001.png
        RGB; paletted PNG of Cityscapes label ids (not train ids)
    target/leftImg8bit/{train,tune,val}/<city>/<city>_000000_000019_leftImg8bit.png
    target/gtFine/{train,tune,val}/<city>/<city>_000000_000019_gtFine_labelIds.png
        RGB; 8-bit PNG of Cityscapes label ids
    scenes.csv
        domain, split, id, scene: what each image shows; for looking at, no step reads it
    dataset.json
        settings, number of files, and a sha256 over them; written last

Units: world coordinates are metres, x to the right, y up from the road, z away from the camera,
which stands over x = z = 0; image sizes are pixels; colours are RGB in 0-255.
"""

from __future__ import annotations

import argparse
import csv
import functools
import hashlib
import itertools
import json
import math
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from cityscapesscripts.helpers.labels import labels as cityscapes_labels
from cityscapesscripts.helpers.labels import name2label
from PIL import Image, ImageDraw, ImageFilter
from tqdm import tqdm

Colour = tuple[float, float, float]
Range = tuple[float, float]

SUPERSAMPLING = 2  # image and label are drawn this much larger, then reduced
NEAR, FAR = 1.6, 150.0  # metres: nothing is drawn closer; the ground ends at the far distance
CITIES = {  # no city is in two splits, as in Cityscapes
    "train": ("alder", "birch", "cedar", "elm"),
    "tune": ("hazel", "juniper"),
    "val": ("maple", "rowan"),
}
SPLITS = {"source": ("train",), "target": ("train", "tune", "val")}


# ---------------------------------------------------------------------------------------------
# What there is: scene types, mixtures, colours and appearance
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SceneType:
    """How one kind of street is laid out; ranges are drawn from uniformly, per image."""

    lanes: tuple[int, int]  # per direction
    lane_width: float
    pavement: Range  # width of the sidewalk beside the kerb; 0 = none
    verge: Range  # width of the strip of grass or earth beside that
    setback: Range  # from there to the buildings
    ground: str  # class of everything not laid out otherwise
    buildings: tuple[str, ...]  # styles: tower, terrace, house, shed
    built: float  # probability that a plot is built on
    plot: Range  # length of a plot along the road
    floors: tuple[int, int]
    backdrop: tuple[str, ...]  # what closes the view: skyline, forest, hills
    boundaries: dict[str, float]  # class of the line along the plots: probability per side
    boundary_height: Range
    trees: float  # per side and 10 m
    lamps: Range  # metres from one street lamp to the next
    things: dict[str, float]  # mean number per image (Poisson)
    junction: float = 0.0  # probability of a side street
    median: float = 0.0  # probability of a green strip between the directions
    parking: float = 0.0  # probability of a row of parked cars, per side
    railway: float = 0.0  # probability of a railway line beside the road
    overpass: float = 0.0  # probability of a bridge across the road
    cobbles: float = 0.0  # probability of a cobbled road


SCENES = {
    "highway": SceneType(
        (2, 4), 3.7, (0, 0), (2, 7), (14, 30), "terrain", ("shed", "tower"), 0.15, (14, 30),
        (2, 6), ("hills", "forest", "skyline"),
        {"guard rail": 0.45, "wall": 0.3, "fence": 0.12}, (0.8, 3.2), 0.3, (28, 45),
        {"car": 5.5, "truck": 1.0, "bus": 0.2, "motorcyclist": 0.3, "gantry": 0.55, "sign": 0.8},
        median=0.6, overpass=0.12,
    ),
    "uptown": SceneType(
        (1, 3), 3.4, (3, 5.5), (0, 0), (0, 0.4), "sidewalk", ("tower",), 0.95, (11, 24),
        (7, 22), ("skyline",), {}, (1, 1), 0.3, (16, 26),
        {"car": 4.0, "truck": 0.25, "bus": 0.4, "tram": 0.1, "person": 7.0, "cyclist": 0.35,
         "motorcyclist": 0.3, "bicycle": 0.4, "motorcycle": 0.3, "light": 2.6, "sign": 1.4,
         "clutter": 1.2},
        junction=0.55, median=0.1, parking=0.45,
    ),
    "suburb": SceneType(
        (1, 1), 3.6, (1.4, 2.2), (1, 3), (3, 7), "terrain", ("house",), 0.85, (11, 18),
        (1, 2), ("forest", "hills"), {"fence": 0.45, "vegetation": 0.2, "wall": 0.12},
        (0.8, 1.7), 0.55, (24, 36),
        {"car": 2.0, "truck": 0.2, "bus": 0.15, "person": 1.6, "cyclist": 0.4,
         "motorcyclist": 0.15, "bicycle": 0.3, "motorcycle": 0.2, "light": 0.25, "sign": 1.0,
         "clutter": 0.8},
        junction=0.35, parking=0.5,
    ),
    "industrial": SceneType(
        (1, 2), 3.8, (1.5, 2.5), (0.5, 3), (4, 10), "terrain", ("shed",), 0.7, (18, 34),
        (2, 3), ("skyline", "hills"), {"fence": 0.5, "wall": 0.3}, (1.6, 2.8), 0.12, (24, 36),
        {"car": 2.0, "truck": 1.6, "bus": 0.1, "person": 0.8, "cyclist": 0.15,
         "motorcyclist": 0.15, "bicycle": 0.15, "motorcycle": 0.15, "light": 0.3, "sign": 1.2,
         "clutter": 2.5},
        junction=0.25, parking=0.25, railway=0.6, overpass=0.05,
    ),
    "rural": SceneType(
        (1, 1), 3.1, (0, 0), (1, 3), (5, 16), "terrain", ("house",), 0.25, (12, 22),
        (1, 2), ("hills", "forest"), {"wall": 0.22, "fence": 0.3, "vegetation": 0.2},
        (0.8, 1.4), 0.6, (40, 70),
        {"car": 1.5, "truck": 0.35, "bus": 0.15, "person": 0.5, "cyclist": 0.5,
         "motorcyclist": 0.4, "sign": 1.0, "clutter": 0.2},
        junction=0.15, railway=0.1, cobbles=0.1,
    ),
    "boulevard": SceneType(
        (1, 2), 3.4, (3, 5), (1, 2), (0.5, 3), "sidewalk", ("terrace",), 0.95, (10, 18),
        (4, 6), ("forest", "skyline"), {"fence": 0.15, "vegetation": 0.12}, (0.9, 1.3),
        1.1, (20, 30),
        {"car": 3.0, "truck": 0.2, "bus": 0.3, "tram": 0.4, "person": 4.0, "cyclist": 1.3,
         "motorcyclist": 0.25, "bicycle": 1.0, "motorcycle": 0.25, "light": 1.3, "sign": 1.6,
         "clutter": 0.8},
        junction=0.35, median=0.35, parking=0.6,
    ),
    "oldtown": SceneType(
        (1, 1), 2.6, (1.2, 2.6), (0, 0), (0, 0.3), "sidewalk", ("terrace",), 1.0, (6, 11),
        (2, 5), ("skyline",), {}, (1, 1), 0.05, (18, 30),
        {"car": 1.3, "truck": 0.2, "person": 6.0, "cyclist": 0.9, "motorcyclist": 0.4,
         "bicycle": 1.4, "motorcycle": 0.7, "light": 0.3, "sign": 1.3, "clutter": 1.2},
        junction=0.2, parking=0.2, cobbles=0.75,
    ),
    "underpass": SceneType(
        (1, 3), 3.5, (0.8, 1.6), (0, 0), (3, 6), "terrain", ("terrace", "tower"), 0.8, (12, 22),
        (4, 9), ("skyline", "forest"), {"wall": 1.0}, (2.2, 5.0), 0.25, (18, 30),
        {"car": 3.5, "truck": 0.45, "bus": 0.3, "person": 0.4, "cyclist": 0.4,
         "motorcyclist": 0.3, "light": 0.5, "sign": 1.2},
        overpass=0.9,
    ),
}  # fmt: skip

# The game's world is an American city and its motorways; the camera drives through a European
# one.  Every target split draws from the same mixture.
MIXTURES = {
    "source": {
        "highway": 0.29, "uptown": 0.33, "suburb": 0.24, "industrial": 0.08, "rural": 0.03,
        "boulevard": 0.02, "underpass": 0.01,
    },
    "target": {
        "boulevard": 0.25, "oldtown": 0.19, "suburb": 0.16, "uptown": 0.14, "rural": 0.10,
        "industrial": 0.06, "highway": 0.05, "underpass": 0.05,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Palette:
    """The colours things are made of, before light and camera."""

    facades: tuple[Colour, ...]
    roofs: tuple[Colour, ...]
    roads: tuple[Colour, ...]
    pavements: tuple[Colour, ...]
    foliage: tuple[Colour, ...]
    terrain: tuple[Colour, ...]
    masonry: tuple[Colour, ...]
    centre_line: Colour
    tree_shapes: tuple[str, ...]


PALETTES = {
    "source": Palette(
        facades=((172, 166, 155), (206, 186, 150), (112, 138, 158), (218, 214, 206),
                 (186, 136, 106), (140, 132, 122)),
        roofs=((120, 90, 75), (95, 95, 98), (150, 110, 85)),
        roads=((112, 110, 108), (98, 97, 97), (124, 121, 116)),
        pavements=((176, 170, 160), (160, 156, 150), (188, 180, 165)),
        foliage=((62, 108, 44), (80, 122, 48), (52, 92, 50), (96, 116, 54)),
        terrain=((120, 142, 62), (172, 152, 96), (142, 134, 78), (96, 132, 56)),
        masonry=((178, 172, 160), (150, 140, 128), (190, 165, 135)),
        centre_line=(214, 176, 60),
        tree_shapes=("round", "round", "palm", "cone"),
    ),
    "target": Palette(
        facades=((138, 78, 62), (164, 100, 74), (206, 184, 128), (214, 204, 178),
                 (198, 162, 146), (136, 130, 122), (176, 184, 172)),
        roofs=((134, 66, 48), (78, 74, 78), (108, 62, 50)),
        roads=((82, 84, 88), (96, 96, 98), (70, 72, 76)),
        pavements=((138, 134, 132), (152, 144, 138), (122, 122, 124)),
        foliage=((74, 98, 48), (112, 110, 44), (142, 106, 44), (92, 88, 60), (56, 78, 46)),
        terrain=((92, 112, 62), (118, 112, 76), (80, 100, 54), (122, 104, 78)),
        masonry=((122, 112, 102), (142, 92, 74), (128, 128, 124)),
        centre_line=(214, 214, 210),
        tree_shapes=("round", "round", "cone", "sparse"),
    ),
}  # fmt: skip

CAR_COLOURS = (
    (222, 222, 222), (28, 28, 32), (120, 122, 126), (172, 176, 180), (150, 28, 30), (34, 58, 120),
    (60, 84, 70), (196, 172, 60), (122, 90, 66), (80, 130, 170),
)  # fmt: skip
CLOTHES = (
    (40, 44, 60), (120, 30, 34), (190, 186, 176), (60, 80, 120), (70, 90, 60), (200, 150, 60),
    (30, 30, 32), (140, 110, 90), (160, 80, 110),
)  # fmt: skip


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


# ---------------------------------------------------------------------------------------------
# Drawing
# ---------------------------------------------------------------------------------------------


def pick(rng: np.random.Generator, choices: Sequence):
    """Return one of the choices, all equally likely."""
    return choices[int(rng.integers(len(choices)))]


def pick_weighted(rng: np.random.Generator, weights: dict[str, float]) -> str:
    """Return one key, with probability proportional to its weight."""
    p = np.array(list(weights.values()))
    return list(weights)[int(rng.choice(len(p), p=p / p.sum()))]


def between(rng: np.random.Generator, limits: Range) -> float:
    """Return a number drawn uniformly from a range."""
    return float(rng.uniform(*limits))


def jitter(rng: np.random.Generator, colour: Colour, amount: float = 14) -> Colour:
    """Return a colour near to the one given: a common shift and a smaller one per channel."""
    shift = rng.normal(0, amount) + rng.normal(0, amount / 3, 3)
    return tuple(float(c) for c in np.clip(np.add(colour, shift), 4, 250))


def scaled(colour: Colour, factor: float) -> Colour:
    """Return a colour made darker or brighter."""
    return tuple(min(255.0, c * factor) for c in colour)


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
        fill = [int(c * clear + h * (1 - clear)) for c, h in zip(colour, self.haze_colour)]
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


def side_light(canvas: Canvas, side: int) -> float:
    """Return how bright the wall on one side of the road is (-1 left, 1 right)."""
    return 1.0 + 0.32 * canvas.shadow * (-1 if side == canvas.sun else 1) - 0.06


@dataclass
class Street:
    """One laid-out street: where its lanes and edges are, and what stands on it."""

    canvas: Canvas
    scene: SceneType
    palette: Palette
    lanes: list[tuple[float, int]]  # centre x, direction: 1 the camera's, -1 oncoming
    kerbs: dict[int, float]  # side -> x
    parking: dict[int, float]  # side -> width of the parking lane, inside the kerb
    pavement: float
    verge: float
    setback: float
    railway: int  # side of the railway line; 0 = none
    median: tuple[float, float]
    junction: tuple[float, float] | None  # z from, to
    road: Colour
    taken: list[tuple[float, float, float]] = field(default_factory=list)  # x, z from, z to
    crossed: list[tuple[float, float]] = field(default_factory=list)  # x / z from, to
    things: list[tuple[float, float, Callable[[], None]]] = field(default_factory=list)

    def at(self, side: int, offset: float) -> float:
        """Return x at a distance outside the kerb."""
        return self.kerbs[side] + side * offset

    def frontage(self, side: int) -> float:
        """Return x where plots begin."""
        room = 6.5 if side == self.railway else 0.0
        return self.at(side, self.pavement + self.verge + self.setback + room)

    def add(self, z: float, x: float, draw: Callable[[], None]):
        """Queue a drawing: far things are drawn first, outer before inner ones."""
        self.things.append((-z, -abs(x), draw))

    def reserve(self, x: float, z0: float, z1: float, gap: float = 1.5) -> bool:
        """Claim a stretch of a lane; False where something stands there already."""
        if any(abs(x - ox) < 1.9 and z0 < b + gap and z1 > a - gap for ox, a, b in self.taken):
            return False
        self.taken.append((x, z0, z1))
        return True

    def reserve_crossing(self, x: float, z: float, length: float) -> bool:
        """Claim a part of the view for what crosses; False where something does so already."""
        left, right = x / z - 0.02, (x + length) / z + 0.02
        if any(left < b and right > a for a, b in self.crossed):
            return False
        self.crossed.append((left, right))
        return True

    def in_junction(self, z0: float, z1: float) -> bool:
        """Return whether a stretch of the roadside is opened by the side street."""
        return self.junction is not None and z0 < self.junction[1] and z1 > self.junction[0]


# ---------------------------------------------------------------------------------------------
# Sky, ground, backdrop
# ---------------------------------------------------------------------------------------------


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cell: float) -> np.ndarray:
    """Return noise of mean 0 and deviation about 1, (H, W) float32, with blobs of a given size."""
    rows, columns = (max(2, round(n / cell)) for n in shape)
    grid = rng.standard_normal((rows, columns), dtype=np.float32)
    image = Image.fromarray(grid).resize(shape[::-1], Image.Resampling.BICUBIC)
    return np.asarray(image) * 1.3


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
    canvas, rng, z = street.canvas, street.canvas.rng, FAR - 5
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


def draw_ground(street: Street):
    """Lay the ground, the strips beside the road, the road itself and its markings."""
    canvas, scene, rng, palette = street.canvas, street.scene, street.canvas.rng, street.palette
    surfaces = {
        "terrain": jitter(rng, pick(rng, palette.terrain)),
        "sidewalk": jitter(rng, pick(rng, palette.pavements)),
    }
    canvas.ground(-400, 400, NEAR, FAR * 3, surfaces[scene.ground], scene.ground)
    for side in (-1, 1):
        inner, middle = street.at(side, 0), street.at(side, street.pavement)
        outer = street.at(side, street.pavement + street.verge)
        if street.verge:
            canvas.ground(middle, outer, NEAR, FAR, surfaces["terrain"], "terrain")
        if street.pavement:
            canvas.ground(inner, middle, NEAR, FAR, surfaces["sidewalk"], "sidewalk")
            draw_paving(street, inner, middle, surfaces["sidewalk"])
        if side == street.railway:
            draw_track(street, outer + side * 3)
    if street.junction:
        canvas.ground(-120, 120, *street.junction, street.road, "road")
    canvas.ground(street.kerbs[-1], street.kerbs[1], NEAR, FAR, street.road, "road")
    draw_road_surface(street)
    draw_markings(street)
    if street.pavement:
        for side in (-1, 1):
            kerb = scaled(surfaces["sidewalk"], 1.15)
            for z0, z1 in open_stretches(street, NEAR, FAR):
                x = street.at(side, 0)
                canvas.ground(x, x + side * 0.22, z0, z1, kerb, "sidewalk")
    if street.median[1] > street.median[0]:
        for z0, z1 in open_stretches(street, NEAR, FAR):
            canvas.ground(*street.median, z0, z1, surfaces["terrain"], "terrain")


def open_stretches(street: Street, z0: float, z1: float) -> list[tuple[float, float]]:
    """Return the stretches of [z0, z1] that no side street crosses."""
    if street.junction is None:
        return [(z0, z1)]
    return [(z0, street.junction[0]), (street.junction[1], z1)]


def draw_paving(street: Street, x0: float, x1: float, colour: Colour):
    """Draw the joints between paving slabs."""
    canvas, z = street.canvas, 4.0
    for _ in range(9):
        canvas.ground(x0, x1, z, z + 0.05 * z / 4, scaled(colour, 0.8))
        z *= 1.2


def draw_track(street: Street, x: float):
    """Lay a railway line: ballast, sleepers and two rails."""
    canvas, rng = street.canvas, street.canvas.rng
    canvas.ground(x - 2.1, x + 2.1, NEAR, FAR, jitter(rng, (112, 100, 90), 8), "rail track")
    for z in np.arange(4, 40, 1.5).tolist():
        canvas.ground(x - 1.3, x + 1.3, z, z + 0.35, (78, 66, 58))
    for rail in (-0.75, 0.75):
        canvas.ground(x + rail - 0.06, x + rail + 0.06, NEAR, FAR, (170, 166, 160))


def draw_road_surface(street: Street):
    """Vary the road: cobbles, patches of newer asphalt, darker wheel tracks."""
    canvas, rng = street.canvas, street.canvas.rng
    left, right = street.kerbs[-1], street.kerbs[1]
    if rng.random() < street.scene.cobbles:
        z = 3.0
        while z < 40:
            canvas.ground(left, right, z, z * 1.025, scaled(street.road, 0.78))
            for x in np.arange(left, right, 0.7 + z / 40).tolist():
                tone = scaled(street.road, rng.uniform(0.85, 1.2))
                canvas.ground(x, x + 0.5, z * 1.03, z * 1.09, tone, None, 0.6)
            z *= 1.11
        return
    for x, _ in street.lanes:
        for track in (-0.75, 0.75):
            canvas.ground(x + track - 0.3, x + track + 0.3, NEAR, FAR, (30, 30, 32), None, 0.09)
    for _ in range(rng.poisson(1.5)):
        x, z = rng.uniform(left, right - 1.5), rng.uniform(5, 30)
        tone = scaled(street.road, rng.uniform(0.75, 1.12))
        canvas.ground(x, min(right, x + rng.uniform(1, 3)), z, z + rng.uniform(2, 8), tone)


def draw_markings(street: Street):
    """Paint lane lines, edge lines and zebra crossings."""
    canvas, rng, lanes = street.canvas, street.canvas.rng, sorted(street.lanes)
    if len(lanes) == 2 and rng.random() < 0.35 * (1 + street.scene.cobbles):
        return  # a side road without paint
    white = jitter(rng, (214, 214, 210), 10)
    wear = rng.uniform(0.55, 1.0)
    for (x0, d0), (x1, d1) in itertools.pairwise(lanes):
        middle = (x0 + x1) / 2
        if d0 != d1:
            if street.median[1] > street.median[0]:
                continue
            colour = street.palette.centre_line
            for z0, z1 in open_stretches(street, NEAR, FAR):
                canvas.ground(middle - 0.09, middle + 0.09, z0, z1, colour, None, wear)
            continue
        start = rng.uniform(2, 8)
        for z in np.arange(start, 90, 9).tolist():
            if not street.in_junction(z, z + 4):
                canvas.ground(middle - 0.08, middle + 0.08, z, z + 4, white, None, wear)
    if not street.pavement:
        for side in (-1, 1):
            x = street.at(side, -0.35)
            canvas.ground(x - 0.09, x + 0.09, NEAR, FAR, white, None, wear)
    if street.junction or (street.pavement and rng.random() < 0.12):
        z = street.junction[0] - 4 if street.junction else rng.uniform(9, 18)
        for x in np.arange(street.kerbs[-1] + 0.4, street.kerbs[1] - 0.4, 1.0).tolist():
            canvas.ground(x, x + 0.5, z, z + 3, white, None, wear)


# ---------------------------------------------------------------------------------------------
# Along the road: buildings, boundaries, greenery, poles
# ---------------------------------------------------------------------------------------------


def draw_windows(face: Face, s1, t0, t1, style: str, colour: Colour, storey=3.1, wide=1.3):
    """Draw rows of windows on a wall that reaches from s = 0 to s1 and from t0 to t1."""
    canvas = face.canvas
    z = face.z if face.along == "x" else max(face.z, NEAR) + s1 * 0.3
    if canvas.pixels(storey, z) < 5 or s1 < 1.5:
        return
    columns = max(1, int(s1 / (2.1 * wide)))
    pitch = s1 / columns
    lit = (236, 200, 128)
    for row in range(int((t1 - t0) / storey)):
        sill = t0 + row * storey + 0.9
        if style == "ribbon":
            face.rectangle(0.2, sill, s1 - 0.2, sill + 1.4, canvas.glass)
            continue
        for column in range(columns):
            s = (column + 0.5) * pitch - wide / 2
            glass = lit if canvas.rng.random() < canvas.lit else canvas.glass
            if style == "framed" and canvas.pixels(0.15, z) > 1:
                face.rectangle(s - 0.15, sill - 0.15, s + wide + 0.15, sill + 1.65,
                               scaled(colour, 1.25))  # fmt: skip
            glass = scaled(glass, float(canvas.rng.uniform(0.75, 1.2)))
            face.rectangle(s, sill, s + wide, sill + 1.5, glass)


def draw_block(street: Street, side: int, z0: float, z1: float, style: str):
    """Draw a flat-roofed building: tower, terrace or shed."""
    canvas, rng, x = street.canvas, street.canvas.rng, street.frontage(side)
    storey = 5.0 if style == "shed" else rng.uniform(2.9, 3.6)
    height = storey * rng.integers(street.scene.floors[0], street.scene.floors[1] + 1)
    colour = jitter(rng, pick(rng, street.palette.facades), 12)
    z0 = max(z0, NEAR)
    end = Face(canvas, min(x, x + side * 14), z0)
    wall = Face(canvas, x, z0, "z", light=side_light(canvas, side))
    roof = jitter(rng, pick(rng, street.palette.roofs), 8)
    windows = pick(rng, {"tower": ("grid", "ribbon", "grid"), "terrace": ("framed", "grid"),
                         "shed": ("ribbon", "none")}[style])  # fmt: skip
    ground_floor = 3.4 if style in ("tower", "terrace") and rng.random() < 0.6 else 0.0
    for face, length in ((end, 14.0), (wall, z1 - z0)):
        face.rectangle(0, 0, length, height, colour, "building")
        if windows != "none":
            draw_windows(face, length, ground_floor, height, windows, colour, storey)
        if style == "terrace":
            face.rectangle(0, height, length, height + 1.6, roof, "building")
            face.rectangle(0, height - 0.25, length, height, scaled(colour, 1.2))
    if style == "shed":
        draw_shed_doors(street, wall, z1 - z0, colour)
    elif ground_floor:
        draw_shops(street, wall, z1 - z0)


def draw_shed_doors(street: Street, wall: Face, length: float, colour: Colour):
    """Draw the ribs of a metal wall and its rolling doors."""
    rng = street.canvas.rng
    for s in np.arange(0.8, length, 1.6).tolist():
        wall.rectangle(s, 0, s + 0.25, 4.6, scaled(colour, 0.9))
    for s in np.arange(2, length - 4, 7).tolist():
        if rng.random() < 0.6:
            wall.rectangle(s, 0, s + 4, 4, jitter(rng, (110, 112, 116), 26))


def draw_shops(street: Street, wall: Face, length: float):
    """Draw a ground floor of shop windows under a coloured board."""
    rng = street.canvas.rng
    board = jitter(rng, pick(rng, CAR_COLOURS), 16)
    wall.rectangle(0, 0, length, 3.2, scaled(board, 0.6))
    wall.rectangle(0, 2.6, length, 3.2, board)
    for s in np.arange(0.5, length - 2, 3.2).tolist():
        wall.rectangle(s, 0.5, s + 2.5, 2.5, scaled(street.canvas.glass, rng.uniform(0.6, 1.3)))


def draw_house(street: Street, side: int, z0: float, z1: float):
    """Draw a detached house with a pitched roof, its ridge along or across the road."""
    canvas, rng, x = street.canvas, street.canvas.rng, street.frontage(side)
    length = min(z1 - z0 - 2, rng.uniform(8, 12))
    depth, rise = rng.uniform(8, 11), rng.uniform(2.2, 4)
    height = 2.9 * rng.integers(street.scene.floors[0], street.scene.floors[1] + 1) + 0.3
    colour = jitter(rng, pick(rng, street.palette.facades), 14)
    roof = jitter(rng, pick(rng, street.palette.roofs), 12)
    z0 = max(z0, NEAR)
    z1 = max(z0 + length, z0 + 1)
    back = x + side * depth
    end = Face(canvas, min(x, back), z0)
    wall = Face(canvas, x, z0, "z", light=side_light(canvas, side))
    if rng.random() < 0.6:  # ridge along the road: gable to the camera, slope to the road
        ridge = x + side * depth / 2
        slope = [(x - side * 0.4, height, z0 - 0.3), (x - side * 0.4, height, z1),
                 (ridge, height + rise, z1), (ridge, height + rise, z0 - 0.3)]  # fmt: skip
        gable = [(0, height), (depth, height), (depth / 2, height + rise)]
        canvas.polygon(slope, roof, "building")
        end.polygon(gable, colour, "building")
    else:  # ridge across: slope to the camera, gable to the road
        middle = (z0 + z1) / 2
        gable = [(0, height), (z1 - z0, height), ((z1 - z0) / 2, height + rise)]
        wall.polygon(gable, colour, "building")
        slope = [(x, height, z0), (back, height, z0), (back, height + rise, middle),
                 (x, height + rise, middle)]  # fmt: skip
        canvas.polygon(slope, roof, "building")
    for face, span in ((end, depth), (wall, z1 - z0)):
        face.rectangle(0, 0, span, height, colour, "building")
        draw_windows(face, span, 0.0, height, "framed", colour, 2.9)
    wall.rectangle(1, 0, 2.1, 2.1, jitter(rng, (92, 64, 50), 24))


def add_buildings(street: Street):
    """Queue the buildings of both sides, plot by plot."""
    rng, scene = street.canvas.rng, street.scene
    for side in (-1, 1):
        z = rng.uniform(-12, 2)
        while z < 110:
            length = between(rng, scene.plot)
            if rng.random() < scene.built and not street.in_junction(z, z + length):
                style = pick(rng, scene.buildings)
                if z + length > NEAR + 3:
                    draw = draw_house if style == "house" else draw_block
                    args = (street, side, z, z + length) + (() if style == "house" else (style,))
                    street.add(z + length, street.frontage(side), functools.partial(draw, *args))
            elif rng.random() < scene.trees:
                x = street.frontage(side) + side * rng.uniform(1, 8)
                add_tree(street, x, max(z, 6) + length / 2)
            z += length + (rng.uniform(1, 4) if scene.buildings == ("house",) else 0)


def draw_boundary(street: Street, x: float, z0: float, z1: float, name: str, style: dict):
    """Draw one stretch of a wall, fence, hedge or guard rail along the road."""
    canvas, colour, height = street.canvas, style["colour"], style["height"]
    z0 = max(z0, NEAR)
    length = z1 - z0
    face = Face(canvas, x, z0, "z", light=side_light(canvas, 1 if x > 0 else -1))
    if name == "guard rail":
        for s in np.arange(0, length, 2).tolist():
            face.rectangle(s, 0, s + 0.12, 0.75, scaled(colour, 0.7), name)
        face.rectangle(0, 0.45, length, 0.8, colour, name)
    elif name == "fence":
        solid = style["solid"]
        face.rectangle(0, 0, length, height, scaled(colour, 0.85), name, 0.9 if solid else 0.3)
        for t in (0.15 * height, 0.92 * height):
            face.rectangle(0, t, length, t + 0.1, colour)
        for s in np.arange(0, length, 0.45 if canvas.pixels(0.4, z0) > 4 else 1.8).tolist():
            face.rectangle(s, 0, s + (0.3 if solid else 0.09), height, colour)
    elif name == "vegetation":
        face.rectangle(0, 0, length, height, colour, name)
        for s in np.arange(0, length, 0.7).tolist():
            tone = scaled(colour, canvas.rng.uniform(0.8, 1.15))
            face.ellipse(s, height * canvas.rng.uniform(0.5, 0.95), 0.6, 0.4, tone, name)
    else:
        face.rectangle(0, 0, length, height, colour, name)
        if style["solid"]:  # masonry courses
            for t in np.arange(0.4, height, 0.4).tolist():
                face.rectangle(0, t, length, t + 0.05, scaled(colour, 0.78))
        else:  # concrete panels
            face.rectangle(0, 0, 0.12, height, scaled(colour, 0.75))
        face.rectangle(0, height - 0.15, length, height, scaled(colour, 1.15))


def add_boundaries(street: Street):
    """Queue what separates road and plots, in stretches of five metres."""
    rng, scene = street.canvas.rng, street.scene
    for side in (-1, 1):
        roll, name = rng.random(), None
        for candidate, share in scene.boundaries.items():
            roll -= share
            if roll < 0:
                name = candidate
                break
        if side == street.railway:  # nothing high, or it would hide the line
            name = "fence" if rng.random() < 0.5 else None
        if name is None:
            continue
        metal = pick(rng, ((120, 124, 124), (70, 84, 76), (168, 140, 108), (206, 204, 198)))
        colours = {"wall": street.palette.masonry, "fence": (metal,), "guard rail": (
            (164, 168, 172),), "vegetation": street.palette.foliage}[name]  # fmt: skip
        style = {
            "colour": jitter(rng, pick(rng, colours), 10),
            "height": 0.9 if side == street.railway else between(rng, scene.boundary_height),
            "solid": rng.random() < 0.45,
        }
        x = street.at(side, street.pavement + street.verge)
        for z in np.arange(-2, 75, 5).tolist():
            if z + 5 > NEAR and not street.in_junction(z, z + 5):
                args = (street, x, z, z + 5, name, style)
                street.add(z + 5, x, functools.partial(draw_boundary, *args))


def draw_tree(street: Street, x: float, z: float, shape: str, colour: Colour, height: float):
    """Draw one tree; trunk and crown are both vegetation."""
    canvas, rng, face = street.canvas, street.canvas.rng, Face(street.canvas, x, z)
    bark = jitter(rng, (88, 72, 58), 10)
    canvas.shade(x - height / 5, x + height / 5, z - 0.8, z + 0.8, 0.8)
    bole = height * (0.8 if shape == "palm" else 0.4)
    face.polygon(((-0.2, 0), (0.2, 0), (0.1, bole), (-0.1, bole)), bark, "vegetation")
    if shape == "palm":
        for angle in np.linspace(-0.5, math.pi + 0.5, 9):
            tip = (2 * math.cos(angle), height + 1.5 * math.sin(angle) - 0.6)
            face.line(0, bole, *tip, 0.5, scaled(colour, rng.uniform(0.8, 1.2)), "vegetation")
        return
    if shape == "cone":
        for level in range(4):
            t, half = height * (0.15 + 0.2 * level), height * (0.24 - 0.05 * level)
            tone = scaled(colour, 0.8 + 0.08 * level)
            face.polygon(((-half, t), (half, t), (0, t + height * 0.36)), tone, "vegetation")
        return
    count, size = (16, 0.13) if shape == "sparse" else (15, 0.2)
    if shape == "sparse":  # branches show between the last leaves
        for _ in range(7):
            tip = (rng.normal(0, 0.2 * height), height * rng.uniform(0.65, 1))
            face.line(0, bole * 0.8, *tip, 0.14, bark, "vegetation")
    for i in range(count):
        angle, radius = rng.uniform(0, math.tau), 0.2 * height * math.sqrt(rng.random())
        s, t = radius * math.cos(angle), height * 0.68 + 1.15 * radius * math.sin(angle)
        light = 0.72 + 0.3 * i / count + 0.12 * (t / height - 0.7) - 0.1 * canvas.sun * s / height
        a = height * size * rng.uniform(0.6, 1)
        face.ellipse(s, t, a, a * 0.85, scaled(colour, light), "vegetation")


def add_tree(street: Street, x: float, z: float):
    """Queue a tree of a random kind."""
    rng = street.canvas.rng
    shape, colour = pick(rng, street.palette.tree_shapes), pick(rng, street.palette.foliage)
    args = (street, x, z, shape, jitter(rng, colour, 10), rng.uniform(5, 10))
    street.add(z, x, functools.partial(draw_tree, *args))


def add_trees(street: Street):
    """Queue the trees of both sides, and those of the median."""
    rng, scene = street.canvas.rng, street.scene
    for side in (-1, 1):
        inner = street.pavement * 0.75
        outer = street.pavement + street.verge + min(street.setback, 3) * 0.5
        for _ in range(rng.poisson(scene.trees * 8)):
            z = rng.uniform(7, 85)
            if not street.in_junction(z - 2, z + 2):
                add_tree(street, street.at(side, rng.uniform(inner, max(outer, inner + 0.3))), z)
    if street.median[1] - street.median[0] > 1.5:
        for z in np.arange(rng.uniform(6, 14), 70, 12).tolist():
            if rng.random() < 0.5 and not street.in_junction(z - 2, z + 2):
                add_tree(street, sum(street.median) / 2, z)


def draw_lamp(street: Street, x: float, z: float, side: int, colour: Colour, height: float):
    """Draw a street lamp, its arm over the road."""
    face = Face(street.canvas, x, z)
    face.rectangle(-0.1, 0, 0.1, height, colour, "pole")
    face.line(0, height, -side * 1.8, height + 0.3, 0.12, colour, "pole")
    face.rectangle(-side * 2.3, height + 0.2, -side * 1.7, height + 0.42, (200, 196, 180), "pole")


def add_lamps(street: Street):
    """Queue street lamps at even distances."""
    rng, colour = street.canvas.rng, jitter(street.canvas.rng, (112, 114, 114), 22)
    spacing, height = between(rng, street.scene.lamps), rng.uniform(5, 8)
    for side in (-1, 1):
        for z in np.arange(rng.uniform(6, 6 + spacing), 80, spacing).tolist():
            x = street.at(side, 0.6)
            args = (street, x, z, side, colour, height)
            if not street.in_junction(z, z):
                street.add(z, x, functools.partial(draw_lamp, *args))


def draw_light(street: Street, x: float, z: float, side: int, overhead: bool):
    """Draw a traffic light on its pole, or hanging from an arm over the road."""
    rng, face = street.canvas.rng, Face(street.canvas, x, z)
    housing, pole, signal = jitter(rng, (38, 40, 38), 8), (92, 94, 94), int(rng.integers(3))
    heads = [(0.0, 2.3)]
    face.rectangle(-0.09, 0, 0.09, 5.6 if overhead else 2.6, pole, "pole")
    if overhead:
        face.line(0, 5.5, -side * 4, 5.7, 0.16, pole, "pole")
        heads.append((-side * 3.7, 4.9))
    for s, t in heads:
        face.rectangle(s - 0.24, t, s + 0.24, t + 1.15, housing, "traffic light")
        for i, lamp in enumerate(((60, 220, 130), (250, 190, 50), (245, 50, 40))):
            colour = lamp if i == signal else scaled(lamp, 0.25)
            face.ellipse(s, t + 0.22 + 0.36 * i, 0.15, 0.15, colour)


def draw_sign(street: Street, x: float, z: float):
    """Draw a traffic sign: disc, triangle, square or direction board, on its pole."""
    rng, face = street.canvas.rng, Face(street.canvas, x, z)
    kind, t = pick(rng, ("disc", "triangle", "square", "board")), rng.uniform(2.2, 2.8)
    red, white, blue = (196, 36, 38), (226, 226, 222), (36, 80, 170)
    face.rectangle(-0.06, 0, 0.06, t + 0.3, (140, 142, 144), "pole")
    if kind == "disc":
        face.ellipse(0, t, 0.45, 0.45, red, "traffic sign")
        face.ellipse(0, t, 0.32, 0.32, pick(rng, (white, white, red, blue)))
    elif kind == "triangle":
        face.polygon(((-0.5, t - 0.4), (0.5, t - 0.4), (0, t + 0.5)), red, "traffic sign")
        face.polygon(((-0.3, t - 0.28), (0.3, t - 0.28), (0, t + 0.24)), white)
    elif kind == "square":
        face.rectangle(-0.4, t - 0.4, 0.4, t + 0.4, blue, "traffic sign")
        face.rectangle(-0.18, t - 0.25, 0.18, t + 0.2, white)
    else:
        colour = pick(rng, ((220, 180, 50), (40, 110, 70), white))
        face.rectangle(-1.0, t - 0.35, 1.0, t + 0.35, colour, "traffic sign")
        face.rectangle(-0.8, t - 0.06, 0.6, t + 0.06, scaled(colour, 0.4))


def draw_gantry(street: Street, z: float, colour: Colour):
    """Draw sign boards on a gantry across the carriageway."""
    x0, x1 = street.at(-1, 0.8), street.at(1, 0.8)
    face = Face(street.canvas, 0, z)
    for x in (x0, x1):
        face.rectangle(x - 0.2, 0, x + 0.2, 6.8, (136, 138, 140), "pole")
    face.rectangle(x0, 6.1, x1, 6.5, (136, 138, 140), "pole")
    for lane, direction in street.lanes:
        if direction > 0:
            face.rectangle(lane - 1.6, 5.3, lane + 1.6, 7.3, colour, "traffic sign")
            face.rectangle(lane - 1.1, 6.5, lane + 0.9, 6.75, (226, 226, 222))
            face.rectangle(lane - 1.1, 5.8, lane + 0.3, 6.05, (226, 226, 222))


def draw_overpass(street: Street, z0: float, z1: float, clearance: float, colour: Colour):
    """Draw a bridge across the road: underside, face, pillars and the dark beneath it."""
    canvas = street.canvas
    left, right = street.at(-1, 0) - 60, street.at(1, 0) + 60
    canvas.ground(street.at(-1, 0), street.at(1, 0), z0, z1, (8, 8, 14), None, 0.4)
    canvas.ground(left, right, z0, z1, scaled(colour, 0.4), "bridge", y=clearance)
    face = Face(canvas, 0, z0)
    face.rectangle(left, clearance, right, clearance + 1.5, colour, "bridge")
    face.rectangle(left, clearance + 1.35, right, clearance + 1.5, scaled(colour, 1.2))
    face.rectangle(left, clearance + 1.5, right, clearance + 2.3, (120, 124, 126), "bridge", 0.5)
    for side in (-1, 1):
        x = street.at(side, street.pavement + 0.5)
        face.rectangle(x - 0.6, 0, x + 0.6, clearance, scaled(colour, 0.9), "bridge")


# ---------------------------------------------------------------------------------------------
# On the road: vehicles, people
# ---------------------------------------------------------------------------------------------

CAR_SHAPES = {  # height in metres; side profile, tail first, as shares of length and height
    "saloon": (1.45, ((0, 0.2), (0, 0.62), (0.14, 0.66), (0.27, 1), (0.58, 1), (0.74, 0.66),
                      (1, 0.56), (1, 0.2))),
    "hatchback": (1.5, ((0, 0.2), (0.01, 0.66), (0.08, 1), (0.55, 1), (0.74, 0.64), (1, 0.54),
                        (1, 0.2))),
    "van": (1.95, ((0, 0.15), (0, 0.95), (0.05, 1), (0.7, 1), (0.84, 0.58), (1, 0.48),
                   (1, 0.15))),
}  # fmt: skip


def draw_car_side(face: Face, shape: str, length: float, flip: bool, colour: Colour):
    """Draw a car's side on a plane along which its tail (or nose, if flipped) is at s = 0."""
    height, profile = CAR_SHAPES[shape]

    def place(points):
        return [((1 - s if flip else s) * length, t * height) for s, t in points]

    roof = [s for s, t in profile if t == 1]
    face.polygon(place(profile), colour, "car")
    window = ((roof[0] - 0.06, 0.67), (roof[0] + 0.02, 0.93), (roof[1] - 0.01, 0.93),
              (roof[1] + 0.12, 0.67))  # fmt: skip
    face.polygon(place([(max(s, 0.03), t) for s, t in window]), scaled(face.canvas.glass, 0.7))
    middle = (roof[0] + roof[1]) / 2
    face.polygon(place(((middle, 0.66), (middle, 0.95), (middle + 0.03, 0.95),
                        (middle + 0.03, 0.66))), colour)  # fmt: skip
    for s in (0.19, 0.81):
        (s, _), radius = place(((s, 0),))[0], 0.34
        face.ellipse(s, radius, radius, radius, (24, 24, 26), "car")
        face.ellipse(s, radius, radius * 0.5, radius * 0.5, (130, 130, 134))


def draw_car(street: Street, x: float, z: float, heading: int, shape: str, colour: Colour):
    """Draw a car that drives along the road: 1 away from the camera, -1 towards it."""
    canvas, length, half = street.canvas, 4.3, 0.9
    height, profile = CAR_SHAPES[shape]
    canvas.shade(x - half, x + half, z, z + length)
    if abs(x) > half:
        side = 1 if x > 0 else -1
        face = Face(canvas, x - side * half, z, "z", light=side_light(canvas, side) * 0.9)
        draw_car_side(face, shape, length, heading < 0, colour)
    shares = profile if heading > 0 else [(1 - s, t) for s, t in reversed(profile)]
    (_, belt), shoulder = shares[1], shares[2]
    roof = min(s for s, t in shares if t == 1)
    belt = min(belt, 0.64) * height
    foot = z + (shoulder[0] if shoulder[1] < 1 else 0.02) * length
    # from the back to the front: the top of boot or bonnet, the cabin, the lower body
    canvas.ground(x - half, x + half, z, foot, scaled(colour, 1.1), "car", y=belt)
    cabin = [(x - half, belt, foot), (x + half, belt, foot),
             (x + half * 0.78, height, z + roof * length),
             (x - half * 0.78, height, z + roof * length)]  # fmt: skip
    canvas.polygon(cabin, colour, "car")
    glass = Face(canvas, x, foot)
    pane = ((-0.76, belt + 0.06), (0.76, belt + 0.06), (0.6, height * 0.94), (-0.6, height * 0.94))
    glass.polygon(pane, scaled(canvas.glass, 0.75))
    face = Face(canvas, x, z)
    for s in (-0.85, 0.6):
        face.rectangle(s, 0, s + 0.25, 0.4, (22, 22, 24), "car")
    face.rectangle(-half, 0.22, half, belt, scaled(colour, 0.92), "car")
    face.rectangle(-half, 0.22, half, 0.42, scaled(colour, 0.45))
    face.rectangle(-0.26, 0.46, 0.26, 0.6, (224, 222, 210))
    lamp = (190, 24, 24) if heading > 0 else (244, 240, 220)
    for s in (-half, half - 0.35):
        face.rectangle(s, belt - 0.3, s + 0.35, belt - 0.1, lamp)


def draw_box_section(street: Street, x: float, z: float, length: float, style: dict, first: bool):
    """Draw one section of a bus, truck or train along the road, and its end if it is the first."""
    canvas, half, height, colour = street.canvas, style["half"], style["height"], style["colour"]
    name, floor = style["name"], style["floor"]
    canvas.shade(x - half, x + half, z, z + length)
    if abs(x) > half:
        side = 1 if x > 0 else -1
        wall = Face(canvas, x - side * half, z, "z", light=side_light(canvas, side) * 0.92)
        draw_box_side(wall, length, style, first)
    if not first:
        return
    face = Face(canvas, x, z)
    face.rectangle(-half, floor, half, height, colour, name)
    for s in (-half + 0.1, half - 0.5):
        face.rectangle(s, 0, s + 0.4, floor + 0.1, (22, 22, 24), name)
    face.rectangle(-half, floor, half, floor + 0.35, scaled(colour, 0.5))
    if name != "truck" or style["heading"] < 0:  # windscreen or rear window
        low, high = (0.45, 0.82) if name != "truck" else (0.4, 0.68)
        pane = scaled(canvas.glass, 0.7)
        face.rectangle(-half + 0.15, height * low, half - 0.15, height * high, pane)
    else:  # doors of the load
        face.rectangle(-0.04, floor + 0.4, 0.04, height - 0.1, scaled(colour, 0.7))
    if name == "bus":
        face.rectangle(-half + 0.3, height * 0.85, half - 0.3, height * 0.95, (30, 30, 26))
        face.rectangle(-half + 0.7, height * 0.87, half - 0.9, height * 0.93, (250, 180, 60))
    lamp = (190, 24, 24) if style["heading"] > 0 else (244, 240, 220)
    for s in (-half + 0.1, half - 0.5):
        face.rectangle(s, floor + 0.38, s + 0.4, floor + 0.65, lamp)


def draw_box_side(face: Face, length: float, style: dict, wheels: bool = True):
    """Draw the side of a bus, truck or train."""
    name, height, colour, floor = (style[k] for k in ("name", "height", "colour", "floor"))
    face.rectangle(0, floor, length, height, colour, name)
    if name == "truck":
        face.rectangle(0, floor, length, floor + 0.25, (50, 50, 54))
        for s in np.arange(1, length, 1.5).tolist():
            face.rectangle(s, floor + 0.3, s + 0.06, height, scaled(colour, 0.85))
    elif style["freight"]:
        for s in np.arange(0.4, length, 1.2).tolist():
            face.rectangle(s, floor + 0.2, s + 0.15, height - 0.2, scaled(colour, 0.75))
    else:
        pane = scaled(face.canvas.glass, 0.75)
        for s in np.arange(0.3, length - 1, 1.6).tolist():
            face.rectangle(s, height * 0.48, s + 1.35, height * 0.8, pane)
        face.rectangle(0, height * 0.3, length, height * 0.38, style["stripe"])
    radius = 0.5 if name != "train" else 0.42
    for s in (1.2, length - 1.2) if wheels or name == "train" else (length - 1.2,):
        face.ellipse(s, radius, radius, radius, (24, 24, 26), name)


def box_style(rng: np.random.Generator, name: str, heading: int) -> dict:
    """Return size and colours of a bus, a truck or a train."""
    freight = name == "train" and rng.random() < 0.35
    colours = {
        "bus": ((188, 40, 36), (226, 196, 60), (60, 110, 170), (222, 222, 216), (80, 140, 90)),
        "truck": ((222, 220, 214), (170, 172, 176), (64, 94, 150), (170, 60, 44), (190, 160, 90)),
        "train": ((196, 44, 42), (222, 204, 96), (214, 214, 210), (60, 100, 150), (130, 150, 90)),
    }[name]
    return {
        "name": name, "heading": heading, "freight": freight,
        "colour": jitter(rng, (126, 78, 58) if freight else pick(rng, colours), 12),
        "stripe": pick(rng, CAR_COLOURS), "half": 1.35 if name == "train" else 1.25,
        "height": {"bus": 3.1, "truck": rng.uniform(3.0, 3.9), "train": 3.9}[name],
        "floor": {"bus": 0.3, "truck": 0.75, "train": 0.4}[name],
    }  # fmt: skip


def add_box(street: Street, x: float, z: float, length: float, style: dict):
    """Queue a long vehicle in sections, so that what stands beside it is hidden rightly."""
    sections = max(1, round(length / 6))
    step = length / sections
    for i in range(sections):
        args = (street, x, z + i * step, step, style, i == 0)
        street.add(z + i * step, x, functools.partial(draw_box_section, *args))


def draw_crossing_box(street: Street, x: float, z: float, length: float, style: dict):
    """Draw a bus, truck or train that crosses the view, seen from its side."""
    street.canvas.shade(x, x + length, z, z + 2.5)
    face = Face(street.canvas, x, z)
    if style["name"] == "truck":  # the cab stands apart from the load
        cab = dict(style, height=style["height"] * 0.78, colour=style["stripe"], freight=True)
        draw_box_side(face, length - 2.4, style)
        front = Face(street.canvas, x + length - 2.2, z)
        draw_box_side(front, 2.2, cab, wheels=False)
        pane = scaled(street.canvas.glass, 0.7)
        front.rectangle(0.9, cab["height"] * 0.6, 2.1, cab["height"] * 0.9, pane)
        return
    draw_box_side(face, length, style)


def draw_crossing_car(street: Street, x: float, z: float, shape: str, colour: Colour, flip: bool):
    """Draw a car that crosses the view, seen from its side."""
    street.canvas.shade(x, x + 4.3, z, z + 1.8)
    draw_car_side(Face(street.canvas, x, z), shape, 4.3, flip, colour)


def draw_person(street: Street, x: float, z: float, size: float):
    """Draw a pedestrian, standing or in stride."""
    rng, face = street.canvas.rng, Face(street.canvas, x, z, stretch=size)
    coat, trousers = (jitter(rng, pick(rng, CLOTHES), 12) for _ in range(2))
    skin = jitter(rng, pick(rng, ((216, 176, 148), (150, 104, 78), (92, 64, 50))), 8)
    stride, h = rng.uniform(0.05, 0.3), 1.75 * size
    street.canvas.shade(x - 0.25, x + 0.25, z - 0.15, z + 0.35)
    for s in (-stride, stride):
        face.line(s * 0.3, 0.5 * h, s, 0.0, 0.19, scaled(trousers, 0.9 + s), "person")
    for s in (-1, 1):
        face.line(s * 0.2, 0.8 * h, s * (0.22 + stride * 0.6), 0.48 * h, 0.12, coat, "person")
    hem = 0.3 * h if rng.random() < 0.25 else 0.46 * h
    torso = ((-0.2, hem), (0.2, hem), (0.24, 0.8 * h), (0.1, 0.85 * h), (-0.1, 0.85 * h),
             (-0.24, 0.8 * h))  # fmt: skip
    face.polygon(torso, coat, "person")
    face.ellipse(0, 0.92 * h, 0.115, 0.14, skin, "person")
    face.ellipse(0, 0.96 * h, 0.115, 0.09, jitter(rng, (60, 46, 38), 16))
    if rng.random() < 0.3:
        face.rectangle(0.16, 0.42 * h, 0.36, 0.58 * h, jitter(rng, pick(rng, CLOTHES)), "person")


def draw_bicycle(face: Face, colour: Colour):
    """Draw a bicycle; its wheels count as filled, as annotators outline them."""
    for s in (-0.55, 0.55):
        face.ellipse(s, 0.35, 0.36, 0.36, (36, 36, 38), "bicycle", 0.75)
        face.ellipse(s, 0.35, 0.26, 0.26, (150, 150, 150), None, 0.5)
    for bar in (
        (-0.55, 0.35, -0.15, 0.8),
        (-0.15, 0.8, 0.4, 0.8),
        (0.4, 0.9, 0.55, 0.35),
        (-0.15, 0.8, 0.05, 0.3),
        (0.05, 0.3, 0.42, 0.78),
        (-0.55, 0.35, 0.05, 0.3),
    ):
        face.line(*bar, 0.09, colour, "bicycle")  # fmt: skip
    face.rectangle(-0.3, 0.86, -0.02, 0.95, (26, 26, 28), "bicycle")
    face.line(0.3, 1.0, 0.5, 0.95, 0.08, (26, 26, 28), "bicycle")


def draw_motorcycle(face: Face, colour: Colour):
    """Draw a motorcycle: thick wheels, engine, tank, seat, handlebar."""
    for s in (-0.7, 0.7):
        face.ellipse(s, 0.33, 0.34, 0.34, (24, 24, 26), "motorcycle")
        face.ellipse(s, 0.33, 0.15, 0.15, (140, 140, 144))
    body = ((-0.95, 0.75), (-0.5, 0.45), (0.4, 0.3), (0.75, 0.6), (0.5, 1.05), (0.05, 1.0),
            (-0.1, 0.85), (-0.8, 0.92))  # fmt: skip
    face.polygon(body, colour, "motorcycle")
    face.polygon(((-0.35, 0.3), (0.35, 0.25), (0.4, 0.6), (-0.35, 0.6)), (60, 60, 64))
    face.rectangle(-0.8, 0.82, 0.0, 0.96, (22, 22, 24), "motorcycle")
    face.line(0.35, 1.2, 0.65, 0.6, 0.12, (40, 40, 44), "motorcycle")
    face.ellipse(0.68, 0.85, 0.13, 0.13, (238, 234, 214), "motorcycle")


def draw_rider(face: Face, rng: np.random.Generator, seat: float, helmet: bool):
    """Draw the one who rides, from the seat's height upwards."""
    coat, trousers = (jitter(rng, pick(rng, CLOTHES), 12) for _ in range(2))
    face.line(-0.15, seat, 0.2, seat - 0.12, 0.2, trousers, "rider")
    face.line(0.2, seat - 0.12, 0.08, 0.25, 0.17, trousers, "rider")
    torso = ((-0.32, seat - 0.05), (0.02, seat - 0.05), (0.26, seat + 0.5), (0.0, seat + 0.6))
    face.polygon(torso, coat, "rider")
    face.line(0.14, seat + 0.48, 0.42, seat + 0.12, 0.12, coat, "rider")
    head = jitter(rng, pick(rng, CAR_COLOURS), 10) if helmet else jitter(rng, (200, 160, 132), 20)
    face.ellipse(0.16, seat + 0.74, 0.15, 0.17, head, "rider")


def draw_two_wheeler(street: Street, x: float, z: float, motor: bool, ridden: bool, turn: float):
    """Draw a bicycle or a motorcycle, turned by the stretch factor, with or without its rider."""
    rng, face = street.canvas.rng, Face(street.canvas, x, z, stretch=turn)
    reach = abs(turn) * 0.9
    street.canvas.shade(x - reach, x + reach, z - 0.25, z + 0.3)
    colour = jitter(rng, pick(rng, CAR_COLOURS), 14)
    (draw_motorcycle if motor else draw_bicycle)(face, colour)
    if ridden:
        draw_rider(face, rng, 0.98, helmet=motor or rng.random() < 0.4)


def draw_clutter(street: Street, x: float, z: float):
    """Draw a thing that no training class covers: bin, crate, box, pushchair."""
    rng, face = street.canvas.rng, Face(street.canvas, x, z)
    width, height = rng.uniform(0.5, 1.2), rng.uniform(0.7, 1.3)
    colour = jitter(rng, pick(rng, CAR_COLOURS), 14)
    name = "dynamic" if rng.random() < 0.25 else "static"
    street.canvas.shade(x, x + width, z, z + 0.8)
    face.rectangle(0, 0.08, width, height, colour, name)
    face.rectangle(0, height * 0.85, width, height, scaled(colour, 0.7))


# ---------------------------------------------------------------------------------------------
# Putting things into the street
# ---------------------------------------------------------------------------------------------


def distance(rng: np.random.Generator, limits: Range) -> float:
    """Return a distance, uniform on a logarithmic scale: equally many at each apparent size."""
    return float(np.exp(rng.uniform(*np.log(limits))))


def turned(rng: np.random.Generator) -> float:
    """Return the stretch of a figure seen at a random angle, either way round."""
    return float(pick(rng, (-1, 1)) * rng.uniform(0.4, 1.0))


def beside(street: Street, limits: Range) -> tuple[float, float, int]:
    """Return a place on the sidewalk or verge: x, z and the side."""
    rng, side = street.canvas.rng, pick(street.canvas.rng, (-1, 1))
    width = max(street.pavement, 0.8)
    return street.at(side, rng.uniform(0.2, 0.9) * width), distance(rng, limits), side


def crossing_z(street: Street) -> float | None:
    """Return where something may cross: on the side street, if there is one, half of the time."""
    if street.junction is None or street.canvas.rng.random() < 0.5:
        return None
    return float(street.canvas.rng.uniform(street.junction[0] + 1, street.junction[1] - 2))


def put_car(street: Street):
    """Add a moving car to a lane, or one that crosses."""
    rng = street.canvas.rng
    shape, colour = pick(rng, tuple(CAR_SHAPES)), jitter(rng, pick(rng, CAR_COLOURS), 10)
    z = crossing_z(street)
    if z is not None and rng.random() < 0.6:
        x = rng.uniform(-0.45, 0.4) * z
        args = (street, x, z, shape, colour, rng.random() < 0.5)
        if street.reserve_crossing(x, z, 4.3):
            street.add(z, x, functools.partial(draw_crossing_car, *args))
        return
    x, heading = pick(rng, street.lanes)
    z = distance(rng, (6, 60))
    if street.reserve(x, z, z + 4.3):
        x += rng.normal(0, 0.2)
        street.add(z, x, functools.partial(draw_car, street, x, z, heading, shape, colour))


def put_box(street: Street, name: str):
    """Add a bus or a truck to a lane, or one that crosses."""
    rng = street.canvas.rng
    length = rng.uniform(10, 13) if name == "bus" else rng.uniform(7, 13)
    z = crossing_z(street)
    if z is not None:
        x = rng.uniform(-0.4, 0.25) * z
        args = (street, x, z, length, box_style(rng, name, 1))
        if street.reserve_crossing(x, z, length):
            street.add(z, x, functools.partial(draw_crossing_box, *args))
        return
    for _ in range(4):
        x, heading = pick(rng, street.lanes)
        z = distance(rng, (8, 28))
        if street.reserve(x, z, z + length):
            add_box(street, x, z, length, box_style(rng, name, heading))
            return


def put_tram(street: Street):
    """Add a tram, in the street or across it."""
    rng = street.canvas.rng
    style, z, length = box_style(rng, "train", 1), crossing_z(street), rng.uniform(20, 32)
    style["freight"] = False
    if z is not None:
        x = rng.uniform(-0.5, 0.2) * z
        if street.reserve_crossing(x, z, length):
            street.add(z, x, functools.partial(draw_crossing_box, street, x, z, length, style))
        return
    for _ in range(4):
        x, heading = pick(rng, street.lanes)
        z = distance(rng, (9, 24))
        if street.reserve(x, z, z + length):
            for rail in (-0.75, 0.75):
                x0 = x + rail - 0.05
                street.canvas.ground(x0, x0 + 0.1, NEAR, FAR, (150, 148, 146))
            add_box(street, x, z, length, dict(style, heading=heading))
            return


def put_railway_train(street: Street):
    """Add a train to the railway line, two times out of three."""
    rng = street.canvas.rng
    if rng.random() < 0.67:
        x = street.at(street.railway, street.pavement + street.verge) + street.railway * 3
        add_box(street, x, distance(rng, (8, 22)), rng.uniform(30, 60), box_style(rng, "train", -1))


def put_person(street: Street):
    """Add a pedestrian or a small group, mostly on the sidewalk, sometimes crossing."""
    rng = street.canvas.rng
    x, z, _ = beside(street, (6, 40))
    if rng.random() < 0.15:
        x, z = rng.uniform(street.kerbs[-1], street.kerbs[1]), distance(rng, (10, 30))
        if not street.reserve(x, z, z + 0.5):
            return
    for i in range(1 + rng.binomial(2, 0.2)):
        size = float(np.clip(rng.normal(1, 0.07), 0.7, 1.15))
        args = (street, x + 0.6 * i, z + 0.3 * i, size)
        street.add(z + 0.3 * i, x, functools.partial(draw_person, *args))


def put_two_wheeler(street: Street, motor: bool, ridden: bool):
    """Add a bicycle or motorcycle: ridden in a lane or across, or parked on the sidewalk."""
    rng = street.canvas.rng
    if not ridden:
        x, z, _ = beside(street, (6, 22))
        count = 1 + rng.binomial(3, 0.35)
        for i in range(count):
            args = (street, x, z + 0.7 * i, motor, False, turned(rng))
            street.add(z + 0.7 * i, x, functools.partial(draw_two_wheeler, *args))
        return
    x, _ = pick(rng, street.lanes)
    if not motor:  # cyclists keep to the kerb
        side = pick(rng, (-1, 1))
        x = street.at(side, -0.8 - street.parking[side])
    z = distance(rng, (6, 26))
    if street.reserve(x, z, z + 1.8, gap=0.5):
        args = (street, x, z, motor, True, turned(rng))
        street.add(z, x, functools.partial(draw_two_wheeler, *args))


def put_light(street: Street):
    """Add a traffic light, at the side street if there is one."""
    rng = street.canvas.rng
    side = pick(rng, (-1, 1))
    z = distance(rng, (8, 30))
    if street.junction:
        z = pick(rng, (street.junction[0] - 1, street.junction[1] + 1))
    x = street.at(side, 0.5)
    args = (street, x, z, side, rng.random() < 0.4)
    street.add(z, x, functools.partial(draw_light, *args))


def put_sign(street: Street):
    """Add a traffic sign beside the road."""
    side = pick(street.canvas.rng, (-1, 1))
    x, z = street.at(side, 0.7), distance(street.canvas.rng, (6, 30))
    street.add(z, x, functools.partial(draw_sign, street, x, z))


def put_gantry(street: Street):
    """Add a gantry of sign boards."""
    rng = street.canvas.rng
    colour = jitter(rng, pick(rng, ((30, 104, 66), (36, 76, 160))), 8)
    z = distance(rng, (18, 55))
    street.add(z, 0, functools.partial(draw_gantry, street, z, colour))


def put_clutter(street: Street):
    """Add a thing of no training class to the sidewalk."""
    x, z, _ = beside(street, (7, 30))
    street.add(z, x, functools.partial(draw_clutter, street, x, z))


PUT = {
    "car": put_car,
    "bus": functools.partial(put_box, name="bus"),
    "truck": functools.partial(put_box, name="truck"),
    "tram": put_tram,
    "person": put_person,
    "cyclist": functools.partial(put_two_wheeler, motor=False, ridden=True),
    "motorcyclist": functools.partial(put_two_wheeler, motor=True, ridden=True),
    "bicycle": functools.partial(put_two_wheeler, motor=False, ridden=False),
    "motorcycle": functools.partial(put_two_wheeler, motor=True, ridden=False),
    "light": put_light,
    "sign": put_sign,
    "gantry": put_gantry,
    "clutter": put_clutter,
}
LARGE_FIRST = ("tram", "bus", "truck")  # they need room, so they choose it first


def add_parked_cars(street: Street):
    """Queue rows of parked cars."""
    rng = street.canvas.rng
    for side, width in street.parking.items():
        z = rng.uniform(3, 9)
        while width and z < 70:
            if rng.random() < 0.7 and not street.in_junction(z, z + 5):
                x = street.at(side, -width / 2)
                colour = jitter(rng, pick(rng, CAR_COLOURS), 10)
                args = (street, x, z, side, pick(rng, tuple(CAR_SHAPES)), colour)
                street.add(z, x, functools.partial(draw_car, *args))
            z += 5.4


def lay_out(canvas: Canvas, scene: SceneType, palette: Palette) -> Street:
    """Return a street with its lanes, edges and openings, still empty."""
    rng = canvas.rng
    count = int(rng.integers(scene.lanes[0], scene.lanes[1] + 1))
    width, own = scene.lane_width, int(rng.integers(count))
    gap = rng.uniform(1, 3.5) if rng.random() < scene.median else 0.0
    middle = -(own + 0.5) * width  # left edge of the camera's carriageway
    lanes = [(middle + (i + 0.5) * width, 1) for i in range(count)]
    lanes += [(middle - gap - (i + 0.5) * width, -1) for i in range(count)]
    parking = {side: 2.1 if rng.random() < scene.parking else 0.0 for side in (-1, 1)}
    kerbs = {
        -1: middle - gap - count * width - parking[-1],
        1: middle + count * width + parking[1],
    }
    junction = None
    if rng.random() < scene.junction:
        start = distance(rng, (11, 32))
        junction = (start, start + rng.uniform(7, 11))
    street = Street(
        canvas, scene, palette, lanes, kerbs, parking,
        between(rng, scene.pavement), between(rng, scene.verge), between(rng, scene.setback),
        railway=pick(rng, (-1, 1)) if rng.random() < scene.railway else 0,
        median=(middle - gap, middle), junction=junction,
        road=jitter(rng, pick(rng, palette.roads), 8),
    )  # fmt: skip
    return street


def furnish(street: Street):
    """Queue everything that stands in the street."""
    rng, scene = street.canvas.rng, street.scene
    add_buildings(street)
    add_boundaries(street)
    add_trees(street)
    add_lamps(street)
    add_parked_cars(street)
    if street.railway:
        put_railway_train(street)
    for name in sorted(scene.things, key=lambda n: n not in LARGE_FIRST):
        for _ in range(rng.poisson(scene.things[name])):
            PUT[name](street)
    if rng.random() < scene.overpass:
        z, depth = distance(rng, (9, 32)), rng.uniform(8, 20)
        colour = jitter(rng, pick(rng, street.palette.masonry), 10)
        args = (street, z, z + depth, rng.uniform(4.6, 6), colour)
        street.add(z + depth * 0.5, 200, functools.partial(draw_overpass, *args))


def draw_hood(canvas: Canvas):
    """Draw the bonnet of the own car along the lower edge."""
    rng, w, h = canvas.rng, canvas.width, canvas.height
    top, colour = h * rng.uniform(0.9, 0.95), jitter(rng, (40, 42, 46), 10)
    edge = [(w * s, top + h * 0.07 * (2 * s - 1) ** 2) for s in np.linspace(0, 1, 17).tolist()]
    outline = [(0, h), *edge, (w, h)]
    canvas.colour_pen.polygon(outline, fill=tuple(int(c) for c in colour))
    canvas.label_pen.polygon(outline, fill=name2label["ego vehicle"].id)
    shine = [(u, v + h * 0.012) for u, v in edge]
    canvas.colour_pen.line(shine, fill=tuple(int(c * 2.2) for c in colour), width=2)


def class_textures() -> np.ndarray:
    """Return the amplitudes of fine and coarse surface noise by label id, (256, 2) float32."""
    table = np.full((256, 2), OTHER_TEXTURE, np.float32)
    for name, amplitudes in TEXTURES.items():
        table[name2label[name].id] = amplitudes
    return table


def expose(canvas: Canvas, label: np.ndarray, weather: Weather, look: Appearance) -> Image.Image:
    """Return the picture that the domain's renderer or camera takes of the drawing.

    label : np.ndarray, shape (H, W), uint8, Cityscapes label ids; decides the surface noise.
    """
    rng, shape = canvas.rng, label.shape
    pixels = np.asarray(canvas.image.reduce(SUPERSAMPLING), dtype=np.float32)
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


def render(domain: str, width: int, height: int, rng: np.random.Generator):
    """Return one image (RGB), its label map (mode L, label ids) and its scene type."""
    kind, look = pick_weighted(rng, MIXTURES[domain]), APPEARANCE[domain]
    weather = WEATHERS[pick_weighted(rng, look.weathers)]
    canvas = Canvas(width, height, rng, weather)
    street = lay_out(canvas, SCENES[kind], PALETTES[domain])
    draw_sky(canvas, weather)
    draw_ground(street)
    draw_backdrop(street)
    furnish(street)
    for _, _, draw in sorted(street.things, key=lambda thing: thing[:2]):
        draw()
    if rng.random() < look.hood:
        draw_hood(canvas)
    half = SUPERSAMPLING // 2
    label = np.ascontiguousarray(np.asarray(canvas.label)[half::SUPERSAMPLING, half::SUPERSAMPLING])
    return expose(canvas, label, weather, look), Image.fromarray(label), kind


# ---------------------------------------------------------------------------------------------
# Files
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """One image to render: which one it is, and where it goes."""

    domain: str
    split: str
    index: int
    name: str
    image: Path
    label: Path


def list_jobs(folder: Path, counts: dict[tuple[str, str], int]) -> list[Job]:
    """Return all images of the data set; a city's images count up from 000000."""
    jobs = []
    for (domain, split), count in counts.items():
        for i in range(count):
            if domain == "source":
                name = f"{i + 1:05d}"
                image, label = (folder / "source" / k / f"{name}.png" for k in ("images", "labels"))
            else:
                cities = CITIES[split]
                city = cities[i % len(cities)]
                name = f"{city}_{i // len(cities):06d}_000019"
                target = folder / "target"
                image = target / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png"
                label = target / "gtFine" / split / city / f"{name}_gtFine_labelIds.png"
            jobs.append(Job(domain, split, i, name, image, label))
    return jobs


def cityscapes_palette() -> list[int]:
    """Return the Cityscapes colours of label ids 0-255, as PNG wants them."""
    palette = [0] * 768
    for label in cityscapes_labels:
        if label.id >= 0:
            palette[3 * label.id : 3 * label.id + 3] = label.color
    return palette


def render_job(job: Job, seed: int, width: int, height: int) -> str:
    """Render one image into its files and return its scene type."""
    place = (list(SPLITS).index(job.domain), SPLITS[job.domain].index(job.split), job.index)
    rng = np.random.default_rng(np.random.SeedSequence([seed, *place]))
    image, label, kind = render(job.domain, width, height, rng)
    if job.domain == "source":
        label = label.copy()
        label.putpalette(cityscapes_palette())  # turns mode L into mode P, values kept
    image.save(job.image, compress_level=1)
    label.save(job.label, compress_level=6)
    return kind


def render_all(jobs: list[Job], seed: int, width: int, height: int, workers: int) -> list[str]:
    """Render all images and return their scene types, in order."""
    for parent in sorted({path.parent for job in jobs for path in (job.image, job.label)}):
        parent.mkdir(parents=True, exist_ok=True)
    work = functools.partial(render_job, seed=seed, width=width, height=height)
    bar = functools.partial(tqdm, total=len(jobs), unit="image", disable=None)
    if workers == 1:
        return list(bar(map(work, jobs)))
    with multiprocessing.get_context("spawn").Pool(min(workers, len(jobs))) as pool:
        return list(bar(pool.imap(work, jobs, chunksize=4)))


def write_scenes(path: Path, jobs: list[Job], kinds: list[str]):
    """Write which scene type each image shows."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["domain", "split", "id", "scene"])
        for job, kind in zip(jobs, kinds, strict=True):
            writer.writerow([job.domain, job.split, job.name, kind])


def folder_digest(folder: Path) -> tuple[int, str]:
    """Return the number of files and a sha256 over their relative paths and bytes, in order."""
    digest = hashlib.sha256()
    files = sorted((p.relative_to(folder).as_posix(), p) for p in folder.rglob("*") if p.is_file())
    for name, path in files:
        digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return len(files), digest.hexdigest()


def move_into_place(folder: Path, output: Path):
    """Replace an earlier data set by the new one; other files in the output folder stay."""
    output.mkdir(parents=True, exist_ok=True)
    (output / "dataset.json").unlink(missing_ok=True)
    for name in ("source", "target", "scenes.csv"):
        old = output / name
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink(missing_ok=True)
        os.replace(folder / name, old)


def check(argument: str, value: int, least: int, most: int | None = None):
    """End the program with one line if a number is out of range."""
    if value < least or (most is not None and value > most):
        wanted = f"at least {least}" if most is None else f"{least} to {most}"
        raise SystemExit(f"make_demo_data: {argument}: expected {wanted}, found {value}")


def main(
    output: Path,
    seed: int,
    source_images: int,
    target_train_images: int,
    target_tune_images: int,
    target_val_images: int,
    width: int,
    height: int,
    workers: int,
):
    """Render the two-domain data set into a folder; see the module's docstring."""
    counts = {
        ("source", "train"): source_images,
        ("target", "train"): target_train_images,
        ("target", "tune"): target_tune_images,
        ("target", "val"): target_val_images,
    }
    check("--seed", seed, 0)
    check("--source-images", source_images, 1, 99_999)
    for split in SPLITS["target"]:
        check(f"--target-{split}-images", counts["target", split], 1, 999_999)
    check("--width", width, 64, 4096)
    check("--height", height, 64, 4096)
    check("--workers", workers, 1)
    if output.exists() and not output.is_dir():
        raise SystemExit(f"make_demo_data: --output: expected a folder, found the file {output}")
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.parent / f".{output.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        jobs = list_jobs(partial, counts)
        kinds = render_all(jobs, seed, width, height, workers)
        write_scenes(partial / "scenes.csv", jobs, kinds)
        files, digest = folder_digest(partial)
        move_into_place(partial, output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    summary = {
        "seed": seed,
        "images": {f"{domain}_{split}": count for (domain, split), count in counts.items()},
        "width": width,
        "height": height,
        "files": files,
        "sha256": digest,
    }
    draft = output / ".dataset.json.partial"
    draft.write_text(json.dumps(summary, indent=2) + "\n")
    os.replace(draft, output / "dataset.json")


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Render labelled street scenes for two domains: a source in GTA5's folder "
        "layout and a target in Cityscapes' layout. The same arguments give the same bytes.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--output", type=Path, required=True, help="folder to write; replaced where it exists")
    add("--seed", type=int, default=0, help="another seed gives another data set")
    add("--source-images", type=int, default=600, help="labelled images of the source")
    add("--target-train-images", type=int, default=400, help="images of the target to adapt to")
    add("--target-tune-images", type=int, default=100, help="target images to choose settings on")
    add("--target-val-images", type=int, default=100, help="target images to report scores on")
    add("--width", type=int, default=256, help="of every image, in pixels")
    add("--height", type=int, default=128, help="of every image, in pixels")
    add("--workers", type=int, default=2, help="processes; they change the time, not the bytes")
    return parser.parse_args()


if __name__ == "__main__":
    main(**vars(parse_args()))
