"""A run that fills tables, or a file that one was exported to, as what fills them; torch is imported for runs alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenodds.runs.imputing import TableFiller

if TYPE_CHECKING:
    from evenodds.runs.session import Session

__all__ = ["table_filler_of"]


def table_filler_of(run: Session | TableFiller) -> TableFiller:
    """What fills tables by a run; BadInput of one that does not."""
    if isinstance(run, TableFiller):
        return run
    from evenodds.apply.imputer import table_filler

    return table_filler(run)
