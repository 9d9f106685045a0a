"""Graphs of whole moves: forward, penalty, backward and step are recorded once, and replayed by a single launch.

Small games on a GPU are bound by launches, not by arithmetic. A graph has fixed memory: every hand is copied into the
tensors with which it was recorded, and costs are read from those in which it leaves them. Random numbers of a hand are
dealt outside; dropout draws from the generator that the trainer seeds before every round. Learning rates are tensors.
The guard decides on the device.

Every variant of a move, with and without the penalty say, has a graph of its own. Its first plays, which are rounds
like all others, are made as they are, aside of the main stream, as recording wants it. What fails to be recorded is
played as it is, and one line says why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from warnings import warn

import torch
from torch import Tensor
from torch.optim import Optimizer

from evenodds.errors import Remark
from evenodds.files.text import visible
from evenodds.game.learners.compiled import variant_key
from evenodds.game.rules import Batch, Costs, Move, Players

__all__ = ["CudaRecorder", "MoveGraphs", "Recorder"]

Body = Callable[[Batch], Costs]
"""A whole move: changes the movers, and returns the costs of the hand."""
WARM_UP = 3
"""Plays of a variant before it is recorded."""


class Recorder(Protocol):
    """Records what is launched; a stand-in lets tests do without a GPU."""

    def aside(self) -> AbstractContextManager[None]:
        """Where what is to be recorded is played before."""
        ...

    def record(self, launch: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        """Records without executing.

        Returns:
            What replays it, and the tensor that each replay fills.
        """
        ...


class CudaRecorder:
    """CUDA graphs."""

    @contextmanager
    def aside(self) -> Iterator[None]:
        """A stream beside the main one."""
        stream, main = torch.cuda.Stream(), torch.cuda.current_stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(main)
        with torch.cuda.stream(stream):
            yield
        main.wait_stream(stream)

    def record(self, launch: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        """See Recorder."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            values = launch()
        return graph.replay, values


@dataclass
class Recording:
    """A recorded variant.

    Args:
        hand: the tensors that it reads.
        replay: plays it.
        values: (K,) float32, the costs and then the facts that a replay leaves.
        names: of the costs, and of the facts.
    """

    hand: dict[str, Tensor]
    replay: Callable[[], None]
    values: Tensor
    names: tuple[list[str], list[str]]

    def play(self, hand: Batch) -> Costs:
        """Plays it on a hand of the same shapes."""
        for name, fixed in self.hand.items():
            fixed.copy_(hand[name], non_blocking=True)
        self.replay()
        values = self.values.clone().unbind()  # the next replay overwrites them
        costs, facts = self.names
        numbered = dict(zip([*costs, *facts], values, strict=True))
        return Costs({name: numbered[name] for name in costs}, {name: numbered[name] for name in facts})


@dataclass
class Variant:
    """How far a variant of a move has come. The move is kept, so that no other takes its identity."""

    move: Move
    plays: int = 0
    recording: Recording | None = None
    reason: str = ""


@dataclass
class MoveGraphs:
    """The graphs of a learner.

    Args:
        recorder: makes them.
        replays: how often moves were replayed, by name: the proof that graphs are at work.
        reasons: why a move is played as it is, by its name.
    """

    recorder: Recorder = field(default_factory=CudaRecorder)
    replays: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)
    variants: dict[Any, Variant] = field(default_factory=dict)

    def play(self, move: Move, players: Players, hand: Batch, optimizers: Sequence[Optimizer], body: Body) -> Costs:
        """Plays a move, by its graph where it has one."""
        variant = self.variants.setdefault(variant_key(move, players, hand), Variant(move))
        if not variant.plays:
            variant.reason = unfit(optimizers)
        variant.plays += 1
        if variant.reason:
            return self._plainly(variant, body, hand)
        if variant.plays <= WARM_UP:
            with self.recorder.aside():
                return body(hand)
        if variant.recording is None:
            try:
                variant.recording = self._recorded(hand, body)
            except Exception as error:  # a move that cannot be recorded can be played
                variant.reason = f"{type(error).__name__}: {visible(' '.join(str(error).split())[:200])}"
                return self._plainly(variant, body, hand)
        self.replays[move.name] += 1
        return variant.recording.play(hand)

    def _recorded(self, hand: Batch, body: Body) -> Recording:
        fixed = {name: value.clone() for name, value in hand.items()}
        names: tuple[list[str], list[str]] = ([], [])

        def launch() -> Tensor:
            costs = body(fixed)
            names[0][:], names[1][:] = costs, costs.facts
            return torch.stack([value.detach().float() for value in (*costs.values(), *costs.facts.values())])

        replay, values = self.recorder.record(launch)
        return Recording(fixed, replay, values, names)

    def _plainly(self, variant: Variant, body: Body, hand: Batch) -> Costs:
        name = variant.move.name
        if self.reasons.get(name) != variant.reason:
            self.reasons[name] = variant.reason
            warn(f"move '{name}' is played without a graph: {variant.reason}", Remark, stacklevel=2)
        return body(hand)


def unfit(optimizers: Sequence[Optimizer]) -> str:
    """Why these optimizers' steps cannot be recorded, or empty; then their rates are tensors afterwards."""
    for optimizer in optimizers:
        if not all(group.get("fused") for group in optimizer.param_groups):
            return f"{type(optimizer).__name__} has no step of one kernel; take Adam, AdamW or SGD with fused=true"
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        if not isinstance(group["lr"], Tensor):
            group["lr"] = torch.tensor(float(group["lr"]), device=group["params"][0].device)
        if "capturable" in group:
            group["capturable"] = True
    return ""
