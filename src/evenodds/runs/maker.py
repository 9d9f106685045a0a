"""What makes images of images, or labels of their pixels, or fills images in, whatever computes it.

torch is not imported here: it is a run, or a file that one was exported to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from evenodds.data.folders.plain import Pictures
from evenodds.data.palette import Palette
from evenodds.data.scale import Numbers, Scale

__all__ = ["Filler", "Maker"]


@dataclass(frozen=True)
class Maker:
    """The network of a run, or a file that it was exported to.

    Args:
        command: that puts it to work: upscale, translate or segment.
        way: a digest of the weights, and of what else decides the answers.
        compute: (N, inputs, h, w) in [-1, 1] -> (N, outputs, s h, s w) in [-1, 1], or labels (N, 1, h, w).
        inputs: channels of a source.
        outputs: channels of an answer; 1 of labels.
        scale: how many times larger an answer is than its source.
        restores: whether an answer is a better version of its source, and not another image.
        margin: reach of the network in pixels; None where it depends on all of the image.
        multiple: what h and w are multiples of.
        numbers_per_pixel: that are in memory at once, see evenodds.runs.layers.
        units: of sources; None where they are not known.
        classes: the names of labels.
        palette: what labels are in files; None of images.
    """

    command: str
    way: str
    compute: Callable[[NDArray[Any]], NDArray[Any]]
    inputs: int
    outputs: int
    scale: int = 1
    restores: bool = False
    margin: int | None = None
    multiple: int = 1
    numbers_per_pixel: float = 0.0
    units: Scale | None = None
    classes: tuple[str, ...] = ()
    palette: Palette | None = None


@dataclass(frozen=True)
class Filler:
    """What fills images in.

    Args:
        folder: for results where no other is named.
        way: a digest of the weights.
        shape: (C, H, W) of an image.
        fill: x (N, C, H, W) in [-1, 1], mask (N, 1, H, W), 1 observed, and z (N, latent) -> x, which is as it was where
            it was observed.
        prior: (n, seed) -> (n, latent) draws of z.
        read: (a picture, most pixels) -> it, in that shape.
        symmetric: whether -z is as likely as z.
    """

    folder: Path
    way: str
    shape: tuple[int, ...]
    fill: Callable[[Numbers, Numbers, Numbers], Numbers]
    prior: Callable[[int, int], Numbers]
    read: Callable[[Any, int | None], Pictures]
    symmetric: bool = False
