"""A discriminator of photographs that learns one linear layer, on features of a network that has learned from others.

The features are those of EfficientNet-Lite0 (Tan and Le 2019), of the package in the extra `evenodds[pretrained]`, and
are frozen. Few labels suffice for so few weights (Donahue et al. 2014, "DeCAF", section 3).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.parts.networks._levels import check_batch, image_shape
from evenodds.parts.networks._roles import Scores, head
from evenodds.pretrained.efficientnet_lite import NEEDED, is_here
from evenodds.pretrained.embedding import Embedding

__all__ = ["Discriminator"]

LEAST, MOST = 128, 224
"""Sides at which images are looked at where that is left open; the network has learned at 224."""


class Discriminator(Scores):
    """x (N, 1 or 3, H, W) -> logits (N,).

    In place of images it takes what its `embedding` sees in them, (N, 1280, rows, columns), of which the first counts.

    Args:
        shape: (1 or 3, H, W).
        side: to which images are brought before they are looked at, a multiple of 32; None: the larger of their own
            sides, rounded up, but at least 128 and at most 224.
        dropout: share of the features that are dropped while training, each for itself, before the last layer.
        outputs: numbers per item; with more than one the logits are (N, outputs).

    Raises:
        BadInput: another shape, or the extra is missing.
    """

    looks_beforehand = True

    def __init__(
        self, shape: Sequence[int], *, side: int | None = None, dropout: float = 0.0, outputs: int = 1
    ) -> None:
        super().__init__()
        channels, size = image_shape("pretrained", shape)
        if channels not in (1, 3):
            raise BadInput(f"pretrained features need 1 or 3 channels, got {channels}; set discriminator=dcgan")
        if side is not None and (side < 32 or side % 32):
            raise BadInput(f"images are looked at in a multiple of 32, got discriminator.side={side}; leave it out")
        if not is_here():
            raise BadInput(NEEDED)
        self.shape = (channels, *size)
        self.embedding = Embedding(side or min(MOST, max(LEAST, -(-max(size) // 32) * 32)))
        self.drop = nn.Dropout(dropout)
        self.logit = head(self.embedding.length, outputs)
        nn.init.zeros_(self.logit.weight)
        nn.init.zeros_(self.logit.bias)

    def features(self, x: Tensor) -> Tensor:
        if x.shape[1:2] == (self.embedding.length,):
            seen = x[:, :, 0, 0]
        else:
            check_batch(x, self.shape)
            seen = self.embedding(x)
        dropped: Tensor = self.drop(seen)
        return dropped
