"""Run folders that a stranger, a broken disk or another version made: each command takes them, or refuses in one line.

Some hundred cases: each seed draws a run, a change to its files and a command (tests/fuzz). benchmarks/fuzz.py plays
more of them; the seeds with which it ever found a fault are played here as well.
"""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from tests.fuzz.cases import play
from tests.fuzz.runs import train_runs

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "fuzz.json"
SEEDS = range(700)
GROUPS = 20
REGRESSIONS = json.loads(RESULTS.read_text("utf-8"))["regressions"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        return train_runs(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("group", range(GROUPS))
def test_any_change_to_a_run_is_taken_or_refused_in_one_line(group: int, home: Path, tmp_path: Path) -> None:
    outcomes = [play(seed, home, tmp_path / "case") for seed in SEEDS[group::GROUPS]]
    assert not [str(outcome) for outcome in outcomes if outcome.wrong]


def test_what_once_fell_stands(home: Path, tmp_path: Path) -> None:
    outcomes = [play(seed, home, tmp_path / "case") for seed in REGRESSIONS]
    assert not [str(outcome) for outcome in outcomes if outcome.wrong]
