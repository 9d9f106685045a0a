"""The picture beside each checkpoint: samples, or answers about held-out items."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.data.palette import Palette
from evenodds.files.names import below
from evenodds.game.arithmetic import eight_bit, evenly
from evenodds.game.rules import Batch
from evenodds.runs.sample_picture import sample_picture
from evenodds.runs.session import Session
from evenodds.show import pictures

__all__ = ["compared", "in_rows", "write_snapshot"]


def write_snapshot(session: Session, dataset: Dataset, held_out_index: Tensor) -> None:
    """Writes samples/<images>.png, of always the same z or the same held-out items, so that checkpoints compare.

    Nothing is written without held-out items, of a task that draws no samples.

    Args:
        session: the game as it stands.
        held_index: (M,) the held-out items.
    """
    task, path = session.task, below(session.folder, f"samples/{session.images:012d}.png")
    if task.snapshot_items and len(held_out_index):
        items = held_out_index[evenly(len(held_out_index), task.snapshot_items)]
        pictures.write(path, compared(session, dataset.batch(items)))
    elif session.draws:
        n = 64 if dataset.kind == "image" else 4096
        pictures.write(path, sample_picture(session.card, session.numbers(n, seed=session.config.seed)))


def compared(session: Session, real: Batch, least: int = 384) -> NDArray[np.uint8]:
    """A column for each real item: the rows that its task shows, such as source, answer and truth, (C, H', W') uint8.

    Args:
        least: the picture is enlarged to at least so many pixels.
    """
    labels = session.card.beside.get("labels")
    return in_rows(session.task.snapshot(real, session.reply), labels.palette if labels is not None else None, least)


def in_rows(rows: Sequence[Tensor], palette: Palette | None = None, least: int = 384) -> NDArray[np.uint8]:
    """Rows of one length, images (N, C, H, W) in [-1, 1] or labels (N, H, W), as one picture (C, H', W') uint8.

    All are brought to the size of the last row, and to the channels of the row that has most of them.
    """
    pixels = [_pixels(row, palette) for row in rows]
    size, channels = tuple(pixels[-1].shape[2:]), max(row.shape[1] for row in pixels)
    alike = torch.cat([_alike(row, size, channels) for row in pixels])
    return pictures.enlarge(pictures.grid(alike.numpy(), columns=len(rows[0])), least)


def _pixels(row: Tensor, palette: Palette | None) -> Tensor:
    """(N, C, H, W) uint8 of images in [-1, 1], or of labels (N, H, W) in their colours."""
    if palette is not None and row.dim() == 3:
        return torch.from_numpy(np.moveaxis(palette.paint(row.numpy()), -1, 1).copy())
    return eight_bit(row)


def _alike(row: Tensor, size: tuple[int, ...], channels: int) -> Tensor:
    """Images of another size enlarged without smoothing, of one channel repeated, of further channels cut."""
    if tuple(row.shape[2:]) != size:
        row = F.interpolate(row, size, mode="nearest")
    return row.expand(-1, channels, -1, -1) if row.shape[1] == 1 else row[:, :3]
