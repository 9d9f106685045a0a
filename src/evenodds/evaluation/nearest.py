"""Pictures of neighbours: real items beside their nearest samples, samples beside their nearest training items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenodds.evaluation.examination import Examination
from evenodds.game.arithmetic import eight_bit, evenly
from evenodds.metrics.neighbours import nearest
from evenodds.show import pictures

__all__ = ["nearest_sheets"]

Pixels = NDArray[np.uint8]


def nearest_sheets(
    examination: Examination, content: Mapping[str, Any], columns: int = 10
) -> dict[str, tuple[Pixels, str]]:
    """Sheets of two rows for each line of pairs, with their captions; nothing for data that are no images.

    Args:
        content: of the evaluation; its suspects are shown first.
        columns: pairs per line.
    """
    if examination.fake.x.ndim != 4:
        return {}
    real, fake, train = examination.real, examination.fake, examination.train
    real_index = evenly(len(real), 2 * columns)
    _, index = nearest(real.features[real_index], fake.features)
    sheets = {
        "pairs_real": (
            _sheet(real.x[real_index], fake.x[index], columns),
            "Real items that the generator never saw, each above the sample nearest to it in these features.",
        )
    }
    if train is None or examination.material.train is None:
        return sheets
    fake_index = torch.arange(min(2 * columns, len(fake)))
    _, index = nearest(fake.features[fake_index], train)
    sheets["pairs_train"] = (
        _sheet(fake.x[fake_index], _training(examination, index), columns),
        "Samples, each above the training item nearest to it in these features.",
    )
    suspects = ((content.get("memorisation") or {}).get("suspects") or [])[: 2 * columns]
    if suspects:
        pairs = torch.tensor([[s["sample"], s["training"]] for s in suspects])
        sheets["suspects"] = (
            _sheet(fake.x[pairs[:, 0]], _training(examination, pairs[:, 1]), columns),
            "Suspected copies, each above the training item that it resembles; the closest first.",
        )
    return sheets


def _training(examination: Examination, index: Tensor) -> Tensor:
    data = examination.material.train
    assert data is not None
    return data.batch(index)["x"]


def _sheet(above: Tensor, below: Tensor, columns: int) -> Pixels:
    """Lines of pairs, the row `above` over the row `below`, with white paper between two lines."""
    first, second = (np.asarray(eight_bit(x)) for x in (above, below))
    columns = min(columns, len(first))
    lines = []
    for k in range(0, len(first) // columns * columns, columns):
        line = pictures.grid(np.concatenate([first[k : k + columns], second[k : k + columns]]), columns)
        lines += [line, np.full((line.shape[0], max(2, first.shape[2] // 6), line.shape[2]), 255, np.uint8)]
    return pictures.enlarge(np.concatenate(lines[:-1], axis=1), 480)
