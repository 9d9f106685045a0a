"""Which part of an image is to be filled in, as people mark it: white, 1, transparent or red."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evenodds.data.folders.files import file_at
from evenodds.data.pictures.opening import MOST_PIXELS, guarded
from evenodds.data.pictures.picture import DecodedImage, decode, in_channels, required
from evenodds.data.pictures.placing import resized
from evenodds.data.scale import Numbers
from evenodds.errors import BadInput

__all__ = ["Hidden", "hidden"]

MIDDLE = 128
"""Of 8 bits: from here on a mask is white, and below it a pixel is transparent."""
RED, REST = 200, 80
"""Red paint has at least so much red, and at most so much of the others."""
SQUEEZED = 0.02
"""By which part the proportions of an image and of its mask may differ."""


class Hidden(NamedTuple):
    """The part to be filled in."""

    mask: Numbers  # (1, 1, H, W) float32: 1 observed, 0 hidden.
    note: str


def hidden(mask: str | Path, size: tuple[int, int], image: Any = None, most_pixels: int | None = None) -> Hidden:
    """What a picture marks as hidden, at the size of a run's images.

    Args:
        mask: the picture. Where some of it is transparent, that is hidden; else what is painted red, if anything is;
            else what is 1, where all is 0 and 1; else what is lighter than the middle.
        size: (height, width) of the run's images.
        image: the path of the image that it belongs to, whose proportions it must have.
        most_pixels: of the pictures; larger ones are not decoded.

    Raises:
        BadInput: it cannot be read, has other proportions, or hides nothing or all.
    """
    limit = MOST_PIXELS if most_pixels is None else most_pixels
    picture = required(decode(file_at(Path(mask)), None, "crop", limit), "the mask")
    _require_proportions(picture, image, limit)
    where, what = _marked(picture.pixels)
    white = (where[..., None] * np.uint8(255)).astype(np.uint8)
    observed = (resized(white, size, "crop")[..., 0] < MIDDLE)[None, None].astype(np.float32)
    share = float(1 - observed.mean())
    if share in (0.0, 1.0):
        how = "nothing" if share == 0 else "all of the image, so that there is nothing to go by"
        raise BadInput(f"the mask hides {how}; paint white, or make transparent, what is to be filled in")
    return Hidden(observed, f"Hidden is {share:.1%} of the image: where the mask is {what}.")


def _require_proportions(mask: DecodedImage, image: Any, limit: int) -> None:
    if not isinstance(image, str | Path) or not Path(image).is_file():
        return
    found = guarded(file_at(Path(image)), lambda opened: opened.size, limit)
    if isinstance(found, str):
        return  # it is said where the image is read
    sizes = (found[1], found[0]), (found[0], found[1])  # as it is stored, or turned upright
    if not any(abs(height * mask.size[1] / (width * mask.size[0]) - 1) <= SQUEEZED for height, width in sizes):
        raise BadInput(
            f"the mask of {mask.size[0]} x {mask.size[1]} has other proportions than the image of {found[1]} x "
            f"{found[0]} (height x width); cut or enlarge its canvas to those of the image"
        )


def _marked(pixels: NDArray[Any]) -> tuple[NDArray[np.bool_], str]:
    """(H, W): which pixels of (H, W, C) are marked, and how."""
    if pixels.shape[2] in (2, 4) and bool((alpha := pixels[..., -1] < np.iinfo(pixels.dtype).max // 2 + 1).any()):
        return alpha, "transparent"
    if pixels.shape[2] >= 3:
        red = (pixels[..., 0] >= RED) & (pixels[..., 1:3] <= REST).all(2)
        if bool(red.any()):
            return red, "red"
    grey = in_channels(pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1], 1)[..., 0]
    if float(grey.max()) == 1:
        return np.asarray(grey == 1), "1"
    return np.asarray(grey >= (MIDDLE if pixels.dtype == np.uint8 else MIDDLE * 256)), "white"
