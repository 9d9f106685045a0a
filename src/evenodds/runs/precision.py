"""Whether a run computes in float32 or in bfloat16, where its configuration leaves that open: measured before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from evenodds.runs.choosing import Choice
from evenodds.runs.config import Config
from evenodds.runs.probing import Probe, long_probe, rates_of

if TYPE_CHECKING:
    from evenodds.runs.assembly import Run

__all__ = ["choose_precision"]

SECONDS = 1.5
"""Of the comparison."""
GAIN = 1.05
"""So many times as fast bfloat16 must be: less is not worth its rounding, and a busy machine would decide by chance."""


def choose_precision(
    config: Config, seconds: float | None, make: Callable[[Config], Run], say: Callable[[str], None]
) -> tuple[Config, list[Choice]]:
    """The configuration with the arithmetic where it was left open, and the choice, if one was measured.

    It is float32 in a run of less than 30 seconds, and of compiled moves, which are not measured.

    Args:
        seconds: of the budget; None where the configuration says the length.
        make: builds a run once more, to be thrown away.
    """
    if config.precision is not None:
        return config, []
    plain = replace(config, precision="float32")
    probe = None if config.compile else long_probe(plain, seconds, lambda: make(plain))
    if probe is None:
        return plain, []
    other = Probe(make(replace(config, precision="bfloat16")), probe.progress)
    choice = _choice(rates_of({"float32": probe, "bfloat16": other}, SECONDS))
    say(f"precision={choice.value}: {choice.reason}")
    return replace(config, precision=choice.value), [choice]


def _choice(rates: dict[str, float]) -> Choice:
    """The faster arithmetic, by images per second."""
    value = "bfloat16" if rates["bfloat16"] >= GAIN * rates["float32"] else "float32"
    words = ", ".join(f"{rate:,.0f} in {name}" for name, rate in rates.items())
    figures = {"images_per_second": {name: round(rate, 1) for name, rate in rates.items()}}
    return Choice("precision", value, f"images per second: {words}", figures)
