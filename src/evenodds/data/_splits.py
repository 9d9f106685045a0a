"""Folders that part data into what is trained on and what is kept for testing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from evenodds.data._wording import count
from evenodds.errors import unknown

__all__ = ["WAYS", "Splits", "checked", "splits"]

TRAIN = ("train", "training")
TEST = ("val", "valid", "validation", "test", "testing", "eval", "holdout")
WAYS = ("respect", "ignore")
"""What may be done with such folders."""


class Splits(NamedTuple):
    """The parts of some files."""

    names: list[str]  # Of the files, without the folder that names the part.
    apart: Tensor | None  # (N,) bool: which are not trained on; None where no folder says so.
    notes: list[str]


def checked(way: str) -> str:
    """The option of a reader; BadInput where it is neither "respect" nor "ignore"."""
    if way not in WAYS:
        raise unknown("way of data.splits", way, WAYS)
    return way


def splits(names: Sequence[str], way: str, noun: str = "image") -> Splits:
    """The parts that folders name, at one level of all paths: "train/cat/1.png" and "test/cat/2.png", "A/train/1.png".

    Args:
        names: paths with slashes.
        way: "respect" keeps what lies in folders such as test and val apart; "ignore" reads all as one.
        noun: what a file becomes, in the singular.
    """
    paths = [name.split("/") for name in names]
    level = _level(paths)
    if level is None:
        return Splits(list(names), None, [])
    parts = [path[level].lower() for path in paths]
    rest = ["/".join(path[:level] + path[level + 1 :]) for path in paths]
    apart = torch.tensor([part in TEST for part in parts])
    found = ", ".join(sorted({path[level] for path in paths if path[level].lower() in TEST}))
    if way == "ignore":
        return Splits(rest, None, [f"Took what lies in {found} to train on too, as data.splits=ignore asks."])
    held = count(int(apart.sum()), noun)
    return Splits(rest, apart, [f"Held out are the {held} of {found}, none is trained on; data.splits=ignore mixes."])


def _level(paths: Sequence[Sequence[str]]) -> int | None:
    """At which level of folders the paths have the names of parts, of which one is to train on and one is not."""
    for level in range(min((len(path) for path in paths), default=1) - 1):
        parts = Counter(path[level].lower() for path in paths)
        if all(part in TRAIN + TEST for part in parts) and any(part in TRAIN for part in parts):
            return level if any(part in TEST for part in parts) else None
    return None
