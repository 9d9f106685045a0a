"""The columns of a table: how each is distributed, which go together wrongly, and what classifiers learn of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evenodds.show.page.markup import Html, element, join
from evenodds.show.page.measures import cell, table
from evenodds.show.page.numerals import count, finite, number, part, percent, records, text

__all__ = ["columns"]

Row = Mapping[str, Any]
MANY = 24
"""Beyond so many columns those that are furthest off stand first, and the rest unfolds."""


def columns(evaluation: Mapping[str, Any]) -> Html | None:
    """The tables of columns, pairs and classifiers; None where there are none."""
    rows = [row for row in records(evaluation, "columns") if text(row.get("name"))]
    if not rows:
        return None
    lead = (
        "Total variation between the samples and real rows that were held out: 0 for equal shares, 1 for nothing in "
        "common. Amounts are cut at the tenths of the real ones. The floor is the same between two sets of real rows."
    )
    return join(element("p", lead, class_="lead"), _columns(rows), _pairs(evaluation), _classifiers(evaluation))


def _columns(rows: Sequence[Row]) -> Html:
    furthest = sorted(rows, key=lambda row: _off(row), reverse=True)
    first = table(_HEADS, [_column(row) for row in furthest[:MANY]], "columns", "Columns")
    if len(rows) <= MANY:
        return first
    rest = table(_HEADS, [_column(row) for row in furthest[MANY:]], "columns", "Further columns")
    return join(first, element("details", element("summary", f"{count(len(rows) - MANY)} further columns"), rest))


_HEADS = ["Column", "Kind", "Distance", "Floor", "Cells that cannot be"]


def _column(row: Row) -> Html:
    return element(
        "tr",
        _name(element("bdi", text(row.get("name")))),
        cell("Kind", text(row.get("kind"))),
        cell("Distance", number(row.get("distance"))),
        cell("Floor", number(row.get("floor"))),
        cell("Cells that cannot be", percent(finite(row.get("impossible")))),
        role="row",
    )


def _off(row: Row) -> float:
    return (finite(row.get("distance")) or 0.0) - (finite(row.get("floor")) or 0.0)


def _pairs(evaluation: Mapping[str, Any]) -> Html | None:
    pairs = part(evaluation, "pairs")
    rows = records(pairs, "worst")
    if not rows:
        return None
    mean = f"Mean over all pairs: {number(pairs.get('distance'))}, floor {number(pairs.get('floor'))}."
    lines = [
        element(
            "tr",
            _name(element("bdi", " and ".join(map(text, row.get("names") or ())))),
            cell("Distance", number(row.get("distance"))),
            cell("Floor", number(row.get("floor"))),
            role="row",
        )
        for row in rows
    ]
    lead = element("p", f"Of the shares that two columns take together. {mean}", class_="lead")
    heading = element("h3", "Pairs that are furthest off")
    return join(heading, lead, table(["Pair", "Distance", "Floor"], lines, "columns", "Pairs of columns"))


def _classifiers(evaluation: Mapping[str, Any]) -> Html | None:
    rows = [row for row in records(evaluation, "usefulness") if text(row.get("name"))]
    if not rows:
        return None
    heads = ["Column", "Learned from samples", "Learned from real rows", "Chance"]
    lines = [
        element(
            "tr",
            _name(element("bdi", text(row.get("name")))),
            cell("Learned from samples", percent(finite(row.get("trained_on_samples")))),
            cell("Learned from real rows", percent(finite(row.get("trained_on_real")))),
            cell("Chance", percent(finite(row.get("chance")))),
            role="row",
        )
        for row in rows
    ]
    lead = (
        "A column is told from the others, of real rows that were held out: accuracy of a classifier that learned from "
        "samples, and of one that learned from as many real rows."
    )
    return join(
        element("h3", "Classifiers"),
        element("p", lead, class_="lead"),
        table(heads, lines, "columns", "Accuracy of classifiers"),
    )


def _name(name: Html) -> Html:
    return element("th", name, scope="row", role="rowheader")
