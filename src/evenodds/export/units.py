"""The data's own bytes to and from [-1, 1], as layers of a graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from evenodds.data.units import Units

__all__ = ["FromModel", "ToModel"]


class ToModel(nn.Module):
    """`Units.to_model` of images (N, C, H, W) uint8."""

    middle: Tensor
    reach: Tensor

    def __init__(self, units: Units) -> None:
        super().__init__()
        low, high = (torch.tensor(ends, dtype=torch.float64).view(1, -1, 1, 1) for ends in (units.low, units.high))
        self.register_buffer("middle", ((high + low) / 2).float())
        reach = (high - low) / 2
        self.register_buffer("reach", torch.where(reach == 0, torch.ones_like(reach), reach).float())

    def forward(self, x: Tensor) -> Tensor:
        return (x.to(torch.float32) - self.middle) / self.reach


class FromModel(nn.Module):
    """`Units.to_data` of images (N, C, H, W) in [-1, 1], as uint8."""

    middle: Tensor
    reach: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, units: Units) -> None:
        super().__init__()
        low, high = (torch.tensor(ends, dtype=torch.float64).view(1, -1, 1, 1) for ends in (units.low, units.high))
        parts = {"middle": (high + low) / 2, "reach": (high - low) / 2, "low": low, "high": high}
        for name, part in parts.items():
            self.register_buffer(name, part.float())

    def forward(self, x: Tensor) -> Tensor:
        values = (x * self.reach + self.middle).round()
        return torch.minimum(torch.maximum(values, self.low), self.high).to(torch.uint8)
