"""Densities in one and two dimensions with known samples and known log-probability, by which a game is measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.data.units import Units
from evenodds.errors import BadInput
from evenodds.game.seeds import mix

__all__ = [
    "DENSITIES",
    "Density",
    "Grid",
    "Mixture1D",
    "Ring",
    "SwissRoll",
    "TwoMoons",
    "grid",
    "mixture",
    "ring",
    "swiss_roll",
    "two_moons",
]

_REACH = 5.0
"""The units of a toy end this many standard deviations of its noise beyond its skeleton."""


class Density(Protocol):
    """A distribution whose truth is known."""

    @property
    def modes(self) -> Tensor | None:
        """(K, D) float64 centres of the modes; None where there are none to count."""
        ...

    @property
    def units(self) -> Units:
        """The range that practically all samples lie in, fixed by the density, not by the samples."""
        ...

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """(n, D) float64 in the density's own units."""
        ...

    def log_prob(self, x: Tensor) -> Tensor:
        """(N, D) float in the density's own units -> (N,) natural logarithm of the density."""
        ...


class _Gaussians:
    """What mixtures of round Gaussians share."""

    @property
    def modes(self) -> Tensor:
        """(K, D) float64: the means."""
        raise NotImplementedError

    def _parts(self) -> tuple[Tensor, Tensor]:
        """(K,) weights that sum to 1, and (K,) standard deviations."""
        raise NotImplementedError

    @property
    def units(self) -> Units:
        """See `Density`."""
        _, sigmas = self._parts()
        low = (self.modes - _REACH * sigmas[:, None]).amin(0)
        high = (self.modes + _REACH * sigmas[:, None]).amax(0)
        return Units(tuple(low.tolist()), tuple(high.tolist()), "float32")

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """See `Density`."""
        weights, sigmas = self._parts()
        which = torch.multinomial(weights, n, replacement=True, generator=rng)
        modes = self.modes
        return modes[which] + sigmas[which, None] * _normal((n, modes.shape[1]), rng)

    def log_prob(self, x: Tensor) -> Tensor:
        """See `Density`."""
        weights, sigmas = self._parts()
        return _log_mixture(x, self.modes, sigmas, weights.log())


@dataclass(frozen=True)
class Mixture1D(_Gaussians):
    """A mixture of Gaussians on the line; by default three modes of unlike weight and width."""

    weights: tuple[float, ...] = (0.5, 0.3, 0.2)
    means: tuple[float, ...] = (-2.0, 0.5, 3.0)
    sigmas: tuple[float, ...] = (0.4, 0.2, 0.5)

    def __post_init__(self) -> None:
        if not (len(self.weights) == len(self.means) == len(self.sigmas) > 0):
            raise BadInput("a mixture needs as many weights as means and sigmas, and at least one; give equal numbers")
        if min(self.weights) <= 0 or min(self.sigmas) <= 0:
            raise BadInput(f"a mixture needs weights and sigmas above 0, got {self.weights} and {self.sigmas}")

    @property
    def modes(self) -> Tensor:
        """(K, 1) float64."""
        return torch.tensor(self.means, dtype=torch.float64)[:, None]

    def _parts(self) -> tuple[Tensor, Tensor]:
        weights = torch.tensor(self.weights, dtype=torch.float64)
        return weights / weights.sum(), torch.tensor(self.sigmas, dtype=torch.float64)


@dataclass(frozen=True)
class Ring(_Gaussians):
    """Equal Gaussians evenly on a circle, as in Metz et al. (2017), Unrolled GANs."""

    count: int = 8
    radius: float = 2.0
    sigma: float = 0.02

    def __post_init__(self) -> None:
        _positive("ring", count=self.count, radius=self.radius, sigma=self.sigma)

    @property
    def modes(self) -> Tensor:
        """(count, 2) float64, counter-clockwise from (radius, 0)."""
        angle = torch.arange(self.count, dtype=torch.float64) * (2 * math.pi / self.count)
        return self.radius * torch.stack([angle.cos(), angle.sin()], dim=1)

    def _parts(self) -> tuple[Tensor, Tensor]:
        return _equal(self.count, self.sigma)


@dataclass(frozen=True)
class Grid(_Gaussians):
    """Equal Gaussians on a square lattice around 0, as in Dumoulin et al. (2017), ALI: 25 on {-4, -2, 0, 2, 4}^2."""

    side: int = 5
    spacing: float = 2.0
    sigma: float = 0.05

    def __post_init__(self) -> None:
        _positive("grid", side=self.side, spacing=self.spacing, sigma=self.sigma)

    @property
    def modes(self) -> Tensor:
        """(side^2, 2) float64."""
        line = (torch.arange(self.side, dtype=torch.float64) - (self.side - 1) / 2) * self.spacing
        return torch.cartesian_prod(line, line)

    def _parts(self) -> tuple[Tensor, Tensor]:
        return _equal(self.side**2, self.sigma)


class _Curves:
    """What curves with round Gaussian noise share: a point at a uniform parameter, plus noise."""

    sigma: float

    @property
    def modes(self) -> None:
        """A curve has none to count."""
        return None

    @property
    def units(self) -> Units:
        """See `Density`."""
        low, high = self._box()
        reach = _REACH * self.sigma
        return Units(tuple(a - reach for a in low), tuple(b + reach for b in high), "float32")

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """See `Density`."""
        u = torch.rand(n, generator=rng, dtype=torch.float64)
        return self._curve(u) + self.sigma * _normal((n, 2), rng)

    def log_prob(self, x: Tensor) -> Tensor:
        """See `Density`; the integral over the curve by Gauss-Legendre panels, correct to about ten digits."""
        # Panels of at most four standard deviations; 16 nodes integrate a Gaussian over one of them to 1e-12.
        nodes, weights = _panels(math.ceil(self._length() / (4 * self.sigma)))
        return _log_mixture(x, self._curve(nodes), torch.full_like(nodes, self.sigma), weights.log())

    def _curve(self, u: Tensor) -> Tensor:
        """(N,) in [0, 1) -> (N, 2)."""
        raise NotImplementedError

    def _length(self) -> float:
        """The greatest speed of the curve: its length if its parameter ran at that speed throughout."""
        raise NotImplementedError

    def _box(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The lower and the upper corner of the curve."""
        raise NotImplementedError


@dataclass(frozen=True)
class TwoMoons(_Curves):
    """Two half circles of radius 1 that reach into each other, with round noise; scikit-learn's shape."""

    sigma: float = 0.1

    def __post_init__(self) -> None:
        _positive("two_moons", sigma=self.sigma)

    def _curve(self, u: Tensor) -> Tensor:
        # The first half of the parameter runs through the upper moon, the second through the lower one.
        lower = u >= 0.5
        angle = math.pi * (2 * u - lower.to(u.dtype))
        x, y = angle.cos(), angle.sin()
        return torch.stack([torch.where(lower, 1 - x, x), torch.where(lower, 0.5 - y, y)], dim=-1)

    def _length(self) -> float:
        return 2 * math.pi

    def _box(self) -> tuple[tuple[float, float], tuple[float, float]]:
        return (-1.0, -0.5), (2.0, 1.0)


@dataclass(frozen=True)
class SwissRoll(_Curves):
    """The spiral (t cos t, t sin t) / 5 for t uniform in [1.5 pi, 4.5 pi], with round noise; scikit-learn's shape."""

    sigma: float = 0.05

    def __post_init__(self) -> None:
        _positive("swiss_roll", sigma=self.sigma)

    def _curve(self, u: Tensor) -> Tensor:
        t = math.pi * (1.5 + 3 * u)
        return torch.stack([t * t.cos(), t * t.sin()], dim=-1) / 5

    def _length(self) -> float:
        return 3 * math.pi * math.hypot(4.5 * math.pi, 1) / 5

    def _box(self) -> tuple[tuple[float, float], tuple[float, float]]:
        curve = self._curve(torch.linspace(0, 1, 10_001, dtype=torch.float64))
        low, high = curve.amin(0).tolist(), curve.amax(0).tolist()
        return (low[0], low[1]), (high[0], high[1])


def ring(n: int = 100_000, seed: int = 0, count: int = 8, radius: float = 2.0, sigma: float = 0.02) -> Dataset:
    """Eight Gaussians on a circle: points of the plane; see `Ring`."""
    return _drawn(Ring(count, radius, sigma), n, seed)


def grid(n: int = 100_000, seed: int = 0, side: int = 5, spacing: float = 2.0, sigma: float = 0.05) -> Dataset:
    """Twenty-five Gaussians on a grid: points of the plane; see `Grid`."""
    return _drawn(Grid(side, spacing, sigma), n, seed)


def two_moons(n: int = 100_000, seed: int = 0, sigma: float = 0.1) -> Dataset:
    """Two half circles that interlock: points of the plane; see `TwoMoons`."""
    return _drawn(TwoMoons(sigma), n, seed)


def swiss_roll(n: int = 100_000, seed: int = 0, sigma: float = 0.05) -> Dataset:
    """A spiral: points of the plane; see `SwissRoll`."""
    return _drawn(SwissRoll(sigma), n, seed)


def mixture(
    n: int = 100_000,
    seed: int = 0,
    weights: tuple[float, ...] = Mixture1D.weights,
    means: tuple[float, ...] = Mixture1D.means,
    sigmas: tuple[float, ...] = Mixture1D.sigmas,
) -> Dataset:
    """Three Gaussians on a line: single numbers; see `Mixture1D`."""
    return _drawn(Mixture1D(tuple(weights), tuple(means), tuple(sigmas)), n, seed)


DENSITIES: dict[str, Callable[[], Density]] = {
    "grid": Grid,
    "mixture": Mixture1D,
    "ring": Ring,
    "swiss_roll": SwissRoll,
    "two_moons": TwoMoons,
}
"""The density behind each source of the same name, as it is by default."""


def _drawn(density: Density, n: int, seed: int) -> Dataset:
    _positive("toy", n=n)
    x = density.sample(n, torch.Generator().manual_seed(mix(seed))).to(torch.float32)
    return Dataset(x, density.units, kind="toy", report=(f"Drew {n:,} samples of {density}.",))


def _positive(name: str, **values: float) -> None:
    for what, value in values.items():
        if not value > 0:
            raise BadInput(f"{name} needs {what} > 0, got {value}")


def _equal(count: int, sigma: float) -> tuple[Tensor, Tensor]:
    return torch.full((count,), 1 / count, dtype=torch.float64), torch.full((count,), sigma, dtype=torch.float64)


def _normal(shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=rng, dtype=torch.float64)


def _log_mixture(x: Tensor, centres: Tensor, sigmas: Tensor, log_weights: Tensor) -> Tensor:
    """log sum_k w_k N(x; c_k, sigma_k^2 I) in float64, by portions of x so that N x K distances fit in memory."""
    scale = log_weights - centres.shape[1] * (sigmas.log() + 0.5 * math.log(2 * math.pi))

    def portion(part: Tensor) -> Tensor:
        # Differences, not |x|^2 - 2xc + |c|^2: the latter cancels where the noise is small beside the distances.
        squared = (part[:, None, :] - centres).square().sum(-1)
        return (scale - squared / (2 * sigmas.square())).logsumexp(1)

    rows = max(1, 2_000_000 // len(centres))
    x = x.to(torch.float64)
    return torch.cat([portion(x[start : start + rows]) for start in range(0, max(1, len(x)), rows)])


@lru_cache(maxsize=8)
def _panels(count: int) -> tuple[Tensor, Tensor]:
    """Gauss-Legendre nodes and weights for [0, 1] in an even number of equal panels (a moon each has its own)."""
    count += count % 2
    nodes, weights = np.polynomial.legendre.leggauss(16)
    starts = np.arange(count)[:, None]
    every = ((starts + (nodes + 1) / 2) / count).reshape(-1)
    return torch.from_numpy(every), torch.from_numpy(np.tile(weights / 2 / count, count))
