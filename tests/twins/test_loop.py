"""The package's loop and a plain loop written by hand reach the same weights."""

import copy

import pytest
import torch
from torch.nn import functional as F

from evenodds.game.seeds import mix
from evenodds.game.trainer import train
from evenodds.parts.losses.adversarial import relativistic_paired
from evenodds.parts.losses.penalties import r1_r2
from tests.games import Points, small_game, small_players

ROUNDS = 50


def plain_loop(players: dict[str, torch.nn.Module], data: Points, every: int, weight: float) -> None:
    """Relativistic pairing with R1 + R2 in every n-th round, as anyone would write it."""
    g, d = players["generator"], players["discriminator"]
    g_adam = torch.optim.Adam(g.parameters(), lr=1e-2, betas=(0.0, 0.99), eps=1e-3)
    d_adam = torch.optim.Adam(d.parameters(), lr=1e-2, betas=(0.0, 0.99), eps=1e-3)
    for step in range(ROUNDS):
        rng = torch.Generator().manual_seed(mix(0, step, 0))
        real = data.at(step * data.size)["x"].requires_grad_()
        fake = g(torch.randn(data.size, 3, generator=rng)).detach().requires_grad_()
        on_real, on_fake = d(real), d(fake)
        loss = F.softplus(on_fake - on_real).mean()
        if step % every == 0:
            (at_real,) = torch.autograd.grad(on_real.sum(), real, create_graph=True)
            (at_fake,) = torch.autograd.grad(on_fake.sum(), fake, create_graph=True)
            loss = loss + weight * every * 0.5 * (at_real.square().sum(1) + at_fake.square().sum(1)).mean()
        d_adam.zero_grad()
        loss.backward()
        d_adam.step()
        fake = g(torch.randn(data.size, 3, generator=rng))
        loss = F.softplus(d(real.detach()) - d(fake)).mean()
        g_adam.zero_grad()
        loss.backward()
        g_adam.step()


@pytest.mark.parametrize("every", [1, 4])
@pytest.mark.parametrize("fused", [False, True])
def test_package_loop_is_the_plain_loop(every: int, fused: bool) -> None:
    game, learner, engine = small_game(loss=relativistic_paired, penalty=r1_r2, weight=0.3, every=every, fused=fused)
    ours = game.players
    theirs = copy.deepcopy(small_players())
    train(game, Points(), learner, engine, images=ROUNDS * 8)
    plain_loop(theirs, Points(), every, 0.3)
    for name in ours:
        for mine, other in zip(ours[name].parameters(), theirs[name].parameters(), strict=True):
            torch.testing.assert_close(mine, other, rtol=0, atol=1e-6)
    moved = small_players()["generator"][0].weight - ours["generator"][0].weight  # type: ignore[index]
    assert moved.abs().max() > 1e-2
