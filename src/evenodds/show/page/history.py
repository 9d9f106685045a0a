"""The course of every reported term, as small charts of the same width."""

# ruff: noqa: RUF001  the prose has true minus signs and apostrophes

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evenodds.show.page.charts import Line, lines, swatch
from evenodds.show.page.markup import Html, element, join
from evenodds.show.page.numerals import count, duration, finite, number, text
from evenodds.show.page.scales import Point
from evenodds.show.page.words import TERMS, sentence

__all__ = ["course", "panels"]

BELIEFS = ("real", "fake")
STYLES = "abcd"
History = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Panel:
    """One chart with its heading and what it says in words."""

    title: str
    why: str
    chart: Html
    drawn: Sequence[Line]
    facts: str


@dataclass(frozen=True)
class Axis:
    """What the horizontal axis counts, and where it ends."""

    noun: str
    end: float


def course(history: History, noun: str, score_is: str = "") -> Html | None:
    """All panels below a line that says how long the run was; None where no line tells anything.

    Args:
        score_is: what the held-out score means; empty where that is not known.
    """
    placed = [line for line in history if finite(line.get("images")) is not None]
    charts = panels(placed, noun, score_is)
    if not charts:
        return None
    end = max(float(line["images"]) for line in placed)
    spans = [line["seconds"] for line in placed if finite(line.get("seconds")) is not None]
    took = f", {duration(spans[-1])} of training" if spans else ""
    lead = f"{count(len(placed))} {'report' if len(placed) == 1 else 'reports'} up to {count(end)} real {noun} shown"
    figures = element("div", [_figure(one) for one in charts], class_="panels")
    return join(element("p", f"{lead}{took}."), _watched(placed, noun), figures)


def _watched(history: History, noun: str) -> Html | None:
    """What the watch said, wherever it changed its mind, and what was done about it."""
    changes: list[str] = []
    word = ""
    for line in history:
        if "remedy" in line:
            changes.append(f"Remedy: {text(line['remedy'])}.")
            word = ""
        elif line.get("verdict") not in (None, word):
            word = text(line["verdict"])
            changes.append(f"{count(line['images'])} {noun}: {word}; {text(line.get('why'))}.")
    if not changes:
        return None
    return join(
        element("p", "What the watch said, where its verdict changed:"),
        element("ol", [element("li", one) for one in changes]),
    )


def panels(history: History, noun: str = "images", score_is: str = "") -> list[Panel]:
    """What each player believes, the held-out score, then every other term, in the order of the lines."""
    names = dict.fromkeys(name for line in history for name in line if "/" in name)
    axis = Axis(noun, max((float(line["images"]) for line in history), default=1.0))
    beliefs: dict[str, list[str]] = {}
    others = []
    for name in names:
        player, _, term = name.rpartition("/")
        if term in BELIEFS and all(0 <= y <= 1 for _, y in points(history, name) if y is not None):
            beliefs.setdefault(player, []).append(name)
        else:
            others.append(name)
    charts = [_beliefs(history, player, terms, axis) for player, terms in beliefs.items()]
    scores = _score(history, axis, score_is)
    charts += [scores, _preferences(history, axis), *(_term(history, name, axis) for name in others)]
    return [panel for panel in charts if panel is not None]


def points(history: History, name: str) -> list[Point]:
    """(images, value) of every line that has the term; a value that is not finite breaks the line."""
    return [(float(line["images"]), finite(line[name])) for line in history if name in line]


def _has_finite(drawn: Sequence[Line]) -> bool:
    return any(y is not None for line in drawn for _, y in line.points)


def _lost(drawn: Sequence[Line], axis: Axis) -> str:
    lost = [x for line in drawn for x, y in line.points if y is None]
    return f" Not finite {count(len(lost))}×, first at {count(lost[0])} {axis.noun}." if lost else ""


def _beliefs(history: History, player: str, names: Sequence[str], axis: Axis) -> Panel | None:
    drawn = [
        Line(f"on {name.rpartition('/')[2]}", points(history, name), style)
        for name, style in zip(sorted(names, reverse=True), STYLES, strict=False)
    ]
    if not _has_finite(drawn):
        return None
    whose = "D’s belief" if player == "discriminator" else f"D’s belief, {_words(player)}’s move"
    why = "Mean probability of being real that D gives. At the equilibrium both are 1/2: even odds."
    alt = f"{whose}: {', '.join(f'{line.name} {_last(line)} at the end' for line in drawn)}; line at 1/2"
    chart = lines(drawn, alt, "probability of being real", (0, 1), (0.5, "1/2"), axis.end, axis.noun)
    return Panel(whose, why, chart, drawn, _lost(drawn, axis).strip())


def _score(history: History, axis: Axis, score_is: str) -> Panel | None:
    scored = [line for line in history if finite(line.get("score")) is not None]
    if not scored:
        return None
    band = [
        (float(line["images"]), low, high)
        for line in scored
        if (low := finite(line.get("score_low"))) is not None and (high := finite(line.get("score_high"))) is not None
    ]
    drawn = Line("score", points(scored, "score"), "c", band, dots=True)
    best = min(scored, key=lambda line: float(line["score"]))
    facts = f"Lowest {number(float(best['score']))} at {count(best['images'])} {axis.noun}; {_last(drawn)} at the end."
    what = sentence(score_is or "distance from held-out data; lower is better")
    why = f"{what} A point for each checkpoint." + (" Band: 95 % interval." if band else "")
    return Panel(
        "Held-out score",
        why,
        lines([drawn], f"Held-out score. {facts}", "score", x_end=axis.end, noun=axis.noun),
        [drawn],
        facts,
    )


def _preferences(history: History, axis: Axis) -> Panel | None:
    """How often D prefers one item to another: the margin by which it wins, and whether it knows its training items."""
    kinds = (("d_fake", "held-out item to a sample"), ("d_memory", "training item to a held-out one"))
    drawn = [Line(name, points(history, key), style) for (key, name), style in zip(kinds, STYLES, strict=False)]
    if not _has_finite(drawn):
        return None
    why = "In which share of pairs D takes the first for more real; 1/2: it cannot tell, or remembers nothing."
    alt = "; ".join(f"{line.name}: {_last(line)} at the end" for line in drawn)
    return Panel(
        "D prefers", why, lines(drawn, alt, "share of pairs", (0, 1), (0.5, "1/2"), axis.end, axis.noun), drawn, ""
    )


def _term(history: History, name: str, axis: Axis) -> Panel | None:
    drawn = Line(name, points(history, name), "d")
    if not _has_finite([drawn]):
        return None
    values = [y for _, y in drawn.points if y is not None]
    facts = f"From {number(min(values))} to {number(max(values))}; {_last(drawn)} at the end.{_lost([drawn], axis)}"
    player, _, term = name.rpartition("/")
    title = f"{_words(player).capitalize()}: {_words(term)}"
    why = TERMS.get(term, "")
    return Panel(
        title, why, lines([drawn], f"{title}. {facts}", "cost", x_end=axis.end, noun=axis.noun), [drawn], facts
    )


def _words(name: str) -> str:
    return name.replace("_", " ").replace("/", " ")


def _last(line: Line) -> str:
    return number(next((y for _, y in reversed(line.points) if y is not None), None))


def _figure(panel: Panel) -> Html:
    keys = None
    if len(panel.drawn) > 1 or panel.title.startswith("D’s"):
        entries = [
            element("span", swatch(line.style), f" {line.name}, {_last(line)} at the end", class_="entry")
            for line in panel.drawn
        ]
        keys = element("p", entries, class_="legend")
    facts = element("p", panel.facts, class_="facts") if panel.facts else None
    words = element("figcaption", element("h3", panel.title), element("p", panel.why) if panel.why else None)
    return element("figure", words, panel.chart, keys, facts, class_="panel")
