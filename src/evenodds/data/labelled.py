"""Batches in which few items have a label, and a batch of labelled ones beside each."""

from __future__ import annotations

import torch
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.game.seeds import mix
from evenodds.game.trainer import Feed

__all__ = ["WithLabels", "draw_labels"]


class WithLabels:
    """A feed whose every batch comes with one of labelled items, "labelled_x" and "labelled_y".

    Which ones is a function of the seed and the position alone, so that a resumed run sees what it would have seen.

    Args:
        data: the feed of all items; its own labels stay in the batch, and `Classify` does not look at them.
        dataset: where the labelled items are.
        index: (M,) int64, which of them are labelled.
        size: labelled items per batch; each is in it size / M times, rounded up or down.
        seed: of the draws.
        device: where batches are wanted.
    """

    def __init__(
        self,
        data: Feed,
        dataset: Dataset,
        index: Tensor,
        size: int,
        seed: int = 0,
        device: torch.device | None = None,
    ) -> None:
        if dataset.y is None or not len(index) or int(dataset.y[index].min()) < 0:
            raise BadInput("labelled items are some, each with a y from 0; take the items whose y is not -1")
        if size < 1:
            raise BadInput(f"labelled batches need size >= 1, got {size}; 50 to 100 is usual")
        self.data, self.dataset, self.index = data, dataset, index
        self.labelled_size, self.seed, self.device = size, seed, device

    @property
    def size(self) -> int:
        """Items per batch, not counting the labelled ones, which are shown again and again."""
        return self.data.size

    def at(self, position: int) -> dict[str, Tensor]:
        """The batch that begins at item `position`, and its labelled one."""
        rng = torch.Generator().manual_seed(mix(self.seed, position))
        rounds = -(-self.labelled_size // len(self.index))
        drawn = torch.cat([torch.randperm(len(self.index), generator=rng) for _ in range(rounds)])[: self.labelled_size]
        labelled = self.dataset.batch(self.index[drawn], self.device)
        return {**self.data.at(position), "labelled_x": labelled["x"], "labelled_y": labelled["y"]}


def draw_labels(y: Tensor, each: int, seed: int) -> Tensor:
    """Sorted indices of `each` items of every class of y (N,) int64; -1 is no class. The same seed, the same items."""
    rng, drawn = torch.Generator().manual_seed(mix(seed, each)), []
    for label in sorted(set(y[y >= 0].tolist())):
        places = (y == label).nonzero().flatten()
        if len(places) < each:
            raise BadInput(f"class {label} has {len(places)} items, {each} were asked for; ask for fewer of each")
        drawn.append(places[torch.randperm(len(places), generator=rng)[:each]])
    return torch.cat(drawn).sort().values
