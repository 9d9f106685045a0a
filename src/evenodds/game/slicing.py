"""Plays a hand slice by slice, so that costs and slopes are those of the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.engine import Engine
from evenodds.game.rules import Batch, Costs, Move, Players
from evenodds.game.slices import Exchange, Playing, Slice, items_of, playing
from evenodds.game.wide import wide

__all__ = ["Slicing"]

Played = Callable[[Batch], Costs]
"""The costs of a hand."""
Learned = Callable[[Batch, float], Costs]
"""The costs of a hand, whose slopes are added to those that are there, times a weight."""


class Coupled(Exception):
    """A cost compares items of different micro-batches."""

    def __init__(self) -> None:
        super().__init__("its cost compares items of different micro-batches")


@dataclass
class Slicing:
    """Plays the slices of a hand that this process has; see evenodds.game.slices.

    The micro-batches of one process follow each other. Where their cost compares items, each is played twice: the
    first pass tells the values that the others need. Buffers are set back between micro-batches, so that those of a
    spectral norm, say, change as in one pass; dropout draws the same numbers in both passes.
    """

    coupled: set[int] = field(default_factory=set)
    """The identities of moves whose cost compares items."""

    def play(self, move: Move, players: Players, hand: Batch, engine: Engine, cost: Played, learn: Learned) -> Costs:
        """The costs of the slices of this process, weighed and added; the whole hand where nothing is sliced.

        Args:
            cost: plays a hand for its values alone.
            learn: plays a hand and leaves its slopes.
        """
        of = engine.size * engine.accumulate
        if of == 1:
            return learn(hand, 1.0)
        first = engine.rank * engine.accumulate
        slices = [Slice(first + k, of, items_of(hand)) for k in range(engine.accumulate)]
        hands = [engine.send(one.taken(hand)) for one in slices]
        if len(slices) == 1:

            def exchange(x: Tensor, rows: Sequence[int]) -> list[Tensor]:
                return engine.gather([x], rows)

            return _added(slices, [_played(slices[0], exchange, lambda: learn(hands[0], slices[0].weight), True)])
        return self._in_turn(move, players, slices, hands, engine, cost, learn)

    def _in_turn(
        self,
        move: Move,
        players: Players,
        slices: Sequence[Slice],
        hands: Sequence[Batch],
        engine: Engine,
        cost: Played,
        learn: Learned,
    ) -> Costs:
        """Micro-batch by micro-batch."""
        buffers = _Buffers(players)
        states: list[RandomState] = []
        calls: list[list[Tensor]] | None = None
        if id(move) in self.coupled:
            calls = _recorded(slices, hands, engine, cost, buffers, states)
        costs: list[Costs] = []
        for k, (one, piece) in enumerate(zip(slices, hands, strict=True)):
            exchange = _refuse if calls is None else _Replay(calls)
            if calls is not None:
                states[k].restore()
            buffers.reset()
            try:
                costs.append(_played(one, exchange, lambda piece=piece, one=one: learn(piece, one.weight)))  # type: ignore[misc]
            except Coupled:
                if calls is not None or k:
                    raise BadInput(f"move '{move.name}' compares items in some slices and not in others") from None
                self.coupled.add(id(move))
                buffers.reset()
                return self._in_turn(move, players, slices, hands, engine, cost, learn)
        return _added(slices, costs)


def _played(one: Slice, exchange: Exchange, play: Callable[[], Costs], at_once: bool = False) -> Costs:
    with playing(Playing(one, exchange, one.counts(), at_once)):
        return play()


def _added(slices: Sequence[Slice], costs: Sequence[Costs]) -> Costs:
    """The mean of costs and facts by the weights of the slices, as far as they are here."""
    weights = [one.weight for one in slices]

    def added(values: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
        return {
            name: torch.stack([w * wide(one[name].detach()) for w, one in zip(weights, values, strict=True)]).sum(0)
            for name in values[0]
        }

    return Costs(added(costs), added([one.facts for one in costs]))


def _refuse(x: Tensor, rows: Sequence[int]) -> list[Tensor]:
    raise Coupled


@dataclass
class _Record:
    """Notes what a slice tells, and gives it something of the right shape for what the others tell."""

    told: list[tuple[Tensor, Sequence[int]]] = field(default_factory=list)

    def __call__(self, x: Tensor, rows: Sequence[int]) -> list[Tensor]:
        self.told.append((x.clone(), rows))
        return [x[torch.arange(count, device=x.device) % len(x)] for count in rows]


@dataclass
class _Replay:
    """Gives what was noted of all slices, call by call."""

    calls: Sequence[list[Tensor]]
    next: int = 0

    def __call__(self, x: Tensor, rows: Sequence[int]) -> list[Tensor]:
        values = list(self.calls[self.next])
        self.next += 1
        return values


def _recorded(
    slices: Sequence[Slice],
    hands: Sequence[Batch],
    engine: Engine,
    cost: Played,
    buffers: _Buffers,
    states: list[RandomState],
) -> list[list[Tensor]]:
    """The first pass: for each call of a cost, what every slice of every process tells.

    Args:
        states: gets the random state with which each slice begins.
    """
    records = [_Record() for _ in slices]
    for one, piece, record in zip(slices, hands, records, strict=True):
        states.append(RandomState.of(engine.device))
        buffers.reset()
        _played(one, record, lambda piece=piece: cost(piece))  # type: ignore[misc]
    by_call = zip(*(record.told for record in records), strict=True)
    return [engine.gather([x for x, _ in told], told[0][1]) for told in by_call]


@dataclass(frozen=True)
class RandomState:
    """That of the generators from which dropout draws."""

    cpu: Tensor
    cuda: Tensor | None
    device: torch.device

    @classmethod
    def of(cls, device: torch.device) -> RandomState:
        """As it is now."""
        return cls(torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None, device)

    def restore(self) -> None:
        """As it was."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, self.device)


class _Buffers:
    """The buffers of all players as they were."""

    def __init__(self, players: Players) -> None:
        self.buffers = [buffer for player in players.values() for buffer in player.buffers()]
        self.before = [buffer.clone() for buffer in self.buffers]

    @torch.no_grad()
    def reset(self) -> None:
        """Sets them back."""
        for buffer, old in zip(self.buffers, self.before, strict=True):
            buffer.copy_(old)
