"""One street: its lanes, kerbs and openings, who stands where, and what is yet to be drawn."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mada.streets.canvas import FAR, NEAR, Canvas
from mada.streets.chance import Range, between, log_between, pick
from mada.streets.colours import Colour, Palette, jitter
from mada.streets.scenes import SceneType


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

    @property
    def rng(self) -> np.random.Generator:
        """The one source of chance; whoever draws from it is part of the order of draws."""
        return self.canvas.rng

    def at(self, side: int, offset: float) -> float:
        """Return x at a distance outside the kerb."""
        return self.kerbs[side] + side * offset

    def frontage(self, side: int) -> float:
        """Return x where plots begin."""
        room = 6.5 if side == self.railway else 0.0
        return self.at(side, self.pavement + self.verge + self.setback + room)

    def add(self, z: float, x: float, draw: Callable, *args):
        """Queue draw(street, *args): far things are drawn first, outer before inner ones."""
        self.things.append((-z, -abs(x), functools.partial(draw, self, *args)))

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

    def open_stretches(self) -> list[tuple[float, float]]:
        """Return the stretches of the road, z from and to, that no side street crosses."""
        if self.junction is None:
            return [(NEAR, FAR)]
        return [(NEAR, self.junction[0]), (self.junction[1], FAR)]

    def track(self) -> float:
        """Return x of the middle of the railway line."""
        return self.at(self.railway, self.pavement + self.verge) + self.railway * 3

    def free_lane(self, distances: Range, length: float, tries: int = 1):
        """Claim room in a lane; return x, z and direction, or None where no try finds any."""
        for _ in range(tries):
            x, heading = pick(self.rng, self.lanes)
            z = log_between(self.rng, distances)
            if self.reserve(x, z, z + length):
                return x, z, heading
        return None

    def beside(self, distances: Range) -> tuple[float, float]:
        """Return a place on the sidewalk or verge: x and z."""
        side = pick(self.rng, (-1, 1))
        width = max(self.pavement, 0.8)
        return self.at(side, self.rng.uniform(0.2, 0.9) * width), log_between(self.rng, distances)

    def crossing_z(self) -> float | None:
        """Return where to cross: on the side street, if there is one, half of the time."""
        if self.junction is None or self.rng.random() < 0.5:
            return None
        return float(self.rng.uniform(self.junction[0] + 1, self.junction[1] - 2))


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
        start = log_between(rng, (11, 32))
        junction = (start, start + rng.uniform(7, 11))
    return Street(
        canvas, scene, palette, lanes, kerbs, parking,
        between(rng, scene.pavement), between(rng, scene.verge), between(rng, scene.setback),
        railway=pick(rng, (-1, 1)) if rng.random() < scene.railway else 0,
        median=(middle - gap, middle), junction=junction,
        road=jitter(rng, pick(rng, palette.roads), 8),
    )  # fmt: skip
