"""The classes as people and tools see them: names, label ids and colours, unlabelled included."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from mada.labels import CLASS_SETS, UNKNOWN, VOID, class_set, train_id_table

# What CVAT calls the pixels that nobody has painted, and the colour it gives them in its masks.
UNLABELLED = "background"
UNLABELLED_COLOUR = (0, 0, 0)
# The first that no class has is for a class that is black in the table, since masks keep black for
# unlabelled pixels. They are more than classes may be.
_SPARE_COLOURS = tuple(product((255, 0, 128, 192, 64, 32, 224), repeat=3))

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class AnnotationClasses:
    """A class set as it is handed out; a class's position is its training id.

    Attributes
    ----------
    names : tuple of str
        As tools are told them: the table's, but for what the tools could not take.
    ids : tuple of int
        Label id that stands for each class in plain label maps.
    colours : tuple of (red, green, blue)
    void_id : int
        Label id of unlabelled pixels in plain label maps.
    by_id : np.ndarray, shape (256,), int16
        Training id of each label id that may come back, ``UNKNOWN`` for all others.
    by_name : dict
        Training id of each name that may come back, of the table or of the tools.
    """

    names: tuple[str, ...]
    ids: tuple[int, ...]
    colours: tuple[Colour, ...]
    void_id: int
    by_id: np.ndarray
    by_name: dict[str, int]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def by_colour(self) -> dict[Colour, int]:
        """Training id of each colour that may come back."""
        return {UNLABELLED_COLOUR: VOID} | {c: n for n, c in enumerate(self.colours)}

    def label_ids(self, train_ids: np.ndarray) -> np.ndarray:
        """Label ids (H, W) uint8 of training ids (H, W) uint8."""
        return self._looked_up(self.ids, self.void_id)[train_ids]

    def painted(self, train_ids: np.ndarray) -> np.ndarray:
        """Colours (H, W, 3) uint8 of training ids (H, W) uint8."""
        return self._looked_up(self.colours, UNLABELLED_COLOUR)[train_ids]

    def palette(self) -> list[int]:
        """Flat palette of 256 RGB triples that shows label ids in the classes' colours."""
        table = np.zeros((256, 3), np.uint8)
        table[list(self.ids)] = self.colours
        return table.ravel().tolist()

    def _looked_up(self, values: tuple, void: int | Colour) -> np.ndarray:
        table = np.full((256, *np.shape(void)), void, np.uint8)
        table[: len(self)] = values
        return table


def hexadecimal(colour: Colour) -> str:
    """A colour as ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def annotation_classes(classes: str) -> AnnotationClasses:
    """Return the classes of a class set (``mada.labels.class_set``) as they are handed out.

    Label ids are Cityscapes' of a built-in set and the first of each row of a class table, or
    training ids where a row has none.  Of a built-in set only the ids that are handed out may
    come back: training ids, each of which is some Cityscapes id too, would pass otherwise.
    """
    chosen = class_set(classes)
    if classes in CLASS_SETS:
        table = train_id_table("cityscapes-ids", classes)
        ids, void_id = [int(np.argmax(table == n)) for n in range(len(chosen))], 0
        by_id = np.full(256, UNKNOWN, np.int16)
    elif all(chosen.ids):
        ids, by_id = [values[0] for values in chosen.ids], train_id_table("own-ids", classes)
        void_id = _void_id(chosen.void_ids, by_id)
    else:
        ids, by_id = list(range(len(chosen))), train_id_table("train-ids", classes)
        void_id = VOID
    by_id[ids] = np.arange(len(chosen))
    by_id[void_id] = VOID
    names = _tool_names(chosen.names)
    by_name = {UNLABELLED: VOID} | {name: n for n, name in enumerate(chosen.names)}
    if UNLABELLED in chosen.names:  # the tools know this class by another name
        by_name[UNLABELLED] = VOID
    by_name |= {name: n for n, name in enumerate(names)}
    colours = _tool_colours(chosen.colours)
    return AnnotationClasses(names, tuple(ids), colours, void_id, by_id, by_name)


def _void_id(void_ids: tuple[int, ...], by_id: np.ndarray) -> int:
    """The first value that the table calls void, or the largest that it does not name."""
    return void_ids[0] if void_ids else int(np.flatnonzero(by_id == UNKNOWN)[-1])


def _tool_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names without what a label map of CVAT cannot hold, each its own."""
    found: list[str] = []
    for name in names:
        clean = " ".join(name.replace(":", "-").replace(",", " ").split()).lstrip("# ") or "class"
        if clean.casefold() == UNLABELLED:
            clean = f"{clean} (class)"
        while clean in found or (clean != name and clean in names):
            clean += "_"
        found.append(clean)
    return tuple(found)


def _tool_colours(colours: tuple[Colour, ...]) -> tuple[Colour, ...]:
    spare = next(colour for colour in _SPARE_COLOURS if colour not in colours)
    return tuple(spare if colour == UNLABELLED_COLOUR else tuple(colour) for colour in colours)
