"""The data as a discriminator with a frozen network sees them: looked at before a run rather than in every pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.data.units import Units
from evenodds.data.wording import some_names
from evenodds.files.memory import machine_bytes
from evenodds.game.engine import Engine, Local
from evenodds.game.modes import at_rest
from evenodds.pretrained.embedding import Embedding
from evenodds.runs.looking import seen
from evenodds.tasks._playable import Playable

__all__ = ["seen_at_work", "seen_beforehand"]

MIRRORS = ("flip", "flip_vertical")
"""Views of which there are two each: an item as it is, and mirrored."""
SHARE = 8
"""One of so many parts of the machine's memory may be taken."""


def seen_beforehand(
    task: Playable,
    discriminator: Any,
    dataset: Dataset,
    index: Tensor,
    views: Sequence[str],
    engine: Engine,
    say: Callable[[str], None],
) -> Dataset:
    """The data as the discriminator sees them: features (N, F, 1 or 2, 1 or 2) in place of images, where it may look at
    them beforehand; else as they are.

    Columns are those of an item and of its mirror image, and rows likewise, so that the views `flip` and
    `flip_vertical` do to features what they do to images. Items that are not asked for are NaN. What was seen last
    stays in memory with the data: the next run of the same items looks at nothing again.

    Args:
        discriminator: may have an `Embedding`, which learns nothing, as its `embedding`.
        index: (n,) the items that are trained on and judged by.
        views: of the run.
        say: gets a sentence before images are looked at, and one where they are in every pass.
    """
    embedding = getattr(discriminator, "embedding", None)
    if not isinstance(embedding, Embedding):
        return dataset
    others = [name for name in views if name not in MIRRORS]
    if not task.looks_at or others:
        why = f"views show them anew, {some_names(others)}" if others else "it is shown what is generated too"
        return _in_every_pass(dataset, why, say)
    axes = [axis for axis, name in ((3, "flip"), (2, "flip_vertical")) if name in views]
    rows, columns = 1 + (2 in axes), 1 + (3 in axes)
    if not _fits(embedding, dataset, rows * columns):
        return _in_every_pass(dataset, f"what it sees in all takes more than 1/{SHARE} of the memory", say)
    mirrors = [
        [axis for axis, here in ((2, row), (3, column)) if here] for row in range(rows) for column in range(columns)
    ]

    def look() -> Tensor:
        with at_rest(discriminator):
            return _as_maps(seen(embedding, dataset, index, mirrors, engine, say), rows, columns)

    key = (embedding.side, rows, columns, index.numpy().tobytes())
    return _of_features(dataset, dataset.latest("seen beforehand", key, look))


def seen_at_work(discriminator: Any, dataset: Dataset, index: Tensor, device: torch.device) -> Dataset:
    """The data as a trained discriminator sees them: features (N, F, 1, 1) in place of images, taken where they are
    kept, if it looks at them by an `Embedding`; else as they are. Items that are not of the index (n,) are NaN."""
    embedding = getattr(discriminator, "embedding", None)
    if not isinstance(embedding, Embedding) or not _fits(embedding, dataset, 1):
        return dataset
    found = seen(embedding, dataset, index, [()], Local(device), lambda line: None)
    return _of_features(dataset, _as_maps(found, 1, 1))


def _fits(embedding: Embedding, dataset: Dataset, ways: int) -> bool:
    """Whether what is seen in all items, shown in so many ways, has room in memory."""
    return 4 * len(dataset) * embedding.length * ways <= machine_bytes() // SHARE


def _as_maps(found: Tensor, rows: int, columns: int) -> Tensor:
    """Features (N, rows x columns, F) as (N, F, rows, columns)."""
    return found.view(len(found), rows, columns, -1).permute(0, 3, 1, 2)


def _of_features(dataset: Dataset, x: Tensor) -> Dataset:
    """The data with features in place of images."""
    return replace(dataset, x=x, units=Units((-1.0,), (1.0,), "float32"), items=None)


def _in_every_pass(dataset: Dataset, why: str, say: Callable[[str], None]) -> Dataset:
    """The data as they are; it is said once for all runs of the same data."""

    def told() -> bool:
        say(f"the pretrained network looks at images in every pass, which is slow: {why}")
        return True

    dataset.once(("in every pass", why), told)
    return dataset
