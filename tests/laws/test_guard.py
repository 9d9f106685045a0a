"""Numbers that are not finite are seen in the step in which they appear, and never reach a weight."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evenodds.errors import Diverged
from evenodds.game.engine import Local
from evenodds.game.learners import Gradient
from evenodds.game.learners.guard import Guard
from evenodds.game.rules import Game
from evenodds.game.trainer import train
from tests.faults import Plant, SpoiltFeed
from tests.games import Points, Squeeze, small_game, small_players, small_task

ROUND = 8  # images


def weights(game: Game) -> list[Tensor]:
    return [p.detach().clone() for player in game.players.values() for p in player.parameters()]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_a_planted_gradient_is_seen_at_once_and_left_out(player: str, value: float) -> None:
    game, learner, engine = small_game()
    plant = Plant(player, 5, value)
    train(game, Points(), learner, engine, images=20 * ROUND, listeners=[plant])
    assert plant.seen == 1  # at the end of the round in which it was planted
    assert plant.finite
    assert learner.guard.counted() == {player: 1}


def test_a_planted_batch_is_seen_at_once_and_left_out() -> None:
    game, learner, engine = small_game()
    plant = Plant("generator", -1)
    train(game, SpoiltFeed(Points(), 5 * ROUND), learner, engine, images=20 * ROUND, listeners=[plant])
    assert plant.finite
    assert learner.guard.counted() == {"discriminator": 1}


def test_a_move_that_is_left_out_changes_nothing_at_all() -> None:
    game, learner, engine = small_game()
    train(game, Points(), learner, engine, images=4 * ROUND)
    before, moments = weights(game), learner.state()
    for player in game.players.values():
        next(iter(player.parameters())).register_hook(lambda g: g * float("nan"))
    train(game, Points(), learner, engine, images=ROUND, listeners=[])
    assert all(torch.equal(a, b) for a, b in zip(before, weights(game), strict=True))
    after = learner.state().tensors
    assert all(torch.equal(value, after[name]) for name, value in moments.tensors.items())


def play(on_device: bool, **adam: Any) -> tuple[list[Tensor], Guard]:
    players = small_players()
    game = Game(small_task(), players)
    learner = Gradient({n: torch.optim.Adam(p.parameters(), lr=1e-2, **adam) for n, p in players.items()})
    learner.guard.on_device = on_device
    train(game, Points(), learner, Local(), images=20 * ROUND, listeners=[Plant("discriminator", 7)])
    return weights(game), learner.guard


def test_the_device_decides_as_the_host_does() -> None:
    (host, counted), (device, also) = play(False, fused=True), play(True, fused=True)
    assert counted.counted() == also.counted() == {"discriminator": 1}
    assert all(torch.equal(a, b) for a, b in zip(host, device, strict=True))


def test_optimizers_of_many_kernels_get_zeros_on_a_device() -> None:
    found, guard = play(True, foreach=True)
    assert guard.counted() == {"discriminator": 1}
    assert all(bool(value.isfinite().all()) for value in found)


@pytest.mark.parametrize("on_device", [False, True])
def test_running_statistics_do_not_keep_what_is_not_finite(on_device: bool) -> None:
    players = small_players()
    players["discriminator"] = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 1), Squeeze())
    game = Game(small_task(), players)
    learner = Gradient({n: torch.optim.SGD(p.parameters(), lr=1e-2) for n, p in players.items()})
    learner.guard.on_device = on_device
    train(game, SpoiltFeed(Points(), 2 * ROUND), learner, Local(), images=6 * ROUND)
    assert learner.guard.counted() == {"discriminator": 1}
    assert all(bool(b.float().isfinite().all()) for b in players["discriminator"].buffers())


@pytest.mark.parametrize("on_device", [False, True])
def test_a_game_that_has_no_way_on_says_so(on_device: bool) -> None:
    game, learner, engine = small_game()
    learner.guard.on_device = on_device
    next(iter(game.players["generator"].parameters())).register_hook(lambda g: g * float("nan"))
    with pytest.raises(Diverged, match="gradients of move 'generator' were not finite"):
        _play_and_count(game, learner, engine)


def _play_and_count(game: Game, learner: Gradient, engine: Local) -> None:
    train(game, Points(), learner, engine, images=25 * ROUND)
    learner.guard.counted()


class Blind(Guard):
    """Sees nothing."""

    def __post_init__(self) -> None:
        self.patience = 10**9

    def over(self, move: Any, players: Any, optimizers: Any) -> Any:
        return super().over(move, {}, [])


def test_guarded_is_unguarded_where_all_is_well() -> None:
    found = []
    for guard in (Guard(), Blind(), Guard(on_device=True)):
        game, learner, engine = small_game()
        learner.guard = guard
        train(game, Points(), learner, engine, images=30 * ROUND)
        found.append(weights(game))
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
