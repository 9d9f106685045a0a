"""What holds for a classifier of K classes and "generated": its chances, its slopes, and what labels do and do not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenodds.data.batches import Batches
from evenodds.data.dataset import Dataset
from evenodds.data.labelled import WithLabels, draw_labels
from evenodds.data.readers.digits import digits
from evenodds.data.units import Units
from evenodds.game.engine import Local
from evenodds.game.learners import Gradient
from evenodds.game.rules import Game
from evenodds.game.trainer import train
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.networks import mlp
from evenodds.parts.priors import Normal
from evenodds.tasks.classify import Classify, _entropy, _pull_away
from evenodds.tasks.contest import Contest


class Table(nn.Module):
    """x (N, D) one-hot -> logits (N, K), any number for each; the features are x."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, x: Tensor, features: bool = False) -> Any:
        logits = x @ self.logits
        return (logits, x) if features else logits


def task(classes: int = 3, **options: Any) -> Classify:
    terms = Contest(non_saturating, fused=options.pop("fused", False))
    return Classify(prior=Normal(4), contest=terms, classes=classes, **options)


def players(of: nn.Module) -> dict[str, nn.Module]:
    return {"generator": nn.Identity(), "discriminator": of}


# The chances


def test_the_chance_of_being_real_is_z_over_z_plus_1() -> None:
    logits = torch.tensor([[0.3, -1.0, 2.0], [-4.0, -3.0, -5.0]]).double()
    said = task().answer(players(Table(logits)), {"x": torch.eye(2).double()})
    z = logits.exp().sum(1)
    torch.testing.assert_close(said["real"], z / (z + 1))
    # With a logit of 0 for "generated", the softmax of K + 1 is that of K given that x is real, times that chance.
    further = torch.cat([logits, torch.zeros(2, 1)], 1).softmax(1)
    torch.testing.assert_close(further[:, :3], said["probabilities"] * said["real"][:, None])
    torch.testing.assert_close(further[:, 3], 1 - said["real"])
    assert said["y"].tolist() == [2, 1]


def test_the_cost_is_that_of_k_plus_1_classes() -> None:
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).double()
    hand = {"x": torch.eye(5)[:2].double(), "y": torch.full((2,), -1), "z": torch.eye(5)[2:].double()}
    costs = task().discriminator_cost(players(Table(logits)), {**hand, "z": hand["z"][:2]})
    further = torch.cat([logits, torch.zeros(5, 1)], 1).log_softmax(1)
    expected = -further[:2, :3].logsumexp(1) - further[2:4, 3]
    torch.testing.assert_close(costs["adversarial"], expected.mean())
    assert costs["labels"] == 0


def test_the_slopes_are_chances() -> None:
    """d(-log D) / dl_k = -(1 - D) p(k | real), and d(-log(1 - D)) / dl_k = p(k) among the K + 1."""
    logits = torch.tensor([[0.3, -1.0, 2.0], [1.0, 0.5, -0.5]]).double()
    table = Table(logits)
    x = torch.eye(2).double()
    task().discriminator_cost(players(table), {"x": x[:1], "y": torch.tensor([-1]), "z": x[1:]}).total().backward()
    d, given_real = logits.logsumexp(1).sigmoid(), logits.softmax(1)
    assert table.logits.grad is not None
    torch.testing.assert_close(table.logits.grad[0], -(1 - d[0]) * given_real[0])
    torch.testing.assert_close(table.logits.grad[1], d[1] * given_real[1])


def test_large_logits_cost_what_they_should() -> None:
    table = Table(torch.tensor([[300.0, 0.0, 0.0], [-300.0, -300.0, -300.0]]))
    x = torch.eye(2)
    wrong = task().discriminator_cost(players(table), {"x": x[1:], "y": torch.tensor([-1]), "z": x[:1]})
    torch.testing.assert_close(wrong.total(), torch.tensor(600.0), atol=2, rtol=0)
    right = task().discriminator_cost(players(table), {"x": x[:1], "y": torch.tensor([0]), "z": x[1:]})
    assert right.total() == 0


# Labels


def test_unknown_labels_do_not_enter() -> None:
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    x, y = torch.eye(4), torch.tensor([2, -1, 0, -1])
    costs = task(unsupervised=0.0).discriminator_cost(players(Table(logits)), {"x": x, "y": y, "z": x})
    torch.testing.assert_close(costs["labels"], F.cross_entropy(logits[[0, 2]], y[[0, 2]]))
    assert list(costs) == ["labels"]
    right = (logits[[0, 2]].argmax(1) == y[[0, 2]]).float().mean()
    torch.testing.assert_close(costs.facts["right"], right)


def test_labelled_items_of_their_own_stand_in_for_the_labels_of_the_batch() -> None:
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    x, own = torch.eye(4), {"labelled_x": torch.eye(4)[2:3], "labelled_y": torch.tensor([1])}
    hand = {"x": x, "y": torch.tensor([0, 1, 2, 0]), "z": x, **own}
    costs = task().discriminator_cost(players(Table(logits)), hand)
    torch.testing.assert_close(costs["labels"], F.cross_entropy(logits[2:3], own["labelled_y"]))


@pytest.mark.parametrize("fused", [False, True])
def test_with_all_labels_and_nothing_else_it_is_plain_training(fused: bool) -> None:
    data = digits()
    feed, steps, nets = Batches(data, None, 64, seed=0), 20, []
    for _ in range(2):
        torch.manual_seed(0)
        nets.append(mlp.Discriminator((1, 8, 8), outputs=10, width=16))
    game = task(10, unsupervised=0.0, fused=fused)
    of = {"generator": mlp.Generator(4, (1, 8, 8), width=8), "discriminator": nets[0]}
    learner = Gradient({name: torch.optim.SGD(player.parameters(), 0.1) for name, player in of.items()})
    train(Game(game, of), feed, learner, Local(), images=steps * feed.size)
    plain = torch.optim.SGD(nets[1].parameters(), 0.1)
    for step in range(steps):
        batch = feed.at(step * feed.size)
        plain.zero_grad()
        F.cross_entropy(nets[1](batch["x"]), batch["y"]).backward()
        plain.step()
    for mine, theirs in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-5)


def test_labels_are_drawn_from_every_class_alike() -> None:
    y = torch.tensor([1, 0, 1, 0, -1, 1, 0, 0, 1, -1])
    index = draw_labels(y, 2, seed=0)
    assert y[index].sort().values.tolist() == [0, 0, 1, 1]
    assert torch.equal(index, draw_labels(y, 2, seed=0))
    assert len({tuple(draw_labels(y, 2, seed).tolist()) for seed in range(20)}) > 5


def test_every_labelled_item_is_shown_as_often_as_the_others() -> None:
    data = digits()
    labelled = Dataset(
        torch.arange(5.0)[:, None], Units((-1,), (1,), "float32"), torch.arange(5), tuple("abcde"), kind="table"
    )
    feed = WithLabels(Batches(data, None, 8, seed=0), labelled, torch.arange(5), size=12, seed=3)
    shown = torch.cat([feed.at(8 * i)["labelled_y"] for i in range(200)]).bincount()
    assert all(feed.at(8 * i)["labelled_y"].bincount().min() >= 2 for i in range(20))
    assert (shown - 480).abs().max() < 40
    torch.testing.assert_close(feed.at(16)["labelled_x"][:, 0].long(), feed.at(16)["labelled_y"])
    assert torch.equal(feed.at(16)["x"], feed.data.at(16)["x"])
    assert feed.size == 8


# The generator and the further terms


@pytest.mark.parametrize(("matching", "expected"), [("squared", 0.125 / 3), ("absolute", 0.5 / 3)])
def test_the_generator_matches_mean_features(matching: str, expected: float) -> None:
    x = torch.eye(3)
    hand = {"x": x[[0, 0, 1, 1]], "z": x[[1, 1, 1, 0]]}
    same = {**hand, "z": hand["x"].flip(0)}
    game, of = task(matching=matching), players(Table(torch.zeros(3, 3)))
    # Means (1/2, 1/2, 0) and (1/4, 3/4, 0).
    torch.testing.assert_close(game.generator_cost(of, hand).total(), torch.tensor(expected))
    assert game.generator_cost(of, same).total() == 0


def test_entropy_and_pull_away_in_closed_form() -> None:
    torch.testing.assert_close(_entropy(torch.zeros(2, 4)), torch.full((2,), 4.0).log())
    assert _entropy(torch.tensor([[90.0, 0.0]])).item() == pytest.approx(0, abs=1e-6)
    features = torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]])
    # Cosines 0, 1/sqrt 2, 1/sqrt 2.
    torch.testing.assert_close(_pull_away(features), torch.tensor(1 / 3))
    torch.testing.assert_close(_pull_away(torch.ones(4, 2)), torch.tensor(1.0))
    assert _pull_away(torch.ones(1, 2)) == 0
    options = task(entropy=0.5, pull_away=2.0)
    of, hand = players(Table(torch.zeros(2, 3))), {"x": torch.eye(2), "y": torch.tensor([-1, -1]), "z": torch.eye(2)}
    torch.testing.assert_close(options.discriminator_cost(of, hand)["entropy"], torch.tensor(3.0).log() / 2)
    alike = {**hand, "z": torch.eye(2)[[0, 0]]}
    torch.testing.assert_close(options.generator_cost(of, alike)["pull_away"], torch.tensor(2.0))


class Noisy(nn.Module):
    """Logits (N, 3) of (N, 2), with noise of its own while training."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.noise = nn.Linear(2, 3), nn.Dropout(0.5)

    def forward(self, x: Tensor, features: bool = False) -> Any:
        seen = self.noise(x)
        return (self.layer(seen), seen) if features else self.layer(seen)


@pytest.mark.parametrize("fused", [False, True])
def test_consistency_holds_noisy_answers_against_calm_ones(fused: bool) -> None:
    torch.manual_seed(0)
    game = task(consistency=0.7, unsupervised=0.0, fused=fused)
    discriminator = Noisy()
    x = torch.randn(16, 2)
    hand = {"x": x, "labelled_x": x[:4], "labelled_y": torch.tensor([0, 1, 2, 0]), "z": torch.zeros(16, 2)}
    torch.manual_seed(1)
    cost = game.discriminator_cost({"generator": nn.Identity(), "discriminator": discriminator}, hand)["consistency"]
    torch.manual_seed(1)
    noisy = (
        discriminator.noise(torch.cat([x[:4], x]))[4:]
        if fused
        else (discriminator.noise(x[:4]), discriminator.noise(x))[1]
    )
    calm = discriminator.layer(x).softmax(1).detach()
    torch.testing.assert_close(cost, -0.7 * (calm * discriminator.layer(noisy).log_softmax(1)).sum(1).mean())
    assert discriminator.training
    cost.backward()
    assert discriminator.layer.weight.grad.abs().sum() > 0
    still = task(unsupervised=0.0).discriminator_cost(
        {"generator": nn.Identity(), "discriminator": discriminator}, hand
    )
    assert "consistency" not in still


@pytest.mark.parametrize(
    ("temperature", "threshold", "expected"),
    [
        (1.0, 0.0, [[0.6, 0.3, 0.1], [0.4, 0.35, 0.25]]),
        # Sharpened by 1/2, chances are squared and divided by their sum.
        (0.5, 0.0, [[0.36 / 0.46, 0.09 / 0.46, 0.01 / 0.46], [0.16 / 0.345, 0.1225 / 0.345, 0.0625 / 0.345]]),
        (0.0, 0.0, [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]),
        (0.0, 0.5, [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        (0.5, 0.5, [[0.36 / 0.46, 0.09 / 0.46, 0.01 / 0.46], [0.0, 0.0, 0.0]]),
    ],
)
def test_sharpened_and_sure_answers_in_closed_form(
    temperature: float, threshold: float, expected: list[list[float]]
) -> None:
    chances = torch.tensor([[0.6, 0.3, 0.1], [0.4, 0.35, 0.25]]).double()
    of, hand = players(Table(chances.log())), {"x": torch.eye(2).double(), "y": torch.tensor([-1, -1])}
    options = {"unsupervised": 0.0, "consistency": 2.0, "temperature": temperature, "threshold": threshold}
    costs = task(**options).discriminator_cost(of, hand)
    # Without noise the answers that follow are the chances themselves.
    cost = -2 * (torch.tensor(expected).double() * chances.log()).sum(1).mean()
    torch.testing.assert_close(costs["consistency"], cost, atol=1e-6, rtol=1e-6)
    assert ("sure" in costs.facts) == bool(threshold)
    if threshold:
        assert costs.facts["sure"] == 0.5


def test_aligned_answers_give_every_class_its_share() -> None:
    chances = torch.tensor([[0.6, 0.3, 0.1], [0.4, 0.4, 0.2]]).double()
    of, hand = players(Table(chances.log())), {"x": torch.eye(2).double(), "y": torch.tensor([-1, -1])}
    options = {"unsupervised": 0.0, "consistency": 1.0, "shares": (2.0, 1.0, 1.0)}
    # Means 0.5, 0.35, 0.15: the answers are multiplied by 2 / 0.5, 1 / 0.35, 1 / 0.15, and divided by their sum.
    aligned = chances * torch.tensor([4.0, 1 / 0.35, 1 / 0.15]).double()
    aligned = aligned / aligned.sum(1, keepdim=True)
    cost = -(aligned * chances.log()).sum(1).mean()
    torch.testing.assert_close(task(**options).discriminator_cost(of, hand)["consistency"], cost)
    # Where each class has its share already, nothing changes.
    fair = {**options, "shares": (0.5, 0.35, 0.15)}
    plain = {**options, "shares": None}
    both = [task(**each).discriminator_cost(of, hand)["consistency"] for each in (fair, plain)]
    torch.testing.assert_close(*both)
