"""Filling: closed-form conditionals of a Gaussian for every subset, and the properties of its scoring rules."""

import functools
import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from evenodds.game.engine import Local
from evenodds.game.learners import Gradient
from evenodds.game.optimizers import eager
from evenodds.game.rules import Batch, Game
from evenodds.game.schedule import cosine
from evenodds.game.seeds import mix
from evenodds.game.trainer import train
from evenodds.parts.fillers._membrane import membrane
from evenodds.parts.fillers.rows import Generator
from evenodds.parts.losses import scoring
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.losses.penalties import r1_r2
from evenodds.parts.masks import Boxes, Everything, OneOf, Scattered
from evenodds.parts.networks.mlp import Discriminator
from evenodds.parts.priors import Normal
from evenodds.tasks.contest import Contest
from evenodds.tasks.fill import Fill

MEAN = torch.tensor([0.5, -0.5, 0.0, 0.0])
COVARIANCE = torch.tensor([[1.0, 0.8, 0.3, -0.5], [0.8, 1.0, 0.0, -0.5], [0.3, 0.0, 1.0, 0.4], [-0.5, -0.5, 0.4, 1.0]])
SUBSETS = [(0,), (3,), (1, 3), (0, 1), (0, 1, 2), (0, 1, 2, 3)]


def gaussian(n: int, seed: int) -> Tensor:
    z = torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))
    root: Tensor = torch.linalg.cholesky(COVARIANCE)
    return MEAN + z @ root.T


class Rows:
    """Fresh draws at each position."""

    size = 256

    def at(self, position: int) -> Batch:
        return {"x": gaussian(self.size, mix(7, position))}


def task() -> Fill:
    contest = Contest(non_saturating, r1_r2, weight=0.1, every=4, fused=True)
    masks = OneOf((Scattered(0.1, 0.9), Everything()), (4, 1))
    return Fill(Normal(8), contest, masks=masks, fillings=4, marginal=0.0, mean=0.0)


@functools.cache
def trained() -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    players = {"generator": Generator(8, (4,), width=64, depth=2), "discriminator": Discriminator((12,), width=64)}
    optimizers = {
        n: eager(torch.optim.Adam)(p.parameters(), 5e-3, betas=(0.5, 0.99), foreach=True) for n, p in players.items()
    }
    train(Game(task(), players), Rows(), Gradient(optimizers, cosine()), Local(), images=160_000)
    return {name: player.eval() for name, player in players.items()}


def fill(x: Tensor, hidden: tuple[int, ...], draws: int, seed: int = 0) -> Tensor:
    """(draws, N, 4) fillings of the hidden columns."""
    mask = torch.ones_like(x)
    mask[:, list(hidden)] = 0
    z = torch.randn(draws * len(x), 8, generator=torch.Generator().manual_seed(seed))
    return task().answer(trained(), {"x": x, "mask": mask, "z": z})["x"].view(draws, *x.shape)


@pytest.mark.parametrize("hidden", SUBSETS, ids=str)
def test_one_network_has_the_conditional_means_and_covariances_of_every_subset(hidden: tuple[int, ...]) -> None:
    x = gaussian(400, 1)
    s, rest = list(hidden), [k for k in range(4) if k not in hidden]
    slope = COVARIANCE[s][:, rest] @ torch.linalg.inv(COVARIANCE[rest][:, rest])
    mean = MEAN[s] + (x[:, rest] - MEAN[rest]) @ slope.T
    covariance = COVARIANCE[s][:, s] - slope @ COVARIANCE[rest][:, s]
    found = fill(x, hidden, 500)[..., s]
    centred = found - found.mean(0)
    spread = (centred[..., :, None] * centred[..., None, :]).mean((0, 1)) * 500 / 499
    scale = covariance.diagonal().sqrt()
    off = (found.mean(0) - mean) / scale
    # In deviations of the conditional; 0.045 is due to having 500 draws.
    assert off.square().mean().sqrt() < 0.2
    assert ((spread - covariance) / (scale[:, None] * scale)).abs().max() < 0.25


def test_the_mean_of_fillings_errs_less_than_one_by_the_law_of_both_moments() -> None:
    """For calibrated fillings the squared error of a mean of K is (1 + 1 / K) times the conditional variance."""
    x = gaussian(4000, 2)
    error = {k: (fill(x, (1, 3), k).mean(0) - x)[:, [1, 3]].square().mean() for k in (1, 8)}
    assert float(error[8] / error[1]) == pytest.approx((1 + 1 / 8) / 2, rel=0.06)


def test_ranks_of_the_truth_among_fillings_are_uniform() -> None:
    x = gaussian(4000, 3)
    ranks = (fill(x, (0, 1, 2), 9) < x).sum(0)[:, :3]
    shares = torch.stack([(ranks == rank).float().mean(0) for rank in range(10)])
    assert (shares - 0.1).abs().max() < 0.03


def test_observed_values_come_back_bit_for_bit_and_hidden_ones_have_no_influence() -> None:
    x = gaussian(64, 4)
    x[0, 0] = -0.0
    found = fill(x, (1, 3), 2)
    assert found[..., [0, 2]].numpy().tobytes() == x[:, [0, 2]].expand(2, -1, -1).numpy().tobytes()
    blind = x.clone()
    blind[:, [1, 3]] = math.nan
    assert torch.equal(found, fill(blind, (1, 3), 2))
    assert (found[0] - found[1])[:, [1, 3]].abs().min() > 0, "two z give two fillings"


def test_with_everything_observed_nothing_changes() -> None:
    x = gaussian(16, 5)
    assert torch.equal(fill(x, (), 3), x.expand(3, -1, -1))


RULES = {"joint": scoring.joint, "marginal": scoring.marginal, "mean": scoring.mean}


def expected(rule: str, scale: float, correlation: float) -> float:
    """The mean score of two fillings N(0, scale^2 C) where the truth is N(0, C0), with correlation 0.8."""
    rng = torch.Generator().manual_seed(0)
    chol = [torch.linalg.cholesky(torch.tensor([[1.0, r], [r, 1.0]])) for r in (correlation, 0.8)]
    z = torch.randn(3, 400_000, 2, generator=rng)
    return float(scoring.score(scale * z[:2] @ chol[0].T, z[2] @ chol[1].T, torch.ones(1, 2), RULES[rule]).mean())


@pytest.mark.parametrize("rule", ["joint", "marginal"])
def test_scoring_rules_are_least_for_the_right_spread(rule: str) -> None:
    best = expected(rule, 1.0, 0.8)
    assert expected(rule, 0.7, 0.8) > best + 0.01
    assert expected(rule, 1.4, 0.8) > best + 0.01


def test_only_the_joint_rule_sees_dependence() -> None:
    assert expected("joint", 1.0, 0.0) > expected("joint", 1.0, 0.8) + 0.003
    assert expected("marginal", 1.0, 0.0) == pytest.approx(expected("marginal", 1.0, 0.8), abs=2e-3)


def test_the_rule_of_the_mean_is_a_product_of_errors() -> None:
    rng = torch.Generator().manual_seed(0)
    fillings, truth = torch.randn(2, 6, 3, generator=rng).double(), torch.randn(6, 3, generator=rng).double()
    product = ((fillings[0] - truth) * (fillings[1] - truth)).mean(1)
    torch.testing.assert_close(scoring.score(fillings, truth, torch.ones(1, 3), scoring.mean), product)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_scores_are_the_plain_sum_over_pairs_and_do_not_depend_on_what_does_not_count(rule: str) -> None:
    rng = torch.Generator().manual_seed(1)
    fillings, truth = torch.randn(4, 5, 3, generator=rng).double(), torch.randn(5, 3, generator=rng).double()
    where = torch.tensor([[1, 1, 0]] * 4 + [[0, 0, 0]]).double()
    plain: Callable[[Tensor], Tensor] = {
        "joint": lambda d: d[:2].square().mean().sqrt(),
        "marginal": lambda d: d[:2].abs().mean(),
        "mean": lambda d: d[:2].square().mean(),
    }[rule]
    ours = scoring.score(fillings, truth, where, RULES[rule])
    for n in range(4):
        to = torch.stack([plain(fillings[k, n] - truth[n]) for k in range(4)]).mean()
        apart = [plain(fillings[j, n] - fillings[k, n]) for j, k in itertools.combinations(range(4), 2)]
        assert float(ours[n]) == pytest.approx(float(to - torch.stack(apart).mean() / 2), abs=1e-6)
    assert ours[4].abs() < 1e-5


# The membrane


def test_the_membrane_keeps_what_is_known_and_solves_laplaces_equation_elsewhere() -> None:
    rng = torch.Generator().manual_seed(0)
    place = 0.4 * torch.arange(6)[:, None] + 0.3 * torch.arange(9)
    x = torch.sin(place + 6 * torch.rand(4, 2, 1, 1, generator=rng))
    mask = torch.cat([Scattered(0.6, 0.6)((2, 2, 6, 9), rng), Boxes()((2, 2, 6, 9), rng)])
    rough, fine = membrane(x, mask), membrane(x, mask, sweeps=80)
    padded = torch.nn.functional.pad(fine, (1, 1, 1, 1), mode="replicate")
    ups, lefts = padded[:, :, :, 1:-1], padded[:, :, 1:-1]
    around = (ups[:, :, :-2] + ups[:, :, 2:] + lefts[..., :-2] + lefts[..., 2:]) / 4
    hidden = (mask == 0).expand_as(x)
    assert torch.equal(fine[~hidden], x[~hidden])
    torch.testing.assert_close(fine[hidden], around[hidden], atol=1e-4, rtol=0)
    far = (rough - fine)[hidden].square().mean().sqrt()
    assert far < 0.3 * fine[hidden].std(), "a few sweeps are near it"
    assert torch.equal(membrane(torch.where(mask > 0, x, 7.0), mask), rough), "hidden values have no influence"
    assert (membrane(x, torch.zeros_like(mask)) == 0).all()
    torch.testing.assert_close(membrane(torch.full_like(x, 0.3), mask), torch.full_like(x, 0.3))


# Both at once


def test_moves_at_once_have_the_slopes_of_both_costs() -> None:
    torch.manual_seed(0)
    contest = Contest(non_saturating, fused=True)
    players = {"generator": Generator(8, (4,), width=16, depth=1), "discriminator": Discriminator((12,), width=16)}
    game = Fill(Normal(8), contest, masks=Scattered(0.2, 0.8), adversarial=0.3, simultaneous=True)
    hand = game.deal({"x": gaussian(32, 5)}, torch.Generator().manual_seed(0))
    for name, cost in (("generator", game.generator_cost), ("discriminator", game.plain_cost)):
        parameters = list(players[name].parameters())
        joint = torch.autograd.grad(game.simultaneous_cost(players, hand).total(), parameters)
        own = torch.autograd.grad(cost(players, hand).total(), parameters)
        for one, other in zip(joint, own, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
