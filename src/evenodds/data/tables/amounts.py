"""Amounts as people write them: with signs of currency, units, and signs between thousands and before decimals."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evenodds.errors import BadInput

__all__ = ["PLAIN", "Amounts", "NumberStyle", "amounts", "common_point", "is_amount", "point_of"]

MINUS = "-"
MOST_DIGITS = 40
"""Of a number that begins with zeros."""
_LONGEST = 8
"""Characters before a number, and behind it."""
NEGATIVES = ("-<1>", "<-1>", "(<1>)", "<(1)>", "(<1)>", "<(1>)", "<1->", "<1>-", "\u2212<1>", "<\u22121>")
"""How a number below 0 is written: < and > are what stands before and behind it, 1 its digits. Accountants write it in
parentheses, some programs a minus behind it, typesetters a sign of its own."""


@dataclass(frozen=True)
class NumberStyle:
    """How the numbers of a column are written.

    Args:
        before, after: what stands around each number, such as "$" or " %".
        group: the sign between thousands; empty where there is none.
        point: the sign before decimals.
        negative: how a number below 0 is written, one of `NEGATIVES`.
        digits: before the decimals, at least; shorter numbers begin with zeros, as postal codes do.

    Example:
        >>> NumberStyle("$", group=",").written("-1234.50"), NumberStyle(digits=5).written("123")
        ('-$1,234.50', '00123')
        >>> NumberStyle("$", group=",", negative="(<1>)").written("-1234.50")
        '($1,234.50)'
    """

    before: str = ""
    after: str = ""
    group: str = ""
    point: str = "."
    negative: str = NEGATIVES[0]
    digits: int = 0

    def __post_init__(self) -> None:
        if self.negative not in NEGATIVES:
            raise BadInput(f"a style writes numbers below 0 as one of {' '.join(NEGATIVES)}")
        if len(self.group) > 1 or len(self.point) != 1 or max(len(self.before), len(self.after)) > _LONGEST:
            raise BadInput(f"a style of numbers has one sign for each end, and up to {_LONGEST} around a number")
        if not 0 <= self.digits <= MOST_DIGITS:
            raise BadInput(f"a style of numbers has 0 to {MOST_DIGITS} digits before the decimals, got {self.digits}")

    def written(self, number: str) -> str:
        """A number as Python writes it, such as "-1234.5", in this style."""
        below = number.startswith(MINUS)
        digits = number[1:] if below else number
        whole, point, decimals = digits.partition(".")
        if self.group and whole.isdecimal():
            whole = f"{int(whole):,}".replace(",", self.group)
        whole = whole.zfill(self.digits) if whole.isdecimal() else whole
        parts = {"<": self.before, "1": f"{whole}{self.point if point else ''}{decimals}", ">": self.after}
        return "".join(parts.get(sign, sign) for sign in (self.negative if below else "<1>"))


PLAIN = NumberStyle()
STYLES = (("", "."), (",", "."), (".", ","), (" ", ","), (" ", "."), ("'", "."), ("\u2019", "."), ("", ","))
"""The signs between thousands and before decimals, in the order in which they are tried: 1,234 is a thousand and more
where all numbers of a column may be read so."""
SPACES = ("\u00a0", "\u202f", "\u2009")
"""Spaces that printers put between thousands, beside the usual one."""
_ALL_STYLES = (*STYLES, *((space, sign) for space in SPACES for sign in ",."))
_SIGN = "[+\u2212-]?"
_AROUND = re.compile(
    rf"(?P<sign>{_SIGN})(?P<before>[^\d.,+\u2212()-]*)(?P<inner>{_SIGN})(?P<body>[.,]?\d(?:.*\d)?)(?P<after>[^\d()]*)"
)
_IN_PARENTHESES = re.compile(r"(?P<before>[^()]*)\((?P<inside>[^()]+)\)(?P<after>[^()]*)")
_DIGITS, _LED = re.compile(r"\d+"), re.compile(r"^0+(?=\d)")
_UNIT = re.compile(r"\s?[^\W\d_]{1,6}")
"""A word behind a number."""


@dataclass(frozen=True)
class Amounts:
    """The numbers of some words, and how these are written."""

    numbers: dict[str, float]
    style: NumberStyle


def amounts(words: Sequence[str], point: str = "", zeros: bool = False) -> Amounts | None:
    """Reads words as numbers of one style; None where they are not.

    Signs around them must be the same in all: one of currency, a percent sign or one of degrees on either side, or a
    word of up to six letters behind. Percent are left as they are: "12 %" is 12.

    Args:
        point: the sign before decimals where the words leave it open, as 1,234 does.
        zeros: whether numbers may begin with zeros, as postal codes do; the style then has their digits.

    Example:
        >>> amounts(["007", "1200"], zeros=True)
        Amounts(numbers={'007': 7.0, '1200': 1200.0}, style=NumberStyle(before='', after='', group='', point='.', \
negative='-<1>', digits=3))
        >>> amounts(["1,234", "5,105"]).numbers, amounts(["1,234", "5,105"], point=",").numbers
        ({'1,234': 1234.0, '5,105': 5105.0}, {'1,234': 1.234, '5,105': 5.105})
    """
    parts = _of_one_kind(words)
    if not parts:
        return None
    bodies = [part.body for part in parts]
    digits, bodies = _without_zeros(bodies) if zeros else (0, bodies)
    negatives = Counter(part.negative for part in parts if part.negative)
    negative = negatives.most_common(1)[0][0] if negatives else NEGATIVES[0]
    for group, sign in sorted(_ALL_STYLES, key=lambda style: bool(point) and style[1] != point):
        values = _values(bodies, group, sign)
        if values is not None:
            signed = [-value if part.negative else value for part, value in zip(parts, values, strict=True)]
            style = NumberStyle(parts[0].before, parts[0].after, group, sign, negative, digits)
            return Amounts(dict(zip(words, signed, strict=True)), style)
    return None


def point_of(words: Sequence[str]) -> str:
    """The only sign that can stand before decimals in these words; empty where they leave it open or are no numbers.

    Example:
        >>> point_of(["1,234", "0,5"]), point_of(["1.234.567"]), point_of(["1,234", "5,105"])
        (',', ',', '')
    """
    bodies = [part.body for part in _of_one_kind(words)]
    fits = (point for group, point in _ALL_STYLES if bodies and _fit(bodies, group, point))
    return common_point(fits)


def common_point(points: Iterable[str]) -> str:
    """The one sign before decimals that there is among some; empty where there is none, or two."""
    there = {*points} - {""}
    return there.pop() if len(there) == 1 else ""


def _of_one_kind(words: Sequence[str]) -> list[_Written]:
    """The words taken apart; none where some are no numbers, or have other signs around them than others."""
    parts = [part for word in words if (part := _written(word)) is not None]
    if len(parts) < len(words) or len({(part.before, part.after) for part in parts}) != 1:
        return []
    before, after = parts[0].before, parts[0].after
    return parts if _is_sign(before) and (_is_sign(after) or _UNIT.fullmatch(after)) else []


def is_amount(word: str) -> bool:
    """Whether a word is a number with no more than commas in it, and what says that it is below 0."""
    part = _written(word)
    if part is None or part.before or part.after:
        return False
    return any(_pattern(group, point).fullmatch(part.body) for group, point in ((",", "."), ("", ",")))


@dataclass(frozen=True)
class _Written:
    """A number as it is written, taken apart; `negative` is empty where it is not below 0."""

    before: str
    body: str
    after: str
    negative: str = ""


def _written(word: str) -> _Written | None:
    """What a word consists of, where there are digits in it; None where there are not, or it has two signs."""
    if (bracketed := _IN_PARENTHESES.fullmatch(word)) is not None:
        inside = _AROUND.fullmatch(bracketed["inside"].strip(" "))
        if inside is None or inside["sign"] or inside["inner"] or MINUS in inside["after"]:
            return None
        outside = (bracketed["before"], bracketed["after"])
        if (outside[0] and inside["before"]) or (outside[1] and inside["after"]):
            return None
        behind = outside[1] or (outside[0] and not inside["after"])
        form = f"{'<(' if outside[0] else '(<'}1{')>' if behind else '>)'}"
        after = outside[1] or inside["after"]
        return _Written(outside[0] or inside["before"], inside["body"], after, form)
    part = _AROUND.fullmatch(word)
    if part is None:
        return None
    after, ends = part["after"].replace(MINUS, "", 1), MINUS in part["after"]
    if sum(map(bool, (part["sign"], part["inner"], ends))) > 1:
        return None
    if ends:
        form = "<1->" if part["after"].startswith(MINUS) and after else "<1>-"
        if form == "<1>-" and not part["after"].endswith(MINUS):
            return None
        return _Written(part["before"], part["body"], after, form)
    sign = part["sign"] or part["inner"]
    form = f"{sign}<1>" if part["sign"] else f"<{sign}1>"
    return _Written(part["before"], part["body"], after, form if form in NEGATIVES else "")


def _is_sign(text: str) -> bool:
    """Whether there is nothing, or a sign of currency, percent or degrees, perhaps with a space."""
    return all(c.isspace() or c in "%‰°" or unicodedata.category(c) == "Sc" for c in text) and len(text) <= 3


def _without_zeros(bodies: Sequence[str]) -> tuple[int, list[str]]:
    """How many digits all have that begin with a 0, and the numbers without these zeros; 0 where they differ in that,
    or another number has fewer."""
    wholes = [_DIGITS.match(body) for body in bodies]
    many = [len(whole[0]) if whole else 0 for whole in wholes]
    led = {count for count, body in zip(many, bodies, strict=True) if _LED.match(body)}
    digits = led.pop() if len(led) == 1 else 0
    return digits if digits <= min(min(many), MOST_DIGITS) else 0, [_LED.sub("", body) for body in bodies]


def _fit(bodies: Sequence[str], group: str, point: str) -> bool:
    if group and not any(group in body for body in bodies):
        return False  # written back they would have signs that nobody wrote
    pattern = _pattern(group, point)
    return all(pattern.fullmatch(body) for body in bodies)


def _values(bodies: Sequence[str], group: str, point: str) -> list[float] | None:
    if not _fit(bodies, group, point):
        return None
    return [float((body.replace(group, "") if group else body).replace(point, ".")) for body in bodies]


def _pattern(group: str, point: str) -> re.Pattern[str]:
    """Of a number without its sign. None begins with a 0 as postal codes do, or has more digits than floats hold."""
    grouped = rf"[1-9]\d{{0,2}}({re.escape(group)}\d{{3}})+|" if group else ""
    decimals = rf"{re.escape(point)}\d+"
    return re.compile(rf"({grouped}0|[1-9]\d{{0,14}}|(?={decimals}))({decimals})?(e[+-]?\d{{1,2}})?", re.IGNORECASE)
