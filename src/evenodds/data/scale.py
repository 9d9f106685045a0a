"""The line from the data's own numbers to [-1, 1] and back, on arrays of numpy: torch is not imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGEST", "Numbers", "Scale"]

Numbers = NDArray[np.float32]
LARGEST = float(np.finfo(np.float32).max)
"""Of the numbers that float32 holds."""


@dataclass(frozen=True)
class Scale:
    """As `evenodds.data.units.Units` without columns: `low` is -1 and `high` is 1.

    Args:
        low, high: one for all channels, or one for each.
        dtype: uint8, uint16 or float32.

    Example:
        >>> import numpy as np
        >>> from evenodds.data.scale import Scale
        >>> Scale((0.0,), (255.0,), "uint8").to_data(np.array([[-1.0, 0.0, 2.0]], np.float32))
        array([[  0, 128, 255]], dtype=uint8)
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    dtype: str

    def line(self, dims: int) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        """Middle, half, low and high, along the channels of an array of so many dimensions."""
        low, high = (np.array(part).reshape(-1, *[1] * (dims - 2)) for part in (self.low, self.high))
        parts = ((low + high) / 2, (high - low) / 2, low, high)
        middle, half, least, most = (part.astype(np.float32) for part in parts)
        return middle, half, least, most

    def to_model(self, x: NDArray[Any]) -> Numbers:
        """(N, C, ...) in own units -> float32, [low, high] becoming [-1, 1]."""
        middle, half, _, _ = self.line(x.ndim)
        return np.asarray((x.astype(np.float32) - middle) / np.where(half == 0, np.float32(1), half), np.float32)

    def to_data(self, x: Numbers) -> NDArray[Any]:
        """(N, C, ...) float -> own units; whole numbers are rounded and clipped to [low, high]."""
        middle, half, low, high = self.line(x.ndim)
        values: NDArray[Any] = x.astype(np.float32, copy=False) * half + middle
        if self.dtype == "float32":
            return values
        return np.asarray(np.clip(values.round(), low, high).astype(self.dtype))
