"""The files of a folder or a zip file: image files by name, and others. An archive is never extracted."""

from __future__ import annotations

import os
import stat
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from evenodds.data._picture import MOST_PIXELS, File, Unusable, most_bytes
from evenodds.errors import BadInput
from evenodds.files.outputs import RECORD
from evenodds.files.regular import NotRegular, open_regular, read_regular, refusal
from evenodds.files.zips import open_zip

__all__ = ["ENDINGS", "content", "file_at", "opened", "walked"]

ENDINGS: tuple[str, ...] = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".tga")
ENDINGS += (".pgm", ".ppm", ".pbm", ".pnm")

RUN_FILES = {"config.yaml", "data.json", "checkpoints"}
"""What every run folder holds."""
_MOST_TEXT = 1 << 28  # Bytes of a file that is no image, such as labels.csv.
# Of files in archives: what unpacks to more than this many times its packed size, and is that large, is a bomb.
# Deflate reaches 1,032 times; pictures in their own compression reach hardly twice.
_RATIO, _LARGE, _LARGE_IN_ALL = 100, 1 << 26, 1 << 30


@contextmanager
def opened(root: Path, most_pixels: int = MOST_PIXELS) -> Iterator[tuple[list[File], list[File]]]:
    """The image files by name, and all others; as long as they are read, Pillow's warnings are kept back.

    Args:
        root: a folder, a zip file, or an image, which then is the only one.
        most_pixels: of a picture; files in archives are unpacked up to the size that this allows.

    Raises:
        BadInput: it is none of these, or an archive that unpacks to far more than it holds.
    """
    with warnings.catch_warnings(), _listed(root, most_pixels) as listing:
        # They (large images, odd metadata) would go to the terminal; what matters is in the report.
        warnings.simplefilter("ignore")
        yield listing


@contextmanager
def _listed(root: Path, most_pixels: int) -> Iterator[tuple[list[File], list[File]]]:
    if root.is_dir():
        yield _parted([File(name, partial(Path, path)) for name, path in walked(root)])
        return
    if reason := refusal(root):
        raise NotRegular(root, reason)
    if root.suffix.lower() in ENDINGS:
        yield [file_at(root)], []
        return
    with open_regular(root) as stream, _archive(root, stream) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        _check_total(root, entries)
        limit = most_bytes(most_pixels)
        names = [entry.filename.replace("\\", "/") for entry in entries]
        unpackers = [_unpacker(archive, entry, limit) for entry in entries]
        files = [File(name, unpack) for name, unpack in zip(names, unpackers, strict=True)]
        runs = _run_folders(names)
        yield _parted(
            [file for file in files if not file.name.startswith(runs)] + [File(run, _no_file) for run in runs]
        )


def _run_folders(names: list[str]) -> tuple[str, ...]:
    """The run folders of evenodds in an archive, by their names with a slash behind."""
    inside: dict[str, set[str]] = {}
    for name in names:
        folders = name.split("/")
        for level, part in enumerate(folders[1:], 1):
            inside.setdefault("/".join(folders[:level]) + "/", set()).add(part)
    return tuple(sorted(folder for folder, parts in inside.items() if parts >= RUN_FILES))


def _no_file() -> Path:
    raise Unusable("a folder")


def _archive(root: Path, stream: BinaryIO) -> zipfile.ZipFile:
    try:
        return open_zip(stream, root.name)
    except BadInput:
        raise
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise BadInput(f"{root.name} cannot be read as a zip file; pack it again") from error


def _check_total(root: Path, entries: list[zipfile.ZipInfo]) -> None:
    packed, unpacked = (sum(sizes) for sizes in ([e.compress_size for e in entries], [e.file_size for e in entries]))
    if unpacked > _LARGE_IN_ALL and unpacked > _RATIO * packed:
        raise BadInput(
            f"{root.name} unpacks to {unpacked / 2**30:,.1f} GiB, over {_RATIO} times what it holds; unpack it yourself"
            " and name the folder, if you trust it"
        )


def walked(root: Path) -> Iterator[tuple[str, str]]:
    """The names of all files below a folder, relative to it and with slashes, and their paths.

    A run folder of evenodds counts as one, by its own name with a slash behind: its pictures are no data.
    """
    visited = set()  # Links to folders are followed, but never in a circle.
    for folder, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        if {*folders, *names} >= RUN_FILES and Path(folder) != root:
            yield f"{Path(folder).relative_to(root).as_posix()}/", os.path.join(folder, "config.yaml")
            folders.clear()
            continue
        within = Path(folder).relative_to(root).as_posix()
        before = "" if within == "." else f"{within}/"
        yield from ((f"{before}{name}", os.path.join(folder, name)) for name in names if name != RECORD)


def file_at(path: Path, name: str | None = None) -> File:
    """The file of a path; only read if it is a regular one.

    Args:
        name: how messages call it; None: its name without the folder.
    """
    return File(path.name if name is None else name, lambda: path)


def _unpacker(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> Callable[[], BinaryIO]:
    def unpack() -> BinaryIO:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise Unusable("a link in the archive" if kind == stat.S_IFLNK else "no regular file in the archive")
        if entry.flag_bits & 1:
            raise Unusable("encrypted")
        if entry.file_size > limit:
            raise Unusable(f"{entry.file_size:,} bytes unpacked, over {limit:,}; a higher most_pixels raises that")
        if entry.file_size > max(_LARGE, _RATIO * entry.compress_size):
            raise Unusable(f"unpacks to {entry.file_size / 2**20:,.0f} MiB, over {_RATIO} times what it is packed in")
        return BytesIO(archive.read(entry))

    return unpack


def content(file: File, most: int = _MOST_TEXT) -> bytes:
    """All of a file that is no image.

    Args:
        most: bytes that it may have.

    Raises:
        BadInput: it is larger, no regular file, or cannot be unpacked.
    """
    try:
        source = file.open()
        if isinstance(source, Path):
            return read_regular(source, most)
        with source as stream:
            unpacked = stream.read(most + 1)
    except Unusable as error:
        raise BadInput(f"{file.name} cannot be read: {error}") from error
    except BadInput:
        raise
    except Exception as error:  # Archives are damaged in many ways: BadZipFile, zlib.error, EOFError, ...
        raise BadInput(f"{file.name} in the archive is damaged; pack it again") from error
    if len(unpacked) > most:
        raise BadInput(f"{file.name} has more than {most:,} bytes, which is too large for text; is it the right file?")
    return unpacked


def _parted(files: list[File]) -> tuple[list[File], list[File]]:
    def usable(name: str) -> bool:
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
        return name.lower().endswith(ENDINGS) and not hidden

    files = sorted(files, key=lambda file: file.name)
    return [file for file in files if usable(file.name)], [file for file in files if not usable(file.name)]
