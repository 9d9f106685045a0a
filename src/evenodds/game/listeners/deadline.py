"""Ends a run in time, whatever its plan said."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf

from evenodds.game.schedule import Progress
from evenodds.game.trainer import Training

__all__ = ["Deadline"]

LONG = 0.1
"""Seconds between two rounds from which on they count as a pause: an evaluation, a checkpoint, a glance."""
PRIOR = 0.1
"""Share of the run for which the pauses that were planned count as if they had been measured."""
APART = 0.5
"""Share of the run between two evaluations, at most."""
LATE, EARLY, FORESIGHT = 0.005, 0.02, 0.07
"""How much later or earlier than planned a run may end before its length is changed: shares of the whole time, and of
the time that is left, over which a forecast is uncertain."""
SPARE = 1.25
"""The time kept back for the last evaluation and checkpoint, in times that it will take at the pace of late."""
LATELY = 1.0
"""Seconds of rounds over which that pace is measured."""
AIM = 0.005
"""Share of the whole time before the deadline at which a changed length ends."""
LINES = 3
"""Sentences about changes of the length, at most."""
NEWS = 0.15
"""Change of the length, as a share of the one that was last told, that is told."""


@dataclass
class Deadline:
    """Ends a run by the clock, and fits its length in images to the time that is left.

    Learning rates fall with the share of the run that is over. A run that is cut off in the middle of that fall ends
    with rates that are too high, and one that is over too early has left time unused. So the pace is measured all the
    time, and the length is lowered or raised to what will fit. The share goes on from where it is, towards 1 at the
    new end: rates do not jump, and no stage of a task is played twice.

    Args:
        until: when the run must be over, on the clock of time.perf_counter.
        pause: seconds of one evaluation with a checkpoint, measured at the pace that was planned. The last one, after
            the last round, is kept time for; where the machine has become slower or faster since, more or less.
        say: gets a sentence where the length changes much, at most three times.
        pauses: seconds that evaluations and checkpoints are planned to take over the whole run.
        paces: (share of the run, seconds per image from there on), the first share 0: in one stage of a task an image
            may take longer than in another. Only their ratios count.
        most: images of the run at most, however many fit.
    """

    until: float
    pause: float = 0.0
    say: Callable[[str], None] = lambda line: None
    pauses: float = 0.0
    paces: Sequence[tuple[float, float]] = ((0.0, 1.0),)
    most: float = inf
    total: int = field(init=False, default=0)
    """Images that will fit."""
    _told: int = field(init=False, default=0)
    _lines: int = field(init=False, default=0)
    _begun: float = field(init=False, default=0.0)
    _first: float = field(init=False, default=0.0)
    """Share of the run that was over at the beginning."""
    _work: float | None = field(init=False, default=None)
    """A long pause as the images that would have been shown in it: this does not depend on what else runs."""
    _unsettled: tuple[float, float, float] | None = field(init=False, default=None)
    """The last pause, the pace before it, and the seconds without pauses then; the pace after it is not known yet."""
    _paused: float = field(init=False, default=0.0)
    """Seconds in pauses so far."""
    _looked: float = field(init=False, default=0.0)
    """Share of the run that was over at the last of the longer pauses."""
    _last: tuple[float, float] = field(init=False, default=(0.0, 0.0))
    """The clock and the seconds in rounds, after the last round."""
    _laps: deque[tuple[float, float]] = field(init=False, default_factory=deque)
    """Seconds without pauses, and the work done, now and then."""
    _next: float = field(init=False, default=0.0)
    _shown: int = field(init=False, default=0)
    """Images, after the last round."""
    _done: float = field(init=False, default=0.0)
    """The work done: images, each weighed by how long it was planned to take, so that the mean of all is 1."""

    def begin(self, training: Training) -> None:
        now, progress = time.perf_counter(), training.progress
        self.total = progress.total
        self._told = self._told or progress.total
        self._begun, self._paused, self._shown = now, 0.0, progress.images
        self._first = self._looked = progress.share
        self._last, self._done = (now, training.playing), float(progress.images)
        self._laps = deque([(0.0, self._done)])
        self._next = now + 0.03 * self._whole

    def after_round(self, training: Training) -> None:
        now, progress = time.perf_counter(), training.progress
        self._done += (progress.images - self._shown) * self._weight(progress.share)
        self._note_pause(now, training.playing, progress)
        if self._unsettled is not None and now - self._begun - self._paused >= self._unsettled[2] + LATELY:
            self._settle(now)
        # Before the last round, not after it: there the rates have fallen to their end, and what is due then is done.
        ends = progress.images + (progress.images - self._shown) >= progress.total
        self._shown = progress.images
        if progress.images < progress.total and (now >= self._next or ends):
            self._next = now + max(0.1, 0.01 * (self.until - now))
            self._foresee(training, now)
        if now >= self._end(now) or progress.images >= progress.total:
            training.stop = True

    def end(self, training: Training) -> None:
        """Nothing to close."""

    @property
    def _whole(self) -> float:
        """Seconds from the beginning to the deadline."""
        return self.until - self._begun

    def _end(self, now: float) -> float:
        """When the last round must be over; the last evaluation and checkpoint follow."""
        last = self.pause if self._work is None else self._work * self._late_pace(now)
        return self.until - SPARE * last

    def _note_pause(self, now: float, playing: float, progress: Progress) -> None:
        """Counts what lies between two rounds; what is kept back follows the longest of late."""
        clock, played = self._last
        self._last = (now, playing)
        pause = (now - clock) - (playing - played)
        if pause < LONG:
            return
        self._paused += pause
        pace = self._late_pace(now)
        if 4 * pause >= (self.pause if self._work is None else self._work * pace):
            self._looked = progress.share
        self._settle(now)
        self._unsettled = (pause, pace, now - self._begun - self._paused)

    def _settle(self, now: float) -> None:
        """Takes the last pause for what it was at the slower of the paces before and after it."""
        if self._unsettled is None:
            return
        pause, pace, _ = self._unsettled
        pace = max(pace, self._late_pace(now))
        before = self.pause / pace if self._work is None else self._work
        self._work, self._unsettled = max(0.9 * before, pause / pace), None

    def _foresee(self, training: Training, now: float) -> None:
        """Changes the length where the run would end too early or too late."""
        progress = training.progress
        left = self._end(now) - now
        pace, pauses = self._pace(now, left) * self._weight_left(progress.share), self._pauses_left(progress.share)
        early = left - pauses - (progress.total - progress.images) * pace
        uncertain = FORESIGHT * max(0.0, left)
        if -LATE * self._whole - uncertain <= early <= EARLY * self._whole + uncertain:
            return
        fits = min(max(0.0, left - pauses - AIM * self._whole) / pace, self.most - progress.images)
        total = progress.images + int(fits)
        if total == progress.total:
            return
        progress.replan(total)
        self.total = training.length = progress.total
        self._tell(training.noun)

    def _pace(self, now: float, left: float) -> float:
        """Seconds per image of mean weight, without pauses, over about as long a time as is left."""
        active = now - self._begun - self._paused
        while len(self._laps) > 1 and self._laps[1][0] <= active - max(1.0, left):
            self._laps.popleft()
        since, first = self._laps[0]
        self._laps.append((active, self._done))
        return max(1e-9, active - since) / max(1.0, self._done - first)

    def _late_pace(self, now: float) -> float:
        """Seconds per image of mean weight, without pauses, of rounds of late; that of the plan at first."""
        active = now - self._begun - self._paused
        since, first = next((lap for lap in reversed(self._laps) if lap[0] <= active - LATELY), self._laps[0])
        if self._done <= first:
            return (self._whole - self.pauses) / max(1, self._told)
        return max(1e-9, active - since) / (self._done - first)

    def _weight(self, share: float) -> float:
        """How long an image takes at a share of the run, in times of the mean of the whole run."""
        return next(pace for start, pace in reversed(self.paces) if start <= share) / self._mean(0.0)

    def _weight_left(self, share: float) -> float:
        """The mean of that over the rest of the run."""
        return self._mean(min(share, 1 - 1e-9)) / self._mean(0.0)

    def _mean(self, share: float) -> float:
        """Seconds per image from a share of the run to its end."""
        ends = [*(start for start, _ in self.paces[1:]), 1.0]
        parts = zip(self.paces, ends, strict=True)
        return sum(max(0.0, end - max(start, share)) * pace for (start, pace), end in parts) / (1 - share)

    def _pauses_left(self, share: float) -> float:
        """Seconds of pauses in the rest of the run."""
        since = max(self._looked, share - APART)
        return (1 - since) * (self._paused + PRIOR * self.pauses) / (since - self._first + PRIOR)

    def _tell(self, noun: str) -> None:
        """Says the new length where it is news."""
        if self._lines < LINES and abs(self.total - self._told) > NEWS * self._told:
            self.say(
                f"{self.total:,} {noun} will fit the budget, not {self._told:,}: the learning rates fall accordingly"
            )
            self._told, self._lines = self.total, self._lines + 1
