"""A compiled move is the move as it is, to rounding; what cannot be compiled is played as it is, and says so."""

import copy
import shutil
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

from evenodds.errors import Remark
from evenodds.game.engine import Local
from evenodds.game.learners import compiled
from evenodds.game.rules import Game
from evenodds.game.trainer import train
from evenodds.parts.losses.adversarial import relativistic_paired
from evenodds.parts.losses.penalties import r1_r2
from tests.games import Points, small_game

ROUNDS = 50
NEEDS_TRACING = pytest.mark.skipif(
    not hasattr(compiled._dynamo().config, "trace_autograd_ops"), reason="this torch compiles no gradients"
)


def played(backend: Any, compile: bool = True, rounds: int = ROUNDS) -> tuple[Game, Any]:
    game, learner, _ = small_game(loss=relativistic_paired, penalty=r1_r2, weight=0.3, every=4)
    for optimizer in learner.optimizers.values():
        optimizer.param_groups[0]["fused"] = True  # as in runs: steps are taken by places in memory
    learner.compiled.backend = backend
    train(game, Points(), learner, Local(compile=compile), images=8 * rounds)
    return game, learner


def apart(one: Game, other: Game) -> float:
    pairs = [zip(one.players[name].parameters(), other.players[name].parameters(), strict=True) for name in one.players]
    return max(float((a - b).detach().abs().max()) for pair in pairs for a, b in pair)


@NEEDS_TRACING
def test_compiled_moves_reach_the_weights_of_eager_ones() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Remark)
        ours, learner = played("aot_eager")
    plain, _ = played("aot_eager", compile=False)
    assert apart(ours, plain) < 1e-4
    assert learner.compiled.reasons == {}
    # Two of the discriminator, with the penalty and without, and one of the generator.
    assert [move.name for move, function in learner.compiled.variants.values() if function is not None] == [
        "discriminator",
        "generator",
        "discriminator",
    ]


def turned(graph: torch.fx.GraphModule, examples: Any) -> Callable[..., Any]:
    def lay(x: Any) -> Any:
        return x.t().contiguous().t() if isinstance(x, torch.Tensor) and x.dim() == 2 else x

    return lambda *arguments: [lay(x) for x in graph(*arguments)]


@NEEDS_TRACING
def test_slopes_lie_in_memory_as_their_weights_do_however_a_compiler_lays_them_out() -> None:
    ours, learner = played(turned, rounds=5)
    plain, _ = played(turned, compile=False, rounds=5)
    assert apart(ours, plain) < 1e-5
    assert learner.compiled.reasons == {}


def broken(graph: torch.fx.GraphModule, examples: Any) -> Callable[..., Any]:
    raise RuntimeError("no such instruction")


def wrong(graph: torch.fx.GraphModule, examples: Any) -> Callable[..., Any]:
    return lambda *arguments: [x * 2 if isinstance(x, torch.Tensor) else x for x in graph(*arguments)]


@NEEDS_TRACING
@pytest.mark.parametrize(("backend", "reason"), [(broken, "no such instruction"), (wrong, "slopes differ")])
def test_a_compiler_that_fails_or_errs_changes_nothing(backend: Any, reason: str) -> None:
    with pytest.warns(Remark, match=f"without compilation: .*{reason}"):
        ours, learner = played(backend, rounds=3)
    plain, _ = played(backend, compile=False, rounds=3)
    assert apart(ours, plain) == 0
    assert set(learner.compiled.reasons) == {"discriminator", "generator"}


def test_without_a_compiler_moves_are_played_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.warns(Remark, match="C\\+\\+ compiler|torch .* compiles no gradients"):
        ours, _ = played("inductor", rounds=2)
    plain, _ = played("inductor", compile=False, rounds=2)
    assert apart(ours, plain) == 0


def test_statistics_are_not_moved_by_the_comparison() -> None:
    norm = torch.nn.BatchNorm1d(2)
    before = copy.deepcopy(norm.state_dict())
    with compiled._preserved({"generator": norm}, torch.device("cpu")):
        norm(torch.randn(8, 2))
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())
