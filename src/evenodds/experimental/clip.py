"""Weight clipping: the first way to keep a critic Lipschitz."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.optim import Optimizer

from evenodds.errors import BadInput
from evenodds.game.trainer import Listener
from evenodds.runs.assembly import Run
from evenodds.runs.extras import Extra

__all__ = ["Clip"]


@dataclass(frozen=True)
class Clip(Extra):
    """Every weight of D is clipped to [-limit, limit] after each of its steps: Arjovsky et al. (2017), algorithm 1.

    For the history: with loss=wasserstein, optimizer=RMSprop and discriminator_steps=5 it is the first Wasserstein GAN.
    The paper takes limit 0.01, and calls clipping "a clearly terrible way". Gradient penalties took its place.

    Measured (benchmarks/parts.md): whether it trains, not yet whether it helps.

    Args:
        limit: of each weight; 0 for none.
    """

    limit: float = 0.0

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise BadInput(f"clip is the largest weight of the discriminator, above 0, got {self.limit}; 0.01 is usual")

    def listeners(self, run: Run) -> dict[str, Listener]:
        """None: the optimizer clips what it has stepped."""
        optimizers = [one for name, one in run.learner.optimizers.items() if name.startswith("discriminator")]
        if self.limit and not optimizers:
            raise BadInput("clip needs a discriminator that learns by slopes; there is none")
        for optimizer in optimizers if self.limit else []:
            optimizer.register_step_post_hook(self._clip)
        return {}

    @torch.no_grad()
    def _clip(self, optimizer: Optimizer, *arguments: Any) -> None:
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        torch._foreach_clamp_min_(weights, -self.limit)
        torch._foreach_clamp_max_(weights, self.limit)
