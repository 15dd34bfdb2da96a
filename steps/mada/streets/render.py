"""One image with its labels, from nothing but a domain, a size and a random generator."""

import functools

import numpy as np
from cityscapesscripts.helpers.labels import name2label
from PIL import Image

from mada.streets.appearance import APPEARANCE, WEATHERS, expose
from mada.streets.background import draw_backdrop, draw_sky
from mada.streets.boundaries import add_boundaries
from mada.streets.buildings import add_buildings
from mada.streets.canvas import Canvas
from mada.streets.cars import add_car, add_parked_cars
from mada.streets.chance import pick_weighted
from mada.streets.colours import PALETTES, jitter
from mada.streets.ground import draw_ground
from mada.streets.long_vehicles import add_bus_or_truck, add_train, add_tram
from mada.streets.people import add_person, add_two_wheeler
from mada.streets.roadside import (
    add_clutter,
    add_gantry,
    add_lamps,
    add_light,
    add_overpass,
    add_sign,
)
from mada.streets.scenes import MIXTURES, SCENES
from mada.streets.street import Street, lay_out
from mada.streets.trees import add_trees

ADD = {
    "car": add_car,
    "bus": functools.partial(add_bus_or_truck, name="bus"),
    "truck": functools.partial(add_bus_or_truck, name="truck"),
    "tram": add_tram,
    "person": add_person,
    "cyclist": functools.partial(add_two_wheeler, motor=False, ridden=True),
    "motorcyclist": functools.partial(add_two_wheeler, motor=True, ridden=True),
    "bicycle": functools.partial(add_two_wheeler, motor=False, ridden=False),
    "motorcycle": functools.partial(add_two_wheeler, motor=True, ridden=False),
    "light": add_light,
    "sign": add_sign,
    "gantry": add_gantry,
    "clutter": add_clutter,
}
LARGE_FIRST = ("tram", "bus", "truck")  # they need room, so they choose it first


def furnish(street: Street):
    """Queue everything that stands in the street."""
    rng, scene = street.rng, street.scene
    add_buildings(street)
    add_boundaries(street)
    add_trees(street)
    add_lamps(street)
    add_parked_cars(street)
    if street.railway:
        add_train(street)
    for name in sorted(scene.things, key=lambda n: n not in LARGE_FIRST):
        for _ in range(rng.poisson(scene.things[name])):
            ADD[name](street)
    if rng.random() < scene.overpass:
        add_overpass(street)


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


def render(
    domain: str, width: int, height: int, rng: np.random.Generator
) -> tuple[Image.Image, Image.Image, str]:
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
    drawing, label = canvas.reduced()
    return expose(drawing, label, weather, look, rng), Image.fromarray(label), kind
