"""Time the kernels of selection against a plain way of computing the same, in one process.

    python benchmarks/kernels.py [--threads 2]

Prints ratios, which hold across machines better than seconds: the category means of one feature
map against a loop over classes, an iteration of K-means of all GTA5-sized features against one
matrix product, and the distances of 2,975 images to 10 anchors against a loop over anchors.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import faiss
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "steps"))
from mada.anchors import cluster
from mada.distances import nearest_anchor
from mada.nn.pooling import MIN_SHARE, category_means
from measure import by_turns

CLASSES = 19


def seconds(work: Callable[[], object], runs: int = 5) -> float:
    """Median time of a call after one that is not counted."""
    work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def means_by_loop(features: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Category means, one class after the other: mask the whole map, sum, divide."""
    means = []
    for c in range(CLASSES):
        mask = (masks == c).float().unsqueeze(1)
        count = mask.sum()
        total = (features * mask).sum(dim=(2, 3))
        means.append(total / count if count >= MIN_SHARE * masks.numel() else 0 * total)
    return torch.cat(means, dim=1)


def distances_by_loop(features: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    return np.stack([np.square(features - anchor).sum(axis=1) for anchor in anchors]).min(axis=0)


def report(name: str, ours: float, other: str, theirs: float, ratio: float, floor: str) -> None:
    print(f"{name}: {ours:.4f} s; {other} {theirs:.4f} s; ratio {ratio:.2f} (to hold: {floor})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=24_966, help="of the K-means")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    faiss.omp_set_num_threads(args.threads)
    rng = np.random.default_rng(0)

    features = torch.from_numpy(rng.standard_normal((1, 256, 263, 479), dtype=np.float32))
    masks = torch.from_numpy(rng.integers(0, CLASSES, (1, 263, 479)))
    ours = category_means(features, masks, CLASSES)
    print(f"largest difference: {(ours - means_by_loop(features, masks)).abs().max():.1e}")
    fast = seconds(lambda: category_means(features, masks, CLASSES))
    slow = seconds(lambda: means_by_loop(features, masks))
    report("category means", fast, "loop over classes", slow, slow / fast, "at least 15")

    targets = rng.standard_normal((2_975, 4_864), dtype=np.float32)
    anchors = rng.standard_normal((10, 4_864), dtype=np.float32)
    fast = seconds(lambda: nearest_anchor(targets, anchors))
    slow = seconds(lambda: distances_by_loop(targets, anchors))
    report("distances", fast, "loop over anchors", slow, slow / fast, "at least 10")

    rows = rng.standard_normal((args.images, 4_864), dtype=np.float32)
    iterations = 10  # which noise does not converge in
    for restarts in (1, 5):
        ours, theirs, ratio = by_turns(
            partial(cluster, rows, 10, 0, iterations, restarts),
            lambda: [rows @ anchors.T for _ in range(iterations)],
            rounds=3,
        )
        name = f"K-means iteration of {restarts} restarts at once"
        times = (ours / iterations, "one product", theirs / iterations)
        report(name, *times, ratio, "at most 4 of one restart")


if __name__ == "__main__":
    main()
