"""The Parzen-window log-likelihood of Goodfellow et al. (2014), section 5."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.metrics._rows import pair, portions

__all__ = ["Parzen", "log_densities", "log_density", "parzen"]

# 20 sigmas per factor of 10: the optimum over D columns costs D (log error)^2 nats, so 784 pixels need a fine grid.
_STEP = 10 ** (1 / 20)
_GRID = tuple(0.05 * _STEP**i for i in range(27))
_EXTENSIONS = 6


class Parzen(NamedTuple):
    """What `parzen` finds.

    Attributes:
        mean: mean log density of the test rows, in nats.
        standard_error: of that mean, across the test rows.
        sigma: the kernel's standard deviation, chosen on the validation rows.
        sigmas: (S,) float64, all that were tried, ascending.
        validation: (S,) float64, mean log density of the validation rows for each of them.
        inside: whether larger and smaller sigmas were tried and were worse. False says that the validation rows would
            have the kernels ever narrower, which happens where they are among the samples, or that one sigma was given.
    """

    mean: float
    standard_error: float
    sigma: float
    sigmas: Tensor
    validation: Tensor
    inside: bool


def log_density(points: Tensor, samples: Tensor, sigma: float, *, entries: int = 1 << 20) -> Tensor:
    """log p(x) = log mean_i N(x; s_i, sigma^2 I): a Gaussian window around every sample (Parzen 1962).

    Args:
        points: (N, D), where the density is asked for; computed in float64.
        samples: (M, D), the middles of the kernels.
        sigma: standard deviation along each column, above 0, in units of the columns.
        entries: distances that are held in memory at once; changes the result by rounding only.

    Returns:
        (N,) float64 in nats: finite however far a point lies from all samples. Data scaled by c lose D log c.

    Raises:
        BadInput: no matrices, different D, no rows, values that are not finite, or no sigma.
    """
    return log_densities(points, samples, [sigma], entries=entries)[0]


def log_densities(points: Tensor, samples: Tensor, sigmas: Sequence[float], *, entries: int = 1 << 20) -> Tensor:
    """`log_density` (Parzen 1962) for many sigmas; the distances, which cost most, are computed once.

    Args:
        points: (N, D), where the density is asked for; computed in float64.
        samples: (M, D), the middles of the kernels.
        sigmas: S standard deviations, above 0.
        entries: distances that are held in memory at once; changes the result by rounding only.

    Returns:
        (S, N) float64 in nats.

    Raises:
        BadInput: no matrices, different D, no rows, values that are not finite, or no sigma.
    """
    points, samples = pair(points, samples, names=("points", "samples"))
    if not sigmas or not all(0 < sigma < math.inf for sigma in sigmas):
        raise BadInput(f"a kernel needs a finite sigma above 0, got {list(sigmas)}; 0.05 to 1 suits data in [0, 1]")
    # Distances do not depend on the origin, their rounding does.
    middle = samples.mean(0)
    samples = samples - middle
    lengths = samples.square().sum(1)
    # Filled instead of collected: small tensors kept between large ones that go leave holes, up to gigabytes of them.
    densities = points.new_empty(len(sigmas), len(points))
    for part in portions(len(points), len(samples), entries):
        densities[:, part] = _of_portion(points[part] - middle, samples, lengths, sigmas)
    return densities


def parzen(samples: Tensor, validation: Tensor, test: Tensor, *, sigmas: Sequence[float] | None = None) -> Parzen:
    """The mean log-likelihood of test data under Gaussian windows around a generator's samples, with its error.

    Goodfellow et al. (2014), section 5 and table 1: sigma is the one under which the validation rows are likeliest.
    The paper took 10,000 samples of a generator and MNIST in [0, 1]; figures compare only for data in that range, as
    many samples and as many columns, so scale the data first. Theis et al. (2016) show what they do not mean: in
    many dimensions the estimate is far from the likelihood, and samples that are worse to the eye may score higher.

    Args:
        samples: (M, D) generated rows; computed in float64.
        validation: (V, D) real rows that are neither test rows nor known to the generator.
        test: (N, D) real rows, N >= 2.
        sigmas: those to try, continued in their steps while the best one lies at an end; a single one is taken as it
            is. By default 27 from 0.05 to 1, likewise continued, then 8 more around the best, which makes the steps a
            hundredth of a power of ten. The paper's programs tried 10 from 0.1 to 1, which may miss 13 nats at D = 784.

    Returns:
        Parzen(mean, standard_error, sigma, sigmas, validation, inside).

    Raises:
        BadInput: no matrices, different D, too few rows, values that are not finite, or no sigma.
    """
    samples, test = pair(samples, test, names=("samples", "test"))
    if len(test) < 2:
        raise BadInput(f"'test' needs at least 2 rows for a standard error, got {len(test)}; give more examples")
    tried = _Tried(samples, validation)
    tried.add(_GRID if sigmas is None else sigmas)
    for _ in range(_EXTENSIONS):
        if tried.inside or len(tried.sigmas) == 1:
            break
        tried.add(tried.beyond())
    if sigmas is None and tried.inside:
        tried.add(tried.between())
    sigma = float(tried.sigmas[tried.best])
    densities = log_density(test, samples, sigma)
    error = float(densities.std()) / math.sqrt(len(densities))
    return Parzen(float(densities.mean()), error, sigma, tried.sigmas, tried.scores, tried.inside)


class _Tried:
    """Sigmas in ascending order with the mean log density of the validation rows under each."""

    def __init__(self, samples: Tensor, validation: Tensor) -> None:
        self.samples, self.rows = pair(samples, validation, names=("samples", "validation"))
        self.sigmas = self.scores = self.samples.new_zeros(0)

    @property
    def best(self) -> int:
        return int(self.scores.argmax())

    @property
    def inside(self) -> bool:
        return 0 < self.best < len(self.sigmas) - 1

    def add(self, more: Sequence[float]) -> None:
        new = sorted(set(more) - set(self.sigmas.tolist()))
        scores = torch.cat([self.scores, log_densities(self.rows, self.samples, new).mean(1)])
        sigmas = torch.cat([self.sigmas, self.sigmas.new_tensor(new)])
        order = sigmas.argsort()
        self.sigmas, self.scores = sigmas[order], scores[order]

    def beyond(self) -> list[float]:
        """The grid's next 10 steps on the side of the best."""
        first, second = (0, 1) if self.best == 0 else (-1, -2)
        end = float(self.sigmas[first])
        return [end * (end / float(self.sigmas[second])) ** i for i in range(1, 11)]

    def between(self) -> list[float]:
        """Ten equal steps from the best one's lower to its upper neighbour, of which the middle one is the best."""
        low, high = float(self.sigmas[self.best - 1]), float(self.sigmas[self.best + 1])
        return [low * (high / low) ** (i / 10) for i in range(1, 10) if i != 5]


def _of_portion(points: Tensor, samples: Tensor, lengths: Tensor, sigmas: Sequence[float]) -> Tensor:
    """(S, N) log densities of a few points; `lengths` are the samples' squared ones."""
    # Squared distances less |x|^2, which the smallest one takes back: log sum exp needs the differences only.
    apart = torch.addmm(lengths, points, samples.T, alpha=-2)
    least = apart.min(1, keepdim=True).values
    apart -= least
    nearest = (least[:, 0] + points.square().sum(1)).clamp_min(0)
    rows = []
    for sigma in sigmas:
        spread = 2 * sigma * sigma
        total = (apart / -spread).exp_().sum(1).log()
        rows.append(total - nearest / spread)
    constant = [math.log(len(samples)) + points.shape[1] / 2 * math.log(2 * math.pi * s * s) for s in sigmas]
    return torch.stack(rows) - points.new_tensor(constant)[:, None]
