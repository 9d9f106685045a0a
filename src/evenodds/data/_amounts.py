"""Amounts as people write them: with signs of currency, units, and signs between thousands and before decimals."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from evenodds.errors import BadInput

__all__ = ["PLAIN", "Amounts", "NumberStyle", "amounts", "is_amount"]


_LONGEST = 8
"""Characters before a number, and behind it."""


@dataclass(frozen=True)
class NumberStyle:
    """How the numbers of a column are written.

    Args:
        before, after: what stands around each number, such as "$" or " %".
        group: the sign between thousands; empty where there is none.
        point: the sign before decimals.

    Example:
        >>> NumberStyle("$", group=",").written("-1234.50")
        '-$1,234.50'
    """

    before: str = ""
    after: str = ""
    group: str = ""
    point: str = "."

    def __post_init__(self) -> None:
        if len(self.group) > 1 or len(self.point) != 1 or max(len(self.before), len(self.after)) > _LONGEST:
            raise BadInput(f"a style of numbers has one sign for each end, and up to {_LONGEST} around a number")

    def written(self, number: str) -> str:
        """A number as Python writes it, such as "-1234.5", in this style."""
        sign, digits = ("-", number[1:]) if number.startswith("-") else ("", number)
        whole, point, decimals = digits.partition(".")
        if self.group and whole.isdecimal():
            whole = f"{int(whole):,}".replace(",", self.group)
        return f"{sign}{self.before}{whole}{self.point if point else ''}{decimals}{self.after}"


PLAIN = NumberStyle()
STYLES = (("", "."), (",", "."), (".", ","), (" ", ","), (" ", "."), ("'", "."), ("\u2019", "."), ("", ","))
"""The signs between thousands and before decimals, in the order in which they are tried: 1,234 is a thousand and more
where all numbers of a column may be read so."""
SPACES = ("\u00a0", "\u202f", "\u2009")
"""Spaces that printers put between thousands, beside the usual one."""
_AROUND = re.compile(r"(?P<sign>[+-]?)(?P<before>[^\d.,+-]*)(?P<inner>[+-]?)(?P<body>[.,]?\d(?:.*\d)?)(?P<after>\D*)")
_UNIT = re.compile(r"\s?[^\W\d_]{1,6}")
"""A word behind a number."""


@dataclass(frozen=True)
class Amounts:
    """The numbers of some words, and how these are written."""

    numbers: dict[str, float]
    style: NumberStyle


def amounts(words: Sequence[str]) -> Amounts | None:
    """Reads words as numbers of one style; None where they are not.

    Signs around them must be the same in all: one of currency, a percent sign or one of degrees on either side, or a
    word of up to six letters behind. Percent are left as they are: "12 %" is 12.
    """
    parts = [_AROUND.fullmatch(word) for word in words]
    if not parts or None in parts:
        return None
    found = [part for part in parts if part is not None]
    around = {(part["before"], part["after"]) for part in found}
    if len(around) > 1 or any(part["sign"] and part["inner"] for part in found):
        return None
    before, after = around.pop()
    if not (_is_sign(before) and (_is_sign(after) or _UNIT.fullmatch(after))):
        return None
    bodies = [part["body"] for part in found]
    signs = [-1.0 if "-" in (part["sign"], part["inner"]) else 1.0 for part in found]
    for group, point in (*STYLES, *((space, sign) for space in SPACES for sign in ",.")):
        values = _values(bodies, group, point)
        if values is not None:
            numbers = {word: sign * value for word, sign, value in zip(words, signs, values, strict=True)}
            return Amounts(numbers, NumberStyle(before, after, group, point))
    return None


def is_amount(word: str) -> bool:
    """Whether a word is a number with no more than commas in it."""
    return any(_pattern(group, point).fullmatch(word.lstrip("+-")) for group, point in ((",", "."), ("", ",")))


def _is_sign(text: str) -> bool:
    """Whether there is nothing, or a sign of currency, percent or degrees, perhaps with a space."""
    return all(c.isspace() or c in "%‰°" or unicodedata.category(c) == "Sc" for c in text) and len(text) <= 3


def _values(bodies: Sequence[str], group: str, point: str) -> list[float] | None:
    pattern = _pattern(group, point)
    if not all(pattern.fullmatch(body) for body in bodies):
        return None
    return [float((body.replace(group, "") if group else body).replace(point, ".")) for body in bodies]


def _pattern(group: str, point: str) -> re.Pattern[str]:
    """Of a number without its sign. None begins with a 0 as postal codes do, or has more digits than floats hold."""
    grouped = rf"[1-9]\d{{0,2}}({re.escape(group)}\d{{3}})+|" if group else ""
    decimals = rf"{re.escape(point)}\d+"
    return re.compile(rf"({grouped}0|[1-9]\d{{0,14}}|(?={decimals}))({decimals})?(e[+-]?\d{{1,2}})?", re.IGNORECASE)
