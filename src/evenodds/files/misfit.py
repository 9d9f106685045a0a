"""What does not fit its type, in words: the place in a structured value, what was needed, what came."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = ["misfit", "shortened", "with_keys"]

LONGEST_EXCERPT = 40
"""Characters of a value that are shown in a message."""
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|'[^']*'|\"[^\"]*\")\]")
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
}
"""What the types of JSON are called in messages."""


def misfit(message: str, value: Any) -> str:
    """Where a value does not fit its type, and how, from the message of msgspec."""
    problem, _, path = message.partition(" - at `")
    place = path.rstrip("`").removeprefix("$").removeprefix(".")
    if missing := re.fullmatch(r"Object missing required field `(.*)`", problem):
        return f": {f'{place} has' if place else 'there is'} no '{missing[1]}'"
    actual = _at(value, path.rstrip("`").removeprefix("$"))
    if problem.startswith("Invalid enum value"):
        got = f", got {shortened(actual)}" if actual is not _UNKNOWN else ""
        return f"{': ' + place if place else ''} must be a word that is known there{got}"
    expected = re.fullmatch(r"Expected (.*?)(?:, got `(.*)`)?", problem)
    if expected is None:
        return f": {place + ': ' if place else ''}{problem}"
    actual_words = shortened(actual) if actual is not _UNKNOWN else _word(expected[2] or "something else")
    return f"{': ' + place if place else ''} must be {_in_words(expected[1])}, got {actual_words}"


_ANY_KEY = "[...]"
"""How msgspec names an entry of a mapping whose keys are free."""


def with_keys(message: str, value: Any, fits: Callable[[Any], bool]) -> str:
    """A message of msgspec with the keys of free mappings in its path, which it leaves out.

    Args:
        fits: whether another value fits the type that this one does not fit.
    """
    problem, at, path = message.partition(" - at `$")
    path = path.removesuffix("`")
    while _ANY_KEY in path:
        before, _, after = path.partition(_ANY_KEY)
        mapping = _at(value, before)
        if not isinstance(mapping, dict) or not mapping:
            break
        while len(mapping) > 1:
            entries = list(mapping.items())
            half = dict(entries[: len(entries) // 2])
            mapping = dict(entries[len(entries) // 2 :]) if fits(_replaced(value, before, half)) else half
        value, path = _replaced(value, before, mapping), f"{before}[{shortened(next(iter(mapping)))}]{after}"
    return f"{problem}{at}{path}`" if at else message


def _replaced(value: Any, path: str, inner: Any) -> Any:
    """A copy of a value with another one at a path, see `_at`."""
    step = _STEP.match(path)
    if step is None:
        return inner
    key: Any = step[1] if step[1] is not None else _index(step[2])
    copy = value.copy()
    copy[key] = _replaced(value[key], path[step.end() :], inner)
    return copy


def _index(text: str) -> int | str:
    """What stands between brackets in a path: a place in a list, or a key in quotes."""
    return int(text) if text.isdecimal() else text[1:-1]


def _in_words(types: str) -> str:
    """Types as msgspec writes them, such as "`int | null` >= 1", in words."""
    return re.sub(r"`([^`]*)`", lambda match: " or ".join(map(_word, match[1].split(" | "))), types)


def _word(name: str) -> str:
    return _WORDS.get(name, name)


_UNKNOWN = object()


def _at(value: Any, path: str) -> Any:
    """The value at a path such as ".shape[1]"; _UNKNOWN where the path does not say which."""
    while path:
        step = _STEP.match(path)
        if step is None:
            return _UNKNOWN
        try:
            value = value[step[1] if step[1] is not None else _index(step[2])]
        except (KeyError, IndexError, TypeError):
            return _UNKNOWN
        path = path[step.end() :]
    return value


def shortened(value: Any) -> str:
    """A value for a message: one line of at most some 40 characters without any control characters."""
    if isinstance(value, list | dict) and len(value) > 4:
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value):,} entries"
    text = repr(value if not isinstance(value, str) else value[: LONGEST_EXCERPT + 1])
    return text if len(text) <= LONGEST_EXCERPT else f"{text[: LONGEST_EXCERPT - 3]}..."
