"""Draws from a random generator: one of several, a number in a range, a field of noise."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

Range = tuple[float, float]


def pick(rng: np.random.Generator, choices: Sequence):
    """Return one of the choices, all equally likely."""
    return choices[int(rng.integers(len(choices)))]


def pick_weighted(rng: np.random.Generator, weights: dict[str, float]) -> str:
    """Return one key, with probability proportional to its weight."""
    p = np.array(list(weights.values()))
    return list(weights)[int(rng.choice(len(p), p=p / p.sum()))]


def between(rng: np.random.Generator, limits: Range) -> float:
    """Return a number drawn uniformly from a range."""
    return float(rng.uniform(*limits))


def log_between(rng: np.random.Generator, limits: Range) -> float:
    """Return a number drawn uniformly on a logarithmic scale.

    For distances: equally many things at each apparent size.
    """
    return float(np.exp(rng.uniform(*np.log(limits))))


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cell: float) -> np.ndarray:
    """Return noise of mean 0 and deviation about 1, (H, W) float32, with blobs of a given size."""
    rows, columns = (max(2, round(n / cell)) for n in shape)
    grid = rng.standard_normal((rows, columns), dtype=np.float32)
    image = Image.fromarray(grid).resize(shape[::-1], Image.Resampling.BICUBIC)
    return np.asarray(image) * 1.3
