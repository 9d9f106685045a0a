"""The table that every measured number stands in: what it is, its interval, what it is held against, a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evenodds.show.page.charts import IntervalRow, intervals
from evenodds.show.page.markup import Child, Html, element, join
from evenodds.show.page.numerals import THIN, alike, between, finite, number

__all__ = ["Figure", "MeasureRow", "cell", "measures", "table"]


@dataclass(frozen=True)
class Figure:
    """A number with its interval, any of which may be missing."""

    value: Any = None
    low: Any = None
    high: Any = None

    @classmethod
    def of(cls, figures: Mapping[str, Any], name: str, prefix: str = "") -> Figure:
        """The number of that name, with its ends `low` and `high` behind the prefix."""
        return cls(figures.get(name), figures.get(f"{prefix}low"), figures.get(f"{prefix}high"))

    @property
    def is_finite(self) -> bool:
        return finite(self.value) is not None

    def interval(self, label: str, style: str, factor: float) -> IntervalRow:
        """As a chart shows it."""
        value, low, high = (None if (x := finite(v)) is None else factor * x for v in (self.value, self.low, self.high))
        return IntervalRow(label, value, low, high, style)


@dataclass(frozen=True)
class MeasureRow:
    """A row.

    Args:
        title: of the measure.
        why: one sentence that says what it measures.
        value: what was measured.
        reference: what it is compared with.
        against: what `reference` is, where the head of the column does not say it.
        word: what `reference` is, in a short word for the chart.
        better: which way is better, in words.
        note: a warning, or why there is no value.
        examples: how many were used, line by line.
        percent: whether its numbers are shares.
        exact: whether `reference` is a known number rather than a measured one, and gets a line through the chart.
        holds: values that the chart must hold, so that what is near looks near.
        shown: the title as it is set, where it is not plain text.
    """

    title: str
    why: str
    value: Figure
    reference: Figure = Figure()
    against: str = ""
    word: str = ""
    better: str = ""
    note: str = ""
    examples: Sequence[str] = ()
    percent: bool = False
    exact: bool = False
    holds: Sequence[float] = ()
    title_html: Html | None = None

    @property
    def factor(self) -> float:
        return 100 if self.percent else 1

    @property
    def unit(self) -> str:
        return "%" if self.percent else ""


def cell(label: str, *children: Child, class_: str | None = None, colspan: int | None = None) -> Html:
    """A cell that carries the head of its column, which it shows where the table becomes cards."""
    return element("td", *children, data_label=label, role="cell", class_=class_, colspan=colspan)


def table(heads: Sequence[str], rows: Sequence[Html], class_: str, caption: str) -> Html:
    """A table whose rows become cards on a narrow page. Roles are named since cards would lose them."""
    head = [element("th", name, scope="col", role="columnheader") for name in heads]
    return element(
        "table",
        element("caption", caption, class_="unseen"),
        element("thead", element("tr", head, role="row"), role="rowgroup"),
        element("tbody", rows, role="rowgroup"),
        role="table",
        class_=f"cards {class_}",
    )


def measures(rows: Sequence[MeasureRow], caption: str, against: str = "Held against") -> Html:
    """The table of measures; the examples have a column where any row names them."""
    examples = any(row.examples for row in rows)
    heads = ["Measure", "Value", against, "Chart", *(["Examples"] if examples else [])]
    return table(heads, [_row(row, against, examples) for row in rows], "measures", caption)


def _row(row: MeasureRow, against: str, examples: bool) -> Html:
    measured = row.value.is_finite
    head = [
        element("span", row.title_html or row.title, class_="name"),
        element("span", row.better, class_="better") if row.better else None,
        element("p", row.why, class_="why") if row.why else None,
        element("p", row.note, class_="note") if row.note and measured else None,
    ]
    cells = _measured(row, against) if measured else _refused(row)
    if examples:
        cells.append(
            cell("Examples", [element("span", one, class_="example") for one in row.examples], class_="examples")
        )
    return element("tr", element("th", head, scope="row", role="rowheader"), cells, role="row")


def _measured(row: MeasureRow, against: str) -> list[Html]:
    reference = (
        join(_figure(row, row.reference), _small(row.against, "against"))
        if row.reference.is_finite
        else _small(number(None))
    )
    return [
        cell("Value", _figure(row, row.value)),
        cell(against, reference),
        cell("Chart", _chart(row), class_="drawing"),
    ]


def _refused(row: MeasureRow) -> list[Html]:
    reason = element("span", row.note, class_="reason") if row.note else None
    return [cell("Value", element("span", "Not computed", class_="refused"), reason, class_="wide", colspan=3)]


def _figure(row: MeasureRow, figure: Figure) -> Html:
    scaled = figure.interval("", "", row.factor)
    form, unit = alike(scaled.low, scaled.high), row.unit and THIN + row.unit
    reach = between(scaled.low, scaled.high, form)
    value = figure.value if row.factor == 1 else scaled.value
    return join(element("span", form(value) + unit, class_="figure"), _small(reach and reach + unit))


def _small(words: str, class_: str = "interval") -> Html | None:
    return element("span", words, class_=class_) if words else None


def _chart(row: MeasureRow) -> Html:
    mark = row.reference.interval("", "", row.factor).value if row.exact else None
    drawn = [row.value.interval("value", "a", row.factor)]
    drawn += [row.reference.interval(row.word, "z", row.factor)] if row.reference.is_finite else []
    words = comparison(row)
    alt = f"{row.title}: " + "; ".join(f"{one.label} {number(one.value)}{row.unit}" for one in drawn)
    chart = intervals(drawn, alt, mark, [row.factor * value for value in row.holds], row.unit)
    return join(chart, element("p", words, class_="words") if words else None)


def comparison(row: MeasureRow) -> str:
    """Whether the intervals of a value and of what it is held against have numbers in common, in words."""
    reference = [row.reference.value] * 2 if row.exact else [row.reference.low, row.reference.high]
    ends = [x for end in (row.value.low, row.value.high, *reference) if (x := finite(end)) is not None]
    if len(ends) < 4:
        return ""
    low, high, reference_low, reference_high = ends
    apart = low > reference_high or high < reference_low
    if row.exact:
        return f"the interval {'leaves out' if apart else 'holds'} {row.against}"
    return f"the intervals {'are apart' if apart else 'overlap'}"
