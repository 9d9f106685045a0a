"""What Goodfellow et al. (2014) prove, reached by training on densities that are known."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from evenodds.data.readers.toys import Grid, Mixture1D, Ring
from evenodds.game.engine import Local
from evenodds.game.learners import Gradient
from evenodds.game.optimizers import eager
from evenodds.game.rules import Batch, Game, Move, Players
from evenodds.game.schedule import cosine
from evenodds.game.trainer import train
from evenodds.metrics.divergence import histogram_divergence
from evenodds.parts.losses.adversarial import minimax
from evenodds.parts.networks.mlp import Discriminator
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.run import start
from evenodds.runs.session import Session
from tests.short import AT_THE_END

P, Q = torch.distributions.Normal(-0.3, 0.2), torch.distributions.Normal(0.2, 0.4)


class Pairs:
    """Real from P, fake from Q: a game in which only the discriminator moves."""

    size = 1024

    def at(self, position: int) -> dict[str, Tensor]:
        noise = torch.randn(2, self.size, 1, generator=torch.Generator().manual_seed(position))
        return {"x": P.loc + P.scale * noise[0], "fake": Q.loc + Q.scale * noise[1]}


class Tell:
    """The discriminator's part of equation 1."""

    roles = ("discriminator",)

    def deal(self, real: Batch, rng: torch.Generator) -> Batch:
        return real

    def moves(self) -> list[Move]:
        return [Move("discriminator", ("discriminator",), self.cost)]

    def cost(self, players: Players, hand: Batch) -> dict[str, Tensor]:
        d = players["discriminator"]
        return {"adversarial": minimax(d(hand["x"]), d(hand["fake"]))[0].mean()}

    def answer(self, players: Players, request: Batch) -> Batch:
        return {"probability": players["discriminator"](request["x"]).sigmoid()}


def test_a_trained_discriminator_is_p_over_p_plus_q() -> None:
    """Proposition 1: D*(x) = p(x) / (p(x) + q(x)); and its value is 2 JSD(P, Q) - log 4 (theorem 1)."""
    torch.manual_seed(0)
    game = Game(Tell(), {"discriminator": Discriminator((1,), width=64, depth=2)})
    adam = eager(torch.optim.Adam)(game.players["discriminator"].parameters(), lr=5e-3, fused=True)
    train(game, Pairs(), Gradient({"discriminator": adam}, cosine(0.3)), Local(), images=700 * 1024)
    x = torch.linspace(-0.9, 1.2, 400)[:, None]
    p, q = P.log_prob(x).exp()[:, 0], Q.log_prob(x).exp()[:, 0]
    with torch.no_grad():
        d = game.task.answer(game.players, {"x": x})["probability"]
        far = Pairs().at(10**9)
        on_real, on_fake = (game.players["discriminator"](far[name]) for name in ("x", "fake"))
    assert float((d - p / (p + q)).abs().mean()) < 0.015
    step, m = 2.1 / 399, (p + q) / 2
    jsd = 0.5 * step * float((p * (p / m).log() + q * (q / m).log()).sum())
    assert -float(softplus(-on_real).mean() + softplus(on_fake).mean()) == pytest.approx(
        2 * jsd - math.log(4), abs=0.05
    )


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """The recipe with 2.5 times its learning rate: it ends in a fifth of the images where the recipe does."""
    short = {"device": "cpu", "watch": "off", "learning_rate": 0.005, "images": 400_000, **AT_THE_END}
    return start(with_settings(recipe("mixture"), short), out=tmp_path_factory.mktemp("runs") / "mixture")


@torch.no_grad()
def test_the_game_ends_at_even_odds(played: Session) -> None:
    """Theorem 1: at the equilibrium D = 1/2 and V = -log 4, and the samples are the data."""
    density = Mixture1D()
    real, fake = density.sample(50_000, torch.Generator().manual_seed(9)), torch.as_tensor(played.sample(50_000))
    on_real, on_fake = (played.players["discriminator"](played.card.units.to_model(v).float()) for v in (real, fake))
    assert float((on_real.sigmoid() - 0.5).abs().mean()) <= 0.05
    assert -float(softplus(-on_real).mean() + softplus(on_fake).mean()) == pytest.approx(-math.log(4), abs=0.05)
    assert float(histogram_divergence(fake[:, 0], real[:, 0], 100, -5.0, 6.5)) <= 0.02


SMALL = {
    "device": "cpu",
    "batch": 64,
    "generator.width": 64,
    "discriminator.width": 64,
    "data.sigma": 0.1,
    "watch": "off",
}


@pytest.mark.parametrize(("name", "density"), [("ring", Ring(sigma=0.1)), ("grid", Grid(side=3, sigma=0.1))])
def test_no_mode_is_lost_and_the_discriminator_is_near_even_odds(
    name: str, density: Ring | Grid, tmp_path: Path
) -> None:
    """In a short game of the recipe's terms every mode has its share of the samples nearest to it, and D cannot tell.

    Seen of three seeds: shares from 0.7 to 1.2, D within 0.06 to 0.14 of 1/2. Without the penalty D is 0.38 (ring)
    and 0.32 (grid) away; and with the loss of wasserstein too all samples of the ring are at one mode.
    """
    own = {"ring": {"images": 28_000}, "grid": {"images": 48_000, "data.side": 3}}
    settings = {**SMALL, **AT_THE_END, **own[name]}
    session = start(with_settings(recipe(name), settings), out=tmp_path / name)
    real, fake = density.sample(2000, torch.Generator().manual_seed(9)), torch.as_tensor(session.sample(10_000, seed=1))
    nearest = torch.cdist(fake.double(), density.modes).argmin(1)
    share = nearest.bincount(minlength=len(density.modes)) / len(fake) * len(density.modes)
    assert float(share.min()) >= 0.5
    assert float(share.max()) <= 1.5
    with torch.no_grad():
        judged = session.players["discriminator"](session.card.units.to_model(torch.cat([real, fake[:2000]])).float())
    assert float((judged.sigmoid() - 0.5).abs().mean()) <= 0.2
