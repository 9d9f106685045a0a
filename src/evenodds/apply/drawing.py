"""One request for samples, as people make it: how many, of what, how true; and points of the latent space by name."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from evenodds.apply.direction_sheets import directions_of
from evenodds.apply.samples import requested_labels, table_rows, table_text, write_arrays
from evenodds.apply.selecting import drawn_in, sample, truncated
from evenodds.errors import BadInput
from evenodds.game.seeds import mix
from evenodds.runs.session import Session

__all__ = ["BLOCK", "Drawn", "Point", "Request", "between", "codes_of", "draw", "drawn", "point_of"]

BLOCK = 256
"""Draws of z that are made at once; sample k of a seed is draw k % 256 of block k // 256."""


@dataclass(frozen=True)
class Request:
    """What samples are asked for.

    Args:
        n: how many.
        seed: the same seed gives the same samples.
        class_: the name of their class, of a conditional run; None: as they occur.
        given: of a run that is conditional on attributes or values, a number for each.
        truncation: in (0, 1], see `selecting.sample`.
        select: the selection, or None.
        classes: the name of the class of each, in place of `class_`.
    """

    n: int = 16
    seed: int = 0
    class_: str | None = None
    given: Mapping[str, float] | None = None
    truncation: float = 1.0
    select: str | None = None
    classes: tuple[str, ...] | None = None

    def labels(self, session: Session) -> list[int] | None:
        """The number of the class of each sample; None where the run is not conditional on classes."""
        if self.classes is None:
            return requested_labels(session, self.n, self.class_, None, self.seed)
        if len(self.classes) != self.n or self.class_ is not None:
            raise BadInput(f"{self.n} samples need {self.n} names in classes, got {len(self.classes)}, and no class")
        requested_labels(session, self.n, self.classes[0], None, self.seed)  # refuses runs without classes
        return [session.card.class_number(name) for name in self.classes]


@dataclass(frozen=True)
class Drawn:
    """Samples as numbers, with their classes and what they were asked for by.

    Args:
        x: as `Session.numbers` gives them.
        y: numbers of classes.
        c: (N, K) attributes or values in their own units.
    """

    session: Session
    x: NDArray[Any]
    y: list[int] | None = None
    c: NDArray[Any] | None = None

    def npz(self) -> bytes:
        """As a file of arrays: x in the data's own units, and y, the names of classes."""
        file = io.BytesIO()
        write_arrays(file, self.session, self.x, self.y)
        return file.getvalue()

    def csv(self) -> str:
        """As rows of a table; BadInput of images."""
        self._require_rows()
        return table_text(self.session, self.x, self.y, self.c)

    def cells(self) -> list[Sequence[str]]:
        """The names of a table's columns, then the cells of each row; BadInput of images."""
        self._require_rows()
        return table_rows(self.session, self.x, self.y, self.c)

    def _require_rows(self) -> None:
        if self.session.card.kind == "image":
            raise BadInput("images are no rows of a table; ask for png or npz")


def draw(session: Session, request: Request) -> Drawn:
    """The samples of a request.

    Raises:
        BadInput: the run does not draw such samples; the message says what it can be asked for.
    """
    n, seed, y, given = request.n, request.seed, request.labels(session), request.given
    x = sample(session, n, seed, y, given, truncation=request.truncation, select=request.select, batch=BLOCK)
    return _with_conditions(session, request, x, y)


def drawn(session: Session, request: Request, x: Tensor) -> Drawn:
    """The samples of a request as numbers, of what the generator makes of its codes: x (n, ...) in [-1, 1]."""
    return _with_conditions(session, request, session.in_own_units(x), request.labels(session))


def _with_conditions(session: Session, request: Request, x: NDArray[Any], y: list[int] | None) -> Drawn:
    return Drawn(session, x, y, session.conditions.in_own_units(request.n, request.seed, y, request.given))


def codes_of(session: Session, request: Request) -> tuple[Tensor, Tensor | None]:
    """z (n, latent), truncated where that is done in z, and c (n, K) or None, by which `draw` makes its samples.

    Args:
        request: without a selection.
    """
    n, seed = request.n, request.seed
    blocks = [session.prior(BLOCK, mix(seed, k // BLOCK))[: n - k] for k in range(0, n, BLOCK)]
    factor = drawn_in(session, request.truncation)[1]
    z = truncated(session.latent, torch.cat(blocks), factor)
    c = session.conditions.for_samples(n, seed, BLOCK, request.labels(session), request.given)
    return z, None if c is None else c.expand(n, -1)


@dataclass(frozen=True)
class Point:
    """A point of the latent space, by the names that people have for it.

    Args:
        seed, index: sample `index` of that seed.
        moves: strengths along the first directions, by number from 1, in units of z.
        truncation: in (0, 1], towards the middle of z.
        class_: its class, of a run by class; None: that of the sample.
        given: of a run that is conditional on attributes or values, a number for each; None: those of the sample.
        code: z (1, latent), and c (1, K) or None, in place of those of a sample, such as those of a picture.
    """

    seed: int = 0
    index: int = 0
    moves: Mapping[int, float] = field(default_factory=dict)
    truncation: float = 1.0
    class_: str | None = None
    given: Mapping[str, float] | None = None
    code: tuple[Tensor, Tensor | None] | None = None


def point_of(session: Session, point: Point, steps: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """z (1, latent) and c (1, K), or None, of a point.

    Args:
        steps: (D, latent), the directions that `moves` counts; found where None and needed.
    """
    if point.index < 0:
        raise BadInput(f"samples are counted from 0, got {point.index}")
    block, k = divmod(point.index, BLOCK)
    z = session.prior(BLOCK, mix(point.seed, block))[k : k + 1] if point.code is None else point.code[0]
    if point.truncation < 1:
        z = truncated(session.latent, z, point.truncation)
    if point.moves:
        steps = directions_of(session, max(point.moves)) if steps is None else steps
        if not 1 <= min(point.moves) <= max(point.moves) <= len(steps):
            raise BadInput(f"directions have the numbers 1 to {len(steps)}, got {sorted(point.moves)}")
        z = z + sum(by * steps[number - 1] for number, by in point.moves.items())
    return z, _condition(session, point)


def _condition(session: Session, point: Point) -> Tensor | None:
    """c (1, K) of a point; None of a run that is not conditional."""
    if point.class_ is not None:
        return session.conditions.to_model(y=[session.card.class_number(point.class_)])
    if point.given is not None:
        return session.conditions.to_model(given=point.given)
    if point.code is not None:
        return point.code[1]
    sampled = session.conditions.sampled(point.index + 1, point.seed)
    return None if sampled is None else sampled[point.index :]


def between(
    session: Session, first: Point, last: Point, shares: Sequence[float], steps: Tensor | None = None
) -> NDArray[Any]:
    """Samples on the way from one point to another, in the data's own units.

    Args:
        shares: of the way, each in [0, 1]; 0 is the first point.
        steps: the directions, see `point_of`.
    """
    if not shares or not all(0 <= share <= 1 for share in shares):
        raise BadInput("shares of a way lie in [0, 1], and at least one is needed")
    (z, c), (other, target) = (point_of(session, point, steps) for point in (first, last))
    t = torch.tensor(list(shares))
    zs = session.latent.between(z[0], other[0], t) if len(t) > 1 or 0 < shares[0] < 1 else (z, other)[round(shares[0])]
    cs = None if c is None or target is None else torch.lerp(c, target, t[:, None])
    return session.render(zs, cs)
