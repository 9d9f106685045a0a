"""The settings that a recipe has for an accelerator: larger batches, with the rates that belong to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from evenodds.errors import BadInput, excerpt
from evenodds.game.engine import pick_device
from evenodds.runs.choosing import Choice
from evenodds.runs.config import Config, with_settings

__all__ = ["on_accelerator"]

FEWEST = 16
"""Batches of the data: of fewer items a large batch would show most of them in every round."""


def on_accelerator(
    config: Config, items: int, say: Callable[[str], None] = lambda line: None
) -> tuple[Config, list[Choice]]:
    """The configuration for its device: with what its recipe has for an accelerator, where the run is played on one.

    Args:
        items: of the data.

    Raises:
        BadInput: an entry of `accelerator` is no setting.
    """
    words, config = config.accelerator, replace(config, accelerator=())
    device = pick_device(config.device)
    if not words or device.type == "cpu":
        return config, []
    changed = with_settings(config, dict(map(_parted, words)))
    if items < FEWEST * changed.batch:
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
