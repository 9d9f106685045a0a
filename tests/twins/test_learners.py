"""Learning without gradients, beside plain versions of the same written by hand."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenodds.game import checkpoint
from evenodds.game.checkpoint import PlayersState
from evenodds.game.engine import Local
from evenodds.game.learners import Evolution, Fit
from evenodds.game.rules import Game, Progress
from evenodds.game.seeds import mix
from evenodds.game.trainer import train
from evenodds.parts.nonneural.fitted import Classifier
from tests.games import Points, small_players, small_task

ensemble = pytest.importorskip("sklearn.ensemble")
linear_model = pytest.importorskip("sklearn.linear_model")
pipeline = pytest.importorskip("sklearn.pipeline")
preprocessing = pytest.importorskip("sklearn.preprocessing")

SIGMA, PAIRS, RATE, ROUNDS = 0.1, 6, 0.05, 8


def learn(name: str) -> Any:
    return {
        "logistic regression": lambda: linear_model.LogisticRegression(),
        "boosted trees": lambda: ensemble.HistGradientBoostingClassifier(max_iter=8, min_samples_leaf=3),
        "forest": lambda: ensemble.RandomForestClassifier(6),
        "pipeline": lambda: pipeline.make_pipeline(
            preprocessing.PolynomialFeatures(2), preprocessing.StandardScaler(), linear_model.LogisticRegression()
        ),
    }[name]()


def mixed(name: str, every: int = 1, at_once: int = 1) -> tuple[Game, dict[str, Any], dict[str, Any]]:
    """An evolved network against an estimator, and what a checkpoint keeps of both."""
    generator, discriminator = small_players()["generator"], Classifier(learn(name))
    sgd = torch.optim.SGD(generator.parameters(), RATE)
    game = Game(small_task(), {"generator": generator, "discriminator": discriminator})
    learners: dict[str, Any] = {
        "generator": Evolution({"generator": sgd}, sigma=SIGMA, pairs=PAIRS, at_once=at_once),
        "discriminator": Fit({"discriminator": discriminator}, rows=24, every=every),
    }
    return game, learners, {"players": PlayersState(game.players), **learners}


def plain_game(name: str, generator: nn.Module) -> Any:
    """The same game in scikit-learn, numpy and loops: the classifier that it ends with; the generator changes."""
    window: list[np.ndarray[Any, Any]] = [np.empty((0, 2)), np.empty((0, 2))]
    for step in range(ROUNDS):
        rng = torch.Generator().manual_seed(mix(0, step, 0))
        data = Points().at(8 * step)["x"]
        with torch.no_grad():
            fake = generator(torch.randn(8, 3, generator=rng))
        window = [np.concatenate([old, new.numpy()])[-24:] for old, new in zip(window, (data, fake), strict=True)]
        discriminator = learn(name)
        for key in discriminator.get_params():
            if key.endswith("random_state"):
                discriminator.set_params(**{key: mix(0, step) % 2**32})
        discriminator.fit(np.concatenate(window), np.repeat([1, 0], [len(part) for part in window]))
        evolve(generator, discriminator, torch.randn(8, 3, generator=rng), step)
    return discriminator


def logits(discriminator: Any, x: Tensor) -> Tensor:
    rows = x.detach().numpy().astype(np.float64)
    if hasattr(discriminator, "decision_function"):
        return torch.as_tensor(discriminator.decision_function(rows)).clamp(-10, 10)
    p = discriminator.predict_proba(rows)[:, 1]
    with np.errstate(divide="ignore"):
        return torch.as_tensor(np.log(p) - np.log1p(-p)).clamp(-10, 10)


@torch.no_grad()
def evolve(generator: nn.Module, discriminator: Any, z: Tensor, step: int) -> None:
    """One step of Salimans et al. (2017), algorithm 1, with antithetic pairs and centred ranks."""
    costs, noises = [], []
    for pair in range(PAIRS):
        rng = torch.Generator().manual_seed(mix(0, step, pair))
        noise = [torch.randn(p.shape, generator=rng) for p in generator.parameters()]
        for sign in (SIGMA, -SIGMA):
            other = copy.deepcopy(generator)
            for p, e in zip(other.parameters(), noise, strict=True):
                p += sign * e
            costs.append(float(F.softplus(-logits(discriminator, other(z)).float()).mean()))
            noises.append([(sign / SIGMA) * e for e in noise])
    for k, p in enumerate(generator.parameters()):
        slope = torch.zeros_like(p)
        for cost, noise in zip(costs, noises, strict=True):
            rank = sum((c < cost) + (c == cost) / 2 for c in costs) - 0.5
            slope += (rank / (2 * PAIRS - 1) - 0.5) * noise[k]
        p -= RATE * slope / (2 * PAIRS * SIGMA)


@pytest.mark.parametrize("name", ["logistic regression", "boosted trees", "forest"])
def test_the_trainer_plays_the_game_that_a_plain_loop_plays(name: str) -> None:
    game, learners, _ = mixed(name)
    other = copy.deepcopy(game.players["generator"])
    train(game, Points(), learners, Local(), images=8 * ROUNDS)
    discriminator = plain_game(name, other)
    start = small_players()["generator"]
    for mine, theirs, old in zip(
        game.players["generator"].parameters(), other.parameters(), start.parameters(), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5)
        assert (mine - old).abs().max() > 1e-2
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(7))
    torch.testing.assert_close(game.players["discriminator"](x), logits(discriminator, x).float(), rtol=0, atol=1e-4)


def test_a_population_at_once_is_one_member_after_the_other() -> None:
    ends = []
    for at_once in (1, 4, 100):
        game, learners, _ = mixed("boosted trees", at_once=at_once)
        train(game, Points(), learners, Local(), images=8 * 5)
        ends.append([p.detach().clone() for p in game.players["generator"].parameters()])
    for other in ends[1:]:
        for mine, theirs in zip(ends[0], other, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["logistic regression", "boosted trees", "forest", "pipeline"])
def test_a_refitted_player_is_the_uninterrupted_one(name: str, tmp_path: Path) -> None:
    """The break falls between two fits: what was fitted, and what waits, are kept apart."""
    game, learners, parts = mixed(name, every=3)
    progress = train(game, Points(), learners, Local(), images=8 * 5)
    checkpoint.save(tmp_path / "5", parts, {})
    assert {file.suffix for file in (tmp_path / "5").iterdir()} == {".safetensors", ".json"}
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    at_the_break = game.players["discriminator"](x)
    train(game, Points(), learners, Local(), images=8 * 11, progress=progress)

    again, anew, others = mixed(name, every=3)
    checkpoint.restore(others, checkpoint.load(tmp_path / "5")[0])
    assert torch.equal(again.players["discriminator"](x), at_the_break)
    train(again, Points(), anew, Local(), images=8 * 11, progress=Progress(total=8 * 5, images=8 * 5, round=5))
    assert torch.equal(again.players["discriminator"](x), game.players["discriminator"](x))
    assert not torch.equal(at_the_break, game.players["discriminator"](x))
    for mine, theirs in zip(
        game.players["generator"].parameters(), again.players["generator"].parameters(), strict=True
    ):
        assert torch.equal(mine, theirs)
