"""Colours of 16 bits in TIFF files are read as they are, in either order of bytes, packed or not, in planes or not."""

import io
from itertools import product

import numpy as np
import pytest

from evenodds.data.pictures.opening import File
from evenodds.data.pictures.picture import DecodedImage, decode, decode_deep
from tests.nasty import tiff

FORMS = list(product("<>", (False, True), (False, True), (None, 5), (1, 6), (None, 2)))


def file(content: bytes) -> File:
    return File("a.tif", lambda: io.BytesIO(content))


def colours(channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 65536, (12, 17, channels)).astype(np.uint16)


@pytest.mark.parametrize(("order", "planes", "deflate", "rows", "way_up", "alpha"), FORMS)
def test_values_are_those_that_were_written(
    order: str, planes: bool, deflate: bool, rows: int | None, way_up: int, alpha: int | None
) -> None:
    x = colours(3 if alpha is None else 4)
    content = tiff(x, order, planes, deflate, rows, way_up, alpha)
    upright = np.rot90(x, -1) if way_up == 6 else x
    deep, eight = decode_deep(file(content)), decode(file(content), None, "crop")
    assert isinstance(deep, DecodedImage)
    assert isinstance(eight, DecodedImage)
    assert np.array_equal(eight.pixels, upright >> 8)
    assert eight.cut
    assert deep.size == eight.size == upright.shape[:2]
    assert deep.cut == (planes and deflate)  # Of these, libtiff gives the upper bytes alone.
    assert np.array_equal(deep.pixels, upright >> 8 if deep.cut else upright)


def test_an_unknown_fourth_channel_is_left_out() -> None:
    x = colours(4)
    deep = decode_deep(file(tiff(x, alpha=0)))
    assert isinstance(deep, DecodedImage)
    assert np.array_equal(deep.pixels, x[..., :3])


def test_alpha_that_is_multiplied_in_is_read_at_8_bits() -> None:
    deep = decode_deep(file(tiff(colours(4), alpha=1)))
    assert isinstance(deep, DecodedImage)
    assert (deep.cut, deep.pixels.dtype) == (True, np.uint8)


def test_a_ppm_of_16_bits_says_that_it_is_cut() -> None:
    x = colours(3)
    deep = decode_deep(File("a.ppm", lambda: io.BytesIO(b"P6 17 12 65535\n" + x.astype(">u2").tobytes())))
    assert isinstance(deep, DecodedImage)
    assert (deep.cut, deep.pixels.dtype) == (True, np.uint8)
    plain = decode_deep(File("a.ppm", lambda: io.BytesIO(b"P6 17 12 255\n" + (x >> 8).astype(np.uint8).tobytes())))
    assert isinstance(plain, DecodedImage)
    assert not plain.cut
