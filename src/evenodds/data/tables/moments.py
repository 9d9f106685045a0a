"""Dates and times as they are spelled, and the numbers that stand for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Literal

__all__ = ["MomentForm", "Spelled", "is_spelling", "moment", "moments", "spell", "spelled"]

MomentForm = Literal["date", "datetime", "time"]
"""A date is days since 1 January 1970; a time of day, and a date with it, are seconds."""
_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y%m%d")
_SHORT = ("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%Y-%m", "%m/%Y")
_IN_WORDS = ("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d-%b-%y")
SPELLINGS: dict[MomentForm, tuple[str, ...]] = {
    "date": (*_DATES, *_SHORT, *_IN_WORDS),
    "datetime": (
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%dT%H:%M:%SZ",
        *(f"{day} {hour}" for day in (*_DATES[2:5], *_SHORT[:3]) for hour in ("%H:%M", "%H:%M:%S")),
        *(f"%m/%d/{year} {hour} %p" for year in ("%Y", "%y") for hour in ("%I:%M", "%I:%M:%S")),
    ),
    "time": ("%H:%M", "%H:%M:%S", "%I:%M %p"),
}
"""How dates and times are spelled. Where two fit, as 03/04/2021 may be either, the first is taken, and it is said."""
_SPELLING = re.compile(r"(%-?[YymbBdHIMSp]|[-/.:, TZ])*")
_UNPADDED = re.compile("%-([dmHI])")
_EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True)
class Spelled:
    """Words that are all dates or times of one spelling: the number of each, and what else they may be."""

    form: MomentForm
    spelling: str
    numbers: dict[str, float]
    doubts: tuple[str, ...] = ()
    """What was taken for what: a sentence each, with {} for the column."""


def is_spelling(text: str) -> bool:
    """Whether a moment can be spelled so: as for `datetime.strftime`, where %-d is a day without a 0 before it."""
    return _SPELLING.fullmatch(text) is not None


def spell(value: date | time, spelling: str) -> str:
    """A date or a time in letters and digits."""

    def without_zero(match: re.Match[str]) -> str:
        return value.strftime(f"%{match[1]}").lstrip("0") or "0"

    return value.strftime(_UNPADDED.sub(without_zero, spelling))


def moment(form: str, spelling: str, word: str) -> float | None:
    """A date in days, a time in seconds; None where the word is none of that spelling."""
    begins = spelling[1:2] in ("b", "B") or word[:1].isdigit()
    if len(word) < 4 or not begins or word.count(":") != spelling.count(":"):
        return None
    try:
        read = datetime.strptime(word, spelling.replace("%-", "%"))
    except ValueError:
        return None
    if form == "date":
        return float((read - _EPOCH).days)
    since = datetime.combine(read.date(), time()) if form == "time" else _EPOCH
    return (read - since).total_seconds()


def spelled(words: Sequence[str]) -> Spelled | None:
    """Reads words as dates or times of one spelling; None where they are not."""
    fits = [
        (form, spelling, numbers)
        for form, spellings in SPELLINGS.items()
        for spelling in spellings
        if (numbers := moments(form, spelling, words))
    ]
    if not fits:
        return None
    form, spelling, numbers = fits[0]
    doubts = []
    if others := [other for _, other, differing in fits[1:] if differing != numbers]:
        way = f"'{spelling}', and not '{others[0]}'"
        doubts.append(f"Took the dates of {{}} to be spelled {way}; write them as 2021-12-31 to be sure.")
    if "%y" in spelling:
        doubts.append("Took the years of {}, which have two digits, to be 1969 to 2068.")
    return Spelled(form, _as_written(spelling, words), numbers, tuple(doubts))


def moments(form: str, spelling: str, words: Sequence[str]) -> dict[str, float]:
    """Each word as a number; none where one of them is no date or time of that spelling."""
    if not spelling:
        return {}
    numbers = {}
    for word in words:
        number = moment(form, spelling, word)
        if number is None:
            return {}
        numbers[word] = number
    return numbers


def _as_written(spelling: str, words: Sequence[str]) -> str:
    """The spelling with or without zeros before days, months and hours, as the words have them."""
    for parts in ("", "dm", "HI", "dmHI"):
        tried = re.sub(f"%([{parts}])", r"%-\1", spelling) if parts else spelling
        if all(spell(datetime.strptime(word, spelling), tried) == word for word in words):
            return tried
    return spelling
