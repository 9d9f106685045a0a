"""What a discriminator may see beside its own features: those of a network that was trained on photographs.

Kumari, Zhang, Shechtman and Zhu, "Ensembling Off-the-shelf Models for GAN Training" (2022): small heads learn on frozen
features, which see the same views. Here their features join the discriminator's own before the last layer, so that one
logit, one loss and one penalty hold for both.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.pretrained.efficientnet_lite import NEEDED, RUNGS, SHA256, EfficientNetLite, is_here, published

__all__ = ["Heads", "heads"]

SCALES = (9.0, 8.0, 7.0, 3.0)
"""The root mean square of each rung on photographs, by which it is divided."""
WIDTH = 32
"""Features of each rung."""


def heads(channels: int, side: int) -> Heads | None:
    """Heads that look at images of that side; None where it is 0."""
    if side == 0:
        return None
    if side < 32 or side % 32:
        raise BadInput(f"pretrained is the side at which images are looked at, a multiple of 32 or 0, got {side}")
    if channels not in (1, 3):
        raise BadInput(f"pretrained features need 1 or 3 channels, got {channels}; set discriminator.pretrained=0")
    return Heads(side)


class Heads(nn.Module):
    """x (N, 1 or 3, H, W) in [-1, 1] -> (N, features).

    The frozen weights are no part of the state; the digest of their file is, and a state with another one is refused.
    """

    weights: Tensor

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side
        self.carried: EfficientNetLite | None = None  # see `carry`
        self.first = nn.ModuleList(nn.Conv2d(channels, WIDTH, 1) for channels in RUNGS.values())
        self.second = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in RUNGS)
        self.features = WIDTH * len(RUNGS)
        self.register_buffer("weights", torch.tensor(list(bytes.fromhex(SHA256)), dtype=torch.uint8))
        if not is_here():
            raise BadInput(NEEDED)

    def forward(self, x: Tensor) -> Tensor:
        x = x.expand(-1, 3, -1, -1)
        if x.shape[2:] != (self.side, self.side):
            smaller = min(x.shape[2:]) > self.side
            wide = x.float()  # where smoothing in float16 is not there
            x = F.interpolate(wide, (self.side, self.side), mode="bilinear", antialias=smaller).to(x.dtype)
        maps = (self.carried or _frozen(x.device))(x)
        found = []
        for rung, first, second, scale in zip(maps, self.first, self.second, SCALES, strict=True):
            hidden = F.leaky_relu(first(rung / scale), 0.2)
            found.append(F.leaky_relu(second(hidden), 0.2).mean((2, 3)))
        return torch.cat(found, 1)

    def carry(self) -> None:
        """Makes the frozen network a part of this one, as a file needs it that is used elsewhere."""
        self.carried = published()

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *others: Any) -> None:
        theirs = state.get(f"{prefix}weights")
        if theirs is not None and not torch.equal(theirs.cpu(), self.weights.cpu()):
            raise BadInput("the discriminator has learned on other pretrained weights than those that are here")
        super()._load_from_state_dict(state, prefix, *others)


@cache
def _frozen(device: torch.device) -> EfficientNetLite:
    """The network with its weights: one for all players on a device."""
    with torch._C.DisableTorchFunction():  # also where memory is counted, on tensors without values
        return published().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
