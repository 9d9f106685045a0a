"""One image of any kind through a network, and back in its own kind: grey stays grey, 16 bits stay 16, alpha stays."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.apply.in_kind import AROUND, BICUBIC_REACH, as_input, in_kind
from evenodds.apply.tiling import Apply, Rows, Tiling, strips
from evenodds.data.pictures.opening import MOST_PIXELS, File, Unusable
from evenodds.data.pictures.picture import DecodedImage, decode_deep
from evenodds.data.pictures.placing import Pixels
from evenodds.data.pictures.png import png_rows
from evenodds.data.scale import Scale
from evenodds.errors import BadInput
from evenodds.files.write import Place, replaced
from evenodds.game.schedule import OnProgress

__all__ = ["Network", "label_rows", "labels", "notes_on", "read", "rows_through", "through", "write", "write_through"]

_LARGEST = 4 << 30  # Bytes of a result as one array.


@dataclass(frozen=True)
class Network:
    """What is needed to take images through a network.

    Args:
        apply: (N, inputs, h, w) -> (N, outputs, s h, s w), floats in [-1, 1]; or labels (N, 1, h, w), whole numbers.
        inputs: its channels: 1 grey, 3 colour, 4 colour and alpha.
        outputs: likewise, or 1 for labels.
        tiling: its scale, reach and multiple, and the size of tiles.
    """

    apply: Apply
    inputs: int
    outputs: int
    tiling: Tiling
    restores: bool = True
    """Whether its image is the picture that it was given, only better, so that it is of the picture's own kind."""
    units: Scale | None = None
    """In which it learned: the range of pictures of the same depth. None: all that a depth holds."""


def read(file: File, most_pixels: int = MOST_PIXELS, progress: OnProgress | None = None) -> DecodedImage | str:
    """The picture at its own depth, or the file's name and why it cannot be used; see `decode_deep`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, on odd metadata; what matters is said.
        return decode_deep(file, most_pixels, progress)


def through(network: Network, picture: DecodedImage, progress: OnProgress | None = None) -> NDArray[Any]:
    """The network's image of a picture as one array, (C', s H, s W); see `rows_through`.

    Raises:
        Unusable: the result would be larger than 4 GiB.
    """
    if (needed := _bytes_of(network, picture)) > _LARGEST:
        sides = " x ".join(map(str, _size(network, picture)))
        raise Unusable(f"its result of {sides} pixels would need {needed / 2**30:.1f} GiB; cut the image into parts")
    return np.concatenate([*rows_through(network, picture, progress)], 1)


def rows_through(network: Network, picture: DecodedImage, progress: OnProgress | None = None) -> Iterator[NDArray[Any]]:
    """The network's image of a picture, in the picture's own kind and depth, by rows.

    A network that betters pictures, with as many channels out as in, leaves their kind: a grey image is shown to a
    colour network as grey in all channels, and the luma comes back; of a colour image a grey network sees the luma, and
    the colours beside it are kept (resized bicubically where it scales). Other networks give the channels that they
    have. Alpha is kept or resized beside the network in either case, unless that has four channels. Floats in between
    have 24 bits, so that 16 bits stay 16.

    Yields:
        (C', h, s W) uint8 or uint16, C' of 1 to 4, from the top to the bottom; the h add up to s H.
    """
    _check(network)
    units = _units(network, picture)
    tiling = network.tiling
    if tiling.margin is not None:
        beside = BICUBIC_REACH if tiling.scale > 1 else 0
        around = AROUND if picture.pixels.shape[2] in (2, 4) else 0
        tiling = replace(tiling, margin=max(tiling.margin, beside) + around)

    def apply(window: Pixels) -> Pixels:
        x, keeps = units.to_model(window), _keeps(network)
        return in_kind(network.apply, x, network.inputs, network.outputs, tiling.scale, keeps)

    return strips(apply, _rows(picture), tiling, units.to_data, progress)


def label_rows(
    network: Network, picture: DecodedImage, progress: OnProgress | None = None
) -> Iterator[NDArray[np.uint8]]:
    """(h, W) by rows: the number of each pixel's class, by a network whose results are such numbers, (N, 1, h, w)."""
    units = _units(network, picture)

    def apply(window: Pixels) -> Pixels:
        return network.apply(as_input(units.to_model(window), network.inputs))

    for rows in strips(apply, _rows(picture), network.tiling, lambda rows: rows.astype(np.uint8), progress):
        yield rows[0]


def labels(network: Network, picture: DecodedImage, progress: OnProgress | None = None) -> NDArray[np.uint8]:
    """(H, W): the number of each pixel's class; see `label_rows`."""
    return np.concatenate([*label_rows(network, picture, progress)], 0)


def notes_on(picture: DecodedImage, same_colours: bool = True) -> list[str]:
    """What was done to the picture: clauses about {}, the images that it was done to.

    Args:
        same_colours: whether the result has the picture's colours, and so its colour profile.
    """
    turned = picture.mode in ("CMYK", "YCbCr", "LAB", "HSV")
    profile = "kept" if same_colours and not turned else "left out"
    clauses = {
        "{} had 16 bits per colour, of which 8 were read": picture.cut,
        "{} had several frames, of which the first was taken": picture.animated,
        "{} turned upright, as EXIF data asked": picture.way_up > 1,
        f"{{}} turned from {picture.mode} to RGB": turned,
        "{} had a palette, and now its colours": picture.mode in ("P", "PA"),
        f"{{}} had a colour profile, which was {profile} and not applied": picture.profile is not None,
    }
    return [clause for clause, holds in clauses.items() if holds]


def write(path: Path, x: NDArray[Any], picture: DecodedImage | None = None, place: Place = replaced) -> Path:
    """Writes (C, H, W) uint8 or uint16 as PNG: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.

    Args:
        picture: where it came from; its colour profile is kept where the kind is still the same.
        place: how the file takes the place of what is there.
    """
    channels, height, width = x.shape
    with png_rows(
        path, (height, width), channels, 8 * x.dtype.itemsize, _profile(picture, channels), place=place
    ) as png:
        png.add(np.moveaxis(x, 0, -1))
    return path


def write_through(
    path: Path,
    network: Network,
    picture: DecodedImage,
    progress: OnProgress | None = None,
    place: Place = replaced,
) -> int:
    """Writes the network's image of a picture as PNG, row by row as they are finished; see `rows_through`, `write`.

    Returns:
        Its channels.
    """
    _check(network)
    channels, bits = _channels(network, picture), 8 * picture.pixels.dtype.itemsize
    profile = _profile(picture, channels)
    with png_rows(path, _size(network, picture), channels, bits, profile, place=place) as png:
        for rows in rows_through(network, picture, progress):
            png.add(np.moveaxis(rows, 0, -1))
    return channels


def _profile(picture: DecodedImage | None, channels: int) -> bytes | None:
    if picture is None or picture.mode == "CMYK" or (picture.pixels.shape[2] < 3) != (channels < 3):
        return None
    return picture.profile


def _size(network: Network, picture: DecodedImage) -> tuple[int, int]:
    """(height, width) of the result."""
    height, width = picture.size
    return network.tiling.scale * height, network.tiling.scale * width


def _channels(network: Network, picture: DecodedImage) -> int:
    """Of the result."""
    have = int(picture.pixels.shape[2])
    return have if _keeps(network) else min(3, network.outputs) + (have in (2, 4))


def _bytes_of(network: Network, picture: DecodedImage) -> int:
    """Bytes of the result."""
    height, width = _size(network, picture)
    return height * width * _channels(network, picture) * picture.pixels.dtype.itemsize


def _keeps(network: Network) -> bool:
    return network.restores and network.inputs == network.outputs


def _check(network: Network) -> None:
    if network.inputs not in (1, 3, 4) or network.outputs not in (1, 3, 4):
        raise BadInput(
            f"networks for images have 1 (grey), 3 (colour) or 4 (colour and alpha) channels, got {network.inputs} in "
            f"and {network.outputs} out; train on images of one of these"
        )


def _units(network: Network, picture: DecodedImage) -> Scale:
    deep = picture.pixels.dtype == np.uint16
    if network.units is not None and network.units.dtype == picture.pixels.dtype.name and len(network.units.low) == 1:
        return network.units
    return Scale((0.0,), (65535.0 if deep else 255.0,), "uint16" if deep else "uint8")


def _rows(picture: DecodedImage) -> Rows:
    """In own units."""
    pixels = picture.pixels
    return Rows((pixels.shape[0], pixels.shape[1]), lambda at: np.moveaxis(pixels[at], -1, 0)[None])
