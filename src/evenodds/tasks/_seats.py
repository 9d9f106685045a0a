"""What a task asks of those who build its players: which kind of network sits where, and with which sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["Described", "Seat"]


@dataclass(frozen=True)
class Seat:
    """A player's place in a game.

    Args:
        kind: the class of a network family that sits here: "Generator" or "Discriminator"; or "Filler".
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
