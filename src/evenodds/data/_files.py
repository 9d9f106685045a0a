"""The files of a folder or a zip file: image files by name, and others. An archive is never extracted."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO

from evenodds.data._picture import File, Unusable
from evenodds.errors import BadInput

__all__ = ["ENDINGS", "content", "opened"]

ENDINGS: tuple[str, ...] = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".tga")
ENDINGS += (".pgm", ".ppm", ".pbm", ".pnm")

_MAX_BYTES = 1 << 30


@contextmanager
def opened(root: Path) -> Iterator[tuple[list[File], list[File]]]:
    """The image files by name, and all others; as long as they are read, Pillow's warnings are kept back."""
    with warnings.catch_warnings(), _listed(root) as listing:
        # They (large images, odd metadata) would go to the terminal; what matters is in the report.
        warnings.simplefilter("ignore")
        yield listing


@contextmanager
def _listed(root: Path) -> Iterator[tuple[list[File], list[File]]]:
    if root.is_file() and root.suffix.lower() in ENDINGS:
        yield [File(root.name, _constant(root))], []
        return
    if root.is_dir():
        yield _parted([File(path.relative_to(root).as_posix(), _constant(path)) for path in _walk(root)])
        return
    try:
        archive = zipfile.ZipFile(root)
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise BadInput(f"{root.name} cannot be read as a zip file; pack it again") from error
    with archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        yield _parted([File(entry.filename.replace("\\", "/"), _unpacker(archive, entry)) for entry in entries])


def _walk(root: Path) -> Iterator[Path]:
    visited = set()  # Links to folders are followed, but never in a circle.
    for folder, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        yield from (Path(folder, name) for name in names)


def _constant(path: Path) -> Callable[[], Path]:
    return lambda: path


def _unpacker(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    def unpack() -> IO[bytes]:
        if entry.flag_bits & 1:
            raise Unusable("encrypted")
        if entry.file_size > _MAX_BYTES:
            raise Unusable("over 1 GiB")
        return BytesIO(archive.read(entry))

    return unpack


def content(file: File) -> bytes:
    """All of a file that is no image."""
    source = file.open()
    return source.read_bytes() if isinstance(source, Path) else source.read()


def _parted(files: list[File]) -> tuple[list[File], list[File]]:
    def usable(name: str) -> bool:
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
        return name.lower().endswith(ENDINGS) and not hidden

    files = sorted(files, key=lambda file: file.name)
    return [file for file in files if usable(file.name)], [file for file in files if not usable(file.name)]
