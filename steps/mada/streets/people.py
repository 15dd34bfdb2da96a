"""People on foot, and bicycles and motorcycles with or without their riders."""

import numpy as np

from mada.streets.canvas import Face
from mada.streets.chance import log_between, pick
from mada.streets.colours import CAR_COLOURS, CLOTHES, Colour, jitter, scaled
from mada.streets.street import Street


def draw_person(street: Street, x: float, z: float, size: float):
    """Draw a pedestrian, standing or in stride."""
    rng, face = street.rng, Face(street.canvas, x, z, stretch=size)
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


def add_person(street: Street):
    """Queue a pedestrian or a small group, mostly on the sidewalk, sometimes crossing."""
    rng = street.rng
    x, z = street.beside((6, 40))
    if rng.random() < 0.15:
        x, z = rng.uniform(street.kerbs[-1], street.kerbs[1]), log_between(rng, (10, 30))
        if not street.reserve(x, z, z + 0.5):
            return
    for i in range(1 + rng.binomial(2, 0.2)):
        size = float(np.clip(rng.normal(1, 0.07), 0.7, 1.15))
        street.add(z + 0.3 * i, x, draw_person, x + 0.6 * i, z + 0.3 * i, size)


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
    rng, face = street.rng, Face(street.canvas, x, z, stretch=turn)
    reach = abs(turn) * 0.9
    street.canvas.shade(x - reach, x + reach, z - 0.25, z + 0.3)
    colour = jitter(rng, pick(rng, CAR_COLOURS), 14)
    (draw_motorcycle if motor else draw_bicycle)(face, colour)
    if ridden:
        draw_rider(face, rng, 0.98, helmet=motor or rng.random() < 0.4)


def turned(rng: np.random.Generator) -> float:
    """Return the stretch of a figure seen at a random angle, either way round."""
    return float(pick(rng, (-1, 1)) * rng.uniform(0.4, 1.0))


def add_two_wheeler(street: Street, motor: bool, ridden: bool):
    """Queue a bicycle or motorcycle: ridden in a lane or across, or parked on the sidewalk."""
    rng = street.rng
    if not ridden:
        x, z = street.beside((6, 22))
        count = 1 + rng.binomial(3, 0.35)
        for i in range(count):
            place = (x, z + 0.7 * i)
            street.add(z + 0.7 * i, x, draw_two_wheeler, *place, motor, False, turned(rng))
        return
    x, _ = pick(rng, street.lanes)
    if not motor:  # cyclists keep to the kerb
        side = pick(rng, (-1, 1))
        x = street.at(side, -0.8 - street.parking[side])
    z = log_between(rng, (6, 26))
    if street.reserve(x, z, z + 1.8, gap=0.5):
        street.add(z, x, draw_two_wheeler, x, z, motor, True, turned(rng))
