"""Measuring threads changes no bits; a resumed run changes their number where the interrupted one did."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch

from evenodds.game import checkpoint, pace, threads
from evenodds.game.rules import Progress
from evenodds.game.threads import (
    allowed_threads,
    candidates,
    fastest,
    fixed_by_user,
    kept_threads,
    rates_by_threads,
)
from evenodds.game.trainer import Listener, Training
from evenodds.runs import probing
from evenodds.runs import threads as choosing
from evenodds.runs.changes import with_settings
from evenodds.runs.choices import add_choice
from evenodds.runs.config_files import read, recipe
from evenodds.runs.listeners import threads as rounds
from evenodds.runs.listeners.threads import Threads
from evenodds.runs.run import resume, start
from evenodds.runs.threads import ThreadChoice, read_thread_choices
from tests.clock import Clock
from tests.games import small_game
from tests.short import AT_THE_END
from tests.twins.test_resume import StopAt

SMALL = {"images": 1024, "batch": 32, "device": "cpu", "watch": "off", "data.n": 4000, **AT_THE_END}


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two cores, on which the user set nothing; the work itself stays on one."""
    number = [2]
    for name in threads.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "cores", lambda: [0, 1])
    monkeypatch.setattr(threads, "physical_cores", lambda: 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: number[0])
    monkeypatch.setattr(torch, "set_num_threads", lambda n: number.__setitem__(0, n))


class Noted:
    """The number of threads after each round, by images."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}

    def begin(self, training: Training) -> None: ...

    def after_round(self, training: Training) -> None:
        self.numbers[training.progress.images] = torch.get_num_threads()

    def end(self, training: Training) -> None: ...


def weights(folder: Path) -> list[torch.Tensor]:
    _, states, header, _ = checkpoint.newest(folder / "checkpoints")
    assert header.images == SMALL["images"]
    return [value for state in states.values() for value in state.tensors.values()]


def same(a: Path, b: Path) -> bool:
    return all(torch.equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


def play(folder: Path, *listeners: Listener, **settings: object) -> None:
    start(with_settings(recipe("ring"), {**SMALL, **settings}), out=folder, listeners=listeners)


def measured_at(monkeypatch: pytest.MonkeyPatch, *images: int) -> None:
    """Threads are measured before a short run too, and again after so many images: then one is the fastest."""
    monkeypatch.setattr(probing, "WORTHWHILE", 0.0)
    monkeypatch.setattr(probing, "FEW_ROUNDS", 0)
    monkeypatch.setattr(rounds, "WINDOW", 0.0)
    monkeypatch.setattr(Threads, "_is_other", lambda self, rate, playing: self._mark[0] in images)

    def timed(play: Callable[[int], object], count: int) -> float:
        play(count)
        times[0] += 1
        return {1: 0.5, 2: 0.4 if times[0] < 12 else 0.6}[torch.get_num_threads()]

    times = [0]
    monkeypatch.setattr(pace, "_timed", timed)


def test_measuring_threads_changes_no_bits_and_the_number_is_recorded(
    two: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        measured_at(patched, 320)
        play(tmp_path / "measured")
    config = read(tmp_path / "measured" / "config.yaml")
    assert config.threads == 2
    before, after = read_thread_choices(tmp_path / "measured")
    assert (before.images, before.value, set(before.images_per_second)) == (0, 2, {1, 2})
    assert (after.images, after.value) == (320, 1)
    play(tmp_path / "fixed", threads=2)
    assert not (tmp_path / "fixed" / "choices.json").exists()
    assert same(tmp_path / "measured", tmp_path / "fixed")
    assert torch.get_num_threads() == 2


def test_a_resumed_run_changes_its_threads_where_the_interrupted_one_did(
    two: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = [Noted(), Noted(), Noted()]
    with monkeypatch.context() as patched:
        measured_at(patched, 320, 640)
        play(tmp_path / "run", noted[0], StopAt(704))
    assert list(noted[0].numbers.values()) == [2] * 9 + [1] * 13
    for path in (tmp_path / "run" / "checkpoints").iterdir():  # killed before the first
        checkpoint.remove(path)
    resume(tmp_path / "run", listeners=[noted[1], StopAt(512)])
    resume(tmp_path / "run", listeners=[noted[2]])
    again = noted[1].numbers | noted[2].numbers
    assert {images: again[images] for images in noted[0].numbers} == noted[0].numbers
    assert set(noted[2].numbers.values()) == {1}


def test_a_number_that_the_user_set_is_taken_and_recorded(
    two: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured_at(monkeypatch, 320)
    monkeypatch.setattr(choosing, "measured_rates", None)  # nothing is measured
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    play(tmp_path / "variable", images=64)
    assert read(tmp_path / "variable" / "config.yaml").threads == 2
    monkeypatch.delenv("OMP_NUM_THREADS")
    torch.set_num_threads(1)
    play(tmp_path / "call", images=64)
    assert read(tmp_path / "call" / "config.yaml").threads == 1


def test_a_short_run_is_not_measured(two: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "measured_rates", None)
    play(tmp_path / "run", images=64)
    assert "threads: auto" in (tmp_path / "run" / "config.yaml").read_text()


def test_variables_are_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "cores", lambda: list(range(8)))
    for name in threads.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert allowed_threads(64) == 8
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert fixed_by_user()
    assert [allowed_threads(number) for number in (2, 5)] == [2, 3]
    assert candidates(8) == (1, 4, 8)
    assert candidates(2) == (1, 2)


def test_the_fastest_is_found_by_the_clock_and_a_hopeless_number_is_left_alone(two: None, clock: Clock) -> None:
    played: dict[int, int] = {}

    def round_on(cost: Callable[[int], float]) -> Callable[[int], object]:
        def play(rounds: int) -> None:
            number = torch.get_num_threads()
            played[number] = played.get(number, 0) + rounds
            clock.now += rounds * cost(number)

        return play

    with kept_threads():
        rates = rates_by_threads(round_on(lambda number: 0.1 / number), [1, 2])
        assert rates == pytest.approx({1: 10.0, 2: 20.0})
        assert fastest(rates) == 2
        played.clear()
        begun = clock.now
        rates = rates_by_threads(round_on(lambda number: 0.05 if number == 1 else 2.5), [1, 2])  # two on busy cores
    assert fastest(rates) == 1
    assert played[2] == 1
    assert clock.now - begun < 5


class Load:
    """Images per second by threads, which a test changes; the listener under it, round by round."""

    def __init__(self, clock: Clock, rates: Mapping[int, float]) -> None:
        self.rates, self.clock, self.asked = dict(rates), clock, 0
        self.said: list[str] = []
        self.listener = Threads(self.measure, lambda: [ThreadChoice(2, 0, {1: 500.0, 2: 900.0})], say=self.said.append)
        game, learner, engine = small_game()
        self.training = Training(game, dict.fromkeys(game.players, learner), engine, Progress(10**9), 0)
        self.listener.begin(self.training)

    def measure(self, progress: Progress, numbers: Sequence[int]) -> Mapping[int, float]:
        self.asked += 1
        return {number: self.rates[number] for number in numbers}

    def play(self, seconds: float) -> int:
        """Plays so long; the number of threads afterwards."""
        for _ in range(round(seconds / 0.1)):
            self.training.playing += 0.1
            self.training.progress.images += round(0.1 * self.rates[torch.get_num_threads()])
            self.listener.after_round(self.training)
        return torch.get_num_threads()


def test_threads_follow_a_load_that_comes_and_goes(two: None, clock: Clock) -> None:
    load = Load(clock, {1: 500.0, 2: 900.0})
    assert load.play(30) == 2
    assert load.asked == 0
    load.rates = {1: 400.0, 2: 20.0}
    assert load.play(9) == 2  # half as fast for ten seconds
    assert load.play(8) == 1
    load.rates = {1: 500.0, 2: 900.0}  # one thread is hardly faster than before
    assert load.play(70) == 2
    asked = load.asked
    assert load.play(600) == 2
    assert load.asked == asked
    assert len(load.said) == 2


def test_more_threads_are_tried_ever_more_rarely(two: None, clock: Clock) -> None:
    load = Load(clock, {1: 400.0, 2: 20.0})
    assert load.play(3600) == 1
    assert load.asked <= 9


def test_a_choice_on_the_way_takes_the_place_of_later_ones_and_leaves_a_damaged_file_alone(tmp_path: Path) -> None:
    said: list[str] = []
    for images, value in ((0, 1), (64, 2), (32, 4)):
        add_choice(tmp_path, ThreadChoice(value, images).choice(), said.append)
    assert [(one.images, one.value) for one in read_thread_choices(tmp_path)] == [(0, 1), (32, 4)]
    for images in ('"x"', "null", "[]"):  # an entry of another type fell where it was compared
        (tmp_path / "choices.json").write_text(f'[{{"setting": "threads", "value": 1, "images": {images}}}]')
        add_choice(tmp_path, ThreadChoice(2, 96).choice(), said.append)
        assert f'"images": {images}' in (tmp_path / "choices.json").read_text()
        assert "threads=2 is not written there" in said.pop()
    (tmp_path / "choices.json").write_text("[{")
    add_choice(tmp_path, ThreadChoice(2, 96).choice(), said.append)
    assert said[0].endswith("; threads=2 is not written there")
    assert (tmp_path / "choices.json").read_text() == "[{"
