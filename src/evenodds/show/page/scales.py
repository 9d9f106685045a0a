"""The arithmetic of charts: scales, ticks, and long lines made short without losing an extreme."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from evenodds.show.page.numerals import MINUS, THIN, number, short

__all__ = ["Point", "Scale", "decades", "labels", "spread", "thin", "ticks"]

Point = tuple[float, float | None]
"""(x, y); None where y is no finite number, and the line breaks."""


@dataclass(frozen=True)
class Scale:
    """From a domain of values to a range of places, straight or by the logarithm.

    Args:
        low, high: ends of the domain, low < high; above 0 where `logarithmic`.
        start, end: the places of both.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (math.log(v) if self.logarithmic else v for v in (self.low, self.high, value))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Round values within the domain."""
        return decades(self.low, self.high, most) if self.logarithmic else ticks(self.low, self.high, most)


def ticks(low: float, high: float, most: int) -> list[float]:
    """The multiples of 1, 2 or 5 times a power of ten between low and high: as many as fit, at most `most` >= 2."""
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for step in (power * factor for factor in (1, 2, 5, 10, 20, 50)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            return [k * step for k in range(first, last + 1)]
    raise AssertionError("a step of fifty times the power leaves few ticks")


def decades(low: float, high: float, most: int) -> list[float]:
    """Powers of ten between low and high, every n-th where there are many, with 2 and 5 between where there are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for every, factors in ((1, (1, 2, 5)), (1, (1, 3)), (1, (1,)), (max(1, math.ceil((last - first) / most)), (1,))):
        powers = [factor * 10.0**k for k in range(first, last + 1, every) for factor in factors]
        inside = [value for value in powers if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
        if len(inside) <= most:
            break
    return inside


def labels(values: Sequence[float]) -> list[str]:
    """The values as labels that differ, with as many decimals as their steps need and no more; 250k from 100,000 on."""
    top = max(map(abs, values), default=0.0)
    whole = [0.0 if abs(v) <= 1e-9 * top else v for v in values]
    for decimals in range(7):
        if top < 1e5 and all(abs(round(v, decimals) - v) <= 1e-6 * top for v in whole):
            return [f"{v:,.{decimals}f}".replace(",", THIN).replace("-", MINUS) if v else "0" for v in whole]
    forms: list[Callable[[float], str]] = [partial(number, digits=digits) for digits in range(2, 16)]
    for form in [short, *forms] if 1e5 <= top < 1e12 else forms:
        written = [form(v) for v in whole]
        if len({*written}) == len(written):
            break
    return written


def spread(values: Iterable[float], around: float = 0.08) -> tuple[float, float]:
    """A domain that holds the values with some room on both sides, of width above 0 even around a single value."""
    all_values = list(values)
    low, high = min(all_values, default=0.0), max(all_values, default=1.0)
    room = around * (high - low)
    if room <= 1e-9 * max(abs(low), abs(high)):
        room = 0.5 * max(abs(low), abs(high)) or 0.5
    return low - room, high + room


def thin(points: Sequence[Point], most: int = 400) -> list[Point]:
    """At most about `most` of the points: of each stretch the first, the last, the extremes, and one break.

    Args:
        points: in the order of x.
        most: above 5.
    """
    if len(points) <= most:
        return list(points)
    size = math.ceil(len(points) / (most // 5))
    telling: list[Point] = []
    for start in range(0, len(points), size):
        stretch = range(start, min(start + size, len(points)))
        telling += [points[k] for k in sorted(_telling(points, stretch))]
    return telling


def _telling(points: Sequence[Point], stretch: range) -> set[int]:
    values = {k: y for k in stretch if (y := points[k][1]) is not None}
    breaks = [k for k in stretch if k not in values][:1]
    if not values:
        return set(breaks)
    return {min(values), max(values), min(values, key=values.__getitem__), max(values, key=values.__getitem__), *breaks}
