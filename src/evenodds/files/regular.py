"""Reading of regular files alone: opening never waits, and reading ends where the file ended when it was opened.

Named pipes, devices, sockets and folders are refused, behind links too. What was opened is checked once more, so that
a file that is replaced between the check and the opening is refused as well.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable
from hashlib import file_digest
from pathlib import Path
from typing import BinaryIO

from evenodds.errors import BadInput

__all__ = ["NotRegular", "open_regular", "read_regular", "refusal", "sha256_of", "size_of"]

_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY"))
_BUFFER = 1 << 16
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}
_ERRORS = {
    errno.ENOENT: "not there",
    errno.ENOTDIR: "not there",
    errno.ELOOP: "a link that leads in a circle",
    errno.EACCES: "not readable (permission denied)",
    errno.EPERM: "not readable (permission denied)",
    errno.ENAMETOOLONG: "not there: its name is too long",
    errno.ENXIO: "a socket or device",
}


class NotRegular(BadInput):
    """What was named is no regular file that can be read. `reason` is a clause such as "a named pipe"."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(f"{os.fspath(path)} is {reason}, and only regular files are read; name a file that holds data")
        self.reason = reason


class _UpTo(io.RawIOBase):
    """The first `size` bytes of an open descriptor; it is closed with this.

    Where the system can read at a place, the descriptor's own place is not used: a process that is forked from this one
    shares the descriptor, and reads beside it.
    """

    def __init__(self, descriptor: int, size: int, heard: Callable[[int, int], None] | None) -> None:
        self._file, self._size, self._heard, self._at = io.FileIO(descriptor), size, heard, 0
        self._descriptor = descriptor

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = memoryview(buffer)[: max(0, self._size - self._at)]
        count = _read_at(self._descriptor, part, self._at)
        self._at += count
        if self._heard is not None:
            self._heard(self._at, self._size)
        return count

    def readall(self) -> bytes:
        content = bytearray(max(0, self._size - self._at))
        count, part = 0, memoryview(content)
        while count < len(content) and (more := self.readinto(part[count:])):
            count += more
        return bytes(part[:count])

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _read_at(descriptor: int, buffer: memoryview, place: int) -> int:
    """Reads into a buffer from a place of an open file; returns the number of bytes."""
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [buffer], place)
    os.lseek(descriptor, place, os.SEEK_SET)  # Windows
    content = os.read(descriptor, len(buffer))
    buffer[: len(content)] = content
    return len(content)


def open_regular(path: str | os.PathLike[str], heard: Callable[[int, int], None] | None = None) -> BinaryIO:
    """Opens a regular file for reading bytes, buffered and seekable.

    Args:
        path: the file; links are followed.
        heard: told (place, size) in bytes after each read from the disk.

    Returns:
        A stream without a descriptor of its own (`fileno` raises), which ends at the size at the time of opening.

    Raises:
        NotRegular: it is no regular file, is not there, or may not be read.
    """
    try:
        _check(path, os.stat(path))
        descriptor = os.open(path, _FLAGS)
        try:
            status = os.fstat(descriptor)
            _check(path, status)
            if heard is None and status.st_size <= _BUFFER:
                return _whole(descriptor, status.st_size)
            return io.BufferedReader(_UpTo(descriptor, status.st_size, heard), _BUFFER)
        except BaseException:
            os.close(descriptor)
            raise
    except (OSError, ValueError) as error:
        if isinstance(error, NotRegular):
            raise
        raise NotRegular(path, _reason(path, error)) from error


def _whole(descriptor: int, size: int) -> io.BytesIO:
    """The first `size` bytes of an open descriptor, which is closed."""
    parts, left = [], size
    while left and (part := os.read(descriptor, left)):
        parts.append(part)
        left -= len(part)
    stream = io.BytesIO(b"".join(parts))
    os.close(descriptor)
    return stream


def read_regular(path: str | os.PathLike[str], most: int) -> bytes:
    """All bytes of a regular file.

    Args:
        path: the file; links are followed.
        most: bytes that the file may have.

    Raises:
        NotRegular: see `open_regular`.
        BadInput: the file is larger than `most`.
    """
    with open_regular(path) as stream:
        size = stream.seek(0, os.SEEK_END)
        if size > most:
            raise BadInput(f"{os.fspath(path)} has {size:,} bytes, at most {most:,} are read; is it the right file?")
        stream.seek(0)
        return stream.read()


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a regular file, in hexadecimal digits; see `open_regular`."""
    with open_regular(path) as stream:
        return file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


def size_of(stream: BinaryIO) -> int:
    """Bytes of a seekable stream, which is then at its beginning."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    return size


def refusal(path: str | os.PathLike[str]) -> str:
    """Why a path cannot be read as a regular file, as a clause such as "a named pipe"; empty where it can be."""
    try:
        return _kind(os.stat(path).st_mode)
    except (OSError, ValueError) as error:
        return _reason(path, error)


def _check(path: str | os.PathLike[str], status: os.stat_result) -> None:
    if kind := _kind(status.st_mode):
        raise NotRegular(path, kind)


def _kind(mode: int) -> str:
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "no regular file")


def _reason(path: str | os.PathLike[str], error: OSError | ValueError) -> str:
    if isinstance(error, ValueError):  # a NUL in the name
        return "no name of a file"
    if error.errno == errno.ENOENT and Path(path).is_symlink():
        return "a link to what is not there"
    return _ERRORS.get(error.errno or 0, f"not readable ({error.strerror})")
