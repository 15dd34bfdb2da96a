"""The ground: sidewalks, verges, the railway line, the road and what is painted on it."""

import itertools

import numpy as np

from mada.streets.canvas import FAR, NEAR
from mada.streets.chance import pick
from mada.streets.colours import Colour, jitter, scaled
from mada.streets.street import Street


def draw_ground(street: Street):
    """Lay the ground, the strips beside the road, the road itself and its markings."""
    canvas, scene, rng, palette = street.canvas, street.scene, street.rng, street.palette
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
            draw_track(street)
    if street.junction:
        canvas.ground(-120, 120, *street.junction, street.road, "road")
    canvas.ground(street.kerbs[-1], street.kerbs[1], NEAR, FAR, street.road, "road")
    draw_road_surface(street)
    draw_markings(street)
    if street.pavement:
        for side in (-1, 1):
            kerb = scaled(surfaces["sidewalk"], 1.15)
            for z0, z1 in street.open_stretches():
                x = street.at(side, 0)
                canvas.ground(x, x + side * 0.22, z0, z1, kerb, "sidewalk")
    if street.median[1] > street.median[0]:
        for z0, z1 in street.open_stretches():
            canvas.ground(*street.median, z0, z1, surfaces["terrain"], "terrain")


def draw_paving(street: Street, x0: float, x1: float, colour: Colour):
    """Draw the joints between paving slabs."""
    canvas, z = street.canvas, 4.0
    for _ in range(9):
        canvas.ground(x0, x1, z, z + 0.05 * z / 4, scaled(colour, 0.8))
        z *= 1.2


def draw_track(street: Street):
    """Lay a railway line: ballast, sleepers and two rails."""
    canvas, rng, x = street.canvas, street.rng, street.track()
    canvas.ground(x - 2.1, x + 2.1, NEAR, FAR, jitter(rng, (112, 100, 90), 8), "rail track")
    for z in np.arange(4, 40, 1.5).tolist():
        canvas.ground(x - 1.3, x + 1.3, z, z + 0.35, (78, 66, 58))
    for rail in (-0.75, 0.75):
        canvas.ground(x + rail - 0.06, x + rail + 0.06, NEAR, FAR, (170, 166, 160))


def draw_road_surface(street: Street):
    """Vary the road: cobbles, patches of newer asphalt, darker wheel tracks."""
    canvas, rng = street.canvas, street.rng
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
    canvas, rng, lanes = street.canvas, street.rng, sorted(street.lanes)
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
            for z0, z1 in street.open_stretches():
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
