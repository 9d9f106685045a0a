"""Distributions of z. A prior draws (N, size) from a generator, on the generator's device."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.arithmetic import made_once

__all__ = ["Coded", "Mixture", "Normal", "Prior", "Spherical", "Truncated", "Uniform"]


class Prior(Protocol):
    """Draws z, and goes from one z to another without leaving where the prior has its mass.

    A prior may also have `truncated(z, factor)`, z drawn towards its middle; `normal`, whether z is standard normal;
    `symmetric`, whether -z is as likely as z;
    `widened(more)`, the same with further standard normal numbers, which come first;
    `wrapped(generator)`, the generator behind a part that learns; `listeners()`, what acts on it in a run, by name.
    """

    @property
    def size(self) -> int:
        """The number of dimensions of z."""
        ...

    def __call__(self, n: int, rng: torch.Generator) -> Tensor:
        """(n, size) float draws, on rng's device."""
        ...

    def between(self, start: Tensor, end: Tensor, share: Tensor) -> Tensor:
        """The points at `share` (T,) in [0, 1] of the way from start (size,) to end (size,); (T, size)."""
        ...


class AroundZero:
    """What priors share whose mass lies around 0."""

    symmetric: ClassVar[bool] = True

    def truncated(self, z: Tensor, factor: float) -> Tensor:
        """z drawn towards 0."""
        return factor * z


@dataclass(frozen=True)
class Normal(AroundZero):
    """Standard normal."""

    size: int = 64
    normal: ClassVar[bool] = True
    """Whether z is standard normal."""

    def __call__(self, n: int, rng: torch.Generator) -> Tensor:
        return torch.randn(n, self.size, generator=rng, device=rng.device)

    def widened(self, more: int) -> Normal:
        """With so many numbers more."""
        return Normal(self.size + more)

    def between(self, start: Tensor, end: Tensor, share: Tensor) -> Tensor:
        return slerp(start, end, share)


@dataclass(frozen=True)
class Uniform(AroundZero):
    """Uniform on [-1, 1], as in the adversarial nets of Goodfellow et al. (2014)."""

    size: int = 64

    def __call__(self, n: int, rng: torch.Generator) -> Tensor:
        return 2 * torch.rand(n, self.size, generator=rng, device=rng.device) - 1

    def between(self, start: Tensor, end: Tensor, share: Tensor) -> Tensor:
        return torch.lerp(start, end, share[:, None])


@dataclass(frozen=True)
class Spherical:
    """Uniform on the sphere of radius sqrt(size), where a normal of many dimensions has its mass."""

    size: int = 64
    symmetric: ClassVar[bool] = True

    def __call__(self, n: int, rng: torch.Generator) -> Tensor:
        z = torch.randn(n, self.size, generator=rng, device=rng.device)
        length: Tensor = torch.linalg.vector_norm(z, dim=1, keepdim=True)
        return z * (math.sqrt(self.size) / length.clamp_min(1e-12))

    def between(self, start: Tensor, end: Tensor, share: Tensor) -> Tensor:
        return slerp(start, end, share)


@made_once
def _means_on(mixture: Mixture, device: torch.device) -> Tensor:
    """Its means on a device."""
    return mixture.means().to(device)


@dataclass(frozen=True)
class Mixture:
    """Equal parts of `components` normals whose means lie on the sphere of radius sqrt(size).

    Few narrow parts invite a generator to make one sample of each: 10 with a spread of 0.5 ended so on digits.

    Args:
        spread: standard deviation of each part.
        seed: of the means, which are fixed.
    """

    size: int = 64
    components: int = 50
    spread: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.components < 1 or self.spread <= 0:
            raise BadInput(f"a mixture needs components >= 1 and spread > 0, got {self.components} and {self.spread}")

    def means(self) -> Tensor:
        """(components, size), the same for every draw."""
        return Spherical(self.size)(self.components, torch.Generator().manual_seed(self.seed))

    def __call__(self, n: int, rng: torch.Generator) -> Tensor:
        part = torch.randint(self.components, (n,), generator=rng, device=rng.device)
        noise = torch.randn(n, self.size, generator=rng, device=rng.device)
        return _means_on(self, rng.device)[part] + self.spread * noise

    def between(self, start: Tensor, end: Tensor, share: Tensor) -> Tensor:
        return torch.lerp(start, end, share[:, None])

    def truncated(self, z: Tensor, factor: float) -> Tensor:
        """z drawn towards the mean that is nearest."""
        means = self.means().to(z)
        middle = means[torch.cdist(z, means).argmin(1)]
        return torch.lerp(middle, z, factor)


@dataclass(frozen=True)
class Truncated(AroundZero):
    """Standard normal, each coordinate conditioned on |z| <= limit (the truncation of Brock et al. 2019).

    Drawn by inverting the distribution function: one uniform number per coordinate, no rejection.
    """

    size: int = 64
    limit: float = 2.0

    def __post_init__(self) -> None:
        if self.limit <= 0:
            raise BadInput(f"truncation needs limit > 0, got {self.limit}")

    def __call__(self, n: int, rng: torch.Generator) -> Tensor:
        inside = math.erf(self.limit / math.sqrt(2))
        u = 2 * torch.rand(n, self.size, generator=rng, device=rng.device) - 1
        return (math.sqrt(2) * torch.erfinv(inside * u)).clamp(-self.limit, self.limit)

    def between(self, start: Tensor, end: Tensor, share: Tensor) -> Tensor:
        return slerp(start, end, share).clamp(-self.limit, self.limit)


@dataclass(frozen=True)
class Coded:
    """Standard normal noise and behind it a code: a category, one-hot, then values uniform on [-1, 1].

    The prior of InfoGAN (Chen et al. 2016, section 7.2). In every draw of n rows the categories have equal shares, to
    within one row.

    Args:
        noise: length of the noise.
        classes: number of categories; 0 for none.
        values: how many values.
    """

    noise: int = 62
    classes: int = 10
    values: int = 2

    def __post_init__(self) -> None:
        if min(self.noise, self.classes, self.values) < 0 or self.classes == 1 or not self.classes + self.values:
            raise BadInput(
                f"a code needs noise >= 0, classes of 0 or at least 2, values >= 0, and one of both, got {self.noise}, "
                f"{self.classes} and {self.values}"
            )

    @property
    def size(self) -> int:
        """Length of noise and code."""
        return self.noise + self.classes + self.values

    def widened(self, more: int) -> Coded:
        """With so many numbers of noise more."""
        return replace(self, noise=self.noise + more)

    def __call__(self, n: int, rng: torch.Generator) -> Tensor:
        noise = torch.randn(n, self.noise, generator=rng, device=rng.device)
        values = 2 * torch.rand(n, self.values, generator=rng, device=rng.device) - 1
        order = torch.randperm(n, generator=rng, device=rng.device)
        category = (order[:, None] % max(1, self.classes) == torch.arange(self.classes, device=rng.device)).float()
        return torch.cat([noise, category, values], 1)

    def between(self, start: Tensor, end: Tensor, share: Tensor) -> Tensor:
        codes = torch.lerp(start[self.noise :], end[self.noise :], share[:, None])
        return torch.cat([slerp(start[: self.noise], end[: self.noise], share), codes], 1)

    def truncated(self, z: Tensor, factor: float) -> Tensor:
        """The noise drawn towards 0; the code stays."""
        return torch.cat([factor * z[:, : self.noise], z[:, self.noise :]], 1)


def slerp(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """Along the great circle, with the length going linearly (White 2016); a straight line where both are parallel."""
    lengths: tuple[Tensor, Tensor] = torch.linalg.vector_norm(start), torch.linalg.vector_norm(end)
    a, b = start / lengths[0].clamp_min(1e-12), end / lengths[1].clamp_min(1e-12)
    angle = torch.acos((a @ b).clamp(-1, 1))
    t = share[:, None]
    if float(angle.sin()) < 1e-4:
        return torch.lerp(start, end, t)
    way = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)
    return way * torch.lerp(lengths[0], lengths[1], t)
