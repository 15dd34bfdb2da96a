"""Files appear whole or not at all, and what does not hold what it should is refused."""

import errno
import hashlib
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mada import files
from mada.cli import InputError
from mada.files import (
    atomic_directory,
    atomic_path,
    read_csv,
    read_features,
    read_index,
    read_json,
    read_npy,
    sha256,
    write_csv,
    write_json,
    write_npy,
)
from tiny import STEPS, Code


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_file_takes_its_name_when_the_block_ends(tmp_path):
    with atomic_path(tmp_path / "new" / "a.txt") as partial:
        partial.write_text("whole")
        assert not (tmp_path / "new" / "a.txt").exists()
    assert contents(tmp_path) == {"new/a.txt": b"whole"}


@pytest.mark.parametrize("before", [{}, {"a.txt": b"old"}])
def test_failure_leaves_the_old_file_and_no_partial_one(tmp_path, before):
    for name, data in before.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "a.txt") as partial:
        partial.write_text("half")
        raise RuntimeError
    assert contents(tmp_path) == before


@pytest.mark.parametrize("whole", [atomic_path, atomic_directory])
def test_a_full_disk_is_told_with_the_name_of_what_was_written(tmp_path, whole):
    with pytest.raises(OSError) as error, whole(tmp_path / "a"), open("/dev/full", "w") as file:
        file.write("no room")
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(tmp_path / "a"))
    assert contents(tmp_path) == {}


def test_directory_is_replaced_as_a_whole(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "stale.txt").write_text("old")
    with atomic_directory(tmp_path / "d") as partial:
        (partial / "fresh.txt").write_text("new")
        assert contents(tmp_path / "d") == {"stale.txt": b"old"}
    assert contents(tmp_path) == {"d/fresh.txt": b"new"}


def test_failure_leaves_the_old_directory_and_no_partial_one(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "stale.txt").write_text("old")
    with pytest.raises(RuntimeError), atomic_directory(tmp_path / "d") as partial:
        (partial / "fresh.txt").write_text("new")
        raise RuntimeError
    assert contents(tmp_path) == {"d/stale.txt": b"old"}
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


# Writes a half, says so, and waits to be killed.
KILLED = """
import sys
from pathlib import Path
from mada import files
with getattr(files, sys.argv[1])(Path(sys.argv[2])) as partial:
    (partial / "half" if partial.is_dir() else partial).write_text("half")
    print("written", flush=True)
    sys.stdin.read()
"""


def writer(whole, path: Path) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, whole.__name__, path],
        env=os.environ | {"PYTHONPATH": str(STEPS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"written\n"
    return process


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def written(whole, path: Path) -> set[str]:
    """Write a file or folder; return what stood beside it meanwhile."""
    with whole(path) as partial:
        if whole is atomic_path:
            partial.touch()
        return names(path.parent)


@pytest.mark.parametrize("whole", [atomic_path, atomic_directory])
def test_what_a_killed_process_left_half_written_goes_when_it_is_written_again(tmp_path, whole):
    with writer(whole, tmp_path / "a[1].x") as process:
        (half,) = names(tmp_path)
        assert half in written(whole, tmp_path / "a[1].x")  # its process lives
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert names(tmp_path) == {half, "a[1].x"}
    # Of another file, and of another host, whose processes cannot be asked.
    others = {half.replace("a[1]", "b[1]"), f".a[1].x.not-{half.removeprefix('.a[1].x.')}"}
    for name in others:
        (tmp_path / name).touch()
    assert half not in written(whole, tmp_path / "a[1].x")
    assert names(tmp_path) == {"a[1].x", *others}


@pytest.mark.parametrize("whole", [atomic_path, atomic_directory])
def test_everything_is_on_the_disk_before_it_takes_its_name_and_the_name_after(
    tmp_path, whole, monkeypatch
):
    events, sync, replace = [], os.fsync, os.replace

    def synced(descriptor):
        events.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        sync(descriptor)

    def renamed(before, after):
        events.append("renamed")
        replace(before, after)

    monkeypatch.setattr(files.os, "fsync", synced)
    monkeypatch.setattr(files.os, "replace", renamed)
    wanted = []
    with whole(tmp_path / "a") as partial:
        if whole is atomic_directory:
            (partial / "b" / "c").mkdir(parents=True)
            wanted = [partial / "b", partial / "b" / "c", partial / "b" / "c" / "d"]
        [partial, *wanted][-1].write_text("text")
    before, after = events[: events.index("renamed")], events[events.index("renamed") + 1 :]
    assert sorted(before) == sorted(map(str, [partial, *wanted]))
    assert after == [str(tmp_path)]


def test_array_that_cannot_be_written_leaves_no_trace(tmp_path):
    write_npy(tmp_path / "a.npy", np.float32([[1, 2]]))
    before = contents(tmp_path)

    class Unwritable:
        def __array__(self, *_args, **_kwargs):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_npy(tmp_path / "a.npy", Unwritable())
    assert contents(tmp_path) == before


def test_matrix_round_trip(tmp_path):
    matrix = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    write_npy(tmp_path / "a.npy", matrix)
    assert np.array_equal(read_npy(tmp_path / "a.npy", columns=3), matrix)


def test_value_that_is_not_finite_is_named_by_its_row(tmp_path):
    matrix = np.zeros((5000, 2), np.float32)
    for row, value in ((4998, np.nan), (4999, np.inf)):
        matrix[row, 1] = value
    write_npy(tmp_path / "a.npy", matrix)
    with pytest.raises(InputError, match=r"a\.npy: row 4998: expected finite"):
        read_npy(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((4, 3), np.float64), "float32 matrix, found float64"),
        (np.zeros((4, 3), np.int32), "float32 matrix, found int32"),
        (np.zeros(12, np.float32), r"float32 matrix, found float32 of shape \(12,\)"),
        (np.zeros((4, 2), np.float32), "rows of 3 values, found 2"),
        (np.array([[None, 1, "a"]], dtype=object), r"a\.npy: expected"),
    ],
    ids=["float64", "int32", "one axis", "width", "objects"],
)
def test_other_array_is_refused(tmp_path, array, reason):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=reason):
        read_npy(tmp_path / "a.npy", columns=3)


def test_array_cut_off_anywhere_is_refused(tmp_path):
    write_npy(tmp_path / "a.npy", np.ones((20, 3), np.float32))
    whole = (tmp_path / "a.npy").read_bytes()
    for length in (0, 5, 11, 100, 128, 129, len(whole) // 2, len(whole) - 1):
        (tmp_path / "a.npy").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"a\.npy: expected"):
            read_npy(tmp_path / "a.npy")


def test_pickled_code_is_refused_and_does_not_run(tmp_path):
    (tmp_path / "a.npy").write_bytes(pickle.dumps(Code(tmp_path / "ran")))
    with pytest.raises(InputError, match=r"a\.npy: expected"):
        read_npy(tmp_path / "a.npy")
    assert not (tmp_path / "ran").exists()


def test_archive_of_arrays_is_refused(tmp_path):
    with open(tmp_path / "a.npy", "wb") as file:
        np.savez(file, np.zeros((4, 3), np.float32))
    with pytest.raises(InputError, match=r"a\.npy: expected"):
        read_npy(tmp_path / "a.npy")


def test_ids_stay_text_whatever_they_look_like(tmp_path):
    table = pd.DataFrame({"id": ["007", "1e3", "NA"], "value": [1, 2, 3]})
    write_csv(tmp_path / "a.csv", table)
    assert read_csv(tmp_path / "a.csv", ("id", "value"))["id"].tolist() == ["007", "1e3", "NA"]


def test_missing_column_is_named(tmp_path):
    write_csv(tmp_path / "a.csv", pd.DataFrame({"id": ["a"]}))
    with pytest.raises(InputError, match=r"a\.csv: .*missing \['rank'\]"):
        read_csv(tmp_path / "a.csv", ("id", "rank"))


def test_no_file_and_an_empty_one_are_no_csv(tmp_path):
    with pytest.raises(InputError, match=r"a\.csv: expected a CSV, found no file"):
        read_csv(tmp_path / "a.csv")
    (tmp_path / "a.csv").touch()
    with pytest.raises(InputError, match=r"a\.csv: expected a CSV"):
        read_csv(tmp_path / "a.csv")


def test_features_have_as_many_rows_as_the_csv_beside_them(tmp_path):
    write_npy(tmp_path / "a.npy", np.ones((2, 3), np.float32))
    with pytest.raises(InputError, match=r"a\.csv: expected a CSV, found no file"):
        read_features(tmp_path / "a.npy")
    write_csv(tmp_path / "a.csv", pd.DataFrame({"id": ["a", "b"]}))
    features, table = read_features(tmp_path / "a.npy", columns=3, categories=3)
    assert features.tolist() == [[1, 1, 1]] * 2 and table["id"].tolist() == ["a", "b"]
    with pytest.raises(InputError, match=r"a\.csv: .*missing \['entropy'\]"):
        read_features(tmp_path / "a.npy", described=("id", "entropy"))
    write_csv(tmp_path / "a.csv", pd.DataFrame({"id": ["a", "b", "c"]}))
    with pytest.raises(InputError, match=r"a\.csv: expected 2 rows as in .*a\.npy, found 3"):
        read_features(tmp_path / "a.npy")


INDEX = pd.DataFrame(
    {"id": ["a", "b"], "image": ["a.png", "b.png"], "width": 4, "height": 3, "sequence": "s"}
).assign(frame=0)


def test_index_needs_images_unique_ids_and_labels_where_asked_for(tmp_path):
    write_csv(tmp_path / "good.csv", INDEX)
    assert read_index(tmp_path / "good.csv")["id"].tolist() == ["a", "b"]
    with pytest.raises(InputError, match=r"good\.csv: .*missing \['label'\]"):
        read_index(tmp_path / "good.csv", labels=True)
    write_csv(tmp_path / "empty.csv", INDEX[:0])
    with pytest.raises(InputError, match=r"empty\.csv: .*found an empty index"):
        read_index(tmp_path / "empty.csv")
    write_csv(tmp_path / "twice.csv", pd.concat([INDEX, INDEX[1:]]))
    with pytest.raises(InputError, match=r"twice\.csv: .*found 'b' twice"):
        read_index(tmp_path / "twice.csv")


def test_json_round_trip_does_not_depend_on_the_order_of_keys(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, None], "a": 0.5})
    write_json(tmp_path / "b.json", {"a": 0.5, "b": [1, None]})
    assert read_json(tmp_path / "a.json") == {"a": 0.5, "b": [1, None]}
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    (tmp_path / "a.json").write_text('{"a": ')
    with pytest.raises(InputError, match=r"a\.json: expected JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(InputError, match=r"c\.json: expected JSON, found no file"):
        read_json(tmp_path / "c.json")


def test_checksum_is_sha256_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
