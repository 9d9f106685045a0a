"""Which process wrote something, and whether it still runs: machine, start of the system, number and time of start."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from evenodds.errors import BadInput

__all__ = [
    "LAUNCHED", "Process", "cores", "current", "from_tag", "host_name", "is_follower", "is_launched",
    "of_number", "require_whole_launch", "tag_pattern",
]  # fmt: skip

LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Variables by which launchers such as torchrun say to a process which one it is, and where the first one is found."""

_TAG = re.compile(r"([0-9a-f]{6})([0-9a-f]{6})([0-9a-f]{4})-(\d{1,10})-(\d{0,20})")
tag_pattern = _TAG.pattern
"""A regular expression for `Process.tag`."""


@dataclass(frozen=True)
class Process:
    """A process of any machine.

    Args:
        host: digest of the machine's name and its identity.
        boot: digest of the identity of the system's start; that of nothing where the system tells none.
        space: digest of the space in which process numbers count; containers of one machine have one each.
        pid: its number.
        started: its start in ticks of the system's clock; empty where the system does not tell it.
    """

    host: str
    boot: str
    space: str
    pid: int
    started: str

    @property
    def tag(self) -> str:
        """All of it as part of a file's name."""
        return f"{self.host}{self.boot}{self.space}-{self.pid}-{self.started}"

    def alive(self) -> bool | None:
        """Whether it still runs; None where this process cannot tell.

        A process of this machine from before its latest start is dead. One whose number is counted in the same space
        is alive where a process of that number and that start exists and is no zombie. Of processes of other machines
        and of other containers nothing is known.
        """
        here = current()
        if self.host != here.host:
            return None
        if self.boot != here.boot:
            return False
        return _runs(self.pid, self.started) if self.space == here.space else None


def current() -> Process:
    """This process."""
    return _described(os.getpid())


def of_number(pid: int) -> Process:
    """The process of this machine that has that number now."""
    return _described.__wrapped__(pid)  # numbers are given again, so that it is looked up each time


def from_tag(tag: str) -> Process | None:
    """The process of a tag; None of a text that is none."""
    parts = _TAG.fullmatch(tag)
    return None if parts is None else Process(parts[1], parts[2], parts[3], int(parts[4]), parts[5])


def is_launched() -> bool:
    """Whether a launcher started this process beside others; torchrun may start one alone."""
    numbers = [os.environ.get(name, "") for name in LAUNCHED[:2]]
    if not all(os.environ.get(name) for name in LAUNCHED) or not all(map(str.isdecimal, numbers)):
        return False
    return int(numbers[1]) > 1 or "TORCHELASTIC_RUN_ID" in os.environ


def require_whole_launch() -> None:
    """BadInput where a launcher has started several processes, and has not said to them all that they need to meet."""
    count, number = (os.environ.get(name, "") for name in ("WORLD_SIZE", "RANK"))
    if not count.isdecimal() or int(count) < 2:
        return
    missing = [name for name in LAUNCHED if not os.environ.get(name)]
    if missing:
        raise BadInput(
            f"WORLD_SIZE={count} says that several processes play together, but {', '.join(missing)} is not set; start "
            "them by torchrun, which sets all of it, or unset WORLD_SIZE"
        )
    if not number.isdecimal() or int(number) >= int(count):
        raise BadInput(f"RANK counts {count} processes from 0, got '{number}'; start them by torchrun, which sets it")


def is_follower() -> bool:
    """Whether a launcher started this process beside a first one, which decides, writes and speaks."""
    return is_launched() and 0 < int(os.environ["RANK"]) < int(os.environ["WORLD_SIZE"])


def cores() -> list[int]:
    """The numbers of the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def host_name() -> str:
    """The name of this machine in plain characters."""
    return re.sub(r"[^A-Za-z0-9.-]", "-", platform.node())[:64] or "this-machine"


@cache
def _described(pid: int) -> Process:
    host = f"{platform.node()} {_content(Path('/etc/machine-id'))}"
    boot = _content(Path("/proc/sys/kernel/random/boot_id"))
    return Process(_digest(host, 6), _digest(boot, 6), _digest(_space(), 4), pid, (_state(pid) or ("", ""))[1])


def _space() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:length]


def _state(pid: int) -> tuple[str, str] | None:
    """The letter of the state of a process and its start, as Linux tells them; None elsewhere, or where there is none.

    Source: proc_pid_stat(5). The name, in parentheses, may hold anything; fields are counted behind it.
    """
    fields = _content(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return (fields[0], fields[19]) if len(fields) > 19 else None


def _runs(pid: int, started: str) -> bool:
    if not _exists(pid):
        return False
    state = _state(pid)
    return state is None or (state[0] not in "ZX" and started in ("", state[1]))


if sys.platform == "win32":

    def _exists(pid: int) -> bool:
        """Whether a process of that number runs: os.kill would end it here."""
        import ctypes

        kernel, code = ctypes.windll.kernel32, ctypes.c_ulong()
        handle = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
        if not handle:
            return False
        kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        kernel.CloseHandle(handle)
        return code.value == 259  # STILL_ACTIVE

else:

    def _exists(pid: int) -> bool:
        """Whether a process of that number is listed."""
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            return True
        return True
