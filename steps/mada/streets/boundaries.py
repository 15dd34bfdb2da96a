"""What separates road and plots: walls, fences, hedges and guard rails."""

import numpy as np

from mada.streets.canvas import NEAR
from mada.streets.chance import between, pick
from mada.streets.colours import Colour, jitter, scaled
from mada.streets.street import Street


def draw_boundary(
    street: Street,
    x: float,
    z0: float,
    z1: float,
    name: str,
    colour: Colour,
    height: float,
    solid: bool,
):
    """Draw one stretch of a wall, fence, hedge or guard rail along the road."""
    canvas = street.canvas
    z0 = max(z0, NEAR)
    length = z1 - z0
    face = canvas.wall(x, z0)
    if name == "guard rail":
        for s in np.arange(0, length, 2).tolist():
            face.rectangle(s, 0, s + 0.12, 0.75, scaled(colour, 0.7), name)
        face.rectangle(0, 0.45, length, 0.8, colour, name)
    elif name == "fence":
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
        if solid:  # masonry courses
            for t in np.arange(0.4, height, 0.4).tolist():
                face.rectangle(0, t, length, t + 0.05, scaled(colour, 0.78))
        else:  # concrete panels
            face.rectangle(0, 0, 0.12, height, scaled(colour, 0.75))
        face.rectangle(0, height - 0.15, length, height, scaled(colour, 1.15))


def add_boundaries(street: Street):
    """Queue what separates road and plots, in stretches of five metres."""
    rng, scene = street.rng, street.scene
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
        colours = {
            "wall": street.palette.masonry,
            "fence": (metal,),
            "guard rail": ((164, 168, 172),),
            "vegetation": street.palette.foliage,
        }[name]
        colour = jitter(rng, pick(rng, colours), 10)
        height = 0.9 if side == street.railway else between(rng, scene.boundary_height)
        style = (name, colour, height, rng.random() < 0.45)
        x = street.at(side, street.pavement + street.verge)
        for z in np.arange(-2, 75, 5).tolist():
            if z + 5 > NEAR and not street.in_junction(z, z + 5):
                street.add(z + 5, x, draw_boundary, x, z, z + 5, *style)
