"""One writer for each folder: a lock that ends with its process, and that says who holds it.

A folder is taken by a lock file in it, or beside it where the folder itself is to be replaced. The file holds who took
it: machine, process, since when, by which command. Readers need no lock.

Who holds a folder is decided in this order:

1. The operating system's lock on the file (flock; on Windows a locked byte). The system gives it up when the process
   ends, however it ends, so the file of a killed process is in nobody's way.
2. File systems that have no such lock, or share it with no other machine, as some network disks: what the file says.
   A process of this machine holds the folder while it runs. A process of another machine, or of another container,
   holds it while it is heard from: it touches the file every `BEAT` seconds, and counts as gone after `LATE` seconds
   without a touch, by the clock of the file system. It notices when another has taken its place, see `Lock.lost`.

A thread may take a folder again that it holds, as a command does around the function that it calls. The file is removed
when the folder is given back.

The package filelock (4.3), which torch brings, could replace only the calls of the operating system: it leaves its file
behind where flock is used, needs a second file for the holder on Windows, where it locks the first byte, and takes its
substitute for file systems without locks at the error ENOSYS alone, not at ENOLCK or EOPNOTSUPP of network disks. That
substitute counts another machine as gone only for a process that has itself waited as long.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from evenodds.errors import BadInput
from evenodds.files.names import real
from evenodds.files.process import Process, current
from evenodds.files.process import host_name as this_host
from evenodds.files.read import as_type, parse_json
from evenodds.files.write import is_temporary, temporary_name

__all__ = ["BEAT", "LATE", "NAME", "Busy", "Lock", "holder_of", "lock_on", "locked", "locked_beside", "unused"]

NAME = ".evenodds.lock"
"""The lock file in a folder that is held."""
BEAT = 20.0
"""Seconds from one touch of the file to the next."""
LATE = 300.0
"""Seconds without a touch after which a process of another machine counts as gone."""

_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
_PLAIN = re.compile(r"[\w .:-]{1,64}", re.ASCII)
_table: dict[Path, Lock] = {}
_guard = threading.RLock()


class Busy(BadInput):
    """The folder is held by another process, or by another thread of this one."""


@dataclass(frozen=True)
class Holder:
    """Who took a folder: a process, the name of its machine, its command, and since when (seconds since 1970)."""

    process: Process
    name: str
    command: str
    since: float

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"`evenodds {self.command}` (process {self.process.pid} on {self.name}, since {since})"


@dataclass
class Lock:
    """A folder that this process holds.

    Args:
        path: the lock file.
        file: its descriptor, which carries the lock of the operating system.
        holder: as written in it.
        thread: that may take it again.
    """

    path: Path
    file: int
    holder: Holder
    thread: int = field(default_factory=threading.get_ident)
    depth: int = 1
    lost: bool = False
    """Whether another process has taken the folder, as this one was not heard from for too long."""
    _ended: threading.Event = field(default_factory=threading.Event)

    def beat(self) -> None:
        """Touches the file until the lock is given back or lost."""
        while not self._ended.wait(BEAT):
            if _read(self.path) != self.holder:
                self.lost = True
                return
            with suppress(OSError):
                os.utime(self.path)

    def end(self) -> None:
        """Gives the folder back."""
        self._ended.set()
        if _read(self.path) == self.holder:
            _remove(self.path, self.file)
        os.close(self.file)


@contextmanager
def locked(folder: Path, command: str, *, new: bool = False, wait: float = 0.0, hint: str = "") -> Iterator[Lock]:
    """Holds a folder while it is written to. It is made where it is not there, and removed again where it stays empty.

    Args:
        command: what holds it, for those who come later, e.g. "train".
        new: whether the folder must not be there yet.
        wait: seconds for which another holder is waited for.
        hint: what else to do, for the error.

    Raises:
        Busy: another holds it; the message says who.
        BadInput: it is a file.
        FileExistsError: it is there and should be new.
    """
    if folder.exists() and not folder.is_dir() and not new:
        raise BadInput(f"a folder is needed, got the file {folder}; give another name")
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=not new)
    try:
        with _acquired(folder / NAME, folder, command, wait, hint) as lock:
            yield lock
    finally:
        _remove_empty(missing)


@contextmanager
def locked_beside(path: Path, command: str, *, wait: float = 0.0, hint: str = "") -> Iterator[Lock]:
    """Holds a file or folder that is to be replaced as a whole, by a lock file beside it; see `locked`."""
    missing = [place for place in path.absolute().parents if not place.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _acquired(path.with_name(f".{path.name[:60]}.lock"), path, command, wait, hint) as lock:
            yield lock
    finally:
        _remove_empty(missing)


def lock_on(folder: Path) -> Lock | None:
    """The lock by which this process holds a folder; None where it does not."""
    return _table.get(_key(folder / NAME))


def holder_of(folder: Path) -> Holder | None:
    """Who is written in the lock file of a folder; a process that was killed may still be."""
    return _read(folder / NAME)


def unused(folder: Path) -> bool:
    """Whether a folder is not there or holds nothing but lock files and temporary files of this package."""
    try:
        return all(name.startswith(NAME) or is_temporary(name) for name in os.listdir(folder))
    except FileNotFoundError:
        return True
    except NotADirectoryError:
        return False


# --- taking ----------------------------------------------------------------------------------------------------------


@contextmanager
def _acquired(path: Path, subject: Path, command: str, wait: float, hint: str) -> Iterator[Lock]:
    deadline = time.monotonic() + wait
    while (lock := _take(path, command)) is None or isinstance(lock, Holder):
        if time.monotonic() >= deadline:
            raise Busy(f"{subject} is in use by {lock or 'another process'}; wait until it ends{hint}")
        time.sleep(0.05)
    try:
        yield lock
    finally:
        _give_back(lock)


def _take(path: Path, command: str) -> Lock | Holder | None:
    """The lock, now this thread's; or who holds it, None where that is not known."""
    with _guard:
        mine = _table.get(_key(path))
        if mine is not None:
            if mine.thread != threading.get_ident():
                return mine.holder
            mine.depth += 1
            return mine
        holder = Holder(current(), this_host(), command, round(time.time(), 3))
        opened = _opened(path, holder)
        if not isinstance(opened, int):
            return opened
        lock = Lock(path, opened, holder)
        _table[_key(path)] = lock
        threading.Thread(target=lock.beat, name="evenodds-lock", daemon=True).start()
        return lock


def _give_back(lock: Lock) -> None:
    with _guard:
        lock.depth -= 1
        if lock.depth == 0:
            _table.pop(_key(lock.path), None)
            lock.end()


def _opened(path: Path, holder: Holder) -> int | Holder | None:
    """The descriptor of the lock file, locked and written; or who holds it."""
    while True:
        file = _open(path)
        locked = _lock(file)
        if locked is not False and not _is_at(file, path):  # its holder removed it meanwhile
            os.close(file)
            continue
        other = _read(path) if locked is False else _entered(path, file, holder, locked is True)
        if locked is False or other is not None:
            os.close(file)
            return other
        return file


def _entered(path: Path, file: int, holder: Holder, locked: bool) -> Holder | None:
    """Writes the holder into the file; or returns who holds the folder though this process got the system's lock."""
    with nullcontext() if locked else _gate(path):
        other = _read(path)
        if other is not None and _holds(other, path, locked):
            return other
        _write(file, holder)
        return None


@contextmanager
def _gate(path: Path) -> Iterator[None]:
    """One process at a time, for a moment, where the file system has no locks: making a folder succeeds once."""
    gate = path.with_name(f"{path.name}.gate")
    while True:
        try:
            gate.mkdir()
            break
        except FileExistsError:
            with suppress(FileNotFoundError):
                if _age(gate) > 10.0:  # of a killed process
                    gate.rmdir()
            time.sleep(0.05)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            gate.rmdir()


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    for _ in range(100):
        try:
            file = os.open(path, flags, 0o644)
        except FileNotFoundError:  # another process has just removed the folder that it made
            path.parent.mkdir(parents=True, exist_ok=True)
            continue
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
                raise BadInput(f"{path} is no lock file of evenodds; remove it") from error
            if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
                remedy = "name a folder, or a copy of it, in which you may write"
                raise BadInput(f"nothing can be written to {path.parent}; {remedy}") from error
            raise
        if stat.S_ISREG(os.fstat(file).st_mode):
            return file
        os.close(file)
        raise BadInput(f"{path} is no lock file of evenodds; remove it")
    raise BadInput(f"{path.parent} is removed again and again by another process; wait until it ends")


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except OSError:
        return False


def _holds(holder: Holder, path: Path, locked: bool) -> bool:
    """Whether who is written in the file still holds the folder, though this process got the system's lock on it.

    Args:
        locked: False where the file system has no such lock.
    """
    alive = holder.process.alive()
    if alive is None:
        return _age(path) < LATE
    return alive and not locked


def _age(path: Path) -> float:
    """Seconds since the last touch, by the clock of the file system; a touch in the future is as old as it is ahead."""
    probe = temporary_name(path)
    try:
        probe.touch()
        return abs(probe.stat().st_mtime - path.stat().st_mtime)
    finally:
        probe.unlink(missing_ok=True)


def _key(path: Path) -> Path:
    return real(path.parent) / path.name


def _remove_empty(folders: list[Path]) -> None:
    """Removes folders, the innermost first, as long as they are empty."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


# --- the file --------------------------------------------------------------------------------------------------------


def _write(file: int, holder: Holder) -> None:
    os.ftruncate(file, 0)
    os.lseek(file, 0, os.SEEK_SET)
    os.write(file, json.dumps(asdict(holder)).encode())


def _read(path: Path) -> Holder | None:
    """Who is written in a lock file; None where it holds nothing of that form."""
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        try:
            holder = as_type(parse_json(os.read(file, 4096), str(path)), Holder, str(path))
        finally:
            os.close(file)
    except (OSError, ValueError):
        return None
    return holder if _is_plausible(holder) else None


def _is_plausible(holder: Holder) -> bool:
    """Whether its texts are plain and its numbers are those of a process and of a time."""
    process = holder.process
    texts = (process.host, process.boot, process.space, holder.name, holder.command)
    return all(map(_PLAIN.fullmatch, texts)) and 0 < process.pid < 2**31 and 0 <= holder.since < 2**40


# --- the operating system --------------------------------------------------------------------------------------------

if sys.platform == "win32":
    import msvcrt

    _BYTE = 1 << 20  # Far behind the content, which others must be able to read.

    def _lock(file: int) -> bool | None:
        """Whether the file is locked now; None where the file system has no locks."""
        os.lseek(file, _BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            return None if error.errno in _UNSUPPORTED else False
        return True

    def _remove(path: Path, file: int) -> None:
        """Empties and removes the lock file; one that others have open stays, empty."""
        os.ftruncate(file, 0)
        with suppress(OSError):
            path.unlink()

else:
    import fcntl

    def _lock(file: int) -> bool | None:
        """Whether the file is locked now; None where the file system has no locks."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return None if error.errno in _UNSUPPORTED else False
        return True

    def _remove(path: Path, file: int) -> None:
        """Removes the lock file while it is locked."""
        with suppress(OSError):
            path.unlink()

    def _forget() -> None:
        """A child process holds nothing, and keeps no lock alive after its parent's end."""
        global _guard
        _guard = threading.RLock()
        for lock in _table.values():
            os.close(lock.file)
        _table.clear()

    os.register_at_fork(after_in_child=_forget)
