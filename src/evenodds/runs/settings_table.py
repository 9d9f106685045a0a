"""All settings as plain values: what each means, what it takes, and its value in a configuration."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import Any

from evenodds.runs.config import Config, plain_setting, settings
from evenodds.runs.find import names

__all__ = ["documented", "schema"]


def documented() -> list[tuple[str, str, str]]:
    """Each key with its default and what it means."""
    return [(f.name, str(plain_setting(f.name, _default(f))), settings()[f.name].note) for f in fields(Config)]


def schema(config: Config) -> list[dict[str, Any]]:
    """Each setting as plain values: its key and value in a configuration, what it means, and what it takes.

    `words` are the names that it takes, empty where it takes others; `least` and `most` bound numbers.
    """
    rows = []
    for f in fields(Config):
        about = settings()[f.name]
        words = [*about.words, *(name for kind in about.kinds for name in names(kind)), *(["auto"] * about.auto)]
        value = plain_setting(f.name, getattr(config, f.name))
        row = {"key": f.name, "value": value, "note": about.note, "words": list(dict.fromkeys(words))}
        rows.append({**row, "least": about.least, "most": about.most})
    return rows


def _default(one: Field[Any]) -> Any:
    return one.default if one.default_factory is MISSING else one.default_factory()
