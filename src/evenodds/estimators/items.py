"""Arrays of items become tensors of a game, and tensors become arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from evenodds.data.arrays import from_array
from evenodds.data.columns import Columns
from evenodds.data.dataset import Units
from evenodds.errors import BadInput
from evenodds.estimators.checks import Array

__all__ = ["Items"]


@dataclass(frozen=True)
class Items:
    """The map between items (N, D), (N, H, W) or (N, C, H, W) in their own units and the scale of the networks.

    On the scale of the networks, columns have mean 0 and deviation 1, and images lie in [-1, 1].
    """

    shape: tuple[int, ...]
    """Of one item in its own units."""
    dtype: str
    columns: Columns | None
    units: Units | None

    @staticmethod
    def of(x: Array, few: int) -> Items:
        """Learns from items.

        Args:
            few: a column with at most so many distinct values gets no others; and with at most a quarter of the rows,
                as in a short table all values are few.
        """
        if x.ndim not in (2, 3, 4):
            raise BadInput(f"X must be (N, D), (N, H, W) or (N, C, H, W), got {x.shape}; reshape it")
        shape, dtype = x.shape[1:], str(x.dtype)
        if x.ndim == 2:
            columns = Columns.of(np.asarray(x, np.float64), few=min(few, max(2, len(x) // 4)))
            return Items(shape, dtype, columns, None)
        return Items(shape, dtype, None, from_array(_channels(x), layout="nchw").units)

    @property
    def log_slope(self) -> float:
        """log |d model / d data|, summed over all values of an item: the change of a log density by the scale."""
        if self.columns is not None:
            return sum(math.log((c[1] - c[0]) / (value[1] - value[0])) for value, c in self.columns.knots)
        assert self.units is not None
        ends = list(zip(self.units.low, self.units.high, strict=True))
        return -math.prod(self.shape) / len(ends) * sum(math.log((high - low) / 2 or 1.0) for low, high in ends)

    def to_model(self, x: Array) -> Tensor:
        """(N, *shape) in own units -> (N, D) or (N, C, H, W) float32."""
        if x.shape[1:] != self.shape:
            raise BadInput(f"X must be (N, {', '.join(map(str, self.shape))}) as in fit, got {x.shape}")
        if self.columns is not None:
            return self.columns.to_common(np.asarray(x, np.float64))
        assert self.units is not None
        return self.units.to_model(torch.from_numpy(_channels(x).astype(np.float32)))

    def to_data(self, x: Tensor) -> Array:
        """(N, D) or (N, C, H, W) -> (N, *shape) of the dtype of `fit`: in the observed range, integers rounded."""
        if self.columns is not None:
            values: Array = self.columns.allowed(self.columns.to_units(x))
        else:
            assert self.units is not None
            values = self.units.to_data(x.clamp(-1, 1)).numpy().reshape(-1, *self.shape)
        return (np.rint(values) if np.dtype(self.dtype).kind in "biu" else values).astype(self.dtype)


def _channels(x: Array) -> Array:
    return x[:, None] if x.ndim == 3 else x
