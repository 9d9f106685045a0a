"""A run with a budget ends in time, its decay played to the end, under loads that come and go."""

import random
from bisect import bisect_right
from collections.abc import Callable
from math import inf

import pytest

from evenodds.game.listeners.deadline import Deadline
from evenodds.game.rules import Progress
from evenodds.game.trainer import Training
from tests.clock import Clock
from tests.games import small_game

BATCH, PARTS, BUDGET = 64, 10, 60.0
Load = Callable[[float], float]
"""The share of the machine that the run has, by the seconds since it began."""


class Simulated:
    """A run that takes time only on the clock of the test: rounds, and evaluations at tenths of the plan.

    Args:
        rate: images per second where the machine is free.
        planned: images.
        look: seconds of an evaluation where the machine is free.
        at_plan: the share of the machine that there was when the evaluation was measured.
        weights: (share of the run, how long an image takes from there on in times of the mean).
    """

    def __init__(
        self,
        clock: Clock,
        load: Load,
        planned: int,
        rate: float = 900.0,
        look: float = 0.5,
        at_plan: float = 1.0,
        weights: tuple[tuple[float, float], ...] = ((0.0, 1.0),),
        most: float = inf,
    ) -> None:
        self.weights = weights
        self.clock, self.load, self.rate, self.look = clock, load, rate, look
        self.said: list[str] = []
        game, learner, engine = small_game()
        self.begun, self.shares, self.looks = clock.now, [0.0], 0
        measured = look / at_plan
        self.deadline = Deadline(clock.now + BUDGET, measured, self.said.append, PARTS * measured, weights, most)
        progress = Progress(planned)
        self.training = Training(game, dict.fromkeys(game.players, learner), engine, progress, 0, length=planned)
        self.every = planned // PARTS

    def spend(self, seconds: float) -> float:
        """So much work, at the share of the machine that there is; the seconds that it takes."""
        before = self.clock.now
        while seconds > 0:
            step = min(seconds, 0.05)
            self.clock.now += step / self.load(self.clock.now - self.begun)
            seconds -= step
        return self.clock.now - before

    def play(self) -> "Simulated":
        training, progress, turn = self.training, self.training.progress, 0
        self.deadline.begin(training)
        while progress.images < training.length and not training.stop:
            weight = next(weight for start, weight in reversed(self.weights) if start <= progress.share)
            training.playing += self.spend(BATCH * weight / self.rate)
            progress.images += BATCH
            progress.round += 1
            if progress.position // self.every != turn:
                turn = progress.position // self.every
                self.spend(self.look)
                self.looks += 1
            self.deadline.after_round(training)
            self.shares.append(progress.share)
        self.spend(self.look)  # the last evaluation and checkpoint
        return self

    @property
    def seconds(self) -> float:
        return self.clock.now - self.begun


def free(seconds: float) -> float:
    return 1.0


def busy(seconds: float) -> float:
    return 0.4


def freed(seconds: float) -> float:
    return 0.3 if seconds < 20 else 1.0


def taken(seconds: float) -> float:
    return 1.0 if seconds < 40 else 0.3


def in_turn(seconds: float) -> float:
    return 1.0 if int(seconds / 7) % 2 else 0.4


def steps_of(rng: random.Random) -> Load:
    """A load that changes at random times, and stays as it is between them."""
    changes = sorted(rng.uniform(0, BUDGET) for _ in range(rng.choice([0, 1, 2, 4, 11])))
    shares = [rng.choice(SHARES) for _ in range(len(changes) + 1)]
    return lambda seconds: shares[bisect_right(changes, seconds)]


LOADS = {load.__name__: load for load in (free, busy, freed, taken, in_turn)}
SHARES = (1.0, 1.0, 1 / 2, 2 / 5, 1 / 3)


@pytest.mark.parametrize("planned", [10_000, 40_000, 49_000, 120_000])
@pytest.mark.parametrize("load", LOADS)
def test_a_budget_is_kept_and_used_under_every_load(clock: Clock, load: str, planned: int) -> None:
    run = Simulated(clock, LOADS[load], planned).play()
    assert 0.95 * BUDGET <= run.seconds <= 1.05 * BUDGET
    assert run.training.progress.share > 0.97  # rates have fallen to their end
    assert len(run.said) <= 3
    assert all(before <= after for before, after in zip(run.shares, run.shares[1:], strict=False))
    assert PARTS - 1 <= run.looks <= PARTS + 1


@pytest.mark.parametrize("seed", range(100))
def test_the_end_is_within_a_twentieth_of_the_budget_whatever_else_runs(clock: Clock, seed: int) -> None:
    """Whatever the load was when the length was planned: a round is below a hundredth of the budget, a look below 3."""
    rng = random.Random(seed)
    rate, look, at_plan = rng.choice([350.0, 900.0]), rng.choice([0.02, 0.2, 0.5, 0.6]), rng.choice(SHARES)
    run = Simulated(clock, steps_of(rng), int(0.93 * BUDGET * at_plan * rate), rate, look, at_plan).play()
    assert 0.95 * BUDGET <= run.seconds <= 1.05 * BUDGET
    assert run.training.progress.share > 0.97
    assert max(run.shares[:-1]) < 1  # no round is played after the end, and no evaluation is repeated there
    assert len(run.said) <= 3


def test_nothing_changes_where_the_machine_is_as_fast_as_it_was_measured_to_be(clock: Clock) -> None:
    run = Simulated(clock, free, 48_000).play()
    assert (run.training.progress.total, run.training.progress.plan, run.said) == (48_000, 0, [])


@pytest.mark.parametrize("load", [free, busy])
def test_the_stages_of_a_run_keep_their_parts_of_the_time_where_one_is_slower(clock: Clock, load: Load) -> None:
    even = Simulated(clock, load, 48_000).play().deadline.total
    staged = Simulated(clock, load, 48_000, weights=((0.0, 0.5), (0.8, 3.0))).play()
    assert abs(staged.deadline.total - even) < 0.08 * even
    assert staged.said == [] or load is busy
    assert BUDGET * 0.95 <= staged.seconds <= BUDGET * 1.02


def test_a_raised_length_is_told_and_goes_beyond_the_plan(clock: Clock) -> None:
    run = Simulated(clock, freed, 15_000).play()
    assert run.training.progress.images > 30_000
    assert "images will fit the budget, not 15,000" in run.said[0]


@pytest.mark.parametrize("load", LOADS)
def test_no_more_are_played_than_were_allowed(clock: Clock, load: str) -> None:
    """However early that is; where less fits, the budget is kept as ever."""
    run = Simulated(clock, LOADS[load], 10_000, most=10_000).play()
    assert run.training.progress.images in range(10_000, 10_000 + BATCH)
    assert run.said == []
    late = Simulated(clock, busy, 40_000, most=40_000).play()
    assert late.training.progress.images < 40_000
    assert 0.95 * BUDGET <= late.seconds <= 1.05 * BUDGET


def test_a_new_length_leaves_the_share_where_it_is() -> None:
    progress = Progress(1000, 400)
    progress.replan(600)
    assert progress.share == pytest.approx(0.4)
    progress.images = 500
    assert progress.share == pytest.approx(0.7)
    assert progress.position == 700
    progress.replan(2000)
    assert progress.share == pytest.approx(0.7)
    progress.images = 2000
    assert (progress.share, progress.position) == (1.0, 1000)
    progress.replan(100)
    assert (progress.share, progress.total) == (1.0, 2000)
