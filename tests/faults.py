"""Faults that are planted into games, for tests and benchmarks."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from evenodds.game.trainer import Feed, Training


@dataclass
class Plant:
    """A listener that makes one gradient of a player NaN or infinite in one round, and notes what was seen of it."""

    player: str
    round: int
    value: float = float("nan")
    seen: int | None = None
    """Rounds after the fault at which the guard had counted it."""
    finite: bool = True
    """Whether all parameters were finite after each round."""
    _now: int = field(init=False, default=0)

    def begin(self, training: Training) -> None:
        self._now = training.progress.round
        next(iter(training.game.players[self.player].parameters())).register_hook(self._spoil)

    def _spoil(self, gradient: Tensor) -> Tensor:
        return torch.full_like(gradient, self.value) if self._now == self.round else gradient

    def after_round(self, training: Training) -> None:
        self._now = training.progress.round
        lost = sum(training.learners["generator"].guard.counted().values())  # type: ignore[attr-defined]
        if lost and self.seen is None:
            self.seen = self._now - self.round
        self.finite &= all(bool(p.isfinite().all()) for g in training.game.players.values() for p in g.parameters())

    def end(self, training: Training) -> None: ...


@dataclass
class SpoiltFeed:
    """A feed with one NaN in the batch at one position."""

    feed: Feed
    position: int

    @property
    def size(self) -> int:
        return self.feed.size

    def at(self, position: int) -> dict[str, Tensor]:
        batch = dict(self.feed.at(position))
        if position == self.position:
            batch["x"] = batch["x"].clone()
            batch["x"][0].view(-1)[0] = float("nan")
        return batch
