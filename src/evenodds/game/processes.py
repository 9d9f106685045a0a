"""The processes that play one game together: how they find one another, and what becomes of one that is lost.

A launcher such as torchrun starts the same command several times and says to each, in the environment, which one it is.
Without a launcher there is one process, and all of this does nothing; torch is not imported then.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

from evenodds.errors import BadInput, Lost
from evenodds.files.process import Process, current, from_tag, is_launched, require_whole_launch

__all__ = [
    "Link", "collective", "described", "follows", "join", "joined", "leave", "local_rank", "own_device", "rank", "size",
]  # fmt: skip

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
        BadInput: this torch has no torch.distributed, the launcher has not said all, or not all processes have started
            within five minutes.
    """
    global _link
    require_whole_launch()
    if _link is not None or not is_launched():
        return _link
    import torch.distributed as dist

    if not dist.is_available():  # not in every build of torch
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
    import torch
    import torch.distributed as dist
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]
    from torch.distributed.distributed_c10d import _set_pg_timeout
    from torch.distributed.rendezvous import rendezvous

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
    if _link is None:
        return
    import torch.distributed as dist

    if dist.is_initialized():
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
    import torch

    if device.type != "cuda":
        raise BadInput(f"several processes play on CPUs or CUDA devices, got '{device}'; set device=cpu")
    if device.index is not None:
        raise BadInput(f"each process takes a CUDA device of its own, got '{device}'; set device=cuda")
    if local_rank() >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise BadInput(f"this machine has {count} CUDA devices; start at most as many, --nproc-per-node {count}")
    torch.cuda.set_device(local_rank())
    return torch.device("cuda", local_rank())


# Losses ------------------------------------------------------------------------------------------------------------


def collective(call: Callable[[], object]) -> None:
    """Something that all processes do together; Lost where one of them is gone."""
    with waiting():
        try:
            call()
        except RuntimeError as error:
            raise loss(" ".join(str(error).split())[:200]) from error


@contextmanager
def waiting() -> Iterator[None]:
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
