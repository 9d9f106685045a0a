"""The charts of a report put things where they belong, and its numbers say what they are."""

# ruff: noqa: RUF001  numbers are written with true minus and multiplication signs

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenodds.show.page.charts import Bin, IntervalRow, Line, bars, calibration, fitted, intervals, lines
from evenodds.show.page.measures import Figure, MeasureRow, comparison
from evenodds.show.page.numerals import MINUS, THIN, alike, count, duration, number, percent, short
from evenodds.show.page.scales import Point, Scale, decades, labels, spread, thin, ticks
from evenodds.show.page.style import DARK, LIGHT

FINITE = st.floats(-1e12, 1e12, allow_nan=False)
ENDS = st.tuples(FINITE, FINITE).filter(lambda ends: abs(ends[1] - ends[0]) > 1e-6 * max(1.0, *map(abs, ends)))


def read(written: str) -> float:
    """The number that a person reads."""
    written = written.replace(THIN, "").replace(MINUS, "-")
    for mark, size in (("k", 1e3), ("M", 1e6), ("G", 1e9)):
        if written.endswith(mark):
            return float(written[:-1]) * size
    base, _, power = written.partition("×10")
    return float(base) * 10.0 ** int(power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")) or 0)


def parts(drawing: str, name: str, class_: str | None = None) -> list[ElementTree.Element]:
    found = ElementTree.fromstring(drawing).iter(name)
    return [one for one in found if class_ is None or one.get("class") == class_]


def place(one: ElementTree.Element, *names: str) -> list[float]:
    return [float(one.get(name, "nan")) for name in names]


def path(one: ElementTree.Element) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", one.get("d", ""))]


@settings(deadline=None, max_examples=60)
@given(ENDS, st.floats(-2, 3))
def test_a_scale_is_affine_and_keeps_its_ends(ends: tuple[float, float], t: float) -> None:
    scale = Scale(*ends, 10, 250)
    assert scale(ends[0]) == pytest.approx(10)
    assert scale(ends[1]) == pytest.approx(250)
    assert scale(ends[0] + t * (ends[1] - ends[0])) == pytest.approx(10 + 240 * t, abs=1e-2)


def test_a_logarithmic_scale_gives_each_decade_the_same_room() -> None:
    scale = Scale(0.01, 100, 200, 0, logarithmic=True)
    assert [scale(10.0**k) for k in (-2, -1, 0, 1, 2)] == pytest.approx([200, 150, 100, 50, 0])


@settings(deadline=None, max_examples=60)
@given(ENDS, st.integers(2, 9))
def test_ticks_are_multiples_of_one_two_or_five_within_the_domain(ends: tuple[float, float], most: int) -> None:
    low, high = sorted(ends)
    found, room = ticks(low, high, most), 1e-6 * (high - low)
    assert len(found) <= most
    assert all(low - room <= tick <= high + room for tick in found)
    if len(found) > 1:
        step = (found[-1] - found[0]) / (len(found) - 1)
        assert float(f"{step:.3e}"[0]) in (1, 2, 5)
        assert all(tick / step == pytest.approx(round(tick / step), abs=1e-3) for tick in found)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (240_000, ["0", "50k", "100k", "150k", "200k"]),
        (1_000, ["0", "200", "400", "600", "800", "1k"]),
        (40e6, ["0", "10M", "20M", "30M", "40M"]),
        (1, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
    ],
)
def test_images_are_counted_in_sensible_steps(end: float, expected: list[str]) -> None:
    assert [short(tick) for tick in ticks(0, end, 6)] == expected


@settings(deadline=None, max_examples=60)
@given(st.floats(-6, 5), st.floats(1.5, 11))
def test_decades_lie_within_the_domain(power: float, width: float) -> None:
    low, high = 10**power, 10 ** (power + width)
    found = decades(low, high, 5)
    assert 1 <= len(found) <= 6
    assert all(0.99 * low <= tick <= 1.01 * high for tick in found)
    assert found == sorted(found)


@settings(deadline=None, max_examples=60)
@given(ENDS, st.integers(2, 9))
def test_labels_say_where_their_ticks_are_and_differ(ends: tuple[float, float], most: int) -> None:
    found = ticks(min(ends), max(ends), most)
    written = labels(found)
    assert len(set(written)) == len(written)
    top = max(map(abs, found), default=0.0)
    assert [read(one) for one in written] == pytest.approx(found, rel=0.05, abs=1e-5 * top)


@settings(deadline=None, max_examples=60)
@given(st.lists(FINITE, min_size=1, max_size=9))
def test_a_domain_holds_its_values_with_room_on_both_sides(values: list[float]) -> None:
    low, high = spread(values)
    assert low < min(values)
    assert max(values) < high


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 3000), st.integers(20, 400), st.integers(0, 10**6))
def test_thinning_keeps_ends_and_extremes_in_their_order(n: int, most: int, seed: int) -> None:
    points: list[Point] = [(float(k), math.sin(k * k * 0.37 + seed) * 1000) for k in range(n)]
    kept = thin(points, most)
    assert len(kept) <= most
    assert {points[0], points[-1], min(points, key=lambda p: p[1] or 0), max(points, key=lambda p: p[1] or 0)} <= {
        *kept
    }
    assert kept == sorted(kept)
    assert {*kept} <= {*points}


def test_thinning_keeps_a_single_spike_and_a_single_gap() -> None:
    points: list[Point] = [(float(k), 1.0) for k in range(10_000)]
    points[4321], points[7777] = (4321.0, 99.0), (7777.0, None)
    kept = thin(points)
    assert points[4321] in kept
    assert points[7777] in kept
    assert len(kept) <= 400


@settings(deadline=None, max_examples=60)
@given(st.floats(-1e9, 1e9).filter(lambda x: abs(x) > 1e-12))
def test_numbers_have_three_significant_digits(x: float) -> None:
    assert read(number(x)) == pytest.approx(x, rel=0.00501)
    digits = re.sub(r"\D", "", number(x).partition("×")[0])
    assert len(digits.lstrip("0")) >= 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3.2, "3.20"),
        (0.1 + 0.2, "0.300"),
        (12345.6, f"12{THIN}300"),
        (9.999, "10.0"),
        (-1.38629, f"{MINUS}1.39"),
        (1.2e-7, f"1.20{THIN}×{THIN}10⁻⁷"),
        (0, "0"),
        (0.0, "0"),
        (1_234_567, f"1{THIN}234{THIN}567"),
        (math.nan, "–"),
        (math.inf, "–"),
        (None, "–"),
        ("3", "–"),
        (True, "–"),
        (10**400, "–"),
    ],
)
def test_numbers_as_they_are_written(value: object, expected: str) -> None:
    assert number(value) == expected


def test_shares_counts_and_times_as_they_are_written() -> None:
    assert percent(0.018) == f"1.80{THIN}%"
    assert percent(1) == f"100{THIN}%"
    assert count(-25_000.2) == f"{MINUS}25{THIN}000"
    written = [duration(s) for s in (12.34, 59.6, 200.4, 7_512, None)]
    assert written == [f"12.3{THIN}s", f"1{THIN}min 0{THIN}s", f"3{THIN}min 20{THIN}s", f"2{THIN}h 5{THIN}min", "–"]


@settings(deadline=None, max_examples=60)
@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e3))
def test_a_value_has_the_decimals_of_its_interval(value: float, half: float) -> None:
    form = alike(value - half, value + half)
    written = [form(x) for x in (value - half, value, value + half)]
    assert len({len(one.partition(".")[2]) for one in written if one != "0"}) <= 1
    assert written[0] != written[2] or half < 1e-4 * abs(value)
    assert read(written[1]) == pytest.approx(value, abs=0.006 * max(abs(value - half), abs(value + half)))


def test_a_value_claims_no_more_than_its_interval_knows() -> None:
    assert alike(-0.000571, 0.000529)(-0.000021) == f"{MINUS}0.000021"
    assert alike(2.89, 3.49)(3.18712) == "3.19"
    assert alike(-0.2, 0.2)(-0.0001) == "0.000"
    assert alike(-0.2, 0.2)(0.0) == "0"
    assert alike(0.9908, 1)(0.99612) == "0.996"
    assert alike(225.1295, 225.1315)(225.13) == "225.130"
    assert alike(2.0, 2.0)(2.0) == "2.00"
    assert alike(None, 3)(0.5) == number(0.5)


def test_dots_and_intervals_stand_on_one_scale() -> None:
    """The axis tells where the numbers are: reading it back from the labelled ticks gives the values."""
    rows = [IntervalRow("value", 3.0, 2.0, 5.0), IntervalRow("floor", 0.5, 0.25, 0.75, "z")]
    drawing = intervals(rows, "both")
    named = [(float(one.get("x", 0)), read(one.text or "")) for one in parts(drawing, "text") if one.get("y") == "65"]
    (x0, v0), (x1, v1) = named[0], named[-1]
    dots = [place(one, "cx")[0] for one in parts(drawing, "circle")]
    assert [v0 + (x - x0) / (x1 - x0) * (v1 - v0) for x in dots] == pytest.approx([3.0, 0.5], abs=0.02)
    whiskers = [place(one, "x1", "x2") for one in parts(drawing, "line", "whisker")]
    ends = [sorted(v0 + (x - x0) / (x1 - x0) * (v1 - v0) for x in pair) for pair in whiskers if pair[0] != pair[1]]
    assert ends[0] == pytest.approx([2.0, 5.0], abs=0.02)
    assert ends[1] == pytest.approx([0.25, 0.75], abs=0.02)


def test_a_mark_and_what_the_scale_must_hold_are_within_it() -> None:
    drawing = intervals([IntervalRow("value", 0.3, None, None)], "alone", mark=0.0, holds=(-4, 4))
    (dot,), (mark,) = (parts(drawing, "circle"), parts(drawing, "line", "mark"))
    axis = max((place(one, "x1", "x2") for one in parts(drawing, "line", "axis")), key=lambda ends: ends[1] - ends[0])
    middle = sum(axis) / 2
    assert place(mark, "x1", "x2") == pytest.approx([middle, middle])
    assert place(dot, "cx")[0] - middle == pytest.approx(0.3 / 8 * (axis[1] - axis[0]), rel=0.2)


@settings(deadline=None, max_examples=60)
@given(st.floats(0, 1), st.floats(0, 1))
def test_bars_are_as_long_as_their_shares(real: float, fake: float) -> None:
    widths = [place(one, "width")[0] for one in parts(bars(real, fake, 1, "two bars"), "rect")]
    assert widths == pytest.approx([200 * real, 200 * fake], abs=0.06)


def test_unknown_shares_have_no_bar() -> None:
    assert not parts(bars(None, None, 0, "none"), "rect")
    assert len(parts(bars(0.1, None, 0.1, "one"), "rect")) == 1


def test_what_is_calibrated_lies_on_the_diagonal() -> None:
    drawing = calibration([Bin(p, p, 100) for p in (0, 0.25, 0.5, 1)], "right")
    (x1, y1, x2, y2) = place(parts(drawing, "line", "mark")[0], "x1", "y1", "x2", "y2")
    for one in parts(drawing, "circle"):
        x, y = place(one, "cx", "cy")
        assert (x - x1) / (x2 - x1) == pytest.approx((y - y1) / (y2 - y1), abs=1e-3)


def test_what_happens_more_often_than_predicted_lies_above_the_diagonal() -> None:
    x, y = place(parts(calibration([Bin(0.3, 0.6, 10)], "more"), "circle")[0], "cx", "cy")
    assert y < place(parts(calibration([Bin(0.3, 0.3, 10)], "so"), "circle")[0], "cy")[0]
    assert x == place(parts(calibration([Bin(0.3, 0.3, 10)], "so"), "circle")[0], "cx")[0]


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 10_000), st.floats(0, 1))
def test_the_interval_of_a_share_holds_it_and_shrinks(n: int, share: float) -> None:
    low, high = Bin(0.5, share, n).interval
    wide = Bin(0.5, share, max(1, n // 4)).interval
    assert 0 <= low <= share + 1e-9
    assert share - 1e-9 <= high <= 1
    assert high - low <= wide[1] - wide[0] + 1e-9


def test_the_interval_of_a_share_is_wilsons() -> None:
    """Its ends solve |p - share| = z sqrt(p (1 - p) / n)."""
    for end in Bin(0.5, 0.3, 50).interval:
        assert abs(end - 0.3) == pytest.approx(1.96 * math.sqrt(end * (1 - end) / 50), rel=1e-9)


def test_even_odds_is_the_middle_of_the_beliefs() -> None:
    line = Line("on real", [(0, 0.0), (50, 0.5), (100, 1.0)])
    drawing = lines([line], "beliefs", "probability", (0, 1), (0.5, "1/2"))
    (low, middle, high), (mark,) = (path(parts(drawing, "path", "line")[0]), parts(drawing, "line", "mark"))
    assert place(mark, "y1", "y2") == pytest.approx([middle[1], middle[1]])
    assert middle == pytest.approx(((low[0] + high[0]) / 2, (low[1] + high[1]) / 2))
    assert high[1] < middle[1] < low[1]
    assert [one.text for one in parts(drawing, "text")].count("1/2") == 1


def test_time_begins_at_no_images() -> None:
    drawing = lines([Line("cost", [(50, 1.0), (100, 2.0)])], "cost", "cost")
    zero = next(one for one in parts(drawing, "text") if one.text == "0" and one.get("text-anchor") == "middle")
    first, last = path(parts(drawing, "path", "line")[0])
    assert first[0] - float(zero.get("x", 0)) == pytest.approx(last[0] - first[0])


def test_a_line_breaks_where_a_value_is_lost_and_single_points_are_seen() -> None:
    points: list[Point] = [(0, 1.0), (1, None), (2, 2.0), (3, None), (4, 3.0), (5, 4.0)]
    drawing = lines([Line("cost", points)], "cost", "cost")
    written = parts(drawing, "path", "line")[0].get("d", "")
    assert (written.count("M"), written.count("L")) == (3, 1)
    assert len(parts(drawing, "circle")) == 3


def test_a_band_surrounds_its_line() -> None:
    points: list[Point] = [(0, 2.0), (1, 3.0)]
    drawing = lines([Line("score", points, band=[(0, 1.0, 4.0), (1, 2.0, 5.0)], dots=True)], "score", "score")
    line, band = (path(parts(drawing, "path", name)[0]) for name in ("line", "band"))
    assert band[0][1] < line[0][1] < band[3][1]
    assert band[1][1] < line[1][1] < band[2][1]
    assert len(parts(drawing, "circle")) == 2


def test_a_great_range_is_shown_by_its_logarithm() -> None:
    assert fitted([0.01] * 20 + [50.0]).logarithmic
    assert not fitted([0.0] * 20 + [50.0]).logarithmic
    assert not fitted([1.0, 2.0, 3.0]).logarithmic
    assert not fitted([-0.01] * 20 + [50.0]).logarithmic


def test_intervals_are_compared_in_words() -> None:
    def said(low: float, high: float, exact: bool = False) -> str:
        held = Figure(2.0, 1.5, 2.5)
        return comparison(MeasureRow("m", "", Figure((low + high) / 2, low, high), held, "the truth", exact=exact))

    assert said(3, 4) == said(0, 1) == "the intervals are apart"
    assert said(2.4, 4) == said(0, 9) == "the intervals overlap"
    assert said(2.1, 4, exact=True) == "the interval leaves out the truth"
    assert said(1.9, 4, exact=True) == "the interval holds the truth"
    assert comparison(MeasureRow("m", "", Figure(1.0), Figure(2.0, 1.5, 2.5))) == ""


def luminance(colour: str) -> float:
    """WCAG 2.1, relative luminance of #rrggbb."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("paper", "inks"),
    [
        ("paper", ["ink", "muted", "a", "b", "c", "d", "z", "bad"]),
        ("panel", ["ink", "muted"]),
        ("bad-paper", ["ink", "bad"]),
    ],
)
def test_everything_can_be_read(palette: dict[str, str], paper: str, inks: list[str]) -> None:
    """WCAG 2.1 AA: a contrast of 4.5 for text."""
    for ink in inks:
        light, dark = sorted((luminance(palette[ink]), luminance(palette[paper])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, ink
