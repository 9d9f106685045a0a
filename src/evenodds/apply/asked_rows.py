"""Rows of a table with certain values: drawn until enough of them have these, so that they occur as they should."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evenodds.data.tables.amounts import amounts
from evenodds.data.tables.moments import moment
from evenodds.data.tables.rows import Column, Values
from evenodds.errors import BadInput, unknown
from evenodds.files.misfit import shortened
from evenodds.game.seeds import mix
from evenodds.runs.session import Session
from evenodds.runs.values import as_number

__all__ = ["RowFilter", "matching_rows"]

AT_ONCE = 4096
TRIES = 500
"""Rows that are drawn for each that is asked for, at most."""


@dataclass(frozen=True)
class RowFilter:
    """What some columns of a row are to hold.

    Args:
        columns: of the table.
        wanted: for the place of a column, the least and the greatest number in it.
    """

    columns: tuple[Column, ...]
    wanted: Mapping[int, tuple[float, float]]

    @staticmethod
    def of(columns: Sequence[Column], given: Mapping[str, str]) -> RowFilter:
        """By name: a word, a number, a range such as 30..40, or nothing for an empty cell.

        Raises:
            BadInput: no such column, or a value that the column cannot have.
        """
        names = [column.name for column in columns]
        for name in given:
            if name not in names:
                raise unknown("column", name, names)
        places = {names.index(name): value for name, value in given.items()}
        return RowFilter(tuple(columns), {k: _ends(columns[k], value) for k, value in places.items()})

    def __call__(self, x: Values) -> NDArray[np.bool_]:
        """(N,): which rows (N, D) have these values."""
        fits = np.ones(len(x), bool)
        for k, (low, high) in self.wanted.items():
            fits &= np.isnan(x[:, k]) if np.isnan(low) else (low <= x[:, k]) & (x[:, k] <= high)
        return fits


def _ends(column: Column, value: str) -> tuple[float, float]:
    if not value.strip():
        if not column.missing:
            raise BadInput(f"column {shortened(column.name)} has no empty cells; give a value")
        return np.nan, np.nan
    if column.form == "words":
        if value not in column.words:
            raise unknown(f"value of column {shortened(column.name)}", value, column.words)
        place = float(column.words.index(value))
        return place, place
    first, dots, last = value.partition("..")
    written = (first, last) if dots else (value, value)
    ends = [_number(column, end.strip(), upper) for end, upper in zip(written, (False, True), strict=True)]
    if ends[0] is None or ends[1] is None:
        example = column.text(column.ends[0])
        raise BadInput(
            f"column {shortened(column.name)} takes a value such as {example}, or a range {example}.."
            f"{column.text(column.ends[1])}, got {shortened(value)}"
        )
    low, high = float(ends[0]), float(ends[1])
    least, greatest = column.ends
    if not least <= high or not low <= greatest or low > high:
        within = f"[{column.text(least)}, {column.text(greatest)}]"
        raise BadInput(f"column {shortened(column.name)} lies in {within}, got {shortened(value)}")
    return low, high


def _number(column: Column, text: str, upper: bool) -> float | None:
    """A number as it is or as the column writes it, or a date or time as the column spells them, as its number.

    Args:
        upper: whether it is the greatest that is asked for: of a day without a time, its last second is.
    """
    if column.form == "number":
        number = as_number(text)
        read = None if number is not None else amounts([text])
        if read is not None and (read.style.before, read.style.after) == (column.style.before, column.style.after):
            body = text.removeprefix(column.style.before).removesuffix(column.style.after)
            plain = body.replace(column.style.group, "") if column.style.group else body
            number = as_number(plain.replace(column.style.point, "."))
        return None if number is None else float(number)
    whole = moment(column.form, column.spelling, text)
    if whole is None and column.form == "datetime" and "%H" in column.spelling:
        day = moment("date", column.spelling[: column.spelling.index("%H")].rstrip("T "), text)
        return None if day is None else 86400 * day + (86399 if upper else 0)
    return whole


def matching_rows(
    session: Session, n: int, seed: int, given: Mapping[str, str], draw: Callable[[int, int], Values]
) -> Values:
    """n rows with the values that are asked for, as they occur among all rows that the run makes.

    Args:
        given: see `RowFilter.of`.
        draw: (how many, seed) -> rows (N, D) in the data's own numbers.

    Raises:
        BadInput: too few of the rows have them.
    """
    fits = RowFilter.of(session.card.units.columns, given)
    found: list[Values] = []
    count = drawn = 0
    while count < n:
        if drawn >= TRIES * n and drawn >= 25 * AT_ONCE:
            raise BadInput(
                f"{count:,} of {drawn:,} rows that were drawn have {', '.join(f'{k}={v}' for k, v in given.items())}; "
                "ask for fewer, for a wider range, or train on more of them"
            )
        rows = draw(AT_ONCE, mix(seed, drawn, 3))
        found.append(rows[fits(rows)])
        count, drawn = count + len(found[-1]), drawn + len(rows)
    return np.concatenate(found)[:n]
