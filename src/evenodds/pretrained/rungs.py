"""Frozen features of photographs inside a player: one network for all, which is no part of what is kept."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.pretrained.efficientnet_lite import SHA256, EfficientNetLite, published

__all__ = ["SCALES", "Rungs"]

SCALES = (9.0, 8.0, 7.0, 3.0)
"""The root mean square of each rung on photographs, by which it is divided."""


class Rungs(nn.Module):
    """x (N, 1 or 3, H, W) in [-1, 1], H and W at least 32 -> maps at strides of 4, 8, 16 and 32, of about unit size.

    The frozen weights are no part of the state; the digest of their file is, and a state with another one is refused.
    They are read when the first image is looked at.
    """

    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.carried: EfficientNetLite | None = None  # see `carry`
        self.register_buffer("weights", torch.tensor(list(bytes.fromhex(SHA256)), dtype=torch.uint8))

    def maps(self, x: Tensor) -> list[Tensor]:
        """The rungs of a batch, each divided by its scale."""
        network = self.carried or _frozen(x.device)
        return [rung / scale for rung, scale in zip(network(x.expand(-1, 3, -1, -1)), SCALES, strict=True)]

    def carry(self) -> None:
        """Makes the frozen network a part of this one, as a file needs it that is used elsewhere."""
        self.carried = published()

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *others: Any) -> None:
        theirs = state.get(f"{prefix}weights")
        if theirs is not None and not torch.equal(theirs.cpu(), self.weights.cpu()):
            raise BadInput("the run has learned on other pretrained weights than those that are here")
        super()._load_from_state_dict(state, prefix, *others)


@cache
def _frozen(device: torch.device) -> EfficientNetLite:
    """The network with its weights: one for all players on a device."""
    with torch._C.DisableTorchFunction():  # also where memory is counted, on tensors without values
        return published().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
