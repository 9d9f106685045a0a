"""The membrane through what is known: hidden pixels near the mean of their neighbours, from coarse to fine.

The pyramid is the pull-push of Gortler et al. (1996), "The Lumigraph": known pixels are averaged down; where a level
knows nothing it takes what the coarser one says. A few sweeps on each level bring it near the solution of Laplace's
equation (the cascadic multigrid of Bornemann and Deuflhard, 1996), which is harmonic inpainting.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["membrane", "stretched"]


def membrane(x: Tensor, mask: Tensor, sweeps: int = 2) -> Tensor:
    """x (N, C, H, W) where mask (N, 1, H, W) is 1, and nearly harmonic where it is 0; 0 where nothing is known.

    Hidden values of x have no influence; what they are must be finite. Sweeps on each level change hidden pixels to the
    mean of their four neighbours; borders are mirrored.
    """
    return stretched(x, mask, sweeps)[0]


def stretched(x: Tensor, mask: Tensor, sweeps: int = 2) -> tuple[Tensor, Tensor]:
    """The membrane, and how far it is from what is known, (N, 1, H, W): the number of levels without a known pixel.

    A level has half the pixels of the one before, so that the number grows with the logarithm of the distance. It is 0
    where a pixel is known, at least 1 elsewhere, and interpolated between the places of a level.
    """
    channels = x.shape[1]
    sums, weights = [torch.cat([x * mask, mask], 1)], [mask]
    while max(sums[-1].shape[2:]) > 1:
        sums.append(F.avg_pool2d(sums[-1], 2, ceil_mode=True))
        weights.append(sums[-1][:, channels:])
    filled, far = (torch.zeros_like(sums[-1][:, part]) for part in (slice(channels), slice(channels, None)))
    for total, weight in zip(reversed(sums), reversed(weights), strict=True):
        known = weight > 0
        values = total[:, :channels] / torch.where(known, weight, 1.0)
        if filled.shape != values.shape:
            both = F.interpolate(torch.cat([filled, far], 1), scale_factor=2.0, mode="bilinear")
            both = both[:, :, : values.shape[2], : values.shape[3]]
            filled, far = both[:, :channels], both[:, channels:]
        filled, far = torch.where(known, values, filled), torch.where(known, 0.0, far + 1)
        for _ in range(sweeps if max(values.shape[2:]) > 2 else 0):
            around = F.pad(filled, (1, 1, 1, 1), mode="replicate")
            rows, columns = around[:, :, :, 1:-1], around[:, :, 1:-1]
            sides = rows[:, :, :-2] + rows[:, :, 2:] + columns[..., :-2] + columns[..., 2:]
            filled = torch.where(known, values, sides / 4)
    return filled, far
