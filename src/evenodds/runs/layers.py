"""How much a network for images holds at once, as far as its layers say."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["numbers_per_pixel"]

_PROBE = 32


def numbers_per_pixel(network: nn.Module, inputs: int, multiple: int, device: torch.device) -> float:
    """Numbers in the input and output of the layer that has most of them, for each pixel of an image.

    Args:
        network: (N, inputs, H, W) to an image. One whose layers are not here says it itself, as `numbers_per_pixel`.
        multiple: what H and W are multiples of.
    """
    said = getattr(network, "numbers_per_pixel", None)
    if isinstance(said, float):
        return said
    side = -(-_PROBE // multiple) * multiple
    return _largest_layer(network, torch.zeros(1, inputs, side, side, device=device)) / side**2


@torch.no_grad()
def _largest_layer(network: nn.Module, x: Tensor) -> int:
    """Numbers in the input and output of the layer that has most of them."""
    sizes = [x.numel()]

    def count(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        sizes.append(sum(part.numel() for part in inputs) + output.numel())

    hooks = [part.register_forward_hook(count) for part in network.modules() if not list(part.children())]
    try:
        network(x)
    finally:
        for hook in hooks:
            hook.remove()
    return max(sizes)
