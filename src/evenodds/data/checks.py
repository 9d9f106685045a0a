"""What is wrong with data, found before any time is spent on them."""

from __future__ import annotations

import torch
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.data.wording import count, listed
from evenodds.errors import BadInput

__all__ = ["check"]

FEW = {16: 500, 32: 1000}
"""Fewer images than these, by their longest side, are known by heart before they are learned from."""
MANY = 2000
"""The same for larger images. Karras et al. (2020), figure 1: at 256 x 256, D overfits with 1,000 to 2,000 images."""
FEW_ROWS = 20
"""Rows below which a table is known by heart."""
TINY = 10
"""Training items below which a class is learned as a handful of pictures."""


def check(
    data: Dataset,
    train: Tensor,
    held_out: Tensor,
    *,
    by_class: bool = False,
    draws: bool = True,
    augmentation: str = "",
    batch: int = 0,
    from_scratch: bool = True,
) -> list[str]:
    """Plain sentences on what will trouble a run on such data; none where all is well.

    Args:
        train: (N,) the items that are trained on.
        held_out: (M,) those that are held out.
        by_class: whether classes are to be learned.
        draws: whether samples are to be drawn, which may be copies.
        batch: items that are shown at once.
        from_scratch: whether networks learn from these items alone; for what was learned from others few suffice.
        augmentation: the settings under which images are shown in more ways; empty where there are none, or they are.

    Raises:
        BadInput: all items are the same, or all labels are and classes are to be learned.
    """
    sums = data.facts.sums
    if len(sums) > 1 and bool((sums == sums[0]).all()):
        raise BadInput(f"all {len(sums):,} items are the same: there is nothing to learn; check how they were read")
    return [
        *_labels(data, train, by_class, draws),
        # Points of a source are drawn anew each: two are equal where their floats are, which tells nothing.
        *(_repeated(sums, train, held_out) if data.kind != "toy" else []),
        *_constant(data),
        *(_few(data, len(train), augmentation, draws) if from_scratch else []),
        *_few_rows(data, len(train), draws),
        *_held_out(len(held_out), data.apart is not None),
        *(_batch(batch, len(train)) if from_scratch else []),
    ]


def _labels(data: Dataset, train: Tensor, by_class: bool, draws: bool) -> list[str]:
    if data.y is None:
        return []
    labels = data.y[train]
    counts = torch.bincount(labels[labels >= 0], minlength=len(data.classes))
    present = int((counts > 0).sum())
    if by_class and data.classes and not present:
        raise BadInput(
            f"none of the {len(train):,} items to train on has a label, and classes cannot be learned; label some"
        )
    if present == 1:
        name = data.classes[int(counts.argmax())]
        line = f"All labels are equal ('{name}'): is a folder level wrong, or the label column?"
        if by_class:
            raise BadInput(f"{line[0].lower()}{line[1:]} Classes cannot be learned; or take --set task=generate")
        return [line]
    tiny = [f"{data.classes[k]} ({n})" for k, n in enumerate(counts.tolist()) if 0 < n < TINY]
    absent = [data.classes[k] for k, n in enumerate(counts.tolist()) if not n]
    more = f" and {len(tiny) - 8} more" if len(tiny) > 8 else ""
    then = "expect copies of these" if draws else "more labels help these most"
    many = f"Classes with fewer than {TINY} training items: {', '.join(tiny[:8])}{more}; {then}."
    lines = listed("No training item is of {}: {}; nothing is learned of it.", absent, what="class")
    return [*lines, *([many] if tiny else [])]


def _repeated(sums: Tensor, train: Tensor, held_out: Tensor) -> list[str]:
    kinds = len(torch.unique(sums[train]))
    lines = []
    if kinds < len(train):
        again = len(train) - kinds
        lines.append(f"{again:,} of {len(train):,} training items repeat{'s' * (again == 1)} another one exactly.")
    both = int(torch.isin(sums[held_out], sums[train]).sum())
    if both:
        share = f"{both:,} of {len(held_out):,} held-out items are training items too, exactly"
        lines.append(f"{share}: the held-out score is too good, and copies are harder to see; remove duplicates.")
    return lines


def _constant(data: Dataset) -> list[str]:
    if data.kind != "image":
        return []
    blank = int(data.facts.plain.sum())
    return [f"{blank:,} of {len(data):,} images are of one colour throughout; are they meant to be?"] if blank else []


def _few(data: Dataset, n: int, augmentation: str, draws: bool) -> list[str]:
    if data.kind != "image":
        return []
    side = max(data.shape[1:])
    enough = next((least for most, least in FEW.items() if side <= most), MANY)
    if n >= enough:
        return []
    upright = "where no side of an image is up, " if "turns=all" in augmentation else ""
    advice = [f"{upright}add augmentation (--set {augmentation})"] if augmentation else []
    advice += ["watch for copies"] if draws else []
    size = f"{data.shape[1]} x {data.shape[2]}"
    few = f"{count(n, 'training image')} {'is' if n == 1 else 'are'} few for {size} (from {enough:,} on it is easier)"
    return [f"{few}{': ' * bool(advice)}{', '.join(advice)}."]


def _few_rows(data: Dataset, n: int, draws: bool) -> list[str]:
    if data.kind == "image" or n >= FEW_ROWS:
        return []
    if not draws:
        return [f"{count(n, 'row')} to train on {'is' if n == 1 else 'are'} few: answers for others will err."]
    return [f"{count(n, 'row')} to train on: samples will repeat {'it' if n == 1 else 'them, or mix their cells'}."]


def _held_out(m: int, apart: bool) -> list[str]:
    if m >= 50:
        return []
    if m < 4:
        held = f"{count(m, 'item')} {'is' if m == 1 else 'are'} held out"
        return [f"{held}: nothing can be measured while training, and nothing is watched."]
    how = "data.splits=ignore held_out=0.3" if apart else "held_out=0.3"
    return [f"Only {m} items are held out: the score's interval will be wide; --set {how} holds out more."]


def _batch(batch: int, n: int) -> list[str]:
    """What a batch that is larger than all training items means."""
    if batch <= n:
        return []
    times = f"{batch // n}" if batch % n == 0 else f"{batch // n} or {batch // n + 1}"
    fewer = f"; --set batch={2 ** (n.bit_length() - 1)} repeats none" if n >= 4 else ""
    return [f"Each batch of {batch:,} holds every one of {count(n, 'training item')} {times} times{fewer}."]
