"""Files that are whole or not there: written to a temporary name, flushed to disk, renamed.

A temporary name tells which process writes it. What a process leaves behind that was killed is removed by the next
process that writes to the same folder, see `sweep`.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from evenodds.errors import BadInput
from evenodds.files.process import current, from_tag, tag_pattern

__all__ = [
    "Place", "is_temporary", "remove_folder", "replaced", "replaced_folder", "sweep", "temporary_name", "write_bytes",
    "write_json", "write_json_lines", "write_text",
]  # fmt: skip

ABANDONED = 7 * 24 * 3600.0
"""Seconds after which a temporary file is removed whose process this one cannot see, as it is of another machine."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""How a system says that a file would be larger than it may be: a full disk, a limit, a quota."""
_NAME = re.compile(rf"\..*\.(?P<tag>{tag_pattern})-\d+\.tmp(\..*)?", re.DOTALL)
_numbers = count()
_swept: set[Path] = set()


Place = Callable[[Path], AbstractContextManager[Path]]
"""Yields a temporary path that takes the place of a path, such as `replaced`, or `Outputs.replaced` of a command."""


def temporary_name(path: Path) -> Path:
    """A name beside `path` with the same suffix, which no other call gives, and which tells this process."""
    return path.with_name(f".{path.stem[:40]}.{current().tag}-{next(_numbers)}.tmp{path.suffix}")


def is_temporary(name: str) -> bool:
    """Whether a name is of `temporary_name`."""
    return _NAME.fullmatch(name) is not None


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, which takes its place on success and vanishes on failure."""
    _ready(path.parent)
    temporary = temporary_name(path)
    try:
        with _named(path):
            yield temporary
            _flush(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Where there is no room to write, the error names what could not be written, by no temporary name."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            error.filename = str(path)
        raise


@contextmanager
def replaced_folder(path: Path, remove: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """The same for a folder with all its files.

    Args:
        remove: removes what stands at `path`; None: that must be nothing, or an empty folder.

    Raises:
        BadInput: something else came to `path` meanwhile. It stays, and the new folder is beside it under another name.
    """
    _ready(path.parent)
    temporary = temporary_name(path)
    temporary.mkdir()
    try:
        with _named(path):
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    _flush(file)
        if remove is not None and os.path.lexists(path):
            remove(path)
        _set_down(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _set_down(temporary: Path, path: Path) -> None:
    """Moves a folder to a path at which nothing or an empty folder is, else beside it."""
    with suppress(OSError):
        path.rmdir()  # fails of all but an empty folder
    if not os.path.lexists(path):
        os.rename(temporary, path)
        return
    beside = next(other for k in count(2) if not os.path.lexists(other := path.with_name(f"{path.name}-{k}")))
    os.rename(temporary, beside)
    raise BadInput(f"something came to {path} meanwhile, and is left as it is; the result is in {beside}")


def remove_folder(path: Path) -> None:
    """Removes a folder, which from the first moment on is not there under its name; nothing where there is none."""
    aside = temporary_name(path)
    with suppress(FileNotFoundError):
        os.replace(path, aside)
        aside.unlink() if aside.is_symlink() else shutil.rmtree(aside)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes the file whole."""
    with replaced(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Writes the file whole, in UTF-8; halves of characters, as in odd file names, in the form `\\udce9`.

    In JSON and in double quotes of YAML, this form is read as the same half.
    """
    write_bytes(path, content.encode("utf-8", "backslashreplace"))


def write_json(path: Path, content: Any, default: Callable[[Any], Any] | None = None) -> None:
    """Writes the file whole, as indented JSON."""
    write_text(path, _indented(content, default) + "\n")


MANY = 100
"""Numbers of a list that are written at once."""


def _indented(content: Any, default: Callable[[Any], Any] | None) -> str:
    """`json.dumps` with an indent of 2, which takes ten times as long for a member that is a long list of numbers."""

    def text(value: Any, pad: str) -> str:
        if type(value) in (list, tuple) and len(value) > MANY and all(type(one) is int for one in value):
            return f"[\n{pad}  " + f",\n{pad}  ".join(map(str, value)) + f"\n{pad}]"
        return json.dumps(value, indent=2, default=default, allow_nan=False).replace("\n", f"\n{pad}")

    if type(content) is not dict or not content or not all(type(key) is str for key in content):
        return text(content, "")
    return "{\n" + ",\n".join(f"  {json.dumps(key)}: {text(value, '  ')}" for key, value in content.items()) + "\n}"


def write_json_lines(path: Path, values: Iterable[Any]) -> None:
    """Writes the file whole, with one JSON value in each line."""
    write_text(path, "".join(json.dumps(value) + "\n" for value in values))


def sweep(folder: Path) -> None:
    """Removes the temporary files and folders that dead processes left in a folder.

    A name counts where `temporary_name` gives such names and its process is known to be dead, or is of another machine
    or container and nothing was written to the file for `ABANDONED` seconds. Links are removed and not followed.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in [entry for entry in entries if _abandoned(entry)]:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                Path(entry.path).unlink(missing_ok=True)


def _abandoned(entry: os.DirEntry[str]) -> bool:
    match = _NAME.fullmatch(entry.name)
    writer = from_tag(match["tag"]) if match is not None else None
    if writer is None:
        return False
    alive = writer.alive()
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > ABANDONED if alive is None else not alive


def _ready(folder: Path) -> None:
    """Makes the folder; sweeps it where this process did not yet."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder.absolute()
    if place not in _swept:
        _swept.add(place)
        sweep(folder)


def _flush(path: Path) -> None:
    with path.open("r+b") as file:  # Windows flushes what was opened for writing only
        os.fsync(file.fileno())
