"""How players improve. A learner lowers the cost of a move by changing its movers, by whatever means.

`Gradient` differentiates the cost, `Evolution` only evaluates it, `Fit` reads labelled examples off it and refits a
player as a whole. One game may use all three, one for each player.
"""

from __future__ import annotations

from typing import Protocol

from evenodds.game.engine import Engine
from evenodds.game.learners.evolution import Evolution
from evenodds.game.learners.fit import Fit
from evenodds.game.learners.gradient import Gradient, frozen
from evenodds.game.rules import Batch, Costs, Move, Players, Progress, State

__all__ = ["Evolution", "Fit", "Gradient", "Learner", "frozen"]


class Learner(Protocol):
    """Improves players. It need not use gradients: it may search, or refit a player on the hand."""

    def improve(self, move: Move, players: Players, hand: Batch, engine: Engine, progress: Progress) -> Costs:
        """Changes the movers that it is responsible for so that the move's cost falls; returns the costs it saw."""
        ...

    def state(self) -> State:
        """All that it needs to go on where it was."""
        ...

    def restore(self, state: State) -> None:
        """Goes on from a state."""
        ...
