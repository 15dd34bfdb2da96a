"""What every test shares: one source of chance, and one thread per numerical library."""

import sys

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tests are small; more threads only get in each other's way.  Nothing is imported for it."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    if "faiss" in sys.modules:
        sys.modules["faiss"].omp_set_num_threads(1)
