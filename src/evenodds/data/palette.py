"""What the classes of label maps are in files: values and colours."""

from __future__ import annotations

from colorsys import hsv_to_rgb
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.errors import BadInput

__all__ = ["IGNORED", "Colour", "Palette", "distinct_colours"]

IGNORED = 255
"""The label, in maps, of pixels that belong to no class."""
Colour = tuple[int, int, int]

_KELLY = """
F3C300 875692 F38400 A1CAF1 BE0032 C2B280 848482 008856 E68FAC 0067A5
F99379 604E97 F6A600 B3446C DCD300 882D17 8DB600 654522 E25822 2B3D26
"""
"""Kelly (1965), Twenty-two colors of maximum contrast, without white and black."""
_GOLDEN = 0.6180339887498949


def distinct_colours(n: int) -> tuple[Colour, ...]:
    """n colours, RGB in [0, 255], of which the first 20 differ most; neither black nor white is among them."""
    first = [(int(word[:2], 16), int(word[2:4], 16), int(word[4:], 16)) for word in _KELLY.split()]
    rest: list[Colour] = []
    for k in range(max(0, n - len(first))):  # Multiples of the golden ratio leave no hue crowded, however many.
        red, green, blue = hsv_to_rgb(k * _GOLDEN % 1, (0.55, 0.85)[k % 2], (0.95, 0.75, 0.55)[k % 3])
        rest.append((round(255 * red), round(255 * green), round(255 * blue)))
    return tuple([*first, *rest][:n])


@dataclass(frozen=True)
class Palette:
    """What the classes of label maps are in files: values and colours. Classes are 0 to K - 1, and 255 is ignored."""

    values: tuple[int, ...]
    """The value of each class in the files, in [0, 255]."""
    colours: tuple[tuple[int, int, int], ...]
    """The colour of each class, RGB in [0, 255]."""
    ignored: int = IGNORED
    """The value in the files of what is ignored."""
    ignored_colour: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(int(value) for value in self.values))
        object.__setattr__(self, "colours", tuple(tuple(int(part) for part in colour) for colour in self.colours))
        object.__setattr__(self, "ignored_colour", tuple(int(part) for part in self.ignored_colour))
        parts = [part for colour in self.colours for part in colour]
        every = [*self.values, self.ignored, *self.ignored_colour, *parts]
        if len(set(self.values)) != len(self.values) or not 1 <= len(self.values) <= IGNORED:
            raise BadInput(f"a palette needs 1 to {IGNORED} different values, got {len(self.values)}")
        if len(self.colours) != len(self.values) or not all(0 <= number <= 255 for number in every):
            raise BadInput(f"a palette needs a colour for each of {len(self.values)} values, all in [0, 255]")

    @classmethod
    def plain(cls, classes: int) -> Palette:
        """Classes 0, 1, ... that are their own values in files, in colours that can be told apart."""
        return cls(tuple(range(classes)), distinct_colours(classes))

    def by_colour(self) -> dict[Colour, int]:
        """The value in files of each colour."""
        return {self.ignored_colour: self.ignored} | dict(zip(self.colours, self.values, strict=True))

    def to_file(self, labels: NDArray[Any]) -> NDArray[np.uint8]:
        """Labels (...) of classes, and 255, as files hold them: (...) uint8. What is no class counts as ignored."""
        table = np.full(256, self.ignored, np.uint8)
        table[: len(self.values)] = self.values
        return np.asarray(table[labels])

    def to_classes(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Values (...) of files in [0, 255] as labels (...) uint8; 255 where they are no class."""
        table = np.full(256, IGNORED, np.uint8)
        table[list(self.values)] = np.arange(len(self.values))
        return np.asarray(table[values])

    def paint(self, labels: NDArray[Any]) -> NDArray[np.uint8]:
        """Labels (H, W), 255 ignored, in their colours: (H, W, 3)."""
        return np.asarray(self._colour_table[labels])

    @property
    def colours_by_value(self) -> NDArray[np.uint8]:
        """(256, 3): the colour of each value in files."""
        return np.asarray(self._colour_table[self.to_classes(np.arange(256))])

    @property
    def _colour_table(self) -> NDArray[np.uint8]:
        table = np.full((256, 3), self.ignored_colour, np.uint8)
        table[: len(self.colours)] = self.colours
        return table

    def to_json(self) -> dict[str, Any]:
        """Plain values, as fields by name."""
        return {
            "values": list(self.values),
            "colours": [list(colour) for colour in self.colours],
            "ignored": self.ignored,
            "ignored_colour": list(self.ignored_colour),
        }
