"""The Fréchet distance between Gaussians fitted to two sets of features (Heusel et al. 2017)."""

import math

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.metrics._rows import centred, column_means, matching, portions

__all__ = ["frechet", "frechet_of_moments"]


def frechet(a: Tensor, b: Tensor) -> Tensor:
    """Squared Fréchet (2-Wasserstein) distance between N(mean(a), cov(a)) and N(mean(b), cov(b)).

    The FID of Heusel et al. (2017), eq. 6, for any features. Covariances divide by N - 1. It is biased upwards by an
    amount that falls with N and grows with D: compare only values from equal numbers of examples. With N <= D the
    covariances are singular; the value stays defined.

    Covariances are summed up in float64 from portions of rows, so that beside a and b only a few (D, D) matrices are
    held. With N <= D they are not needed: with centred rows A and B, A'A / (N - 1) being the covariance,
    tr((A B)^1/2) is the sum of the singular values of A B' / sqrt((N - 1) (M - 1)), which is only (N, M).

    Args:
        a: (N, D) features, N >= 2; computed in float64.
        b: (M, D) features, M >= 2.

    Returns:
        () float64, at least 0, in squared units of the features. Symmetric.

    Raises:
        BadInput: no matrices, different D, too few rows, or values that are not finite.
    """
    a, b = matching(a, b, least=2)
    few, many = (a, b) if len(a) <= len(b) else (b, a)
    if len(few) > few.shape[1]:
        return frechet_of_moments(*_moments(few), *_moments(many))
    shift = (column_means(few) - column_means(many)).square().sum()
    factor = _factor(few)
    if len(many) <= many.shape[1]:
        other = _factor(many)
        spread, between = other.square().sum(), torch.linalg.svdvals(factor @ other.T).sum()
    else:
        _, cov = _moments(many)
        spread, between = cov.trace(), _sum_of_roots(factor @ cov @ factor.T)
    value: Tensor = shift + factor.square().sum() + spread - 2 * between
    return value.clamp_min(0)


def frechet_of_moments(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    """|m_a - m_b|^2 + tr(A) + tr(B) - 2 tr((A^1/2 B A^1/2)^1/2): Dowson and Landau (1982).

    A^1/2 B A^1/2 is symmetric and has the eigenvalues of A B, so its root needs no general matrix square root, gives
    no complex part, and a singular A or B does no harm: eigenvalues that rounding made negative are taken as 0.

    Args:
        mean_a: (D,) mean of the first Gaussian; computed in float64.
        cov_a: (D, D) symmetric, positive semi-definite.
        mean_b: (D,) mean of the second.
        cov_b: (D, D) like cov_a.

    Returns:
        () float64, at least 0.

    Raises:
        BadInput: shapes that do not go together.
    """
    d = mean_a.numel()
    shapes = [tuple(x.shape) for x in (mean_a, mean_b, cov_a, cov_b)]
    if shapes != [(d,), (d,), (d, d), (d, d)]:
        raise BadInput(f"moments need means (D,) twice and covariances (D, D) twice, got {shapes}; match D")
    mean_a, cov_a, mean_b, cov_b = (x.detach().to(torch.float64) for x in (mean_a, cov_a, mean_b, cov_b))
    root = _root(cov_a)
    between = _sum_of_roots(root @ cov_b @ root)
    shift = (mean_a - mean_b).square().sum()
    value: Tensor = shift + cov_a.trace() + cov_b.trace() - 2 * between
    return value.clamp_min(0)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and covariance (D, D) in float64, from portions of rows."""
    mean, columns = column_means(x), x.shape[1]
    products = mean.new_zeros(columns, columns)
    width = max(256, columns // 8)
    for part in portions(len(x), x.shape[1], 1 << 22):
        rows = centred(x[part], mean)
        # A product with itself is symmetric: only the blocks on and above the diagonal, half the work.
        for start in range(0, columns, width):
            block = rows[:, start : start + width]
            products[start : start + width, start:].addmm_(block.T, rows[:, start:])
    return mean, (products.triu() + products.triu(1).T) / (len(x) - 1)


def _factor(x: Tensor) -> Tensor:
    """(N, D) whose product with itself, transposed first, is the covariance."""
    return centred(x, column_means(x)) / math.sqrt(len(x) - 1)


def _sum_of_roots(product: Tensor) -> Tensor:
    """The trace of the root of a positive semi-definite matrix."""
    values: Tensor = torch.linalg.eigvalsh(product)
    return values.clamp_min(0).sqrt().sum()


def _root(cov: Tensor) -> Tensor:
    """The symmetric square root of a positive semi-definite matrix."""
    values, vectors = torch.linalg.eigh(cov)
    return torch.mm(vectors * values.clamp_min(0).sqrt(), vectors.T)
