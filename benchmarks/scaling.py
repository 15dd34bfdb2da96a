"""Measure ranking and clustering of many images: time, and memory that is no file's.

    python benchmarks/scaling.py [--images 1000000] [--folder /somewhere/large]

Writes features of made-up images (ten modes with noise; 19 x 256 = 4,864 floats an image make
19.5 GB for a million), runs the steps on them as programs, and removes them again. Memory that a
mapped file's pages take is not counted: the system takes it back at need.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "steps"))
from mada.distances import blocks
from mada.files import write_npy
from measure import elapsed, peak_anonymous

STEPS = Path(__file__).parents[1] / "steps"
WIDTH, ANCHORS = 19 * 256, 10
GIB = 2**30


def make_features(path: Path, images: int, width: int) -> None:
    """Features of ten modes, noise as large as the distance between them, and scores."""
    rng = np.random.default_rng(0)
    modes = rng.standard_normal((10, width), dtype=np.float32)
    features = np.lib.format.open_memmap(path, "w+", np.float32, (images, width))
    for place, rows in blocks(features):
        noise = rng.standard_normal(rows.shape, dtype=np.float32)
        features[place] = modes[rng.integers(0, len(modes), len(rows))] + noise
    names = ["entropy", "margin", "source_probability"]
    table = pd.DataFrame(rng.random((images, 3)), columns=names)
    table.insert(0, "id", [f"{number:09d}" for number in range(images)])
    table.to_csv(path.with_suffix(".csv"), index=False)
    write_npy(path.with_name("anchors.npy"), modes)


def report(name: str, command: list[object]) -> None:
    seconds, peak = peak_anonymous([sys.executable, *map(str, command)])
    print(f"{name}: {seconds:.0f} s; {peak / GIB:.2f} GiB beside mapped files", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=None, help="with room for the features")
    args = parser.parse_args()
    needed = 1.2 * args.images * WIDTH * 4
    if shutil.disk_usage(args.folder or tempfile.gettempdir()).free < needed:
        sys.exit(f"error: expected {needed / GIB:.1f} GiB free for the features")
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        features, output = Path(folder) / "features.npy", Path(folder) / "output"
        seconds = elapsed(lambda: make_features(features, args.images, WIDTH))
        size = features.stat().st_size / GIB
        print(f"{args.images} images of {WIDTH} floats, {size:.2f} GiB: {seconds:.0f} s")
        ranking = [STEPS / "rank_targets.py", "--features", features, "--strategy", "mada"]
        ranking += ["--anchors", features.with_name("anchors.npy"), "--classes", "cityscapes19"]
        report("ranking", [*ranking, "--seed", 0, "--threads", args.threads, "--output", output])
        clustering = [STEPS / "cluster_anchors.py", "--features", features, "--count", ANCHORS]
        for flag in ("assignments", "objective", "output"):
            clustering += [f"--{flag}", Path(folder) / flag]
        report("clustering", [*clustering, "--seed", 0, "--threads", args.threads])
        iterations = len(pd.read_csv(Path(folder) / "objective"))
        print(f"  of five restarts, the best after {iterations} iterations")


if __name__ == "__main__":
    main()
