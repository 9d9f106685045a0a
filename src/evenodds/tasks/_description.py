"""What a task needs to know of data, whatever has read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from evenodds.parts.choosing import Block

__all__ = ["DataDescription"]


class ConditionDescription(Protocol):
    """Attributes or values beside the classes of items; see evenodds.data.conditions.Conditions."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the attributes or values."""
        ...

    @property
    def binary(self) -> bool:
        """Whether they are attributes, 0 or 1."""
        ...


class BesideDescription(Protocol):
    """Something that lies beside x; see evenodds.data.dataset.Beside."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one item."""
        ...


class DataDescription(Protocol):
    """Data, or what a run has kept of them."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""
        ...

    @property
    def conditions(self) -> ConditionDescription | None:
        """Attributes or values of each item."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one item x."""
        ...

    @property
    def beside(self) -> Mapping[str, BesideDescription]:
        """What lies beside x, by name."""
        ...

    @property
    def has_gaps(self) -> bool:
        """Whether items are rows of a table whose empty cells are to be filled."""
        ...

    @property
    def row_blocks(self) -> tuple[Block, ...]:
        """The amounts and choices that make up an item of a table; empty of other items."""
        ...
