"""What the columns of a table are taken for: by what they hold, or as the user says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from evenodds.data.tables.cells import Parsed, is_empty
from evenodds.data.tables.rows import Column, Values, fitted
from evenodds.data.wording import listed, some_names
from evenodds.errors import BadInput, unknown
from evenodds.files.misfit import shortened
from evenodds.files.text import quoted

__all__ = ["KINDS", "Types", "placed", "placed_rows", "spelled_as", "summed", "type_setting", "typed", "without_absent"]
__all__ += ["flag_of", "word_of"]

KINDS = ("number", "levels", "words", "none")
"""What a user may say that a column is."""
IDENTIFIERS = 20
"""From so many rows on, a column without a repeated value may be one of identifiers."""
LONGEST_TYPED = 100
"""Characters of a name that somebody types."""
_TOTALS = ("total", "totals", "grand total", "sum", "average", "mean", "summe", "gesamt", "insgesamt", "somme", "suma")
"""Words in rows that are no items."""
LONGEST = 40
"""Characters of a name that are shown."""
MOST_WORDS = 500
"""A column of more words than this, or of which fewer than four rows share one, is free text."""


@dataclass(frozen=True)
class Types:
    """What a user says that columns are.

    Args:
        plain: all are numbers, and each is scaled linearly.
        by_name: one of `KINDS` for some columns.
        all_kept: whether no column is left out: identifiers stay, and empty columns are refused.
        few: a column with at most so many different numbers is a choice among them; None: see `rows.fitted`.
        scale: on which players see columns whose empty cells are to be filled, see `columns.SCALES`; None: empty cells
            are learned as a choice of their own.
    """

    plain: bool = False
    by_name: Mapping[str, str] = field(default_factory=dict)
    all_kept: bool = False
    few: int | None = None
    scale: str | None = None

    @staticmethod
    def of(types: str | Mapping[str, str], columns: Sequence[str]) -> Types:
        """By the setting: "auto", "plain", {name: type}, or "name:type" with commas between."""
        if types in ("auto", "plain"):
            return Types(types == "plain")
        if isinstance(types, str):
            parts = [part.rpartition(":") for part in types.split(",")]
            types = {name.strip(): kind.strip() for name, _, kind in parts}
        for name, kind in types.items():
            if not name:
                raise BadInput(f"types need name:type with commas between, or 'plain', got {shortened(kind)}")
            if name not in columns:
                raise unknown("column", name, columns)
            if kind not in KINDS:
                raise unknown(f"type of column {shortened(name)}", str(kind), KINDS)
        return Types(False, dict(types))

    def left_out(self, name: str) -> bool:
        """Whether the user leaves the column out."""
        return self.by_name.get(name) == "none"

    def words(self, name: str) -> bool:
        """Whether its cells are words, whatever they look like."""
        return self.by_name.get(name) == "words"

    def numbers(self, name: str) -> bool:
        """Whether its cells are numbers, however they are spelled."""
        return self.plain or self.by_name.get(name) in ("number", "levels")

    def require_words(self, name: str, where: str) -> None:
        """BadInput where a column that is to hold numbers holds others."""
        if self.numbers(name):
            raise BadInput(
                f"{where}: column {shortened(name)} has cells that are no numbers; take it as words with "
                f"{type_setting(name, 'words')}, or leave it out with {type_setting(name, 'none')}"
            )


def typed(parsed: Mapping[str, Parsed], types: Types, where: str) -> tuple[list[Column], Values, list[str]]:
    """The columns that are learned, their values (N, D), and what was found.

    Raises:
        BadInput: none is left.
    """
    columns, values, notes = [], [], []
    for name, one in parsed.items():
        reason = None if types.all_kept or name in types.by_name else _no_column(one)
        if reason is not None:
            kept = type_setting(name, "words" if one.form == "words" else "number")
            notes.append(f"Left out column {shortened(name)}: {reason}; {kept} keeps it.")
        elif np.isnan(one.values).all() and types.all_kept:
            raise BadInput(
                f"{where} needs a value in each column, got none in {shortened(name)}; leave that column out"
            )
        elif np.isnan(one.values).all():
            notes.append(f"Left out column {shortened(name)}: it is empty.")
        else:
            columns.append(_fitted(name, one, types))
            values.append(one.values)
    if not columns:
        more = f", and {len(notes) - 1:,} more" if len(notes) > 1 else ""
        raise BadInput(f"{where} needs a column to learn: {notes[0][:1].lower()}{notes[0][1:-1]}{more}")
    x = np.stack(values, 1)
    empty = _learned(columns) if types.scale is None else _empty(columns, x)
    return columns, x, [*_summary(columns), *empty, *notes]


def without_absent(columns: Sequence[Column], parsed: Mapping[str, Parsed]) -> tuple[dict[str, Parsed], list[str]]:
    """The columns of another table, and what was found: words such as NA, which stand for empty cells among numbers,
    are empty cells in columns of words that never had them, too."""
    known = {column.name: column.words for column in columns if column.form == "words"}
    found, names = dict(parsed), dict[str, list[str]]()
    for name, words in known.items():
        one = parsed[name]
        absent = [k for k, word in enumerate(one.words) if word not in words and is_empty(word)]
        if absent:
            names[name] = [repr(one.words[k]) for k in absent]
            kept = [k for k in range(len(one.words)) if k not in absent]
            places = np.full(len(one.words), np.nan)
            places[kept] = np.arange(len(kept))
            values = np.where(np.isnan(one.values), np.nan, places[np.nan_to_num(one.values).astype(int)])
            found[name] = replace(one, values=values, words=tuple(one.words[k] for k in kept))
    shown = sorted({word for some in names.values() for word in some})
    said = f"Took {some_names(shown, 3)} for empty cells in {{}} of words that the run has never seen with it: {{}}."
    return found, listed(said, [*names], what="column")


def placed_rows(
    columns: Sequence[Column], parsed: Mapping[str, Parsed], missing: bool = True, where: str = ""
) -> Values:
    """(N, D) the cells of another table's columns in the numbers of these; see `placed`.

    Args:
        where: they stand, for messages.
    """
    try:
        return np.stack([placed(column, parsed[column.name], missing) for column in columns], 1)
    except BadInput as error:
        raise BadInput(f"{where}: {error}" if where else str(error)) from error


def placed(column: Column, one: Parsed, missing: bool = False) -> Values:
    """(N,) the cells of another table's column in the numbers of this one.

    Args:
        missing: whether cells may be empty, also where this one has no empty cells.

    Raises:
        BadInput: words among numbers, a word that the column does not have, or an empty cell where it has none.
    """
    values = one.values
    if column.form == "words":
        distinct = np.unique(values[~np.isnan(values)])
        words = one.words if one.form == "words" else tuple(word_of(column, value) for value in distinct.tolist())
        codes = values if one.form == "words" else np.searchsorted(distinct, values)
        if unseen := [word for word in words if word not in column.words]:
            raise BadInput(f"column {shortened(column.name)} has {shortened(unseen[0])}, which the data do not have")
        numbers = np.array([float(column.words.index(word)) for word in words] or [0.0])
        values = np.where(np.isnan(values), np.nan, numbers[np.nan_to_num(codes).astype(int).clip(0, len(numbers) - 1)])
    elif (one.form, column.form) == ("date", "datetime"):
        values = values * 86400
    elif one.form != column.form and not np.isnan(values).all():
        raise BadInput(f"column {shortened(column.name)} holds {_FORMS[one.form]}, in the data {_FORMS[column.form]}")
    if np.isnan(values).any() and not column.missing and not missing:
        raise BadInput(f"column {shortened(column.name)} has empty cells, in the data it has none")
    return values


def word_of(column: Column, value: float) -> str:
    """The word of a column that spells a number; as usual where none does."""
    usual = f"{value:.0f}" if value.is_integer() else repr(value)
    return repr(value) if usual not in column.words and repr(value) in column.words else usual


def flag_of(column: Column, flag: bool) -> str:
    """The word of a column that spells True or False, whatever its case; as usual where none does."""
    usual = str(flag)
    others = [word for word in column.words if word.lower() == usual.lower()]
    return usual if usual in others or not others else others[0]


def spelled_as(column: Column, one: Parsed) -> Column:
    """The column, which spells dates, times and numbers as its cells in another table do, as far as these show how."""
    there, mine, theirs = one.values[~np.isnan(one.values)], column.style, one.style
    if not len(there) or one.form != column.form or one.form == "words":
        return column
    if one.form != "number":
        return replace(column, spelling=one.spelling)
    point = theirs.point if (there % 1).any() or theirs.group else mine.point
    group = mine.group if np.abs(there).max() < 1000 and mine.group != point else theirs.group
    negative = theirs.negative if there.min() < 0 else mine.negative
    shorter = np.abs(there).min() < 10.0 ** (mine.digits - 1)  # than those of the column, whose zeros nobody wrote here
    digits = theirs.digits or (0 if shorter else mine.digits)
    return replace(column, style=replace(theirs, point=point, group=group, negative=negative, digits=digits))


def _fitted(name: str, one: Parsed, types: Types) -> Column:
    few = {"number": 1, "levels": len(one.values)}.get(types.by_name.get(name, ""), types.few)
    return fitted(name, one.values, one.form, one.spelling, one.decimals, one.words, few, one.style)


def _no_column(one: Parsed) -> str | None:
    """Why a column is not learned; None where it is."""
    observed = one.values[~np.isnan(one.values)]
    rows, distinct = len(one.values), len(np.unique(observed))
    if one.form == "words":
        if distinct > MOST_WORDS or (rows >= IDENTIFIERS and distinct > rows / 4):
            return f"{distinct:,} different words in {rows:,} rows are identifiers or free text"
        return None
    alone = rows >= IDENTIFIERS and distinct == rows and one.form == "number" and one.decimals == 0
    if alone and observed.max() - observed.min() == rows - 1:
        return f"it counts from {observed.min():.0f} to {observed.max():.0f}, an index"
    return None


def summed(parsed: Mapping[str, Parsed]) -> list[str]:
    """That the last row seems to sum up the others, if it does."""
    for name, column in parsed.items():
        word = column.words[int(column.values[-1])] if column.words and not np.isnan(column.values[-1]) else ""
        if word.lower() in _TOTALS and (column.values == column.values[-1]).sum() == 1:
            return [f"The last row may be a sum of the others, as column '{name}' holds '{word}'; if so, take it out."]
    return []


def type_setting(name: str, kind: str) -> str:
    """What is typed to say that a column is of a kind."""
    if len(name) > LONGEST_TYPED:
        return f"data.types with its whole name and '{kind}'"
    if "," in name or ":" in name or name != name.strip():
        return quoted("data.types=" + json.dumps({name: kind}, ensure_ascii=False))
    return quoted(f"data.types={name}:{kind}")


def _summary(columns: Sequence[Column]) -> list[str]:
    """What columns were taken for, in one sentence for each kind, and what stands out in them."""
    kinds: dict[str, list[str]] = {}
    for column in columns:
        kinds.setdefault(column.kind, []).append(column.name)
    parts = [f"{_named(names)} {_AS[kind]}" for kind, names in kinds.items()]
    return [f"Columns: {'; '.join(parts)}."] if parts else []


def _learned(columns: Sequence[Column]) -> list[str]:
    """What is learned beside amounts: numbers that stand out, and empty cells."""
    lines = []
    for column in columns:
        if column.knots and column.levels:
            numbers = ", ".join(column.text(level) for level in column.levels)
            lines.append(
                f"In column '{column.name}', {numbers} {'is' if len(column.levels) == 1 else 'are'} learned apart."
            )
    if empty := [column.name for column in columns if column.missing]:
        lines.append(f"Empty cells are learned too: {_named(empty)}.")
    return lines


def _empty(columns: Sequence[Column], x: Values) -> list[str]:
    """How many cells are to be filled, and that some rows have no others."""
    absent = np.isnan(x)
    if not absent.any():
        return ["No cell is empty: it is learned to fill the empty cells of other tables with these columns."]
    counts = [
        f"{column.name[:LONGEST]} {count:,}" for column, count in zip(columns, absent.sum(0), strict=True) if count
    ]
    whole = int(absent.all(1).sum())
    more = f" {_rows(whole)} no observed cell and can be neither learned nor filled." if whole else ""
    share = f"{absent.mean():.1%} of the cells"
    return [f"Empty cells are what is to be filled, {share}: {_named(counts)}.{more}"]


def _rows(n: int) -> str:
    return f"{n:,} row{' has' if n == 1 else 's have'}"


_FORMS = {"number": "numbers", "words": "words", "date": "dates", "datetime": "dates with times", "time": "times"}
_AS = {
    "numbers": "(numbers)",
    "whole numbers": "(whole numbers)",
    "levels": "(levels)",
    "words": "(words)",
    "date": "(dates)",
    "datetime": "(dates with times)",
    "time": "(times)",
    "constant": "(constant)",
}


def _named(names: Sequence[str], show: int = 6) -> str:
    more = f" and {len(names) - show:,} more" if len(names) > show else ""
    return ", ".join(name[:LONGEST] for name in names[:show]) + more
