"""How the benchmarks measure: two pieces of work by turns, and a program's memory."""

import re
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path


def elapsed(work: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def by_turns(ours: Callable[[], object], other: Callable[[], object], rounds: int) -> list[float]:
    """Return the median seconds of each and the median of their ratio, ours by the other's.

    Each round times both, one right after the other and each first in turn, so that what else
    the machine does weighs on both alike.  A round before the first is not counted.
    """
    times = []
    for number in range(rounds + 1):
        order = (ours, other) if number % 2 else (other, ours)
        found = {work: elapsed(work) for work in order}
        times.append((found[ours], found[other], found[ours] / found[other]))
    return [statistics.median(column) for column in zip(*times[1:], strict=True)]


def peak_anonymous(command: list[str]) -> tuple[float, int]:
    """Run a program; return its seconds and the most bytes of memory it held that are no file's.

    Pages of mapped files, which the system takes back at need, do not count.

    Raises
    ------
    RuntimeError
        If the program fails.
    """
    start, most = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None:
        looked = time.perf_counter()
        try:
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found = re.search(r"^Anonymous: +(\d+) kB$", rollup, re.MULTILINE)
        most = max(most, int(found[1]) * 1024 if found else 0)
        # Looking at many mapped pages takes long, and the program waits meanwhile.
        time.sleep(max(0.05, 20 * (time.perf_counter() - looked)))
    if process.returncode:
        raise RuntimeError(process.stderr.read().decode())
    return time.perf_counter() - start, most
