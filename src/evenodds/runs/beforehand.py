"""What a frozen network sees in the items of a run, looked at once before it plays rather than in every pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.data.units import Units
from evenodds.data.wording import count, some_names
from evenodds.files.memory import machine_bytes
from evenodds.game.engine import Engine
from evenodds.game.modes import at_rest
from evenodds.pretrained.embedding import Embedding
from evenodds.tasks._playable import Playable

__all__ = ["seen_beforehand"]

MIRRORS = ("flip", "flip_vertical")
"""Views of which there are two each: an item as it is, and mirrored."""
SHARE = 8
"""One of so many parts of the machine's memory may be taken."""
AT_ONCE = 256
"""Items that are in memory as images at a time."""
EVERY = 10.0
"""Seconds between two sentences on how far that is."""


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
    `flip_vertical` do to features what they do to images. Items that are not asked for are NaN. What was seen last is
    kept with the data: the next run of the same items looks at nothing again.

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
    shape = (len(dataset), embedding.length, rows, columns)
    if 4 * torch.Size(shape).numel() > machine_bytes() // SHARE:
        return _in_every_pass(dataset, f"what it sees in all takes more than 1/{SHARE} of the memory", say)

    def look() -> Tensor:
        side, done = embedding.side, 0
        begun = said = time.perf_counter()
        beside = f" and {'its' if len(index) == 1 else 'their'} mirror images" * bool(axes)
        say(f"{count(len(index), 'image')}{beside}: looked at once, in {side} x {side}, by the pretrained network")
        found = torch.full(shape, torch.nan).contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), at_rest(discriminator):
            for part in torch.split(index, AT_ONCE):
                x = dataset.batch(part, engine.device)["x"]
                for row in range(rows):
                    for column in range(columns):
                        mirrored = x.flip([axis for axis, here in ((2, row), (3, column)) if here])
                        found[part, :, row, column] = embedding(mirrored).float().cpu()
                done, now = done + len(part), time.perf_counter()
                if now - said >= EVERY and done < len(index):
                    left, said = (now - begun) * (len(index) / done - 1), now
                    say(f"{done:,} of {len(index):,} images looked at, {left:,.0f} s left")
        return found

    key = (embedding.side, rows, columns, index.numpy().tobytes())
    seen = dataset.latest("seen beforehand", key, look)
    return replace(dataset, x=seen, units=Units((-1.0,), (1.0,), "float32"), items=None)


def _in_every_pass(dataset: Dataset, why: str, say: Callable[[str], None]) -> Dataset:
    """The data as they are; it is said once for all runs of the same data."""

    def told() -> bool:
        say(f"the pretrained network looks at images in every pass, which is slow: {why}")
        return True

    dataset.once(("in every pass", why), told)
    return dataset
