"""What every learner keeps, discovered by being there; and every player that is no network."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from evenodds.errors import BadInput, Diverged
from evenodds.experimental.extragradient import Extragradient
from evenodds.experimental.lookahead import Lookahead
from evenodds.game import checkpoint, learners
from evenodds.game.checkpoint import PlayersState
from evenodds.game.engine import Local
from evenodds.game.learners import Evolution, Fit, Gradient, Learner
from evenodds.game.rules import Costs, Game, Move, Progress, State
from evenodds.game.trainer import train
from evenodds.parts.losses.adversarial import least_squares, non_saturating
from evenodds.parts.losses.penalties import r1
from evenodds.parts.nonneural import fitted, linear, transformations
from evenodds.parts.nonneural.fitted import Classifier, Witness
from evenodds.parts.nonneural.linear import Fourier, Linear, Polynomial
from evenodds.parts.nonneural.transformations import Affine, Gaussians
from evenodds.runs.find import find, names
from tests.games import Points, small_players, small_task

EXPORTED = [getattr(learners, name) for name in learners.__all__]
NAMED = [find("learners", name) for name in names("learners")]
MEMBERS = sorted({one.__name__ for one in [*EXPORTED, *NAMED] if inspect.isclass(one) and one is not Learner})


def adam(player: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(player.parameters(), 0.02, betas=(0.0, 0.99), eps=1e-3)


def gradient() -> tuple[dict[str, nn.Module], Any]:
    players = small_players()
    return players, Gradient({name: adam(player) for name, player in players.items()})


def evolution() -> tuple[dict[str, nn.Module], Any]:
    players = small_players()
    return players, Evolution({name: adam(player) for name, player in players.items()}, pairs=4, at_once=8)


def fit() -> tuple[dict[str, nn.Module], Any]:
    """A witness, because its gradient lets the generator learn by the other learner."""
    player = Witness()
    players = {**small_players(), "discriminator": player}
    return players, Fit({"discriminator": player}, rows=20, every=3)


def extragradient() -> tuple[dict[str, nn.Module], Any]:
    players = small_players()
    return players, Extragradient({name: adam(player) for name, player in players.items()})


def lookahead() -> tuple[dict[str, nn.Module], Any]:
    players = small_players()
    return players, Lookahead({name: adam(player) for name, player in players.items()}, every=3)


GAMES: dict[str, Callable[[], tuple[dict[str, nn.Module], Any]]] = {
    "Gradient": gradient,
    "Evolution": evolution,
    "Fit": fit,
    "Extragradient": extragradient,
    "Lookahead": lookahead,
}
MOVER = {
    "Gradient": "generator",
    "Extragradient": "generator",
    "Lookahead": "generator",
    "Evolution": "generator",
    "Fit": "discriminator",
}
every_learner = pytest.mark.parametrize("name", MEMBERS)


def whole(name: str) -> tuple[Game, dict[str, Learner], dict[str, Any]]:
    """A game, a learner for each player, and what a checkpoint keeps of it."""
    players, learner = GAMES[name]()
    by_name: dict[str, Learner] = dict.fromkeys(players, learner)
    if name == "Fit":
        by_name["generator"] = Gradient({"generator": adam(players["generator"])})
    own = {f"{player}s": learner for player, learner in by_name.items()}
    return Game(small_task(), players), by_name, {"players": PlayersState(players), **own}


def tensors(parts: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {f"{n}/{k}": v.clone() for n, part in parts.items() for k, v in part.state().tensors.items()}


def test_every_learner_is_covered() -> None:
    assert sorted(GAMES) == MEMBERS


@every_learner
def test_it_lowers_the_cost_of_a_move_and_leaves_the_others_alone(name: str) -> None:
    players, learner = GAMES[name]()
    mover = MOVER[name]
    if name == "Extragradient":  # it steps once all of its players have told their slopes; here it has one
        learner = Extragradient({mover: adam(players[mover])})
    task = small_task()
    move = next(move for move in task.moves() if move.movers == (mover,))
    hand = task.deal(Points().at(0), torch.Generator().manual_seed(1))
    others = {n: [t.clone() for t in p.state_dict().values()] for n, p in players.items() if n != mover}
    costs = [learner.improve(move, players, hand, Local(), Progress(total=100)) for _ in range(30)]
    assert isinstance(costs[0], Costs)
    assert not costs[0].total().isnan()
    before, after = (float(c.total().detach()) for c in (costs[0], costs[-1]))
    assert after < before - 0.02
    for n, old in others.items():
        assert all(torch.equal(a, b) for a, b in zip(old, players[n].state_dict().values(), strict=True))
    assert all(p.requires_grad for n in players for p in players[n].parameters())


@every_learner
def test_the_same_seed_gives_the_same_bits(name: str) -> None:
    ends = []
    for _ in range(2):
        game, by_name, parts = whole(name)
        train(game, Points(), by_name, Local(), images=8 * 10, seed=3)
        ends.append(tensors(parts))
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])


@every_learner
def test_resumed_is_uninterrupted(name: str, tmp_path: Path) -> None:
    """Also where the break falls between two fits."""
    game, by_name, parts = whole(name)
    progress = train(game, Points(), by_name, Local(), images=8 * 11)
    checkpoint.save(tmp_path / "11", parts, {})
    train(game, Points(), by_name, Local(), images=8 * 20, progress=progress)

    again, anew, others = whole(name)
    for player in again.players.values():  # other weights, so that restoring is what makes them equal
        for parameter in player.parameters():
            nn.init.ones_(parameter)
    checkpoint.restore(others, checkpoint.load(tmp_path / "11")[0])
    train(again, Points(), anew, Local(), images=8 * 20, progress=Progress(total=8 * 11, images=8 * 11, round=11))
    mine, theirs = tensors(parts), tensors(others)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(game.players["discriminator"](x), again.players["discriminator"](x))


# Players that are no networks


DISCRIMINATORS: dict[str, Callable[[], nn.Module]] = {
    "Linear": lambda: Linear(2),
    "Polynomial": lambda: Polynomial(2, 3),
    "Fourier": lambda: Fourier(2, 64),
    "Witness": Witness,
    "Classifier": lambda: Classifier(pytest.importorskip("sklearn.naive_bayes").GaussianNB()),
}
GENERATORS: dict[str, Callable[[], nn.Module]] = {"Affine": lambda: Affine(3, 2), "Gaussians": lambda: Gaussians(2, 4)}


def test_every_player_is_covered() -> None:
    named = {name for room in (fitted, linear, transformations) for name in room.__all__} - {"Fitted"}
    assert named == {*DISCRIMINATORS, *GENERATORS}


@pytest.mark.parametrize("name", sorted(DISCRIMINATORS))
def test_a_discriminator_starts_at_even_odds_learns_and_is_restored(name: str) -> None:
    player = DISCRIMINATORS[name]()
    x = Points(64).at(0)["x"]
    assert torch.equal(player(x), torch.zeros(64))
    task, players = small_task(), {**small_players(), "discriminator": player}
    learner: Any = (
        Gradient({"discriminator": adam(player)}) if [*player.parameters()] else Fit({"discriminator": player})
    )
    for k in range(40):
        hand = task.deal(Points(64).at(64 * k), torch.Generator().manual_seed(k))
        learner.improve(task.moves()[0], players, hand, Local(), Progress(total=1))
    assert player(x).shape == (64,)
    assert float(player(x).mean()) > float(player(players["generator"](torch.randn(64, 3))).mean()) + 0.1
    other = DISCRIMINATORS[name]()
    PlayersState({"d": other}).restore(PlayersState({"d": player}).state())
    assert torch.equal(other(x), player(x))


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_a_generator_makes_points_and_every_parameter_can_be_evolved(name: str) -> None:
    player = GENERATORS[name]()
    z = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    assert player(z).shape == (500, 2)
    assert player(z[:1]).shape == (1, 2)
    torch.testing.assert_close(torch.func.vmap(player)(z[None].repeat(2, 1, 1))[1], player(z))
    for parameter in player.parameters():
        before = player(z).detach().clone()
        with torch.no_grad():
            parameter[0] += 0.7
        assert not torch.equal(player(z), before)


# Bad input


def message(call: Callable[[], object], kind: type[Exception] = BadInput) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def play(learner: Any, players: dict[str, nn.Module], move: int = 0, **terms: Any) -> Callable[[], object]:
    task = small_task(**terms)
    hand = task.deal(Points().at(0), torch.Generator().manual_seed(0))
    return lambda: learner.improve(task.moves()[move], players, hand, Local(), Progress(total=1))


def test_what_cannot_be_learnt_is_said_in_one_line() -> None:
    players, learner = fit()
    players["discriminator"].fit(torch.zeros(1, 2), torch.ones(1, 2))  # type: ignore[operator]
    trees = {**players, "discriminator": Classifier(pytest.importorskip("sklearn.naive_bayes").GaussianNB())}
    Fit({"discriminator": trees["discriminator"]}).players["discriminator"].fit(torch.randn(9, 2), torch.randn(9, 2), 0)  # type: ignore[dict-item]
    assert "leave out gradient penalties" in message(play(learner, players, penalty=r1))
    assert "0.5 for least squares" in message(play(learner, players, loss=least_squares))
    assert "by Evolution" in message(play(gradient()[1], trees, move=1))
    one = Evolution({"generator": adam(players["generator"])})
    assert "also moves discriminator" in message(play(one, players, simultaneous=True, loss=non_saturating))
    broken = {**players, "generator": nn.Linear(3, 2)}
    nn.init.constant_(broken["generator"].weight, torch.inf)  # type: ignore[arg-type]
    assert "not finite" in message(play(learner, broken), Diverged)


def test_settings_out_of_range_are_said_in_one_line() -> None:
    for call, part in (
        (lambda: Evolution({}, sigma=0.0), "sigma > 0"),
        (lambda: Evolution({}, pairs=0), "pairs >= 1"),
        (lambda: Fit({}, rows=0), "rows >= 1"),
        (lambda: Polynomial(2, 0), "degree 0"),
        (lambda: Polynomial(100, 5), "degree 5"),
        (lambda: Fourier(2, bandwidth=0.0), "bandwidth > 0"),
        (lambda: Witness(()), "bandwidths"),
        (lambda: Gaussians(2, 0), "parts >= 1"),
        (lambda: Linear(2)(torch.zeros(1, 3)), "2 numbers per item, got 3"),
        (lambda: Gaussians(2, 3)(torch.zeros(1, 2)), "length 3, got 2"),
    ):
        assert part in message(call)


def test_estimators_that_cannot_be_kept_are_refused() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    pipeline = pytest.importorskip("sklearn.pipeline")
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    assert "decision_function or predict_proba" in message(lambda: Classifier(linear_model.Ridge()))
    assert "an object" in message(lambda: Classifier(linear_model.LogisticRegression))
    strange = pipeline.make_pipeline(preprocessing.FunctionTransformer(abs), linear_model.LogisticRegression())
    assert "'func'" in message(lambda: Classifier(strange))


def test_another_estimator_than_the_checkpoints_is_noticed() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    have, kept = (Fit({"d": Classifier(linear_model.LogisticRegression(C=c))}) for c in (1.0, 2.0))
    assert "'d' has C 1.0, the checkpoint 2.0" in message(lambda: have.restore(kept.state()))
    assert "no player 'd'" in message(lambda: have.restore(State()))
    assert "counts no plays" in message(lambda: Evolution({}).restore(State()))
    have.restore(have.state())


def test_several_processes_would_fit_several_players() -> None:
    players, learner = fit()
    task = small_task()
    hand = task.deal(Points().at(0), torch.Generator().manual_seed(0))
    two = Local(size=2)
    assert "one process, got 2" in message(
        lambda: learner.improve(task.moves()[0], players, hand, two, Progress(total=1))
    )


def test_evolution_adds_its_costs_over_all_processes() -> None:
    class Two(Local):
        """As if another process had costs that fall with every member."""

        def total(self, values: Any) -> None:
            if len(values) == 1:
                values[0] -= 1000.0 * torch.arange(len(values[0]))

    ends = []
    for engine in (Local(), Two(size=2)):
        players = {"p": nn.Linear(1, 1)}
        nn.init.ones_(players["p"].weight)
        learner = Evolution({"p": torch.optim.SGD(players["p"].parameters(), 0.1)}, pairs=1)
        move = Move("go", ("p",), lambda p, _: {"a": p["p"].weight.sum()})
        learner.improve(move, players, {"x": torch.zeros(2, 1)}, engine, Progress(total=1))
        ends.append(float(players["p"].weight.detach()))
    assert ends[0] < 1
    assert ends[1] != 1
