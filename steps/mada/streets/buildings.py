"""Buildings: towers, terraces, sheds and houses, plot by plot along the road."""

import numpy as np

from mada.streets.canvas import NEAR, Face
from mada.streets.chance import between, pick
from mada.streets.colours import CAR_COLOURS, Colour, jitter, scaled
from mada.streets.street import Street
from mada.streets.trees import add_tree


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
    canvas, rng, x = street.canvas, street.rng, street.frontage(side)
    storey = 5.0 if style == "shed" else rng.uniform(2.9, 3.6)
    height = storey * rng.integers(street.scene.floors[0], street.scene.floors[1] + 1)
    colour = jitter(rng, pick(rng, street.palette.facades), 12)
    z0 = max(z0, NEAR)
    end = Face(canvas, min(x, x + side * 14), z0)
    wall = canvas.wall(x, z0)
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
    rng = street.rng
    for s in np.arange(0.8, length, 1.6).tolist():
        wall.rectangle(s, 0, s + 0.25, 4.6, scaled(colour, 0.9))
    for s in np.arange(2, length - 4, 7).tolist():
        if rng.random() < 0.6:
            wall.rectangle(s, 0, s + 4, 4, jitter(rng, (110, 112, 116), 26))


def draw_shops(street: Street, wall: Face, length: float):
    """Draw a ground floor of shop windows under a coloured board."""
    rng = street.rng
    board = jitter(rng, pick(rng, CAR_COLOURS), 16)
    wall.rectangle(0, 0, length, 3.2, scaled(board, 0.6))
    wall.rectangle(0, 2.6, length, 3.2, board)
    for s in np.arange(0.5, length - 2, 3.2).tolist():
        wall.rectangle(s, 0.5, s + 2.5, 2.5, scaled(street.canvas.glass, rng.uniform(0.6, 1.3)))


def draw_house(street: Street, side: int, z0: float, z1: float):
    """Draw a detached house with a pitched roof, its ridge along or across the road."""
    canvas, rng, x = street.canvas, street.rng, street.frontage(side)
    length = min(z1 - z0 - 2, rng.uniform(8, 12))
    depth, rise = rng.uniform(8, 11), rng.uniform(2.2, 4)
    height = 2.9 * rng.integers(street.scene.floors[0], street.scene.floors[1] + 1) + 0.3
    colour = jitter(rng, pick(rng, street.palette.facades), 14)
    roof = jitter(rng, pick(rng, street.palette.roofs), 12)
    z0 = max(z0, NEAR)
    z1 = max(z0 + length, z0 + 1)
    back = x + side * depth
    end = Face(canvas, min(x, back), z0)
    wall = canvas.wall(x, z0)
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
    rng, scene = street.rng, street.scene
    for side in (-1, 1):
        z = rng.uniform(-12, 2)
        while z < 110:
            length = between(rng, scene.plot)
            if rng.random() < scene.built and not street.in_junction(z, z + length):
                style = pick(rng, scene.buildings)
                if z + length > NEAR + 3:
                    place = (side, z, z + length)
                    if style == "house":
                        street.add(z + length, street.frontage(side), draw_house, *place)
                    else:
                        street.add(z + length, street.frontage(side), draw_block, *place, style)
            elif rng.random() < scene.trees:
                x = street.frontage(side) + side * rng.uniform(1, 8)
                add_tree(street, x, max(z, 6) + length / 2)
            z += length + (rng.uniform(1, 4) if scene.buildings == ("house",) else 0)
