"""Folders and zip files of images, as people have them: mixed sizes, mixed modes, some of them damaged."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from evenodds.data._labels import LABELS, Known, labelled
from evenodds.data._picture import File, Picture, Pixels, Size, Unusable, decode, in_channels, resized
from evenodds.data.dataset import Dataset, Units
from evenodds.errors import BadInput, unknown

__all__ = ["READS", "images"]

_ENDINGS: tuple[str, ...] = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".tga")
_ENDINGS += (".pgm", ".ppm", ".pbm", ".pnm")
READS = (".zip", "/", *_ENDINGS)
"""The file names' endings for which `load` comes here; "/" is a folder."""

_MAX_BYTES = 1 << 30
_GROUP = 32  # Files per piece of work, so that handing it over costs little.
_SMALL = 128 * 128  # Pixels per image up to which one thread is fastest.
_SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}


def images(
    path: str | os.PathLike[str],
    size: int | Sequence[int] | None = None,
    channels: int | None = None,
    fit: str = "crop",
    labels: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """All images in a folder or a zip file, or one image, in the order of their names. Nothing is written or executed.

    Args:
        path: the folder (searched through and through), the zip file (read in memory, never extracted) or the image.
        size: side of a square, or (height, width). None: the size that they all have, else the most common one.
        channels: 1 grey, 3 RGB, 4 RGB and alpha. None: 1 if all are grey, else 3. Without alpha, what is transparent
            becomes white.
        fit: how an image of another size gets there, by Lanczos resampling: "crop" fills the size and cuts the rest
            off evenly, "pad" fits inside it with black around, "stretch" ignores the proportions.
        labels: take what is known from labels.csv, where the folder holds one: a line with the names of the columns,
            then lines `name,class`; or with numbers in further columns, attributes or values to ask for. Else, if every
            image lies one folder deep (below what all have in common), the folders name the classes.
        progress: told (files done, files in all) now and then.

    Returns:
        x (N, C, H, W) uint8, or int32 of 16 bits if all images are 16-bit grey. `report` tells what was skipped,
        resized and converted; hidden files and other kinds of files are ignored and counted.

    Raises:
        BadInput: an option that cannot be, or no usable image.
    """
    root = Path(path)
    wanted = _checked(root, size, channels, fit)
    with _opened(root) as (files, others), warnings.catch_warnings():
        # Pillow's warnings (large images, odd metadata) would go to the terminal; what matters is in the report.
        warnings.simplefilter("ignore")
        tabled = [file for file in others if file.name == LABELS and labels]
        ignored = [file.name for file in others if file not in tabled]
        if not files:
            raise BadInput(f"{root.name} holds no images ({', '.join(_ENDINGS)}), only {len(ignored)} other files")
        pictures, skipped = _gathered(_each(lambda file: decode(file, wanted, fit), files, progress))
        if not pictures:
            raise BadInput(f"{root.name}: none of {len(files)} images can be read, e.g. {skipped[0]}")
        target = wanted or _common_size([picture.size for picture in pictures])
        values, channels, report = _assembled(pictures, target, channels, fit)
        names = [picture.name for picture in pictures]
        known = labelled(names, _content(tabled[0])) if tabled else _classes(names, labels)
    deep = values.dtype == np.uint16
    height, width = target
    report = [
        f"Read {len(pictures):,} images of {height} x {width} (height x width) with {channels} "
        f"channel{'s' * (channels > 1)}, {16 if deep else 8} bits.",
        *_listed("Skipped {} that cannot be read: {}.", skipped),
        *_listed("Ignored {} hidden or not images: {}.", ignored),
        *report,
        *known.said,
    ]
    x = torch.from_numpy(values.astype(np.int32) if deep else values).permute(0, 3, 1, 2)
    units = Units((0.0,), (65535.0 if deep else 255.0,), "uint16" if deep else "uint8")
    return Dataset(
        x, units, known.y, known.classes, tuple(names), c=known.c, conditions=known.conditions, report=tuple(report)
    )


def _checked(root: Path, size: int | Sequence[int] | None, channels: int | None, fit: str) -> Size | None:
    if not root.exists():
        raise BadInput(f"no file or folder '{root}' exists; give the path of a folder or zip file of images")
    if channels not in (None, 1, 3, 4):
        raise BadInput(f"images have 1 (grey), 3 (RGB) or 4 (RGB and alpha) channels, got {channels}; choose one")
    if fit not in ("crop", "pad", "stretch"):
        raise unknown("fit", fit, ("crop", "pad", "stretch"))
    if size is None:
        return None
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2 or not all(isinstance(side, int) and 1 <= side <= 16384 for side in sides):
        raise BadInput(f"size needs a side or (height, width), each from 1 to 16384, got {size!r}")
    return sides[0], sides[1]


# --- finding files ---------------------------------------------------------------------------------------------------


@contextmanager
def _opened(root: Path) -> Iterator[tuple[list[File], list[File]]]:
    """The image files by name, and all others."""
    if root.is_file() and root.suffix.lower() in _ENDINGS:
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


def _content(file: File) -> bytes:
    source = file.open()
    return source.read_bytes() if isinstance(source, Path) else source.read()


def _parted(files: list[File]) -> tuple[list[File], list[File]]:
    def usable(name: str) -> bool:
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
        return name.lower().endswith(_ENDINGS) and not hidden

    files = sorted(files, key=lambda file: file.name)
    return [file for file in files if usable(file.name)], [file for file in files if not usable(file.name)]


def _gathered(results: Iterator[Picture | str]) -> tuple[list[Picture], list[str]]:
    """The pictures, and what was skipped; stops before they fill the machine."""
    pictures: list[Picture] = []
    skipped: list[str] = []
    held, limit = 0, _memory() // 2  # The other half is for the one array that they become.
    for result in results:
        if isinstance(result, str):
            skipped.append(result)
            continue
        pictures.append(result)
        held += result.pixels.nbytes
        if held > limit:
            raise BadInput(
                f"{len(pictures):,} images already fill {limit / 2**30:.1f} GiB, half the memory; give a smaller size"
            )
    return pictures, skipped


def _each(
    work: Callable[[File], Picture | str], files: list[File], progress: Callable[[int, int], None] | None
) -> Iterator[Picture | str]:
    """The results in the order of the files, decoded by one thread per core where that pays."""
    first = [work(file) for file in files[:_GROUP]]
    areas = [result.size[0] * result.size[1] for result in first if isinstance(result, Picture)]
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


# --- all of them --------------------------------------------------------------------------------------------------


def _common_size(sizes: list[Size]) -> Size:
    """The most common size; the one of middle area if several are equally common."""
    counts = Counter(sizes)
    most = max(counts.values())
    tied = sorted((size for size, count in counts.items() if count == most), key=lambda size: (size[0] * size[1], size))
    return tied[len(tied) // 2]


def _assembled(pictures: list[Picture], size: Size, channels: int | None, fit: str) -> tuple[Pixels, int, list[str]]:
    """One array (N, H, W, C), its channels, and what had to be done."""
    kinds = Counter(picture.pixels.shape[2] for picture in pictures)
    channels = channels or (3 if kinds[3] or kinds[4] else 1)
    deep = sum(picture.pixels.dtype == np.uint16 for picture in pictures)
    dtype: type[Any] = np.uint16 if deep == len(pictures) else np.uint8
    needed = len(pictures) * size[0] * size[1] * channels * np.dtype(dtype).itemsize
    if needed > (memory := _memory()):
        raise BadInput(f"the images need {needed / 2**30:.1f} GiB, there are {memory / 2**30:.1f}; give a smaller size")
    values = np.empty((len(pictures), *size, channels), dtype)
    clear = 0
    for k, picture in enumerate(pictures):
        pixels = resized(picture.pixels, size, fit)
        if pixels.dtype != dtype:
            pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
        clear += pixels.shape[2] in (2, 4) and bool((pixels[..., -1] < 255).any())
        values[k] = in_channels(pixels, channels)
    return values, channels, _done(pictures, size, channels, fit, clear, deep if dtype is np.uint8 else 0)


def _done(pictures: list[Picture], size: Size, channels: int, fit: str, clear: int, narrowed: int) -> list[str]:
    resized = [picture.size for picture in pictures if picture.size != size]
    enlarged = sum(stored[0] < size[0] or stored[1] < size[1] for stored in resized)
    grey = sum(picture.pixels.shape[2] < 3 for picture in pictures)
    counts = {
        f"Resized {{}} to {size[0]} x {size[1]} (fit: {fit}; Lanczos).": len(resized),
        f"Enlarged {{}} that had a side below {size[0]} x {size[1]}, which blurs.": enlarged,
        "Turned {} upright, as their EXIF data ask.": sum(picture.rotated for picture in pictures),
        "Repeated the grey of {} in all colour channels.": grey if channels > 1 else 0,
        "Turned {} from colour to grey.": len(pictures) - grey if channels == 1 else 0,
        "Laid {} with transparent parts over white; channels=4 keeps the alpha.": clear if channels < 4 else 0,
        "Reduced {} from 16 to 8 bits, as others have 8.": narrowed,
        "Read {} at 8 bits that have 16 bits per colour.": sum(picture.cut for picture in pictures),
        "Took the first frame of {} with several.": sum(picture.animated for picture in pictures),
    }
    return [said.format(_count(count, "image")) for said, count in counts.items() if count]


def _classes(names: list[str], labels: bool) -> Known:
    """Labels from the folders, if they are classes."""
    if not labels:
        return _nothing()
    parts = [name.split("/") for name in names]
    while all(len(part) > 1 for part in parts) and len({part[0] for part in parts}) == 1:
        parts = [part[1:] for part in parts]
    if all(len(part) == 1 for part in parts):
        return _nothing()
    if any(len(part) != 2 for part in parts):
        return _nothing("The folders are not one level deep, so they name no classes.")
    if {part[0].lower() for part in parts} <= _SPLITS:
        return _nothing("The folders name splits, not classes; all of them were read.")
    classes = tuple(sorted({part[0] for part in parts}))
    number = {name: k for k, name in enumerate(classes)}
    y = torch.tensor([number[part[0]] for part in parts])
    said = f"Took {len(classes)} folders as classes; labels=false leaves them out."
    return Known(y, classes, None, None, [said])


def _nothing(*said: str) -> Known:
    return Known(None, (), None, None, list(said))


def _listed(said: str, names: list[str], show: int = 5) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - show:,} more" if len(names) > show else ""
    return [said.format(_count(len(names), "file"), ", ".join(names[:show]) + more)]


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Not told on every system.
        return 1 << 50
