"""Historical averaging: weights are drawn to the mean of all that they have been."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.experimental._added_costs import with_cost
from evenodds.game.rules import Players, State
from evenodds.game.trainer import Listener, Training
from evenodds.runs.assembly import Run
from evenodds.runs.extras import Extra

__all__ = ["Historical", "History"]


@dataclass(frozen=True)
class Historical(Extra):
    """Both players pay for the squared distance of their weights to their historical mean: Salimans et al. (2016).

    Section 3.3, after fictitious play. The mean is over the rounds of the run, its start included.

    Measured (benchmarks/parts.md): whether it trains, not yet whether it helps.

    Args:
        weight: of the distance; 0 for none. The paper's cost has weight 1.
    """

    weight: float = 0.0

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise BadInput(f"historical needs a weight of at least 0, got {self.weight}; the paper has 1")

    def listeners(self, run: Run) -> dict[str, Listener]:
        """What follows the mean; the moves cost more."""
        history = History({role: run.game.players[role] for role in run.learner.optimizers})
        run.game = with_cost(
            run.game, "historical", history.players, lambda role, player: self.weight * history.distance(role, player)
        )
        return {"historical": history}


@dataclass
class History:
    """The mean of the weights of players over the rounds.

    Args:
        players: whose weights are followed.
    """

    players: Players
    means: dict[str, list[Tensor]] = field(init=False)
    seen: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        self.means = {role: [p.detach().clone() for p in one.parameters()] for role, one in self.players.items()}

    def distance(self, role: str, player: nn.Module) -> Tensor:
        """Squared, of the weights of a player to their mean so far."""
        pairs = zip(player.parameters(), self.means[role], strict=True)
        return torch.stack([(weight - mean).square().sum() for weight, mean in pairs]).sum()

    def begin(self, training: Training) -> None:
        """Nothing to open."""

    @torch.no_grad()
    def after_round(self, training: Training) -> None:
        self.seen += 1
        for role, player in self.players.items():
            torch._foreach_lerp_(self.means[role], [*player.parameters()], 1 / self.seen)

    def end(self, training: Training) -> None:
        """Nothing to close."""

    def state(self) -> State:
        return State(
            {f"{role}.{k}": mean for role, means in self.means.items() for k, mean in enumerate(means)},
            {"seen": self.seen},
        )

    def restore(self, state: State) -> None:
        self.seen = int(str(state.data["seen"]))
        for role, means in self.means.items():
            for k, mean in enumerate(means):
                mean.copy_(state.tensors[f"{role}.{k}"])
