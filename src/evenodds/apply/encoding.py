"""Data to z: the items that are named, an encoder for the run, and the z that it gives them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from evenodds.apply.encoder import encoder_for
from evenodds.apply.inversion import Codes, conditions_of, invert, require_walk, walk_between
from evenodds.apply.items import items
from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.game.arithmetic import evenly
from evenodds.game.trainer import Listener
from evenodds.runs.session import Session

__all__ = ["both_ends", "encoded", "walk_between_images"]


def encoded(
    session: Session,
    source: Any = None,
    steps: int = 0,
    images: int | None = None,
    n: int | None = None,
    listeners: tuple[Listener, ...] = (),
    reading: Callable[[int, int], None] | None = None,
    most_pixels: int | None = None,
) -> tuple[Dataset, Codes]:
    """Items and their z.

    Args:
        source: of the items; None for the data of the run.
        steps: of refinement by descent in z.
        images: samples of the generator that the encoder learns from, where the run has none yet; None: 200,000.
        n: at most so many items, evenly spread over the source; None for all.
        listeners: of the encoder's training, such as a progress bar.
        reading: told (files done, files in all) while the source is read.
        most_pixels: of a picture of the source; larger ones are not decoded. None: 89,478,485.
    """
    encoder = encoder_for(session, images, listeners)
    data = items(session, source, reading, most_pixels)
    if n is not None and n < len(data):
        data = data.take(evenly(len(data), n))
    data = data.in_memory("the items")
    x = data.batch(torch.arange(len(data)))["x"]
    return data, invert(session, x, encoder(), steps, conditions_of(session, data))


def walk_between_images(
    session: Session, first: str | None, last: str | None, path: Path, steps: int, listeners: tuple[Listener, ...] = ()
) -> Path:
    """Writes a walk from the z of one image file to that of another.

    Raises:
        BadInput: one of the two is missing, or such a walk cannot be shown.
    """
    names = both_ends("walk", first, last)
    require_walk(session, steps)
    encoder = encoder_for(session, listeners=listeners)
    ends = [items(session, name).batch(torch.arange(1))["x"] for name in names]
    return walk_between(session, ends[0], ends[1], path, steps, encoder())


def both_ends(command: str, first: str | None, last: str | None) -> tuple[str, str]:
    """The names of two image files; BadInput where one is missing."""
    if first is None or last is None:
        raise BadInput(f"a {command} between two images needs both --from and --to; give the other one too")
    return first, last
