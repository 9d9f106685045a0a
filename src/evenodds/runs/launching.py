"""Runs as processes of their own: started, asked to end, found again by who comes later, put in the bin."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from evenodds.errors import BadInput
from evenodds.files.lock import NAME, holder_of, locked
from evenodds.files.names import below, safe_name
from evenodds.files.process import Process, of_number
from evenodds.files.read import read_json
from evenodds.files.write import write_json

__all__ = ["BIN", "HOME", "Launched", "discard", "launch", "launched", "new_folder", "stop"]

HOME = ".studio"
"""The folder beside the runs that holds what was started from there, and what it said."""
BIN = ".trash"
"""The folder beside the runs to which discarded runs go."""
PROGRESS = "1"
"""Seconds between two lines in which a process says how far it is."""
LINES = 40
"""Lines of what a process said that are shown."""
_SAID = 16 * 1024
"""Bytes from the end of a log that are looked at."""
_children: dict[int, subprocess.Popen[bytes]] = {}
_ENDED = re.compile(r"^.*\bended by SIGTERM$")
"""The line of a command that was asked to end."""
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Launched:
    """A process that was started for a run.

    Args:
        process: its number and start.
        folder: of the run.
        command: its words after `evenodds`.
        log: the file of what it says.
        since: seconds since 1970.
        stopped: whether `stop` asked it to end.
    """

    process: Process
    folder: str
    command: tuple[str, ...]
    log: str
    since: float
    stopped: bool = False

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        _reap(self.process.pid)
        return self.process.alive() is not False

    def said(self) -> list[str]:
        """The last lines that it said, without what moves the cursor."""
        try:
            with open(self.log, "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _SAID))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return []
        lines = [_CONTROL.sub("", line.rpartition("\r")[2]).rstrip() for line in text.replace("\r\n", "\n").split("\n")]
        if self.stopped:
            lines = [_ENDED.sub("stopped by the user; what is done stays", line) for line in lines]
        return [line for line in lines if line][-LINES:]


def launch(words: Sequence[str], folder: Path, base: Path, environment: Mapping[str, str] | None = None) -> Launched:
    """Starts `evenodds WORDS` as a process in a session of its own, which outlives this one.

    Args:
        folder: of the run that it is about.
        base: of the runs; the record and the log are in its folder `HOME`.
        environment: variables beside those of this process.
    """
    home = base / HOME
    home.mkdir(parents=True, exist_ok=True)
    name = f"{safe_name(folder.name)[:80]}-{words[0]}-{time.time_ns()}"
    log = below(home, f"{name}.log")
    with log.open("xb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "evenodds", *words],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "EVENODDS_PROGRESS": PROGRESS, **(environment or {})},
        )
    _children[child.pid] = child
    one = Launched(of_number(child.pid), str(folder), tuple(words), str(log), round(time.time(), 3))
    write_json(below(home, f"{name}.json"), asdict(one))
    return one


def launched(base: Path) -> list[Launched]:
    """What was started below a folder, the latest first; records that cannot be read are passed over."""
    found = []
    for path in sorted((base / HOME).glob("*.json")):
        with suppress(BadInput, OSError):
            one = read_json(path, Launched)
            found.append(replace(one, log=str(path.with_suffix(".log"))))
    return sorted(found, key=lambda one: -one.since)


def stop(folder: Path, base: Path) -> None:
    """Asks the process that works on a run to end, as Ctrl-C does: the round is finished, and a checkpoint written.

    Raises:
        BadInput: no process of this machine works on it.
    """
    holder = holder_of(folder)
    mine = [one for one in launched(base) if Path(one.folder) == folder]
    candidates = [holder.process] if holder is not None else []
    alive = [process for process in (*candidates, *(one.process for one in mine)) if process.alive()]
    if not alive:
        raise BadInput(f"no process of this machine works on {folder.name}; there is nothing to stop")
    for one in mine:
        if one.process == alive[0]:
            write_json(Path(one.log).with_suffix(".json"), asdict(replace(one, stopped=True)))
    os.kill(alive[0].pid, signal.SIGTERM)  # SIGINT may be ignored in processes that were started in the background


def new_folder(base: Path, name: str, started: Iterable[Launched]) -> Path:
    """The first of base/name-1, base/name-2, ... that is not there and that none of the processes was started for."""
    name, taken = safe_name(name), {one.folder for one in started}
    folders = (base / f"{name}-{number}" for number in range(1, 10**6))
    return next(folder for folder in folders if str(folder) not in taken and not os.path.lexists(folder))


def discard(folder: Path, base: Path) -> Path:
    """Moves a run to the bin beside the runs; returns where it is now. To have it back, move it back.

    Raises:
        BadInput: a process works on it, or the folder is a link.
    """
    if folder.is_symlink():
        raise BadInput(f"{folder} is a link; remove it yourself")
    place = base / BIN / f"{safe_name(folder.name)}-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**6:06d}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder, "discard"):
        folder.rename(place)
        (place / NAME).unlink(missing_ok=True)
    for one in launched(base):
        if one.folder == str(folder):
            for path in (Path(one.log), Path(one.log).with_suffix(".json")):
                path.unlink(missing_ok=True)
    return place


def _reap(pid: int) -> None:
    """Takes note of the end of a child, which is a zombie until then; nothing of other processes."""
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        del _children[pid]
