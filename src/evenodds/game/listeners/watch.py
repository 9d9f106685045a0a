"""Watches a run: measures it on held-out items, states a verdict, and ends it where to go on is of no use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Self

from evenodds.game.listeners.context import Order, RunContext, generator_begins
from evenodds.game.listeners.log import Log
from evenodds.game.rules import Progress
from evenodds.game.trainer import Training
from evenodds.game.watch.diagnosis import diagnose
from evenodds.game.watch.history import Cells
from evenodds.game.watch.thresholds import FIRST_ROUNDS
from evenodds.game.watch.trend import plateau
from evenodds.game.watch.verdict import Verdict

__all__ = ["Watch", "glance_interval"]

EARLY = (8, 16, 32, 64, 128)
"""Rounds at which a glance is due whatever the interval: runs that fail, mostly fail at once."""
FIRST_GLANCES = 1 + len(EARLY)
"""Those of the first rounds, and that of the untrained generator."""
CLOSELY_FROM = EARLY[-2]
"""Rounds from which glances are close, as that of the untrained game is: no verdict is founded on what earlier ones
would say of D, or of samples that repeat."""


def glance_interval(config: Any, images: int) -> int:
    """Images from one glance to the next: the share of the run that is set, and at least 10 rounds."""
    least = 10 * int(config.batch) * int(config.discriminator_steps)
    return max(least, images // round(1 / float(config.glance_share)))


@dataclass
class Watch:
    """Takes a glance at every interval and in the first rounds, diagnoses the history, and writes both to it.

    It is called after the evaluation, so that a fresh score counts. All that it decides is a function of the history up
    to a position, and glances fall at fixed rounds and where multiples of the interval are crossed: a resumed run gets
    the same verdicts at the same positions.

    Args:
        glance: cheap held-out figures of the game as it stands, closely or not; see `evidence`. It must not touch the
            run's random state.
        every_images: interval.
        cells: what the shares of a glance mean.
        log: the history.
        act: whether an alarm ends the run, so that it can go back; otherwise it is only reported.
        patience: the share of the run for which the held-out score may be flat before the run ends; 0: for ever.
        settled: whether a run may be ended for being flat: not while it starts, nor before its rates have fallen.
        say: gets a sentence where the verdict changes.
        begins: the share of the run at which the generator begins to learn; before it there is nothing to see.
    """

    glance: Callable[[bool], Mapping[str, Any]]
    every_images: int
    cells: Cells
    log: Log
    act: bool = False
    patience: float = 0.0
    settled: Callable[[Training], bool] = lambda training: True
    say: Callable[[str], None] = lambda line: None
    begins: float = 0.0
    verdict: Verdict = field(init=False, default_factory=lambda: Verdict("starting", "too early to tell"))
    alarm: Verdict | None = field(init=False, default=None)
    flat: bool = field(init=False, default=False)
    """Whether the run was ended because it was flat."""
    _turn: int = field(init=False, default=0)
    _left_out: dict[str, int] = field(init=False, default_factory=dict)
    order: ClassVar[Order] = Order.WATCH

    @classmethod
    def for_run(cls, run: RunContext) -> Self | None:
        """On unless watch=off, where there is a history and something to glance at."""
        log = run.listeners.get("log")
        if run.config.watch == "off" or not isinstance(log, Log) or (cells := run.cells) is None:
            return None
        act, patience = run.config.watch == "act", run.config.patience
        every = glance_interval(run.config, run.config.images)
        settled = partial(_settled, run)
        return cls(run.glance, every, cells, log, act, patience, settled, run.say, generator_begins(run))

    def begin(self, training: Training) -> None:
        self._turn = training.progress.position // self.every_images
        self._left_out = _left_out(training)
        training.news = self.verdict.word
        if training.progress.images == 0:
            self.look(training)  # the untrained generator: what everything later is held against

    def after_round(self, training: Training) -> None:
        if training.engine.device.type == "cpu":  # elsewhere it would have to be waited for
            self._count(training)
        turn = training.progress.position // self.every_images
        if turn != self._turn or training.progress.round in EARLY:
            self._turn = turn
            self._count(training)
            if training.progress.share >= self.begins:
                self.look(training)

    def end(self, training: Training) -> None:
        """Nothing to close."""

    def look(self, training: Training) -> None:
        """Takes a glance and states the verdict now."""
        played = training.progress.round
        figures = dict(self.glance(played == 0 or played >= CLOSELY_FROM))
        if not figures:
            return
        here = {"images": training.progress.images, "round": training.progress.round}
        self._decide(training, [*self.log.lines, {**here, **figures}])
        self.log.write(training, **figures, verdict=self.verdict.word, why=self.verdict.why)

    def _decide(self, training: Training, history: Sequence[Mapping[str, Any]]) -> None:
        verdict = diagnose(history, self.cells, training.progress.total)
        if verdict.word != self.verdict.word:
            self._tell(training, str(verdict))
        self.verdict, training.news = verdict, verdict.word
        if verdict.alarm and self.act:
            self.alarm, training.stop = verdict, True
        elif self.patience and self.settled(training) and plateau(history, training.progress.total, self.patience):
            self.flat = training.stop = True
            self._tell(training, f"ended, flat for {self.patience:.0%} of the run")

    def _tell(self, training: Training, what: str) -> None:
        self.say(f"at {training.progress.images:,} {training.noun}: {what}")

    def _count(self, training: Training) -> None:
        """Says at once where updates were left out because they were not finite."""
        now = _left_out(training)
        for name, lost in now.items():
            if lost != self._left_out.get(name, 0):
                self._tell(training, f"a gradient of '{name}' was not finite, and was left out")
                self.log.write(training, left_out=now)
                break
        self._left_out = now


def _settled(run: RunContext, training: Training) -> bool:
    """Whether the run is past its start, and its learning rates are as low as at its end, or at a quarter."""
    now, end = (run.learner.rate(progress) for progress in (training.progress, Progress(1, 1)))
    return training.progress.round >= FIRST_ROUNDS and (now <= 0.25 or end >= now)


def _left_out(training: Training) -> dict[str, int]:
    """Updates that the learners' guards left out, by move. Raises Diverged where there is no way on."""
    guards = {id(guard): guard for learner in training.learners.values() if (guard := getattr(learner, "guard", None))}
    return {name: lost for guard in guards.values() for name, lost in guard.counted().items()}
