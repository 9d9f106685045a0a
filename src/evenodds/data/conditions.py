"""What is known of each item beside its class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from evenodds.data.tables.amounts import PLAIN, NumberStyle
from evenodds.data.units import Units
from evenodds.errors import BadInput, unknown

__all__ = ["Conditions"]


@dataclass(frozen=True)
class Conditions:
    """What is known of each item beside its class: attributes, which are 0 or 1, or values in units of their own."""

    names: tuple[str, ...]
    units: Units
    """Of values, their range; of attributes, one that leaves 0 and 1 as they are."""
    binary: bool
    """Whether they are attributes."""
    styles: tuple[NumberStyle, ...] = ()
    """How the file of a table writes them; empty where as plain numbers."""

    def __post_init__(self) -> None:
        if len(self.styles) not in (0, len(self.names)):
            raise BadInput(f"{len(self.names)} conditions need as many styles or none, got {len(self.styles)}")
        if not self.names or len(self.units.low) not in (1, len(self.names)):
            raise BadInput(f"{len(self.names)} conditions need as many ranges or one, got {len(self.units.low)}")

    def to_json(self) -> dict[str, Any]:
        """Plain values, as fields by name."""
        styles = {"styles": [asdict(style) for style in self.styles]} if self.styles else {}
        return {"names": list(self.names), "units": self.units.to_json(), "binary": self.binary, **styles}

    def texts(self, c: NDArray[Any]) -> list[tuple[str, ...]]:
        """The numbers (N, K) in own units as a table writes them, condition by condition."""
        styles = self.styles or (PLAIN,) * len(self.names)
        return [  # they are of single precision
            tuple(style.written(f"{value:.7g}") for value in column) for style, column in zip(styles, c.T, strict=True)
        ]

    def to_model(self, values: Mapping[str, float]) -> Tensor:
        """One c (1, K) as players see it, from a number in own units for each name; BadInput where one is missing."""
        for name in values:
            if name not in self.names:
                raise unknown("condition", name, self.names)
        missing = [name for name in self.names if name not in values]
        if missing:
            raise BadInput(f"all of {', '.join(self.names)} must be given, {', '.join(missing)} is missing")
        row = torch.tensor([[float(values[name]) for name in self.names]])
        if self.binary and not ((row == 0) | (row == 1)).all():
            raise BadInput(f"the attributes {', '.join(self.names)} are 0 or 1, got {row[0].tolist()}")
        return self.units.to_model(row)
