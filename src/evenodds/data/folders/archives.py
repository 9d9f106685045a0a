"""The files in zip and tar archives, which are never extracted."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from evenodds.data.pictures.opening import File, Unusable, most_bytes
from evenodds.errors import BadInput
from evenodds.files import tars
from evenodds.files.regular import open_regular
from evenodds.files.tars import TarEntry, open_tar
from evenodds.files.zips import open_zip

__all__ = ["ENDINGS", "in_archive", "is_archive"]

ENDINGS: tuple[str, ...] = (".zip", *tars.ENDINGS)
"""Of the names of archives."""
# Of files in archives: what unpacks to more than this many times its packed size, and is that large, is a bomb.
# Deflate reaches 1,032 times; pictures in their own compression reach hardly twice.
_RATIO, _LARGE, _LARGE_IN_ALL = 100, 1 << 26, 1 << 30


def is_archive(name: str) -> bool:
    """Whether a file of this name is one."""
    return name.lower().endswith(ENDINGS)


@contextmanager
def in_archive(root: Path, most_pixels: int) -> Iterator[list[File]]:
    """The files in an archive.

    Args:
        most_pixels: of a picture; files are unpacked up to the size that this allows.

    Raises:
        BadInput: it cannot be read, or unpacks to far more than it holds.
    """
    limit = most_bytes(most_pixels)
    if root.suffix.lower() != ".zip":
        with open_tar(root) as members:
            yield [File(member.name, _reader(member, limit)) for member in members]
        return
    with open_regular(root) as stream, _zip(root, stream) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        _check_total(root, entries)
        yield [File(entry.filename.replace("\\", "/"), _unpacker(archive, entry, limit)) for entry in entries]


def _reader(member: TarEntry, limit: int) -> Callable[[], BinaryIO]:
    def read() -> BinaryIO:
        if member.refusal:
            raise Unusable(member.refusal)
        _check_size(member.size, limit)
        return BytesIO(member.read())

    return read


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise Unusable(f"{size:,} bytes unpacked, over {limit:,}; a higher most_pixels raises that")


def _zip(root: Path, stream: BinaryIO) -> zipfile.ZipFile:
    try:
        return open_zip(stream, root.name)
    except BadInput:
        raise
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise BadInput(f"{root.name} cannot be read as a zip file; pack it again") from error


def _check_total(root: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    packed, unpacked = (sum(sizes) for sizes in ([e.compress_size for e in entries], [e.file_size for e in entries]))
    if unpacked > _LARGE_IN_ALL and unpacked > _RATIO * packed:
        raise BadInput(
            f"{root.name} unpacks to {unpacked / 2**30:,.1f} GiB, over {_RATIO} times what it holds; unpack it yourself"
            " and name the folder, if you trust it"
        )


def _unpacker(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> Callable[[], BinaryIO]:
    def unpack() -> BinaryIO:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise Unusable("a link in the archive" if kind == stat.S_IFLNK else "no regular file in the archive")
        if entry.flag_bits & 1:
            raise Unusable("encrypted")
        _check_size(entry.file_size, limit)
        if entry.file_size > max(_LARGE, _RATIO * entry.compress_size):
            raise Unusable(f"unpacks to {entry.file_size / 2**20:,.0f} MiB, over {_RATIO} times what it is packed in")
        return BytesIO(archive.read(entry))

    return unpack
