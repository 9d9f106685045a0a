"""HEIC, AVIF and JPEG XL files, through packages beside Pillow.

These are imported, and registered with Pillow if they do that themselves, where such a file is met, and not before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

from PIL import Image, ImageFile

from evenodds.files.extras import Missing, needs

__all__ = ["opener"]

_AVIF = (b"avif", b"avis")
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""Brands of ISO/IEC 14496-12, section 4.3, at the 8th byte of a file."""
_CODESTREAM, _CONTAINER = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
"""Beginnings of JPEG XL files (ISO/IEC 18181-2)."""
_HEAD, _MOST_BOXES = 32, 1000

Opener = Callable[[BinaryIO, Callable[[int, int], None]], ImageFile.ImageFile]


def opener(prefix: bytes) -> Opener | None:
    """What opens a file that begins so, and tells (height, width) before pixels are decoded; None of other kinds.

    Args:
        prefix: 16 bytes.
    """
    brand = prefix[8:12] if prefix[4:8] == b"ftyp" else b""
    if brand in _AVIF:
        return _avif
    if brand in _HEIC:
        return _heic
    return _jpeg_xl if prefix.startswith((_CODESTREAM, _CONTAINER)) else None


def _avif(stream: BinaryIO, check: Callable[[int, int], None]) -> ImageFile.ImageFile:
    if "AVIF" not in Image.OPEN:
        raise Missing("avif")
    return _made(Image.OPEN["AVIF"][0], stream, check)


def _heic(stream: BinaryIO, check: Callable[[int, int], None]) -> ImageFile.ImageFile:
    with needs("heic"):
        import pillow_heif
    return _made(pillow_heif.HeifImageFile, stream, check)


def _made(factory: Any, stream: BinaryIO, check: Callable[[int, int], None]) -> ImageFile.ImageFile:
    image: ImageFile.ImageFile = factory(stream, "")
    check(image.height, image.width)
    return image


def _jpeg_xl(stream: BinaryIO, check: Callable[[int, int], None]) -> ImageFile.ImageFile:
    with needs("jxl"):
        from pillow_jxl.JpegXLImagePlugin import JXLImageFile
    check(*_size_of_jpeg_xl(_codestream(stream)))  # to open one is to decode it
    stream.seek(0)
    return _made(JXLImageFile, stream, check)


def _codestream(stream: BinaryIO) -> bytes:
    """The beginning of the codestream: of the file, or of the first box that holds it."""
    head = stream.read(_HEAD)
    if head.startswith(_CODESTREAM):
        return head
    at = 0
    for _ in range(_MOST_BOXES):
        stream.seek(at)
        box = stream.read(16)
        size, kind = int.from_bytes(box[:4]), box[4:8]
        begins = 16 if size == 1 else 8
        size = int.from_bytes(box[8:16]) if size == 1 else size
        if kind in (b"jxlc", b"jxlp"):
            stream.seek(at + begins + 4 * (kind == b"jxlp"))
            return stream.read(_HEAD)
        if size < begins:
            break
        at += size
    raise SyntaxError("no codestream in it")


def _size_of_jpeg_xl(head: bytes) -> tuple[int, int]:
    """(height, width): the SizeHeader of ISO/IEC 18181-1, annex D.2."""
    if not head.startswith(_CODESTREAM):
        raise SyntaxError("no codestream in it")
    bits = _Bits(head[2:])
    if bits.next(1):
        height = 8 * (1 + bits.next(5))
        ratio = bits.next(3)
        width = 8 * (1 + bits.next(5)) if not ratio else 0
    else:
        height = bits.length()
        ratio = bits.next(3)
        width = bits.length() if not ratio else 0
    above, below = ((0, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio]
    return height, width or height * above // below


class _Bits:
    """Bits of a codestream, the lowest of each byte first."""

    def __init__(self, content: bytes) -> None:
        self._value = int.from_bytes(content, "little")

    def next(self, number: int) -> int:
        value = self._value & ((1 << number) - 1)
        self._value >>= number
        return value

    def length(self) -> int:
        return 1 + self.next((9, 13, 18, 30)[self.next(2)])
