"""Trees: beside the road, on the median and on plots that nobody built on."""

import math

import numpy as np

from mada.streets.canvas import Face
from mada.streets.chance import pick
from mada.streets.colours import Colour, jitter, scaled
from mada.streets.street import Street


def draw_tree(street: Street, x: float, z: float, shape: str, colour: Colour, height: float):
    """Draw one tree; trunk and crown are both vegetation."""
    canvas, rng, face = street.canvas, street.rng, Face(street.canvas, x, z)
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
    rng = street.rng
    shape, colour = pick(rng, street.palette.tree_shapes), pick(rng, street.palette.foliage)
    street.add(z, x, draw_tree, x, z, shape, jitter(rng, colour, 10), rng.uniform(5, 10))


def add_trees(street: Street):
    """Queue the trees of both sides, and those of the median."""
    rng, scene = street.rng, street.scene
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
