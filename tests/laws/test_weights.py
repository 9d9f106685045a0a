"""Costs and limits of weights, and fakes shown as reals: the papers' formulas, and the games that they calm."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.experimental._added_costs import with_cost
from evenodds.experimental.clip import Clip
from evenodds.experimental.historical import Historical, History
from evenodds.experimental.orthogonal import Orthogonal, overlap
from evenodds.experimental.path_length import PathLength, Paths, path_lengths
from evenodds.experimental.pseudo import Pseudo, PseudoContest
from evenodds.game.engine import Local
from evenodds.game.learners import Gradient
from evenodds.game.rules import Batch, Costs, Game, Move, Players, Progress
from evenodds.game.trainer import Training
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.losses.distances import kernel
from evenodds.tasks.contest import Contest
from tests.games import small_game, small_task


class Place(nn.Module):
    """One number."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.tensor([value], dtype=torch.float64))


def bilinear(players: dict[str, nn.Module]) -> Game:
    """min over x, max over y of x y; both move at once."""

    def cost(players: Players, hand: Batch) -> Costs:
        x, y = players["generator"].at, players["discriminator"].at
        return Costs({"x": (x * y.detach()).sum(), "y": (-x.detach() * y).sum()}, {"fact": x.sum()})

    return Game(small_task(), players, (Move("both", ("generator", "discriminator"), cost),))


def test_historical_averaging_turns_the_spiral_inwards() -> None:
    """Salimans et al. (2016), section 3.3: games in which plain descent circles outwards reach their equilibrium."""
    lengths = []
    for weight in (0.0, 0.5):
        players: dict[str, nn.Module] = {"generator": Place(1.0), "discriminator": Place(0.5)}
        history = History(players)
        game = with_cost(
            bilinear(players), "historical", players, lambda r, p, w=weight, h=history: w * h.distance(r, p)
        )  # type: ignore[misc]
        learner = Gradient({name: torch.optim.SGD(player.parameters(), 0.3) for name, player in players.items()})
        training, path = Training(game, {}, Local(), Progress(1), 0), [[1.0, 0.5]]
        for number in range(40):
            costs = learner.improve(game.moves[0], players, {}, Local(), Progress(10**6, number, number))
            history.after_round(training)
            path.append([float(players[name].at.detach()) for name in players])
        assert set(costs) == {"x", "y", "historical"}
        assert "fact" in costs.facts
        for k, name in enumerate(players):
            torch.testing.assert_close(float(history.means[name][0]), float(np.mean(path, 0)[k]))
        lengths.append(float(np.linalg.norm(path[-1])))
    assert lengths[0] > 3  # it begins at 1.1
    assert lengths[1] < 0.5


def test_overlap_is_that_of_the_paper_and_vanishes_for_orthogonal_rows() -> None:
    """BigGAN, eq. 3: the squared Frobenius norm of W W^T without its diagonal, whatever the rows' lengths."""
    net = nn.Sequential(nn.Conv2d(2, 3, 2), nn.Flatten(), nn.Linear(4, 4)).double()
    plain = 0.0
    for weight in (net[0].weight, net[2].weight):
        w = weight.detach().numpy().reshape(len(weight), -1)
        plain += float(((w @ w.T * (1 - np.eye(len(w)))) ** 2).sum())
    torch.testing.assert_close(overlap(net), torch.tensor(plain, dtype=torch.float64))
    apart = nn.Linear(4, 4).double()
    nn.init.orthogonal_(apart.weight, gain=3.0)
    assert overlap(apart) < 1e-20
    assert overlap(Place(1.0)) == 0


class Drawn(nn.Module):
    """A linear generator of 1 x 2 x 3 images with one level of styles: w = z, x = A w + a quadratic part."""

    def __init__(self, bend: float) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(0)
        self.matrix = nn.Parameter(torch.randn(6, 4, generator=rng, dtype=torch.float64))
        self.bend = nn.Parameter(torch.full((), bend, dtype=torch.float64))

    def styles(self, z: Tensor) -> Tensor:
        return z[:, None].clone().requires_grad_()

    def hand(self, z: Tensor) -> Tensor:
        return torch.rand(len(z), 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def synthesise(self, w: Tensor, hand: Tensor) -> Tensor:
        x: Tensor = (w[:, 0] @ self.matrix.T) * (1 + self.bend * w[:, 0].square().sum(1, keepdim=True))
        return x.view(-1, 1, 2, 3)


def test_lengths_of_paths_are_those_of_the_slope_and_become_equal() -> None:
    """Karras et al. (2020), eq. 4: E |J^T y|^2 is the squared norm of J over the pixels; its cost evens out lengths."""
    z = torch.randn(20_000, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    straight, bent = Drawn(0.0), Drawn(0.2)
    due = float(straight.matrix.detach().square().sum()) / 6
    assert path_lengths(straight, z).square().mean().item() == pytest.approx(due, rel=0.02)
    paths, few = Paths(1.0, 1), z[:64]
    descent, costs = torch.optim.Adam(bent.parameters(), 0.02), []
    for number in range(60):
        cost = paths.cost({"generator": bent}, {"z": few})
        descent.zero_grad()
        cost.total().backward()
        descent.step()
        terms = {"path/length": cost.facts["length"]}
        paths.after_round(SimpleNamespace(progress=Progress(10**6, number, number + 1), terms=terms))  # type: ignore[arg-type]
        costs.append(float(cost["cost"].detach()))
    assert costs[0] == 0  # the first round measures the mean
    assert paths.plays == 60
    assert costs[-1] < 0.2 * costs[1]
    plain = SimpleNamespace(game=small_game()[0], config=SimpleNamespace(generator=SimpleNamespace(name="mlp")))
    with pytest.raises(BadInput, match="generator with styles"):
        PathLength(2.0).listeners(plain)  # type: ignore[arg-type]


def test_no_weight_is_beyond_the_limit_after_a_step() -> None:
    game, learner, engine = small_game()
    Clip(0.05).listeners(SimpleNamespace(learner=learner))  # type: ignore[arg-type]
    hand = game.task.deal({"x": torch.randn(8, 2)}, torch.Generator().manual_seed(0))
    for move in game.moves:
        learner.improve(move, game.players, hand, engine, Progress(10))
    largest = {
        name: max(float(p.detach().abs().max()) for p in player.parameters()) for name, player in game.players.items()
    }
    assert largest["discriminator"] == pytest.approx(0.05)
    assert largest["generator"] > 0.05


def test_fakes_take_the_place_of_reals_by_their_chance() -> None:
    """Jiang et al. (2021), eq. 2: D meets (1 - a) p + a q as real, and q as fake; the views come after."""
    contest = Pseudo(0.5).contest(Contest(non_saturating, weight=3.0, view=lambda x, uniform: x + 1))
    assert isinstance(contest, PseudoContest)
    assert (contest.weight, contest.tells_signs) == (3.0, True)
    contest.dial.turn(0.3)
    real, fake = torch.zeros(4000, 2), torch.full((4000, 2), 5.0).requires_grad_()
    hand = contest.deal(real, torch.Generator().manual_seed(0))
    seen: list[Tensor] = []

    def discriminator(x: Tensor) -> Tensor:
        seen.append(x)
        return x[:, 0]

    costs = contest.discriminator_costs(discriminator, real, fake, hand, penalised=False)  # type: ignore[arg-type]
    assert set(seen[0].unique().tolist()) == {1.0, 6.0}
    assert float((seen[0][:, 0] == 6).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert torch.equal(seen[0][:, 0], seen[0][:, 1])  # items are replaced as a whole
    assert torch.equal(seen[1], fake + 1)
    assert "signs" in costs.facts


def test_settings_that_make_no_sense_are_refused() -> None:
    task: Any = SimpleNamespace(draws=False)
    for call, hint in (
        (lambda: Clip(-1.0), "0.01 is usual"),
        (lambda: Historical(-1.0), "the paper has 1"),
        (lambda: Orthogonal(1.0, of="discriminators"), "did you mean 'discriminator'"),
        (lambda: Orthogonal(-1.0), "0.0001 is usual"),
        (lambda: Pseudo(0.5).contest(Contest(kernel)), "takes for real"),
        (lambda: Pseudo(0.5).players(task), "draws none"),
        (lambda: Clip(0.1).listeners(SimpleNamespace(learner=Gradient({}))), "there is none"),  # type: ignore[arg-type]
    ):
        with pytest.raises(BadInput, match=hint):
            call()
