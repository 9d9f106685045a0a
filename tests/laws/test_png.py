"""PNG files written by rows, and colours of 16 bits read through Pillow, whichever filters rows have."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from evenodds.data.pictures.opening import File
from evenodds.data.pictures.picture import DecodedImage, decode_deep
from evenodds.data.pictures.png import PngRows, is_whole_png, png_rows
from evenodds.errors import BadInput
from tests.nasty import deep_png


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


def read(content: bytes) -> DecodedImage | str:
    return decode_deep(File("a.png", lambda: io.BytesIO(content)))


def pixels(content: bytes) -> np.ndarray:
    picture = read(content)
    assert isinstance(picture, DecodedImage)
    return picture.pixels


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
    assert np.array_equal(pixels(content), x)
    assert np.array_equal(pixels(deep_png(x)), x)


@pytest.mark.parametrize("channels", [3, 4])
def test_pillow_reads_the_upper_eight_bits_of_what_is_written(channels: int) -> None:
    x = np.random.default_rng(0).integers(0, 65536, (20, 31, channels)).astype(np.uint16)
    with Image.open(io.BytesIO(deep_png(x, b"a profile"))) as image:
        assert image.info["icc_profile"] == b"a profile"
        assert np.array_equal(np.asarray(image), x >> 8)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_large_pictures_are_brought_over_by_rows(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are whole, turned upright too, and the reading is told from the first byte to the last."""
    x = np.random.default_rng(0).integers(0, 65536, (23, 31, channels)).astype(np.uint16)
    monkeypatch.setattr("evenodds.data.pictures.picture._AT_ONCE", 100)
    assert np.array_equal(pixels(deep_png(x)), x)
    eight = io.BytesIO()
    Image.fromarray((x >> 8).astype(np.uint8)[..., 0 if channels == 1 else slice(None)]).save(eight, "PNG")
    assert np.array_equal(pixels(eight.getvalue()), x >> 8)


def test_the_reading_is_told(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 65536, (200, 300, 3)).astype(np.uint16)
    (tmp_path / "a.png").write_bytes(deep_png(x))
    told: list[float] = []
    decode_deep(File("a.png", lambda: tmp_path / "a.png"), progress=lambda done, total: told.append(done / total))
    assert told[-1] == 1
    assert any(0.2 < share < 0.4 for share in told)
    assert any(0.6 < share < 0.9 for share in told)


def test_what_is_read_at_its_depth_and_what_is_not() -> None:
    x = np.random.default_rng(0).integers(0, 65536, (4, 5, 3)).astype(np.uint16)
    eight = io.BytesIO()
    Image.fromarray((x >> 8).astype(np.uint8)).save(eight, "PNG")
    assert pixels(eight.getvalue()).dtype == np.uint8
    named = deep_png(x)
    named = (
        named[:33] + chunk(b"tRNS", bytes(6)) + named[33:]
    )  # A colour that is transparent: at 8 bits, as Pillow does.
    picture = read(named)
    assert isinstance(picture, DecodedImage)
    assert (picture.cut, picture.pixels.dtype) == (True, np.uint8)
    good = deep_png(x)
    for content in (good[:-30], good[:50], good[:20]):
        assert isinstance(read(content), str)


@settings(max_examples=30, deadline=None)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    channels=st.integers(1, 4),
    deep=st.booleans(),
    cut=st.lists(st.integers(0, 40), max_size=3),
    at_once=st.integers(1, 500),
)
def test_rows_may_come_in_any_portions(
    size: tuple[int, int], channels: int, deep: bool, cut: list[int], at_once: int
) -> None:
    """Of all kinds, and the bytes of the file are those of all rows at once."""
    dtype = np.uint16 if deep else np.uint8
    x = np.random.default_rng(0).integers(0, 65536 if deep else 256, (*size, channels)).astype(dtype)
    files = []
    with pytest.MonkeyPatch.context() as patch:
        for portions in ([x], np.split(x, sorted(min(at, size[0]) for at in cut))):
            content = io.BytesIO()
            rows = PngRows(content, size, channels, 16 if deep else 8)
            for portion in portions:
                rows.add(portion)
            rows.close()
            files.append(content.getvalue())
            patch.setattr("evenodds.data.pictures.png._AT_ONCE", at_once)
    assert files[0] == files[1]
    assert np.array_equal(pixels(files[0]), x)


def test_a_palette_shows_values_in_colours(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (9, 7, 1)).astype(np.uint8)
    colours = np.random.default_rng(1).integers(0, 256, (256, 3)).astype(np.uint8)
    with png_rows(tmp_path / "a.png", (9, 7), 1, palette=colours) as rows:
        rows.add(values)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image), values[..., 0])
        assert np.array_equal(np.asarray(image.convert("RGB")), colours[values[..., 0]])


def test_files_are_whole_or_not_there(tmp_path: Path) -> None:
    for missing in (np.zeros((2, 3, 1), np.uint8), np.zeros((3, 3, 1), np.uint16), np.zeros((3, 2, 1), np.uint8)):
        with pytest.raises(BadInput), png_rows(tmp_path / "a.png", (3, 3), 1) as rows:
            rows.add(missing)
    with pytest.raises(KeyboardInterrupt), png_rows(tmp_path / "a.png", (3, 3), 1) as rows:
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_a_whole_file_is_told_from_a_damaged_one_without_decoding(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 65536, (90, 80, 3)).astype(np.uint16)
    path, good = tmp_path / "a.png", deep_png(x)
    eight = io.BytesIO()
    Image.fromarray((x >> 8).astype(np.uint8)).save(eight, "PNG")
    for content in (good, eight.getvalue(), good + b"more"):
        path.write_bytes(content)
        assert is_whole_png(path)
    for content in (b"", b"text", good[:-1], good[:20], good[:-12], good[:99] + b"?" + good[100:]):
        path.write_bytes(content)
        assert not is_whole_png(path)
    assert not is_whole_png(tmp_path)
