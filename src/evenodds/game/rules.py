"""The vocabulary: players, moves, costs, tasks and the game that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.schedule import Progress, When, always

__all__ = ["Batch", "Costs", "Game", "Move", "Players", "Progress", "State", "Task"]

Batch = Mapping[str, Tensor]
"""Named tensors with the items along dimension 0: "x" (N, C, H, W) or (N, D) float in [-1, 1]; "y" (N,) int64, -1
unknown; "z" (N, latent); and whatever else a task deals."""

Players = Mapping[str, nn.Module]
"""The players by name: "generator", "discriminator", or a task's own names."""


class Costs(dict[str, Tensor]):
    """Named scalars; the movers minimise their sum. `facts` are reported beside them and cost nothing.

    Example:
        >>> import torch
        >>> from evenodds import Costs
        >>> costs = Costs({"adversarial": torch.tensor(0.5), "penalty": torch.tensor(0.25)})
        >>> costs.total().item()
        0.75
    """

    def __init__(self, costs: Mapping[str, Tensor], facts: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(costs)
        self.facts: dict[str, Tensor] = {name: value.detach() for name, value in (facts or {}).items()}

    def total(self) -> Tensor:
        """The scalar that the movers minimise."""
        return torch.stack(list(self.values())).sum() if len(self) > 1 else next(iter(self.values()))


@dataclass(frozen=True)
class Move:
    """Some players change so as to lower a cost, while all others are frozen.

    Raises:
        BadInput: `repeat` is below 1.

    Example:
        >>> from evenodds import Move
        >>> def cost(players, batch):
        ...     return {"error": (players["generator"](batch["z"]) - batch["x"]).square().mean()}
        >>> Move("generator", movers=("generator",), cost=cost, repeat=2).repeat
        2
    """

    name: str
    """Prefix of its reported terms."""
    movers: tuple[str, ...]
    """Whose parameters change."""
    cost: Callable[[Players, Batch], Mapping[str, Tensor]]
    """Computes the costs of one hand; never steps, logs or reads a configuration."""
    repeat: int = 1
    """Plays per round, each on a hand of its own: k of Algorithm 1, Goodfellow et al. (2014)."""
    when: When = always
    """In which rounds the move is played."""

    def __post_init__(self) -> None:
        if self.repeat < 1:
            raise BadInput(f"move '{self.name}' needs repeat >= 1, got {self.repeat}; use `when` to play it rarely")


class Task(Protocol):
    """What is modelled: deals the hand, lists the moves, answers requests afterwards."""

    @property
    def roles(self) -> tuple[str, ...]:
        """The names of the players that it needs."""
        ...

    def deal(self, real: Batch, rng: torch.Generator) -> Batch:
        """Adds the task's own draws (noise, masks, labels) to a real batch; all randomness comes from rng."""
        ...

    def moves(self) -> Sequence[Move]:
        """The moves of one round, in the order of play."""
        ...

    def answer(self, players: Players, request: Batch) -> Batch:
        """Inference: what the command line, the studio and the estimators call."""
        ...


@dataclass(frozen=True)
class Game:
    """A task, its players and its moves; complete by construction.

    Raises:
        BadInput: a player that the task or a move names is missing.

    Example:
        >>> from torch import nn
        >>> from evenodds import Game
        >>> from evenodds.parts.losses.adversarial import non_saturating
        >>> from evenodds.parts.priors import Normal
        >>> from evenodds.tasks.contest import Contest
        >>> from evenodds.tasks.generate import Generate
        >>> players = {
        ...     "generator": nn.Linear(4, 2),  # z (N, 4) -> x (N, 2)
        ...     "discriminator": nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)),  # x (N, 2) -> logits (N,)
        ... }
        >>> game = Game(Generate(Normal(4), Contest(non_saturating)), players)
        >>> [move.name for move in game.moves]
        ['discriminator', 'generator']
    """

    task: Task
    players: dict[str, nn.Module]
    moves: tuple[Move, ...] = field(default=())
    """The moves of a round; the task's own where none are given."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "moves", tuple(self.moves) or tuple(self.task.moves()))
        needed = [*self.task.roles, *(mover for move in self.moves for mover in move.movers)]
        missing = sorted(set(needed) - set(self.players))
        if missing:
            have = ", ".join(sorted(self.players)) or "none"
            raise BadInput(f"the game needs players {', '.join(missing)}, got {have}; add them to `players`")


@dataclass(frozen=True)
class State:
    """What must be kept of an object so that it can go on: tensors and plain JSON values."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    data: dict[str, object] = field(default_factory=dict)
