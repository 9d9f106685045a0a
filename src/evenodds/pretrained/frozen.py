"""A network that others have trained, inside a player: one for all players on a device, and no part of what is kept."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.pretrained.efficientnet_lite import SHA256, EfficientNetLite, published

__all__ = ["Frozen", "brought_to"]


class Frozen(nn.Module):
    """A part that asks EfficientNet-Lite0, which learns nothing.

    The frozen weights are no part of the state; the digest of their file is, and a state with another one is refused.
    They are read when the first image is looked at.
    """

    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.carried: EfficientNetLite | None = None  # see `carry`
        self.register_buffer("weights", torch.tensor(list(bytes.fromhex(SHA256)), dtype=torch.uint8))

    def network(self, device: torch.device) -> EfficientNetLite:
        """The frozen network on a device."""
        return self.carried or _frozen(device)

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


def brought_to(side: int, x: Tensor) -> Tensor:
    """Images (N, 1 or 3, H, W) as the network looks at them: (N, 3, side, side)."""
    x = x.expand(-1, 3, -1, -1)
    if x.shape[2:] == (side, side):
        return x
    smaller = max(x.shape[2:]) > side  # along one axis: what is not made smaller stays what it would be
    wide = x.float()  # where smoothing in float16 is not there
    return F.interpolate(wide, (side, side), mode="bilinear", antialias=smaller).to(x.dtype)
