"""Folders and zip archives that annotators deliver, read without unpacking anything.

Nothing of an archive is ever written to the disk, so that no name in it can lead anywhere; an
archive with such names is refused all the same, since no tool writes one.
"""

import lzma
import stat
import zipfile
import zlib
from collections.abc import Collection
from itertools import islice
from pathlib import Path, PurePosixPath

from mada.annotation.handover import files_below, is_scrap
from mada.cli import InputError

# Several files an image come back from some tools: one a class, one an instance.
FILES_PER_IMAGE, SPARE_FILES, MOST_FILES = 64, 1000, 40_000
LARGEST_FILE = 1 << 30  # bytes, unpacked; a JSON export of some hundred images takes a tenth
LARGEST_ARCHIVE = 16 << 30  # bytes, unpacked: exports may hold the images too
_READ_ERRORS = (
    *(OSError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(EOFError, RuntimeError, ValueError),
)


def file_limit(images: int) -> int:
    """The most files that may come back for so many images."""
    return min(SPARE_FILES + FILES_PER_IMAGE * images, MOST_FILES)


class Folder:
    """A folder's files by relative path; ``archives`` among them are containers of their own."""

    def __init__(self, root: Path, limit: int):
        self.place = str(root)
        self.root = root
        found = [path.relative_to(root).as_posix() for path in islice(files_below(root), limit + 1)]
        if len(found) > limit:
            raise InputError(f"{root}: expected at most {limit} files, found more")
        self.names = sorted(name for name in found if not name.lower().endswith(".zip"))
        self.archives = [root / name for name in sorted(found) if name.lower().endswith(".zip")]

    def described(self, name: str) -> str:
        """A file as messages call it."""
        return str(self.root / name)

    def read(self, name: str) -> bytes:
        """A file's bytes; InputError if they cannot be had."""
        path = self.root / name
        try:
            if path.stat().st_size > LARGEST_FILE:
                raise InputError(f"{path}: expected at most {LARGEST_FILE} bytes, found more")
            return path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}: expected a readable file, found {error.strerror}") from error


class Archive:
    """A zip archive's files by their path in it.

    Raises
    ------
    InputError
        If it is no zip archive, is encrypted, or holds what an export of a labelling tool never
        does: absolute paths, ``..``, links, the same name twice, too many files or bytes.
    """

    archives: Collection[Path] = ()

    def __init__(self, path: Path, limit: int):
        self.place = str(path)
        try:
            self.file = zipfile.ZipFile(path)
            entries = self.file.infolist()
        except _READ_ERRORS as error:
            raise InputError(f"{path}: expected a zip archive, found {error}") from error
        if len(entries) > limit:
            raise InputError(f"{path}: expected at most {limit} files, found {len(entries)}")
        size = 0
        seen = set()
        for entry in entries:
            wrong = _mischief(entry)
            if entry.filename in seen:
                wrong = "the same name twice"
            if wrong:
                raise InputError(f"{path}: expected an export of a labelling tool, found {wrong}")
            seen.add(entry.filename)
            size += entry.file_size
        if size > LARGEST_ARCHIVE:
            raise InputError(
                f"{path}: expected at most {LARGEST_ARCHIVE} bytes unpacked, found {size} declared"
            )
        self.names = sorted(
            entry.filename
            for entry in entries
            if not entry.is_dir() and not is_scrap(entry.filename)
        )

    def described(self, name: str) -> str:
        """A file as messages call it."""
        return f"{self.place}: {name}"

    def read(self, name: str) -> bytes:
        """A file's bytes, at most as many as it declares; InputError if they cannot be had."""
        try:
            return self.file.read(name)
        except _READ_ERRORS as error:
            raise InputError(
                f"{self.described(name)}: expected a readable file, found {error}"
            ) from error


Container = Folder | Archive


def _mischief(entry: zipfile.ZipInfo) -> str | None:
    """What is wrong with an entry of an archive, if anything."""
    name = entry.filename.replace("\\", "/")
    parts = PurePosixPath(name).parts
    if name.startswith("/") or name[1:2] == ":":
        return f"the absolute path {entry.filename!r}"
    if ".." in parts:
        return f"a path that leads out of it, {entry.filename!r}"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return f"the link {entry.filename!r}"
    if entry.flag_bits & 0x1:
        return f"the encrypted file {entry.filename!r}"
    if entry.file_size > LARGEST_FILE:
        return f"{entry.filename!r} of {entry.file_size} bytes, {LARGEST_FILE} at most"
    return None


def containers(folder: Path, images: int) -> tuple[list[Container], list[str]]:
    """The folder itself and every archive in it, and what is wrong with those that are left out."""
    limit = file_limit(images)
    try:
        found: list[Container] = [Folder(folder, limit)]
    except InputError as error:
        return [], [str(error)]
    problems = []
    for path in found[0].archives:
        try:
            found.append(Archive(path, limit))
        except InputError as error:
            problems.append(str(error))
    return [one for one in found if one.names], problems
