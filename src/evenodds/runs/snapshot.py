"""The picture beside each checkpoint: samples, or answers about held-out items."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.files.names import below
from evenodds.game.arithmetic import evenly
from evenodds.game.rules import Batch
from evenodds.runs.sample_picture import sample_picture
from evenodds.runs.session import Session
from evenodds.runs.sheet import in_rows
from evenodds.show import pictures

__all__ = ["compared", "write_snapshot"]

LEAST, MOST = 256, 2048
"""Samples that are drawn at a time: the thousands of points of a toy take half as long in larger portions."""


def write_snapshot(session: Session, dataset: Dataset, held_out_index: Tensor) -> None:
    """Writes samples/<images>.png, of always the same z or the same held-out items, so that checkpoints compare.

    Nothing is written without held-out items, of a task that draws no samples.

    Args:
        session: the game as it stands.
        held_out_index: (M,) the held-out items.
    """
    task, path = session.task, below(session.folder, f"samples/{session.images:012d}.png")
    if task.snapshot_items and len(held_out_index):
        items = held_out_index[evenly(len(held_out_index), task.snapshot_items)]
        pictures.write(path, compared(session, dataset.batch(items)))
    elif session.draws:
        pictured = session.card.pictured
        numbers = session.numbers(pictured, session.config.seed, batch=max(LEAST, min(MOST, pictured)))
        pictures.write(path, sample_picture(session.card, numbers))


def compared(session: Session, real: Batch, least: int = 384) -> NDArray[np.uint8]:
    """A column for each real item: the rows that its task shows, such as source, answer and truth, (C, H', W') uint8.

    Args:
        least: the picture is enlarged to at least so many pixels.
    """
    labels = session.card.beside.get("labels")
    rows = [row.cpu().numpy() for row in session.task.snapshot(real, session.reply)]
    return in_rows(rows, labels.palette if labels is not None else None, least)
