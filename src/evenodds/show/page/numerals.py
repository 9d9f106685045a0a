"""How numbers are written: three significant digits, thin spaces between thousands, a true minus, no raw floats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = [
    "MINUS",
    "MISSING",
    "THIN",
    "TIMES",
    "alike",
    "between",
    "count",
    "duration",
    "finite",
    "number",
    "part",
    "percent",
    "records",
    "short",
    "text",
]

THIN = "\u202f"  # the narrow space that does not break
MINUS, TIMES = "\u2212", "\u00d7"
MOST = 1e300
"""Of a number that is shown, either way."""
MISSING = "\u2013"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def finite(value: Any) -> float | None:
    """The value as a float, or None where it is no number between -1e300 and 1e300, beyond which scales overflow."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        as_float = float(value)
    except OverflowError:
        return None
    return as_float if abs(as_float) <= MOST else None


def text(value: Any) -> str:
    """The value as one line of words; nothing for None."""
    return "" if value is None else " ".join(str(value).split())


def part(mapping: Any, name: str) -> Mapping[str, Any]:
    """The mapping under that name, empty where there is none."""
    value = mapping.get(name) if isinstance(mapping, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def records(mapping: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The mappings in the list under that name, empty where there is none."""
    value = mapping.get(name)
    items = value if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else ()
    return [one for one in items if isinstance(one, Mapping)]


def number(value: Any, digits: int = 3) -> str:
    """A whole number in full, any other with `digits` significant digits; a dash for what is no finite number.

    Below 0.0001 and from ten million on, powers of ten are used: 1.20 × 10⁻⁷.
    """
    x = finite(value)
    if x is None:
        return MISSING
    if isinstance(value, int) and abs(value) < 10**15:
        return count(value)
    if x == 0:
        return "0"
    mantissa, _, power = f"{abs(x):.{digits - 1}e}".partition("e")
    exponent = int(power)
    if not -4 <= exponent < 7:
        body = f"{mantissa}{THIN}{TIMES}{THIN}10{str(exponent).translate(SUPERSCRIPTS)}"
    else:
        body = _grouped(float(f"{mantissa}e{power}"), max(0, digits - 1 - exponent))
    return f"{MINUS}{body}" if x < 0 else body


def alike(low: Any, high: Any, digits: int = 3) -> Callable[[Any], str]:
    """How to write a value and its interval with the same decimals: as many as the interval knows.

    That is `digits` for the end that is further from 0, more where the interval is so narrow that its ends would look
    the same: 0.0000210 between -0.000571 and 0.000529 is 0.000021, 0.99612 between 0.9908 and 1 is 0.996.
    """
    ends = [x for x in (finite(low), finite(high)) if x is not None]
    top = max(map(abs, ends), default=0.0)
    if len(ends) < 2 or not 1e-4 <= top < 1e7:
        return number
    by_end, half = digits - 1 - _exponent(top, digits), abs(ends[1] - ends[0]) / 2
    decimals = max(by_end, min(by_end + 3, -_exponent(half, 1))) if half else by_end

    def written(value: Any) -> str:
        x = finite(value)
        if not x:
            return number(x)
        body = _grouped(abs(round(x, decimals)), max(0, decimals))
        return f"{MINUS}{body}" if round(x, decimals) < 0 else body

    return written


def _exponent(x: float, digits: int) -> int:
    """The power of ten of x > 0, rounded to so many digits."""
    return int(f"{x:.{digits - 1}e}".partition("e")[2])


def _grouped(x: float, decimals: int) -> str:
    return f"{x:,.{decimals}f}".replace(",", THIN)


def count(value: Any) -> str:
    """A whole number with thin spaces between thousands; a dash for what is no number."""
    x = finite(value)
    if x is None:
        return MISSING
    whole = value if isinstance(value, int) else round(x)
    return (MINUS if whole < 0 else "") + f"{abs(whole):,}".replace(",", THIN)


def percent(value: Any) -> str:
    """A share of one as a percentage."""
    x = finite(value)
    return MISSING if x is None else f"{number(100 * x)}{THIN}%"


def between(low: Any, high: Any, form: Callable[[Any], str] = number) -> str:
    """An interval in words; nothing unless both ends are known."""
    if finite(low) is None or finite(high) is None:
        return ""
    return f"{form(low)} to {form(high)}"


def short(value: float) -> str:
    """A label of an axis: 0, 500, 100k, 1.5M."""
    if abs(value) >= 1e12:
        return number(value)
    for size, mark in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{mark}".replace("-", MINUS)
    return f"{value:.4g}".replace("-", MINUS) if abs(value) >= 1e-4 or value == 0 else number(value)


def duration(seconds: Any) -> str:
    """12.3 s, 3 min 20 s, 2 h 5 min."""
    x = finite(seconds)
    if x is None:
        return MISSING
    whole = round(x)
    if whole < 60:
        return f"{number(x)}{THIN}s"
    if whole < 3600:
        return f"{whole // 60}{THIN}min {whole % 60}{THIN}s"
    return f"{count(whole // 3600)}{THIN}h {whole % 3600 // 60}{THIN}min"
