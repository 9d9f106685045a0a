"""A small typed loader: text from a command line and plain values from YAML become values of a declared type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from evenodds.errors import BadInput
from evenodds.files.read import parse_yaml

__all__ = ["Part", "as_number", "mapping_of", "plain", "typed", "yaml_value"]

NOTHING = ("none", "null", "")
TRUTHS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
NUMBER = re.compile(r"\s*([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([kM]?)\s*")


@dataclass(frozen=True)
class Part:
    """The name of an object, and the options that it is made with."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


def typed(key: str, hint: Any, value: Any) -> Any:
    """`value` as the type `hint`.

    Args:
        key: name of the setting, for messages.
        hint: Part, bool, int, float, str, a tuple of str or Part, or one of these or None.

    Raises:
        BadInput: the value cannot be read as that type. The message names the key.
    """
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if NoneType in kinds and (value is None or (isinstance(value, str) and value in NOTHING)):
        return None
    kind = next(kind for kind in kinds if kind is not NoneType)
    if get_args(kind)[:1] == (Part,):
        return tuple(_part(key, entry) for entry in _words(key, value))
    return READERS[get_origin(kind) or kind](key, value)


def plain(value: Any) -> Any:
    """A typed value as YAML and JSON have it: a Part is its name, or a mapping of its name and options."""
    if isinstance(value, Part):
        return {"name": value.name, **value.options} if value.options else value.name
    return [plain(entry) for entry in value] if isinstance(value, tuple) else value


def as_number(text: str) -> int | float | None:
    """A number with an optional factor k or M; None for anything else."""
    match = NUMBER.fullmatch(text)
    if not match:
        return None
    value = float(match[1].replace("_", "")) * {"": 1, "k": 1e3, "M": 1e6}[match[2]]
    whole = not re.search(r"[.eE]", match[1]) or bool(match[2])
    return int(value) if whole and value == int(value) else value


def yaml_value(text: str, where: str = "the value") -> Any:
    """A value as a person writes it on a command line; 1e-3 is a number here, which YAML 1.1 denies."""
    number = as_number(text)
    return number if number is not None else parse_yaml(text, where)


def mapping_of(values: Any, where: str) -> dict[str, Any]:
    """The content of a document of `key: value` lines; BadInput where it is something else.

    Args:
        where: the document's name, for messages.
    """
    if not isinstance(values, dict):
        raise BadInput(f"{where} must hold `key: value` lines, got {type(values).__name__}")
    return values


def _part(key: str, value: Any) -> Part:
    if isinstance(value, Part):
        return value
    if isinstance(value, str | Path):
        return Part(str(value))
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        options = {k: yaml_value(v) if isinstance(v, str) and as_number(v) is not None else v for k, v in value.items()}
        return Part(options.pop("name"), options)
    raise BadInput(f"{key} must be a name, or a mapping with `name` and options, got {value!r}")


def _words(key: str, value: Any) -> tuple[str, ...]:
    return tuple(value.split(",")) if isinstance(value, str) and value else tuple(value or ())


def _truth(key: str, value: Any) -> bool:
    if str(value).lower() not in TRUTHS:
        raise BadInput(f"{key} must be true or false, got {value!r}")
    return TRUTHS[str(value).lower()]


def _text(key: str, value: Any) -> str:
    return str(value)


def _real(key: str, value: Any) -> float:
    return float(_number(key, value, "a number"))


def _whole(key: str, value: Any) -> int:
    number = _number(key, value, "a whole number")
    if number != int(number):
        raise BadInput(f"{key} must be a whole number, got {value!r}")
    return int(number)


def _number(key: str, value: Any, what: str) -> int | float:
    number = as_number(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise BadInput(f"{key} must be {what}, got {value!r}")
    return number


READERS: Mapping[Any, Callable[[str, Any], Any]] = {
    Part: _part,
    tuple: _words,
    bool: _truth,
    str: _text,
    int: _whole,
    float: _real,
}
"""How a value of each type is read: type -> function of (key, value)."""
