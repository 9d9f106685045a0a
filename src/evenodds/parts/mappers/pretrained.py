"""A network that was trained on photographs, tuned on, and a few layers that bring its features to full resolution.

The encoder is EfficientNet-Lite0 (Tan and Le 2019) down to a stride of 16, of the package in the extra
`evenodds[pretrained]`. Its coarsest features are pooled over the image too (Liu et al. 2015, "ParseNet"), and are
brought up level by level, beside the finer ones.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.parts.mappers._parts import check, check_images, conv, normed
from evenodds.parts.networks._levels import padded, start_alike
from evenodds.pretrained.efficientnet_lite import NEEDED, Tuned, is_here, published

__all__ = ["Generator"]

MULTIPLE = 16
CHANNELS = {1: 16, 3: 24, 5: 40, 11: 112}
"""Of the blocks whose features are taken, at strides of 2, 4, 8 and 16."""
SCALES = {1: 9.0, 3: 9.0, 5: 8.0, 11: 7.0}
"""By which they are divided: about their root mean square on photographs."""


class Generator(nn.Module):
    """(N, 1 or 3, H, W) in [-1, 1] -> (N, outputs, H, W), for any H and W.

    What was learned is part of the state, so that a trained one needs the extra no more; without it, an untrained one
    raises BadInput where it is first used.

    Args:
        inputs: channels of the source, 1 or 3.
        outputs: channels of the answer.
        scale: 1; for larger answers see `residual`.
        width: channels that are brought up, at strides of 8; half of them at 4, and a third at 2.
        frozen: blocks of the encoder, of 11, that learn nothing.
        rate: of the learning rate, the share by which the rest of the encoder learns. Each of its weights is kept
            divided by it (as in the equalised learning rate of Karras et al. 2018), which is exact for Adam.
    """

    def __init__(
        self, inputs: int, outputs: int, *, scale: int = 1, width: int = 96, frozen: int = 3, rate: float = 0.2
    ) -> None:
        super().__init__()
        check(inputs, outputs, scale, (1,))
        if inputs not in (1, 3):
            raise BadInput(f"pretrained features need 1 or 3 channels, got {inputs}; set generator=dilated")
        if width < 3 or not 0 <= frozen <= max(CHANNELS) or not 0 < rate <= 1:
            raise BadInput(
                f"width >= 3, frozen in [0, {max(CHANNELS)}] and rate in (0, 1] are needed, got "
                f"{width}, {frozen} and {rate:g}"
            )
        self.inputs, self.multiple, self.margin = inputs, MULTIPLE, None
        thin, half, fine = width, width // 2, width // 3
        self.filled = is_here()
        counted = torch.get_default_device().type == "meta"
        with torch._C.DisableTorchFunction():  # also where memory is counted, on tensors without values
            network = published() if self.filled and not counted else None
        self.encoder = Tuned(network, max(CHANNELS), frozen, rate)
        self.thin, self.overall = normed(CHANNELS[11], thin, 1), conv(CHANNELS[11], thin, size=1)
        self.beside = nn.ModuleList(conv(CHANNELS[k], n, size=1) for k, n in ((5, thin), (3, half), (1, fine)))
        self.narrow = nn.ModuleList((conv(thin, half, size=1), conv(half, fine, size=1)))
        self.up = nn.ModuleList(normed(n, n, 3) for n in (thin, half, fine))
        self.leave = conv(fine, 4 * outputs, 0.5, size=1)
        start_alike(self.leave, 4)

    def forward(self, x: Tensor) -> Tensor:
        check_images(x, self.inputs)
        self.require_weights()
        height, width = x.shape[2:]
        whole = padded(x, MULTIPLE)
        maps = self.encoder(whole.expand(-1, 3, -1, -1), tuple(CHANNELS))
        *finer, coarse = (found / SCALES[k] for k, found in zip(CHANNELS, maps, strict=True))
        hidden = self.thin(coarse) + self.overall(coarse.mean((2, 3), keepdim=True))
        for k, (beside, up) in enumerate(zip(self.beside, self.up, strict=True)):
            narrower = self.narrow[k - 1](hidden) if k else hidden
            hidden = up(beside(finer[-1 - k]) + F.interpolate(narrower, scale_factor=2.0, mode="bilinear"))
        return F.pixel_shuffle(self.leave(hidden), 2)[:, :, :height, :width]

    def require_weights(self) -> None:
        """BadInput of a network that holds neither published weights nor those of a state."""
        if not self.filled:
            raise BadInput(NEEDED)

    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        self.filled = True
