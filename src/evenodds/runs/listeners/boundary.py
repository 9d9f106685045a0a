"""The control of BEGAN: how much the discriminator pays for fakes follows how well it tells them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Self

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.listeners.context import Order, RunContext
from evenodds.game.rules import State
from evenodds.game.trainer import Training
from evenodds.parts.losses.boundary import BoundaryEquilibrium

__all__ = ["Boundary"]


@dataclass
class Boundary:
    """k <- k + rate (diversity L(x) - L(G(z))), within [0, 1]: Berthelot et al. (2017), section 3.4.

    L(x) is read off the discriminator's cost, which is L(x) - k L(G(z)), with the L(G(z)) that the generator saw in the
    same round. Reported are k, and the paper's measure of convergence, L(x) + |diversity L(x) - L(G(z))|. The share is
    a part of the loss, which checkpoints keep; all of it is computed on the device, without a wait.

    Args:
        loss: whose share is turned.
    """

    loss: BoundaryEquilibrium
    last: int = field(init=False, default=0)
    costs: dict[str, Tensor] = field(init=False, default_factory=dict)
    """The latest of both players: one of them may sit a round out."""
    order: ClassVar[Order] = Order.CONTROL

    @classmethod
    def for_run(cls, run: RunContext) -> Self | None:
        """On where the loss is boundary."""
        loss, of = run.game.players.get("loss"), run.config.discriminator
        if not isinstance(loss, BoundaryEquilibrium):
            return None
        if ":" not in of.name and not of.options.get("code"):  # it would give all items low energy, and k stay 0
            raise BadInput(
                "loss boundary needs a discriminator that reconstructs items; set discriminator=mlp "
                "discriminator.code=16 penalty=none"
            )
        return cls(loss)

    def begin(self, training: Training) -> None:
        names = {move.name for move in training.game.moves}
        if not {"discriminator", "generator"} <= names:
            raise BadInput(f"loss boundary needs moves discriminator and generator, got {', '.join(sorted(names))}")
        self.last = training.progress.images

    @torch.no_grad()
    def after_round(self, training: Training) -> None:
        terms, share = training.terms, self.loss.dial.value
        latest = {role: terms.get(f"{role}/adversarial") for role in ("discriminator", "generator")}
        self.costs |= {role: cost for role, cost in latest.items() if cost is not None}
        if len(self.costs) < len(latest):
            return  # one of both has not moved yet
        fake = self.costs["generator"]
        real = self.costs["discriminator"] + share * fake
        gap = self.loss.diversity * real - fake
        images, self.last = training.progress.images - self.last, training.progress.images
        share.add_(images / self.loss.images * gap).clamp_(0.0, 1.0)
        terms |= {"boundary/share": share.clone(), "boundary/convergence": real + gap.abs()}

    def end(self, training: Training) -> None:
        """Nothing to close."""

    def state(self) -> State:
        return State(dict(self.costs))

    def restore(self, state: State) -> None:
        self.costs = {role: cost.to(self.loss.dial.value.device) for role, cost in state.tensors.items()}
