"""Batch norm whose statistics are those of the whole batch, however many processes play it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from evenodds.game.slices import playing_now, pooled
from evenodds.game.wide import wide

__all__ = ["share_norms"]


def share_norms(player: nn.Module) -> None:
    """Lets the batch norms of a player share their statistics where a batch is played in slices.

    Their parameters, buffers and results are otherwise what they were. (torch's SyncBatchNorm does not run on a CPU.)
    """
    for module in player.modules():
        if isinstance(module, _BatchNorm) and not isinstance(module, SharedNorm):
            module.__class__ = _shared(type(module))


class SharedNorm(_BatchNorm):
    """Batch norm over the items of all slices: Ioffe and Szegedy (2015), algorithm 1."""

    def forward(self, x: Tensor) -> Tensor:
        if playing_now() is None or not (self.training or self.running_mean is None):
            return super().forward(x)
        self._check_input_dim(x)  # type: ignore[no-untyped-call]
        values = wide(x)
        others = [dim for dim in range(x.dim()) if dim != 1]
        places = x[0, 0].numel()
        total, rows = pooled(values.sum(others), len(x))
        mean = total / (rows * places)
        centred = values - _beside(mean, x)
        variance = pooled(centred.square().sum(others), len(x))[0] / (rows * places)
        if self.training:
            self._follow(mean, variance, rows * places)
        y = centred * _beside((variance + self.eps).rsqrt(), x)
        if self.affine:
            y = torch.addcmul(_beside(self.bias, x), y, _beside(self.weight, x))
        return y.to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Moves the running statistics; that of the variance is unbiased, as torch has it."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        step = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), step)
        unbiased = variance * (count / max(1, count - 1))
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), step)


_kinds: dict[type[Any], type[Any]] = {}
"""The class with shared statistics of each class of a norm."""


def _shared(kind: type[Any]) -> type[Any]:
    return _kinds.setdefault(kind, type(f"Shared{kind.__name__}", (SharedNorm, kind), {}))


def _beside(values: Tensor, x: Tensor) -> Tensor:
    """(C,) beside x (N, C, ...)."""
    return values.view(1, -1, *[1] * (x.dim() - 2))
