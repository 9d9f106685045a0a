"""Plays a run with the number of threads that is the fastest now, and writes down where that changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Self

import torch

from evenodds.game import processes
from evenodds.game.listeners.context import Order
from evenodds.game.rules import Progress
from evenodds.game.threads import VARIABLES, allowed_threads, candidates
from evenodds.game.trainer import Training
from evenodds.runs.choices import add_choice
from evenodds.runs.probing import Probe
from evenodds.runs.threads import ThreadChoice, is_measurable, measured_rates, read_thread_choices

if TYPE_CHECKING:
    from evenodds.runs.assembly import Run

__all__ = ["Threads"]

WINDOW = 5.0
"""Seconds of rounds over which a rate is measured."""
SLOW, FREED = 0.5, 1.3
"""Share of the rate that was expected, below which (twice in succession) or above which threads are measured again."""
AGAIN, MOST_AGAIN = 60.0, 960.0
"""Seconds until more threads are tried again, where fewer than all are in use; doubled each time, up to the latter."""


@dataclass
class Threads:
    """Measures the number of threads anew where rounds take twice as long for 10 seconds, or where cores may be free.

    The rounds of a measurement are those of a copy of the run that is thrown away: it changes no bits of the run. The
    number does, in the last digits: it is written to choices.json with the images after which it changed. A resumed
    run changes it there, too.

    Args:
        rates: measures images per second by number of threads at a progress.
        read: the choices of the run so far, by images.
        fixed: whether the number is measured only where a choice was measured before.
        record: writes a choice down.
        say: gets a sentence where the number changes.
    """

    rates: Callable[[Progress, Sequence[int]], Mapping[int, float]]
    read: Callable[[], list[ThreadChoice]] = list
    fixed: bool = False
    record: Callable[[ThreadChoice], None] = lambda choice: None
    say: Callable[[str], None] = lambda line: None
    numbers: Sequence[int] = field(init=False, default=())
    """Those that are compared; with fewer than two none is ever measured."""
    expected: float = field(init=False, default=0.0)
    """Images per second of rounds."""
    _choices: list[ThreadChoice] = field(init=False, default_factory=list)
    _mark: tuple[int, float] = field(init=False, default=(0, 0.0))
    _slow: int = field(init=False, default=0)
    _due: float = field(init=False, default=AGAIN)
    _wait: float = field(init=False, default=AGAIN)
    order: ClassVar[Order] = Order.CONTROL

    @classmethod
    def for_run(cls, run: Run) -> Self | None:
        """On where the run has a folder, on a CPU, in one process: others would have to stop for the measurement."""
        config, folder = run.config, run.folder
        if folder is None or not is_measurable(config) or processes.size() > 1:
            return None
        return cls(
            lambda progress, numbers: measured_rates(Probe(type(run)(config, run.dataset), progress), numbers),
            lambda: read_thread_choices(folder, run.say),
            config.threads is not None,
            lambda choice: add_choice(folder, choice.choice(), run.say),
            run.say,
        )

    def begin(self, training: Training) -> None:
        self._mark = (training.progress.images, training.playing)
        self._choices = self.read()
        self.numbers = self._compared()
        self._follow(training.progress.images)

    def _compared(self) -> Sequence[int]:
        """The numbers that are compared; none where the user set one."""
        if any(name in os.environ for name in VARIABLES) or (self.fixed and not self._choices):
            return ()
        rates = self._choices[0].images_per_second if self._choices else {}
        return sorted({allowed_threads(number) for number in rates or candidates(torch.get_num_threads())})

    def after_round(self, training: Training) -> None:
        images, playing = training.progress.images, training.playing
        self._follow(images)
        if len(self.numbers) < 2 or playing - self._mark[1] < WINDOW:
            return
        rate = (images - self._mark[0]) / (playing - self._mark[1])
        self._mark = (images, playing)
        if self._is_other(rate, playing):
            self._measure(training)

    def end(self, training: Training) -> None:
        """Nothing to close."""

    def _follow(self, images: int) -> None:
        """Plays with the number that was chosen for so many images."""
        while self._choices and self._choices[0].images <= images:
            choice = self._choices.pop(0)
            torch.set_num_threads(allowed_threads(choice.value))
            self.expected = choice.images_per_second.get(choice.value, 0.0)

    def _is_other(self, rate: float, playing: float) -> bool:
        """Whether the pace of the last window asks for a measurement."""
        self._slow = self._slow + 1 if rate < SLOW * self.expected else 0
        fewer = torch.get_num_threads() < max(self.numbers)
        freed = fewer and 0 < FREED * self.expected < rate
        self.expected = max(self.expected, rate)
        return self._slow >= 2 or freed or (fewer and playing >= self._due)

    def _measure(self, training: Training) -> None:
        """Takes the fastest number from here on."""
        images, before = training.progress.images, torch.get_num_threads()
        choice = ThreadChoice.of(self.rates(training.progress, self.numbers), images, training.noun)
        self._wait = min(MOST_AGAIN, 2 * self._wait) if choice.value == before else AGAIN
        self._slow, self._due = 0, training.playing + self._wait
        self.expected = choice.images_per_second[choice.value]
        if choice.value != before:
            torch.set_num_threads(choice.value)
            self._choices = []  # later ones are of a run that went another way
            self.record(choice)
            self.say(f"at {images:,} {training.noun}: threads={choice.value}; {choice.reason}")
