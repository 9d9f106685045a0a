"""The ranges of the numbers that flags take. Each is checked when the command line is read, before any work."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Annotated, Any

from cyclopts import CoercionError, Parameter, Token

__all__ = ["SEEDS", "EncoderImages", "Number", "Pixels", "Range", "Seed", "real", "whole"]


class Range:
    """Reads a number as a person writes it, such as 64, 10k or 1e-3, and refuses one outside of its range.

    Args:
        least: the smallest value.
        most: the largest value.
        whole: whether it must be a whole number.
        above: whether the smallest value itself is refused.
    """

    def __init__(self, least: float, most: float, *, whole: bool, above: bool = False) -> None:
        self.least, self.most, self.whole, self.above = least, most, whole, above

    def __call__(self, kind: Any, tokens: Sequence[Token]) -> int | float:
        """The number that the words after a flag are.

        Raises:
            CoercionError: it is none, or lies outside of the range. The message names the flag, the range and the word.
        """
        value = self.read(tokens[0].value)
        if value is None:
            flag = tokens[0].keyword or "the value"
            raise CoercionError(msg=f"{flag} must be {self}, got {_excerpt(tokens[0].value)}.")
        return value

    def read(self, text: str) -> int | float | None:
        """The number; None where the text is none, or it lies outside of the range."""
        from evenodds.runs.values import as_number

        value = as_number(text)
        if value is None or not isfinite(value) or not self.holds(value):
            return None
        return int(value) if self.whole else float(value)

    def holds(self, value: float) -> bool:
        """Whether a finite number is in the range."""
        low = value > self.least if self.above else value >= self.least
        return low and value <= self.most and (not self.whole or value == int(value))

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        low = f"above {self.least:,}, at most" if self.above else f"from {self.least:,} to"
        return f"{kind} {low} {self.most:,}"


def _excerpt(text: str) -> str:
    from evenodds.files.misfit import shortened

    return shortened(text)


def whole(least: int, most: int, **more: Any) -> Parameter:
    """The annotation of a flag that takes whole numbers in [least, most]; `more` as for Parameter."""
    return Parameter(converter=Range(least, most, whole=True), **more)


def real(least: float, most: float, *, above: bool = False, **more: Any) -> Parameter:
    """The annotation of a flag that takes numbers in [least, most], or (least, most]; `more` as for Parameter."""
    return Parameter(converter=Range(least, most, whole=False, above=above), **more)


SEEDS = whole(-(2**63), 2**63 - 1)
Seed = Annotated[int, SEEDS]
Number = Annotated[int | None, whole(1, 10**7, name=["-n", "--number"])]
Pixels = Annotated[
    int | None,
    whole(
        1,
        2**40,
        help="A picture with more is skipped before it is decoded, as it could fill the memory [default: 89,478,485].",
    ),
]
EncoderImages = Annotated[
    int | None,
    whole(1, 10**12, help="Samples of the generator that the encoder learns from, such as 50k [default: 200,000]."),
]
