"""Batches before their turn: read, and brought to the device, while the batches before them are played."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from evenodds.data.items import Pending

__all__ = ["Ahead", "CudaLane", "Lane", "Sent"]

Parts = dict[str, Tensor]


class Sent(NamedTuple):
    """A batch on its way to a device."""

    parts: Parts
    arrived: Any
    """What the stream that computes has to wait for."""


class Lane(Protocol):
    """A way to a device on which batches travel while the device computes."""

    def send(self, parts: Parts) -> Sent:
        """Begins to copy a batch from the CPU."""
        ...

    def receive(self, sent: Sent) -> Parts:
        """The batch, safe to compute with."""
        ...


class CudaLane:
    """Pinned memory, and a stream for copies alone: they run beside the kernels that compute.

    Args:
        device: a CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self._stream = device, torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def send(self, parts: Parts) -> Sent:
        with torch.cuda.stream(self._stream):
            moved = {name: value.pin_memory().to(self.device, non_blocking=True) for name, value in parts.items()}
            event = self._stream.record_event()
        return Sent(moved, event)

    def receive(self, sent: Sent) -> Parts:
        stream = torch.cuda.current_stream(self.device)
        stream.wait_event(sent.arrived)
        for value in sent.parts.values():
            value.record_stream(stream)  # its memory is not given to the next copy before the kernels are done with it
        return sent.parts


class Ahead:
    """Batches by position, of which the next ones are begun as soon as one is asked for.

    A batch is the same whether it was begun before or not. What is ahead is dropped where another position is asked
    for.

    Args:
        begin: begins to read the batch at a position.
        step: positions from one batch to the next.
        depth: how many batches are begun before their turn; 0 for none.
        lane: to the device; None where batches stay on the CPU. The next batch is sent before its turn, if it is there.
    """

    def __init__(self, begin: Callable[[int], Pending], step: int, depth: int, lane: Lane | None = None) -> None:
        self._begin, self._step, self._depth, self._lane = begin, step, depth, lane
        self._pending: dict[int, Pending] = {}
        self._sent: dict[int, Sent] = {}

    def at(self, position: int) -> Parts:
        """The batch at a position, on the device."""
        next_ones = [position + k * self._step for k in range(1, self._depth + 1)]
        self._pending = {at: one for at, one in self._pending.items() if at in (position, *next_ones)}
        self._sent = {at: one for at, one in self._sent.items() if at in (position, *next_ones)}
        for at in (position, *next_ones):
            if at not in self._pending and at not in self._sent:
                self._pending[at] = self._begin(at)
        batch = self._taken(position)
        if self._lane is not None and next_ones:
            self._send_early(self._lane, next_ones[0])
        return batch

    def _taken(self, position: int) -> Parts:
        if self._lane is None:
            return self._pending.pop(position).result()
        sent = self._sent.pop(position, None)
        return self._lane.receive(sent or self._lane.send(self._pending.pop(position).result()))

    def _send_early(self, lane: Lane, position: int) -> None:
        """Sends a batch that is there; one that is still being read is not waited for."""
        if position in self._pending and self._pending[position].done():
            self._sent[position] = lane.send(self._pending.pop(position).result())
