"""Two batches of images as one sheet of pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from evenodds.files.write import Place
from evenodds.runs.sample_picture import sample_picture
from evenodds.runs.session import Session
from evenodds.show import pictures

__all__ = ["write_paired"]


def write_paired(session: Session, above: Tensor, below: Tensor, path: Path, columns: int, place: Place) -> Path:
    """Two batches (N, C, H, W) in [-1, 1] as a sheet: rows of one above those of the other, blanks at the end."""
    rows = []
    for pair in zip(torch.split(above, columns), torch.split(below, columns), strict=True):
        rows += [torch.cat([row, row.new_ones(columns - len(row), *row.shape[1:])]) for row in pair]
    units = session.card.units
    sheet = np.asarray(units.to_data(torch.cat(rows))).astype(units.dtype, copy=False)
    return pictures.write(path, sample_picture(session.card, sheet, columns, 512), place)
