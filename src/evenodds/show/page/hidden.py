"""Cells that were hidden from a run that fills tables: how far its fillings are off, beside simple ways to fill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evenodds.show.page.markup import Html, element, join
from evenodds.show.page.measures import cell, table
from evenodds.show.page.numerals import count, finite, number, percent, records, text

__all__ = ["hidden"]

_FIGURES = {
    "error": "Error", "of_mean": "of the mean", "absolute": "Absolute error", "of_median": "of the median",
    "right": "Right", "of_commonest": "of the commonest",
}  # fmt: skip
_SHARES = ("right", "of_commonest")


def hidden(evaluation: Mapping[str, Any]) -> Html | None:
    """The figures over all columns, and a line for each; None where no cells were hidden."""
    rows = [row for row in records(evaluation, "hidden") if text(row.get("name"))]
    if not rows:
        return None
    lead = (
        "Cells of rows that were held out, which were observed and hidden. Errors are root mean squares and mean "
        "absolute values in the column's own units, dates in days and times in seconds; beside them stand those of the "
        "column's mean and its median, and beside the share of words that are right that of the commonest word."
    )
    scores = [
        element(
            "tr",
            element("th", text(row.get("title")), scope="row", role="rowheader"),
            cell("Value", number(row.get("value"))),
            cell("95 % interval", f"{number(row.get('low'))} to {number(row.get('high'))}"),
            cell("Note", text(row.get("note"))),
            role="row",
        )
        for row in records(evaluation, "scores")
    ]
    heads = ["Column", "Kind", "Cells", *_FIGURES.values()]
    return join(
        element("p", lead, class_="lead"),
        table(["Measure", "Value", "95 % interval", "Note"], scores, "columns", "Over all columns"),
        table(heads, list(map(_row, rows)), "columns", "By column"),
    )


def _row(row: Mapping[str, Any]) -> Html:
    figures = {name: percent(finite(row.get(name))) if name in _SHARES else number(row.get(name)) for name in _FIGURES}
    return element(
        "tr",
        element("th", element("bdi", text(row.get("name"))), scope="row", role="rowheader"),
        cell("Kind", text(row.get("kind"))),
        cell("Cells", count(row.get("cells"))),
        *(cell(_FIGURES[name], figure) for name, figure in figures.items()),
        role="row",
    )
