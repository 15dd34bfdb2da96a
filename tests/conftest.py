"""What every test shares: one source of chance, and one thread per numerical library."""

import sys

import numpy as np
import pytest

# Whole files are shared out, so that one begun late would keep one process waiting at the end.
LONGEST = (
    *("test_pipeline", "test_people_in_the_loop", "test_training_steps"),
    *("test_plans", "test_bad_data", "test_make_demo_data"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: n for n, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONGEST)))


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


@pytest.fixture
def torch_settings():
    """Put back what a step sets for its whole process."""
    import torch

    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(strict)
