"""Cars: driving, crossing and parked."""

from mada.streets.canvas import Face
from mada.streets.chance import pick
from mada.streets.colours import CAR_COLOURS, LAMPS, Colour, jitter, scaled
from mada.streets.street import Street

CAR_LENGTH = 4.3  # metres
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
    canvas, length, half = street.canvas, CAR_LENGTH, 0.9
    height, profile = CAR_SHAPES[shape]
    canvas.shade(x - half, x + half, z, z + length)
    if abs(x) > half:
        side = 1 if x > 0 else -1
        face = canvas.wall(x - side * half, z, 0.9)
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
    lamp = LAMPS[heading]
    for s in (-half, half - 0.35):
        face.rectangle(s, belt - 0.3, s + 0.35, belt - 0.1, lamp)


def draw_crossing_car(street: Street, x: float, z: float, shape: str, colour: Colour, flip: bool):
    """Draw a car that crosses the view, seen from its side."""
    street.canvas.shade(x, x + CAR_LENGTH, z, z + 1.8)
    draw_car_side(Face(street.canvas, x, z), shape, CAR_LENGTH, flip, colour)


def add_car(street: Street):
    """Queue a moving car, in a lane or across the view."""
    rng = street.rng
    shape, colour = pick(rng, tuple(CAR_SHAPES)), jitter(rng, pick(rng, CAR_COLOURS), 10)
    z = street.crossing_z()
    if z is not None and rng.random() < 0.6:
        x = rng.uniform(-0.45, 0.4) * z
        flip = rng.random() < 0.5
        if street.reserve_crossing(x, z, CAR_LENGTH):
            street.add(z, x, draw_crossing_car, x, z, shape, colour, flip)
        return
    place = street.free_lane((6, 60), CAR_LENGTH)
    if place:
        x, z, heading = place
        x += rng.normal(0, 0.2)
        street.add(z, x, draw_car, x, z, heading, shape, colour)


def add_parked_cars(street: Street):
    """Queue rows of parked cars."""
    rng = street.rng
    for side, width in street.parking.items():
        z = rng.uniform(3, 9)
        while width and z < 70:
            if rng.random() < 0.7 and not street.in_junction(z, z + 5):
                x = street.at(side, -width / 2)
                colour = jitter(rng, pick(rng, CAR_COLOURS), 10)
                street.add(z, x, draw_car, x, z, side, pick(rng, tuple(CAR_SHAPES)), colour)
            z += 5.4
