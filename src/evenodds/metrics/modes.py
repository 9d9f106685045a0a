"""Which modes of a known mixture the samples reach."""

from typing import NamedTuple

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.metrics._rows import pair, squared_distances

__all__ = ["ModeCoverage", "mode_coverage"]


class ModeCoverage(NamedTuple):
    """What `mode_coverage` finds.

    Attributes:
        share: (K,) float64, the share of all samples that are good and belong to each mode.
        high_quality: () float64, the share of all samples that are good: the sum of `share`.
    """

    share: Tensor
    high_quality: Tensor


def mode_coverage(samples: Tensor, centres: Tensor, sigma: float, within: float = 3.0) -> ModeCoverage:
    """Counts samples close to each mode of a ring, a grid, or any mixture of round Gaussians.

    Srivastava et al. (2017), section 4: a sample is good if it lies within 3 standard deviations of its nearest
    mode; a mode is captured if any good sample belongs to it: `(share > 0).sum()` of them. Samples of the mixture
    itself are good with probability 1 - exp(-within^2 / 2) in two dimensions: 0.989 for 3.

    Args:
        samples: (N, D); computed in float64.
        centres: (K, D), the modes' means.
        sigma: standard deviation of each mode along each axis, above 0.
        within: radius around a mode, in units of sigma.

    Returns:
        ModeCoverage(share, high_quality).

    Raises:
        BadInput: no matrices, different D, no rows, values that are not finite, or no radius.
    """
    samples, centres = pair(samples, centres, names=("samples", "centres"))
    if sigma <= 0 or within <= 0:
        raise BadInput(f"'sigma' and 'within' must be above 0, got {sigma} and {within}")
    distance, mode = squared_distances(samples, centres).min(1)
    good = distance <= (within * sigma) ** 2
    share = torch.bincount(mode[good], minlength=len(centres)).to(torch.float64) / len(samples)
    return ModeCoverage(share, good.to(torch.float64).mean())
