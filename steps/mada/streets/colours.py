"""Colours, and the palettes of the two domains."""

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]  # RGB, 0-255


@dataclass(frozen=True)
class Palette:
    """The colours things are made of, before light and camera."""

    facades: tuple[Colour, ...]
    roofs: tuple[Colour, ...]
    roads: tuple[Colour, ...]
    pavements: tuple[Colour, ...]
    foliage: tuple[Colour, ...]
    terrain: tuple[Colour, ...]
    masonry: tuple[Colour, ...]
    centre_line: Colour
    tree_shapes: tuple[str, ...]


PALETTES = {
    "source": Palette(
        facades=((172, 166, 155), (206, 186, 150), (112, 138, 158), (218, 214, 206),
                 (186, 136, 106), (140, 132, 122)),
        roofs=((120, 90, 75), (95, 95, 98), (150, 110, 85)),
        roads=((112, 110, 108), (98, 97, 97), (124, 121, 116)),
        pavements=((176, 170, 160), (160, 156, 150), (188, 180, 165)),
        foliage=((62, 108, 44), (80, 122, 48), (52, 92, 50), (96, 116, 54)),
        terrain=((120, 142, 62), (172, 152, 96), (142, 134, 78), (96, 132, 56)),
        masonry=((178, 172, 160), (150, 140, 128), (190, 165, 135)),
        centre_line=(214, 176, 60),
        tree_shapes=("round", "round", "palm", "cone"),
    ),
    "target": Palette(
        facades=((138, 78, 62), (164, 100, 74), (206, 184, 128), (214, 204, 178),
                 (198, 162, 146), (136, 130, 122), (176, 184, 172)),
        roofs=((134, 66, 48), (78, 74, 78), (108, 62, 50)),
        roads=((82, 84, 88), (96, 96, 98), (70, 72, 76)),
        pavements=((138, 134, 132), (152, 144, 138), (122, 122, 124)),
        foliage=((74, 98, 48), (112, 110, 44), (142, 106, 44), (92, 88, 60), (56, 78, 46)),
        terrain=((92, 112, 62), (118, 112, 76), (80, 100, 54), (122, 104, 78)),
        masonry=((122, 112, 102), (142, 92, 74), (128, 128, 124)),
        centre_line=(214, 214, 210),
        tree_shapes=("round", "round", "cone", "sparse"),
    ),
}  # fmt: skip

CAR_COLOURS = (
    (222, 222, 222), (28, 28, 32), (120, 122, 126), (172, 176, 180), (150, 28, 30), (34, 58, 120),
    (60, 84, 70), (196, 172, 60), (122, 90, 66), (80, 130, 170),
)  # fmt: skip
CLOTHES = (
    (40, 44, 60), (120, 30, 34), (190, 186, 176), (60, 80, 120), (70, 90, 60), (200, 150, 60),
    (30, 30, 32), (140, 110, 90), (160, 80, 110),
)  # fmt: skip
LAMPS = {1: (190, 24, 24), -1: (244, 240, 220)}  # by heading: tail lamps, headlamps


def jitter(rng: np.random.Generator, colour: Colour, amount: float = 14) -> Colour:
    """Return a colour near to the one given: a common shift and a smaller one per channel."""
    shift = rng.normal(0, amount) + rng.normal(0, amount / 3, 3)
    return tuple(float(c) for c in np.clip(np.add(colour, shift), 4, 250))


def scaled(colour: Colour, factor: float) -> Colour:
    """Return a colour made darker or brighter."""
    return tuple(min(255.0, c * factor) for c in colour)
