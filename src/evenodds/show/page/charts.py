"""Charts as inline SVG: strings built from numbers. Colours and type come from the page's style."""

# ruff: noqa: RUF001  the prose has true minus signs and apostrophes

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evenodds.game.arithmetic import wilson
from evenodds.show.page.markup import Html, element
from evenodds.show.page.numerals import THIN, short
from evenodds.show.page.scales import Point, Scale, labels, spread, thin

__all__ = ["Bin", "IntervalRow", "Line", "bars", "calibration", "intervals", "lines", "swatch"]


@dataclass(frozen=True)
class IntervalRow:
    """A dot with its interval.

    Args:
        label: a short word at the left, such as "value".
        style: "a" for what is judged, "z" for what it is held against.
    """

    label: str
    value: float | None
    low: float | None
    high: float | None
    style: str = "a"

    @property
    def numbers(self) -> list[float]:
        return [v for v in (self.value, self.low, self.high) if v is not None]


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Args:
        name: in words.
        points: in the order of x.
        style: "a", "b", "c" or "d".
        band: (x, low, high) around the line.
        dots: whether every point is marked.
    """

    name: str
    points: Sequence[Point]
    style: str = "a"
    band: Sequence[tuple[float, float, float]] = ()
    dots: bool = False


@dataclass(frozen=True)
class Bin:
    """Predictions of one size.

    Args:
        predicted: their mean probability.
        observed: the share that came true.
        n: how many there were; None where unknown.
    """

    predicted: float
    observed: float
    n: int | None = None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the observed share."""
        return wilson(self.observed, max(1, self.n or 1), 1.96)


def svg(width: int, height: int, alt: str, *children: Any, class_: str) -> Html:
    """A drawing that says in words what it shows. A page gives it another width; within a drawing it keeps its own."""
    box: dict[str, Any] = {"viewBox": f"0 0 {width} {height}", "width": width, "height": height}
    return element("svg", *children, role="img", aria_label=alt, class_=f"chart {class_}", **box)


def intervals(
    rows: Sequence[IntervalRow], alt: str, mark: float | None = None, holds: Sequence[float] = (), unit: str = ""
) -> Html:
    """Dots with their intervals below each other, on one scale.

    Args:
        rows: at least one with a value.
        alt: the chart in words.
        mark: a value to draw a vertical line at.
        holds: values that the scale must hold, so that what is near looks near.
        unit: of the labels.
    """
    measured = [row for row in rows if row.numbers]
    domain = spread([v for row in measured for v in row.numbers] + [*holds] + ([] if mark is None else [mark]))
    x, floor = Scale(*domain, 62, 288), 8 + 20 * len(measured)
    axis = [_line(62, floor, 288, floor, "axis")]
    for place, label in _fitting(x, unit and THIN + unit):
        axis += [_line(x(place), floor, x(place), floor + 4, "axis")]
        axis += [_text(x(place), floor + 17, label, "middle")]
    marked = [] if mark is None else [_line(x(mark), 4, x(mark), floor, "mark")]
    drawn = [_interval(row, x, 14 + 20 * k) for k, row in enumerate(measured)]
    return svg(300, floor + 24, alt, marked, axis, drawn, class_="intervals")


def _fitting(x: Scale, unit: str) -> list[tuple[float, str]]:
    """As many labelled ticks as have room beside each other."""
    for most in (7, 6, 5, 4, 3):
        places = x.ticks(most)
        written = [label + unit for label in labels(places)]
        if sum(6.5 * len(label) + 12 for label in written) <= x.end - x.start:
            break
    return list(zip(places, written, strict=True))


def _interval(row: IntervalRow, x: Scale, y: float) -> Html:
    parts = [_text(0, y + 4, row.label, "start")]
    if row.low is not None and row.high is not None:
        ends = [_line(x(end), y - 4, x(end), y + 4, "whisker") for end in (row.low, row.high)]
        parts += [_line(x(row.low), y, x(row.high), y, "whisker"), *ends]
    if row.value is not None:
        parts.append(_dot(x(row.value), y, 4))
    return element("g", parts, class_=f"s-{row.style}")


def bars(real: float | None, fake: float | None, most: float, alt: str) -> Html:
    """Two shares as bars above each other; `most` fills the width."""
    x = Scale(0, most or 1, 0, 200)
    pair = [(real, 1, "z"), (fake, 13, "a")]
    drawn = [
        element("rect", x="0", y=str(y), width=_at(max(0.0, x(share))), height="10", class_=f"fill-{style}")
        for share, y, style in pair
        if share is not None
    ]
    box: dict[str, Any] = {"viewBox": "0 0 200 24", "preserveAspectRatio": "none", "role": "img", "aria_label": alt}
    return element("svg", drawn, class_="chart bars", **box)


def calibration(bins: Sequence[Bin], alt: str) -> Html:
    """What a discriminator predicts against what is so; on the diagonal it can be taken at its word."""
    x, y = Scale(0, 1, 46, 306), Scale(0, 1, 284, 24)
    most = max((b.n or 1 for b in bins), default=1)
    frame = [_line(46, 284, 306, 284, "axis"), _line(46, 24, 46, 284, "axis"), _line(46, 284, 306, 24, "mark")]
    for place, label in zip((0, 0.25, 0.5, 0.75, 1), ("0", "0.25", "0.5", "0.75", "1"), strict=True):
        frame += [_text(x(place), 302, label, "middle"), _text(40, y(place) + 4, label, "end")]
        frame += [_line(x(place), 284, x(place), 288, "axis"), _line(42, y(place), 46, y(place), "axis")]
    frame += [_text(0, 12, "share that was real", "start"), _text(306, 322, "D’s probability of being real", "end")]
    dots = []
    for one in sorted(bins, key=lambda b: b.predicted):
        low, high = one.interval
        if one.n is not None:
            dots.append(_line(x(one.predicted), y(low), x(one.predicted), y(high), "whisker"))
        dots.append(_dot(x(one.predicted), y(one.observed), 2.5 + 4.5 * math.sqrt((one.n or 1) / most)))
    return svg(312, 328, alt, frame, element("g", dots, class_="s-a"), class_="calibration")


def lines(
    drawn: Sequence[Line],
    alt: str,
    y_label: str,
    y_range: tuple[float, float] | None = None,
    mark: tuple[float, str] | None = None,
    x_end: float | None = None,
    noun: str = "images",
) -> Html:
    """Lines over the real images shown.

    Args:
        drawn: at least one with a known point.
        alt: the chart in words.
        y_label: what the vertical axis counts, with its unit.
        y_range: of the vertical axis; otherwise it fits the lines, by the logarithm where they span a great range.
        mark: a height to draw a horizontal line at, and its label on the axis.
        x_end: of the horizontal axis; otherwise the last x.
        noun: what was shown.
    """
    values = [y for line in drawn for _, y in line.points if y is not None]
    values += [end for line in drawn for _, *ends in line.band for end in ends]
    last = x_end or max((x for line in drawn for x, _ in line.points), default=1.0)
    y = Scale(*y_range, 178, 26) if y_range else fitted(values)
    x = Scale(0, last if last > 0 else 1.0, 50, 344)
    parts = [*_axes(x, y, y_label + (" (log scale)" if y.logarithmic else ""), mark, noun)]
    return svg(356, 216, alt, parts, [_drawn(line, x, y) for line in drawn], class_="lines")


def fitted(values: Sequence[float]) -> Scale:
    """A vertical scale that shows all values: logarithmic where the largest would flatten the typical one."""
    ordered = sorted(values)
    if ordered and ordered[0] > 0 and ordered[-1] > 30 * ordered[len(ordered) // 2]:
        return Scale(ordered[0] / 1.3, ordered[-1] * 1.3, 178, 26, logarithmic=True)
    return Scale(*spread(ordered, 0.06), 178, 26)


def swatch(style: str) -> Html:
    """A piece of a line, for a legend."""
    piece = element("path", d="M0 6H28", class_="line")
    return element(
        "svg", element("g", piece, class_=f"s-{style}"), viewBox="0 0 28 12", aria_hidden="true", class_="key"
    )


def _axes(x: Scale, y: Scale, y_label: str, mark: tuple[float, str] | None, noun: str) -> list[Html]:
    bottom = max(y.start, y.end)
    parts = [_line(50, bottom, 344, bottom, "axis"), _text(0, 12, y_label, "start")]
    for place in x.ticks(5):
        parts += [_line(x(place), bottom, x(place), bottom + 4, "axis")]
        parts += [_text(x(place), bottom + 17, short(place), "middle")]
    places = y.ticks(5)
    written = [short(place) for place in places] if y.logarithmic else labels(places)
    for place, label in zip(places, written, strict=True):
        if mark is None or abs(y(place) - y(mark[0])) > 14:
            parts += [_line(50, y(place), 344, y(place), "grid"), _text(45, y(place) + 4, label, "end")]
    if mark:
        parts += [_line(50, y(mark[0]), 344, y(mark[0]), "mark"), _text(45, y(mark[0]) + 4, mark[1], "end", "said")]
    return [*parts, _text(344, bottom + 33, f"real {noun} shown", "end")]


def _drawn(line: Line, x: Scale, y: Scale) -> Html:
    points = thin(line.points)
    parts = []
    if line.band:
        band = [*((a, high) for a, _, high in line.band), *((a, low) for a, low, _ in reversed(line.band))]
        parts.append(element("path", d=_path(band, x, y) + "Z", class_="band"))
    parts.append(element("path", d=_path(points, x, y), class_="line"))
    finite_points = [(a, b) for a, b in points if b is not None]
    single = [(a, b) for k, (a, b) in enumerate(points) if b is not None and _alone(points, k)]
    marked = finite_points if line.dots and len(finite_points) <= 60 else [*single, *finite_points[-1:]]
    parts += [_dot(x(a), y(b), 2.5) for a, b in dict.fromkeys(marked)]
    return element("g", parts, class_=f"s-{line.style}")


def _alone(points: Sequence[Point], k: int) -> bool:
    """Whether no line leads to this point, so that it would be unseen without a dot."""
    return all(not 0 <= near < len(points) or points[near][1] is None for near in (k - 1, k + 1))


def _path(points: Sequence[Point], x: Scale, y: Scale) -> str:
    parts, pen = [], "M"
    for a, b in points:
        if b is None:
            pen = "M"
        else:
            parts.append(f"{pen}{_at(x(a))} {_at(y(b))}")
            pen = "L"
    return "".join(parts)


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Html:
    return element("line", x1=_at(x1), y1=_at(y1), x2=_at(x2), y2=_at(y2), class_=class_)


def _dot(x: float, y: float, r: float) -> Html:
    return element("circle", cx=_at(x), cy=_at(y), r=_at(r), class_="dot")


def _text(x: float, y: float, label: str, anchor: str, class_: str | None = None) -> Html:
    return element("text", label, x=_at(x), y=_at(y), text_anchor=anchor, class_=class_)


def _at(place: float) -> str:
    return f"{place:.1f}".removesuffix(".0")
