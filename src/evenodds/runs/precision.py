"""Whether a run computes in float32 or in bfloat16, where its configuration leaves that open: measured before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from evenodds.game.engine import pick_device
from evenodds.runs import probing
from evenodds.runs.choosing import Choice
from evenodds.runs.config import Config
from evenodds.runs.probing import Ahead, in_words, rates_of, rounded
from evenodds.runs.products import speeds_of_products

__all__ = ["choose_precision"]

SECONDS = 1.5
"""Of the comparison."""
SIDE, HOPELESS = 256, 0.5
"""Of the matrices that are multiplied first, and how fast they are at most where no round is played."""
GAIN = 1.05
"""So many times as fast bfloat16 must be: less is not worth its rounding, and a busy machine would decide by chance."""


def choose_precision(config: Config, ahead: Ahead, say: Callable[[str], None]) -> tuple[Config, list[Choice]]:
    """The configuration with the arithmetic where it was left open, and the choice, if one was measured.

    It is float32 in a run of less than 30 seconds, and of compiled moves, which are not measured; and on a device that
    multiplies matrices much slower in bfloat16, where a round would take many times as long as it is worth.
    """
    if config.precision is not None:
        return config, []
    plain, other = (replace(config, precision=precision) for precision in ("float32", "bfloat16"))
    if config.compile or not ahead.takes(probing.WORTHWHILE, plain):
        return plain, []
    product = speeds_of_products(str(pick_device(config.device)), SECONDS / 30, SIDE)["bfloat16"]
    if product < HOPELESS:
        words = f"matrices are multiplied {product:.2g} times as fast in bfloat16 here"
        choice = Choice("precision", "float32", words, {"product": round(product, 4)})
    else:
        probes = {"float32": ahead.probe(plain), "bfloat16": ahead.probe(other)}
        choice = _choice(rates_of(probes, SECONDS), probes["float32"].noun)
    say(f"precision={choice.value}: {choice.reason}")
    return replace(config, precision=choice.value), [choice]


def _choice(rates: dict[str, float], noun: str) -> Choice:
    """The faster arithmetic, by items per second."""
    value = "bfloat16" if rates["bfloat16"] >= GAIN * rates["float32"] else "float32"
    words = in_words({f"in {name}": rate for name, rate in rates.items()}, noun)
    return Choice("precision", value, words, {"images_per_second": rounded(rates)})
