"""The z of items by an encoder (GAN inversion), and what is written and drawn of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from evenodds.apply.items import facts_beside
from evenodds.apply.latent import refine
from evenodds.apply.paired_sheet import write_paired
from evenodds.apply.samples import require_film
from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.files.arrays import write_arrays
from evenodds.files.outputs import owned
from evenodds.files.text import quoted
from evenodds.runs.session import Session
from evenodds.show import pictures
from evenodds.tasks._conditional import one_hot

__all__ = [
    "Codes",
    "conditions_of",
    "estimated",
    "invert",
    "require_pictures",
    "require_walk",
    "walk_between",
    "write_codes",
    "write_reconstructions",
]


@dataclass(frozen=True)
class Codes:
    """What an encoder makes of items."""

    z: Tensor
    """(N, latent)."""
    x: Tensor | None
    """(N, ...) in [-1, 1]: the generator's answer to z; None where there is an encoder alone."""
    error: float | None
    """Root mean squared difference of x and the items, in [0, 2]."""
    c: Tensor | None = None
    """(N, K) of a conditional run: what was known of the items, or told by the encoder."""


def invert(
    session: Session, x: Tensor, encoder: nn.Module, steps: int = 0, c: Tensor | None = None, batch: int = 256
) -> Codes:
    """The z of items, and what the generator makes of it.

    Args:
        x: (N, ...) in [-1, 1].
        steps: of refinement: descent in z from the encoder's answer on the squared error of the generator's.
        c: (N, K) of the items, of a conditional run; None: as the encoder tells.
    """
    codes, answers, conditions = [], [], []
    for k, part in enumerate(torch.split(x, batch)):
        z, condition = estimated(session, part, encoder)
        if condition is not None:
            condition = condition if c is None else c[k * batch : (k + 1) * batch]
            conditions.append(condition.cpu())
        if "generator" in session.players:
            generator = session.unconditional(condition)["generator"]
            z = refine(generator, part.to(session.device), z, steps=steps) if steps else z
            answers.append(session.answer(z, condition))
        elif steps:
            raise BadInput("an exported encoder has no generator to refine z by; leave --steps at 0, or take the run")
        codes.append(z.cpu())
    again = torch.cat(answers) if answers else None
    error = None if again is None else float((again - x).square().mean().sqrt())
    return Codes(torch.cat(codes), again, error, torch.cat(conditions) if conditions else None)


@torch.no_grad()
def estimated(session: Session, x: Tensor, encoder: nn.Module) -> tuple[Tensor, Tensor | None]:
    """z (N, latent) of items x (N, ...) in [-1, 1] as an encoder tells it, and c (N, K) of a conditional run."""
    out, latent = encoder(x.to(session.device)).view(len(x), -1), session.latent.size
    return out[:, :latent], None if session.conditions.kind is None else _decided(session, out[:, latent:])


def conditions_of(session: Session, data: Dataset) -> Tensor | None:
    """c (N, K) of data, as far as the run is conditional and the data say it of every item."""
    if session.conditions.kind is None or len(data.classes) != len(session.card.classes):
        return None
    batch = data.batch(torch.arange(len(data)))
    by_class = session.conditions.by_class
    if ("y" if by_class else "c") not in batch or (by_class and bool((batch["y"] < 0).any())):
        return None
    return session.task.condition(batch)


def _decided(session: Session, estimates: Tensor) -> Tensor:
    """What an encoder says of c (N, K) as a c that can be: the most likely class, attributes of 0 or 1, values."""
    if session.conditions.by_class:
        return one_hot(estimates.argmax(1), estimates.shape[1])
    conditions = session.card.conditions
    return (estimates > 0.5).float() if conditions is not None and conditions.binary else estimates.clamp(-1, 1)


def write_codes(session: Session, source: Any, codes: Codes, data: Dataset, path: Path) -> None:
    """Codes as .npz: `z` (N, latent), and what `write_features` puts beside."""
    c = {} if codes.c is None else {"c": codes.c.numpy()}
    write_arrays(path, "encode", {"z": codes.z.numpy(), **c, **facts_beside(session, data, source)})


def require_pictures(session: Session) -> None:
    """BadInput where a run's data are no images: nothing is to be drawn of them."""
    if session.card.kind != "image":
        raise BadInput(
            f"reconstructions are drawn of images, and this run makes {session.card.noun}; find their z with "
            f"evenodds encode {quoted(session.folder)}"
        )


def write_reconstructions(session: Session, data: Dataset, codes: Codes, path: Path, columns: int = 16) -> Path:
    """A sheet of rows in pairs: items above the generator's answers to their codes."""
    require_pictures(session)
    if codes.x is None:
        raise BadInput("an exported encoder has no generator to reconstruct by; take the run itself")
    place = partial(owned, command="reconstruct")
    return write_paired(session, data.batch(torch.arange(len(data)))["x"], codes.x, path, columns, place)


def require_walk(session: Session, steps: int) -> None:
    """BadInput where `walk_between` cannot show a walk, of whichever images."""
    require_film(session)
    if steps < 2:
        raise BadInput(f"a walk between two images needs steps >= 2, got {steps}")


def walk_between(session: Session, first: Tensor, last: Tensor, path: Path, steps: int, encoder: nn.Module) -> Path:
    """A walk from the z of one image to that of another: an animation, or a strip where the file is a PNG.

    Args:
        first, last: (1, C, H, W) in [-1, 1].
        steps: frames, both ends among them.
    """
    require_walk(session, steps)
    codes, share = invert(session, torch.cat([first, last]), encoder, steps=200), torch.linspace(0, 1, steps)
    between = session.latent.between(codes.z[0], codes.z[1], share)
    c = None if codes.c is None else torch.lerp(codes.c[0], codes.c[1], share[:, None])
    frames = session.card.eight_bit(session.render(between, c))
    return pictures.film(path, frames, min(steps, 12), partial(owned, command="walk"))
