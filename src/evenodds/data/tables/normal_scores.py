"""Where ranks lie among normal numbers. torch is imported where a column is learned, and not where it is used."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["normal_scores"]


def normal_scores(ranks: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) within (0, 1) -> (n,): the normal numbers that such shares lie below."""
    import torch

    scores: NDArray[np.float64] = torch.special.ndtri(torch.from_numpy(ranks)).numpy()
    return scores
