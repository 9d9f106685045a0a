"""Q of InfoGAN as a network of its own, which has several starts and heads until the best ones are known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from evenodds.game.modes import at_rest
from evenodds.game.wide import wide
from evenodds.parts.networks import dcgan
from evenodds.tasks._coded import view_agreement

__all__ = ["Reader"]

LITTLE = 0.2
"""The share of the mutual information that there may be, below which categories tell little."""
MEMORY = 0.02
"""Weight of a batch in the running tables: some fifty batches count."""


class Reader(nn.Module):
    """x (N, C, H, W) -> (N, classes + values): the logits of the categories, then the means of the values.

    The first network and its best head read; in evaluation mode, so that the statistics of its batch norm stay those of
    real images. `readings` has all heads of any network, in the mode that is set.

    Args:
        shape: (C, H, W) of x.
        classes: of the code.
        values: of the code.
        starts: how many networks there are, until `settle` puts the best one first.
        heads: readings of the categories by each network.
        width: of the networks, `dcgan` with batch norm.
        settles_at: the share of the run at which `settle` is due.
    """

    tables: Tensor
    settled: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        *,
        classes: int,
        values: int,
        starts: int = 2,
        heads: int = 4,
        width: int = 16,
        settles_at: float = 0.0,
    ) -> None:
        super().__init__()
        self.classes, self.heads, self.settles_at = classes, heads, settles_at
        self.networks = nn.ModuleList(
            dcgan.Discriminator(shape, width=width, norm="batch", outputs=heads * classes + values)
            for _ in range(starts)
        )
        self.register_buffer("tables", torch.full((starts, heads, classes, classes), 1 / classes**2))
        self.register_buffer("settled", torch.tensor(False))

    def forward(self, x: Tensor) -> Tensor:
        with at_rest(self.networks[0]):
            outputs = wide(self.networks[0](x))
        heads = self._heads(outputs)
        best = self.information[0].argmax()
        return torch.cat([heads.index_select(1, best[None])[:, 0], outputs[:, self.heads * self.classes :]], 1)

    def readings(self, x: Tensor, start: int) -> Tensor:
        """(N, heads, classes) logits by one network."""
        return self._heads(wide(self.networks[start](x)))

    def _heads(self, outputs: Tensor) -> Tensor:
        return outputs[:, : self.heads * self.classes].view(len(outputs), self.heads, self.classes)

    @torch.no_grad()
    def note(self, start: int, joint: Tensor) -> None:
        """Counts the joint distributions (heads, classes, classes) of readings of two views of a batch."""
        self.tables[start].lerp_(joint.to(self.tables), MEMORY)

    @property
    def information(self) -> Tensor:
        """(starts, heads): the mutual information of readings of two views of late, in nats."""
        return view_agreement(self.tables)

    @torch.no_grad()
    def settle(self) -> tuple[str, int, str]:
        """Puts the network with the head of most mutual information first; "start", its number from 1, and why."""
        each = self.information.amax(1).tolist()
        best = each.index(max(each))
        if best:
            self.networks[0].load_state_dict(self.networks[best].state_dict())
            self.tables[0].copy_(self.tables[best])
        self.settled.fill_(True)
        told = ", ".join(f"{one:.2f}" for one in each)
        most = math.log(self.classes)
        little = f", of {most:.2f} that there may be: its categories tell little" if max(each) < LITTLE * most else ""
        which = f"start {best + 1} of {len(each)} of the reader"
        return "start", best + 1, f"{which} goes on: mutual information of two views {told} nats{little}"
