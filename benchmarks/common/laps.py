"""How many rounds a second: laps of one way to play after another, by the clock and by the processor."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

from torch.utils.flop_counter import FlopCounterMode

from evenodds.game.allocator import keep_freed_memory
from evenodds.game.trainer import Training, train
from evenodds.runs.assembly import Run

__all__ = ["Clock", "Play", "Rate", "before_allocator", "beside_naive", "gflop", "playing", "shortest", "warm"]

Play = Callable[[int], None]
"""Plays so many rounds."""


class Clock:
    """A listener that ends the game after a number of rounds."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds

    def begin(self, training: Training) -> None: ...

    def after_round(self, training: Training) -> None:
        training.stop = training.progress.round >= self.rounds

    def end(self, training: Training) -> None:
        training.engine.read(training.terms)


def playing(run: Run, names: tuple[str, ...] = ("average",)) -> Play:
    """The rounds of a run, with the listeners of these names where it has them."""
    listeners = [run.listeners[name] for name in names if name in run.listeners]

    def play(rounds: int) -> None:
        train(run.game, run.feed, run.learner, run.engine, images=10**9, listeners=[*listeners, Clock(rounds)])

    return play


@dataclass
class Rate:
    """Seconds of the best lap, per round, by the clock and by the processor."""

    clock: float = float("inf")
    processor: float = float("inf")

    def lap(self, play: Play, rounds: int) -> None:
        begun, spent = time.perf_counter(), time.process_time()
        play(rounds)
        self.clock = min(self.clock, (time.perf_counter() - begun) / rounds)
        self.processor = min(self.processor, (time.process_time() - spent) / rounds)


def before_allocator(make: Callable[..., Play], *arguments: Any) -> Play:
    """What `make` makes, in a process whose C library gives freed memory back, as it does by itself."""
    before = os.environ.get("GLIBC_TUNABLES")
    os.environ["GLIBC_TUNABLES"] = ""  # the package leaves an allocator alone that the user has settings for
    play = make(*arguments)
    if before is None:
        del os.environ["GLIBC_TUNABLES"]
    keep_freed_memory.cache_clear()
    return play


def warm(play: Play, cycle: int, seconds: float) -> int:
    """Plays a few rounds; how many whole cycles of rounds fill so many seconds."""
    play(max(2, cycle))
    begun = time.perf_counter()
    play(cycle)
    return cycle * max(1, round(seconds / (time.perf_counter() - begun)))


def gflop(play: Play, rounds: int) -> float:
    """GFLOP of so many rounds: products of matrices and convolutions."""
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = Untracked()  # type: ignore[assignment]
    with counter:
        play(rounds)
    return counter.get_total_flops() / 1e9


class Untracked(nullcontext[None]):
    """Stands for the tracker of modules, whose hooks do not allow for gradients inside of a round."""

    parents: ClassVar[set[str]] = {"Global"}


def shortest(work: Callable[[], object], times: int = 8) -> float:
    """Seconds of the shortest of some runs, after one that is not counted."""
    work()
    spent = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        spent.append(time.perf_counter() - begun)
    return min(spent)


def beside_naive(rates: Mapping[str, Rate], images: int, times: str) -> dict[str, dict[str, float]]:
    """Images per second of variants by both clocks, and how many times those of "naive" they are.

    Args:
        images: of a play.
        times: what the latter are called.
    """
    clock = {name: images / rate.clock for name, rate in rates.items()}
    processor = {name: images / rate.processor for name, rate in rates.items()}
    return {
        "images_per_second": {name: round(value, 1) for name, value in clock.items()},
        times: {name: round(value / clock["naive"], 2) for name, value in clock.items()},
        "images_per_processor_second": {name: round(value, 1) for name, value in processor.items()},
        f"{times}_by_processor": {name: round(value / processor["naive"], 2) for name, value in processor.items()},
    }
