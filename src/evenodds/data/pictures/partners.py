"""Two pictures that belong together, decoded and laid the same way up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from evenodds.data.pictures.picture import DecodedImage, upright
from evenodds.data.pictures.placing import Size
from evenodds.data.wording import count

__all__ = ["Partners", "aligned", "cropped", "in_multiples", "turned"]


class Partners(NamedTuple):
    """Two pictures that belong together."""

    name: str
    first: DecodedImage  # Makes x.
    second: DecodedImage  # Lies beside it.
    turned: bool = False  # One had no EXIF data and was turned as the other's ask.
    cropped: bool = False  # What of one has no place in the other was cut off.

    @property
    def size(self) -> Size:
        return self.first.size

    @property
    def nbytes(self) -> int:
        return self.first.nbytes + self.second.nbytes


def aligned(
    name: str, first: DecodedImage | str, second: DecodedImage | str, fits: Callable[[Size, Size], bool]
) -> Partners | str:
    """Both the same way up: where one lost the EXIF data that lay the other on its side, it is turned likewise.

    Sizes decide: what fits as it is was made from the upright picture. A square tells nothing; it counts as upright.
    Partners that fit in no way come as they are.

    Args:
        name: of both.
        first, second: what they were decoded to, or why one cannot be, which is then the result.
        fits: whether the sizes (height, width) of both are those of partners.
    """
    if isinstance(first, str):
        return first
    if isinstance(second, str):
        return second
    if fits(first.size, second.size):
        return Partners(name, first, second)
    if first.way_up >= 5 and second.way_up == 1 and fits(first.size, second.size[::-1]):
        return Partners(name, first, _turned(second, first.way_up), turned=True)
    if second.way_up >= 5 and first.way_up == 1 and fits(first.size[::-1], second.size):
        return Partners(name, _turned(first, second.way_up), second, turned=True)
    return Partners(name, first, second)


def in_multiples(partners: Partners, scale: int) -> Partners:
    """Partners of which the first is exactly so many times as large: what is left at its lower and right ends is cut.

    Where the smaller one was rounded up, its last row or column goes too.
    """
    first, second = partners.first, partners.second
    small = min(first.size[0] // scale, second.size[0]), min(first.size[1] // scale, second.size[1])
    large = small[0] * scale, small[1] * scale
    if (large, small) == (first.size, second.size):
        return partners
    return partners._replace(first=_cut(first, large), second=_cut(second, small), cropped=True)


def _cut(picture: DecodedImage, size: Size) -> DecodedImage:
    return picture._replace(pixels=np.ascontiguousarray(picture.pixels[: size[0], : size[1]]), size=size)


def _turned(picture: DecodedImage, way_up: int) -> DecodedImage:
    return picture._replace(pixels=upright(picture.pixels, way_up), size=picture.size[::-1], way_up=way_up)


def turned(partners: Sequence[Partners]) -> list[str]:
    """A note on those of which one was turned as the other."""
    number = sum(both.turned for both in partners)
    return [f"Turned {count(number, 'picture')} without EXIF data as the partner's ask."] if number else []


def cropped(partners: Sequence[Partners]) -> list[str]:
    """A note on those of which the rest that has no partner was cut off."""
    number = sum(both.cropped for both in partners)
    what = f"Cropped {count(number, 'pair')} at the lower and right ends, where sizes are no multiples of each other."
    return [what] if number else []
