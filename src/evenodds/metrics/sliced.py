"""The Wasserstein distance between two sets of points, along straight lines."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.metrics._rows import matching, matrix, portions

__all__ = ["SlicedTo", "sliced_wasserstein"]


def sliced_wasserstein(
    a: Tensor, b: Tensor, *, directions: Tensor | int = 128, rng: torch.Generator | None = None, power: float = 2.0
) -> Tensor:
    """(mean over directions of W_p(a.direction, b.direction)^p)^(1/p): Bonneel et al. (2015).

    On a line, W_p^p is the integral over u in [0, 1] of |A^-1(u) - B^-1(u)|^p, A^-1 and B^-1 being the quantile
    functions. These are staircases, so the integral is a finite sum and exact for unequal N and M too. Two sets that
    differ by a shift t have the distance |t| / sqrt(D) for p = 2 and many directions.

    Args:
        a: (N, D) points; computed in float64.
        b: (M, D) points.
        directions: (K, D), scaled to length 1 here; or how many to draw, uniformly on the sphere.
        rng: draws the directions; needed where `directions` is a number.
        power: p >= 1.

    Returns:
        () float64, at least 0, in units of the points. Symmetric for equal directions.

    Raises:
        BadInput: no matrices, different D, no rows, values that are not finite, no direction, or no rng.
    """
    return SlicedTo(a, directions=directions, rng=rng, power=power)(b)


class SlicedTo:
    """`sliced_wasserstein` (Bonneel et al. 2015) between one set and others, whose places along the lines are kept.

    Args:
        a: (N, D) points; computed in float64.
        directions, rng, power: see `sliced_wasserstein`.

    Raises:
        BadInput: what `sliced_wasserstein` refuses.
    """

    def __init__(
        self, a: Tensor, *, directions: Tensor | int = 128, rng: torch.Generator | None = None, power: float = 2.0
    ) -> None:
        if power < 1:
            raise BadInput(f"'power' must be at least 1, got {power}; 1 and 2 are usual")
        self.a, self.power = matrix(a, "a"), power
        self._lines = _lines(directions, self.a.shape[1], rng).to(self.a.device)
        self._places: dict[tuple[int, int], Tensor] = {}

    def __call__(self, b: Tensor) -> Tensor:
        """() float64: the distance of (M, D) points from the set."""
        a, b = matching(self.a, b)
        first, second, share = _staircases(len(a), len(b), a.device)
        parts = []
        for part in portions(len(self._lines), len(share), 1 << 22):
            apart = (self._along(part)[first] - _sorted(b, self._lines[part])[second]).abs()
            parts.append(share @ apart**self.power)
        return torch.cat(parts).mean() ** (1 / self.power)

    def _along(self, part: slice) -> Tensor:
        """(N, K) float64: the places of the set along some lines, in order."""
        key = (part.start, part.stop)
        if key not in self._places:
            self._places[key] = _sorted(self.a, self._lines[part])
        return self._places[key]


def _lines(directions: Tensor | int, columns: int, rng: torch.Generator | None) -> Tensor:
    """(K, D) directions of length 1."""
    if isinstance(directions, int):
        if rng is None or directions < 1:
            raise BadInput(f"{directions} directions cannot be drawn; needed: at least 1 and rng=torch.Generator()")
        directions = torch.randn(directions, columns, generator=rng, device=rng.device, dtype=torch.float64)
    if directions.ndim != 2 or len(directions) == 0 or directions.shape[1] != columns:
        raise BadInput(f"'directions' must be (K, {columns}) with K >= 1, got {tuple(directions.shape)}; match D")
    return F.normalize(directions.to(torch.float64), dim=1)


def _sorted(x: Tensor, lines: Tensor) -> Tensor:
    """(N, K) float64: where the points lie along each line, in order."""
    parts = [x[part].to(torch.float64) @ lines.T for part in portions(len(x), x.shape[1], 1 << 22)]
    along = torch.cat(parts)
    if along.device.type != "cpu":
        return along.sort(0).values
    return torch.from_numpy(np.sort(along.numpy(), 0))  # a third of torch's time, which also looks for the places


def _staircases(n: int, m: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The steps on which both quantile functions are constant: rows of sorted a, rows of sorted b, length of the step.

    The levels i / N and j / M are counted in units of 1 / (N M), where they are whole numbers and nothing rounds.
    """
    start = torch.cat([torch.arange(n, device=device) * m, torch.arange(m, device=device) * n]).sort().values
    # Where both staircases step at one level, one of the two equal starts has length 0.
    length = start.diff(append=start.new_tensor([n * m]))
    return start // m, start // n, length.to(torch.float64) / (n * m)
