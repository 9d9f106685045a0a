"""A batch that is played in slices: by several processes, or micro-batch by micro-batch, with the cost of the whole.

The cost of a batch is the mean over its slices, each weighed by its items. For means over items that is all. A cost
that compares items of the batch, such as a mean logit or a rank, asks for the values of all slices: `whole` and
`summed`. Each slice then computes the same cost of all values, of which only its own have a slope. Their sum is the
slope of the whole batch. Outside of slices these functions change nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.rules import Batch

__all__ = [
    "Exchange", "Playing", "Slice", "addend", "average", "items_of", "items_of_all", "means_of_all", "own", "own_rows",
    "parted", "playing", "playing_now", "pooled", "portion", "summed", "whole",
]  # fmt: skip

Exchange = Callable[[Tensor, Sequence[int]], list[Tensor]]
"""(values of this slice, the number of rows that each slice has) -> the values of each slice, without slopes."""


@dataclass(frozen=True)
class Slice:
    """Every `of`-th item of a batch, from item `number` on, so that the first items of a batch are spread over all.

    Args:
        number: of the slice, from 0.
        of: how many slices there are.
        items: of the whole batch; at least one for each slice.
    """

    number: int
    of: int
    items: int

    def __post_init__(self) -> None:
        if self.items < self.of:
            raise BadInput(f"a batch of {self.items} has no item for each of {self.of} slices; set batch={self.of}")

    def counts(self, first: int | None = None) -> tuple[int, ...]:
        """The items of each slice; of those alone that are among the `first` of the batch."""
        items = self.items if first is None else first
        return tuple(len(range(number, items, self.of)) for number in range(self.of))

    @property
    def weight(self) -> float:
        """The share of the batch."""
        return self.counts()[self.number] / self.items

    def taken(self, hand: Batch) -> dict[str, Tensor]:
        """The slice of a hand."""
        places = slice(self.number, None, self.of)
        return {name: value.contiguous() for name, value in portion(hand, places).items()}


def own_rows(items: int, rank: int, size: int, accumulate: int) -> Tensor:
    """(m,) int64: the rows of a batch that a process plays, in all of its slices.

    Example:
        >>> own_rows(8, rank=1, size=2, accumulate=1).tolist()
        [1, 3, 5, 7]
    """
    rows = torch.arange(items)
    return rows[rows % (size * accumulate) // accumulate == rank]


@dataclass(frozen=True)
class Playing:
    """What is being played: a slice of a batch, or a part of it.

    Args:
        slice: of the batch.
        exchange: gives the values of other slices.
        counts: the items of each slice that are played; fewer than the slice has within `parted`.
        at_once: whether all slices are played at the same time, each by a process.
    """

    slice: Slice
    exchange: Exchange
    counts: tuple[int, ...]
    at_once: bool = True

    @property
    def correction(self) -> float:
        """What turns the weight of the slice into that of the part of it that is played."""
        return self.counts[self.slice.number] / sum(self.counts) / self.slice.weight

    def joined(self, x: Tensor, rows: Sequence[int]) -> Tensor:
        """The rows of all slices; the slope of one's own is divided by the weight that the cost will get."""
        values = self.exchange(x.detach(), rows)
        values[self.slice.number] = _scaled(x, 1 / self.slice.weight) if x.requires_grad else x
        return torch.cat(values)


_now: ContextVar[Playing | None] = ContextVar("playing", default=None)
_guard = threading.Lock()
_slices = 0
"""How many slices are being played, by all threads. Compilers cannot trace a ContextVar, but a number that is 0."""


def playing_now() -> Playing | None:
    """The slice that is being played; None of a whole batch."""
    return _now.get() if _slices else None


@contextmanager
def playing(now: Playing) -> Iterator[None]:
    """A slice is played inside."""
    global _slices
    token = _now.set(now)
    with _guard:
        _slices += 1
    try:
        yield
    finally:
        _now.reset(token)
        with _guard:
            _slices -= 1


def whole(x: Tensor) -> Tensor:
    """The values of all items of the batch, slice by slice, where x (n, ...) has those of the items played here.

    Only what every slice computes alike may follow: no row of the result may meet a value of this slice alone.

    Args:
        x: (n, ...), or (k n, ...) with k rows for each item.

    Returns:
        (N, ...), or (k N, ...). The slope reaches the rows of x alone.

    Example:
        >>> import torch
        >>> from evenodds.game.slices import whole
        >>> whole(torch.tensor([1.0, 2.0]))  # nothing is sliced here
        tensor([1., 2.])
    """
    now = playing_now()
    if now is None:
        return x
    each = len(x) // now.counts[now.slice.number]
    return now.joined(x, [each * count for count in now.counts])


def own(x: Tensor) -> Tensor:
    """The rows (n, ...) of the items played here of x (N, ...), whose rows are in the order of `whole`."""
    now = playing_now()
    if now is None:
        return x
    first = sum(now.counts[: now.slice.number])
    return x[first : first + now.counts[now.slice.number]]


def summed(x: Tensor) -> Tensor:
    """The sum over all slices of x, whose shape is the same in each; see `whole` on what may follow."""
    now = playing_now()
    return x if now is None else now.joined(x[None], [1] * now.slice.of).sum(0)


def addend(x: Tensor) -> Tensor:
    """A sum over the items played here, so that its mean over slices by their weights is the sum over all items."""
    now = playing_now()
    return x if now is None else x / now.slice.weight


def pooled(x: Tensor, rows: int) -> tuple[Tensor, int]:
    """The sum over all slices of x, whose slope goes back to all of them, and the rows that it is of.

    For statistics of a batch that become part of every item, as in batch norm. They need all slices at once, and
    cannot be differentiated twice.

    Args:
        x: of the same shape in each slice.
        rows: of this slice that x is the sum of, k for each item.

    Raises:
        BadInput: micro-batches follow each other, or, in the backward pass, a penalty differentiates it.
    """
    now = playing_now()
    if now is None:
        return x, rows
    if not now.at_once:
        raise BadInput(
            "micro-batches cannot share the statistics of a batch (batch norm, minibatch_std); set accumulate=1, or "
            "networks without them"
        )
    return _pooled(x, now), rows // now.counts[now.slice.number] * sum(now.counts)


def average(x: Tensor) -> Tensor:
    """The mean of x (n, ...), whose mean over slices by their weights is that over all items that are played."""
    now = playing_now()
    return x.mean() if now is None or now.correction == 1 else now.correction * x.mean()


def means_of_all(*values: Tensor) -> list[Tensor]:
    """The mean of each x (n, ...) over all items that are played, without slopes; of a micro-batch, over its own."""
    now, means = playing_now(), [x.detach().mean() for x in values]
    if now is None or not now.at_once:  # to exchange them would be to play every micro-batch twice
        return means
    return list(summed(now.slice.weight * now.correction * torch.stack(means)).unbind())


def items_of(hand: Batch) -> int:
    """The items of a hand: the length of "x", or of the first entry where there is none."""
    return len(hand["x"] if "x" in hand else next(iter(hand.values())))


def items_of_all(hand: Batch) -> int:
    """The items of the whole batch that a hand is of."""
    now = playing_now()
    return items_of(hand) if now is None else sum(now.counts)


def portion(hand: Batch, places: slice) -> dict[str, Tensor]:
    """Some items of a hand.

    An entry has a row for each item along dimension 0; or k of them, row k of item n at place k N + n; or, named
    "view", the rows of reals and of fakes, (2, N, ...). Rows of something else are counted by themselves.
    """
    items = items_of(hand)
    return {name: _portion(name, value, places, items) for name, value in hand.items()}


def _portion(name: str, value: Tensor, places: slice, items: int) -> Tensor:
    if name.split("/")[-1] == "view":
        return value[:, places]
    if len(value) > items and len(value) % items == 0:
        return value.view(-1, items, *value.shape[1:])[:, places].flatten(0, 1)
    return value[places]


@contextmanager
def parted(hand: Batch, count: int, first: bool) -> Iterator[dict[str, Tensor]]:
    """The first `count` items of the whole batch are played inside, or the others: those of them that are in the hand.

    Args:
        hand: all items that are played here.
        count: fewer than the batch has.
        first: whether the first ones, or the others.
    """
    now = playing_now()
    here = count if now is None else now.slice.counts(count)[now.slice.number]
    part = portion(hand, slice(0, here) if first else slice(here, None))
    if now is None:
        yield part
        return
    before = now.slice.counts(count)
    counts = before if first else tuple(a - b for a, b in zip(now.counts, before, strict=True))
    if not min(counts):
        raise BadInput(
            f"penalty_share splits a batch of {now.slice.items} in {count} and {now.slice.items - count} items, which "
            f"is too few for {now.slice.of} slices; set penalty_share=1, a larger batch or fewer processes"
        )
    with playing(replace(now, counts=counts)):
        yield part


class _Scaled(torch.autograd.Function):
    """The identity, whose slope is multiplied by a number."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.factor, None


class _Pooled(torch.autograd.Function):
    """The sum over all slices, forward and backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, now: Playing) -> Tensor:
        ctx.now = now
        return _total(x, now)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        if torch.is_grad_enabled():
            raise BadInput(
                "a penalty cannot be differentiated through statistics of a batch that processes share (batch norm, "
                "minibatch_std); set penalty=none, a discriminator without them, or play on one process"
            )
        return _total(gradients[0].contiguous(), ctx.now), None


def _total(x: Tensor, now: Playing) -> Tensor:
    return torch.cat(now.exchange(x[None], [1] * now.slice.of)).sum(0)


# PyTorch leaves `apply` untyped.
_scaled: Callable[[Tensor, float], Tensor] = _Scaled.apply
_pooled: Callable[[Tensor, Playing], Tensor] = _Pooled.apply
