"""How fast a device multiplies matrices in each precision."""

from __future__ import annotations

from collections.abc import Callable

import torch

from evenodds.game.pace import rates_in_turn

__all__ = ["speeds_of_products"]


def speeds_of_products(device: str, seconds: float, side: int) -> dict[str, float]:
    """Products per second of each precision, those of float32 being 1.

    Args:
        device: "cpu", "cuda:0", "mps", ...
        seconds: about how long it takes; longer where a product does.
        side: of the square matrices that are multiplied.
    """
    kinds = [torch.float32, torch.bfloat16, *([torch.float16] if device != "cpu" else [])]

    def product(kind: torch.dtype) -> Callable[[int], object]:
        a = torch.ones(side, side, dtype=kind, device=device)

        def multiplied(rounds: int) -> float:
            for _ in range(rounds):
                b = a @ a
            return float(b[0, 0])  # waits for the device

        return multiplied

    plays = {str(kind).removeprefix("torch."): product(kind) for kind in kinds}
    for play in plays.values():
        play(1)  # the first product prepares much
    rates = rates_in_turn(plays, seconds)
    return {name: rate / rates["float32"] for name, rate in rates.items()}
