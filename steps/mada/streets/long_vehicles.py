"""Buses, trucks, trams and trains: long boxes, drawn in sections or seen from the side."""

from dataclasses import dataclass, replace

import numpy as np

from mada.streets.canvas import FAR, NEAR, Face
from mada.streets.chance import log_between, pick
from mada.streets.colours import CAR_COLOURS, LAMPS, Colour, jitter, scaled
from mada.streets.street import Street


@dataclass(frozen=True)
class Style:
    """Size and colours of one long vehicle, in metres."""

    name: str  # class: bus, truck or train (trams are trains)
    heading: int  # 1 the camera's direction, -1 oncoming
    freight: bool  # a train without windows
    colour: Colour
    stripe: Colour
    half: float  # of the width
    height: float
    floor: float


def choose_style(rng: np.random.Generator, name: str, heading: int) -> Style:
    """Return size and colours of a bus, a truck or a train."""
    freight = name == "train" and rng.random() < 0.35
    colours = {
        "bus": ((188, 40, 36), (226, 196, 60), (60, 110, 170), (222, 222, 216), (80, 140, 90)),
        "truck": ((222, 220, 214), (170, 172, 176), (64, 94, 150), (170, 60, 44), (190, 160, 90)),
        "train": ((196, 44, 42), (222, 204, 96), (214, 214, 210), (60, 100, 150), (130, 150, 90)),
    }[name]
    return Style(
        name=name,
        heading=heading,
        freight=freight,
        colour=jitter(rng, (126, 78, 58) if freight else pick(rng, colours), 12),
        stripe=pick(rng, CAR_COLOURS),
        half=1.35 if name == "train" else 1.25,
        height={"bus": 3.1, "truck": rng.uniform(3.0, 3.9), "train": 3.9}[name],
        floor={"bus": 0.3, "truck": 0.75, "train": 0.4}[name],
    )


def draw_side(face: Face, length: float, style: Style, wheels: bool = True):
    """Draw the side of a bus, truck or train."""
    name, height, colour, floor = style.name, style.height, style.colour, style.floor
    face.rectangle(0, floor, length, height, colour, name)
    if name == "truck":
        face.rectangle(0, floor, length, floor + 0.25, (50, 50, 54))
        for s in np.arange(1, length, 1.5).tolist():
            face.rectangle(s, floor + 0.3, s + 0.06, height, scaled(colour, 0.85))
    elif style.freight:
        for s in np.arange(0.4, length, 1.2).tolist():
            face.rectangle(s, floor + 0.2, s + 0.15, height - 0.2, scaled(colour, 0.75))
    else:
        pane = scaled(face.canvas.glass, 0.75)
        for s in np.arange(0.3, length - 1, 1.6).tolist():
            face.rectangle(s, height * 0.48, s + 1.35, height * 0.8, pane)
        face.rectangle(0, height * 0.3, length, height * 0.38, style.stripe)
    radius = 0.5 if name != "train" else 0.42
    for s in (1.2, length - 1.2) if wheels or name == "train" else (length - 1.2,):
        face.ellipse(s, radius, radius, radius, (24, 24, 26), name)


def draw_section(street: Street, x: float, z: float, length: float, style: Style, first: bool):
    """Draw one section of a bus, truck or train along the road, and its end if it is the first."""
    canvas, half, height, colour = street.canvas, style.half, style.height, style.colour
    name, floor = style.name, style.floor
    canvas.shade(x - half, x + half, z, z + length)
    if abs(x) > half:
        side = 1 if x > 0 else -1
        wall = canvas.wall(x - side * half, z, 0.92)
        draw_side(wall, length, style, first)
    if not first:
        return
    face = Face(canvas, x, z)
    face.rectangle(-half, floor, half, height, colour, name)
    for s in (-half + 0.1, half - 0.5):
        face.rectangle(s, 0, s + 0.4, floor + 0.1, (22, 22, 24), name)
    face.rectangle(-half, floor, half, floor + 0.35, scaled(colour, 0.5))
    if name != "truck" or style.heading < 0:  # windscreen or rear window
        low, high = (0.45, 0.82) if name != "truck" else (0.4, 0.68)
        pane = scaled(canvas.glass, 0.7)
        face.rectangle(-half + 0.15, height * low, half - 0.15, height * high, pane)
    else:  # doors of the load
        face.rectangle(-0.04, floor + 0.4, 0.04, height - 0.1, scaled(colour, 0.7))
    if name == "bus":
        face.rectangle(-half + 0.3, height * 0.85, half - 0.3, height * 0.95, (30, 30, 26))
        face.rectangle(-half + 0.7, height * 0.87, half - 0.9, height * 0.93, (250, 180, 60))
    lamp = LAMPS[style.heading]
    for s in (-half + 0.1, half - 0.5):
        face.rectangle(s, floor + 0.38, s + 0.4, floor + 0.65, lamp)


def draw_crossing(street: Street, x: float, z: float, length: float, style: Style):
    """Draw a bus, truck or train that crosses the view, seen from its side."""
    street.canvas.shade(x, x + length, z, z + 2.5)
    face = Face(street.canvas, x, z)
    if style.name == "truck":  # the cab stands apart from the load
        cab = replace(style, height=style.height * 0.78, colour=style.stripe)
        draw_side(face, length - 2.4, style)
        front = Face(street.canvas, x + length - 2.2, z)
        draw_side(front, 2.2, cab, wheels=False)
        pane = scaled(street.canvas.glass, 0.7)
        front.rectangle(0.9, cab.height * 0.6, 2.1, cab.height * 0.9, pane)
        return
    draw_side(face, length, style)


def add_sections(street: Street, x: float, z: float, length: float, style: Style):
    """Queue a long vehicle in sections, so that what stands beside it is hidden rightly."""
    sections = max(1, round(length / 6))
    step = length / sections
    for i in range(sections):
        start = z + i * step
        street.add(start, x, draw_section, x, start, step, style, i == 0)


def add_bus_or_truck(street: Street, name: str):
    """Queue a bus or a truck, in a lane or across the view."""
    rng = street.rng
    length = rng.uniform(10, 13) if name == "bus" else rng.uniform(7, 13)
    z = street.crossing_z()
    if z is not None:
        x = rng.uniform(-0.4, 0.25) * z
        style = choose_style(rng, name, 1)
        if street.reserve_crossing(x, z, length):
            street.add(z, x, draw_crossing, x, z, length, style)
        return
    place = street.free_lane((8, 28), length, tries=4)
    if place:
        x, z, heading = place
        add_sections(street, x, z, length, choose_style(rng, name, heading))


def add_tram(street: Street):
    """Queue a tram, in the street or across it."""
    rng = street.rng
    style = replace(choose_style(rng, "train", 1), freight=False)
    z, length = street.crossing_z(), rng.uniform(20, 32)
    if z is not None:
        x = rng.uniform(-0.5, 0.2) * z
        if street.reserve_crossing(x, z, length):
            street.add(z, x, draw_crossing, x, z, length, style)
        return
    place = street.free_lane((9, 24), length, tries=4)
    if place:
        x, z, heading = place
        for rail in (-0.75, 0.75):
            x0 = x + rail - 0.05
            street.canvas.ground(x0, x0 + 0.1, NEAR, FAR, (150, 148, 146))
        add_sections(street, x, z, length, replace(style, heading=heading))


def add_train(street: Street):
    """Queue a train on the railway line, two times out of three."""
    rng = street.rng
    if rng.random() < 0.67:
        z, length = log_between(rng, (8, 22)), rng.uniform(30, 60)
        add_sections(street, street.track(), z, length, choose_style(rng, "train", -1))
