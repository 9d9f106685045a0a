"""How a budget of time is shared: measured once, then fixed, so that the clock does not decide a result."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import torch

from evenodds.data.dataset import Dataset
from evenodds.evaluation.threads import measured_threads
from evenodds.evaluation.trial.arms import SYNTHETIC
from evenodds.evaluation.trial.classifiers import Classifier, Examples, Small
from evenodds.evaluation.trial.inputs import Maker, laid_out
from evenodds.evaluation.trial.share import CANDIDATES, INNER_BUDGET
from evenodds.runs.planning import TooShort

__all__ = ["TrialPlan", "planned"]

CHOICE = 2 * 5 / 3
"""Choosing the changes takes so many fits of the small classifier: 2 halves, 5 fits each, a third as long."""
SHARES = sum(1 + len(shares) for shares in CANDIDATES.values()) / 2
"""Choosing the synthetic shares takes so many fits of the classifier: one for each and for none, half as long."""
USUAL_BUDGET = 1800.0
"""Seconds of a trial that was given no budget, where they do."""
FEWEST, SPARE = 2, 30
"""Seeds that a trial has at least, and seconds for all that is no fit."""
LEAST, USUAL = 120, 400
"""Steps of the small classifier: fewer would not teach it, more are hardly better where images are few."""


@dataclass(frozen=True)
class TrialPlan:
    """What is fixed before the first cell.

    Args:
        steps: of the small classifier.
        budget: of each seed's generator, in the unit of its maker; that for choosing shares has a third of it.
        fit_seconds: of one fit of the classifier that is tested, as measured.
        small_seconds: of one fit of the small one.
        generator_seconds: of making a seed's generators and their samples.
        threads: that were the fastest; 0: as many as there are.
    """

    steps: int = USUAL
    budget: float = 0.0
    fit_seconds: float = 1.0
    small_seconds: float = 1.0
    generator_seconds: float = 1.0
    threads: int = 0

    def seconds(self, arm: str, first: bool) -> float:
        """What a cell will take; the first synthetic one of a seed makes the generator."""
        extra = CHOICE * self.small_seconds if arm == "classical" else self.small_seconds if arm == "smote" else 0.0
        if arm in SYNTHETIC and first:
            extra += self.generator_seconds + SHARES * self.fit_seconds
        return self.fit_seconds + extra


def planned(
    fold: Dataset,
    tested: Classifier,
    maker: Maker,
    seconds: float | None,
    seeds: int,
    arms: Sequence[str],
    say: Callable[[str], None] = lambda line: None,
) -> TrialPlan:
    """Shares seconds over the cells: at most half to classifiers, the rest to generators.

    The number of threads is measured first, and set.

    Args:
        fold: the training items of a seed, on which a short lap is measured.
        seconds: the budget; None for half an hour, or for more where these data need it.
        say: told where they need more.

    Raises:
        BadInput: they need more than the budget that was given.
    """
    begun = time.perf_counter()
    _lap(fold, Small(steps=3))  # the first steps of a process load what later ones find
    threads = measured_threads(lambda rounds: _lap(fold, Small(steps=3 * rounds)))
    torch.set_num_threads(threads)
    pace = _Pace(_lap(fold, Small(steps=30)) / 30, 0.0 if isinstance(tested, Small) else _lap(fold, tested), begun)
    if seconds is not None:
        return _shared(fold, maker, seconds, seeds, arms, pace, threads)
    return _in_time(lambda some: _shared(fold, maker, some, seeds, arms, pace, threads), say)


@dataclass(frozen=True)
class _Pace:
    """What was measured, in seconds.

    Args:
        step: of the small classifier.
        fit: of the classifier that is tested; 0 where that is the small one.
        begun: when measuring began, by `time.perf_counter`.
    """

    step: float
    fit: float
    begun: float


def _in_time(share: Callable[[float], TrialPlan], say: Callable[[str], None]) -> TrialPlan:
    """The plan for the usual budget, or for the least longer one that does."""
    seconds = USUAL_BUDGET
    while True:
        try:
            plan = share(seconds)
        except TooShort as error:
            seconds = max(error.least, seconds + 60)
        else:
            if seconds > USUAL_BUDGET:
                planned, usual = _minutes(seconds), _minutes(USUAL_BUDGET)
                say(
                    f"planned for {planned}, as {usual} are too short for these data; fewer --seeds or --arms take less"
                )
            return plan


def _shared(
    fold: Dataset, maker: Maker, seconds: float, seeds: int, arms: Sequence[str], pace: _Pace, threads: int
) -> TrialPlan:
    """The plan for a budget; TooShort where it does not hold the cells."""
    small = not pace.fit
    fits, small_fits = _fits(arms, small)
    synthetic = bool(set(arms) & set(SYNTHETIC))
    room = 0.5 * seconds / seeds - fits * pace.fit
    steps = min(USUAL, int(room / (pace.step * small_fits))) if small_fits else USUAL
    if room < 0 or steps < LEAST:
        raise _too_short(seconds, seeds, arms, lambda some: _least(_fits(some, small), pace))
    small_fit = steps * pace.step
    plan = TrialPlan(steps, 0.0, pace.fit or small_fit, small_fit, 0.0, threads)
    if not synthetic:
        return plan
    spent = seeds * (sum(plan.seconds(arm, False) for arm in arms) + SHARES * plan.fit_seconds)
    # A machine is seldom as fast for minutes as for seconds; a tenth is kept back.
    left = 0.9 * (seconds - spent - (time.perf_counter() - pace.begun)) / seeds
    measure_budget: Any = getattr(maker, "planned", None)
    each = left / (1 + INNER_BUDGET)
    try:
        budget = float(measure_budget(fold, each)) if measure_budget is not None else left
    except TooShort as error:
        more = 2.5 * seeds * (1 + INNER_BUDGET) * (error.least - each)  # as classifiers take up to half of it
        raise TooShort(
            f"a budget of {seconds:.0f} s leaves {max(0, each):.0f} s to each of {seeds} generators, which needs "
            f"{error.least:.0f}; give at least {_minutes(seconds + more)}, or fewer --seeds",
            seconds + more,
        ) from error
    return replace(plan, budget=budget, generator_seconds=left)


def _fits(arms: Sequence[str], small: bool) -> tuple[float, float]:
    """How many fits of the classifier that is tested, and of the small one, a seed takes."""
    synthetic = bool(set(arms) & set(SYNTHETIC))
    fits = len(arms) + SHARES * synthetic
    return fits, fits * small + CHOICE * ("classical" in arms or synthetic) + ("smote" in arms)


def _least(fits: tuple[float, float], pace: _Pace) -> float:
    """Seconds of a budget that a seed needs at least; half of it is for generators."""
    return 2 * (LEAST * pace.step * fits[1] + fits[0] * pace.fit)


def _too_short(seconds: float, seeds: int, arms: Sequence[str], least: Callable[[Sequence[str]], float]) -> TooShort:
    """The error for a budget in which the classifiers have no place, with the least that does, and of fewer of them."""
    few = [arms[0], next((arm for arm in arms if arm in SYNTHETIC), arms[-1])]
    needed, smallest = seeds * least(arms) + SPARE, FEWEST * least(few) + SPARE
    fewer = f"; or {_minutes(smallest)} with --seeds {FEWEST} --arms {few[1]}" if smallest < 0.9 * needed else ""
    return TooShort(
        f"a budget of {seconds:.0f} s is too short for {len(arms) * seeds} classifiers on these data; give at least "
        f"{_minutes(needed)}{fewer}",
        needed,
    )


def _minutes(seconds: float) -> str:
    """A length of time as --budget takes it, rounded up to whole minutes."""
    return f"{ceil(seconds / 60)}m"


def _lap(fold: Dataset, tested: Classifier) -> float:
    """Seconds of one fit to the training items, as many times as arms will have more of them."""
    assert fold.y is not None
    index = torch.arange(tested.appetite(len(fold))) % len(fold)
    examples = Examples(laid_out(fold.units.to_model(fold.x[index])), fold.y[index], torch.ones(len(index)))
    begun = time.perf_counter()
    tested.fit(examples, len(fold.classes), 0)
    return time.perf_counter() - begun
