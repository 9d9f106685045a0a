"""What a user changes in a configuration, and how two of them differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from evenodds.errors import BadInput, excerpt, unknown
from evenodds.runs.allowed import NotAllowed
from evenodds.runs.config import Config, parts_of, settings, typed_setting
from evenodds.runs.extra_settings import is_extra, with_extra
from evenodds.runs.find import names
from evenodds.runs.part_options import require_part
from evenodds.runs.values import Part, yaml_value

__all__ = ["difference", "named", "with_settings"]


def with_settings(config: Config, changes: Mapping[str, Any]) -> Config:
    """The configuration with some values replaced.

    Args:
        changes: by key, dotted for options, e.g. {"generator.width": 32, "loss": "hinge"}. A new name for a part
            drops the options of the old one, and none of those that stand here, before or behind it.

    Raises:
        BadInput: a key is unknown, a value is of a wrong type or out of its range, or an option does not fit the part
            that it is for. The message names the key.
    """
    if {word.partition("=")[0].partition(".")[0] for word in config.accelerator} & {k.split(".")[0] for k in changes}:
        config = replace(config, accelerator=())  # its settings belong together
    for key in sorted(changes, key=lambda key: "." in key):  # names of parts, then their options
        with named(excerpt(key)):
            config = _with_setting(config, key, changes[key])
    for key in changes:
        name, _, option = key.partition(".")
        name = name if name in settings() else "extras"
        with named(excerpt(key)):
            for part in parts_of(getattr(config, name)):
                options = {option: part.options[option]} if option in part.options else part.options
                require_part(name, settings()[name].kinds, Part(part.name, options))
    return config


def _with_setting(config: Config, key: str, value: Any) -> Config:
    """The configuration with one value replaced."""
    name, _, option = key.partition(".")
    if name not in settings() and is_extra(name):
        return replace(config, extras=with_extra(config.extras, key, value))
    if name not in settings():
        raise unknown("setting", name, [*settings(), *names("extras")])
    if option:
        value = _with_option(name, getattr(config, name), option, value)
    return replace(config, **{name: typed_setting(name, value)})


@contextmanager
def named(key: str) -> Iterator[None]:
    """A BadInput within it names the key, or another place."""
    try:
        yield
    except NotAllowed:
        raise
    except BadInput as error:
        raise error if key in str(error) else BadInput(f"{key}: {error}") from error


def _with_option(key: str, part: Any, option: str, value: Any) -> Part:
    if not isinstance(part, Part):
        raise BadInput(f"'{key}' has no options, so '{key}.{option}' cannot be set; it is {part!r}")
    return Part(part.name, {**part.options, option: yaml_value(value) if isinstance(value, str) else value})


def difference(run: Config, saved: Config) -> list[str]:
    """One line for each field in which a run's configuration no longer fits that of its checkpoint."""
    a, b = _flat(run), _flat(saved)
    keys = [key for key in dict.fromkeys([*a, *b]) if not settings()[key.split(".")[0]].may_change]
    return [f"{key} is {a.get(key)!r}, the checkpoint has {b.get(key)!r}" for key in keys if a.get(key) != b.get(key)]


def _flat(config: Config) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.to_mapping().items():
        for option, inner in value.items() if isinstance(value, dict) else [("", value)]:
            flat[f"{key}.{option}".rstrip(".")] = inner
    return flat
