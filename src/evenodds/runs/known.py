"""What there is to name, read from a file beside the code, so that a list need not import all that it names."""

from __future__ import annotations

from importlib import resources

from evenodds.errors import unknown
from evenodds.files.read import as_type, parse_json
from evenodds.runs.find import KINDS, describe

__all__ = ["FILE", "LIVE", "known"]

FILE = "known.json"
"""Kind -> name -> first line of its documentation. `python tools/known.py` writes it; a contract compares it."""
LIVE = ("optimizers", "recipes")
"""Kinds that are looked up where they are: those of torch's own version, and files that need no import."""


def known(kind: str) -> list[tuple[str, str]]:
    """Each name of a kind, or of "metrics", with the first line of its documentation."""
    if kind in LIVE:
        return describe(kind)
    content = (resources.files("evenodds.runs") / FILE).read_bytes()
    by_kind = as_type(parse_json(content, FILE), dict[str, dict[str, str]], FILE)
    if kind not in by_kind:
        raise unknown("kind of part", kind, [*KINDS, "metrics", "settings"])
    return list(by_kind[kind].items())
