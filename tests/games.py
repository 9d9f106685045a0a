"""Small games for tests: plain networks on a toy, none of the package's own."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from evenodds.game.checkpoint import PlayersState
from evenodds.game.engine import Local
from evenodds.game.learners import Gradient
from evenodds.game.rules import Game, Progress, Task
from evenodds.game.trainer import Feed, train
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.priors import Normal
from evenodds.tasks.contest import Contest
from evenodds.tasks.generate import Generate


class Squeeze(nn.Module):
    """(N, 1) -> (N,)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.squeeze(1)


def small_players(seed: int = 0) -> dict[str, nn.Module]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 2))
        discriminator = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1), Squeeze())
    return {"generator": generator, "discriminator": discriminator}


class Points:
    """A feed of normal points around (1, -1); a pure function of the position."""

    def __init__(self, size: int = 8) -> None:
        self.size = size
        self.asked: list[int] = []

    def at(self, position: int) -> dict[str, Tensor]:
        self.asked.append(position)
        rng = torch.Generator().manual_seed(position)
        return {"x": 0.1 * torch.randn(self.size, 2, generator=rng) + torch.tensor([1.0, -1.0])}


def small_task(loss: Callable[..., Any] = non_saturating, **terms: Any) -> Generate:
    steps = {key: terms.pop(key) for key in ("discriminator_steps", "generator_steps", "simultaneous") if key in terms}
    return Generate(Normal(3), Contest(loss, **terms), **steps)


def small_game(**terms: Any) -> tuple[Game, Gradient, Local]:
    players = small_players()
    game = Game(small_task(**terms), players)
    optimizers = {
        name: torch.optim.Adam(p.parameters(), lr=1e-2, betas=(0.0, 0.99), eps=1e-3) for name, p in players.items()
    }
    return game, Gradient(optimizers), Local()


def assert_resumes_exactly(
    task: Task, played: tuple[Any, Gradient], fresh: tuple[Any, Gradient], data: Feed, progress: Progress
) -> None:
    """Players and learner restored into fresh ones play on as those that were not interrupted, bit for bit.

    Args:
        played, fresh: (players, learner).
        progress: of those that were played.
    """
    PlayersState(fresh[0]).restore(copy.deepcopy(PlayersState(played[0]).state()))
    fresh[1].restore(copy.deepcopy(played[1].state()))
    for players, learner in (played, fresh):
        train(Game(task, players), data, learner, Local(), images=4 * data.size, progress=copy.copy(progress))
    for key, value in PlayersState(fresh[0]).state().tensors.items():
        assert torch.equal(value, PlayersState(played[0]).state().tensors[key]), key
