"""The kernel distance between two sets of features (Binkowski et al. 2018, section 4)."""

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.metrics._rows import pair, portions

__all__ = ["kernel_distance"]


def kernel_distance(a: Tensor, b: Tensor, *, degree: int = 3, entries: int = 1 << 22) -> Tensor:
    """Unbiased estimate of the squared maximum mean discrepancy under k(x, y) = (x.y / D + 1)^degree.

    The KID of Binkowski et al. (2018) for any features; the estimator is that of Gretton et al. (2012), eq. 3:

        sum_{i != j} k(a_i, a_j) / (N (N - 1)) + sum_{i != j} k(b_i, b_j) / (M (M - 1)) - 2 sum k(a_i, b_j) / (N M)

    Its expectation does not depend on N and M, unlike that of the Fréchet distance, so small sets compare with large
    ones. The paper averages it over subsets of 1,000 rows; here every pair is used once, which varies less.

    Args:
        a: (N, D) features, N >= 2; computed in float64.
        b: (M, D) features, M >= 2.
        degree: of the polynomial, at least 1; a degree of 3 sees means, covariances and skewness.
        entries: kernel values that are held in memory at once; changes the result by rounding only.

    Returns:
        () float64; expectation 0 for equal distributions, so it can be a little below 0.

    Raises:
        BadInput: no matrices, different D, too few rows, no degree, or values that are not finite.
    """
    a, b = pair(a, b, least=2)
    if degree < 1:
        raise BadInput(f"'degree' must be at least 1, got {degree}; 3 is usual")
    within = sum((_between_others(x, degree, entries) for x in (a, b)), a.new_zeros(()))
    return within - 2 * _total(a, b, degree, entries) / (len(a) * len(b))


def _kernel(a: Tensor, b: Tensor, degree: int) -> Tensor:
    return (a @ b.T / a.shape[1] + 1) ** degree


def _total(a: Tensor, b: Tensor, degree: int, entries: int) -> Tensor:
    """The sum of k over all pairs."""
    parts = [_kernel(a[part], b, degree).sum() for part in portions(len(a), len(b), entries)]
    return torch.stack(parts).sum()


def _between_others(x: Tensor, degree: int, entries: int) -> Tensor:
    """The mean of k over pairs of different rows."""
    own = ((x.square().sum(1) / x.shape[1] + 1) ** degree).sum()
    return (_total(x, x, degree, entries) - own) / (len(x) * (len(x) - 1))
