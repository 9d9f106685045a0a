"""What a run that tells classes apart says of its held-out items, class by class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evenodds.show.page.markup import Html, element, join
from evenodds.show.page.measures import cell, table
from evenodds.show.page.numerals import count, finite, percent, records, text

__all__ = ["told"]

_SHARES = {"found": "Found", "right": "Right"}
_COUNTS = {"tested": "Items", "answers": "Answers"}


def told(evaluation: Mapping[str, Any]) -> Html | None:
    """A line for each class; None of other runs."""
    rows = [row for row in records(evaluation, "told") if text(row.get("name"))]
    if not rows:
        return None
    lead = (
        "Items that were held out and have a label. Answers: those that are said to be of the class; found: the share "
        "of the class that is said to be of it; right: the share of these answers that is of the class."
    )
    heads = ["Class", *_COUNTS.values(), *_SHARES.values()]
    return join(element("p", lead, class_="lead"), table(heads, list(map(_row, rows)), "columns", "By class"))


def _row(row: Mapping[str, Any]) -> Html:
    return element(
        "tr",
        element("th", element("bdi", text(row.get("name"))), scope="row", role="rowheader"),
        *(cell(title, count(row.get(name))) for name, title in _COUNTS.items()),
        *(cell(title, percent(finite(row.get(name)))) for name, title in _SHARES.items()),
        role="row",
    )
