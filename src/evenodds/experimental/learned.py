"""A generator whose z is a mixture that learns with it: DeLiGAN, Gurumurthy et al. (2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.parts.priors import slerp

__all__ = ["Learned", "LearnedMixture"]


@dataclass(frozen=True)
class Learned:
    """Standard normal numbers that the generator turns into a mixture of normals, which learns with it.

    DeLiGAN of Gurumurthy et al. (2017), whose parts have equal weights, and means and widths that are parameters. These
    are the generator's, so that players, checkpoints and walks know them; z itself stays standard normal. See
    LearnedMixture.

    Measured (benchmarks/latents.md): held-out score 0.054 to 0.077 on the grid; the normal prior has
    0.059 to 0.074.

    Args:
        components: of the mixture.
        spread: the width of each at the start.
        least: no width falls below it. It stands for the paper's cost (1 - width)^2, which keeps widths from 0.
    """

    size: int = 64
    components: int = 50
    spread: float = 0.5
    least: float = 0.1
    normal: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.components < 1 or not 0 < self.least < self.spread:
            raise BadInput(
                f"a learned mixture needs components >= 1 and 0 < least < spread, got {self.components}, {self.least} "
                f"and {self.spread}"
            )

    def __call__(self, n: int, rng: torch.Generator) -> Tensor:
        return torch.randn(n, self.size, generator=rng, device=rng.device)

    def between(self, start: Tensor, end: Tensor, share: Tensor) -> Tensor:
        return slerp(start, end, share)

    def truncated(self, z: Tensor, factor: float) -> Tensor:
        """z drawn towards the mean of its part: all but the coordinate that says which part it is."""
        return torch.cat([z[:, :1], factor * z[:, 1:]], 1)

    def wrapped(self, generator: nn.Module) -> LearnedMixture:
        """The generator behind the mixture."""
        return LearnedMixture(generator, self.size, self.components, self.spread, self.least)


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
