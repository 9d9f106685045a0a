"""One image of any kind through a network, and back in its own kind: grey stays grey, 16 bits stay 16, alpha stays."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from evenodds.apply.tiling import Apply, Keep, Rows, Tiling, strips
from evenodds.data._picture import MOST_PIXELS, DecodedImage, File, Unusable, decode_deep
from evenodds.data._png import png_rows
from evenodds.data.dataset import Units
from evenodds.errors import BadInput
from evenodds.files.write import Place, replaced
from evenodds.game.arithmetic import luma
from evenodds.game.schedule import OnProgress
from evenodds.parts.mappers._parts import enlarged

__all__ = ["Network", "label_rows", "labels", "notes_on", "read", "rows_through", "through", "write", "write_through"]

_BICUBIC_REACH = 2
_AROUND = 8  # Pixels from what can be seen, up to which what cannot be seen is given its colours.
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
    units: Units | None = None
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
        beside = _BICUBIC_REACH if tiling.scale > 1 else 0
        around = _AROUND if picture.pixels.shape[2] in (2, 4) else 0
        tiling = replace(tiling, margin=max(tiling.margin, beside) + around)

    def apply(window: Tensor) -> Tensor:
        return _in_kind_of_source(network, units.to_model(window))

    def keep(rows: Tensor) -> Tensor:
        values = units.to_data(rows)
        return values if units.dtype == "uint8" else values.to(torch.uint16)

    return _arrays(apply, picture, tiling, keep, progress)


def label_rows(
    network: Network, picture: DecodedImage, progress: OnProgress | None = None
) -> Iterator[NDArray[np.uint8]]:
    """(h, W) by rows: the number of each pixel's class, by a network whose results are such numbers, (N, 1, h, w)."""
    units = _units(network, picture)

    def apply(window: Tensor) -> Tensor:
        return network.apply(_as_input(units.to_model(window), network.inputs))

    for rows in _arrays(apply, picture, network.tiling, lambda rows: rows.to(torch.uint8), progress):
        yield rows[0]


def labels(network: Network, picture: DecodedImage, progress: OnProgress | None = None) -> NDArray[np.uint8]:
    """(H, W): the number of each pixel's class; see `label_rows`."""
    return np.concatenate([*label_rows(network, picture, progress)], 0)


def _arrays(
    apply: Apply, picture: DecodedImage, tiling: Tiling, keep: Keep, progress: OnProgress | None
) -> Iterator[NDArray[Any]]:
    results = strips(apply, _rows(picture), tiling, keep, progress)
    while True:
        with torch.no_grad():  # Not around the loop: what is done with the rows in between is not concerned.
            rows = next(results, None)
        if rows is None:
            return
        yield np.asarray(rows)


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


def _units(network: Network, picture: DecodedImage) -> Units:
    deep = picture.pixels.dtype == np.uint16
    if network.units is not None and network.units.dtype == picture.pixels.dtype.name and len(network.units.low) == 1:
        return network.units
    return Units((0.0,), (65535.0 if deep else 255.0,), "uint16" if deep else "uint8")


def _rows(picture: DecodedImage) -> Rows:
    """In own units."""
    pixels = picture.pixels
    wide = np.int32 if pixels.dtype == np.uint16 else np.uint8  # Torch computes little with uint16.

    def take(at: Tensor) -> Tensor:
        return torch.from_numpy(pixels[at.numpy()].astype(wide, copy=False)).permute(2, 0, 1)[None]

    return Rows((pixels.shape[0], pixels.shape[1]), take)


def _in_kind_of_source(network: Network, x: Tensor) -> Tensor:
    """(n, C, h, w) in [-1, 1], alpha included -> (n, C', s h, s w); see `through`."""
    clear, scale = x.shape[1] in (2, 4), network.tiling.scale
    before = _coloured_around(x) if clear and network.inputs < 4 else x
    output = network.apply(_as_input(before, network.inputs))
    colour, alpha = output[:, :3], output[:, 3:]
    if _keeps(network):
        colour = _recoloured(colour, before[:, :-1] if clear else before, scale)
    if not clear:
        return colour
    if network.outputs < 4:
        alpha = _larger(x[:, -1:], scale).to(output)
        if _keeps(network) and scale == 1:
            colour = torch.where(x[:, -1:] > -1, colour, x[:, :-1].to(output))
    return torch.cat([colour, alpha], 1)


def _coloured_around(x: Tensor) -> Tensor:
    """Colours and alpha in [-1, 1], with colours also where alpha is 0 near by: the mean of what is seen around.

    Files hold anything there, black mostly, which would else come out as a dark rim.
    """
    opacity = (x[:, -1:] + 1) / 2
    size = 2 * _AROUND + 1
    sums = (F.avg_pool2d(part, size, 1, _AROUND) for part in ((x[:, :-1] + 1) * opacity, opacity))
    total, weight = sums
    around = total / weight.clamp_min(1e-9) - 1
    colour = torch.where((opacity > 0) | (weight < 1e-9), x[:, :-1], around)
    return torch.cat([colour, x[:, -1:]], 1)


def _as_input(x: Tensor, inputs: int) -> Tensor:
    """(n, 1 to 4, h, w) -> (n, inputs, h, w)."""
    colour = x[:, :-1] if x.shape[1] in (2, 4) else x
    if inputs == 1:
        return luma(colour)
    wide = colour.expand(-1, 3, -1, -1)
    if inputs == 3:
        return wide
    alpha = x[:, -1:] if x.shape[1] in (2, 4) else torch.ones_like(x[:, :1])
    return torch.cat([wide, alpha], 1)


def _recoloured(output: Tensor, colour: Tensor, scale: int) -> Tensor:
    """The result in as many colours as the picture has."""
    if output.shape[1] == colour.shape[1]:
        return output
    if colour.shape[1] == 1:
        return luma(output)
    # Cb and Cr are differences to the luma, so that another luma is the same change in red, green and blue.
    beside = _larger(colour, scale).to(output)
    return beside + (output - luma(beside))


def _larger(x: Tensor, scale: int) -> Tensor:
    return enlarged(x, scale).clamp(-1, 1)
