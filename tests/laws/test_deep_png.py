"""Sixteen bits per colour: what is written is read, whichever filters rows have, and Pillow agrees on its 8 bits."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from evenodds.data._deep_png import from_png, to_png


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def filtered(x: np.ndarray, filters: list[int], interlaced: int = 0) -> bytes:
    """A PNG whose rows have these filters, byte by byte as the specification words it."""
    height, width, channels = x.shape
    size = 2 * channels
    rows = [bytes(width * size), *(row.astype(">u2").tobytes() for row in x)]
    content = b""
    for k, kind in enumerate(filters, 1):
        content += bytes([kind])
        for i, value in enumerate(rows[k]):
            a = rows[k][i - size] if i >= size else 0
            b = rows[k - 1][i]
            c = rows[k - 1][i - size] if i >= size else 0
            p = a + b - c
            near = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            content += bytes([(value - (0, a, b, (a + b) // 2, near)[kind]) % 256])
    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, interlaced)
    split = len(zlib.compress(content)) // 2  # Pixels may come in several chunks.
    parts = zlib.compress(content)[:split], zlib.compress(content)[split:]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", head), chunk(b"tEXt", b"Title\0x"), *(chunk(b"IDAT", p) for p in parts), chunk(b"IEND", b"")]
    )


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.integers(1, 4),
    smooth=st.booleans(),
    seed=st.integers(0, 99),
)
def test_every_filter_is_undone(height: int, width: int, channels: int, smooth: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 65536, (height, width, channels)).astype(np.uint16)
    if smooth:
        x = (
            np.add.outer(np.arange(height) * 300, np.arange(width) * 77)
            .astype(np.uint16)[..., None]
            .repeat(channels, 2)
        )
    content = filtered(x, rng.integers(0, 5, height).tolist())
    assert np.array_equal(from_png(content), x)
    assert np.array_equal(from_png(to_png(x)), x)


@pytest.mark.parametrize("channels", [3, 4])
def test_pillow_reads_the_upper_eight_bits_of_what_is_written(channels: int) -> None:
    x = np.random.default_rng(0).integers(0, 65536, (20, 31, channels)).astype(np.uint16)
    with Image.open(io.BytesIO(to_png(x, b"a profile"))) as image:
        assert image.info["icc_profile"] == b"a profile"
        assert np.array_equal(np.asarray(image), x >> 8)


def test_what_is_not_such_a_file_is_none() -> None:
    x = np.zeros((4, 4, 3), np.uint16)
    good = to_png(x)
    eight = io.BytesIO()
    Image.fromarray(x.astype(np.uint8)).save(eight, "PNG")
    damaged = good[:45] + bytes([good[45] ^ 1]) + good[46:]
    for content in (b"", b"text", good[:-30], good[:20], damaged, eight.getvalue(), filtered(x, [0] * 4, interlaced=1)):
        assert from_png(content) is None
