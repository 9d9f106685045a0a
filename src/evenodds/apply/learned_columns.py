"""The columns that a run has learned, and those of a table that it is to fill. torch is not imported here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evenodds.data.tables.rows import Column
from evenodds.data.wording import listed, some_names
from evenodds.errors import BadInput
from evenodds.files.misfit import shortened

__all__ = ["left_empty", "require_learned"]


def left_empty(columns: Sequence[Column], empty: Mapping[str, bool]) -> list[str]:
    """That columns with empty cells are not filled, as the run has not learned them, if there are any.

    Args:
        empty: by the names of all columns, whether one has an empty cell.
    """
    learned = {column.name for column in columns}
    names = [shortened(name) for name, some in empty.items() if some and name not in learned]
    return listed("Empty cells stay in {}, which the run has not learned: {}.", names, what="column")


def require_learned(where: str, columns: Sequence[Column], names: list[str]) -> None:
    """BadInput where columns of the run are missing, or there twice."""
    missing = [shortened(column.name) for column in columns if column.name not in names]
    if missing:
        raise BadInput(
            f"{where} has other columns than the run has learned: {some_names(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing; name columns as in its table"
        )
    if twice := [shortened(column.name) for column in columns if names.count(column.name) > 1]:
        raise BadInput(f"{where} has two columns of the name {twice[0]}; rename one")
