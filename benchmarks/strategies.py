"""Time every selection strategy on features of the paper's size, and the memory it takes.

    python benchmarks/strategies.py [--threads 2]

Target images like Cityscapes' 2,975 with 19 x 256 = 4,864 features in a mapped file, 10 source
anchors, a budget of 5 %.  Prints, for each strategy and for all, seconds on the clock and of CPU
time, and the largest memory beyond the mapped file and what the process began with; ends with
status 1 where all together take more than they may.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "steps"))
from mada.acquisition import Pool, load_strategies, ranking
from mada.files import read_npy, write_npy

CATEGORIES, CHANNELS, ANCHORS = 19, 256, 10
SECONDS, GIB = 10, 1  # to hold for all together


def private_bytes() -> int:
    """Memory of this process that no file backs."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024


def measured(work: Callable[[], object]) -> tuple[float, float, int]:
    """Seconds on the clock, seconds of CPU time, and bytes at the peak beyond the start's."""
    start, peak, done = private_bytes(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            peak[0] = max(peak[0], private_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    found = time.perf_counter() - clock, time.process_time() - cpu
    peak[0] = max(peak[0], private_bytes())
    done.set()
    watcher.join()
    return *found, max(0, peak[0] - start)


def synthetic_features(images: int, rng: np.random.Generator) -> np.ndarray:
    """Features around 30 modes, each image without some categories."""
    modes = rng.standard_normal((30, CATEGORIES, CHANNELS), dtype=np.float32)
    features = modes[rng.integers(0, 30, images)]
    features += 0.5 * rng.standard_normal(features.shape, dtype=np.float32)
    features[rng.random((images, CATEGORIES)) < 0.4] = 0
    return features.reshape(images, -1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=2_975)
    args = parser.parse_args()
    faiss.omp_set_num_threads(args.threads)
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.05, 0.95, (args.images, 3))
    table = pd.DataFrame(scores, columns=["entropy", "margin", "source_probability"])
    ids = pd.Series([f"{n:06d}" for n in range(args.images)])
    none = np.zeros(args.images, dtype=bool)
    total = np.zeros(3)
    with tempfile.TemporaryDirectory() as folder:
        write_npy(Path(folder) / "target.npy", synthetic_features(args.images, rng))
        features = read_npy(Path(folder) / "target.npy")
        source = synthetic_features(ANCHORS, rng)
        print("| strategy | s | CPU s | MiB |\n|---|---:|---:|---:|")
        for name, function in sorted(load_strategies().items()):
            anchors = source[:1] if name == "single-centroid" else source
            wanted = args.images // 20
            pool = Pool(features, anchors, table, CATEGORIES, False, 0, wanted, none, none)
            clock, cpu, memory = measured(lambda f=function, p=pool: ranking(ids, *f(p)))
            total += clock, cpu, 0
            total[2] = max(total[2], memory)
            print(f"| {name} | {clock:.2f} | {cpu:.2f} | {memory / 2**20:.0f} |")
    print(f"| all | {total[0]:.2f} | {total[1]:.2f} | {total[2] / 2**20:.0f} |")
    print(f"To hold for all together: {SECONDS} s, {GIB} GiB beyond the mapped features.")
    if total[0] > SECONDS or total[2] > GIB * 2**30:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
