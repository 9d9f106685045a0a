"""The Jensen-Shannon divergence of distributions that are known or counted."""

import math

import torch
from torch import Tensor

from evenodds.errors import BadInput

__all__ = ["histogram_divergence", "jensen_shannon"]


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """KL(p | m) / 2 + KL(q | m) / 2 with m = (p + q) / 2: Lin (1991), eq. 4.1, with equal weights.

    What a generator minimises against the best discriminator (Goodfellow et al. 2014, theorem 1).

    Args:
        p: (..., K), at least 0: probabilities or counts, divided by their sum here; computed in float64.
        q: (..., K) like p.

    Returns:
        (...) float64 in nats, from 0 for equal distributions to log 2 for distributions without overlap.

    Raises:
        BadInput: shapes that do not go together, negative values, or nothing to divide by.
    """
    if p.shape[-1:] != q.shape[-1:] or p.ndim == 0:
        raise BadInput(f"p and q need the same number of outcomes, got {tuple(p.shape)} and {tuple(q.shape)}")
    p, q = _normalised(p, "p"), _normalised(q, "q")
    both = p + q  # not its half, which is 0 where a denormal number stands against 0
    value = (_relative_entropy(p, both) + _relative_entropy(q, both)) / 2 + math.log(2)
    return value.clamp(0, math.log(2))


def histogram_divergence(a: Tensor, b: Tensor, bins: int, low: float, high: float) -> Tensor:
    """Jensen-Shannon divergence (Lin 1991) between the histograms of two sets of numbers.

    Biased upwards by about (bins + 1) / 8 * (1 / N + 1 / M) where both sets come from one distribution.

    Args:
        a: (N,) numbers.
        b: (M,) numbers.
        bins: equally wide bins over [low, high], at least 1. What lies outside is counted in two more bins, below
            and above, so that no example is lost.
        low: lower end.
        high: upper end.

    Returns:
        () float64 in nats, in [0, log 2].

    Raises:
        BadInput: no vectors, no numbers, NaN, or no range.
    """
    if bins < 1 or not low < high:
        raise BadInput(f"a histogram needs bins >= 1 and low < high, got {bins} bins on [{low}, {high}]")
    return jensen_shannon(_counts(a, "a", bins, low, high), _counts(b, "b", bins, low, high))


def _normalised(p: Tensor, name: str) -> Tensor:
    p = p.detach().to(torch.float64)
    total = p.sum(-1, keepdim=True)
    if not bool(((p >= 0) & (total > 0) & total.isfinite()).all()):
        raise BadInput(f"'{name}' must be finite, at least 0, and not 0 everywhere; give probabilities or counts")
    return p / total


def _relative_entropy(p: Tensor, m: Tensor) -> Tensor:
    # xlogy is 0 where p is 0, as the limit is; m is 0 only where p is.
    return (torch.xlogy(p, p) - torch.xlogy(p, m)).sum(-1)


def _counts(x: Tensor, name: str, bins: int, low: float, high: float) -> Tensor:
    """(bins + 2,) counts: below, the bins, above. The last bin includes `high`."""
    x = x.detach().to(torch.float64)
    if x.ndim != 1 or len(x) == 0 or bool(x.isnan().any()):
        raise BadInput(f"'{name}' must be a vector of at least one number, without NaN, got shape {tuple(x.shape)}")
    edges = torch.linspace(low, high, bins + 1, dtype=torch.float64, device=x.device)
    place = torch.bucketize(x, edges, right=True)
    return torch.bincount(torch.where(x == high, bins, place), minlength=bins + 2)
