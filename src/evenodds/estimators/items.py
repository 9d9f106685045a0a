"""Arrays of items become tensors of a game, and tensors become arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evenodds.data.readers.arrays import from_array
from evenodds.data.readers.frames import Like, as_frame, is_frame
from evenodds.data.tables.cells import Parsed
from evenodds.data.tables.columns import Columns
from evenodds.data.tables.rows import Block, Column, fitted
from evenodds.data.tables.seen import rows_to_data, rows_to_model
from evenodds.data.units import Units
from evenodds.errors import BadInput
from evenodds.estimators.checks import Array
from evenodds.estimators.rows import Rows

__all__ = ["Items", "joined"]


@dataclass(frozen=True)
class Items:
    """The map between items (N, D), (N, H, W) or (N, C, H, W) in their own units and what networks see of them.

    Rows become amounts and choices, see `evenodds.data.tables.rows`, or columns of mean 0 and deviation 1; images lie
    in [-1, 1].
    """

    shape: tuple[int, ...]
    """Of one item in its own units."""
    dtype: str
    scale: Columns | None = None
    """Of rows of numbers: mean 0 and deviation 1."""
    units: Units | None = None
    """Of images."""
    columns: tuple[Column, ...] = ()
    """Of rows that are amounts and choices."""
    frame: Like | None = None
    """The data frame whose names and types samples have; None of arrays."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Items that were pickled before rows were amounts and choices had their scale as `columns`."""
        if isinstance(state.get("columns"), Columns) or state.get("columns", ()) is None:
            state = {**state, "scale": state["columns"], "columns": (), "frame": None}
        self.__dict__.update(state)

    @property
    def mixed(self) -> bool:
        """Whether they are rows of a data frame with words, dates or empty cells, which no array of numbers holds."""
        return self.scale is None and self.units is None

    @staticmethod
    def of(x: Any, few: int, frame: Any = None) -> Items:
        """Learns from items.

        Args:
            x: an array, or a data frame of pandas that no array of numbers holds.
            frame: what samples are to be like, where that is a data frame.
            few: a column with at most so many distinct values gets no others; and with at most a quarter of the rows,
                as in a short table all values are few. 0: all columns are brought to mean 0 and deviation 1.
        """
        if is_frame(x):
            rows = Rows.of(x)
            return Items((len(rows.columns),), "float64", columns=rows.columns, frame=rows.like)
        like = Like.of(frame) if is_frame(frame) else None
        if x.ndim not in (2, 3, 4):
            raise BadInput(f"X must be (N, D), (N, H, W) or (N, C, H, W), got {x.shape}; reshape it")
        shape, dtype = x.shape[1:], str(x.dtype)
        if x.ndim > 2:
            return Items(shape, dtype, units=from_array(_channels(x), layout="nchw").units)
        scale = Columns.of(np.asarray(x, np.float64), few=1)
        if not few:
            return Items(shape, dtype, scale, frame=like)
        parsed = {f"x{k}": Parsed.numbers(column) for k, column in enumerate(x.T)}
        few = min(few, max(2, len(x) // 4))
        columns = [fitted(name, p.values, decimals=p.decimals, few=few) for name, p in parsed.items()]
        return Items(shape, dtype, scale, columns=tuple(columns), frame=like)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The amounts and choices that make up a row; empty where there are none."""
        return tuple(column.block for column in self.columns)

    @property
    def log_slope(self) -> float:
        """log |d scaled / d data|, summed over all values of an item: the change of a log density by the scale."""
        if self.scale is not None:
            return sum(math.log((c[1] - c[0]) / (value[1] - value[0])) for value, c in self.scale.knots)
        assert self.units is not None
        ends = list(zip(self.units.low, self.units.high, strict=True))
        return -math.prod(self.shape) / len(ends) * sum(math.log((high - low) / 2 or 1.0) for low, high in ends)

    def scaled(self, x: Array) -> Tensor:
        """(N, ...) in own units -> (N, D) linearly scaled, in which densities are taken."""
        if self.scale is not None:
            return torch.from_numpy(self.scale.to_common(np.asarray(x, np.float64)))
        return self.to_model(x).flatten(1)

    def to_model(self, x: Any) -> Tensor:
        """Items in own units -> what networks see, (N, D) or (N, C, H, W) float32."""
        if self.mixed:
            assert self.frame is not None
            numbers = Rows(self.columns, self.frame).numbers(x, missing=False)
            return rows_to_model(self.columns, torch.from_numpy(numbers))
        if x.shape[1:] != self.shape:
            raise BadInput(f"X must be (N, {', '.join(map(str, self.shape))}) as in fit, got {x.shape}")
        if self.columns:
            return rows_to_model(self.columns, torch.from_numpy(np.array(x, np.float64, order="C")))
        if self.scale is not None:
            return torch.from_numpy(self.scale.to_common(np.asarray(x, np.float64)))
        assert self.units is not None
        return self.units.to_model(torch.from_numpy(_channels(x).astype(np.float32)))

    def to_data(self, x: Tensor) -> Any:
        """What networks make -> items like those of `fit`, in the observed range, integers rounded."""
        if self.frame is not None:
            return as_frame(self.columns, rows_to_data(self.columns, x).numpy(), self.frame)
        if self.columns:
            values: Array = rows_to_data(self.columns, x).numpy()
        elif self.scale is not None:
            values = self.scale.allowed(self.scale.to_units(x.detach().cpu().double().numpy()))
        else:
            assert self.units is not None
            values = self.units.to_data(x.clamp(-1, 1)).numpy().reshape(-1, *self.shape)
        kind = np.dtype(self.dtype)
        if kind.kind in "iu":  # floats near the ends of 64 bits may lie beyond them
            low, high = (float(end) for end in (np.iinfo(kind).min, np.iinfo(kind).max))
            values = np.clip(values, low, high if int(high) <= np.iinfo(kind).max else np.nextafter(high, 0))
        return (np.rint(values) if kind.kind in "biu" else values).astype(kind)


def _channels(x: Array) -> Array:
    return x[:, None] if x.ndim == 3 else x


def joined(x: Any, more: Any) -> Any:
    """Items, and further ones behind them: arrays, or data frames of one kind."""
    if not is_frame(x):
        return np.concatenate([x, more])
    import pandas

    return pandas.concat([x, more], ignore_index=True)
