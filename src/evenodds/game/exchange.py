"""What the processes of a game tell one another: values on which they agree, and tensors.

A process that plays alone agrees with itself, and imports no torch for that.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from evenodds.errors import BadInput, Diverged
from evenodds.files.read import parse_json
from evenodds.files.tensors import digest_of
from evenodds.game.processes import collective, rank, size

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

__all__ = [
    "agreed", "by_kind", "collected", "differing", "drifted", "fill", "fill_from", "gather", "handed",
    "held", "same_on_all", "share", "total",
]  # fmt: skip

Value = TypeVar("Value")


def agreed(make: Callable[[], Value], by: int = 0) -> Value:
    """What one process makes, on all of them: plain JSON values. Where it raises BadInput or Diverged, all do.

    Args:
        by: the number of the process.

    Example:
        >>> from evenodds.game.exchange import agreed
        >>> agreed(lambda: {"images": 640})  # one process agrees with itself
        {'images': 640}
    """
    if size() == 1:
        return make()
    if rank() != by:
        answer = _decoded(parse_json(_broadcast(b"", by), f"what process {by} says"))
    else:
        try:
            answer = {"value": make()}
        except (BadInput, Diverged) as error:
            _broadcast(json.dumps({"error": str(error), "diverged": isinstance(error, Diverged)}).encode(), by)
            raise
        _broadcast(json.dumps(_encoded(answer)).encode(), by)
    if "error" in answer:
        raise (Diverged if answer["diverged"] else BadInput)(answer["error"])
    value: Value = answer["value"]
    return value


def _encoded(value: Any) -> Any:
    """Plain values, with numbers that are not finite, which JSON has not, as texts in a mapping."""
    if isinstance(value, float) and not math.isfinite(value):
        return {NOT_FINITE: str(value)}
    if isinstance(value, Mapping):
        return {key: _encoded(one) for key, one in value.items()}
    return [_encoded(one) for one in value] if isinstance(value, list | tuple) else value


def _decoded(value: Any) -> Any:
    """What was encoded."""
    if isinstance(value, list):
        return [_decoded(one) for one in value]
    if not isinstance(value, dict):
        return value
    return float(value[NOT_FINITE]) if NOT_FINITE in value else {key: _decoded(one) for key, one in value.items()}


NOT_FINITE = "not finite"


def _broadcast(content: bytes, number: int) -> bytes:
    """The bytes of one process."""
    import torch
    import torch.distributed as dist

    length = torch.tensor([len(content)])
    collective(lambda: dist.broadcast(length, number))
    data = torch.empty(int(length), dtype=torch.uint8)
    if content:
        data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    if len(data):
        collective(lambda: dist.broadcast(data, number))
    return data.numpy().tobytes()


def collected(mine: Mapping[int, Value]) -> dict[int, Value]:
    """What the processes have by whole numbers, each by others: on all of them, in the order of the numbers.

    Args:
        mine: plain JSON values.
    """
    every = [agreed(lambda: [*mine.items()], number) for number in range(size())]
    return dict(sorted((item for one in every for item in one), key=lambda item: item[0]))


@contextmanager
def held(hold: Callable[[ExitStack], Path]) -> Iterator[Path]:
    """A folder that process 0 holds; the others know it and hold nothing.

    Args:
        hold: enters what holds the folder, and returns it.
    """
    with ExitStack() as stack:
        yield Path(agreed(lambda: str(hold(stack))))


def same_on_all(what: str, digest: str) -> None:
    """BadInput where a process has another digest than process 0; the message names the first such process."""
    if others := differing(digest):
        raise BadInput(f"{what} of process {others[0]} differ from those of process 0")


def differing(digest: str) -> list[int]:
    """The numbers of the processes that have another digest than process 0."""
    if size() == 1:
        return []
    import torch

    mine = torch.frombuffer(bytearray(hashlib.sha256(digest.encode()).digest()), dtype=torch.uint8)
    first, *others = gather([mine[None]], [1] * size())
    return [number for number, other in enumerate(others, 1) if not torch.equal(first, other)]


# Tensors -----------------------------------------------------------------------------------------------------------


def total(values: Sequence[Tensor]) -> None:
    """Sums tensors over all processes in place, by one all_reduce for each device and type of number."""
    import torch
    import torch.distributed as dist

    for alike in by_kind(values):
        flat = torch.cat([value.reshape(-1) for value in alike])
        collective(lambda flat=flat: dist.all_reduce(flat))  # type: ignore[misc]
        fill(alike, flat)


def gather(values: Sequence[Tensor], rows: Sequence[int]) -> list[Tensor]:
    """The slices of all processes, of which each has as many: process by process, in their order.

    Args:
        values: of this process, (rows, ...) each.
        rows: of each slice.
    """
    if size() == 1:
        return list(values)
    import torch
    import torch.distributed as dist

    most = max(rows)
    mine = torch.stack([_padded(value, most) for value in values])
    every = [torch.empty_like(mine) for _ in range(size())]
    collective(lambda: dist.all_gather(every, mine))
    padded = [one for process in every for one in process]
    return [one[:count] for one, count in zip(padded, rows, strict=True)]


def _padded(value: Tensor, rows: int) -> Tensor:
    if len(value) == rows:
        return value
    import torch

    return torch.cat([value, value.new_zeros(rows - len(value), *value.shape[1:])])


def fill_from(number: int, values: Sequence[Tensor]) -> None:
    """Fills tensors with those of one process, by one broadcast for each device and type of number."""
    import torch
    import torch.distributed as dist

    for alike in by_kind(values):
        flat = torch.cat([value.detach().reshape(-1) for value in alike])
        collective(lambda flat=flat: dist.broadcast(flat, number))  # type: ignore[misc]
        fill(alike, flat)


def handed(number: int, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of one process, by name, on devices of the same kind; what others name is not looked at."""
    if size() == 1:
        return dict(named)
    import torch

    def shapes() -> dict[str, list[Any]]:
        return {name: [x.device.type, str(x.dtype).removeprefix("torch."), *x.shape] for name, x in named.items()}

    told = agreed(shapes, number)
    if rank() != number:
        named = {n: torch.empty(s, dtype=getattr(torch, kind), device=at) for n, (at, kind, *s) in told.items()}
    fill_from(number, list(named.values()))
    return dict(named)


def share(players: Mapping[str, nn.Module]) -> None:
    """Gives all processes the parameters and buffers of process 0, and compares what they have then.

    Raises:
        BadInput: players have other shapes on another process, or were not handed over whole.
    """
    values = [value for name in sorted(players) for value in _values(players[name])]
    same_on_all("the players", str([(tuple(value.shape), str(value.dtype)) for value in values]))
    fill_from(0, values)
    same_on_all("the weights", digest_of(values))


def drifted(players: Mapping[str, nn.Module]) -> list[int]:
    """The numbers of the processes whose players are no longer those of process 0; all have these again then."""
    values = [value for name in sorted(players) for value in _values(players[name])]
    others = differing(digest_of(values))
    if others:
        fill_from(0, values)
    return others


def _values(player: nn.Module) -> Iterator[Tensor]:
    yield from (parameter.detach() for parameter in player.parameters())
    yield from player.buffers()


def by_kind(values: Sequence[Tensor]) -> list[list[Tensor]]:
    """Tensors by device and type, in the order of their first ones."""
    kinds: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for value in values:
        kinds.setdefault((value.device, value.dtype), []).append(value)
    return list(kinds.values())


def fill(values: Sequence[Tensor], flat: Tensor) -> None:
    """Fills tensors with the numbers (n,) that they have together."""
    import torch

    parts = torch.split(flat, [value.numel() for value in values])
    with torch.no_grad():
        for value, part in zip(values, parts, strict=True):
            value.copy_(part.view(value.shape))
