"""The bookkeeping of graphs, by a stand-in: what is recorded is replayed on the memory that it was recorded with."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from evenodds.errors import Remark
from evenodds.game.engine import Local
from evenodds.game.learners import Gradient
from evenodds.game.learners.graphs import WARM_UP
from evenodds.game.rules import Game
from evenodds.game.schedule import linear
from evenodds.game.trainer import train
from evenodds.parts.losses.adversarial import relativistic_paired
from evenodds.parts.losses.penalties import r1_r2
from tests.games import Points, small_players, small_task

ROUNDS, EVERY = 24, 4


@dataclass
class StandIn:
    """Replays by calling again. Like a graph it fills the memory of its first result, and executes nothing first."""

    works: bool = True
    waits: list[str] = field(default_factory=list)
    stale_after: float = float("inf")
    """Replays of a variant after which it does something else, as one that reads what has moved meanwhile."""
    recorded: int = 0
    aside_plays: int = 0
    replayed: list[int] = field(default_factory=list)

    @contextmanager
    def aside(self) -> Iterator[list[str]]:
        self.aside_plays += 1
        yield self.waits

    def record(self, launch: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        if not self.works:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.recorded += 1
        number, values = self.recorded, torch.empty(0)

        def replay() -> None:
            self.replayed.append(number)
            result = launch()
            if self.replayed.count(number) > self.stale_after:
                result = launch()
            values.resize_(result.shape).copy_(result)

        return replay, values


def game(graphs: bool, recorder: StandIn, images: int = 8 * ROUNDS, **adam: bool) -> tuple[Game, Gradient]:
    players = small_players()
    task = small_task(relativistic_paired, penalty=r1_r2, weight=0.3, every=EVERY)
    optimizers = {
        n: torch.optim.Adam(p.parameters(), 1e-2, (0.0, 0.99), eps=1e-3, **(adam or {"fused": True}))
        for n, p in players.items()
    }
    learner = Gradient(optimizers, linear(0.3))
    learner.graphs.recorder = recorder
    learner.guard.on_device = True
    played = Game(task, players)
    train(played, Points(), learner, Local(graphs=graphs), images=images)
    return played, learner


def weights(played: Game) -> Tensor:
    return torch.cat([p.detach().flatten() for player in played.players.values() for p in player.parameters()])


def test_replayed_moves_reach_the_weights_of_eager_ones() -> None:
    recorder = StandIn()
    ours, learner = game(True, recorder)
    plain, _ = game(False, StandIn())
    torch.testing.assert_close(weights(ours), weights(plain), rtol=0, atol=1e-6)
    # Three variants: the discriminator with the penalty and without, the generator.
    assert recorder.recorded == 3
    compared = 2 + 2 + 1  # the first and the tenth replay, of which the variant with the penalty has three in all
    assert recorder.aside_plays == 3 * WARM_UP + compared
    penalised = ROUNDS // EVERY
    assert learner.graphs.replays == {"discriminator": ROUNDS - 2 * WARM_UP, "generator": ROUNDS - WARM_UP}
    assert recorder.replayed.count(3) == penalised - WARM_UP
    assert learner.graphs.reasons == {}


def test_rates_are_tensors_that_follow_the_schedule() -> None:
    _, learner = game(True, StandIn())
    (group,) = learner.optimizers["generator"].param_groups
    assert isinstance(group["lr"], Tensor)
    assert 0 < float(group["lr"]) < 5e-3


def test_another_shape_of_the_hand_is_another_variant() -> None:
    recorder = StandIn()
    played, learner = game(True, recorder)
    train(played, Points(6), learner, Local(graphs=True), images=6 * ROUNDS)
    assert recorder.recorded == 6


@pytest.mark.parametrize(
    ("recorder", "adam", "reason"),
    [
        (StandIn(works=False), {"fused": True}, "not permitted"),
        (StandIn(waits=["it waits for the device (r1.py:7)"]), {"fused": True}, "it waits for the device"),
        (StandIn(), {"foreach": True}, "no step of one kernel"),
        (StandIn(stale_after=0), {"fused": True}, "a replay differs by"),
        (StandIn(stale_after=9), {"fused": True}, "a replay differs by"),
    ],
    ids=["capture", "waits", "optimizer", "wrong", "wrong later"],
)
def test_what_cannot_be_recorded_is_played_and_says_why(recorder: StandIn, adam: dict[str, bool], reason: str) -> None:
    with pytest.warns(Remark, match=f"without a graph: .*{reason}"):
        ours, learner = game(True, recorder, **adam)
    plain, _ = game(False, StandIn(), **adam)
    torch.testing.assert_close(weights(ours), weights(plain), rtol=0, atol=1e-6)
    assert learner.graphs.replays["generator"] == (recorder.stale_after + 1 if recorder.stale_after < ROUNDS else 0)
    assert set(learner.graphs.reasons) == {"discriminator", "generator"}
