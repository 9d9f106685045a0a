"""What all metrics ask of their input, and squared distances in portions that fit into memory."""

from collections.abc import Iterator

import torch
from torch import Tensor

from evenodds.errors import BadInput

__all__ = ["pair", "portions", "rows", "squared_distances"]


def rows(x: Tensor, name: str, least: int = 1) -> Tensor:
    """x as (N, D) float64, cut off from autograd; on the CPU where the device has no float64.

    Raises:
        BadInput: x is no matrix, has fewer than `least` rows, no column, or a value that is not finite.
    """
    if x.ndim != 2 or x.shape[1] == 0:
        raise BadInput(
            f"'{name}' must be a matrix (N, D), one row per example, got {tuple(x.shape)}; flatten(1) it first"
        )
    if len(x) < least:
        raise BadInput(f"'{name}' needs at least {least} rows, got {len(x)}; give more examples")
    x = (x.detach().cpu() if x.device.type == "mps" else x.detach()).to(torch.float64)
    if not bool(x.isfinite().all()):
        raise BadInput(f"'{name}' must be finite, got NaN or infinity; leave those rows out")
    return x


def pair(a: Tensor, b: Tensor, least: int = 1, names: tuple[str, str] = ("a", "b")) -> tuple[Tensor, Tensor]:
    """Both as (N, D) and (M, D) float64; BadInput where they do not go together."""
    a, b = rows(a, names[0], least), rows(b, names[1], least)
    if a.shape[1] != b.shape[1]:
        raise BadInput(
            f"'{names[0]}' and '{names[1]}' must have the same columns, got {a.shape[1]} and {b.shape[1]}; "
            "use the same features for both"
        )
    return a, b


def portions(n: int, width: int, entries: int) -> Iterator[slice]:
    """Cuts n rows so that one portion of a matrix with `width` columns has at most `entries` entries, or is one row."""
    size = max(1, entries // max(1, width))
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """(N, M) squared Euclidean distances, by one matrix product; rounding may leave 1e-15 of the squared lengths."""
    return ((a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T).clamp_min(0)
