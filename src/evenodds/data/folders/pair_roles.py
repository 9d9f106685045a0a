"""How folders and files of pairs are called, sources and targets."""

from __future__ import annotations

from evenodds.data.folders.matching import Roles
from evenodds.data.folders.sides import Words

__all__ = ["ROLES"]

FOLDERS = (
    ("source", "target"),
    ("sources", "targets"),
    ("input", "target"),
    ("inputs", "targets"),
    ("input", "output"),
    ("input", "gt"),
    ("trainA", "trainB"),
    ("A", "B"),
    ("edges", "photo"),
    ("edges", "photos"),
    ("sketch", "photo"),
    ("noisy", "clean"),
    ("blur", "sharp"),
    ("blurred", "sharp"),
    ("degraded", "clean"),
    ("grey", "colour"),
    ("gray", "color"),
    ("low", "high"),
    ("LR", "HR"),
    ("before", "after"),
)
"""Names of two folders side by side, sources and targets, whatever their case."""
SOURCE_WORDS = ("x2", "x3", "x4", "x8", "lr", "lowres", "source", "input", "noisy", "blur", "blurred", "gray", "grey")
TARGET_WORDS = ("hr", "highres", "target", "output", "gt", "clean", "sharp", "color", "colour")
"""What names of files begin or end with, beside those without such a word."""
ROLES = Roles(
    ("sources", "targets"),
    FOLDERS,
    Words(
        frozenset((source.lower(), target.lower()) for source, target in FOLDERS if not source.startswith("train"))
        | {(word, "") for word in SOURCE_WORDS}
        | {("", word) for word in TARGET_WORDS}
    ),
)
