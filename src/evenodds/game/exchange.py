"""What the processes of a game tell one another: values on which they agree, and tensors."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from evenodds.errors import BadInput, Diverged
from evenodds.files.read import parse_json
from evenodds.game.processes import collective, rank, size

__all__ = ["agreed", "differing", "digest_of", "drifted", "from_first", "gather", "same_on_all", "share", "total"]

Value = TypeVar("Value")


def agreed(make: Callable[[], Value]) -> Value:
    """What process 0 makes, on all of them: plain JSON values. Where it raises BadInput or Diverged, all do.

    Example:
        >>> from evenodds.game.exchange import agreed
        >>> agreed(lambda: {"images": 640})  # one process agrees with itself
        {'images': 640}
    """
    if size() == 1:
        return make()
    if rank():
        answer = _decoded(parse_json(_broadcast(b""), "what process 0 says"))
    else:
        try:
            answer = {"value": make()}
        except (BadInput, Diverged) as error:
            _broadcast(json.dumps({"error": str(error), "diverged": isinstance(error, Diverged)}).encode())
            raise
        _broadcast(json.dumps(_encoded(answer)).encode())
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


def _broadcast(content: bytes) -> bytes:
    """The bytes of process 0."""
    length = torch.tensor([len(content)])
    collective(lambda: dist.broadcast(length, 0))
    data = torch.empty(int(length), dtype=torch.uint8)
    if content:
        data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    if len(data):
        collective(lambda: dist.broadcast(data, 0))
    return data.numpy().tobytes()


def same_on_all(what: str, digest: str) -> None:
    """BadInput where a process has another digest than process 0; the message names the first such process."""
    if others := differing(digest):
        raise BadInput(f"{what} of process {others[0]} differ from those of process 0")


def differing(digest: str) -> list[int]:
    """The numbers of the processes that have another digest than process 0."""
    if size() == 1:
        return []
    mine = torch.frombuffer(bytearray(hashlib.sha256(digest.encode()).digest()), dtype=torch.uint8)
    first, *others = gather([mine[None]], [1] * size())
    return [number for number, other in enumerate(others, 1) if not torch.equal(first, other)]


# Tensors -----------------------------------------------------------------------------------------------------------


def total(values: Sequence[Tensor]) -> None:
    """Sums tensors over all processes in place, by one all_reduce for each device and type of number."""
    for alike in _by_kind(values):
        flat = torch.cat([value.reshape(-1) for value in alike])
        collective(lambda flat=flat: dist.all_reduce(flat))  # type: ignore[misc]
        _fill(alike, flat)


def gather(values: Sequence[Tensor], rows: Sequence[int]) -> list[Tensor]:
    """The slices of all processes, of which each has as many: process by process, in their order.

    Args:
        values: of this process, (rows, ...) each.
        rows: of each slice.
    """
    if size() == 1:
        return list(values)
    most = max(rows)
    mine = torch.stack([_padded(value, most) for value in values])
    every = [torch.empty_like(mine) for _ in range(size())]
    collective(lambda: dist.all_gather(every, mine))
    padded = [one for process in every for one in process]
    return [one[:count] for one, count in zip(padded, rows, strict=True)]


def _padded(value: Tensor, rows: int) -> Tensor:
    if len(value) == rows:
        return value
    return torch.cat([value, value.new_zeros(rows - len(value), *value.shape[1:])])


def from_first(values: Sequence[Tensor]) -> None:
    """Fills tensors with those of process 0, by one broadcast for each device and type of number."""
    for alike in _by_kind(values):
        flat = torch.cat([value.detach().reshape(-1) for value in alike])
        collective(lambda flat=flat: dist.broadcast(flat, 0))  # type: ignore[misc]
        _fill(alike, flat)


@torch.no_grad()
def share(players: Mapping[str, nn.Module]) -> None:
    """Gives all processes the parameters and buffers of process 0, and compares what they have then.

    Raises:
        BadInput: players have other shapes on another process, or were not handed over whole.
    """
    values = [value for name in sorted(players) for value in _values(players[name])]
    same_on_all("the players", str([(tuple(value.shape), str(value.dtype)) for value in values]))
    from_first(values)
    same_on_all("the weights", digest_of(values))


@torch.no_grad()
def drifted(players: Mapping[str, nn.Module]) -> list[int]:
    """The numbers of the processes whose players are no longer those of process 0; all have these again then."""
    values = [value for name in sorted(players) for value in _values(players[name])]
    others = differing(digest_of(values))
    if others:
        from_first(values)
    return others


def _values(player: nn.Module) -> Iterator[Tensor]:
    yield from (parameter.detach() for parameter in player.parameters())
    yield from player.buffers()


def digest_of(values: Iterable[Tensor]) -> str:
    """The SHA-256 of tensors, in their order."""
    digest = hashlib.sha256()
    for value in values:
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _by_kind(values: Sequence[Tensor]) -> list[list[Tensor]]:
    """Tensors by device and type, in the order of their first ones."""
    kinds: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for value in values:
        kinds.setdefault((value.device, value.dtype), []).append(value)
    return list(kinds.values())


@torch.no_grad()
def _fill(values: Sequence[Tensor], flat: Tensor) -> None:
    parts = torch.split(flat, [value.numel() for value in values])
    for value, part in zip(values, parts, strict=True):
        value.copy_(part.view(value.shape))
