"""Sheets of samples that are moved along directions of z."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from evenodds.apply.latent import directions, move
from evenodds.apply.paired_sheet import write_paired
from evenodds.errors import BadInput
from evenodds.files.outputs import owned
from evenodds.game.seeds import mix
from evenodds.parts.priors import Coded
from evenodds.runs.sample_picture import sample_picture
from evenodds.runs.session import Session
from evenodds.show import pictures

__all__ = ["directions_of", "require_images", "write_code_sheet", "write_directions", "write_moved"]

_OF_DIRECTIONS = partial(owned, command="directions")


def directions_of(session: Session, n: int, how: str = "jacobian", c: Tensor | None = None, draws: int = 32) -> Tensor:
    """(n, latent): the directions of z along which samples change most; see evenodds.apply.latent.directions.

    Args:
        c: (1, K) of a conditional run, within which they are sought; None: as for `Session.answer`.
        draws: of z that they are averaged over.
    """
    generator = session.unconditional(session.task.default_condition if c is None else c)["generator"]
    return directions(generator, session.latent, n, how, draws=draws).cpu()


def write_directions(
    session: Session,
    path: Path,
    axes: Tensor,
    by: float = 3.0,
    steps: int = 9,
    seed: int = 0,
    c: Tensor | None = None,
) -> Path:
    """A sheet with one row for each direction (n, latent): one sample, moved by -by to by along it."""
    require_images(session)
    z = session.prior(1, mix(seed, 0)).repeat(steps, 1)
    moves = torch.linspace(-by, by, steps)
    samples = session.render(torch.cat([move(z, one, moves) for one in axes]), c)
    return pictures.write(path, sample_picture(session.card, samples, steps, 512), _OF_DIRECTIONS)


def write_code_sheet(session: Session, path: Path, by: float = 1.5, rows: int = 4, seed: int = 0) -> Path:
    """A sheet of a code: rows of samples with a column for each category, then one row for each value.

    Along a row nothing else changes; values go from -by to by.
    """
    require_images(session)
    prior = session.latent
    if not isinstance(prior, Coded):
        raise BadInput(
            f"this run ({session.config.task.name}) has no code, no categories and values that its z holds; leave "
            "--how codes out for the directions of z, or train with --set task=infogan prior=coded"
        )
    columns, ends = prior.classes or 9, (prior.noise, prior.noise + prior.classes)
    z = session.prior(rows, mix(seed, 0))
    z[:, ends[1] :] = 0
    parts = []
    for one in z if prior.classes else z[:0]:
        row = one.repeat(columns, 1)
        row[:, ends[0] : ends[1]] = torch.eye(columns)
        parts.append(row)
    for k in range(prior.values):
        row = z[0].repeat(columns, 1)
        row[:, ends[1] + k] = torch.linspace(-by, by, columns)
        parts.append(row)
    sheet = sample_picture(session.card, session.render(torch.cat(parts)), columns, 512)
    return pictures.write(path, sheet, _OF_DIRECTIONS)


def write_moved(
    session: Session, path: Path, direction: Tensor, by: float, n: int, seed: int = 0, c: Tensor | None = None
) -> Path:
    """A sheet of rows in pairs: samples, above the same ones moved along a direction (latent,)."""
    require_images(session)
    z = session.prior(n, mix(seed, 0))
    moved = session.answer(move(z, direction, by), c)
    return write_paired(session, session.answer(z, c), moved, path, min(n, 16), _OF_DIRECTIONS)


def require_images(session: Session) -> None:
    """BadInput of a run of rows, whose directions cannot be drawn."""
    if session.card.kind != "image":
        raise BadInput(
            f"directions are drawn of images, and this run makes {session.card.noun}; take a run of images, "
            "or in Python evenodds.apply.latent.directions"
        )
