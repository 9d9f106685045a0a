"""Many image files of a folder or a zip file: found, read by several threads, and reported on."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import IO, Protocol, TypeVar

from evenodds.data._picture import File, Size, Unusable
from evenodds.errors import BadInput, unknown

__all__ = ["ENDINGS", "FITS", "checked", "content", "count", "each", "gathered", "listed", "memory", "opened"]

ENDINGS: tuple[str, ...] = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".tga")
ENDINGS += (".pgm", ".ppm", ".pbm", ".pnm")
FITS = ("crop", "pad", "stretch", "tiles")

_MAX_BYTES = 1 << 30
_GROUP = 32  # Files per piece of work, so that handing it over costs little.
_SMALL = 128 * 128  # Pixels per image up to which one thread is fastest.


class Held(Protocol):
    """What was decoded and is kept."""

    @property
    def size(self) -> Size:
        """(height, width) as stored."""
        ...

    @property
    def nbytes(self) -> int:
        """The memory that it takes."""
        ...


Asked = TypeVar("Asked")
Kept = TypeVar("Kept", bound=Held)


def checked(root: Path, size: int | Sequence[int] | None, channels: int | None, fit: str) -> Size | None:
    """The size as (height, width), where the options of a reader can be."""
    if not root.exists():
        raise BadInput(f"no file or folder '{root}' exists; give the path of a folder or zip file of images")
    if channels not in (None, 1, 3, 4):
        raise BadInput(f"images have 1 (grey), 3 (RGB) or 4 (RGB and alpha) channels, got {channels}; choose one")
    if fit not in FITS:
        raise unknown("fit", fit, FITS)
    if size is None and fit == "tiles":
        raise BadInput("tiles need a size, e.g. 96, or (height, width); give one")
    if size is None:
        return None
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2 or not all(isinstance(side, int) and 1 <= side <= 16384 for side in sides):
        raise BadInput(f"size needs a side or (height, width), each from 1 to 16384, got {size!r}")
    return sides[0], sides[1]


@contextmanager
def opened(root: Path) -> Iterator[tuple[list[File], list[File]]]:
    """The image files by name, and all others; as long as they are read, Pillow's warnings are kept back."""
    with warnings.catch_warnings(), _found(root) as found:
        # They (large images, odd metadata) would go to the terminal; what matters is in the report.
        warnings.simplefilter("ignore")
        yield found


@contextmanager
def _found(root: Path) -> Iterator[tuple[list[File], list[File]]]:
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
    seen = set()  # Links to folders are followed, but never in a circle.
    for folder, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
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


def gathered(results: Iterator[Kept | str]) -> tuple[list[Kept], list[str]]:
    """The pictures, or pairs of them, and what was skipped; stops before they fill the machine."""
    pictures: list[Kept] = []
    skipped: list[str] = []
    held, limit = 0, memory() // 2  # The other half is for the one array that they become.
    for result in results:
        if isinstance(result, str):
            skipped.append(result)
            continue
        pictures.append(result)
        held += result.nbytes
        if held > limit:
            raise BadInput(
                f"{len(pictures):,} images already fill {limit / 2**30:.1f} GiB, half the memory; give a smaller size"
            )
    return pictures, skipped


def each(
    work: Callable[[Asked], Kept | str], files: Sequence[Asked], progress: Callable[[int, int], None] | None
) -> Iterator[Kept | str]:
    """The results in the order of the files, decoded by one thread per core where that pays."""
    first = [work(file) for file in files[:_GROUP]]
    areas = [result.size[0] * result.size[1] for result in first if not isinstance(result, str)]
    # Pillow decodes outside Python's lock, but around small images the threads only wait for it: 1.3 times slower.
    pool = ThreadPoolExecutor(os.cpu_count() if sum(areas) > _SMALL * len(areas) else 1)
    groups = [files[start : start + _GROUP] for start in range(_GROUP, len(files), _GROUP)]
    done = 0
    try:
        for results in chain([first], pool.map(lambda group: [work(file) for file in group], groups)):
            yield from results
            done += len(results)
            if progress:
                progress(done, len(files))
    finally:
        pool.shutdown(cancel_futures=True)


def listed(said: str, names: Sequence[str], show: int = 5, what: str = "file") -> list[str]:
    """One sentence with the number of files and the first of their names; none where there are none."""
    if not names:
        return []
    more = f" and {len(names) - show:,} more" if len(names) > show else ""
    return [said.format(count(len(names), what), ", ".join(names[:show]) + more)]


def count(number: int, what: str) -> str:
    """The number and its noun."""
    plural = "es" if what.endswith("s") else "s"
    return f"{number:,} {what}{plural * (number != 1)}"


def memory() -> int:
    """The machine's, in bytes."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Not told on every system.
        return 1 << 50
