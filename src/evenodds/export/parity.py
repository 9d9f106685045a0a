"""Whether an exported file computes what the run computes: both on the same inputs, at several sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.export.entry import ANY_SIZE, BATCH, Entry
from evenodds.export.graphs import Graph
from evenodds.runs.session import Session

__all__ = ["FULL", "HALF", "Parity", "compared", "drawn"]

Outputs = list[NDArray[np.generic]]
Compute = Callable[[dict[str, NDArray[np.generic]]], Outputs]

FULL, HALF = 1e-3, 3e-2
"""How far answers may differ, of numbers in [-1, 1] or of the largest number where that is more; HALF with float16."""
_ONE_BYTE = 1.01 * 2 / 255
"""What may be rounded the other way."""
BATCHES = (1, 2, 5)
DRAWS = 4
"""Fillings of each row of a table."""
SIDES = ((32, 48), (40, 24))
"""Of images of any size, about."""


@dataclass(frozen=True)
class Parity:
    """How far the answers of a file are from those of the run.

    Args:
        difference: the largest; of labels the share of pixels that have another one; of bytes in [-1, 1].
        cases: on how many requests.
    """

    difference: float
    cases: int
    limit: float

    def require(self, what: str) -> None:
        """BadInput where they are too far."""
        if not self.difference <= self.limit:
            raise BadInput(
                f"{what} would differ from the run by {self.difference:.2g}, and at most {self.limit:g} is right; "
                "nothing was written"
            )


def compared(
    session: Session, graph: Graph, reference: nn.Module, compute: Compute, half: bool, least: int = 1
) -> Parity:
    """Compares at batches of 1, 2 and 5 and, where it takes any size, at two sizes.

    Args:
        reference: the graph's module in full precision.
        least: how many units a free side has at least.
    """
    worst, cases, bytes_out = 0.0, 0, any(one.dtype == "uint8" and one.name != "labels" for one in graph.outputs)
    for number, (batch, sides) in enumerate(_requests(graph, least)):
        inputs = drawn(session, graph, batch, sides, seed=number)
        with torch.no_grad():
            native = reference(*inputs)
        want = [value.numpy() for value in (native if isinstance(native, tuple) else (native,))]
        named = {one.name: value.numpy() for one, value in zip(graph.inputs, inputs, strict=True)}
        for entry, a, b in zip(graph.outputs, want, compute(named), strict=True):
            worst = max(worst, _difference(entry, a, b))
        cases += 1
    limit = HALF if half else FULL
    return Parity(worst, cases, max(limit, _ONE_BYTE) if bytes_out else limit)


def _difference(entry: Entry, want: NDArray[np.generic], got: NDArray[np.generic]) -> float:
    if want.shape != got.shape or not np.isfinite(got.astype(np.float64)).all():
        return float("inf")
    if entry.name == "labels":
        return float((want != got).mean())
    scale = 127.5 if entry.dtype == "uint8" else max(1.0, float(np.abs(want.astype(np.float64)).max()))
    return float(np.abs(want.astype(np.float64) - got.astype(np.float64)).max() / scale)


def _requests(graph: Graph, least: int) -> Iterator[tuple[int, tuple[int, int]]]:
    free = any(side in ANY_SIZE for one in graph.inputs for side in one.shape)
    unit = graph.multiple
    for sides in SIDES if free else SIDES[:1]:
        for batch in BATCHES:
            yield batch, (max(least, -(-sides[0] // unit)) * unit, max(least, -(-sides[1] // unit)) * unit)


def drawn(
    session: Session, graph: Graph, batch: int, sides: tuple[int, int] = SIDES[0], seed: int = 0
) -> tuple[Tensor, ...]:
    """Inputs of a graph: z of the prior, classes in turn, a truncation of 0.7, random images or rows, and masks."""
    rng = torch.Generator().manual_seed(seed)
    if session.card.has_gaps:
        return _rows(session, batch, rng)
    lengths = {BATCH: batch, **dict(zip(ANY_SIZE, sides, strict=True))}
    shapes = ([lengths[side] if isinstance(side, str) else side for side in entry.shape] for entry in graph.inputs)
    return tuple(_one(session, entry, shape, rng) for entry, shape in zip(graph.inputs, shapes, strict=True))


def _one(session: Session, entry: Entry, shape: Sequence[int], rng: torch.Generator) -> Tensor:
    if entry.name == "z":
        return session.latent(shape[0], rng)
    if entry.name == "y":
        return torch.arange(shape[0]) % session.task.condition_length
    if entry.name == "c":
        by_class = session.conditions.by_class
        return torch.eye(shape[1])[torch.arange(shape[0]) % shape[1]] if by_class else _bits(shape, rng).float()
    if entry.name == "truncation":
        return torch.full(shape, 0.7)
    if entry.name == "mask":
        return _bits(shape, rng).to(getattr(torch, entry.dtype))
    if entry.dtype == "uint8":
        return torch.randint(0, 256, shape, generator=rng, dtype=torch.uint8)
    return 2 * torch.rand(shape, generator=rng) - 1


def _rows(session: Session, batch: int, rng: torch.Generator) -> tuple[Tensor, ...]:
    """x (N, E), mask (N, E) and z (N, DRAWS, latent): rows of numbers and words that columns have, of which half of the
    cells are observed."""
    units, prior = session.card.units, session.task.prior
    assert prior is not None
    shares = torch.rand(batch, len(units.columns), generator=rng, dtype=torch.float64)
    cells = [low + share * (high - low) for low, high, share in zip(units.low, units.high, shares.T, strict=True)]
    values = units.common.allowed(torch.stack(cells, 1).numpy())
    observed = _bits(values.shape, rng)
    x = units.to_model(torch.from_numpy(np.where(observed.numpy(), values, np.nan)))
    return x.nan_to_num(0.0), (~x.isnan()).float(), prior(batch * DRAWS, rng).view(batch, DRAWS, -1)


def _bits(shape: Sequence[int], rng: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=rng) < 0.5
