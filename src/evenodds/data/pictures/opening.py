"""Files of images opened without trust: kinds of file that start no program, within limits, nothing decoded yet."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from evenodds.data.pictures.plugins import opener
from evenodds.errors import BadInput
from evenodds.files.extras import Missing
from evenodds.files.regular import NotRegular, open_regular, size_of

__all__ = [
    "MOST_PIXELS", "File", "Unusable", "check_pixels", "checked_limit", "guarded", "in_planes", "most_bytes", "opened",
    "raw_mode", "streamed", "unpacked_as",
]  # fmt: skip

MOST_PIXELS = 89_478_485
"""Of a picture that is decoded, by default. Pillow's own bound: a quarter of a gibibyte at 3 bytes."""
# Only these decoders: others, such as that of EPS, start programs.
_FORMATS = ("PNG", "JPEG", "MPO", "BMP", "GIF", "TIFF", "WEBP", "PPM", "TGA")
_RAISED = "--most-pixels, or data.most_pixels of a run, raises the limit of {:,}"
_BYTES_PER_PIXEL = 12  # That a file may have, of its limit of pixels: 16 bits of four channels, and half as much more.
_BITS_PER_SAMPLE, _PLANAR = 258, 284  # Tags of TIFF 6.0, section 8.


class File(NamedTuple):
    """A file of a folder or an archive, not read yet.

    Args:
        name: relative to what it is a part of.
        open: gives its path, or a stream where it lies in an archive.
        label: the class that what it is a part of names; None where nothing is said of it.
        kind: "dicom" where its content, and not the ending of its name, says what it is.
    """

    name: str
    open: Callable[[], Path | BinaryIO]
    label: str | None = None
    kind: str = ""


class Unusable(Exception):
    """Why one file cannot be used."""


def checked_limit(most_pixels: int | None) -> int:
    """The limit of pixels; `MOST_PIXELS` where there is none.

    Raises:
        BadInput: it is no whole number of at least 1.
    """
    if most_pixels is None:
        return MOST_PIXELS
    if not isinstance(most_pixels, int) or isinstance(most_pixels, bool) or most_pixels < 1:
        raise BadInput(f"most_pixels needs a whole number of at least 1, got {most_pixels!r}; {MOST_PIXELS} is usual")
    return most_pixels


def most_bytes(most_pixels: int) -> int:
    """Bytes that the file of a picture of at most so many pixels may have."""
    return max(_BYTES_PER_PIXEL * most_pixels, 1 << 20)


Made = TypeVar("Made")


def guarded(
    file: File,
    read: Callable[[ImageFile.ImageFile], Made],
    most_pixels: int = MOST_PIXELS,
    heard: Callable[[int, int], None] | None = None,
) -> Made | str:
    """What `read` makes of the opened file, or the file's name and why it cannot be used.

    Args:
        read: is called with an image of at most `most_pixels`, whose pixels are not decoded yet.
        heard: told (place, size) in bytes of the file, as it is read.
    """

    def of_image(stream: BinaryIO) -> Made:
        with opened(stream, most_pixels) as image:
            check_pixels(image.height, image.width, most_pixels)
            return read(image)

    return streamed(file, of_image, most_pixels, heard)


def streamed(
    file: File,
    read: Callable[[BinaryIO], Made],
    most_pixels: int = MOST_PIXELS,
    heard: Callable[[int, int], None] | None = None,
) -> Made | str:
    """What `read` makes of the bytes of a file, or the file's name and why it cannot be used; see `guarded`."""
    try:
        source = file.open()
        with open_regular(source, heard) if isinstance(source, Path) else source as stream:
            _check_bytes(size_of(stream), most_pixels)
            return read(stream)
    except Unusable as error:
        return f"{file.name} ({error})"
    except (NotRegular, Missing) as error:
        return f"{file.name} ({error.reason})"
    except UnidentifiedImageError:
        return f"{file.name} (not an image)"
    except Image.DecompressionBombError:
        return f"{file.name} ({_too_many('over 178,956,970', most_pixels)})"
    except MemoryError:
        return f"{file.name} (out of memory)"
    except Exception:  # Decoders fail in many ways on damaged files: OSError, SyntaxError, struct.error, ...
        return f"{file.name} (damaged)"


def check_pixels(height: int, width: int, most_pixels: int) -> None:
    """`Unusable` where a picture has more pixels than may be."""
    if height * width > most_pixels:
        raise Unusable(_too_many(f"{width:,} x {height:,}", most_pixels))


def _check_bytes(size: int, most_pixels: int) -> None:
    if not size:
        raise Unusable("empty")
    if size > (most := most_bytes(most_pixels)):
        raise Unusable(f"a file of {size:,} bytes; over {most:,}; {_RAISED.format(most_pixels)}")


def _too_many(pixels: str, most_pixels: int) -> str:
    return f"too many pixels: {pixels}; {_RAISED.format(most_pixels)}"


def opened(stream: BinaryIO, most_pixels: int = MOST_PIXELS) -> ImageFile.ImageFile:
    """As `Image.open`, whose limit of pixels is one of the whole process; the first of the formats that fits."""
    prefix = stream.read(16)
    formats = _formats()
    if (opens := opener(prefix)) is not None:
        stream.seek(0)
        return opens(stream, lambda height, width: check_pixels(height, width, most_pixels))
    for name in formats:
        factory, accepts = Image.OPEN[name]
        if accepts is None or accepts(prefix) is True:
            stream.seek(0)
            try:
                return _by_planes(factory(stream, ""))
            except (SyntaxError, IndexError, TypeError, struct.error):  # It is of another format, as for `Image.open`.
                continue
    raise UnidentifiedImageError


def _by_planes(image: ImageFile.ImageFile) -> ImageFile.ImageFile:
    """The image; each plane of an uncompressed TIFF of 16 bits, which Pillow takes for one of 8, at its own depth."""
    if isinstance(image, TiffImageFile) and not image.use_load_libtiff and in_planes(image):
        order = "L" if image.tag_v2.prefix == b"II" else "B"
        if set(image.tag_v2.get(_BITS_PER_SAMPLE, ())) == {16}:
            image.tile = [unpacked_as(tile, f"{raw_mode(tile)};16{order}") for tile in image.tile]
    return image


def in_planes(image: TiffImageFile) -> bool:
    """Whether the colours lie one after the other (TIFF 6.0, section 8: PlanarConfiguration = 2)."""
    return bool(image.tag_v2.get(_PLANAR, 1) == 2)


def raw_mode(tile: Any) -> str:
    """How Pillow unpacks the bytes of a part of a file, e.g. "RGB;16B"."""
    return str(tile.args if isinstance(tile.args, str) else tile.args[0])


def unpacked_as(tile: Any, kind: str) -> Any:
    """The part of a file, whose bytes are taken for those of another kind of pixels of the same length."""
    return tile._replace(args=kind if isinstance(tile.args, str) else (kind, *tile.args[1:]))


@cache
def _formats() -> list[str]:
    Image.init()  # Pillow otherwise knows only its commonest formats, and fails on the name of another.
    return [name for name in _FORMATS if name in Image.OPEN]
