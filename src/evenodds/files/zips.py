"""Zip archives that a stranger may have packed: opened only where the list of their files is bounded.

The list lies at the end (APPNOTE 6.3.10, section 4.3). To open an archive is to read the whole list, and each file in
it takes some ten times its bytes in memory.
"""

from __future__ import annotations

import struct
import zipfile
from typing import BinaryIO

from evenodds.errors import BadInput
from evenodds.files.regular import size_of

__all__ = ["MOST_FILES", "open_zip"]

MOST_FILES = 2_000_000
"""That an archive may hold."""
_MOST_BYTES = 1 << 28  # Of the list of files.
_END, _END_64, _LOCATOR_64, _ENTRY = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2"
_END_SIZE, _LOCATOR_SIZE, _END_64_SIZE, _ENTRY_SIZE = 22, 20, 56, 46
_LONGEST_COMMENT = 1 << 16
_BLOCK = 1 << 20


def open_zip(stream: BinaryIO, name: str) -> zipfile.ZipFile:
    """The archive in a seekable stream, which stays open when the archive is closed.

    Args:
        name: begins the message.

    Raises:
        BadInput: it holds more files than `MOST_FILES`, or the list of them is larger than 256 MiB.
        zipfile.BadZipFile, OSError, ValueError, NotImplementedError: it cannot be read.
    """
    start, size = _list_of_files(stream)
    if size > _MOST_BYTES or _more_than(MOST_FILES, stream, start, size):
        raise BadInput(f"{name} holds more than {MOST_FILES:,} files; unpack a part of it, and name the folder")
    return zipfile.ZipFile(stream)


def _list_of_files(stream: BinaryIO) -> tuple[int, int]:
    """Where the list of files begins, and its bytes; (0, 0) where there is no end of an archive."""
    length = size_of(stream)
    before = max(0, length - _END_SIZE - _LONGEST_COMMENT)
    stream.seek(before)
    tail = stream.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_SIZE:
        return 0, 0
    size, end = struct.unpack_from("<I", tail, at + 12)[0], before + at
    stream.seek(max(0, end - _LOCATOR_SIZE - _END_64_SIZE))
    large = stream.read(_LOCATOR_SIZE + _END_64_SIZE)
    if large[:4] == _END_64 and large[_END_64_SIZE:][:4] == _LOCATOR_64:
        size, end = struct.unpack_from("<Q", large, 40)[0], end - len(large)
    return end - size, size


def _more_than(most: int, stream: BinaryIO, start: int, size: int) -> bool:
    """Whether a list of so many bytes holds more than `most` files. It is only read where it could."""
    if size <= most * _ENTRY_SIZE or start < 0:
        return False
    stream.seek(start)
    left, count, waiting = size, 0, b""
    while left > 0 and (block := stream.read(min(left, _BLOCK))):
        left -= len(block)
        waiting += block
        count += waiting.count(_ENTRY)
        waiting = waiting[1 - len(_ENTRY) :]
        if count > most:
            return True
    return False
