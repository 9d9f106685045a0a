"""One map of labels in a file of an image: the values of its pixels, whatever their colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from evenodds.data.label_maps.scheme import MIDDLE
from evenodds.data.palette import IGNORED, Colour
from evenodds.data.pictures.opening import MOST_PIXELS, File, Unusable, guarded
from evenodds.data.pictures.picture import DecodedImage, orientation, upright
from evenodds.data.pictures.placing import Pixels
from evenodds.game.arithmetic import evenly

__all__ = ["LOSSY", "colours_in", "read_map"]

_LOSSY = ("JPEG", "MPO", "WEBP")
LOSSY = "lossy"
"""The mode of a map that was black and white before its compression changed it."""
_DARK, _BETWEEN = 64, 0.2  # At most this part of its pixels is farther than that from both.
_WIDENED = {"L;2": 85, "L;4": 17}
_MOST_COLOURS = 64
"""Of maps whose colours are classes: of more, they are shades."""
_LOOKED_AT = 20
"""Files of which it is asked whether they have colours."""


def colours_in(files: Sequence[File], most_pixels: int = MOST_PIXELS) -> list[Colour]:
    """The colours of maps in RGB, in order; none where maps hold indices, or shades."""
    some = [files[k] for k in evenly(len(files), _LOOKED_AT).tolist()]
    if not any(_coloured(_colours(file, most_pixels)) for file in some):
        return []
    every: set[Colour] = set()
    for file in files:
        every |= _colours(file, most_pixels) or set()
        if len(every) > _MOST_COLOURS:
            return []
    return sorted(every)


def _colours(file: File, most_pixels: int) -> set[Colour] | None:
    """The colours of a file without loss in RGB; None of another one, and of more than are classes."""

    def read(image: ImageFile.ImageFile) -> list[Any] | None:
        lossy = image.format in _LOSSY or image.mode not in ("RGB", "RGBA")
        return None if lossy else image.getcolors(_MOST_COLOURS + 1)

    colours = guarded(file, read, most_pixels)
    return {colour[:3] for _, colour in colours} if isinstance(colours, list) else None


def _coloured(colours: set[Colour] | None) -> bool:
    return any(len(set(colour)) > 1 for colour in colours or ())


def read_map(
    file: File, by_colour: Mapping[Colour, int] | None = None, most_pixels: int = MOST_PIXELS
) -> DecodedImage | str:
    """The values of a map of labels, (H, W, 1) int16, upright; or the file's name and why it cannot be used."""
    return guarded(file, lambda image: _map(file.name, image, by_colour or {}), most_pixels)


def _map(name: str, image: ImageFile.ImageFile, by_colour: Mapping[Colour, int]) -> DecodedImage:
    lossy = image.format in _LOSSY
    # First: to ask for the orientation is to forget how the file holds its bits.
    values = _black_and_white(image) if lossy else _indices(image, by_colour)
    way_up = orientation(image)
    values = upright(values, way_up)
    colours = np.array(image.getpalette("RGB") if image.mode == "P" else [], dtype=int).reshape(-1, 3).tolist()
    palette = {value: (red, green, blue) for value, (red, green, blue) in enumerate(colours)}
    pixels = np.ascontiguousarray(values.astype(np.int16))[..., None]
    return DecodedImage(
        name, pixels, (pixels.shape[0], pixels.shape[1]), way_up, palette=palette or None, mode=LOSSY if lossy else ""
    )


def _black_and_white(image: ImageFile.ImageFile) -> Pixels:
    """(H, W) of 0 and 255: a mask that lost little by its compression; Unusable where it is of other labels."""
    shades = np.asarray(image.convert("RGB")).astype(np.int16)
    between = (shades > _DARK) & (shades < 255 - _DARK)
    if float(between.mean()) > _BETWEEN or int(np.ptp(shades, 2).max(initial=0)) > 2 * _DARK:
        raise Unusable(f"{image.format} changes labels; save maps as PNG")
    grey: Pixels = np.where(shades.mean(2) >= MIDDLE, IGNORED, 0)
    return grey


def _indices(image: Image.Image, by_colour: Mapping[Colour, int]) -> Pixels:
    """(H, W): the values in the file, not the colours for which they stand."""
    # Pillow widens grey of 2 and 4 bits to 8, so that white is white; labels are the numbers themselves.
    raw = " ".join(str(tile[3]) for tile in getattr(image, "tile", ()))
    widened = next((by for mode, by in _WIDENED.items() if mode in raw), 1)
    values = np.asarray(image)
    if image.mode in ("L", "P", "1"):
        return values // widened if image.mode == "L" else values
    if image.mode.startswith("I"):
        if values.min() < 0 or values.max() > IGNORED:
            raise Unusable(f"values of {values.min()} to {values.max()}, but labels lie in [0, 255]")
        return values
    if image.mode not in ("RGB", "RGBA", "LA"):
        raise Unusable(f"{image.mode} is no mode of label maps; save indices, 8-bit grey or palette")
    if image.mode in ("RGBA", "LA") and (values[..., -1] < 255).any():
        raise Unusable("transparent parts, of which no label is known; save grey maps, without transparency")
    colour = values[..., :3] if image.mode != "LA" else values[..., :1]
    if by_colour and colour.shape[2] == 3:
        return _by_colour(colour, by_colour)
    if (colour != colour[..., :1]).any():
        raise Unusable("RGB colours, but a label is an index; save 8-bit grey or palette, without smoothing")
    return colour[..., 0]


def _by_colour(pixels: Pixels, by_colour: Mapping[Colour, int]) -> Pixels:
    table = sorted((red << 16 | green << 8 | blue, value) for (red, green, blue), value in by_colour.items())
    codes = np.array([code for code, _ in table])
    painted = pixels.astype(int) @ np.array([1 << 16, 1 << 8, 1])
    at = np.searchsorted(codes, painted).clip(0, len(codes) - 1)
    if (strange := codes[at] != painted).any():
        raise Unusable(f"the colour {' '.join(map(str, pixels[strange][0]))} has no line in the file of colours")
    values: Pixels = np.array([value for _, value in table])[at]
    return values
