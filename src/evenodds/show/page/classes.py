"""Every class: its share of the data and of the samples, and how well it is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evenodds.show.page.charts import bars
from evenodds.show.page.markup import Html, element, join
from evenodds.show.page.measures import cell, table
from evenodds.show.page.numerals import count, finite, number, percent, records, text
from evenodds.show.page.words import listed

__all__ = ["classes"]

Row = Mapping[str, Any]
MANY, TELLING = 24, 10
"""Beyond so many classes the table is folded, and so many that are furthest from their share stand above it."""
SCARCE = 0.2
"""A class with less than this part of its real share is called out."""


def classes(evaluation: Mapping[str, Any]) -> Html | None:
    """The table of classes below a line that names those missing; None where there are none."""
    rows = [row for row in records(evaluation, "classes") if text(row.get("name")) or any(_shares(row))]
    if not rows:
        return None
    most = max((abs(share) for row in rows for share in _shares(row) if share is not None), default=1.0)
    lead = (
        "Shares of each class in the data and in the samples. Precision: how many samples of the class look real; "
        "recall: how much of its variety they reach."
    )
    return join(_called_out(rows), element("p", lead, class_="lead"), _tables(rows, most))


def _tables(rows: Sequence[Row], most: float) -> Html:
    whole = _table(rows, most, "All classes")
    if len(rows) <= MANY:
        return whole
    apart = sorted(rows, key=_distance, reverse=True)[:TELLING]
    title = f"The {TELLING} classes furthest from their share"
    folded = element("details", element("summary", f"All {count(len(rows))} classes"), whole)
    return join(element("h3", title), _table(apart, most, title), folded)


def _table(rows: Sequence[Row], most: float, caption: str) -> Html:
    noted = any(text(row.get("note")) for row in rows)
    heads = ["Class", "Share of real data and of samples", "Precision", "Recall", *(["Note"] if noted else [])]
    return table(heads, [_row(row, most, noted) for row in rows], "classes", caption)


def _row(row: Row, most: float, noted: bool) -> Html:
    real, fake = _shares(row)
    name = _name(row)
    alt = f"{name}: {percent(real)} of the real data, {percent(fake)} of the samples"
    notes = [
        element("span", f"{side} {percent(share)}", class_=f"share s-{style}")
        for side, share, style in (("real", real, "z"), ("fake", fake, "a"))
    ]
    return element(
        "tr",
        element("th", element("bdi", name), scope="row", role="rowheader"),
        cell("Shares", element("div", bars(real, fake, most, alt), element("div", notes), class_="pair")),
        cell("Precision", number(finite(row.get("precision")))),
        cell("Recall", number(finite(row.get("recall")))),
        cell("Note", element("bdi", text(row.get("note"))) if text(row.get("note")) else None) if noted else None,
        role="row",
    )


def _called_out(rows: Sequence[Row]) -> Html | None:
    """The classes that are never drawn, and those that are drawn far too rarely."""
    drawn = [(row, real, fake) for row in rows if (real := _shares(row)[0]) and (fake := _shares(row)[1]) is not None]
    missing = [_name(row) for row, _, fake in drawn if fake <= 0]
    scarce = [_name(row) for row, real, fake in drawn if 0 < fake < SCARCE * real]
    groups = [("Never drawn", missing), ("Drawn less than a fifth as often as they should be", scarce)]
    lines = [_line(words, names) for words, names in groups if names]
    return element("div", lines, class_="warning") if lines else None


def _line(words: str, names: Sequence[str]) -> Html:
    entries = [*names[:20], *([f"{count(len(names) - 20)} more"] if len(names) > 20 else [])]
    total = f" ({count(len(names))} classes)" if len(names) > 1 else ""
    return element("p", element("strong", f"{words}{total}: "), element("bdi", listed(entries)), ".")


def _shares(row: Row) -> tuple[float | None, float | None]:
    return finite(row.get("real_share")), finite(row.get("fake_share"))


def _distance(row: Row) -> float:
    real, fake = _shares(row)
    return -1.0 if real is None or fake is None else abs(fake - real)


def _name(row: Row) -> str:
    return text(row.get("name")) or number(None)
