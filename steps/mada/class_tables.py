"""The classes of one experiment, and class tables: checked rows of the configuration."""

from dataclasses import dataclass
from pathlib import Path

from cityscapesscripts.helpers.labels import labels as CITYSCAPES_LABELS

from mada.cli import InputError, refuse
from mada.files import read_json

FEWEST, MOST = 2, 254  # classes
KEYS = ("name", "ids", "colour", "cityscapes")
_CITYSCAPES_NAMES = {label.name for label in CITYSCAPES_LABELS}


@dataclass(frozen=True)
class ClassSet:
    """The categories of one experiment; a category's position is its training id."""

    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    members: dict[str, str]  # Cityscapes name -> name in this set; names not listed are void
    ids: tuple[tuple[int, ...], ...]  # in the data set's own label files, by category
    void_ids: tuple[int, ...]  # in the data set's own label files

    def __len__(self) -> int:
        return len(self.names)


def column_name(name: str) -> str:
    """A class's name as part of the name of a table's column."""
    return name.replace(" ", "_")


def checked_class_set(table: object, void_ids: object, where: str) -> ClassSet:
    """Make a class set of a table that must be free of mistakes.

    Parameters
    ----------
    table : list of dict
        A row per category, in order of training id: name, colour (red, green, blue; 0 … 255),
        ids (values in the data set's own label files) and cityscapes (names of the Cityscapes
        classes that it takes in); one of the last two may be left out.
    void_ids : list of int
        Values of the data set's own label files that neither train nor count.
    where : str
        What the table is part of, for the error.

    Raises
    ------
    InputError
        With the list of all mistakes, each with the number of its row.
    """
    refuse(_problems(table, void_ids), where)
    return ClassSet(
        tuple(row["name"] for row in table),
        tuple(tuple(row["colour"]) for row in table),
        {city: row["name"] for row in table for city in row.get("cityscapes", ())},
        tuple(tuple(row.get("ids", ())) for row in table),
        tuple(void_ids),
    )


def read_class_set(path: Path) -> ClassSet:
    """Read a class set as ``write_classes`` writes it; errors as for ``checked_class_set``."""
    if not path.is_file():
        raise InputError(f"{path}: expected a class table, found no file")
    stored = read_json(path)
    if not isinstance(stored, dict) or set(stored) != {"classes", "void_ids"}:
        raise InputError(f"{path}: expected a class table with classes and void_ids, found none")
    return checked_class_set(stored["classes"], stored["void_ids"], str(path))


def as_rows(classes: ClassSet) -> list[dict]:
    """The table of a class set, every key given."""
    return [
        {
            "name": name,
            "ids": list(ids),
            "colour": list(colour),
            "cityscapes": [city for city, own in classes.members.items() if own == name],
        }
        for name, ids, colour in zip(classes.names, classes.ids, classes.colours, strict=True)
    ]


def _problems(table: object, void_ids: object) -> list[str]:
    if not isinstance(table, list):
        return [f"class table: expected a list of classes, found {table!r}"]
    problems = []
    if not FEWEST <= len(table) <= MOST:
        problems.append(f"class table: expected {FEWEST} to {MOST} classes, found {len(table)}")
    if not _are_bytes(void_ids):
        problems.append(f"void ids: expected whole numbers of 0 to 255, found {void_ids!r}")
        void_ids = []
    owners: dict[tuple[str, object], int] = {}  # row that said so first
    for number, row in enumerate(table, start=1):
        wrong, claims = _checked_row(row, void_ids)
        for claim in claims:
            kind, value = claim
            if claim in owners:
                wrong.append(
                    f"expected {kind} of its own, found {value!r}, which row {owners[claim]} has"
                )
            owners.setdefault(claim, number)
        problems += [f"class table: row {number}: {problem}" for problem in wrong]
    if not void_ids and sum(kind == "ids" for kind, _ in owners) == 256:
        problems.append("void ids: expected a value that is no class's, found none left")
    return problems


def _checked_row(row: object, void_ids: list[int]) -> tuple[list[str], list[tuple[str, object]]]:
    """Mistakes of a row by itself, and what it claims that no other row may, kind and value."""
    if not isinstance(row, dict):
        return [f"expected {', '.join(KEYS)}, found {row!r}"], []
    problems = [f"expected {', '.join(KEYS)}, found {key!r}" for key in row if key not in KEYS]
    claims: list[tuple[str, object]] = []
    name, colour = row.get("name"), row.get("colour")
    ids, cities = row.get("ids", []), row.get("cityscapes", [])
    if isinstance(name, str) and name.strip():
        claims.append(("a name", column_name(name)))  # else two classes would share a column
    else:
        problems.append(f"expected a name, found {name!r}")
    if _are_bytes(colour) and len(colour) == 3:
        claims.append(("a colour", tuple(colour)))
    else:
        problems.append(f"expected a colour of three numbers of 0 to 255, found {colour!r}")
    if not ids and not cities:
        problems.append("expected ids, names of Cityscapes classes, or both, found neither")
    if _are_bytes(ids):
        claims += [("ids", value) for value in ids]
        problems += [f"expected ids that are not void, found {v}" for v in ids if v in void_ids]
    else:
        problems.append(f"expected ids of whole numbers of 0 to 255, found {ids!r}")
    if isinstance(cities, list) and all(isinstance(city, str) for city in cities):
        claims += [("Cityscapes classes", city) for city in cities if city in _CITYSCAPES_NAMES]
        problems += [
            f"expected names of Cityscapes classes, found {city!r}"
            for city in cities
            if city not in _CITYSCAPES_NAMES
        ]
    else:
        problems.append(f"expected names of Cityscapes classes, found {cities!r}")
    return problems, claims


def _are_bytes(values: object) -> bool:
    """Whether this is a list of whole numbers of 0 … 255."""
    return isinstance(values, list) and all(
        isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255
        for value in values
    )
