"""What the best encoder is, where refinement ends, which directions are principal, what a pair is judged by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evenodds.apply.latent import directions, move, refine
from evenodds.game.engine import Local
from evenodds.game.learners import Gradient
from evenodds.game.optimizers import eager
from evenodds.game.rules import Game
from evenodds.game.schedule import cosine
from evenodds.game.trainer import train
from evenodds.parts.losses.adversarial import (
    hinge,
    least_squares,
    minimax,
    non_saturating,
    relativistic_paired,
    wasserstein,
)
from evenodds.parts.losses.penalties import r1_r2
from evenodds.parts.networks import dcgan, mlp, modern, resnet
from evenodds.parts.networks._joint import JointDiscriminator
from evenodds.parts.priors import Normal
from evenodds.tasks.bidirectional import Bidirectional, Opposite, pair
from evenodds.tasks.contest import Contest
from evenodds.tasks.generate import Generate
from evenodds.tasks.infer import Infer, encode, encoder_options
from evenodds.tasks.invertible import Invertible

A = torch.tensor([[1.0, 0.3], [-0.4, 0.8], [0.6, 0.5], [0.0, -0.7]])  # x = A z + s e
S = 0.5
GAIN = torch.linalg.inv(A.T @ A + S**2 * torch.eye(2)) @ A.T  # posterior mean of z is GAIN x
DEVIATION = (torch.eye(2) - GAIN @ A).diagonal().sqrt()


class Noisy(nn.Module):
    """x = A z1 + s e for z = (z1, e): a generator whose own noise is a part of z."""

    def __init__(self, a: Tensor = A, noise: float = S) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.cat([a, noise * torch.eye(len(a))], 1))

    def forward(self, z: Tensor) -> Tensor:
        return z @ self.weight.T


class Linear(nn.Module):
    """x = W z, which a batch can be flattened into."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.first = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=weight.dtype)
        self.first.weight = nn.Parameter(weight.clone())

    def forward(self, z: Tensor) -> Tensor:
        x: Tensor = self.first(z)
        return x


class Pace:
    """Real data that nobody looks at."""

    size = 256

    def at(self, position: int) -> dict[str, Tensor]:
        return {"x": torch.full((self.size, 4), torch.nan)}


def inferred(spread: bool, rounds: int, **options: Any) -> tuple[Infer, dict[str, nn.Module]]:
    torch.manual_seed(0)
    task = Infer(Normal(6), spread)
    encoder = mlp.Discriminator((4,), **encoder_options(6, spread), **options)
    players: dict[str, nn.Module] = {"encoder": encoder, "generator": Noisy()}
    adam = Gradient({"encoder": eager(torch.optim.Adam)(encoder.parameters(), 1e-2, fused=True)}, cosine(0.01, 0.0))
    train(Game(task, players), Pace(), adam, Local(), images=rounds * Pace.size)
    return task, players


# The best encoder


def test_the_best_linear_encoder_is_the_posterior_mean() -> None:
    """(A^T A + s^2 I)^-1 A^T x for z1, and what is left of x over s for e: in both cases W^T (W W^T)^-1 x."""
    _, players = inferred(spread=False, rounds=800, depth=0)
    encoder, w = players["encoder"], players["generator"].weight.detach()
    assert isinstance(encoder, mlp.Discriminator)
    torch.testing.assert_close(w.T @ torch.linalg.inv(w @ w.T), torch.cat([GAIN, (torch.eye(4) - A @ GAIN) / S]))
    torch.testing.assert_close(encoder.logit.weight[:2], GAIN, atol=0.03, rtol=0)
    torch.testing.assert_close(encoder.logit.weight[2:], (torch.eye(4) - A @ GAIN) / S, atol=0.06, rtol=0)
    torch.testing.assert_close(encoder.logit.bias, torch.zeros(6), atol=0.03, rtol=0)


def test_an_encoder_with_spread_knows_the_posterior_deviation() -> None:
    task, players = inferred(spread=True, rounds=800, width=32, depth=1)
    hand = task.deal({"x": torch.zeros(500, 4)}, torch.Generator().manual_seed(7))
    x = players["generator"](hand["z"]).detach()
    said = task.answer(players, {"x": x})
    assert (said["z"][:, :2] - x @ GAIN.T).square().mean().sqrt() < 0.08
    ratio = said["deviation"][:, :2].mean(0) / DEVIATION
    torch.testing.assert_close(ratio, torch.ones(2), atol=0.08, rtol=0)
    off = (hand["z"][:, :2] - said["z"][:, :2]).std(0)
    torch.testing.assert_close(off / DEVIATION, torch.ones(2), atol=0.15, rtol=0)


def test_the_surprise_is_least_at_the_true_mean_and_deviation() -> None:
    """Its slope vanishes there; a Gaussian's negative logarithm without its constant."""

    class Says(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Parameter(torch.zeros(2, dtype=torch.double))

        def forward(self, x: Tensor) -> Tensor:
            return self.out.expand(len(x), 2)

    z = torch.tensor([[0.0], [1.0], [2.0], [5.0]]).double()
    says, mean, variance = Says(), z.mean(), z.var(correction=0)
    with torch.no_grad():
        says.out[0], says.out[1] = mean, 10 * torch.atanh(variance.log() / 10)
    _, log_variance = encode(says, z, 1, spread=True)
    assert log_variance is not None
    torch.testing.assert_close(log_variance.exp()[0, 0], variance)
    cost = Infer(Normal(1), spread=True).encoder_cost({"encoder": says, "generator": Linear(z[1:2])}, {"z": z})
    torch.testing.assert_close(cost["surprise"], 0.5 * (variance.log() + 1))
    (slope,) = torch.autograd.grad(cost["surprise"], says.out)
    torch.testing.assert_close(slope, torch.zeros(2).double(), atol=1e-12, rtol=0)


# Refinement


@pytest.mark.parametrize("weight", [0.0, S**2])
def test_refinement_reaches_the_most_probable_z(weight: float) -> None:
    """Least squares at weight 0; at weight s^2 the posterior mean, which is the mode of a Gaussian."""
    x = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))
    best = x @ (torch.linalg.inv(A.T @ A + weight * torch.eye(2)) @ A.T).T
    found = refine(Linear(A), x, torch.zeros(7, 2), steps=300, rate=0.1, prior_weight=weight)
    torch.testing.assert_close(found, best, atol=1e-3, rtol=0)
    assert not found.requires_grad


def test_refinement_makes_no_item_worse_and_leaves_the_generator_as_it_was() -> None:
    torch.manual_seed(0)
    net = dcgan.Generator(4, (1, 8, 8), width=8).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    z0 = torch.randn(5, 4)
    with torch.no_grad():
        x = net.eval()(torch.randn(5, 4))
        start = (net(z0) - x).flatten(1).square().sum(1)
        wild = refine(net.train(), x, z0, steps=3, rate=50.0)
        mild = refine(net, x, z0, steps=60)
        assert net.training
        net.eval()
        assert ((net(wild) - x).flatten(1).square().sum(1) <= start * (1 + 1e-5)).all()
        assert ((net(mild) - x).flatten(1).square().sum(1) < 0.7 * start).all()
        torch.testing.assert_close(refine(net, x, z0, steps=0), z0)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())


# Directions


@pytest.mark.parametrize("how", ["jacobian", "weights"])
def test_directions_of_a_linear_generator_are_its_right_singular_vectors(how: str) -> None:
    w = torch.randn(9, 5, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    right = torch.linalg.svd(w).Vh
    found = directions(Linear(w), Normal(5), 5, how)
    torch.testing.assert_close((found * right).sum(1).abs(), torch.ones(5).double())
    torch.testing.assert_close(found[:2], directions(Linear(w), Normal(5), 2, how))
    assert (found.gather(1, found.abs().argmax(1, keepdim=True)) > 0).all()


def changed(net: nn.Module, z: Tensor, direction: Tensor) -> Tensor:
    """Summed squared change of x by a small step to either side."""
    change: Tensor = net(move(z, direction, 1e-5)) - net(move(z, direction, -1e-5))
    return change.square().sum()


@pytest.mark.parametrize("family", [dcgan, mlp, modern, resnet])
def test_a_step_along_the_first_direction_changes_x_most(family: Any) -> None:
    """Mean squared change per squared step, in order of the eigenvalues, by differences in double precision."""
    torch.manual_seed(0)
    net, prior = family.Generator(4, (1, 8, 8), width=8).double().eval(), Normal(4)
    found = directions(net, prior, 4, draws=8, seed=1)
    torch.testing.assert_close(found @ found.T, torch.eye(4).double(), atol=1e-8, rtol=0)
    z = prior(8, torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        change = [changed(net, z, d) for d in found]
        other = [changed(net, z, d) for d in torch.eye(4).double()]
    assert change == sorted(change, reverse=True)
    assert change[0] >= max(other) * (1 - 1e-4)
    torch.testing.assert_close(torch.stack(change).sum(), torch.stack(other).sum(), rtol=1e-4, atol=0)  # the trace
    assert directions(net, prior, 2, "weights").shape == (2, 4)


# Pairs


def affine(columns: int) -> mlp.Discriminator:
    torch.manual_seed(1)
    return mlp.Discriminator((columns,), depth=0).double()


def test_a_penalty_on_pairs_sees_x_and_z_alike() -> None:
    """An affine discriminator of (x, z) has one slope everywhere: r1 + r2 is its whole squared length."""
    discriminator = affine(5)
    task = Bidirectional(Normal(2), Contest(non_saturating, r1_r2, weight=2.0))
    players = {"generator": Linear(A[:3].double()), "encoder": Linear(A[:3].T.double()), "discriminator": discriminator}
    hand = task.deal({"x": torch.randn(6, 3).double()}, torch.Generator().manual_seed(0))
    hand = {**hand, "z": hand["z"].double()}
    costs = task.penalised_cost(players, hand)
    torch.testing.assert_close(costs["penalty"], 2 * discriminator.logit.weight.square().sum())


@pytest.mark.parametrize("loss", [hinge, least_squares, minimax, non_saturating, relativistic_paired, wasserstein])
def test_generator_and_encoder_are_treated_alike(loss: Any) -> None:
    """Where both sides are exchanged, and D mirrored at even odds, their common cost is what it was."""
    task = Bidirectional(Normal(3), Contest(loss))
    assert task.even == (0.5 if loss is least_squares else 0.0)
    discriminator, x, z = affine(6), *torch.randn(2, 8, 3).double()
    same = nn.Identity()  # as generator and as encoder: the pairs are (x, x) and (z, z)
    one = task.generator_cost({"generator": same, "encoder": same, "discriminator": discriminator}, {"x": x, "z": z})
    mirrored = {"generator": same, "encoder": same, "discriminator": Opposite(discriminator, task.even)}
    two = task.generator_cost(mirrored, {"x": z, "z": x})
    torch.testing.assert_close(one.total(), two.total())
    own = loss(discriminator(pair(x, x)), discriminator(pair(z, z)))
    torch.testing.assert_close(one["adversarial"], own[1].mean())


class Bilinear(nn.Module):
    """The logit sum of W_ij x_i z_j of pairs of two columns each; W starts at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, 2, dtype=torch.double))

    def forward(self, both: Tensor) -> Tensor:
        return torch.einsum("ni,ij,nj->n", both[:, :2], self.weight, both[:, 2:])


def test_only_the_inverse_is_at_rest() -> None:
    """With E = G^-1 and G(z) distributed as x the pairs have one distribution, and the flat logit is the best one.

    With E = -G^-1 both marginals are the same as before, z being symmetric; a judge of pairs sees the difference.
    """
    w = torch.tensor([[1.0, 0.5], [-0.3, 0.8]]).double()
    z = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)).double()
    z, discriminator = torch.cat([z, -z]), Bilinear()
    for sign, slope in ((1.0, 0 * w), (-1.0, (z @ w.T).T @ z / len(z))):  # 1/2 for each side's slope at even odds
        players = {
            "generator": Linear(w),
            "encoder": Linear(sign * torch.linalg.inv(w)),
            "discriminator": discriminator,
        }
        task = Bidirectional(Normal(2), Contest(non_saturating))
        cost = task.plain_cost(players, {"x": z.flip(0) @ w.T, "z": z}).total()
        torch.testing.assert_close(torch.autograd.grad(cost, discriminator.weight)[0], slope, atol=1e-12, rtol=1e-9)


class Line:
    """x = 0.2 + 0.6 n."""

    size = 128

    def at(self, position: int) -> dict[str, Tensor]:
        return {"x": 0.2 + 0.6 * torch.randn(self.size, 1, generator=torch.Generator().manual_seed(position))}


def test_a_bidirectional_game_finds_the_inverse_of_a_line() -> None:
    """G(z) = 0.2 +- 0.6 z, and E is its inverse, though nobody pays for E(G(z)) being z: cycle is 0."""
    torch.manual_seed(0)
    task = Bidirectional(Normal(1), Contest(relativistic_paired, r1_r2, weight=0.3, fused=True))
    players: dict[str, nn.Module] = {
        "generator": mlp.Generator(1, (1,), depth=0),
        "encoder": mlp.Discriminator((1,), depth=0, **encoder_options(1)),
        "discriminator": mlp.Discriminator((2,), width=32),
    }
    adam = {
        name: eager(torch.optim.Adam)(p.parameters(), 1e-2, betas=(0.0, 0.99), fused=True)
        for name, p in players.items()
    }
    train(Game(task, players), Line(), Gradient(adam, cosine(0.2, 0.02)), Local(), images=500 * Line.size)
    z = torch.linspace(-1.5, 1.5, 7)[:, None]
    x = task.answer(players, {"z": z})["x"]
    torch.testing.assert_close((x[-1] - x[0]).abs() / 3, torch.tensor([0.6]), atol=0.05, rtol=0)
    torch.testing.assert_close(x[3], torch.tensor([0.2]), atol=0.04, rtol=0)
    torch.testing.assert_close(task.answer(players, {"x": x})["z"], z, atol=0.1, rtol=0)


# Both directions


def test_what_generator_and_encoder_pay_for_both_directions() -> None:
    """latent |E G z - z|^2 + reconstruction |G E x - x|^2 of linear players, beside the cost of Generate itself.

    A direction that G ignores costs its whole variance, whatever E says; to an inverse both are 0.
    """
    rng = torch.Generator().manual_seed(0)
    x, z, g, e = (torch.randn(shape, generator=rng).double() for shape in ((9, 2), (9, 2), (2, 2), (2, 2)))
    contest, discriminator, hand = Contest(relativistic_paired), affine(2), {"x": x, "z": z}
    task = Invertible(Normal(2), contest, latent=0.3, reconstruction=2.0)
    players = {"generator": Linear(g), "encoder": Linear(e), "discriminator": discriminator}
    costs = task.generator_cost(players, hand)
    plain = Generate(Normal(2), contest).generator_cost(players, hand)
    assert plain.keys() == {"adversarial"}
    torch.testing.assert_close(costs["adversarial"], plain["adversarial"])
    torch.testing.assert_close(costs["latent"], 0.3 * (z @ g.T @ e.T - z).square().mean())
    torch.testing.assert_close(costs["reconstruction"], 2 * (x @ e.T @ g.T - x).square().mean())
    after = Infer(Normal(2), reconstruction=2.0, repetition=3.0).encoder_cost(players, hand)
    torch.testing.assert_close(after["error"], costs["latent"] / 0.3)
    torch.testing.assert_close(after["repetition"], 3 * ((z @ g.T @ e.T - z) @ g.T).square().mean())
    torch.testing.assert_close(after["reconstruction"], costs["reconstruction"])
    inverse = task.generator_cost({**players, "encoder": Linear(torch.linalg.inv(g))}, hand)
    assert inverse["latent"] + inverse["reconstruction"] < 1e-12
    torch.testing.assert_close(inverse.facts["explained"], torch.ones(()).double())
    g[:, 1] = 0
    blind = {**players, "generator": Linear(g), "encoder": Linear(torch.linalg.pinv(g))}
    cost = task.generator_cost(blind, hand)["latent"]
    torch.testing.assert_close(cost, 0.3 * z[:, 1].square().mean() / 2)
    only = replace(task, latent=0.0, reconstruction=0.0).generator_cost(blind, hand)
    assert only.keys() == {"adversarial"}
    value = task.value_task()
    assert value is not None
    assert [move.movers for move in value.moves()] == [("discriminator",), ("generator",)]


def test_a_pair_discriminator_sees_both() -> None:
    torch.manual_seed(0)
    net = JointDiscriminator(mlp.Discriminator((1, 4, 4), outputs=8, width=8), (1, 4, 4), 3, outputs=8, width=8)
    both = torch.randn(5, 19, requires_grad=True)
    logits = net(both)
    assert logits.shape == (5,)
    (slope,) = torch.autograd.grad(logits[2], both)
    assert (slope[2] != 0).all()
    assert (slope[[0, 1, 3, 4]] == 0).all()
