"""The progress bar: images seen, images per second, time left, and what the discriminator believes."""

from __future__ import annotations

import math
import os
import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from evenodds.files.process import is_follower
from evenodds.files.terminal import for_stream, say, say_count

if TYPE_CHECKING:
    from evenodds.game.trainer import Training

INTERVAL = 0.5
"""Seconds between two looks; each waits for the device."""


def _progress(console: Console, **options: bool) -> Progress:
    """A bar, a text that is no markup, and the time left."""
    columns = BarColumn(bar_width=24), TextColumn("{task.description}", markup=False), TimeRemainingColumn()
    return Progress(*columns, console=console, **options)  # type: ignore[arg-type]


class Bar:
    """A listener that draws a line on standard error; on something that is no terminal, a plain line now and then.

    Args:
        learns: what is trained, where the command is for something else; it is said before, as it may take long.
    """

    def __init__(self, learns: str = "") -> None:
        self.learns = learns
        console = Console(file=sys.stderr)
        self.plain = not console.is_terminal
        self.progress = _progress(console)
        self.task: TaskID | None = None
        self.looked = 0.0
        self.clock = 0.0

    def begin(self, training: Training) -> None:
        self.first, self.clock = training.progress.images, time.perf_counter()
        if self.learns:
            say(f"{self.learns} learns from {training.progress.total:,} samples of the run first, and is kept with it")
        if not self.plain:
            self.task = self.progress.add_task("", total=training.progress.total, completed=self.first)
            self.progress.start()

    def after_round(self, training: Training) -> None:
        now = time.perf_counter()
        if now - self.looked < (20 * INTERVAL if self.plain else INTERVAL):
            return
        self.looked = now
        line = self.line(training, now)
        if self.task is not None:
            self.progress.update(
                self.task, completed=training.progress.images, description=for_stream(line, sys.stderr)
            )
        else:
            say(line)

    def line(self, training: Training, now: float) -> str:
        """How far, how fast, and D's mean probabilities of real and fake."""
        images, terms = training.progress.images, training.engine.read(training.terms)
        rate = (images - self.first) / max(1e-9, now - self.clock)
        total = max(images, training.progress.total)  # the last batch goes beyond a length that it does not divide
        text = f"{images:,} of {total:,} {training.noun}, {rate:,.0f}/s"
        for name, label in (("discriminator/real", "D(x)"), ("discriminator/fake", "D(G(z))")):
            if name in terms:
                text += f", {label} {terms[name]:.2f}"
        text += f", {training.news}" if training.news else ""
        left = (total - images) / max(1e-9, rate)
        return text + (f", {left:,.0f} s left" if self.plain else "")

    def end(self, training: Training) -> None:
        if self.task is not None:
            line = self.line(training, time.perf_counter())
            self.progress.update(
                self.task, completed=training.progress.images, description=for_stream(line, sys.stderr)
            )
            self.progress.stop()


def reading(done: int, total: int) -> None:
    """Draws how many files have been read, where a person is looking."""
    if sys.stderr.isatty() and (done % 100 == 0 or done == total):
        say_count(f"reading {done:,} of {total:,} files", end=done == total)


class Steps:
    """Draws a bar with the time left for each step of long work, where a person is looking.

    Where a program is, such as the studio, it says lines like `features of samples: 40 %`, so many seconds apart as
    the environment variable EVENODDS_PROGRESS says.
    """

    def __init__(self) -> None:
        console = Console(file=sys.stderr)
        self.apart = 0.0 if console.is_terminal else _seconds_apart()
        self.said = -math.inf
        self.progress = _progress(console, transient=True, disable=is_follower() or not console.is_terminal)
        self.task: TaskID | None = None

    def __enter__(self) -> Steps:
        self.progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Shows the step; a new one begins with a fresh clock."""
        if self.apart and (time.monotonic() - self.said >= self.apart or done >= total):
            self.said = time.monotonic()
            say(f"{what}: {100 * done // max(1, total)} %")
        what = for_stream(what, sys.stderr)
        if self.task is None or self.progress.tasks[-1].description != what:
            for task in self.progress.task_ids:
                self.progress.remove_task(task)
            self.task = self.progress.add_task(what, total=total)
        self.progress.update(self.task, completed=done, total=total)


def _seconds_apart() -> float:
    """Between two lines of progress; 0 where none are wanted."""
    text = os.environ.get("EVENODDS_PROGRESS", "")
    return float(text) if text.replace(".", "", 1).isdecimal() else 0.0


class Inner:
    """A listener that shows one training within longer work as a step of it."""

    def __init__(self, step: Steps, what: str) -> None:
        self.step, self.what, self.looked = step, what, 0.0

    def begin(self, training: Training) -> None:
        """The bar begins with the first look."""

    def after_round(self, training: Training) -> None:
        now = time.perf_counter()
        if now - self.looked >= INTERVAL:
            self.looked = now
            self.step(self.what, training.progress.images, training.progress.total)

    def end(self, training: Training) -> None:
        """The next step replaces it."""
