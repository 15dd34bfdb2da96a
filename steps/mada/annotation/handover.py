"""Where a run's annotations are handed over, and whether any have come back.

The rules import this module too, so it imports nothing that takes time to load.
"""

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

HANDED_OUT, RETURNED = "handed-out", "returned"  # folders of a run's annotation folder
# What systems leave beside the files that are meant.
_SCRAPS = ("__MACOSX", "Thumbs.db", "desktop.ini")
# Control characters, and what Python makes of bytes that are no text.  Spaces of any kind are
# text: screenshots' names have narrow ones.
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# Beyond so many files a step is better told of their folder alone, and will refuse most such.
MOST_LISTED = 20_000


def is_scrap(name: str) -> bool:
    """Whether a path is a hidden file or what an operating system leaves behind."""
    return any(part.startswith(".") or part in _SCRAPS for part in PurePosixPath(name).parts)


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder but for scraps; links are followed, each folder once."""
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        for path in (Path(place) / name for name in names):
            if path.is_file() and not is_scrap(path.relative_to(folder).as_posix()):
                yield path


def returned_files(folder: Path) -> list[str]:
    """Return the files that annotators put into a folder, in a fixed order; [] if there are none.

    The order is that of their names; names that are no text are left out, and of more than
    ``MOST_LISTED`` files the rest.
    """
    texts = (str(path) for path in files_below(folder) if not _NO_TEXT.search(str(path)))
    return sorted(islice(texts, MOST_LISTED))
