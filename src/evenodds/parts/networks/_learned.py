"""A generator whose z is a mixture that learns with it: DeLiGAN, Gurumurthy et al. (2017)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["LearnedMixture"]


class LearnedMixture(nn.Module):
    """z (N, size) standard normal -> mean_i + width_i * e -> the generator; i and e are functions of z.

    The part i is the one of equally likely pieces of the first coordinate in which z falls; its place within the piece,
    as a quantile, makes a standard normal again. So i is uniform, e standard normal and independent of it, and no
    dimension is lost. Where z moves across the border of two pieces, x jumps: it is the other part's.

    What stands behind z, a condition say, passes unchanged.
    """

    def __init__(
        self, generator: nn.Module, size: int, components: int, spread: float = 0.5, least: float = 0.1
    ) -> None:
        """Draws the means, standard normal, from torch's generator.

        Args:
            generator: takes (N, size) or more columns.
            size: of z.
            components: parts of the mixture.
            spread: width at the start, above `least`.
            least: no width falls below it.
        """
        super().__init__()
        self.generator, self.size, self.components, self.least = generator, size, components, least
        self.means = nn.Parameter(torch.randn(components, size))
        self.raw = nn.Parameter(torch.full((components, size), math.log(math.expm1(spread - least))))

    @property
    def widths(self) -> Tensor:
        """(components, size), above `least`."""
        return self.least + nn.functional.softplus(self.raw)

    def mixed(self, z: Tensor) -> Tensor:
        """(N, size) standard normal -> (N, size) of the mixture."""
        place = torch.special.ndtr(z[:, 0]) * self.components
        part = place.detach().floor().clamp(0, self.components - 1)
        quantile = (place - part).clamp(1e-6, 1 - 1e-6)
        normal = torch.cat([torch.special.ndtri(quantile)[:, None], z[:, 1:]], 1)
        chosen = part.long()
        return self.means[chosen] + self.widths[chosen] * normal

    def forward(self, z: Tensor) -> Tensor:
        """(N, size or more) -> x."""
        x: Tensor = self.generator(torch.cat([self.mixed(z[:, : self.size]), z[:, self.size :]], 1))
        return x
