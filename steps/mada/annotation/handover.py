"""Where a run's annotations are handed over, and whether any have come back.

The rules import this module too, so it imports nothing that takes time to load.
"""

import os
from pathlib import Path, PurePosixPath

HANDED_OUT, RETURNED = "handed-out", "returned"  # folders of a run's annotation folder
# What systems leave beside the files that are meant.
_SCRAPS = ("__MACOSX", "Thumbs.db", "desktop.ini")
# Beyond so many files a step is better told of their folder alone, and will refuse most such.
MOST_LISTED = 20_000


def is_scrap(name: str) -> bool:
    """Whether a path is a hidden file or what an operating system leaves behind."""
    return any(part.startswith(".") or part in _SCRAPS for part in PurePosixPath(name).parts)


def returned_files(folder: Path) -> list[str]:
    """Return the files that annotators put into a folder, in a fixed order; [] if there are none.

    The order is that of their names; names that are no text are left out, and of more than
    ``MOST_LISTED`` files the rest.
    """
    found = []
    for place, _, names in os.walk(folder):
        paths = [Path(place) / name for name in names]
        found += [
            str(path)
            for path in paths
            if path.is_file() and not is_scrap(path.relative_to(folder).as_posix())
        ]
        if len(found) > MOST_LISTED:
            break
    return sorted(path for path in found if path.isprintable())[:MOST_LISTED]
