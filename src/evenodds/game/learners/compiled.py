"""Compiled moves: one function for each move, from the hand to the costs and the slopes of its movers.

A penalty is differentiated inside of the function, which torch traces from 2.11 on (`trace_autograd_ops`). Slopes are
those with respect to the movers alone: compiled functions that are shared by moves with other movers pick the wrong
graph where `requires_grad` is toggled (pytorch issue 139476). So every move has a function with a code of its own, and
every shape of a hand too.

What cannot be compiled is played as it is, and one line says why. Before its first play a compiled move is compared
with the move as it is, on the same hand, with the same statistics and the same random numbers.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from warnings import warn

import torch
from torch import Tensor, nn

from evenodds.errors import Remark
from evenodds.files.text import reason_of
from evenodds.game.engine import Engine
from evenodds.game.rules import Batch, Costs, Move, Players

__all__ = ["CompiledMoves", "missing", "variant_key"]

Slopes = tuple[dict[str, Tensor], dict[str, Tensor], Sequence[Tensor | None]]
"""The costs, the facts, and the slope of the sum of the costs in every parameter of the movers."""
Function = Callable[[Batch], Slopes]
Key = tuple[Any, ...]

TOLERANCE = {"float32": 1e-3, "bfloat16": 5e-2}
"""Largest norm of the difference of all slopes, as a share of their norm, by precision."""


@dataclass
class CompiledMoves:
    """The compiled functions of a learner, by move and shape of the hand.

    Args:
        backend: of torch.compile. "inductor" needs a C++ compiler on a CPU; "eager" and "aot_eager" need none.
        allowed: seconds of compilation after which no further move is compiled.
        seconds: that compilation took so far.
        reasons: why a move is played as it is, by its name.
    """

    backend: str = "inductor"
    allowed: float = math.inf
    seconds: float = 0.0
    reasons: dict[str, str] = field(default_factory=dict)
    variants: dict[Key, tuple[Move, Function | None]] = field(default_factory=dict)

    def differentiate(
        self, move: Move, players: Players, hand: Batch, engine: Engine, weight: float = 1.0
    ) -> Costs | None:
        """The costs, with slopes added to the `grad` of the movers' parameters; None where nothing was played.

        All but the movers are frozen around the call.

        Args:
            weight: by which slopes are multiplied.
        """
        key = variant_key(move, players, hand)
        if key not in self.variants:  # the move is kept, so that no other takes its identity
            self.variants[key] = move, self._tested(move, players, hand, engine)
        function = self.variants[key][1]
        if function is None:
            return None
        with _tracing():
            costs, facts, slopes = function(hand)
        for parameter, slope in zip(parameters_of(move, players), slopes, strict=True):
            if slope is not None:
                laid = _laid_as(parameter, slope)
                weighed = laid if weight == 1 else weight * laid
                parameter.grad = weighed if parameter.grad is None else parameter.grad + weighed
        return Costs(costs, facts)

    def _tested(self, move: Move, players: Players, hand: Batch, engine: Engine) -> Function | None:
        """The compiled function of a move; None where there is none or where it computes something else."""
        reason, function, begun = missing(self.backend, engine.device), None, time.perf_counter()
        if not reason and self.seconds > self.allowed:
            reason = f"compilation took {self.seconds:.0f} s already, of {self.allowed:.0f} s that it may take"
        if not reason:
            try:
                function, distance = self._compared(move, players, hand, engine)
                if not distance <= TOLERANCE[engine.precision]:
                    reason = f"its slopes differ by {distance:.1e} of their norm"
            except Exception as error:  # whatever the compiler could not do, the move can be played without it
                reason = reason_of(error)
        self.seconds += time.perf_counter() - begun
        if reason and self.reasons.get(move.name) != reason:
            self.reasons[move.name] = reason
            warn(f"move '{move.name}' is played without compilation: {reason}", Remark, stacklevel=2)
        return None if reason else function

    def _compared(self, move: Move, players: Players, hand: Batch, engine: Engine) -> tuple[Function, float]:
        """The compiled function, and how far its slopes are from those of the move as it is."""
        plain = _slopes_of(move, players, engine)
        with _preserved(players, engine.device):
            exact = plain(hand)[2]
        compiled: Function = torch.compile(plain, backend=self.backend, fullgraph=True, dynamic=False)
        with _preserved(players, engine.device), _tracing():
            slopes = compiled(hand)[2]
        return compiled, _distance(slopes, exact)


def variant_key(move: Move, players: Players, hand: Batch) -> Key:
    """What decides the operations of a move: itself, the modes of the players, the shapes and types of the hand."""
    modes = tuple(player.training for player in players.values())
    return id(move), modes, tuple((name, value.shape, value.dtype) for name, value in sorted(hand.items()))


def missing(backend: str, device: torch.device) -> str:
    """What compilation lacks on this machine; empty where nothing does."""
    if backend == "inductor" and device.type == "cpu" and not _compiler():
        return "there is no C++ compiler; install g++ or set CXX"
    if not hasattr(_dynamo().config, "trace_autograd_ops"):
        return f"torch {torch.__version__} compiles no gradients inside of a function; 2.11 does"
    return ""


def _compiler() -> str | None:
    """The C++ compiler of this machine."""
    names = (os.environ.get("CXX", ""), "g++", "clang++", "cl")
    return next((path for name in names if name and (path := shutil.which(name))), None)


def parameters_of(move: Move, players: Players) -> list[nn.Parameter]:
    """The parameters of the movers."""
    return [p for name in move.movers for p in players[name].parameters() if p.requires_grad]


def _laid_as(parameter: Tensor, slope: Tensor) -> Tensor:
    """The slope, in memory as the parameter lies there.

    A compiler lays tensors out as it likes, and a step of one kernel (torch's `fused`, 2.13) pairs weights and slopes
    by their places in memory: other strides would hand each weight the slope of another one.
    """
    return slope if slope.stride() == parameter.stride() else torch.empty_like(parameter).copy_(slope)


_numbers = count()


def _slopes_of(move: Move, players: Players, engine: Engine) -> Function:
    """The move as a function of its hand, with a code of its own."""
    parameters = parameters_of(move, players)

    def slopes(hand: Batch) -> Slopes:
        with engine.autocast():
            costs = move.cost(players, hand)
        whole = costs if isinstance(costs, Costs) else Costs(costs)
        gradients = torch.autograd.grad(whole.total(), parameters, allow_unused=True)
        return {name: cost.detach() for name, cost in whole.items()}, dict(whole.facts), gradients

    slopes.__code__ = slopes.__code__.replace(co_name=f"slopes_{next(_numbers)}")
    return slopes


def _dynamo() -> Any:
    import torch._dynamo  # takes a second, which only runs that compile need spend

    return torch._dynamo


@contextmanager
def _tracing() -> Iterator[None]:
    """Gradients are traced into a compiled function, and dropout draws the numbers that it draws without one."""
    import torch._inductor.config as inductor

    with _dynamo().config.patch(trace_autograd_ops=True), inductor.patch(fallback_random=True):
        yield


@contextmanager
def _preserved(players: Players, device: torch.device) -> Iterator[None]:
    """Buffers and random numbers are afterwards what they were before."""
    buffers = [buffer for player in players.values() for buffer in player.buffers()]
    before = [buffer.clone() for buffer in buffers]
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
    with torch.no_grad():
        for buffer, old in zip(buffers, before, strict=True):
            buffer.copy_(old)


def _distance(slopes: Sequence[Tensor | None], exact: Sequence[Tensor | None]) -> float:
    """The norm of the difference as a share of the norm of `exact`; NaN where any is not finite."""
    pairs = [(a, b) for a, b in zip(slopes, exact, strict=True) if a is not None and b is not None]
    unlike = [a is None for a in slopes] != [b is None for b in exact]
    apart = _norm([a - b for a, b in pairs])
    return math.nan if unlike else apart / max(_norm([b for _, b in pairs]), 1e-30)


def _norm(values: Sequence[Tensor]) -> float:
    return math.sqrt(sum(float(value.double().square().sum()) for value in values))
