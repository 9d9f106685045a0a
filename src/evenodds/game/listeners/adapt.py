"""Adaptive augmentation: the chance of views follows how far the discriminator has overfitted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Self

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.dial import Chanced, Dial
from evenodds.game.listeners.context import Order, RunContext
from evenodds.game.rules import State
from evenodds.game.trainer import Training

__all__ = ["CAP", "RELATIVE_TARGET", "TARGET", "Adapt", "usual"]

CAP = 0.8
"""No chance of a view is ever above it: beyond, the generator may learn the views themselves (Karras et al. 2020,
section 2.2 and figure 4)."""

TARGET, RELATIVE_TARGET = 0.6, 0.3
"""The paper's r_t; and for relative losses, whose r_t is taken at the middle of reals and fakes: with 100 to 1,000
images 0.6 left the chance of views below 0.32, and samples further from unseen images than 0.3 or a fixed chance."""


@dataclass
class Adapt:
    """Raises or lowers the chance of views (Karras et al. 2020, section 3, with heuristic r_t).

    r_t is the mean sign of the discriminator's logits on training items: 0 where it does not know them, 1 where it has
    learned them by heart. Every few rounds the chance goes one step up if r_t is above the target, else one down. All
    of it is computed on the device, without a wait.

    Args:
        dial: the chance.
        images: in which the chance can go from 0 to 1; the paper's 500,000.
        target: of r_t.
        cap: the highest chance, at most 0.8.
        every: rounds from one step to the next, the paper's 4.
        term: the reported one that holds the mean sign of one move.
        prefix: of the names under which the chance and the mean sign are reported.
    """

    dial: Dial
    images: int = 500_000
    target: float = TARGET
    cap: float = CAP
    every: int = 4
    term: str = "discriminator/signs"
    prefix: str = "views"
    total: Tensor = field(init=False)
    count: int = field(init=False, default=0)
    last: int = field(init=False, default=0)
    order: ClassVar[Order] = Order.CONTROL

    @classmethod
    def for_run(cls, run: RunContext) -> Self | None:
        """On where the chance of views is adaptive."""
        view, chance = run.game.players.get("view"), run.config.view_chance
        if not isinstance(view, Chanced) or chance.name != "adaptive":
            return None
        adapt: Self = run.make("view_chance 'adaptive'", cls, {**usual(run), **chance.options}, view.dial)
        return adapt

    def __post_init__(self) -> None:
        if not 0 <= self.cap <= CAP:
            raise BadInput(f"the chance of views goes up to at most {CAP}, got a cap of {self.cap}; views leak beyond")
        if self.images < 1 or self.every < 1:
            raise BadInput(f"adaptive views need images >= 1 and every >= 1, got {self.images} and {self.every}")
        self.total = torch.zeros_like(self.dial.value)

    def begin(self, training: Training) -> None:
        self.total = self.total.to(self.dial.value.device)
        if not training.progress.round:
            self.last = training.progress.images

    @torch.no_grad()
    def after_round(self, training: Training) -> None:
        if self.term in training.fresh:  # of this round: where D moves seldom, its earlier signs are counted once
            self.total += training.terms[self.term]
            self.count += 1
        elif self.term not in training.terms:
            return
        if self.count and training.progress.round % self.every == 0:
            mean = self.total / self.count
            step = (training.progress.images - self.last) / self.images
            self.dial.value.add_(step * (mean - self.target).sign()).clamp_(0.0, self.cap)
            self.total, self.count, self.last = torch.zeros_like(self.total), 0, training.progress.images
            training.terms[f"{self.prefix}/overfitting"] = mean
        training.terms[f"{self.prefix}/chance"] = self.dial.value.clone()

    def end(self, training: Training) -> None:
        """Nothing to close."""

    def state(self) -> State:
        return State({"total": self.total}, {"count": self.count, "last": self.last})

    def restore(self, state: State) -> None:
        self.total = state.tensors["total"].to(self.dial.value.device)
        self.count, self.last = int(str(state.data["count"])), int(str(state.data["last"]))


def usual(run: RunContext) -> dict[str, int | float]:
    """The options of a run of that length and loss."""
    images = max(1, min(500_000, run.config.images // 4))
    return {"images": images, "target": RELATIVE_TARGET if run.relative else TARGET}
