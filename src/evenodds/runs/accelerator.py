"""The settings that a recipe has for an accelerator: larger batches, with the rates that belong to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod

from evenodds.errors import BadInput, excerpt
from evenodds.game.engine import pick_device
from evenodds.game.exchange import agreed
from evenodds.runs.changes import with_settings
from evenodds.runs.choosing import Choice
from evenodds.runs.config import Config
from evenodds.runs.memory import device_bytes, round_bound

__all__ = ["on_accelerator"]

FEWEST = 16
"""Batches of the data: of fewer items a large batch would show most of them in every round."""


def on_accelerator(
    config: Config, items: int, shape: Sequence[int], say: Callable[[str], None] = lambda line: None
) -> tuple[Config, list[Choice]]:
    """The configuration for its device: with what its recipe has for an accelerator, where the run is played on one.

    It is left out where the data are few, and where the memory of the device may be too small for it.

    Args:
        items: of the data.
        shape: of an item, channels first.

    Raises:
        BadInput: an entry of `accelerator` is no setting.
    """
    words, config = config.accelerator, replace(config, accelerator=())
    device = pick_device(config.device)
    changed = with_settings(config, dict(map(_parted, words)))  # what is no setting is said on every device
    if not words or device.type == "cpu":
        return config, []
    lengths, pixels = (changed.prior.options.get("size", 1), *shape[:1]), prod(shape[1:])
    if items < FEWEST * changed.batch or round_bound(changed, lengths, pixels) > agreed(lambda: device_bytes(device)):
        return config, []
    off = ", ".join(word.partition("=")[0] for word in words)
    reason = f"{' '.join(words)} in place of batch={config.batch} and what belongs to it; name one of {off} to decide"
    say(f"on {device.type}: {reason}")
    return changed, [Choice("accelerator", list(words), reason)]


def _parted(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not equals:
        raise BadInput(f"accelerator takes settings such as batch=256, got {excerpt(word)}")
    return key, value
