"""The differences of a trial with their intervals, as one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from evenodds.evaluation.trial.answer import PRIMARY
from evenodds.files.write import replaced
from evenodds.show.page.numerals import MINUS
from evenodds.show.page.scales import Scale, labels, spread

__all__ = ["plot"]

INK, GREY, PALE, GOOD, BAD = (30, 30, 30), (120, 120, 120), (230, 230, 230), (0, 110, 80), (176, 40, 40)
WIDE, LEFT, TOP, STEP, FOOT = 1800, 640, 152, 68, 140
"""In pixels, before the picture is halved: Pillow draws no smooth edges."""

Row = tuple[str, Mapping[str, float]]


def plot(content: Mapping[str, Any], path: Path) -> Path:
    """Each difference of macro-F1 with its interval, around a line at 0: green helps, red hurts."""
    rows = [(_title(content, name), test["figures"][PRIMARY]) for name, test in content["differences"].items()]
    low, high = spread([0.0, *(test[end] for _, test in rows for end in ("low", "high"))])
    floor = TOP + STEP * len(rows)
    image = Image.new("RGB", (WIDE, floor + FOOT), (255, 255, 255))
    draw, x = ImageDraw.Draw(image), Scale(low, high, LEFT, WIDE - 60)
    small = ImageFont.load_default(30)
    seeds, trained_on = content["seeds"], sum(content["train_counts"])
    about = f"difference in macro-F1, {seeds} seeds, paired, {trained_on:,} training {content['items']}"
    draw.text(
        (32, 24), f"{content['verdict']['answer']}: synthetic {content['items']} added", INK, ImageFont.load_default(42)
    )
    draw.text((32, 88), about, GREY, small)
    _axis(draw, x, floor, small)
    _intervals(draw, x, rows, small)
    note = "Intervals at the levels of Holm's procedure: with a chance of 95 % none leaves 0 out without cause."
    draw.text((32, floor + 80), note, GREY, small)
    with replaced(path) as temporary:
        image.resize((WIDE // 2, image.height // 2), Image.Resampling.LANCZOS).save(temporary)
    return path


def _axis(draw: ImageDraw.ImageDraw, x: Scale, floor: int, font: Any) -> None:
    places = x.ticks(7)
    for place, label in zip(places, labels(places), strict=True):
        draw.line((x(place), TOP, x(place), floor), PALE, 2)
        draw.text((x(place), floor + 16), label.replace(MINUS, "-"), GREY, font, anchor="ma")
    draw.line((x(0), TOP, x(0), floor), INK, 3)


def _intervals(draw: ImageDraw.ImageDraw, x: Scale, rows: Sequence[Row], font: Any) -> None:
    for k, (title, test) in enumerate(rows):
        y = TOP + STEP * k + STEP // 2
        colour = GOOD if test["low"] > 0 else BAD if test["high"] < 0 else GREY
        draw.text((32, y), title, INK, font, anchor="lm")
        draw.line((x(test["low"]), y, x(test["high"]), y), colour, 6)
        draw.ellipse((x(test["value"]) - 11, y - 11, x(test["value"]) + 11, y + 11), colour)


def _title(content: Mapping[str, Any], name: str) -> str:
    arm, _, other = name.partition(" - ")
    title = str(content["arms"][arm]["title"])
    return title if other == "real" else f"{title}, against {other}"
