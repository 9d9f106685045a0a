"""What all metrics ask of their input, and squared distances in portions that fit into memory."""

from collections.abc import Iterator

import torch
from torch import Tensor

from evenodds.errors import BadInput

__all__ = ["centred", "column_means", "matching", "matrix", "pair", "portions", "rows", "squared_distances"]


def matrix(x: Tensor, name: str, least: int = 1) -> Tensor:
    """x as it came, (N, D), cut off from autograd and checked; on the CPU where the device has no float64.

    Not converted: two sets of 50,000 rows of 2,048 columns take 0.8 GB in float32 and as much again for every copy.

    Raises:
        BadInput: x is no matrix, has fewer than `least` rows, no column, or a value that is not finite.
    """
    if x.ndim != 2 or x.shape[1] == 0:
        raise BadInput(
            f"'{name}' must be a matrix (N, D), one row per example, got {tuple(x.shape)}; flatten(1) it first"
        )
    if len(x) < least:
        raise BadInput(f"'{name}' needs at least {least} rows, got {len(x)}; give more examples")
    x = x.detach().cpu() if x.device.type == "mps" else x.detach()
    # The extremes are NaN where any value is; unlike isfinite() they need no copy of x.
    if not all(bool(extreme.isfinite()) for extreme in x.aminmax()):
        raise BadInput(f"'{name}' must be finite, got NaN or infinity; leave those rows out")
    return x


def matching(a: Tensor, b: Tensor, least: int = 1, names: tuple[str, str] = ("a", "b")) -> tuple[Tensor, Tensor]:
    """Both as they came, (N, D) and (M, D), checked; BadInput where they do not go together."""
    a, b = matrix(a, names[0], least), matrix(b, names[1], least)
    if a.shape[1] != b.shape[1]:
        raise BadInput(
            f"'{names[0]}' and '{names[1]}' must have the same columns, got {a.shape[1]} and {b.shape[1]}; "
            "use the same features for both"
        )
    return a, b


def rows(x: Tensor, name: str, least: int = 1) -> Tensor:
    """x as a checked (N, D) in float64: `matrix` for sets that are small."""
    return matrix(x, name, least).to(torch.float64)


def pair(a: Tensor, b: Tensor, least: int = 1, names: tuple[str, str] = ("a", "b")) -> tuple[Tensor, Tensor]:
    """Both as checked (N, D) and (M, D) in float64: `matching` for sets that are small."""
    a, b = matching(a, b, least, names)
    return a.to(torch.float64), b.to(torch.float64)


def portions(n: int, width: int, entries: int) -> Iterator[slice]:
    """Cuts n rows so that one portion of a matrix with `width` columns has at most `entries` entries, or is one row."""
    size = max(1, entries // max(1, width))
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def column_means(x: Tensor) -> Tensor:
    """(D,) float64, without a float64 copy of x."""
    sums = [x[part].to(torch.float64).sum(0) for part in portions(len(x), x.shape[1], 1 << 22)]
    return torch.stack(sums).sum(0) / len(x)


def centred(x: Tensor, middle: Tensor) -> Tensor:
    """x - middle as ONE new (N, D) in float64."""
    return x.to(torch.float64, copy=True).sub_(middle)


def squared_distances(a: Tensor, b: Tensor, slack: float = 0.0) -> Tensor:
    """(N, M) squared Euclidean distances, by one matrix product; rounding may leave 1e-15 of the squared lengths.

    Args:
        a: (N, D) float64, centred where digits matter.
        b: (M, D) float64.
        slack: the share of the squared lengths of both rows by which every value is made smaller; with a slack above
            the rounding, rows that are equal are never apart.
    """
    left, right = (torch.linalg.vector_norm(x, dim=1).square() * (1 - slack) for x in (a, b))
    return torch.addmm(right, a, b.T, alpha=-2).add_(left[:, None]).clamp_min_(0)
