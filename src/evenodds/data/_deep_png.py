"""PNG of 16 bits per colour, which Pillow reads and writes at 8.

After the specification: W3C, Portable Network Graphics, third edition (2025). Chunks, zlib, and five filters of rows.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["from_png", "to_png"]

Deep = NDArray[np.uint16]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KINDS = {1: 0, 2: 4, 3: 2, 4: 6}
"""The number of a kind of pixels (section 11.2.1) by its channels."""


def from_png(content: bytes) -> Deep | None:
    """(H, W, C) uint16, C of 1 to 4, as stored; None where it is no such PNG, or damaged, interlaced, or names a colour
    that is transparent."""
    chunks = dict[bytes, bytes]()
    for name, data in _chunks(content):
        chunks[name] = chunks.get(name, b"") + data
    if len(chunks.get(b"IHDR", b"")) != 13 or b"tRNS" in chunks:
        return None
    width, height, bits, kind, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    channels = {number: count for count, number in _KINDS.items()}.get(kind)
    if bits != 16 or channels is None or interlaced:
        return None
    length = height * (1 + 2 * channels * width)
    try:
        rows = zlib.decompressobj().decompress(chunks.get(b"IDAT", b""), length)
    except zlib.error:
        return None
    if len(rows) != length:
        return None
    table = np.frombuffer(rows, np.uint8).reshape(height, -1)
    values = _unfiltered(table[:, 1:].reshape(height, width, 2 * channels), table[:, 0])
    return values.view(">u2").astype(np.uint16)


def to_png(x: Deep, profile: bytes | None = None) -> bytes:
    """The file of (H, W, C) uint16, C of 1 to 4, with a colour profile or none. All rows have the fourth filter."""
    height, width, channels = x.shape
    stored = np.ascontiguousarray(x.astype(">u2")).view(np.uint8)
    before = np.zeros((height + 1, width + 1, 2 * channels), np.int16)
    before[1:, 1:] = stored
    change = (stored - _paeth(before[1:, :-1], before[:-1, 1:], before[:-1, :-1])).astype(np.uint8)
    rows = np.concatenate([np.full((height, 1), 4, np.uint8), change.reshape(height, -1)], 1)
    coloured = _chunk(b"iCCP", b"profile\0\0" + zlib.compress(profile)) if profile else b""
    head = struct.pack(">IIBBBBB", width, height, 16, _KINDS[channels], 0, 0, 0)
    return b"".join(
        [
            _SIGNATURE,
            _chunk(b"IHDR", head),
            coloured,
            _chunk(b"IDAT", zlib.compress(rows.tobytes())),
            _chunk(b"IEND", b""),
        ]
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while content.startswith(_SIGNATURE) and at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4])
        name, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        if _chunk(name, data) != content[at : at + 12 + length]:  # cut off, or its checksum is another
            return
        yield name, data
        at += 12 + length


def _unfiltered(change: NDArray[np.uint8], filters: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, bytes of a pixel): the values, of which each row holds the changes by its own filter.

    A byte depends on those to its left, above, and above to the left. Along diagonals none depends on another, so that
    whole diagonals are found at once: step t finds column t - r of each row r.
    """
    height, width, size = change.shape
    values = np.zeros((height + 1, width + 1, size), np.uint8)  # with the zeros that surround the image
    which = [(filters == k)[:, None].astype(np.int16) for k in range(5)]
    for t in range(height + width - 1):
        r = np.arange(max(0, t - width + 1), min(height, t + 1))
        c = t - r
        left, up, corner = (values[a, b].astype(np.int16) for a, b in ((r + 1, c), (r, c + 1), (r, c)))
        guess = which[1][r] * left + which[2][r] * up + which[3][r] * ((left + up) >> 1)
        guess += which[4][r] * _paeth(left, up, corner)
        values[r + 1, c + 1] = change[r, c] + guess.astype(np.uint8)
    return np.ascontiguousarray(values[1:, 1:])


def _paeth(left: NDArray[np.int16], up: NDArray[np.int16], corner: NDArray[np.int16]) -> NDArray[np.int16]:
    """Section 9.4: whichever of the three is nearest to left + up - corner."""
    to_left, to_up = np.abs(up - corner), np.abs(left - corner)
    to_corner = np.abs(left + up - 2 * corner)
    nearest = np.where(to_up <= to_corner, up, corner)
    return np.where((to_left <= to_up) & (to_left <= to_corner), left, nearest)
