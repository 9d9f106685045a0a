"""The picture that is written beside each checkpoint."""

from __future__ import annotations

import torch
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.game.arithmetic import evenly
from evenodds.runs.answering import sides
from evenodds.runs.filling import fillings, sheet
from evenodds.runs.session import Session
from evenodds.show import pictures
from evenodds.tasks._paired import FromSource
from evenodds.tasks.fill import Fill

__all__ = ["write_snapshot"]


def write_snapshot(session: Session, dataset: Dataset, held_index: Tensor) -> None:
    """Writes samples/<images>.png, of always the same z or the same held-out items.

    Args:
        session: the game as it stands.
        held_index: (M,) the held-out items.
    """
    path, task = session.folder / "samples" / f"{session.images:012d}.png", session.task
    if isinstance(task, Fill) and len(held_index):
        rng, x = torch.Generator().manual_seed(0), dataset.batch(held_index[:12])["x"]
        mask = task.masks(x.shape, rng)
        pictures.write(path, pictures.enlarge(sheet(session, x, mask, fillings(session, x, mask, 3)), 384))
        return
    if isinstance(task, FromSource):
        if len(held_index):
            shown = held_index[evenly(len(held_index), 6)]
            pictures.write(path, sides(session, dataset.batch(shown)))
        return
    count = 4096 if dataset.kind != "image" else 64
    pictures.write(path, session.picture(session.sample(count, seed=session.config.seed)))
