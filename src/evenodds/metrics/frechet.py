"""The Fréchet distance between Gaussians fitted to two sets of features (Heusel et al. 2017)."""

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.metrics._rows import pair

__all__ = ["frechet", "frechet_of_moments"]


def frechet(a: Tensor, b: Tensor) -> Tensor:
    """Squared Fréchet (2-Wasserstein) distance between N(mean(a), cov(a)) and N(mean(b), cov(b)).

    The FID of Heusel et al. (2017), eq. 6, for any features. Covariances divide by N - 1. It is biased upwards by an
    amount that falls with N and grows with D: compare only values from equal numbers of examples. With N <= D the
    covariances are singular; the value stays defined.

    Args:
        a: (N, D) features, N >= 2; computed in float64.
        b: (M, D) features, M >= 2.

    Returns:
        () float64, at least 0, in squared units of the features. Symmetric.

    Raises:
        BadInput: no matrices, different D, too few rows, or values that are not finite.
    """
    a, b = pair(a, b, least=2)
    return frechet_of_moments(a.mean(0), _covariance(a), b.mean(0), _covariance(b))


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
    between = torch.linalg.eigvalsh(root @ cov_b @ root).clamp_min(0).sqrt().sum()
    shift = (mean_a - mean_b).square().sum()
    value: Tensor = shift + cov_a.trace() + cov_b.trace() - 2 * between
    return value.clamp_min(0)


def _covariance(x: Tensor) -> Tensor:
    centred = x - x.mean(0)
    return torch.mm(centred.T, centred) / (len(x) - 1)


def _root(cov: Tensor) -> Tensor:
    """The symmetric square root of a positive semi-definite matrix."""
    values, vectors = torch.linalg.eigh(cov)
    return torch.mm(vectors * values.clamp_min(0).sqrt(), vectors.T)
