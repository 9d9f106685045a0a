"""What a task asks of those who build its players: which kind of network sits where, and with which sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from evenodds.game.rules import Batch, Task
from evenodds.tasks.contest import Contest

__all__ = ["Described", "Lying", "Played", "Seat"]


@dataclass(frozen=True)
class Seat:
    """A player's place in a game.

    Args:
        kind: the class of a network family that sits here: "Generator" or "Discriminator"; or "Filler", or "Mapper".
        fixed: its first arguments, which the task decides.
        options: by name, likewise.
    """

    kind: str
    fixed: tuple[Any, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


class Kinds(Protocol):
    """What is known of items beside their classes; see evenodds.data.dataset.Conditions."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the attributes or values."""
        ...

    @property
    def binary(self) -> bool:
        """Whether they are attributes, 0 or 1."""
        ...


class Lying(Protocol):
    """What is known of something that lies beside x; see evenodds.data.dataset.Beside."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one item."""
        ...


class Described(Protocol):
    """Data, or what a run has kept of them."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""
        ...

    @property
    def conditions(self) -> Kinds | None:
        """What else is known of each item."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one item x."""
        ...

    @property
    def beside(self) -> Mapping[str, Lying]:
        """What lies beside x, by name."""
        ...


class Played(Task, Protocol):
    """A task that a run can play: it says what it needs of the data and of the networks."""

    @property
    def contest(self) -> Contest:
        """Loss, penalty and views."""
        ...

    @property
    def stages(self) -> tuple[float, ...]:
        """The shares of the run at which its rounds become others, beside 0."""
        ...

    def seats(self, shape: Sequence[int]) -> dict[str, Seat]:
        """What sits where, for items x of that shape."""
        ...

    def trial(self, real: Batch, rng: torch.Generator) -> Batch:
        """A request beside each real item, by whose answers the players are judged."""
        ...
