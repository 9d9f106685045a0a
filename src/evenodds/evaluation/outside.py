"""Values of samples beyond all that the data hold, channel by channel: scores of features may not see them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from evenodds.evaluation.material import Material

__all__ = ["outside"]


def outside(material: Material) -> list[dict[str, Any]]:
    """The channels of images of which some samples lie outside of the range that real items have.

    Returns:
        For each: "channel", from 0; "share" of its values; "low" and "high", the ends of the real items, and
        "made_low" and "made_high", those of the samples, in the data's own units; "beyond", how far the samples reach
        out of that range, in parts of it.
    """
    if material.real.kind != "image":
        return []
    parts = (material.real, material.floor, material.fitting)
    ends = torch.stack([_ends(part.x) for part in parts if len(part)])
    units, low, high = material.real.units, ends[:, 0].amin(0), ends[:, 1].amax(0)
    bottom, top = (units.to_model(end[None, :, None, None]) for end in (low, high))
    fake, slack = material.fake, 1e-4  # of the arithmetic
    share = ((fake < bottom - slack) | (fake > top + slack)).double().mean((0, 2, 3))
    unclipped = replace(units, dtype="float32")  # the ends of the samples may lie outside
    made = unclipped.to_data(_ends(fake)[:, :, None, None])[:, :, 0, 0]
    width = (high - low).double().clamp_min(torch.finfo(torch.float32).tiny)
    beyond = torch.maximum(low - made[0], made[1] - high).double() / width
    return [
        {
            "channel": k,
            "share": float(share[k]),
            "low": float(low[k]),
            "high": float(high[k]),
            "made_low": float(made[0, k]),
            "made_high": float(made[1, k]),
            "beyond": float(beyond[k]),
        }
        for k in share.nonzero().flatten().tolist()
    ]


def _ends(x: Tensor) -> Tensor:
    """(2, C): the least and the greatest value of each channel of x (N, C, H, W)."""
    return torch.stack([x.amin((0, 2, 3)), x.amax((0, 2, 3))])
