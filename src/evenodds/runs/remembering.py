"""Players that look up training items while they learn and at work."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.game.seeds import mix

__all__ = ["remember"]

LEAST = 2
"""Rows: one of them has no other to look up."""


def remember(players: Iterable[nn.Module], dataset: Dataset, train_index: Tensor, seed: int) -> None:
    """Gives players that have a memory their rows: training items, of more than it holds a random choice.

    The same data and seed give the same memory: a run that goes on has it before its checkpoint is read.
    """
    for player in players:
        part: Any = next((one for one in player.modules() if hasattr(one, "remember") and one.memory), None)
        if part is None:
            continue
        if len(train_index) < LEAST:
            raise BadInput(f"filling needs {LEAST} rows to learn from, got {len(train_index)}; give more rows")
        rng = torch.Generator().manual_seed(mix(seed, -2))
        chosen = train_index[torch.randperm(len(train_index), generator=rng)[: part.memory].sort().values]
        x = dataset.batch(chosen)["x"]
        part.remember(x, (~x.isnan()).float(), chosen)
