"""Sentences of reports: numbers with their nouns, lists of names that end."""

from __future__ import annotations

from collections.abc import Sequence

from evenodds.errors import BadInput

__all__ = ["count", "items_of", "listed", "not_like", "shape_of", "shape_words", "some_names"]


def listed(sentence: str, names: Sequence[str], show: int = 5, what: str = "file") -> list[str]:
    """One sentence with the number of files and the first of their names; none where there are none."""
    if not names:
        return []
    return [sentence.format(count(len(names), what), some_names(names, show))]


def some_names(names: Sequence[str], show: int = 5) -> str:
    """The first of the names, and how many more there are."""
    more = f" and {len(names) - show:,} more" if len(names) > show else ""
    return ", ".join(names[:show]) + more


def count(number: int, what: str) -> str:
    """The number and its noun."""
    plural = "es" if what.endswith("s") else "s"
    return f"{number:,} {what}{plural * (number != 1)}"


def shape_words(shape: Sequence[int]) -> str:
    """What items of a shape are: (C, H, W), or (D,)."""
    if len(shape) == 3:
        return f"images of {shape[1]} x {shape[2]} with {count(shape[0], 'channel')}"
    return f"rows of {count(shape[0], 'number')}" if len(shape) == 1 else f"items of {tuple(shape)}"


def shape_of(kind: str, shape: Sequence[int]) -> str:
    """What items of data of a kind and a shape are: those of toys are points."""
    return f"points of {count(shape[0], 'number')}" if kind == "toy" and len(shape) == 1 else shape_words(shape)


def not_like(what: str, shape: Sequence[int], needed: Sequence[int]) -> BadInput:
    """The error for items of another shape than others.

    Args:
        what: begins the message, e.g. "the samples".
    """
    return BadInput(f"{what} are {shape_words(shape)}, and {shape_words(needed)} are needed; give such")


def items_of(kind: str) -> str:
    """What items of data of a kind are called."""
    return {"image": "images", "table": "rows", "toy": "points"}.get(kind, "items")
