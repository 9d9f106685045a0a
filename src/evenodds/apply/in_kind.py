"""A network's image in the kind of the picture that it is of: grey or colours, with alpha or without."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from evenodds.data.pictures.placing import Pixels
from evenodds.data.scale import Numbers
from evenodds.game.arithmetic import luma

__all__ = ["AROUND", "BICUBIC_REACH", "as_input", "enlarged", "in_kind"]

BICUBIC_REACH = 2
AROUND = 8
"""Pixels from what can be seen, up to which what cannot be seen is given its colours."""


def in_kind(
    apply: Callable[[Pixels], Pixels], x: Numbers, inputs: int, outputs: int, scale: int, keeps: bool
) -> Numbers:
    """What a network makes of x (n, C, h, w) in [-1, 1], alpha included: (n, C', s h, s w), of the kind of x.

    Args:
        apply: (n, inputs, h, w) -> (n, outputs, s h, s w).
        keeps: whether the answer has the colours of x, as many of them and those that the network did not see.
    """
    clear = x.shape[1] in (2, 4)
    before = _coloured_around(x) if clear and inputs < 4 else x
    output = apply(as_input(before, inputs))
    colour, alpha = output[:, :3], output[:, 3:]
    if keeps:
        colour = _recoloured(colour, before[:, :-1] if clear else before, scale)
    if not clear:
        return colour
    if outputs < 4:
        alpha = _larger(x[:, -1:], scale)
        if keeps and scale == 1:
            colour = np.where(x[:, -1:] > -1, colour, x[:, :-1])
    return np.concatenate([colour, alpha], 1)


def as_input(x: Numbers, inputs: int) -> Numbers:
    """(n, 1 to 4, h, w) -> (n, inputs, h, w)."""
    colour = x[:, :-1] if x.shape[1] in (2, 4) else x
    if inputs == 1:
        return luma(colour)
    wide = colour if colour.shape[1] == 3 else np.repeat(colour, 3, 1)
    if inputs == 3:
        return wide
    alpha = x[:, -1:] if x.shape[1] in (2, 4) else np.ones_like(x[:, :1])
    return np.concatenate([wide, alpha], 1)


def _coloured_around(x: Numbers) -> Numbers:
    """Colours and alpha in [-1, 1], with colours also where alpha is 0 near by: the mean of what is seen around.

    Files hold anything there, black mostly, which would else come out as a dark rim.
    """
    opacity = (x[:, -1:] + 1) * np.float32(0.5)
    total, weight = (_sums(part) for part in ((x[:, :-1] + 1) * opacity, opacity))
    around = total / np.maximum(weight, np.float32(1e-9)) - 1
    colour = np.where((opacity > 0) | (weight == 0), x[:, :-1], around)
    return np.concatenate([colour, x[:, -1:]], 1)


def _sums(x: Numbers) -> Numbers:
    """Over the square of pixels around each, in which those beyond the edges count 0."""
    for axis in (2, 3):
        wide, side = np.pad(x, [(AROUND, AROUND) if k == axis else (0, 0) for k in range(4)]), x.shape[axis]
        x = np.zeros_like(x)
        for k in range(2 * AROUND + 1):
            x += wide[:, :, k : k + side] if axis == 2 else wide[..., k : k + side]
    return x


def _recoloured(output: Numbers, colour: Numbers, scale: int) -> Numbers:
    """The result in as many colours as the picture has."""
    if output.shape[1] == colour.shape[1]:
        return output
    if colour.shape[1] == 1:
        return luma(output)
    # Cb and Cr are differences to the luma, so that another luma is the same change in red, green and blue.
    beside = _larger(colour, scale)
    return np.asarray(beside + (output - luma(beside)))


def _larger(x: Numbers, scale: int) -> Numbers:
    return np.clip(enlarged(x, scale), -1, 1)


def enlarged(x: Numbers, scale: int) -> Numbers:
    """x (N, C, H, W), bicubic with a = -1/2 (Keys 1981, eq. 15) at `scale` times its size: as image editors do it.

    `evenodds.parts.mappers._parts.enlarged` of arrays. The weights of what lies within the edges add up to 1.
    """
    made: Pixels = x
    for axis in (2, 3) if scale > 1 else ():
        places, weights = _taps(made.shape[axis], scale)
        along = weights.reshape(len(weights), *(-1 if k == axis else 1 for k in range(4)))
        first, *rest = (made.take(at, axis) * weight for at, weight in zip(places, along, strict=True))
        made = sum(rest, first)
    return np.asarray(made)


@lru_cache(maxsize=64)
def _taps(side: int, scale: int) -> tuple[NDArray[np.int64], Numbers]:
    """(4, side * scale): the pixels that each pixel of the result is made of, and their weights."""
    at = (np.arange(side * scale) + 0.5) / scale - 0.5
    places = np.floor(at).astype(np.int64) + np.arange(1 - BICUBIC_REACH, 1 + BICUBIC_REACH)[:, None]
    apart = np.abs(at - places)
    near = 1.5 * apart**3 - 2.5 * apart**2 + 1
    far = -0.5 * apart**3 + 2.5 * apart**2 - 4 * apart + 2
    weights = np.where(apart < 1, near, far) * ((places >= 0) & (places < side))
    return places.clip(0, side - 1), (weights / weights.sum(0)).astype(np.float32)
