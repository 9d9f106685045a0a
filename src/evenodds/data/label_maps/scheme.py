"""Which values of label maps are which classes, and which are none."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import max_pool2d

from evenodds.data.palette import IGNORED, Colour, Palette, distinct_colours
from evenodds.data.pictures.placing import Pixels
from evenodds.data.wording import listed
from evenodds.errors import BadInput, unknown

__all__ = ["COLOURS", "NAMES", "Scheme", "coloured", "listed_names", "scheme"]

NAMES = ("classes.txt", "labels.txt")
"""Files that name the classes."""
COLOURS = ("colours.txt", "colors.txt", "label_colors.txt", "label_colours.txt")
"""Files that name the classes' colours."""
STEPS = 51
"""Maps whose values are all multiples of this are labels times it, so that they can be seen."""
MIDDLE = 128
"""From this value on, a pixel of a map with soft edges belongs to the object."""
EXTREMES = 0.5
"""Maps have soft edges where at least this part of their pixels is 0 or 255 ..."""
BETWEEN = 0.8
"""... and at least this part of the others has both a dark and a light one within `REACH` pixels."""
REACH = 4
DARK, LIGHT = 64, 191
LOOKED_AT = 64
"""Maps of which the edges are looked at."""
_VOID = ("void", "unlabelled", "unlabeled", "ignore", "ignored")


class Scheme(NamedTuple):
    """The classes of maps."""

    names: tuple[str, ...]
    palette: Palette
    table: NDArray[np.uint8]  # (257,) the label of each value; the last one, at index -1, that of what was added.
    notes: list[str]


def listed_names(content: bytes, name: str) -> list[str]:
    """The names in a file, one a line."""
    lines = [line.strip() for line in _text(content, name).splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    if not 1 <= len(lines) <= 256:
        raise BadInput(f"{name} needs 1 to 256 names, one a line, got {len(lines)}; the line's number is the value")
    return lines


def coloured(content: bytes, name: str) -> tuple[dict[Colour, int], list[str]]:
    """Values by colour, and names, of a file of lines `R G B name`."""
    values: dict[Colour, int] = {}
    names: list[str] = []
    for number, line in enumerate(listed_names(content, name)):
        red, green, blue, *words = [*line.replace(",", " ").split(), "", "", ""]
        if not all(part.isdecimal() and int(part) <= 255 for part in (red, green, blue)):
            raise BadInput(f"{name}, line {number + 1}: three numbers in [0, 255] and a name are needed, got '{line}'")
        colour = int(red), int(green), int(blue)
        if colour in values:
            raise BadInput(f"{name}, line {number + 1}: the colour {red} {green} {blue} stands there already")
        values[colour] = number
        names.append(" ".join(words).strip() or f"class {number}")
    return values, names


def _text(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{name} must be text in UTF-8: {error}; save it again") from error


def scheme(
    values: Pixels,
    names: Sequence[str] | None,
    ignore: int | str | None,
    colours: Mapping[int, Colour],
    void: Collection[int] = (),
) -> Scheme:
    """The classes of maps.

    Args:
        values: (N, H, W) int16: values in files, -1 of what was added.
        names: of the values 0, 1, ...; None: the values that occur are the classes.
        ignore: see `maps`. Where neither this nor names are given, maps of 0 and 255 with shades in between are of two
            classes.
        colours: of values, as far as they are known.
        void: values that count as no class where `ignore` says nothing.
    """
    pixels = np.zeros(256, np.int64)
    for one in values:
        pixels += np.bincount(one.ravel() + 1, minlength=257)[1:]
    used = [int(value) for value in pixels.nonzero()[0]]
    if names is None and ignore is None and not _evenly_spaced(used) and _soft(values, pixels):
        return _of_two(pixels, colours)
    none, notes = _ignored(used, names, ignore, void)
    named = dict(enumerate(names or ()))
    unnamed = [value for value in used if value not in named and value not in none]
    classes = sorted({*named, *unnamed} - none)
    if not classes:
        raise BadInput(f"the maps hold nothing but what is ignored, {_words(none, named)}; data.ignore=none keeps it")
    if len(classes) > IGNORED:
        raise BadInput(f"maps have at most {IGNORED} classes, got {len(classes)}; ignore one of them")
    table = np.full(257, IGNORED, np.uint8)
    table[classes] = np.arange(len(classes))
    if none:
        share = 100 * float(pixels[sorted(none)].sum()) / float(pixels.sum())
        notes.append(f"Ignored are {_words(none & {*used} or none, named)}: {share:.1f} % of the pixels.")
    if names is not None and unnamed:
        numbers = [str(value) for value in unnamed]
        notes += listed("Named {} after their number, as no name was given: {}.", numbers, what="value")
    absent = [named[value] for value in classes if value not in used]
    notes += listed("Found no pixel of {}: {}.", absent, what="class")
    words = tuple(named.get(value, f"class {value}") for value in classes)
    return Scheme(words, _palette(classes, none, colours), table, notes)


def _soft(values: Pixels, pixels: NDArray[np.int64]) -> bool:
    """Whether maps are of 0 and 255 with soft edges, as enlarging or lossy files leave them."""
    extremes = int(pixels[0]) + int(pixels[IGNORED])
    if min(int(pixels[0]), int(pixels[IGNORED])) == 0 or not EXTREMES * pixels.sum() <= extremes < pixels.sum():
        return False
    shades = np.flatnonzero(pixels)
    if len(shades) < 4 or int(shades[-2]) - int(shades[1]) < DARK:
        return False  # a few labels, and 255
    some = torch.from_numpy(values[:: max(1, len(values) // LOOKED_AT)].astype(np.float32))[:, None]
    side = 2 * REACH + 1
    lightest, darkest = max_pool2d(some, side, 1, REACH), -max_pool2d(-some, side, 1, REACH)
    shade = (some > 0) & (some < IGNORED)
    return float(((darkest < DARK) & (lightest > LIGHT))[shade].float().mean()) >= BETWEEN


def _of_two(pixels: NDArray[np.int64], colours: Mapping[int, Colour]) -> Scheme:
    """The two classes of maps with soft edges."""
    table = np.full(257, IGNORED, np.uint8)
    table[:MIDDLE], table[MIDDLE:256] = 0, 1
    share = 100 * (1 - (pixels[0] + pixels[IGNORED]) / pixels.sum())
    note = (
        f"The maps are of 0 and 255 with soft edges ({share:.1f} % of the pixels lie between): from {MIDDLE} on a "
        "pixel counts as 255; data.ignore=none takes each value as a class."
    )
    return Scheme(("class 0", "class 255"), _palette([0, IGNORED], set(), colours), table, [note])


def _palette(classes: list[int], none: set[int], colours: Mapping[int, Colour]) -> Palette:
    """The values and colours of the classes, and of what is none."""
    spare = dict(zip(classes, distinct_colours(len(classes)), strict=True))
    back = IGNORED if IGNORED in none or not none else min(none)
    return Palette(
        tuple(classes),
        tuple(colours.get(value, spare[value]) for value in classes),
        back,
        colours.get(back, (0, 0, 0)) if none else (0, 0, 0),
    )


def _ignored(
    used: list[int], names: Sequence[str] | None, ignore: int | str | None, void: Collection[int]
) -> tuple[set[int], list[str]]:
    """The values that are no class, and a note on the choice."""
    lower = [name.lower() for name in names or ()]
    if ignore is None and void:
        return {*void} | ({IGNORED} & set(used)), []
    if ignore is None:
        if names is None and _evenly_spaced(used):
            levels = ", ".join(map(str, used[:-1]))
            alone = f"The maps are of {levels} and 255 alone, so 255 counts as a class"
            return set(), [f"{alone}; data.ignore=255 ignores it."]
        return {value for value, name in enumerate(lower) if name in _VOID} | ({IGNORED} & set(used)), []
    word = str(ignore).strip()
    if word.lower() in lower:
        return {lower.index(word.lower())}, []
    if word.lower() == "none":
        return set(), []
    if not word.isdecimal():
        raise unknown("class to ignore", word, [*(names or ()), "none", "a value from 0 to 255"])
    if int(word) > 255:
        raise BadInput(f"the value to ignore must lie in [0, 255], got {word}; or give the name of a class")
    return {int(word)}, []


def _evenly_spaced(used: Sequence[int]) -> bool:
    """Whether the values are two or three spread from 0 to 255, or labels times 51."""
    if len(used) < 2 or (used[0], used[-1]) != (0, IGNORED):
        return False
    if len(used) == 2:
        return True
    return (len(used) == 3 and used[1] in (127, 128)) or all(value % STEPS == 0 for value in used)


def _words(values: set[int], named: Mapping[int, str]) -> str:
    return " and ".join(f"'{named[v]}' (value {v})" if v in named else f"the value {v}" for v in sorted(values))
