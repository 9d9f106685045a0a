"""Folds that share no item: who is trained on, who is tested on, and what each item's hash is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.data.wording import some_names
from evenodds.errors import BadInput
from evenodds.game.seeds import mix

__all__ = ["Fold", "Splitter", "cross", "digest", "fold_of", "hashes", "mean_overlap"]

Splitter = Callable[[Dataset, int], tuple[Tensor, Tensor]]
"""(data, number of the seed) -> int64 positions (to train on, to test on), disjoint."""


@dataclass(frozen=True)
class Fold:
    """The items of one seed, by their positions in the data."""

    train: Tensor
    test: Tensor
    moved: tuple[int, ...] = ()
    """Left the test items, because an identical image is trained on; they joined the training items."""


def hashes(data: Dataset) -> list[str]:
    """SHA-256 (hex) of each image as it is stored; labels and names do not enter, so that equal images are found."""
    values = data.x.permute(0, 2, 3, 1) if data.x.ndim == 4 else data.x
    head = f"{tuple(values.shape[1:])} {values.dtype} ".encode()
    rows = values.contiguous().cpu().numpy()
    return [hashlib.sha256(head + row.tobytes()).hexdigest() for row in rows]


def digest(hashes: Sequence[str]) -> str:
    """SHA-256 (hex) of a set of hashes: equal sets, and only these, have the same one."""
    return hashlib.sha256("\n".join(sorted(set(hashes))).encode()).hexdigest()


def cross(seeds: int) -> Splitter:
    """Each item is tested on by one seed at most: `seeds` parts with equal shares of every class, at least 3 parts.

    Disjoint test items keep the seeds' figures apart: with random splits they would share items and look surer than
    they are (Nadeau and Bengio 2003).
    """
    parts = max(seeds, 3)

    def split(data: Dataset, seed: int) -> tuple[Tensor, Tensor]:
        y = labels(data)
        part = torch.full((len(y),), -1)
        start = 0
        for label in range(len(data.classes)):
            members = (y == label).nonzero().flatten()
            members = members[torch.randperm(len(members), generator=torch.Generator().manual_seed(mix(label, 11)))]
            part[members] = (torch.arange(len(members)) + start) % parts
            start += len(members)  # rare classes then do not all fall into the first parts
        return ((part >= 0) & (part != seed)).nonzero().flatten(), (part == seed).nonzero().flatten()

    return split


def fold_of(data: Dataset, splitter: Splitter, seed: int, item_hashes: Sequence[str]) -> Fold:
    """The fold of a seed, cleared of images that would be trained on and tested on at once.

    Args:
        item_hashes: the hashes of the data.
    """
    train, test = splitter(data, seed)
    train_hashes = {item_hashes[i] for i in train.tolist()}
    moved = tuple(i for i in test.tolist() if item_hashes[i] in train_hashes)
    if moved:
        gone = torch.tensor(moved)
        train, test = torch.cat([train, gone]).sort().values, test[~torch.isin(test, gone)]
    y = labels(data)
    absent = [name for k, name in enumerate(data.classes) if not bool((y[train] == k).any())]
    if absent:
        some = some_names(absent)
        raise BadInput(f"seed {seed + 1} has nothing to train on in class {some}; give more {data.noun} of it")
    if not len(test):
        same = f": all {len(moved):,} were identical to training {data.noun}" if moved else ""
        raise BadInput(f"seed {seed + 1} has nothing to test on{same}; give more {data.noun}, or fewer seeds")
    return Fold(train, test, moved)


def labels(data: Dataset) -> Tensor:
    """(N,) int64; BadInput where there are no classes to tell apart, or too few images."""
    if data.y is None or len(data.classes) < 2:
        raise BadInput(
            "a trial needs labelled data of at least 2 classes: class folders, a labels.csv, a y in an .npz, --label"
        )
    counts = torch.bincount(data.y[data.y >= 0], minlength=len(data.classes)).tolist()
    few = [f"{name} has {n}" for name, n in zip(data.classes, counts, strict=True) if n < 3]
    if few:
        raise BadInput(
            f"a trial needs at least 3 {data.noun} of every class; {some_names(few)}; leave such classes out, or "
            "put them into one"
        )
    return data.y


def mean_overlap(folds: Sequence[Fold]) -> float:
    """The mean share of test items that two seeds have in common."""
    sets = [set(fold.test.tolist()) for fold in folds]
    pairs = [(a, b) for k, a in enumerate(sets) for b in sets[:k]]
    return sum(len(a & b) / min(len(a), len(b)) for a, b in pairs) / max(1, len(pairs))
