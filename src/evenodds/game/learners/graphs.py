"""Graphs of whole moves: forward, penalty, backward and step are recorded once, and replayed by a single launch.

Small games on a GPU are bound by launches, not by arithmetic. A graph has fixed memory: every hand is copied into the
tensors with which it was recorded, and costs are read from those in which it leaves them. Random numbers of a hand are
dealt outside; dropout draws from the generator that the trainer seeds before every round. Learning rates are tensors.
The guard decides on the device.

Every variant of a move, with and without the penalty say, has a graph of its own. Its first plays, which are rounds
like all others, are made as they are, aside of the main stream, as recording wants it. A play that waits for the device
is never recorded, for a recording that fails can leave CUDA's random generators unusable. After 1, 10, 100, ... replays
a replay is compared with the move as it is, from the same weights: a graph knows nothing of what Python changes between
rounds. What cannot be recorded, or replays something else, is played as it is, and one line says why.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from warnings import warn

import torch
from torch import Tensor
from torch.optim import Optimizer

from evenodds.errors import Remark
from evenodds.files.text import reason_of
from evenodds.game.learners.compiled import variant_key
from evenodds.game.members import buffers_of, parameters_of
from evenodds.game.rules import Batch, Costs, Move, Players

__all__ = ["CudaRecorder", "MoveGraphs", "Recorder", "is_recordable"]

Body = Callable[[Batch], Costs]
"""A whole move: changes the movers, and returns the costs of the hand."""
WARM_UP = 3
"""Plays of a variant before it is recorded."""
CHECKED = frozenset(10**k for k in range(16))
"""Replays of a variant that are compared with the move as it is."""
TOLERANCE = 1e-2
"""Largest difference of costs, and of the norm of a step, as a share of what they are without a graph."""


def is_recordable(device: torch.device) -> bool:
    """Whether moves on a device can be recorded."""
    return device.type == "cuda"


class Recorder(Protocol):
    """Records what is launched; a stand-in lets tests do without a GPU."""

    def aside(self) -> AbstractContextManager[list[str]]:
        """Where what is to be recorded is played before.

        Yields:
            A list, which holds afterwards what forbids to record what was played inside.
        """
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
    def aside(self) -> Iterator[list[str]]:
        """A stream beside the main one, on which waits for the device are found."""
        stream, main = torch.cuda.Stream(), torch.cuda.current_stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(main)
        found: list[str] = []
        with torch.cuda.stream(stream), _waits(found):
            yield found
        main.wait_stream(stream)

    def record(self, launch: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        """See Recorder."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            values = launch()
        return graph.replay, values


@contextmanager
def _waits(found: list[str]) -> Iterator[None]:
    """Adds where a wait for the device is in what is played inside; other warnings are passed on."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode(before)
    for one in caught:
        if "synchroniz" in str(one.message):
            found.append(f"it waits for the device ({Path(one.filename).name}:{one.lineno})")
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


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
    replays: int = 0
    recording: Recording | None = None
    reason: str = ""
    waits: list[str] = field(default_factory=list)
    """What forbids to record its latest play."""


@dataclass
class MoveGraphs:
    """The graphs of a learner.

    Args:
        recorder: makes them.
        replays: how often moves were replayed, by name: the proof that graphs are at work.
        reasons: why a move is played as it is, by its name.
    """

    recorder: Recorder = field(default_factory=lambda: CudaRecorder())  # a test puts another there
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
            with self.recorder.aside() as waits:
                costs = body(hand)
            variant.waits = waits
            return costs
        if variant.recording is None:
            variant.reason = variant.waits[0] if variant.waits else self._record(variant, hand, body)
            if variant.reason:
                return self._plainly(variant, body, hand)
        variant.replays += 1
        self.replays[move.name] += 1
        if variant.replays in CHECKED:
            return self._checked(variant, _State(players, optimizers), hand, body)
        assert variant.recording is not None
        return variant.recording.play(hand)

    def _record(self, variant: Variant, hand: Batch, body: Body) -> str:
        """Records a variant. Returns why that failed, or nothing."""
        try:
            variant.recording = self._recorded(hand, body)
        except Exception as error:  # a move that cannot be recorded can be played
            return reason_of(error)
        return ""

    def _checked(self, variant: Variant, state: _State, hand: Batch, body: Body) -> Costs:
        """A replay beside the move as it is, whose outcome stays; from a difference on it is played as it is."""
        recording = variant.recording
        assert recording is not None
        costs = recording.play(hand)
        replayed = state.now()
        state.put_back()
        with self.recorder.aside():
            exact = body(hand)
        apart = max(_apart(replayed, state.now(), state.before), _apart(_stacked(costs), _stacked(exact)))
        if not apart <= TOLERANCE:
            variant.reason = f"a replay differs by {apart:.1e} from the move as it is"
            variant.recording = None
            self._say(variant)
        return exact

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
        self._say(variant)
        return body(hand)

    def _say(self, variant: Variant) -> None:
        """Why it is played as it is; once."""
        name = variant.move.name
        if self.reasons.get(name) != variant.reason:
            self.reasons[name] = variant.reason
            warn(f"move '{name}' is played without a graph: {variant.reason}", Remark, stacklevel=2)


class _State:
    """All that a move changes: players, the memory of optimizers, and random numbers."""

    def __init__(self, players: Players, optimizers: Sequence[Optimizer]) -> None:
        self.tensors = [x for player in players.values() for x in (*parameters_of(player), *buffers_of(player))]
        slots = [slot for optimizer in optimizers for slot in optimizer.state.values()]
        self.tensors += [x for slot in slots for x in slot.values() if isinstance(x, Tensor)]
        self.before = self.now()
        self.device = self.tensors[0].device
        self.random = torch.get_rng_state() if self.device.type == "cpu" else torch.cuda.get_rng_state(self.device)

    def now(self) -> list[Tensor]:
        """Copies."""
        return [x.detach().clone() for x in self.tensors]

    @torch.no_grad()
    def put_back(self) -> None:
        """All is as it was, in the same memory, which graphs know."""
        for tensor, old in zip(self.tensors, self.before, strict=True):
            tensor.copy_(old)
        if self.device.type == "cpu":
            torch.set_rng_state(self.random)
        else:
            torch.cuda.set_rng_state(self.random, self.device)


def _stacked(costs: Costs) -> list[Tensor]:
    return [value.detach().double().reshape(()) for value in (*costs.values(), *costs.facts.values())]


def _apart(some: list[Tensor], exact: list[Tensor], start: list[Tensor] | None = None) -> float:
    """The norm of the difference, as a share of that of the way from `start`; NaN where one alone is not finite."""
    pairs = [(a.double(), b.double()) for a, b in zip(some, exact, strict=True)]
    difference = _norm([torch.where((a == b) | (a.isnan() & b.isnan()), 0.0, a - b) for a, b in pairs])
    way = exact if start is None else [a.double() - b.double() for a, b in zip(exact, start, strict=True)]
    return difference / max(_norm(way), 1e-30) if difference else 0.0


def _norm(values: list[Tensor]) -> float:
    return math.sqrt(sum(float(value.double().square().sum()) for value in values))


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
