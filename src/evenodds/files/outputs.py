"""What a command writes for the user: a record beside the files tells which are its own, and no others are replaced.

The record is a file of JSON lines, `.evenodds.jsonl`, in the folder of the outputs. A line holds the name of a file,
the command that wrote it, its size and its SHA-256. It is written before the file takes its place, so that a command
that is killed leaves no file without a line. A file whose digest is in none of its lines was changed since: it is the
user's.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import Enum
from functools import cached_property
from itertools import count
from pathlib import Path

from evenodds.errors import BadInput
from evenodds.files.names import below, is_link, require_no_way_out
from evenodds.files.read import read_json_lines
from evenodds.files.regular import sha256_of
from evenodds.files.write import replaced

__all__ = ["RECORD", "Outputs", "State", "Written", "owned", "require_owned", "require_writable"]
__all__ += ["unwritable"]

RECORD = ".evenodds.jsonl"
"""The file in the folder of the outputs that tells which command wrote what."""
_AFRESH = "remove it; without it, files that are there count as the user's"
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class State(Enum):
    """What stands at the place of an output."""

    ABSENT = "nothing"
    WRITTEN = "what this command wrote"
    DAMAGED = "what this command wrote, now empty or unreadable"
    CHANGED = "what this command wrote, changed since"
    FOREIGN = "what this command did not write"


_FREE = (State.ABSENT, State.WRITTEN, State.DAMAGED)


Content = tuple[int, str]
"""The size of a file in bytes, and its SHA-256."""


@dataclass(frozen=True)
class Written:
    """A line of the record.

    Args:
        file: the path of the file relative to the folder, with `/`.
        by: the command.
        bytes: of the file.
        sha256: of its content, in hexadecimal digits.
        of: the text that the name of the file stands for, such as the class or the input.
        way: of the work by which it was made, see `Outputs.way`.
    """

    file: str
    by: str
    bytes: int
    sha256: str
    of: str | None = None
    way: str | None = None


def _is_empty(path: Path) -> bool:
    return path.stat().st_size == 0


class Outputs:
    """The files that one command writes below a folder; it replaces and removes only what that command wrote there.

    Args:
        folder: of the outputs and their record. It is made when the first output is written.
        command: as typed after `evenodds`, such as `upscale`.
        advice: what to do where a file must not be replaced.
        damaged: whether a file that was changed holds nothing that can be used.
    """

    def __init__(
        self,
        folder: Path,
        command: str,
        advice: str = "name another place to write to, or move it away",
        damaged: Callable[[Path], bool] = _is_empty,
    ) -> None:
        self.folder, self.command = folder, command
        self._advice, self._damaged = advice, damaged
        self.recorded: list[Written] = []
        """The lines that were written to the record here."""
        self.way: str | None = None
        """A digest of what decides the content of the outputs beside their inputs, such as weights and flags. It goes
        into the record. None: not known."""

    def state(self, path: Path) -> State:
        """What stands at the place of an output.

        Raises:
            BadInput: a link leads out of the folder, or the record cannot be read.
        """
        require_no_way_out(self.folder, path)
        if not os.path.lexists(path):
            return State.ABSENT
        contents = self._contents.get(self._name(path))
        if not contents or is_link(path) or not path.is_file():
            return State.FOREIGN
        if _holds_one_of(path, contents):
            return State.WRITTEN
        return State.DAMAGED if self._damaged(path) else State.CHANGED

    def is_of_another_way(self, path: Path) -> bool:
        """Whether a file is as this command wrote it in another way than that of now, as far as both are known."""
        if self.way is None or not path.is_file() or is_link(path):
            return False
        contents = self._contents.get(self._name(path), {})
        ways = {way for content, way in contents.items() if _holds_one_of(path, {content})}
        return bool(ways) and not ways & {None, self.way}

    def require(self, paths: Iterable[Path], inputs: Sequence[Path] = ()) -> None:
        """Checks that all of these may be written, before work begins.

        Raises:
            BadInput: one is an input of the command, or is there and not as this command wrote it.
        """
        paths = list(paths)
        read = {_identity(source) for source in inputs} - {None}
        for path in paths:
            if read and _identity(path) in read:
                raise BadInput(f"{path} is an input and would be overwritten; {self._advice}")
        refused = [(path, state) for path in paths if (state := self.state(path)) not in _FREE]
        if refused:
            raise self.refusal(*refused[0], len(refused) - 1)

    def refusal(self, path: Path, state: State, others: int = 0) -> BadInput:
        """The error for a file that is the user's, and for so many others."""
        why = f"is there already, and there is no record that `evenodds {self.command}` wrote it"
        if state is State.CHANGED:
            why = f"was changed since `evenodds {self.command}` wrote it"
        more = f" (so it is with {others:,} more)" if others else ""
        return BadInput(f"{path} {why}{more}; it is left as it is: {self._advice}")

    @contextmanager
    def replaced(self, path: Path, of: str | None = None) -> Iterator[Path]:
        """Yields a temporary path beside `path`, which takes its place on success; it is then in the record.

        Args:
            of: the text that the name stands for, where it is another one.

        Raises:
            BadInput: the file that is there is the user's. Content that is the same is no conflict.
        """
        with self.updated(path, of) as temporary:
            yield temporary
            state = self.state(path)
            if state not in _FREE and not (path.is_file() and not is_link(path) and _same_content(path, temporary)):
                raise self.refusal(path, state)

    @contextmanager
    def updated(self, path: Path, of: str | None = None) -> Iterator[Path]:
        """`replaced` for a file whose content the command has read and writes back with a change, whoever wrote it."""
        require_no_way_out(self.folder, path)
        with replaced(path) as temporary:
            yield temporary
            size, digest = temporary.stat().st_size, sha256_of(temporary)
            self._record(Written(self._name(path), self.command, size, digest, of, self.way))

    def free(self, path: Path) -> Path:
        """The path; where the user's file stands there, the first of NAME-2, NAME-3, ... that may be written."""
        candidates = (path if k == 1 else path.with_name(f"{path.stem}-{k}{path.suffix}") for k in count(1))
        return next(candidate for candidate in candidates if self.state(candidate) in _FREE)

    def put(self, path: Path, write: Callable[[Path], object]) -> Path:
        """Writes a file to the path, or to the first of NAME-2, NAME-3, ... that is free; returns which.

        Args:
            write: writes all of it to a path.
        """
        path = self.free(path)
        with self.replaced(path) as temporary:
            write(temporary)
        return path

    def earlier(self) -> list[Path]:
        """The files that this command wrote here before and that are still there, changed or not."""
        paths = []
        for name in self._contents:
            with suppress(BadInput):  # a record of a stranger
                paths.append(below(self.folder, name))
        return [path for path in paths if os.path.lexists(path)]

    def remove(self, path: Path) -> None:
        """Removes a file that this command wrote, and the folders that it leaves empty; BadInput of any other file."""
        self.require([path])
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == self.folder or any(folder.iterdir()):
                return
            folder.rmdir()

    @cached_property
    def _contents(self) -> dict[str, dict[Content, str | None]]:
        """What this command wrote here, by name, and in which way."""
        contents: dict[str, dict[Content, str | None]] = defaultdict(dict)
        for line in read_json_lines(self.folder / RECORD, Written, _AFRESH).values:
            if line.by == self.command:
                contents[line.file][line.bytes, line.sha256] = line.way
        return contents

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def write_down(self, lines: Iterable[Written]) -> None:
        """Adds to the record those lines of other processes that are not in it."""
        self.__dict__.pop("_contents", None)  # read it again
        for line in lines:
            if (line.bytes, line.sha256) not in self._contents.get(line.file, ()):
                self._record(line)

    def _record(self, line: Written) -> None:
        self.recorded.append(line)
        self._contents[line.file][line.bytes, line.sha256] = line.way
        text = json.dumps({key: value for key, value in asdict(line).items() if value is not None})
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / RECORD
        if is_link(path):
            raise BadInput(f"{path} is a link, and a record is a file; remove the link")
        # An empty line first ends one that was cut short.
        with os.fdopen(os.open(path, _APPEND, 0o666), "ab") as file:
            file.write((b"\n" if _is_cut(path) else b"") + text.encode() + b"\n")


@contextmanager
def owned(path: Path, command: str) -> Iterator[Path]:
    """`Outputs.replaced` for a single file, recorded in its folder."""
    with Outputs(path.parent, command).replaced(path) as temporary:
        yield temporary


def require_owned(path: Path, command: str, flag: str = "--out", inputs: Sequence[str | Path | None] = ()) -> None:
    """BadInput where a single file must not be written by the command, before its work begins.

    Args:
        flag: of the command, which names another file.
        inputs: what the command reads, which may be the path of a file.
    """
    require_writable(path.parent, f"name another file with {flag}")
    outputs = Outputs(path.parent, command, f"name another file with {flag}, or move it away")
    outputs.require([path], [Path(source) for source in inputs if source is not None])


def require_writable(folder: Path, advice: str) -> None:
    """BadInput where nothing can be written to a folder, or it cannot be made, before the work begins.

    Args:
        advice: what to do then.
    """
    if (there := unwritable(folder)) is not None:
        why = ", a link that leads nowhere" if is_link(there) and not there.exists() else ""
        raise BadInput(f"nothing can be written to {there}{why}; {advice}")


def unwritable(folder: Path) -> Path | None:
    """The folder, or that in which it would be made, if nothing can be written there; or a link there to nowhere."""
    there = next((place for place in (folder, *folder.absolute().parents) if os.path.lexists(place)), folder)
    if not there.exists():  # a link that leads nowhere
        return there
    return there if there.is_dir() and not os.access(there, os.W_OK | os.X_OK) else None


def _same_content(path: Path, other: Path) -> bool:
    return path.stat().st_size == other.stat().st_size and sha256_of(path) == sha256_of(other)


def _holds_one_of(path: Path, contents: Collection[Content]) -> bool:
    """Whether a file has one of these contents; one of another size is not read."""
    size = path.stat().st_size
    return any(size == recorded for recorded, _ in contents) and (size, sha256_of(path)) in contents


def _identity(path: Path) -> tuple[int, int] | None:
    """What all names of a file have in common; None where there is no file."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _is_cut(path: Path) -> bool:
    """Whether a file of lines ends within a line."""
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
