"""Orthogonal regularisation: the rows of every weight matrix are kept apart."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput, unknown
from evenodds.experimental._added_costs import with_cost
from evenodds.game.trainer import Listener
from evenodds.runs.assembly import Run
from evenodds.runs.extras import Extra

__all__ = ["Orthogonal", "overlap"]

BEARERS = {"generator": ("generator",), "discriminator": ("discriminator",), "both": ("generator", "discriminator")}


@dataclass(frozen=True)
class Orthogonal(Extra):
    """A player pays for the squared products of different rows of its weights: BigGAN, Brock et al. (2019), eq. 3.

    The lengths of the rows are free. The paper takes weight 0.0001 on the generator, so that it bears truncation.

    Measured (benchmarks/parts.md): whether it trains, not yet whether it helps.

    Args:
        weight: the paper's beta; 0 for none.
        of: generator, discriminator or both.
    """

    weight: float = 0.0
    of: str = "generator"

    def __post_init__(self) -> None:
        if self.of not in BEARERS:
            raise unknown("player of orthogonal", self.of, BEARERS)
        if self.weight < 0:
            raise BadInput(f"orthogonal needs a weight of at least 0, got {self.weight}; 0.0001 is usual")

    def listeners(self, run: Run) -> dict[str, Listener]:
        """None: the moves cost more. BadInput where nobody bears the cost."""
        if not {*BEARERS[self.of]} & {*run.task.roles}:
            other = next((role for role in BEARERS if {*BEARERS[role]} & {*run.task.roles}), "both")
            raise BadInput(f"orthogonal has no effect without a {self.of}; set orthogonal.of={other}, or leave it out")
        run.game = with_cost(run.game, "orthogonal", BEARERS[self.of], lambda _, player: self.weight * overlap(player))
        return {}


def overlap(player: nn.Module) -> Tensor:
    """The squared products of different rows, summed over all weights of two and more dimensions."""
    parts = []
    for weight in player.parameters():
        if weight.dim() > 1:
            products = weight.flatten(1) @ weight.flatten(1).T
            parts.append(products.square().sum() - products.diagonal().square().sum())
    return torch.stack(parts).sum() if parts else next(player.parameters()).new_zeros(())
