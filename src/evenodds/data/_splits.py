"""Folders that part data into what is trained on and what is kept for testing."""

from __future__ import annotations

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
    parts = [_part(path, level) for path in paths]
    named = [part.lower() in TRAIN + TEST for part in parts]
    cut = [path[:level] + path[level + 1 :] if one else path for path, one in zip(paths, named, strict=True)]
    rest = ["/".join(path) for path in cut]
    apart = torch.tensor([part.lower() in TEST for part in parts])
    found = ", ".join(sorted({part for part in parts if part.lower() in TEST}))
    if way == "ignore":
        return Splits(rest, None, [f"Took what lies in {found} to train on too, as data.splits=ignore asks."])
    held = count(int(apart.sum()), noun)
    return Splits(rest, apart, [f"Held out are the {held} of {found}, none is trained on; data.splits=ignore mixes."])


def _level(paths: Sequence[Sequence[str]]) -> int | None:
    """At which level some folders are to train on and some are not; files elsewhere are to train on."""
    for level in range(max((len(path) for path in paths), default=1) - 1):
        parts = {_part(path, level).lower() for path in paths}
        if parts & {*TRAIN} and parts & {*TEST}:
            return level
    return None


def _part(path: Sequence[str], level: int) -> str:
    """The folder of a path at a level; empty where it has none."""
    return path[level] if level < len(path) - 1 else ""
