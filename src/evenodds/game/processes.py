"""The processes that play one game together: how they find one another, agree, and exchange tensors.

A launcher such as torchrun starts the same command several times and says to each, in the environment, which one it is.
Without a launcher there is one process, and all of this does nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

if dist.is_available():  # not in every build of torch
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]
    from torch.distributed.distributed_c10d import _set_pg_timeout
    from torch.distributed.rendezvous import rendezvous

from evenodds.errors import BadInput, Diverged, Lost
from evenodds.files.process import Process, current, from_tag, is_launched
from evenodds.files.read import parse_json

__all__ = [
    "Link", "agreed", "described", "digest_of", "follows", "from_first", "gather", "join", "joined", "leave",
    "local_rank", "own_device", "rank", "same_on_all", "share", "size", "total",
]  # fmt: skip

Value = TypeVar("Value")

MEETING = timedelta(minutes=5)
"""Time in which all processes must have started."""
FOREVER = timedelta(days=30)
"""Of a wait for others: what ends it is the watch over them, see evenodds.game.heartbeat."""
NOTICED = 3.0
"""Seconds in which all processes that are there notice that one is gone."""


@dataclass
class Link:
    """How this process reaches the others.

    Args:
        rank: which one it is.
        size: how many there are.
        store: what all of them can read and write.
    """

    rank: int
    size: int
    store: Any
    advice: str = "start the command again"
    """What to do when a process is lost."""
    state: str = "works"
    """What this process does: it "plays" a round, "waits" for others, or "works" at something else."""
    turn: int = 0
    """How often the state has changed."""
    fails: bool = False
    """Whether this process has found out that another is lost, and is about to say so and to end."""
    tells: bool = False
    """Whether it is this process that says why the game ends."""
    _processes: dict[int, Process] = field(default_factory=dict)

    def now(self, state: str) -> None:
        """Notes what this process does from here on."""
        self.state, self.turn = state, self.turn + 1

    def process(self, number: int) -> Process | None:
        """One of the others, by its number; None where that is not known."""
        if number not in self._processes:
            found = from_tag(self.store.get(f"process/{number}").decode())
            if found is None:
                return None
            self._processes[number] = found
        return self._processes[number]

    def ended(self) -> list[int]:
        """The numbers of those of the others that are known to run no more."""
        others = [number for number in range(self.size) if number != self.rank]
        return [number for number in others if (one := self.process(number)) and one.alive() is False]

    def first_to_tell(self, wait: float = 0.0) -> bool:
        """Whether it is this process that says why the game ends: the first that asks, and then always.

        The store is asked, and may be gone.

        Args:
            wait: seconds in which process 0 may ask first, where all may fail alike.
        """
        until = time.monotonic() + wait
        try:
            while self.rank and not self.tells and time.monotonic() < until and not self.store.check(["told"]):
                time.sleep(0.05)
            self.tells = self.tells or bool(self.store.add("told", 1) == 1)
        except RuntimeError:
            self.tells = self.tells or self.rank == min(1, self.size - 1)
        return self.tells


_link: Link | None = None


def join() -> Link | None:
    """Meets the other processes, once; None where there is no launcher.

    Raises:
        BadInput: this torch has no torch.distributed, or not all processes have started within five minutes.
    """
    global _link
    if _link is not None or not is_launched():
        return _link
    if not dist.is_available():
        raise BadInput("this build of torch has no torch.distributed; start one process, without torchrun")
    try:
        _link = _met()
    except RuntimeError as error:
        raise BadInput(
            f"process {os.environ['RANK']} of {os.environ['WORLD_SIZE']} (counted from 0) did not meet the others at "
            f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']} ({' '.join(str(error).split())[:200]}); start as "
            "many processes as the launcher was told, where they reach that address"
        ) from error
    return _link


def _met() -> Link:
    store, number, count = next(rendezvous("env://", timeout=MEETING))
    # What was started again finds what the processes before it have left in the store of torchrun.
    store = PrefixStore(f"evenodds/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
    if not dist.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
        group = PrefixStore("group", store)
        dist.init_process_group(backend, store=group, rank=number, world_size=count, timeout=MEETING)
        dist.all_reduce(torch.zeros(1))
        _set_pg_timeout(FOREVER)
    store.set(f"process/{number}", current().tag)
    return Link(number, count, store)


def leave() -> None:
    """Parts from the other processes."""
    global _link
    if _link is not None and dist.is_initialized():
        dist.destroy_process_group()
    _link = None


def joined() -> Link | None:
    """The link to the others; None of a process that plays alone."""
    return _link


def rank() -> int:
    """Which of the processes this is, from 0."""
    return 0 if _link is None else _link.rank


def size() -> int:
    """How many processes there are."""
    return 1 if _link is None else _link.size


def follows() -> bool:
    """Whether another process decides, writes and speaks: all but process 0 follow it."""
    return rank() > 0


def local_rank() -> int:
    """Which of the processes of this machine this is, from 0."""
    return int(os.environ.get("LOCAL_RANK", rank()))


def own_device(device: torch.device) -> torch.device:
    """The device of this process, where each of them has one of its own.

    Raises:
        BadInput: this machine has too few.
    """
    if size() == 1 or device.type == "cpu":
        return device
    if device.type != "cuda":
        raise BadInput(f"several processes play on CPUs or CUDA devices, got '{device}'; set device=cpu")
    if device.index is not None:
        raise BadInput(f"each process takes a CUDA device of its own, got '{device}'; set device=cuda")
    if local_rank() >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise BadInput(f"this machine has {count} CUDA devices; start at most as many, --nproc-per-node {count}")
    torch.cuda.set_device(local_rank())
    return torch.device("cuda", local_rank())


# Agreement ---------------------------------------------------------------------------------------------------------


def agreed(make: Callable[[], Value]) -> Value:
    """What process 0 makes, on all of them: plain JSON values. Where it raises BadInput or Diverged, all do.

    Example:
        >>> from evenodds.game.processes import agreed
        >>> agreed(lambda: {"images": 640})  # one process agrees with itself
        {'images': 640}
    """
    if _link is None or _link.size == 1:
        return make()
    if _link.rank:
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
    _collective(lambda: dist.broadcast(length, 0))
    data = torch.empty(int(length), dtype=torch.uint8)
    if content:
        data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    if len(data):
        _collective(lambda: dist.broadcast(data, 0))
    return data.numpy().tobytes()


def same_on_all(what: str, digest: str) -> None:
    """BadInput where a process has another digest than process 0; the message names the first such process."""
    if size() == 1:
        return
    mine = torch.frombuffer(bytearray(hashlib.sha256(digest.encode()).digest()), dtype=torch.uint8)
    first, *others = gather([mine[None]], [1] * size())
    for number, other in enumerate(others, 1):
        if not torch.equal(first, other):
            raise BadInput(f"{what} of process {number} differ from those of process 0")


# Tensors -----------------------------------------------------------------------------------------------------------


def total(values: Sequence[Tensor]) -> None:
    """Sums tensors over all processes in place, by one all_reduce for each device and type of number."""
    for alike in _by_kind(values):
        flat = torch.cat([value.reshape(-1) for value in alike])
        _collective(lambda flat=flat: dist.all_reduce(flat))  # type: ignore[misc]
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
    _collective(lambda: dist.all_gather(every, mine))
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
        _collective(lambda flat=flat: dist.broadcast(flat, 0))  # type: ignore[misc]
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


# Losses ------------------------------------------------------------------------------------------------------------


def _collective(call: Callable[[], object]) -> None:
    """Something that all processes do together; Lost where one of them is gone."""
    with _waiting():
        try:
            call()
        except RuntimeError as error:
            raise loss(" ".join(str(error).split())[:200]) from error


@contextmanager
def _waiting() -> Iterator[None]:
    before = "works" if _link is None else _link.state
    if _link is not None:
        _link.now("waits")
    yield
    if _link is not None:
        _link.now(before)


def loss(reason: str) -> Lost:
    """The error of a process that cannot reach the others: which of them is gone, as far as that is known."""
    link = _link
    if link is None:
        return Lost(reason)
    missing = _missing(link)
    link.fails = True
    message = described(missing) if missing else f"the connection between the processes broke ({reason})"
    return Lost(f"{message}; {link.advice}", told=not link.first_to_tell())


def described(missing: Sequence[int]) -> str:
    """Says that processes are gone."""
    numbers = ", ".join(map(str, missing))
    return f"process {numbers} of {size()} (counted from 0) has ended, perhaps killed or out of memory"


def _missing(link: Link) -> list[int]:
    """The numbers of the processes that are gone: those that do not run, or do not notice that one is missing."""
    others, until = [number for number in range(link.size) if number != link.rank], time.monotonic() + NOTICED
    try:
        link.store.set(f"noticed/{link.rank}", "1")
        while time.monotonic() < until:
            if ended := link.ended():
                return ended
            if link.store.check([f"noticed/{number}" for number in others]):
                return []
            time.sleep(0.1)
        return [number for number in others if not link.store.check([f"noticed/{number}"])]
    except RuntimeError:  # the store was kept by process 0
        return [0] if link.rank else []
