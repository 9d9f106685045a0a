"""Extras as settings of their own: `top=0.5` stands for the entry {name: top, share: 0.5} of `extras`."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any

from evenodds.runs.find import accepts, canonical, find
from evenodds.runs.values import NOTHING, Part, typed, yaml_value

__all__ = ["is_extra", "with_extra", "with_extras"]


def is_extra(key: str) -> bool:
    """Whether a key, such as "balance" or "balance.gain", names an extra."""
    return ":" not in key and canonical("extras", key.partition(".")[0]) is not None


def with_extras(values: Mapping[str, Any], fixed: Collection[str]) -> dict[str, Any]:
    """Plain values of a configuration, with those whose key names an extra moved into `extras`.

    Args:
        fixed: keys of settings, which name no extra: where there are no others, no extra is imported.
    """
    parts: tuple[Part, ...] = typed("extras", tuple[Part, ...], values.get("extras"))
    named = {key: value for key, value in values.items() if key not in fixed and is_extra(key)}
    for key, value in named.items():
        parts = with_extra(parts, key, value)
    others = {key: value for key, value in values.items() if key != "extras" and key not in named}
    return {**others, "extras": parts} if parts else others


def with_extra(extras: tuple[Part, ...], key: str, value: Any) -> tuple[Part, ...]:
    """The extras with one of them set, in the order of their names.

    Args:
        key: the name of an extra, or "name.option".
        value: of that option; for a name alone, of its first option, or a mapping of which `name` is that. None, "none"
            and the default of the first option leave the extra out.
    """
    word, _, option = key.partition(".")
    name = canonical("extras", word) or word
    maker = find("extras", name)
    first = next(iter(accepts(maker)), "")
    others = tuple(part for part in extras if part.name != name)
    if option:
        present = next((part.options for part in extras if part.name == name), {})
        options = {**present, option: _value(value)}
    elif value is None or (isinstance(value, str) and value in NOTHING):
        return others
    else:
        options = _options(value, first)
    if options == {first: inspect.signature(maker).parameters[first].default if first else None}:
        return others
    return tuple(sorted((*others, Part(name, options)), key=lambda part: part.name))


def _options(value: Any, first: str) -> dict[str, Any]:
    if isinstance(value, Part):
        value = {"name": value.name, **value.options}
    if isinstance(value, Mapping):
        return {first if option == "name" else option: _value(inner) for option, inner in value.items()}
    return {first: _value(value)}


def _value(value: Any) -> Any:
    return yaml_value(value) if isinstance(value, str) else value
