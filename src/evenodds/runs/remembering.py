"""Players that look up training items while they learn and at work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.game.seeds import mix

__all__ = ["remember", "rows_kept", "told"]

LEAST = 2
"""Rows: one of them has no other to look up."""


def remember(players: Iterable[nn.Module], dataset: Dataset, train_index: Tensor, seed: int) -> None:
    """Gives players that have a memory their rows: training items, of more than it holds a random choice.

    The same data and seed give the same memory: a run that goes on has it before its checkpoint is read.
    """
    for part in _with_memory(players):
        if len(train_index) < LEAST:
            raise BadInput(f"filling needs {LEAST} rows to learn from, got {len(train_index)}; give more rows")
        rng = torch.Generator().manual_seed(mix(seed, -2))
        chosen = train_index[torch.randperm(len(train_index), generator=rng)[: part.memory].sort().values]
        x = dataset.batch(chosen)["x"]
        part.remember(x, (~x.isnan()).float(), chosen)


def rows_kept(players: Iterable[nn.Module]) -> int:
    """How many rows of the data are kept in players, as they are."""
    return max((len(part.neighbours.table) for part in _with_memory(players)), default=0)


def told(players: Iterable[nn.Module]) -> list[str]:
    """A sentence for those who hand on a run that keeps rows of its data; none of others."""
    kept = rows_kept(players)
    if not kept:
        return []
    return [
        f"The run keeps {kept:,} rows of its data, which it looks up: whoever gets its checkpoints gets these rows."
    ]


def _with_memory(players: Iterable[nn.Module]) -> Iterator[Any]:
    for player in players:
        part: Any = next((one for one in player.modules() if hasattr(one, "remember") and one.memory), None)
        if part is not None:
            yield part
