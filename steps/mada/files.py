"""Reading and writing the files that travel between steps: whole or not at all."""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from mada.cli import InputError

TEXT_COLUMNS = ("id", "image_id", "sequence", "image", "label")
INDEX_COLUMNS = ("id", "image", "width", "height", "sequence", "frame")


def _partial(path: Path) -> Path:
    """Where this process writes what is to become ``path``, once its folder is there and rid of
    what killed processes of this host left half written.

    Nothing is known of the processes of other hosts, which may share the file system.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    start = f".{path.name}.{socket.gethostname()}."
    for beside in path.parent.iterdir():
        found = re.fullmatch(rf"{re.escape(start)}(\d+)\.partial", beside.name)
        if found and not _runs(int(found[1])):
            _remove(beside)
    return path.with_name(f"{start}{os.getpid()}.partial")


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another user's
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot do so for a folder.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path``, for a file or a folder, that takes its name when the block ends
    well."""
    path = Path(path)
    partial = _partial(path)
    try:
        yield partial
        # A rename must not outrun the data it names.
        for folder, folders, names in os.walk(partial):
            for name in (*folders, *names):
                _sync(Path(folder, name))
        _sync(partial)
        if path.is_dir() and partial.is_dir():
            shutil.rmtree(path)
        os.replace(partial, path)
        _sync(path.parent)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk's names no file
        raise
    finally:
        _remove(partial)


@contextlib.contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield a fresh directory beside ``path`` that replaces it when the block ends well."""
    with atomic_path(path) as partial:
        _remove(partial)
        partial.mkdir()
        yield partial


def write_npy(path: Path, array: np.ndarray) -> None:
    with atomic_path(path) as partial, open(partial, "wb") as file:
        np.save(file, array)


def read_npy(path: Path, columns: int | None = None, categories: int = 1) -> np.ndarray:
    """Map a two-dimensional float32 array from a ``.npy`` file.

    Parameters
    ----------
    path : Path
    columns : int or None
        Width the rows must have, if known.
    categories : int
        Number of equal blocks the rows must consist of.

    Returns
    -------
    np.ndarray, shape (N, columns), float32, read-only and memory-mapped

    Raises
    ------
    InputError
        If the file is not such an array, or holds a value that is not finite.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{path}: expected a .npy array, found {error}") from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: expected one array, found an archive of arrays")
    if array.ndim != 2 or array.dtype != np.float32:
        raise InputError(
            f"{path}: expected a float32 matrix, found {array.dtype} of shape {array.shape}"
        )
    if columns is not None and array.shape[1] != columns:
        raise InputError(f"{path}: expected rows of {columns} values, found {array.shape[1]}")
    if array.shape[1] % categories:
        raise InputError(
            f"{path}: expected rows of {categories} categories, found {array.shape[1]} values"
        )
    for start in range(0, len(array), 4096):
        finite = np.isfinite(array[start : start + 4096]).all(axis=1)
        if not finite.all():
            row = start + int(np.argmin(finite))
            raise InputError(f"{path}: row {row}: expected finite values, found NaN or infinity")
    return array


def read_features(
    path: Path,
    columns: int | None = None,
    categories: int = 1,
    described: tuple[str, ...] = ("id",),
) -> tuple[np.ndarray, pd.DataFrame]:
    """Map features as ``read_npy`` does, and read the CSV beside them, a row for each image.

    Parameters
    ----------
    described : tuple of str
        Columns that the CSV must have.

    Raises
    ------
    InputError
        As ``read_npy`` and ``read_csv``, or if the two differ in their number of rows.
    """
    features, beside = read_npy(path, columns, categories), path.with_suffix(".csv")
    table = read_csv(beside, described)
    if len(table) != len(features):
        raise InputError(
            f"{beside}: expected {len(features)} rows as in {path}, found {len(table)}"
        )
    return features, table


def write_csv(path: Path, table: pd.DataFrame) -> None:
    with atomic_path(path) as partial:
        table.to_csv(partial, index=False, lineterminator="\n")


def read_csv(path: Path, columns: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a CSV whose ids stay text.

    Raises
    ------
    InputError
        If there is no file, it is not a CSV, or lacks one of ``columns``.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: expected a CSV, found no file")
    try:
        header = pd.read_csv(path, nrows=0).columns
        # Text is exactly what stands there, since an id may be called NA; numbers may be left out.
        table = pd.read_csv(
            path,
            dtype={column: str for column in TEXT_COLUMNS if column in header},
            keep_default_na=False,
            na_values={column: [""] for column in header if column not in TEXT_COLUMNS},
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a CSV, found {error}") from error
    missing = [column for column in columns if column not in table]
    if missing:
        raise InputError(f"{path}: expected columns {', '.join(columns)}, missing {missing}")
    return table


def read_index(path: Path, labels: bool = False) -> pd.DataFrame:
    """Read an index: one row per image, ids unique, at least one row.

    Raises
    ------
    InputError
        If a column is missing, an id stands twice, or there is no row.
    """
    table = read_csv(path, INDEX_COLUMNS + (("label",) if labels else ()))
    if table.empty:
        raise InputError(f"{path}: expected at least one image, found an empty index")
    twice = table.loc[table["id"].duplicated(), "id"]
    if len(twice):
        raise InputError(f"{path}: expected unique ids, found {twice.iloc[0]!r} twice")
    return table


def write_json(path: Path, value: object) -> None:
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")


def read_json(path: Path) -> dict:
    """Read a JSON file.

    Raises
    ------
    InputError
        If there is no file or it is not JSON.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: expected JSON, found no file")
    try:
        return json.loads(Path(path).read_text())
    except ValueError as error:
        raise InputError(f"{path}: expected JSON, found {error}") from error


def sha256(path: Path) -> str:
    """Checksum of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
