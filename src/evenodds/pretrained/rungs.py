"""Frozen features of photographs inside a player, at several scales."""

from __future__ import annotations

from torch import Tensor

from evenodds.pretrained.frozen import Frozen

__all__ = ["SCALES", "Rungs"]

SCALES = (9.0, 8.0, 7.0, 3.0)
"""The root mean square of each rung on photographs, by which it is divided."""


class Rungs(Frozen):
    """x (N, 1 or 3, H, W) in [-1, 1], H and W at least 32 -> maps at strides of 4, 8, 16 and 32, of about unit size."""

    def maps(self, x: Tensor) -> list[Tensor]:
        """The rungs of a batch, each divided by its scale."""
        maps = self.network(x.device)(x.expand(-1, 3, -1, -1))
        return [rung / scale for rung, scale in zip(maps, SCALES, strict=True)]
