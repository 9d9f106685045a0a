"""How near images are to the truth, pixel by pixel: the peak signal-to-noise ratio, as papers on super-resolution."""

from __future__ import annotations

from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.arithmetic import luma

__all__ = ["decibels", "psnr", "video_luma"]

_RANGE = (235 - 16) / 255
"""The part of the 8-bit range that the Y of video takes: 16 to 235."""
_MIDDLE = (16 + 235) / 255 - 1
"""Its middle, in [-1, 1]."""


def video_luma(x: Tensor) -> Tensor:
    """The Y of YCbCr, ITU-R BT.601 (1982), whose range is 16 to 235 of 255: what papers on super-resolution measure on.

    Args:
        x: (N, C, H, W) in [-1, 1].

    Returns:
        (N, 1, H, W), 0 to 255 as -1 to 1, of RGB; images with other than 3 channels as they are.

    Raises:
        BadInput: no images.
    """
    if x.dim() != 4:
        raise BadInput(f"luma is of images (N, C, H, W), got {tuple(x.shape)}; give a batch of them")
    if x.shape[1] != 3:
        return x
    return _RANGE * luma(x) + _MIDDLE


def psnr(x: Tensor, truth: Tensor, border: int = 0, colours: bool = False) -> Tensor:
    """Peak signal-to-noise ratio: 10 log10(peak^2 / mean squared error), the peak being the range of [-1, 1].

    On Y and without a border as wide as the scale, as in Lim et al. (2017), section 4.2.

    Args:
        x: (N, C, H, W) in [-1, 1].
        truth: like x.
        border: pixels to leave out on each side; as many as the scale, by custom in super-resolution.
        colours: on all channels instead of on the Y of RGB.

    Returns:
        (N,) float64 in decibels; infinite for equal images.

    Raises:
        BadInput: no images, unequal shapes, or nothing within the border.
    """
    if x.shape != truth.shape or x.dim() != 4 or border < 0 or min(x.shape[2:]) <= 2 * border:
        raise BadInput(
            f"images need one size, above twice the border; got {tuple(x.shape)}, {tuple(truth.shape)}, {border}"
        )
    inner = slice(border, -border or None)
    apart = x - truth if colours else video_luma(x) - video_luma(truth)
    error = apart[..., inner, inner].double().square().mean((1, 2, 3))
    return decibels(error)


def decibels(error: Tensor) -> Tensor:
    """The peak signal-to-noise ratio of mean squared errors of images in [-1, 1]; infinite where there is none.

    Wang, Bovik, Sheikh and Simoncelli (2004), section 1.

    Args:
        error: mean squared errors of pixels, of any shape, at least 0.

    Returns:
        Decibels, of that shape: 10 log10(4 / error), as the range of pixels is 2.

    Raises:
        Nothing: a negative error gives NaN.
    """
    return 10 * (4 / error).log10()
