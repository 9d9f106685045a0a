"""What there is to name, read from a file beside the code, so that a list need not import all that it names."""

from __future__ import annotations

from evenodds.errors import unknown
from evenodds.runs.find import KINDS, describe, written

__all__ = ["LIVE", "known"]

LIVE = ("optimizers", "recipes")
"""Kinds that are looked up where they are: those of torch's own version, and files that need no import."""


def known(kind: str) -> list[tuple[str, str]]:
    """Each name of a kind, or of "metrics", with the first line of its documentation."""
    if kind in LIVE:
        return describe(kind)
    if kind not in written():
        raise unknown("kind of part", kind, [*KINDS, "metrics", "settings"])
    return list(written()[kind].items())
