"""A run that fills in, at work on a data frame of pandas: its empty cells are filled, and all others stay."""

from __future__ import annotations

from typing import Any
from warnings import warn

import numpy as np

from evenodds.apply.imputer import imputer_of
from evenodds.apply.learned_columns import left_empty, require_learned
from evenodds.data.readers.frames import Like, as_frame, completed, is_frame
from evenodds.data.tables.frames import parsed_like
from evenodds.data.tables.rows import Column, unordered
from evenodds.data.tables.types import placed_rows, spelled_as, without_absent
from evenodds.errors import BadInput, Remark
from evenodds.runs.session import Session
from evenodds.runs.strategies import Strategy, strategy_of

__all__ = ["fill_frame"]


def fill_frame(session: Session, frame: Any, strategy: Strategy = "mean", seed: int = 0) -> Any:
    """Fills the empty cells of a data frame, by a run that learned to fill tables; returns another one.

    Args:
        frame: of pandas, with the columns that the run learned, in any order, and perhaps others, which stay as they
            are; a warning, `evenodds.errors.Remark`, names those of them that have empty cells. NaN, None, NaT and
            empty text are empty cells, and among words NA and the like, where the run has never seen them, of which a
            warning tells. A row in which the run knows no cell stays empty.
        strategy: "mean", the mean of 64 draws, which errs least, and of words the likeliest one; or "draw", one draw,
            which keeps the spread of columns and how they hang together.
        seed: the same one gives the same filling; others give other draws.

    Returns:
        A frame with the same index, columns and types. Only a column of empty numbers that stands for words or dates
        becomes one of these; where a type has whole numbers alone, whole ones are filled in.

    Raises:
        BadInput: this is no data frame, columns are missing or there twice, a word is one that the run has not seen, a
            type cannot hold what is filled in (as one of other categories), or the run fills no tables.

    Example:
        >>> import evenodds, numpy, pandas
        >>> from evenodds.apply.filling_frames import fill_frame
        >>> age = numpy.arange(20, 80)
        >>> frame = pandas.DataFrame({"age": age * 1.0, "city": ["Bonn", "Rome"] * 30})
        >>> frame.loc[3, "age"] = None
        >>> frame.loc[7, "city"] = None
        >>> small = {"generator__width": 8, "discriminator__width": 8, "images": 256, "watch": "off"}
        >>> session = evenodds.fit(frame, "fill-table", **small)
        >>> int(fill_frame(session, frame).isna().sum().sum())
        0
        >>> five = [fill_frame(session, frame, "draw", seed=k) for k in range(5)]  # analyse each, and compare
    """
    imputer, columns = imputer_of(session), session.card.units.columns
    strategy_of(strategy, 1)
    if not is_frame(frame):
        raise BadInput(f"a data frame of pandas is filled, got {type(frame).__name__}; name its columns, as those of "
                       "the run are called: pandas.DataFrame(x, columns=session.card.columns)")  # fmt: skip
    names = [str(name) for name in frame.columns]
    require_learned("the data frame", columns, names)
    places = [names.index(column.name) for column in columns]
    frame = _able(frame, columns, places)
    known = frame.iloc[:, places]
    parsed, notes = without_absent(columns, parsed_like(known, columns))
    gaps = {str(name): bool(frame.iloc[:, k].isna().any()) for k, name in enumerate(frame.columns)}
    for line in (*notes, *left_empty(columns, gaps)):
        warn(line, Remark, stacklevel=2)
    x = placed_rows(columns, parsed, where="the data frame")
    filled = imputer.fillings(x, 1, strategy, seed, unordered(columns))[0]
    written = np.stack([column.held(filled[:, k]) for k, column in enumerate(columns)], 1)
    made = as_frame([spelled_as(column, parsed[column.name]) for column in columns], written, Like.of(known))
    empty = np.isnan(x)
    return completed(frame, made, empty & ~empty.all(1, keepdims=True))


def _able(frame: Any, columns: tuple[Column, ...], places: list[int]) -> Any:
    """A data frame whose empty columns of numbers can hold words, dates and times, where they stand for these."""
    able = frame.copy(deep=False)
    for column, place in zip(columns, places, strict=True):
        cells = frame.iloc[:, place]
        if column.form != "number" and getattr(cells.dtype, "kind", "O") in "iuf" and cells.isna().all():
            able.isetitem(place, cells.astype(object if column.form in ("words", "time") else "datetime64[s]"))
    return able
