"""Top-k training of the generator: the least real fakes do not count."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.dial import Dial
from evenodds.game.listeners.scheduled import Scheduled
from evenodds.game.rules import Progress
from evenodds.game.schedule import linear
from evenodds.game.trainer import Listener
from evenodds.runs.assembly import Run
from evenodds.runs.extras import Extra
from evenodds.tasks._playable import Playable
from evenodds.tasks.contest import Contest

__all__ = ["Top", "TopWeights"]


@dataclass(frozen=True)
class TopWeights:
    """Weights (N,) of mean 1 of fakes by their logits: 0 for all but the best share. A share of 1 weighs all by 1."""

    share: Dial

    def __call__(self, on_fake: Tensor) -> Tensor:
        n = len(on_fake)
        count = (self.share() * n).round().clamp(1, n)
        rank = on_fake.detach().argsort(descending=True, stable=True).argsort()
        weights: Tensor = (rank < count).to(on_fake.dtype) * (n / count)
        return weights


@dataclass(frozen=True)
class Top(Extra):
    """G learns from a share of the fakes alone, the most real to D (top-k of Sinha et al. 2020).

    The share falls from 1 in the first half of the run.

    Measured (benchmarks/latents.md): score 0.051 to 0.059 on the grid, Fréchet distance 3.0 to 3.5 on Fashion-MNIST,
    where the plain game has 0.059 to 0.074 and 3.5 to 3.8; not beyond its seeds.

    Args:
        share: at the end, in (0, 1].
    """

    share: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise BadInput(f"top is a share in (0, 1], got {self.share}")

    def contest(self, contest: Contest) -> Contest:
        """With weights by rank."""
        return replace(contest, fake_weights=TopWeights(Dial(1.0)))

    def players(self, task: Playable) -> dict[str, nn.Module]:
        """The dial; BadInput of a game without a discriminator, by which samples are ranked."""
        if "discriminator" not in task.roles:
            raise BadInput("top ranks samples by a discriminator, and this game has none; leave it out")
        return {"top": _weights(task).share}

    def listeners(self, run: Run) -> dict[str, Listener]:
        """What turns the dial."""
        fall = linear(0.0, self.share)  # over the first half: at a share s of the run it is where linear is at 2 s

        def schedule(progress: Progress) -> float:
            return fall(replace(progress, total=max(1, progress.total // 2)))

        return {"top": Scheduled(_weights(run.task).share, schedule, "top/share")}


def _weights(task: Playable) -> TopWeights:
    weights = task.contest.fake_weights
    assert isinstance(weights, TopWeights)
    return weights
