"""Compilation and graphs of a run that leaves them open: tried where they can pay, kept where they do, and said."""

import gc
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from evenodds.files.read import read_json
from evenodds.game.learners import compiled, graphs
from evenodds.game.learners.compiled import CompiledMoves
from evenodds.runs import build, launches, probing
from evenodds.runs.changes import with_settings
from evenodds.runs.config import Config
from evenodds.runs.config_files import read, recipe
from evenodds.runs.probing import Ahead
from evenodds.runs.room import halved, with_room
from evenodds.runs.run import start
from tests.short import AT_THE_END
from tests.twins.test_graphs import StandIn

SMALL: dict[str, Any] = {"images": 512, "batch": 64, "device": "cpu", "watch": "off", "data.n": 4000, **AT_THE_END}
RING = with_settings(recipe("ring"), {**SMALL, "threads": 1})


def measured(monkeypatch: pytest.MonkeyPatch, eager: float, other: float) -> None:
    """Rates that the next comparison finds."""
    monkeypatch.setattr(launches, "rates_of", lambda probes, _: dict(zip(probes, (eager, other), strict=True)))


class Tried(Ahead):
    """A run whose compiled probe compiles for so many seconds, or cannot."""

    def tried(self, seconds: float, reasons: dict[str, str]) -> "Tried":
        moves = CompiledMoves(seconds=seconds, reasons=reasons, variants={"one": (None, None)})  # type: ignore[dict-item]
        learner = SimpleNamespace(compiled=moves)
        self.stand_in: Any = SimpleNamespace(
            run=SimpleNamespace(learner=learner), noun="points", play=lambda rounds: None
        )
        return self

    def probe(self, config: Any) -> Any:
        return self.stand_in


@pytest.mark.parametrize(
    ("hours", "other", "took", "reasons", "value", "said"),
    [
        (1, 112.0, 60, {}, True, "to compile took 60 s, and saves 386 s of the run"),
        (1, 104.0, 60, {}, False, "points per second: 100 as they are, 104 compiled"),
        (1, 80.0, 60, {}, False, "saves 0 s of the run"),
        (1, 106.0, 210, {}, False, "to compile took 210 s, and saves 204 s"),
        (1, 200.0, 60, {"generator": "its slopes differ"}, False, "move 'generator': its slopes differ"),
    ],
)
def test_compiled_where_the_run_pays_for_it(
    hours: float, other: float, took: float, reasons: dict[str, str], value: bool, said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    measured(monkeypatch, 100.0, other)
    monkeypatch.setattr(launches, "missing", lambda backend, device: "")
    ahead, lines = Tried(RING, 3600 * hours, lambda _: 1 / 0).tried(took, reasons), []
    config, (choice,) = launches.choose_compiled(RING, ahead, lines.append)
    assert config.compile is choice.value is value
    assert said in choice.reason
    assert lines == [f"compile={str(value).lower()}: {choice.reason}"]
    assert ahead.stand_in.run.learner.compiled.allowed == pytest.approx(launches.SHARE * 3600 * hours)


def test_a_short_run_is_compiled_where_that_is_asked_for_alone() -> None:
    """Nothing is built, and no compiler is looked for."""
    for budget in (None, 50 * 60.0):
        assert launches.choose_compiled(RING, Ahead(RING, budget, lambda _: 1 / 0), print)[0].compile is False
    few = Ahead(RING, 36000, lambda _: 1 / 0, most=launches.FEWEST_ROUNDS * RING.batch - 1)
    assert launches.choose_compiled(RING, few, print)[0].compile is False
    named = with_settings(RING, {"compile": True})
    assert launches.choose_compiled(named, Ahead(named, 36000, lambda _: 1 / 0), print) == (named, [])


def test_compilation_ends_where_it_takes_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "missing", lambda backend, device: "")  # which imports the compiler
    moves = CompiledMoves(backend="eager", allowed=3.0, seconds=4.0)
    move: Any = SimpleNamespace(name="generator")
    with pytest.warns(match="compilation took 4 s already, of 3 s"):
        assert moves._tested(move, {}, {}, SimpleNamespace(device=torch.device("cpu"))) is None  # type: ignore[arg-type]


def played(folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> tuple[list[str], dict[str, Any]]:
    """What a run says that counts as long, and its choices by their settings."""
    monkeypatch.setattr(probing, "WORTHWHILE", 0.0)
    monkeypatch.setattr(probing, "FEW_ROUNDS", 0)
    said: list[str] = []
    start(with_settings(RING, settings), out=folder, say=said.append)
    return said, {entry["setting"]: entry for entry in read_json(folder / "choices.json", list[Any])}


def test_without_a_compiler_a_long_run_says_so_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launches, "LONG", 0.0)
    monkeypatch.setattr(launches, "FEWEST_ROUNDS", 0)
    monkeypatch.setattr(compiled, "_compiler", lambda: None)
    said, choices = played(tmp_path, monkeypatch)
    assert [line for line in said if "compil" in line] == [
        "compile=false: there is no C++ compiler; install g++ or set CXX"
    ]
    assert choices["compile"]["value"] is read(tmp_path / "config.yaml").compile is False


@pytest.mark.parametrize(
    ("recorder", "times", "value", "said"),
    [
        (StandIn(), 1.5, True, "points per second: 100 as they are, 150 replayed"),
        (StandIn(), 1.01, False, "101 replayed"),
        (StandIn(works=False), 1.5, False, "operation not permitted when stream is capturing"),
    ],
    ids=["faster", "no faster", "not recorded"],
)
def test_graphs_where_they_are_faster(
    recorder: StandIn, times: float, value: bool, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a stand-in for a device whose moves are recorded."""
    for module in (launches, build):
        monkeypatch.setattr(module, "is_recordable", lambda device: True)
    monkeypatch.setattr(graphs, "CudaRecorder", lambda: recorder)
    measured(monkeypatch, 100.0, 100.0 * times)
    lines, choices = played(tmp_path, monkeypatch, graphs="auto")
    assert any(line.startswith(f"graphs={str(value).lower()}: ") and said in line for line in lines)
    assert choices["graphs"]["value"] is read(tmp_path / "config.yaml").graphs is value
    assert value is False or choices["graphs"]["replays"]["generator"] > 0


def test_nothing_of_a_game_that_did_not_fit_is_there_when_the_next_one_is_built() -> None:
    """The first run of a process is held in a reference cycle by frames in which torch was imported."""
    before: list[weakref.ref[torch.nn.Module]] = []

    def work(config: Config) -> Config:
        if before:
            assert before[0]() is None
            return config
        played = torch.nn.Module()
        played.circle = [played]
        before.append(weakref.ref(played))
        raise torch.OutOfMemoryError("full")

    gc.disable()
    try:
        assert with_room(RING, work).accumulate == 2 * RING.accumulate
    finally:
        gc.enable()


def test_a_game_in_pieces_is_recorded_no_more() -> None:
    smaller = halved(with_settings(RING, {"graphs": True}), torch.OutOfMemoryError("full"), lambda line: None)
    assert (smaller.accumulate, smaller.graphs) == (2, False)


def test_a_trial_that_fails_is_a_reason_to_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launches, "missing", lambda backend, device: "")
    ahead = Tried(RING, 7200, lambda _: 1 / 0).tried(1, {})
    ahead.stand_in.play = lambda rounds: 1 / 0
    config, (choice,) = launches.choose_compiled(RING, ahead, lambda line: None)
    assert config.compile is False
    assert choice.reason.startswith("compiled moves cannot be played: ZeroDivisionError")
