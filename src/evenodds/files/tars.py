"""Tar archives that a stranger may have packed: listed within bounds, and never extracted.

A plain archive is read in place. A compressed one is unpacked once, to a temporary file without a name that vanishes
with the process: a file in it cannot be found otherwise without unpacking all before it.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, NamedTuple

from evenodds.errors import BadInput
from evenodds.files.regular import open_regular, size_of
from evenodds.files.zips import MOST_FILES

__all__ = ["ENDINGS", "TarEntry", "open_tar"]

_PACKED: dict[str, Callable[[BinaryIO], Any]] = {
    ".tar.gz": lambda stream: gzip.GzipFile(fileobj=stream),
    ".tgz": lambda stream: gzip.GzipFile(fileobj=stream),
    ".tar.bz2": bz2.BZ2File,
    ".tar.xz": lzma.LZMAFile,
}
ENDINGS: tuple[str, ...] = (".tar", *_PACKED)
"""Of the names of such archives."""
RATIO, LARGE = 100, 1 << 30
"""What unpacks to more than this many times its packed size, and to more than so many bytes, is a bomb."""
_LONGEST_HEADER = 1 << 20
_BLOCK = 1 << 20
_END = 512  # Bytes of zeros that end an archive.

At = Callable[[int, int], bytes]


class TarEntry(NamedTuple):
    """A file in an archive."""

    name: str
    size: int
    refusal: str
    """Why it cannot be read, as a clause; empty where it can be."""
    read: Callable[[], bytes]
    """All bytes of it."""


@contextmanager
def open_tar(path: Path) -> Iterator[list[TarEntry]]:
    """The files of an archive, in the order in which they were packed; of equal names the last one.

    Reading them is safe in several threads and forked processes.

    Raises:
        BadInput: it is damaged or cut short, unpacks to far more than it holds, or lists more files than may be.
    """
    if path.name.lower().endswith(".tar"):
        with open_regular(path) as stream:
            yield _entries(path.name, stream, lambda place, size: _read_in_place(path, place, size))
        return
    with tempfile.TemporaryFile() as whole:
        _unpack(path, whole)
        lock = Lock()
        yield _entries(path.name, whole, lambda place, size: _read_shared(whole, lock, place, size))


def _read_in_place(path: Path, place: int, size: int) -> bytes:
    with open_regular(path) as stream:
        stream.seek(place)
        return stream.read(size)


def _read_shared(stream: Any, lock: Lock, place: int, size: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(stream.fileno(), size, place)
    with lock:  # Windows
        stream.seek(place)
        return bytes(stream.read(size))


def _unpack(path: Path, whole: Any) -> None:
    """Writes what is packed in a file."""
    opener = next(one for ending, one in _PACKED.items() if path.name.lower().endswith(ending))
    with open_regular(path) as packed:
        most, total = max(LARGE, RATIO * size_of(packed)), 0
        try:
            with opener(packed) as stream:
                while part := stream.read(_BLOCK):
                    total += len(part)
                    if total > most:
                        raise BadInput(
                            f"{path.name} unpacks to over {most / 2**30:,.1f} GiB, {RATIO} times what it holds; unpack "
                            "it yourself and name the folder, if you trust it"
                        )
                    _write(path, whole, part)
        except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(f"{path.name} is damaged or cut short; copy or pack it again") from error
    whole.flush()


def _write(path: Path, whole: Any, part: bytes) -> None:
    try:
        whole.write(part)
    except OSError as error:
        room = f"{tempfile.gettempdir()} has no room for what {path.name} unpacks to"
        raise BadInput(f"{room}; unpack it yourself and name the folder, or set TMPDIR") from error


class _Bounded:
    """A stream of which little is read at once, as long as headers are read alone."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LONGEST_HEADER:
            raise tarfile.ReadError("a header is too long")
        return self._stream.read(size)


def _entries(name: str, stream: BinaryIO, at: At) -> list[TarEntry]:
    length, found = size_of(stream), dict[str, TarEntry]()
    headers: Any = _Bounded(stream)
    opened: Any = tarfile.TarFile
    try:
        with opened(fileobj=headers, encoding="utf-8") as archive:
            while (member := archive.next()) is not None:
                archive.members = []  # it keeps all of them
                if not member.isdir():
                    entry = _entry(member, length, at)
                    found[entry.name] = entry
                if len(found) > MOST_FILES:
                    raise BadInput(f"{name} holds more than {MOST_FILES:,} files; unpack a part, and name the folder")
            stream.seek(archive.offset)
            if any(stream.read(_END)):
                raise tarfile.ReadError("something else than a header")
    except BadInput:
        raise
    except (tarfile.TarError, OSError, ValueError, EOFError, OverflowError) as error:
        raise BadInput(f"{name} cannot be read as a tar file: it is damaged or cut short; pack it again") from error
    return list(found.values())


def _entry(member: tarfile.TarInfo, length: int, at: At) -> TarEntry:
    place, size = member.offset_data, member.size
    name = member.name.replace("\\", "/").removeprefix("./")
    return TarEntry(name, size, _refusal(member, name, place + size > length), lambda: at(place, size))


def _refusal(member: tarfile.TarInfo, name: str, short: bool) -> str:
    if member.issym() or member.islnk():
        return "a link in the archive"
    if not member.isreg() or member.issparse():
        return "no regular file in the archive"
    if name.startswith("/") or ".." in name.split("/"):
        return "its name leads out of the archive"
    return "cut short" if short else ""
