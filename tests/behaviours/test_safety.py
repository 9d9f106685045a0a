"""Run folders that a stranger, a broken disk or another version made: each command takes them, or refuses in one line.

Nearly five hundred cases: each seed draws a run and a change to its files (tests/fuzz). The first are played with a
command that the seed draws, most with what evenodds reads the changed files with; in some it is not the run that is
changed, but data that a command reads. benchmarks/fuzz.py plays more of them; the seeds with which it ever found a
fault are played here as well.
"""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from tests.fuzz.cases import play
from tests.fuzz.falls import play_fall
from tests.fuzz.inputs import play_inputs
from tests.fuzz.readers import Bench, play_readers
from tests.fuzz.runs import train_runs

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "fuzz.json"
COMMANDS, READERS, INPUTS = range(160), range(400, 700), range(12)
GROUPS = 20
FALLS = json.loads(RESULTS.read_text("utf-8"))["falls"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        return train_runs(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("group", range(GROUPS))
def test_any_change_to_a_run_is_taken_or_refused_in_one_line(group: int, home: Path, tmp_path: Path) -> None:
    outcomes = [play(seed, home, tmp_path / "case") for seed in COMMANDS[group::GROUPS]]
    assert not [str(outcome) for outcome in outcomes if outcome.wrong]


def test_any_change_to_data_is_taken_or_refused_in_one_line(home: Path, tmp_path: Path) -> None:
    outcomes = [play_inputs(seed, home, tmp_path / "case") for seed in INPUTS]
    assert not [str(outcome) for outcome in outcomes if outcome.wrong]


@pytest.mark.filterwarnings("ignore::evenodds.errors.Remark")
@pytest.mark.parametrize("group", range(2))
def test_whatever_reads_a_changed_file_takes_it_or_refuses_it(group: int, home: Path, tmp_path: Path) -> None:
    bench = Bench(home, tmp_path)
    outcomes = [play_readers(seed, bench) for seed in READERS[group::2]]
    assert not [str(outcome) for outcome in outcomes if outcome.wrong]


@pytest.mark.filterwarnings("ignore::evenodds.errors.Remark")
def test_what_once_fell_stands(home: Path, tmp_path: Path) -> None:
    bench = Bench(home, tmp_path / "bench")
    players = {
        "commands": lambda seed: play(seed, home, tmp_path / "case"),
        "inputs": lambda seed: play_inputs(seed, home, tmp_path / "case"),
        "readers": lambda seed: play_readers(seed, bench),
    }
    outcomes = [players[fall["level"]](seed) for fall in FALLS for seed in fall.get("seeds", ())]
    outcomes += [play_fall(fall, home, tmp_path / "fall") for fall in FALLS if "file" in fall]
    assert not [str(outcome) for outcome in outcomes if outcome.wrong]
