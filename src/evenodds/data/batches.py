"""The batches drawn from data, as a function of the seed and the position alone."""

from __future__ import annotations

import torch
from torch import Tensor

from evenodds.data.ahead import Ahead, CudaLane, Lane
from evenodds.data.dataset import Dataset
from evenodds.data.items import threads
from evenodds.data.splitting import permutation
from evenodds.errors import BadInput

__all__ = ["Batches"]

AHEAD = 8
"""Items for each thread that are read before their turn, four times over, beside the next two batches."""


class Batches:
    """An endless sequence of batches that is a function of the seed and the position alone.

    Epoch e is the permutation dealt by mix(seed, e); the epochs follow each other without a gap. The batch at image
    `position` is the next `size` items of that sequence, wherever reading started: to resume is to ask for a position.
    """

    def __init__(
        self,
        dataset: Dataset,
        index: Tensor | None,
        size: int,
        seed: int,
        device: torch.device | str | None = None,
        lane: Lane | None = None,
        rows: Tensor | None = None,
    ) -> None:
        """Prepares to deal.

        Args:
            dataset: where the items are.
            index: (n,) int64, which of them to deal, e.g. the training part of a split; None for all.
            size: items per batch; may exceed n.
            seed: decides the order.
            device: where batches are wanted. They travel in their own units, and on CUDA before their turn.
            lane: the way to the device; None for the usual one.
            rows: (m,) int64, those of each batch that are read, of items that are read when they are asked for; the
                others are 0. None for all.
        """
        self.dataset, self.noun = dataset, dataset.noun
        self.index = torch.arange(len(dataset)) if index is None else index
        if size < 1 or not len(self.index):
            raise BadInput(f"batches need size >= 1 and at least one item, got {size} and {len(self.index)} items")
        self.size = size
        self.seed = seed
        self.device = torch.device(device) if device is not None else None
        self._orders: dict[int, Tensor] = {}
        self._rows = None if dataset.items is None else rows
        self._ahead = self._prepared(lane)

    def _prepared(self, lane: Lane | None) -> Ahead | None:
        """What brings batches before their turn; None where nothing is gained by it."""
        if lane is None and self.device is not None and self.device.type == "cuda":
            lane = CudaLane(self.device)
        items = self.dataset.items
        if self.dataset.units.columns or (items is None and lane is None):
            return None
        depth = 1
        if items is not None:
            room = items.memory // 8 // max(1, self.size * self.dataset.item_bytes)
            depth = max(2, min(room, 2 + 4 * threads() * AHEAD // self.size))
        return Ahead(lambda position: self.dataset.start(self._read(position)), self.size, depth, lane)

    def _read(self, position: int) -> Tensor:
        """The items of a batch that are read."""
        index = self.indices(position)
        return index if self._rows is None else index[self._rows]

    def at(self, position: int, device: torch.device | str | None = None) -> dict[str, Tensor]:
        """The batch that starts at image `position` (>= 0) of the sequence; see `Dataset.batch`."""
        index = self.indices(position)
        if self._ahead is None or device is not None:
            return self.dataset.batch(index, device or self.device)
        return self.dataset.to_model(self._whole(self._ahead.at(position)), index, self.device)

    def _whole(self, parts: dict[str, Tensor]) -> dict[str, Tensor]:
        """Parts with a row for each item of a batch."""
        if self._rows is None:
            return parts
        whole = {name: part.new_zeros((self.size, *part.shape[1:])) for name, part in parts.items()}
        for name, part in parts.items():
            whole[name][self._rows.to(part.device)] = part
        return whole

    def indices(self, position: int) -> Tensor:
        """(size,) int64: which items of the data set the batch at `position` holds."""
        if position < 0:
            raise BadInput(f"a position in the data must be >= 0, got {position}")
        epoch, start = divmod(position, len(self.index))
        parts, missing = [], self.size
        while missing:
            parts.append(self._order(epoch)[start : start + missing])
            missing -= len(parts[-1])
            epoch, start = epoch + 1, 0
        return torch.cat(parts)

    def _order(self, epoch: int) -> Tensor:
        if epoch not in self._orders:
            # Two are kept: a batch that spans the boundary of epochs needs the old one and the new one.
            recent = list(self._orders.items())[-1:]
            self._orders = dict([*recent, (epoch, self.index[permutation(len(self.index), self.seed, epoch)])])
        return self._orders[epoch]
