"""By what a run is told from others, and in what it differs from its recipe. It is found out without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from evenodds.runs.anonymous import anonymous
from evenodds.runs.config import Config
from evenodds.runs.config_files import origin

__all__ = ["changed_settings", "identity", "placeless"]


def identity(config: Config, fingerprint: str | None, weights: Iterable[tuple[str, str, bytes]]) -> str:
    """Twelve digits that tell runs apart: of the settings, the data and the weights.

    Args:
        fingerprint: of the data.
        weights: the player, the name and the bytes of each of its tensors, in the order of these names.
    """
    digest = hashlib.sha256(json.dumps(placeless(config), sort_keys=True, default=str).encode())
    digest.update(str(fingerprint).encode())
    for player, name, content in weights:
        digest.update(f"{player}/{name}".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


def placeless(config: Config) -> dict[str, Any]:
    """The settings of a run, without where its data lie."""
    return {**config.to_mapping(), "data": None}


def changed_settings(config: Config) -> dict[str, str]:
    """The settings that are not those of the recipe, or not the defaults where the recipe is of one's own."""
    usual, mine = (origin(config) or Config()).to_mapping(), anonymous(config).to_mapping()
    shown = ("recipe", "data", "images", "seed", "log")
    return {key: str(value) for key, value in mine.items() if key not in shown and value != usual[key]}
