"""The kinds of street there are, and how often each occurs in either domain."""

from dataclasses import dataclass

from mada.streets.chance import Range


@dataclass(frozen=True)
class SceneType:
    """How one kind of street is laid out; ranges are drawn from uniformly, per image."""

    lanes: tuple[int, int]  # per direction
    lane_width: float
    pavement: Range  # width of the sidewalk beside the kerb; 0 = none
    verge: Range  # width of the strip of grass or earth beside that
    setback: Range  # from there to the buildings
    ground: str  # class of everything not laid out otherwise
    buildings: tuple[str, ...]  # styles: tower, terrace, house, shed
    built: float  # probability that a plot is built on
    plot: Range  # length of a plot along the road
    floors: tuple[int, int]
    backdrop: tuple[str, ...]  # what closes the view: skyline, forest, hills
    boundaries: dict[str, float]  # class of the line along the plots: probability per side
    boundary_height: Range
    trees: float  # per side and 10 m
    lamps: Range  # metres from one street lamp to the next
    things: dict[str, float]  # mean number per image (Poisson)
    junction: float = 0.0  # probability of a side street
    median: float = 0.0  # probability of a green strip between the directions
    parking: float = 0.0  # probability of a row of parked cars, per side
    railway: float = 0.0  # probability of a railway line beside the road
    overpass: float = 0.0  # probability of a bridge across the road
    cobbles: float = 0.0  # probability of a cobbled road


SCENES = {
    "highway": SceneType(
        (2, 4), 3.7, (0, 0), (2, 7), (14, 30), "terrain", ("shed", "tower"), 0.15, (14, 30),
        (2, 6), ("hills", "forest", "skyline"),
        {"guard rail": 0.45, "wall": 0.3, "fence": 0.12}, (0.8, 3.2), 0.3, (28, 45),
        {"car": 5.5, "truck": 1.0, "bus": 0.2, "motorcyclist": 0.3, "gantry": 0.55, "sign": 0.8},
        median=0.6, overpass=0.12,
    ),
    "uptown": SceneType(
        (1, 3), 3.4, (3, 5.5), (0, 0), (0, 0.4), "sidewalk", ("tower",), 0.95, (11, 24),
        (7, 22), ("skyline",), {}, (1, 1), 0.3, (16, 26),
        {"car": 4.0, "truck": 0.25, "bus": 0.4, "tram": 0.1, "person": 7.0, "cyclist": 0.35,
         "motorcyclist": 0.3, "bicycle": 0.4, "motorcycle": 0.3, "light": 2.6, "sign": 1.4,
         "clutter": 1.2},
        junction=0.55, median=0.1, parking=0.45,
    ),
    "suburb": SceneType(
        (1, 1), 3.6, (1.4, 2.2), (1, 3), (3, 7), "terrain", ("house",), 0.85, (11, 18),
        (1, 2), ("forest", "hills"), {"fence": 0.45, "vegetation": 0.2, "wall": 0.12},
        (0.8, 1.7), 0.55, (24, 36),
        {"car": 2.0, "truck": 0.2, "bus": 0.15, "person": 1.6, "cyclist": 0.4,
         "motorcyclist": 0.15, "bicycle": 0.3, "motorcycle": 0.2, "light": 0.25, "sign": 1.0,
         "clutter": 0.8},
        junction=0.35, parking=0.5,
    ),
    "industrial": SceneType(
        (1, 2), 3.8, (1.5, 2.5), (0.5, 3), (4, 10), "terrain", ("shed",), 0.7, (18, 34),
        (2, 3), ("skyline", "hills"), {"fence": 0.5, "wall": 0.3}, (1.6, 2.8), 0.12, (24, 36),
        {"car": 2.0, "truck": 1.6, "bus": 0.1, "person": 0.8, "cyclist": 0.15,
         "motorcyclist": 0.15, "bicycle": 0.15, "motorcycle": 0.15, "light": 0.3, "sign": 1.2,
         "clutter": 2.5},
        junction=0.25, parking=0.25, railway=0.6, overpass=0.05,
    ),
    "rural": SceneType(
        (1, 1), 3.1, (0, 0), (1, 3), (5, 16), "terrain", ("house",), 0.25, (12, 22),
        (1, 2), ("hills", "forest"), {"wall": 0.22, "fence": 0.3, "vegetation": 0.2},
        (0.8, 1.4), 0.6, (40, 70),
        {"car": 1.5, "truck": 0.35, "bus": 0.15, "person": 0.5, "cyclist": 0.5,
         "motorcyclist": 0.4, "sign": 1.0, "clutter": 0.2},
        junction=0.15, railway=0.1, cobbles=0.1,
    ),
    "boulevard": SceneType(
        (1, 2), 3.4, (3, 5), (1, 2), (0.5, 3), "sidewalk", ("terrace",), 0.95, (10, 18),
        (4, 6), ("forest", "skyline"), {"fence": 0.15, "vegetation": 0.12}, (0.9, 1.3),
        1.1, (20, 30),
        {"car": 3.0, "truck": 0.2, "bus": 0.3, "tram": 0.4, "person": 4.0, "cyclist": 1.3,
         "motorcyclist": 0.25, "bicycle": 1.0, "motorcycle": 0.25, "light": 1.3, "sign": 1.6,
         "clutter": 0.8},
        junction=0.35, median=0.35, parking=0.6,
    ),
    "oldtown": SceneType(
        (1, 1), 2.6, (1.2, 2.6), (0, 0), (0, 0.3), "sidewalk", ("terrace",), 1.0, (6, 11),
        (2, 5), ("skyline",), {}, (1, 1), 0.05, (18, 30),
        {"car": 1.3, "truck": 0.2, "person": 6.0, "cyclist": 0.9, "motorcyclist": 0.4,
         "bicycle": 1.4, "motorcycle": 0.7, "light": 0.3, "sign": 1.3, "clutter": 1.2},
        junction=0.2, parking=0.2, cobbles=0.75,
    ),
    "underpass": SceneType(
        (1, 3), 3.5, (0.8, 1.6), (0, 0), (3, 6), "terrain", ("terrace", "tower"), 0.8, (12, 22),
        (4, 9), ("skyline", "forest"), {"wall": 1.0}, (2.2, 5.0), 0.25, (18, 30),
        {"car": 3.5, "truck": 0.45, "bus": 0.3, "person": 0.4, "cyclist": 0.4,
         "motorcyclist": 0.3, "light": 0.5, "sign": 1.2},
        overpass=0.9,
    ),
}  # fmt: skip

# The game's world is an American city and its motorways; the camera drives through a European
# one.  Every target split draws from the same mixture.
MIXTURES = {
    "source": {
        "highway": 0.29, "uptown": 0.33, "suburb": 0.24, "industrial": 0.08, "rural": 0.03,
        "boulevard": 0.02, "underpass": 0.01,
    },
    "target": {
        "boulevard": 0.25, "oldtown": 0.19, "suburb": 0.16, "uptown": 0.14, "rural": 0.10,
        "industrial": 0.06, "highway": 0.05, "underpass": 0.05,
    },
}  # fmt: skip
