"""A player as it was at a moment of the run, kept beside what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import ClassVar, Self

import torch
from torch import nn

from evenodds.game.checkpoint import PlayersState
from evenodds.game.listeners.context import Order, RunContext
from evenodds.game.rules import Progress, State
from evenodds.game.trainer import Training

__all__ = ["EARLIER", "Milestone"]

EARLIER = "earlier"
"""The name of the generator as it was when its adversary entered."""


@dataclass
class Milestone:
    """Copies players once a share of the run is over.

    Args:
        players: whom to copy, under the names that the copies get; asked for at the moment itself.
        share: of the run, in (0, 1).
    """

    players: Callable[[], Mapping[str, nn.Module]]
    share: float
    copies: dict[str, nn.Module] = field(init=False)
    reached: bool = field(init=False, default=False)
    order: ClassVar[Order] = Order.AVERAGE

    @classmethod
    def for_run(cls, run: RunContext) -> Self | None:
        """On where the adversary enters midway, at the last change of the rounds: the generator is kept from then."""
        first = Progress(total=1)
        begin = {mover for move in run.game.moves if move.when(first) for mover in move.movers}
        if not run.stages or "generator" not in begin or "discriminator" in begin:
            return None
        return cls(lambda: {EARLIER: run.at_work()["generator"]}, run.stages[-1])

    def __post_init__(self) -> None:
        self._take()

    def begin(self, training: Training) -> None:
        for copy in self.copies.values():
            copy.to(training.engine.device)

    def after_round(self, training: Training) -> None:
        if not self.reached and training.progress.share >= self.share:
            self._take()
            self.reached = True

    def end(self, training: Training) -> None:
        """Nothing to close."""

    @torch.no_grad()
    def _take(self) -> None:
        self.copies = {name: deepcopy(player).eval().requires_grad_(False) for name, player in self.players().items()}

    def state(self) -> State:
        return State(PlayersState(self.copies).state().tensors, {"reached": self.reached})

    def restore(self, state: State) -> None:
        PlayersState(self.copies).restore(state)
        self.reached = bool(state.data["reached"])
