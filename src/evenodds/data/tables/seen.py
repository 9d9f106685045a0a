"""Rows of a table as players see them, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from evenodds.data.tables.rows import Column

__all__ = ["rows_to_data", "rows_to_model"]


def rows_to_model(columns: Sequence[Column], x: Tensor) -> Tensor:
    """(N, D) float64 -> (N, E) float32, the columns that players see, side by side."""
    values = x.double().cpu().numpy()
    parts = [column.to_model(values[:, k]) for k, column in enumerate(columns)]
    return torch.from_numpy(np.concatenate(parts, 1)).to(x.device)


def rows_to_data(columns: Sequence[Column], seen: Tensor) -> Tensor:
    """(N, E) float -> (N, D) float64."""
    ends = np.cumsum([column.width for column in columns])[:-1]
    parts = np.split(seen.detach().cpu().double().numpy(), ends, 1)
    values = [column.to_data(part) for column, part in zip(columns, parts, strict=True)]
    return torch.from_numpy(np.stack(values, 1)).to(seen.device)
