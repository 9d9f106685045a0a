"""The history of a run as one SVG file: the charts of the report, side by side, with their headings and legends."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evenodds.files.write import Place, replaced
from evenodds.show.page.history import Panel, panels
from evenodds.show.page.markup import Html, element
from evenodds.show.page.style import CHART, LIGHT

__all__ = ["drawing", "write"]

COLUMNS = 3
WIDTH, HEIGHT = 380, 292
"""Of a panel, with the space around it, in pixels."""
TOP = 56
"""Height of a panel's heading and legend."""
MARGIN = 16
FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue','Liberation Sans',Arial,sans-serif"
HEADING = "text{font-size:12px;fill:var(--muted)}.title{font-size:14px;font-weight:650;fill:var(--ink)}"
LETTER = 6.2
"""Mean width of a letter in the legend, in pixels."""
SWATCH = 22
"""Width of the piece of line before a legend's entry, in pixels."""


def write(history: Sequence[Mapping[str, Any]], path: Path, place: Place = replaced) -> Path | None:
    """Writes the drawing; returns the path, or None where no line of the history has anything to draw.

    Args:
        history: the lines of metrics.jsonl.
        path: the SVG file to write.
        place: how the file takes the place of what is there.
    """
    image = drawing(history)
    if image is None:
        return None
    with place(path) as temporary:
        temporary.write_text(image + "\n", encoding="utf-8", errors="backslashreplace")
    return path


def drawing(history: Sequence[Mapping[str, Any]]) -> Html | None:
    """All panels of the report's history, in rows of three; None where there is nothing to draw."""
    charts = panels(history)
    if not charts:
        return None
    columns = min(COLUMNS, len(charts))
    width, height = MARGIN + columns * WIDTH, MARGIN + -(-len(charts) // columns) * HEIGHT
    placed = [
        element(
            "g", _panel(panel), transform=f"translate({MARGIN + k % columns * WIDTH} {MARGIN + k // columns * HEIGHT})"
        )
        for k, panel in enumerate(charts)
    ]
    return element(
        "svg",
        element("style", Html(_style())),
        element("rect", width="100%", height="100%", fill=LIGHT["paper"]),
        placed,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        font_family=FONT,
    )


def _panel(panel: Panel) -> list[Html]:
    """Heading, legend and chart of a panel; what the heading means is shown where the pointer rests on it."""
    chart = element("g", panel.chart, transform=f"translate(0 {TOP})")
    why = [element("title", panel.why)] if panel.why else []
    return [*why, element("text", panel.title, x=0, y=16, class_="title"), *_legend(panel), chart]


def _legend(panel: Panel) -> list[Html]:
    """A piece of each line with its name; nothing where there is one line, which the heading names."""
    if len(panel.drawn) < 2:
        return []
    entries: list[Html] = []
    x, y = 0.0, 36
    for line in panel.drawn:
        width = SWATCH + 22 + LETTER * len(line.name)
        if x > 0 and x + width > WIDTH - MARGIN:
            x, y = 0.0, y + 15
        piece = element("g", element("path", d=f"M{x:.0f} {y - 4}h{SWATCH}", class_="line"), class_=f"s-{line.style}")
        entries += [piece, element("text", line.name, x=f"{x + SWATCH + 6:.0f}", y=y)]
        x += width
    return entries


def _style() -> str:
    """The report's rules for charts, with colours in place of variables, which few programs but browsers know."""
    return re.sub(r"var\(--([\w-]+)\)", lambda match: LIGHT[match[1]], HEADING + CHART)
