"""What all tests share."""

import os
from pathlib import Path

import pytest
import torch

from tests.clock import Clock

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    # One thread per worker: two workers on two cores are then not in each other's way, and bits do not depend on -n.
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Classifiers that tests train are none of the user's."""
    os.environ["EVENODDS_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the package, which moves only when the test says so."""
    clock = Clock()
    monkeypatch.setattr("time.perf_counter", clock)
    return clock
