"""A network trained on photographs of 1,000 classes, from a package: for photographs, without a download."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from evenodds.metrics.features._items import check_colours, colours
from evenodds.pretrained.efficientnet_lite import EfficientNetLite, published
from evenodds.pretrained.state import digest, fill

__all__ = ["Pretrained"]

_SIDE = 128
_PASS = 64
"""Images in memory at once."""


class Pretrained:
    """1280 features of EfficientNet-Lite0 (Tan and Le 2019), of the package in the extra `evenodds[pretrained]`.

    Images are rounded to 8 bits and resized to 128 x 128 by an antialiased bilinear filter. Grey images are repeated to
    three channels. Scores compare with no published figure: they are neither FID nor KID.

    Args:
        shape: of one item, (1 or 3, H, W).
        state: named tensors, for weights of one's own; None for the published ones.

    Raises:
        BadInput: alpha or no image, no weights, or tensors that do not fit.
    """

    name = "pretrained"
    resize = f"8 bits, antialiased bilinear to {_SIDE}x{_SIDE}"
    comparable = ""

    def __init__(self, shape: Sequence[int], *, state: Mapping[str, Tensor] | None = None) -> None:
        self.shape = check_colours(shape, self.name)
        if state is None:
            self.network = published()
        else:
            with torch.device("meta"):
                network = EfficientNetLite()
            fill(network, state, self.name)
            self.network = network
        self.weights = digest(self.network.state_dict())

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """(N, *shape) in [-1, 1] -> (N, 1280) float32."""
        network = self.network.to(x.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        levels = colours(x, self.shape)
        parts = (levels[start : start + _PASS] for start in range(0, len(levels), _PASS))
        return torch.cat([network.embed(_prepare(part)) for part in parts])


def _prepare(levels: Tensor) -> Tensor:
    if levels.shape[2:] != (_SIDE, _SIDE):
        levels = F.interpolate(levels, (_SIDE, _SIDE), mode="bilinear", antialias=True)
    return (levels / 127.5 - 1).contiguous(memory_format=torch.channels_last)
