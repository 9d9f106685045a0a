"""The units of data, and their exact conversion to and from [-1, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from evenodds.data.scale import LARGEST, Scale
from evenodds.data.tables.columns import LARGEST as SQUARED
from evenodds.data.tables.columns import Columns, Knots, are_maps
from evenodds.data.tables.rows import Block, Column
from evenodds.data.tables.seen import rows_to_data, rows_to_model
from evenodds.errors import BadInput, unknown
from evenodds.game.arithmetic import constant

__all__ = ["STORED", "Units"]

STORED = {"uint8": torch.uint8, "uint16": torch.int32, "float32": torch.float32, "float64": torch.float64}
"""The dtype that holds each kind of number. Sixteen bits live in int32: torch computes little in uint16."""


@dataclass(frozen=True)
class Units:
    """How the data's own numbers map to [-1, 1]: `low` to -1, `high` to 1, linearly, without clipping.

    Integers come back exactly: to_data(to_model(x)) == x for every uint8 and uint16 value in [low, high].
    """

    low: tuple[float, ...]
    """One for all channels or columns, or one for each."""
    high: tuple[float, ...]
    """As long as `low`; equal to it where a column is constant, which maps to 0 and back to that constant."""
    dtype: str
    """"uint8", "uint16" or "float32"; of a table with columns "float64"."""
    whole: tuple[bool, ...] = ()
    """Of a table without columns: for each, whether it holds whole numbers alone. Values then stay within the range."""
    columns: tuple[Column, ...] = ()
    """Of a table whose columns are amounts and choices, each with a map of its own in place of the linear one."""
    knots: tuple[Knots, ...] = ()
    """Of a table whose empty cells are to be filled: for each column, increasing numbers and where they lie for
    players, which see one number for each column, NaN of an empty cell. Between them, and beyond the ends, the map is
    linear. None of either for a column of words, of which players see one number for each word."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", tuple(float(value) for value in self.low))
        object.__setattr__(self, "high", tuple(float(value) for value in self.high))
        if self.dtype not in STORED:
            raise unknown("dtype of units", self.dtype, STORED)
        if len(self.low) != len(self.high) or not self.low:
            raise BadInput(f"units need as many low as high values, got {len(self.low)} and {len(self.high)}")
        if self.whole and (len(self.whole) != len(self.low) or self.dtype != "float32"):
            raise BadInput(f"units of {len(self.low)} columns need as many flags for whole numbers, or none")
        if bool(self.columns) != (self.dtype == "float64") or len(self.columns) not in (0, len(self.low)):
            raise BadInput(f"units of float64 need a column for each of {len(self.low)} ranges, others none")
        if self.knots and not are_maps(self.knots, self.columns):
            raise BadInput(f"units of {len(self.columns)} columns need as many increasing maps through knots, or none")
        most = SQUARED if self.knots else LARGEST
        for low, high in zip(self.low, self.high, strict=True):
            if not -most <= low <= high <= most:
                raise BadInput(
                    f"units need low <= high within the range of float32, got [{low:g}, {high:g}]; "
                    "give the range of the data"
                )

    @classmethod
    def of(cls, scale: Scale) -> Units:
        """Those of a scale."""
        return cls(scale.low, scale.high, scale.dtype)

    @property
    def scale(self) -> Scale:
        """For arrays of numpy, of data that are no table with columns."""
        return Scale(self.low, self.high, self.dtype)

    def to_model(self, x: Tensor) -> Tensor:
        """(N, C, ...) in own units -> the same shape and memory format, float32, [low, high] becoming [-1, 1].

        Of a table with columns: (N, D) -> (N, E), see `evenodds.data.tables.rows`; with empty cells to fill, see
        `evenodds.data.tables.columns`, NaN where they are empty.
        """
        if self.knots:
            return torch.from_numpy(self.common.to_common(x.double().cpu().numpy())).to(x.device)
        if self.columns:
            return rows_to_model(self.columns, x)
        middle, half = self._line(x)
        # Subtract, then divide: both ends then land on -1 and 1 exactly, which a rounded factor would miss.
        # In place where x was copied anyway: large batches are bound by memory.
        moved = x - middle if x.dtype == torch.float32 else x.to(torch.float32).sub_(middle)
        return moved.div_(half + (half == 0) if isinstance(half, Tensor) else half or 1.0)

    def to_data(self, x: Tensor) -> Tensor:
        """(N, C, ...) float -> own units: uint8, int32 (for uint16), float32, or float64 of a table with columns.

        Integers are rounded and clipped to [low, high], and so are columns of a table, of which only those of whole
        numbers are rounded; other floats are not clipped. Gradients do not pass.
        """
        if self.knots:
            own = self.common.to_units(x.detach().cpu().double().numpy())
            return torch.from_numpy(self.common.allowed(own)).to(x.device)
        if self.columns:
            return rows_to_data(self.columns, x)
        middle, half = self._line(x)
        values = x.detach().to(torch.float32) * half + middle
        if self.dtype != "float32":
            low, high = (_along_channels(ends, x.ndim, x.device) for ends in (self.low, self.high))
            values = values.round_().clamp_(low, high)  # type: ignore[arg-type]
        elif self.whole:
            low, high, whole = (torch.tensor(part, device=x.device) for part in (self.low, self.high, self.whole))
            values = torch.where(whole, values.round(), values).clamp_(low, high)
        return values.to(STORED[self.dtype])

    @property
    def common(self) -> Columns:
        """The columns of a table whose empty cells are to be filled, on the scale on which players see them."""
        return Columns.learned(self.columns, self.knots, self.low, self.high)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What a generator needs to know of the columns of a table; empty where it needs nothing."""
        return self.common.blocks if self.knots else tuple(column.block for column in self.columns)

    def seen(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of an item as players see it, by its own."""
        if self.knots:
            return (sum(self.common.widths),)
        return (sum(column.width for column in self.columns),) if self.columns else tuple(shape)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as fields by name."""
        columns = {"columns": [asdict(column) for column in self.columns]} if self.columns else {}
        knots = {"knots": [list(map(list, one)) for one in self.knots]} if self.knots else {}
        return self.line() | ({"whole": list(self.whole)} if self.whole else {}) | columns | knots

    def line(self) -> dict[str, Any]:
        """Plain values of what maps numbers to [-1, 1]."""
        return {"low": list(self.low), "high": list(self.high), "dtype": self.dtype}

    def _line(self, x: Tensor) -> tuple[float | Tensor, float | Tensor]:
        middle = tuple((high + low) / 2 for low, high in zip(self.low, self.high, strict=True))
        half = tuple((high - low) / 2 for low, high in zip(self.low, self.high, strict=True))
        return _along_channels(middle, x.ndim, x.device), _along_channels(half, x.ndim, x.device)


def _along_channels(values: tuple[float, ...], ndim: int, device: torch.device) -> float | Tensor:
    if len(values) == 1:
        return values[0]
    return constant(values, device, torch.float32).view(1, -1, *[1] * (ndim - 2))
