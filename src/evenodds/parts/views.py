"""Views: random, differentiable changes of images that the discriminator sees, on real and fake alike.

Zhao, Liu, Lin, Zhu and Han, "Differentiable Augmentation for Data-Efficient GAN Training" (2020). A view is a function
of images and of dealt numbers, (x, uniform) -> x with x (N, C, H, W) in [-1, 1] and uniform (N, 4) in [0, 1); each item
has numbers of its own. Views can be differentiated twice in x, read no value back from the device, and may leave
[-1, 1] by a little where they change colours. Numbers that are all 1/2 change nothing, except in `cutout`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from evenodds.errors import BadInput
from evenodds.game.dial import View

__all__ = ["color", "compose", "cutout", "deformation", "flip", "flip_vertical", "jitter", "strokes", "translation"]


def color(x: Tensor, uniform: Tensor) -> Tensor:
    """Brightness, saturation (with 3 or 4 channels) and contrast, in this order; a fourth channel, alpha, is kept.

    Brightness adds uniform[:, 0] - 1/2; saturation scales the distance to the grey of each pixel by 2 uniform[:, 1];
    contrast scales the distance to the mean of the image by uniform[:, 2] + 1/2. The last two keep that mean.
    """
    _check(x, uniform)
    if x.shape[1] == 4:
        return torch.cat((color(x[:, :3], uniform), x[:, 3:]), 1)
    brightness, saturation, contrast = uniform[:, :3, None, None, None].to(x).unbind(1)
    x = x + (brightness - 0.5)
    if x.shape[1] == 3:
        x = torch.lerp(x.mean(1, keepdim=True), x, 2 * saturation)
    return torch.lerp(x.mean((1, 2, 3), keepdim=True), x, contrast + 0.5)


def translation(x: Tensor, uniform: Tensor) -> Tensor:
    """Moves by whole pixels, up to 1/8 of each side either way; 0, the middle of the range, moves in.

    uniform[:, 0] moves down, uniform[:, 1] to the right; every distance is equally likely. The zeros, the paper's,
    let the discriminator see how far an image was moved, so that the generator gains nothing by moving it itself.
    """
    _check(x, uniform)
    rows, visible = _moved(x.shape[2], uniform[:, 0])
    columns, beside = _moved(x.shape[3], uniform[:, 1])
    # Two gathers along one side each: measured faster than grid_sample, advanced indexing or products of matrices.
    x = x.gather(2, rows[:, None, :, None].expand(x.shape)).gather(3, columns[:, None, None, :].expand(x.shape))
    return x * (visible[:, None, :, None] & beside[:, None, None, :])


def _moved(side: int, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """For each place of a side (N, side): where its value comes from, and whether that lies inside."""
    reach = round(side / 8)
    shift = (uniform * (2 * reach + 1)).floor().long() - reach
    source = torch.arange(side, device=uniform.device) - shift[:, None]
    return source.clamp(0, side - 1), (source >= 0) & (source < side)


def cutout(x: Tensor, uniform: Tensor) -> Tensor:
    """Sets a rectangle of half the height and half the width to 0, the middle of the range.

    uniform[:, 0] and uniform[:, 1] place its centre anywhere on the image; what lies outside is cut off.
    """
    _check(x, uniform)
    rows, columns = _within(x.shape[2], uniform[:, 0]), _within(x.shape[3], uniform[:, 1])
    return x * ~(rows[:, None, :, None] & columns[:, None, None, :])


def _within(side: int, uniform: Tensor) -> Tensor:
    """(N, side) bool: the half of the side about floor(uniform * (side + 1)), as far as it exists."""
    first = (uniform * (side + 1)).floor().long() - side // 4
    distance = torch.arange(side, device=uniform.device) - first[:, None]
    return (distance >= 0) & (distance < side // 2)


def flip(x: Tensor, uniform: Tensor) -> Tensor:
    """Mirrors left and right where uniform[:, 0] < 1/2."""
    _check(x, uniform)
    return torch.where(uniform[:, 0, None, None, None] < 0.5, x.flip(3), x)


def flip_vertical(x: Tensor, uniform: Tensor) -> Tensor:
    """Mirrors top and bottom where uniform[:, 0] < 1/2."""
    _check(x, uniform)
    return torch.where(uniform[:, 0, None, None, None] < 0.5, x.flip(2), x)


def deformation(x: Tensor, uniform: Tensor) -> Tensor:
    """Turns by up to 20 degrees, shears by up to 0.4, scales each side by up to 1.2, moves by up to 1/14 of each side.

    uniform[:, 0] turns, uniform[:, 1] shears, uniform[:, 2] scales the height and uniform[:, 3] the width. The sum of
    the first two, modulo 1, moves down, and that of the last two to the right: each is uniform, and independent of any
    other one. Pixels between four others are interpolated; what lies outside is like the nearest place of the border.
    """
    _check(x, uniform)
    high, wide = x.shape[2:]
    turn, shear, tall, broad, down, right = _centred(uniform.to(x)).unbind(1)
    angle, shear = turn * math.radians(20), 0.4 * shear
    tall, broad = 1.2**tall, 1.2**broad
    sine, cosine = angle.sin(), angle.cos()
    # From the centre, in halves of a side; what is added to the place of a pixel is 0 where nothing changes.
    rows = ((torch.arange(high, device=x.device, dtype=x.dtype) + 0.5) * (2 / high) - 1)[None, :, None]
    columns = ((torch.arange(wide, device=x.device, dtype=x.dtype) + 0.5) * (2 / wide) - 1)[None, None, :]
    each = [one[:, None, None] for one in (sine, shear - sine, tall * cosine - 1, broad * cosine - 1, down, right)]
    of_column, of_row, higher, broader, lower, further = each
    along = of_column * columns + higher * rows - lower / 7
    across = broader * columns + of_row * rows - further / 7
    row = torch.arange(high, device=x.device)[None, :, None] + along * (high / 2)
    column = torch.arange(wide, device=x.device)[None, None, :] + across * (wide / 2)
    return _interpolated(x, row, column)


def _centred(uniform: Tensor) -> Tensor:
    """(N, 6) in [-1, 1): four numbers, then two sums of two of them modulo the range."""
    half = uniform - 0.5
    sums = torch.stack([half[:, 0] + half[:, 1], half[:, 2] + half[:, 3]], 1)
    return 2 * torch.cat([half, (sums + 0.5).remainder(1) - 0.5], 1)


def _interpolated(x: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """x (N, C, H, W) at places (N, H, W) in pixels, between whose four neighbours it is interpolated.

    By four gathers, which can be differentiated twice; torch's grid_sample cannot.
    """
    high, wide = x.shape[2:]
    row, column = row.clamp(0, high - 1), column.clamp(0, wide - 1)
    above, left = row.detach().floor(), column.detach().floor()
    lower, further = (row - above)[:, None].flatten(2), (column - left)[:, None].flatten(2)
    above, left = above.long(), left.long()
    below, beside = (above + 1).clamp(max=high - 1), (left + 1).clamp(max=wide - 1)
    flat = x.flatten(2)

    def at(rows: Tensor, columns: Tensor) -> Tensor:
        return flat.gather(2, (rows * wide + columns).flatten(1)[:, None].expand(flat.shape))

    upper = torch.lerp(at(above, left), at(above, beside), further)
    return torch.lerp(upper, torch.lerp(at(below, left), at(below, beside), further), lower).view(x.shape)


def strokes(x: Tensor, uniform: Tensor) -> Tensor:
    """Makes bright strokes thicker, or thinner, by up to a pixel on each side, as uniform[:, 0] is above 1/2 or below.

    That is a mean of the image and of the brightest, or darkest, of the 3 x 3 pixels about each, channel by channel.
    """
    _check(x, uniform)
    stroke = (2 * uniform[:, 0].to(x) - 1)[:, None, None, None]
    x = torch.lerp(x, F.max_pool2d(x, 3, 1, 1), stroke.clamp(min=0))
    return torch.lerp(x, -F.max_pool2d(-x, 3, 1, 1), -stroke.clamp(max=0))


def jitter(x: Tensor, uniform: Tensor, *, spread: float = 0.05) -> Tensor:
    """Adds a little noise, uniform with standard deviation `spread`; for vectors (N, D) as well as images.

    The four numbers of an item suffice for all of its places: place i gets (u1 + a u2 + b u3 + c u4) mod 1 with
    integers a, b, c of its own. Each of these is uniform, and any two places are independent, because no two of the
    integer vectors are parallel (Joffe 1974).
    """
    if len(uniform) != len(x) or uniform.shape[1:] != (4,):
        raise BadInput(f"uniform must be ({len(x)}, 4), got {tuple(uniform.shape)}; deal four numbers per item")
    places = x[0].numel()
    base = next(base for base in range(1, places + 2) if base**3 >= places)
    place = torch.arange(places, device=x.device)
    digits = torch.stack((torch.ones_like(place), place % base, place // base % base, place // base**2))
    phase = (uniform - 0.5) @ digits.to(uniform.dtype)
    noise = (phase + 0.5).remainder(1) - 0.5
    return x + (12**0.5 * spread) * noise.view(x.shape).to(x.dtype)


def compose(views: Sequence[View]) -> View:
    """One view after the other, each with four numbers of its own: the result takes uniform (N, 4 * len(views))."""

    def composed(x: Tensor, uniform: Tensor) -> Tensor:
        if uniform.shape[1:] != (4 * len(views),):
            raise BadInput(
                f"{len(views)} views need uniform (N, {4 * len(views)}), got {tuple(uniform.shape)}; deal four per view"
            )
        for number, view in enumerate(views):
            x = view(x, uniform[:, 4 * number : 4 * number + 4])
        return x

    return composed


def _check(x: Tensor, uniform: Tensor) -> None:
    if x.dim() != 4:
        raise BadInput(f"this view needs images (N, C, H, W), got {tuple(x.shape)}; use `jitter` for vectors")
    if uniform.shape != (len(x), 4):
        raise BadInput(f"uniform must be ({len(x)}, 4), got {tuple(uniform.shape)}; deal four numbers per item")
