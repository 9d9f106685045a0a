"""Saves checkpoints and judges each by a held-out score."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import torch

from evenodds.errors import Diverged
from evenodds.files.names import below
from evenodds.game import checkpoint
from evenodds.game.checkpoint import Stateful
from evenodds.game.listeners.context import Order, RunContext, interval
from evenodds.game.listeners.evaluate import Evaluate
from evenodds.game.listeners.watch import Watch
from evenodds.game.trainer import Training

__all__ = ["Save"]


@dataclass
class Save:
    """Writes a checkpoint at every interval and at the end; keeps the last few and the best.

    Args:
        folder: gets one folder per checkpoint, named by its images.
        parts: what a checkpoint holds.
        every_images: interval.
        header: further JSON values to keep, such as the configuration.
        score: held-out figures of the game, "score" (lower is better) with "score_low" and "score_high", its interval,
            and "copies" where they were looked for; empty where none are due, None for none at all. It must not touch
            the run's random state.
        keep: how many of the last to keep.
        healthy: whether what stands is worth keeping; what is not is left unsaved at the end.
        saved: called after each, with the training.
    """

    folder: Path
    parts: Mapping[str, Stateful]
    every_images: int
    header: Mapping[str, Any] = field(default_factory=dict)
    score: Callable[[Training], Mapping[str, float]] | None = None
    keep: int = 3
    healthy: Callable[[], bool] = lambda: True
    saved: Callable[[Training], None] | None = None
    _last: int = field(init=False, default=0)
    _turn: int = field(init=False, default=0)
    order: ClassVar[Order] = Order.SAVE

    @classmethod
    def for_run(cls, run: RunContext) -> Self | None:
        """On where the run has a folder; nothing is saved once the watch has raised an alarm."""
        if run.folder is None:
            return None
        evaluate, watch = run.listeners.get("evaluate"), run.listeners.get("watch")
        return cls(
            below(run.folder, "checkpoints"),
            run.parts,
            interval(run.config, 1 / run.config.save_share),
            run.header,
            evaluate.score if isinstance(evaluate, Evaluate) and run.scored else None,
            run.config.keep,
            lambda: not isinstance(watch, Watch) or watch.alarm is None,
            run.snapshot,
        )

    def begin(self, training: Training) -> None:
        self._last = training.progress.images
        self._turn = training.progress.position // self.every_images

    def after_round(self, training: Training) -> None:
        turn = training.progress.position // self.every_images
        if turn != self._turn and self.healthy():  # where `Evaluate` measures too, so that nothing is measured twice
            self._turn = turn
            self.save(training)

    def end(self, training: Training) -> None:
        # Not after a failure in mid-round: some players would have moved and others not.
        if training.whole and training.progress.images > self._last and self.healthy():
            self.save(training)

    def save(self, training: Training) -> None:
        """Writes a checkpoint now."""
        require_finite(training)
        figures = self.score(training) if self.score is not None else {}
        images, score = training.progress.images, figures.get("score")
        header = {
            **self.header,
            "progress": asdict(training.progress),
            "seed": training.seed,
            "draws": "every draw of round r is seeded by mix(seed, r): seed and round are the whole random state",
            "score": score if score is None or math.isfinite(score) else None,
            "score_interval": [figures.get("score_low"), figures.get("score_high")],
            "copies": figures.get("copies", 0.0),
        }
        checkpoint.save(self.folder / f"{images:012d}", self.parts, header)
        self._last = images
        self._prune()
        if self.saved is not None:
            self.saved(training)

    def _prune(self) -> None:
        """Removes checkpoints beyond those to keep. Links, and folders with other files in them, stay.

        That after 0 images stays too: it is the start of a run from the weights of another.
        """
        spared = {
            checkpoint.best_of(self.folder),
            *checkpoint.listing(self.folder)[-self.keep :],
            self.folder / f"{0:012d}",
        }
        for path in checkpoint.listing(self.folder):
            if path not in spared and checkpoint.is_removable(path):
                checkpoint.remove(path)


def require_finite(training: Training) -> None:
    """Raises Diverged where a parameter is not a finite number."""
    shown = f"{training.progress.images:,} {training.noun}"
    for name, player in training.game.players.items():
        values: list[torch.Tensor] = list(player.parameters())
        if values and not bool(torch.isfinite(torch.stack(torch._foreach_norm([*values]))).all()):
            raise Diverged(
                f"the parameters of '{name}' are no longer finite after {shown}; "
                "lower learning_rate or raise penalty_weight; checkpoints made before are intact"
            )
