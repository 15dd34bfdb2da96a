"""Street furniture: lamps, traffic lights, signs, gantries, bridges and clutter."""

import numpy as np

from mada.streets.canvas import Face
from mada.streets.chance import between, log_between, pick
from mada.streets.colours import CAR_COLOURS, Colour, jitter, scaled
from mada.streets.street import Street

STEEL = (136, 138, 140)
WHITE = (226, 226, 222)


def draw_lamp(street: Street, x: float, z: float, side: int, colour: Colour, height: float):
    """Draw a street lamp, its arm over the road."""
    face = Face(street.canvas, x, z)
    face.rectangle(-0.1, 0, 0.1, height, colour, "pole")
    face.line(0, height, -side * 1.8, height + 0.3, 0.12, colour, "pole")
    face.rectangle(-side * 2.3, height + 0.2, -side * 1.7, height + 0.42, (200, 196, 180), "pole")


def add_lamps(street: Street):
    """Queue street lamps at even distances."""
    rng, colour = street.rng, jitter(street.rng, (112, 114, 114), 22)
    spacing, height = between(rng, street.scene.lamps), rng.uniform(5, 8)
    for side in (-1, 1):
        for z in np.arange(rng.uniform(6, 6 + spacing), 80, spacing).tolist():
            x = street.at(side, 0.6)
            if not street.in_junction(z, z):
                street.add(z, x, draw_lamp, x, z, side, colour, height)


def draw_light(street: Street, x: float, z: float, side: int, overhead: bool):
    """Draw a traffic light on its pole, or hanging from an arm over the road."""
    rng, face = street.rng, Face(street.canvas, x, z)
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


def add_light(street: Street):
    """Queue a traffic light, at the side street if there is one."""
    rng = street.rng
    side = pick(rng, (-1, 1))
    z = log_between(rng, (8, 30))
    if street.junction:
        z = pick(rng, (street.junction[0] - 1, street.junction[1] + 1))
    x = street.at(side, 0.5)
    street.add(z, x, draw_light, x, z, side, rng.random() < 0.4)


def draw_sign(street: Street, x: float, z: float):
    """Draw a traffic sign: disc, triangle, square or direction board, on its pole."""
    rng, face = street.rng, Face(street.canvas, x, z)
    kind, t = pick(rng, ("disc", "triangle", "square", "board")), rng.uniform(2.2, 2.8)
    red, blue = (196, 36, 38), (36, 80, 170)
    face.rectangle(-0.06, 0, 0.06, t + 0.3, (140, 142, 144), "pole")
    if kind == "disc":
        face.ellipse(0, t, 0.45, 0.45, red, "traffic sign")
        face.ellipse(0, t, 0.32, 0.32, pick(rng, (WHITE, WHITE, red, blue)))
    elif kind == "triangle":
        face.polygon(((-0.5, t - 0.4), (0.5, t - 0.4), (0, t + 0.5)), red, "traffic sign")
        face.polygon(((-0.3, t - 0.28), (0.3, t - 0.28), (0, t + 0.24)), WHITE)
    elif kind == "square":
        face.rectangle(-0.4, t - 0.4, 0.4, t + 0.4, blue, "traffic sign")
        face.rectangle(-0.18, t - 0.25, 0.18, t + 0.2, WHITE)
    else:
        colour = pick(rng, ((220, 180, 50), (40, 110, 70), WHITE))
        face.rectangle(-1.0, t - 0.35, 1.0, t + 0.35, colour, "traffic sign")
        face.rectangle(-0.8, t - 0.06, 0.6, t + 0.06, scaled(colour, 0.4))


def add_sign(street: Street):
    """Queue a traffic sign beside the road."""
    side = pick(street.rng, (-1, 1))
    x, z = street.at(side, 0.7), log_between(street.rng, (6, 30))
    street.add(z, x, draw_sign, x, z)


def draw_gantry(street: Street, z: float, colour: Colour):
    """Draw sign boards on a gantry across the carriageway."""
    x0, x1 = street.at(-1, 0.8), street.at(1, 0.8)
    face = Face(street.canvas, 0, z)
    for x in (x0, x1):
        face.rectangle(x - 0.2, 0, x + 0.2, 6.8, STEEL, "pole")
    face.rectangle(x0, 6.1, x1, 6.5, STEEL, "pole")
    for lane, direction in street.lanes:
        if direction > 0:
            face.rectangle(lane - 1.6, 5.3, lane + 1.6, 7.3, colour, "traffic sign")
            face.rectangle(lane - 1.1, 6.5, lane + 0.9, 6.75, WHITE)
            face.rectangle(lane - 1.1, 5.8, lane + 0.3, 6.05, WHITE)


def add_gantry(street: Street):
    """Queue a gantry of sign boards."""
    rng = street.rng
    colour = jitter(rng, pick(rng, ((30, 104, 66), (36, 76, 160))), 8)
    z = log_between(rng, (18, 55))
    street.add(z, 0, draw_gantry, z, colour)


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


def add_overpass(street: Street):
    """Queue a bridge across the road."""
    rng = street.rng
    z, depth = log_between(rng, (9, 32)), rng.uniform(8, 20)
    colour = jitter(rng, pick(rng, street.palette.masonry), 10)
    street.add(z + depth * 0.5, 200, draw_overpass, z, z + depth, rng.uniform(4.6, 6), colour)


def draw_clutter(street: Street, x: float, z: float):
    """Draw a thing that no training class covers: bin, crate, box, pushchair."""
    rng, face = street.rng, Face(street.canvas, x, z)
    width, height = rng.uniform(0.5, 1.2), rng.uniform(0.7, 1.3)
    colour = jitter(rng, pick(rng, CAR_COLOURS), 14)
    name = "dynamic" if rng.random() < 0.25 else "static"
    street.canvas.shade(x, x + width, z, z + 0.8)
    face.rectangle(0, 0.08, width, height, colour, name)
    face.rectangle(0, height * 0.85, width, height, scaled(colour, 0.7))


def add_clutter(street: Street):
    """Queue a thing of no training class on the sidewalk."""
    x, z = street.beside((7, 30))
    street.add(z, x, draw_clutter, x, z)
