"""Adaptive pseudo augmentation: some fakes are shown to the discriminator as reals."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.dial import Dial
from evenodds.game.listeners.adapt import Adapt, usual
from evenodds.game.trainer import Listener
from evenodds.runs.assembly import Run
from evenodds.runs.extras import Extra
from evenodds.tasks._playable import Playable
from evenodds.tasks.contest import Contest

__all__ = ["Pseudo", "PseudoContest"]


@dataclass(frozen=True)
class PseudoContest(Contest):
    """A contest in which each real is, with some chance, a fake of the same place in the batch.

    Args:
        dial: the chance.
    """

    dial: Dial = field(default_factory=lambda: Dial(0.0), compare=False)

    @property
    def tells_signs(self) -> bool:
        """The chance follows them."""
        return True

    def deal(self, real: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """Adds "pseudo" (N,) in [0, 1), which is below the chance where a fake takes the place of a real."""
        return {**super().deal(real, rng), "pseudo": torch.rand(len(real), generator=rng, device=rng.device)}

    def _viewed(self, real: Tensor, fake: Tensor, hand: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        replaced = (hand["pseudo"] < self.dial()).view(-1, *[1] * (real.dim() - 1))
        return super()._viewed(torch.where(replaced, fake.detach(), real), fake, hand)


@dataclass(frozen=True)
class Pseudo(Extra):
    """Fakes shown to D as reals, with a chance that follows how far D has overfitted: APA, Jiang et al. (2021).

    For few images. The chance rises while the mean sign of D on what it is shown as real is above the target, and falls
    below it, as that of adaptive views does. With a share a of fakes among the reals the game is that of
    (1 - a) p + a q against q, whose equilibrium is the same.

    Measured (benchmarks/parts.md): whether it trains, not yet whether it helps.

    Args:
        cap: the highest chance, at most 0.8; 0 for none.
        images: in which the chance can go from 0 to 1; a quarter of the run, at most 500,000, where None.
        target: of the mean sign; the paper's 0.6, and 0.3 for relative losses, where None.
        every: rounds from one step to the next.
    """

    cap: float = 0.0
    images: int | None = None
    target: float | None = None
    every: int = 4

    def contest(self, contest: Contest) -> Contest:
        """One that shows fakes as reals."""
        if not contest.oriented:
            raise BadInput("pseudo follows which items the discriminator takes for real, which the loss does not say")
        plain = {one.name: getattr(contest, one.name) for one in fields(Contest) if one.init}
        return PseudoContest(**plain)

    def players(self, task: Playable) -> dict[str, nn.Module]:
        """The dial; BadInput where no samples are shown to a discriminator."""
        if not task.draws:
            raise BadInput("pseudo shows samples as reals, and this task draws none; leave it out")
        if "discriminator" not in task.roles:
            raise BadInput("pseudo shows samples to a discriminator, and this game has none; leave it out")
        return {"pseudo": _dial(task)}

    def listeners(self, run: Run) -> dict[str, Listener]:
        """What turns the dial."""
        options = {"images": self.images, "target": self.target, "cap": self.cap, "every": self.every}
        given = {name: value for name, value in options.items() if value is not None}
        return {"pseudo": run.make("pseudo", Adapt, {**usual(run), **given, "prefix": "pseudo"}, _dial(run.task))}


def _dial(task: Playable) -> Dial:
    contest = task.contest
    assert isinstance(contest, PseudoContest)
    return contest.dial
