"""Whether a generator hands out its training items."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.evaluation.material import Material
from evenodds.game.seeds import mix
from evenodds.metrics.intervals import Side
from evenodds.metrics.memorisation import authenticity, data_copying, suspects
from evenodds.metrics.neighbours import Searches

__all__ = ["copies"]

LISTED = 50
"""At most so many suspects are listed, the closest first."""


def copies(material: Material, train: Tensor | None, fake: Side, real: Side, seed: int) -> dict[str, Any]:
    """Suspected copies with the training items that they resemble, and two tests of the whole; or why not.

    Args:
        train: (T, F) features of the training items.
        fake: the samples.
        real: held-out items, which set the level at which honest samples are accused.
    """
    if train is None:
        return {"refused": "what the generator was trained on is not known; name it with --train"}
    samples, held_out, searches = fake.features, real.features, Searches()
    try:
        result = suspects(samples, train, held_out, searches=searches)
        authentic, floor = (authenticity(x, train, searches).double().mean() for x in (samples, held_out))
        rng = torch.Generator().manual_seed(mix(seed, 51))
        copying = data_copying(train, held_out, samples, rng=rng, searches=searches)
    except BadInput as error:
        return {"refused": str(error)}
    order = result.ratio.argsort()
    closest = [k for k in order.tolist() if bool(result.suspected[k])][:LISTED]
    excess = result.low > result.expected_high
    return {
        "share": result.share,
        "low": result.low,
        "high": result.high,
        "expected": result.expected,
        "suspects": [_suspect(k, result, material) for k in closest],
        "authenticity": float(authentic),
        "authenticity_floor": float(floor),
        "c_t": float(copying.c_t),
        "verdict": "copies of training items" if excess else "no sign of copying",
        "n_train": len(train),
        "n_held_out": len(real),
    }


def _suspect(k: int, result: Any, material: Material) -> dict[str, Any]:
    index = int(result.train_index[k])
    return {
        "sample": k,
        "training": index,
        "file": material.train_names[index] if material.train_names else None,
        "distance": float(result.train_distance[k]),
        "held_out_distance": float(result.held_out_distance[k]),
        "ratio": float(result.ratio[k]),
    }
