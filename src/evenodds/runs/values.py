"""A small typed loader: text from a command line and plain values from YAML become values of a declared type."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from evenodds.errors import BadInput, excerpt
from evenodds.files.misfit import shortened
from evenodds.files.read import as_type, parse_yaml
from evenodds.files.text import number_text
from evenodds.runs.options import is_plain, require_plain

__all__ = ["ELSEWHERE", "IN_MEMORY", "Part", "as_number", "mapping_of", "numbers_by_name", "part_of", "plain"]
__all__ += ["texts_by_name", "typed", "yaml_value"]

T = TypeVar("T")

IN_MEMORY = "in-memory"
"""The name of data that were handed over as an array."""
ELSEWHERE = "not-handed-on"
"""The name of data whose place a run that was handed on does not tell."""
ADVICE = "see: evenodds list settings"
NOTHING = ("none", "null", "")
TRUTHS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
LONGEST_NUMBER = 60
"""Characters of a number."""
LONGEST_NAME = 4_096
"""Characters of the name of a part, which may be a path."""
FACTORS = {"": 1, "k": 1_000, "m": 1_000_000}
NUMBER = re.compile(r"\s*([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([kKmM]?)\s*")


@dataclass(frozen=True)
class Part:
    """The name of an object, and the options that it is made with."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


def typed(key: str, hint: Any, value: Any, words: Sequence[str] = ()) -> Any:
    """`value` as the type `hint`.

    Args:
        key: name of the setting, for messages.
        hint: Part, bool, int, float, str, a tuple of str or Part, or one of these or None.
        words: that stand for a value, too, for messages.

    Raises:
        BadInput: the value cannot be read as that type. The message names the key.
    """
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if NoneType in kinds and (value is None or (isinstance(value, str) and value in NOTHING)):
        return None
    kind = next(kind for kind in kinds if kind is not NoneType)
    if get_args(kind)[:1] == (Part,):
        return tuple(part_of(key, entry) for entry in as_type(_words(value), tuple, key, ADVICE))
    if kind is Part:
        return part_of(key, value)
    require_plain(key, value := TEXTS[get_origin(kind) or kind](value))
    try:
        return as_type(value, kind, key, ADVICE)
    except BadInput as error:
        also = "".join(f"{word}, " for word in words)
        raise BadInput(str(error).replace(f"{key} must be ", f"{key} must be {also}", 1)) from error


def plain(value: Any) -> Any:
    """A typed value as YAML and JSON have it: a Part is its name, or a mapping of its name and options."""
    if isinstance(value, Part):
        return {"name": value.name, **value.options} if value.options else value.name
    return [plain(entry) for entry in value] if isinstance(value, tuple) else value


def numbers_by_name(words: Sequence[str], what: str, example: str) -> dict[str, float]:
    """`name=number` words as a mapping.

    Args:
        what: takes them, for messages.
        example: of what is typed.
    """
    values: dict[str, float] = {}
    for text in words:
        name, _, value = text.rpartition("=")
        number = as_number(value)
        if not name.strip() or number is None or not math.isfinite(number):
            raise BadInput(f"{what} takes name=number, got {shortened(text)}; for example {example}")
        _put(values, name.strip(), float(number), number_text)
    return values


def texts_by_name(words: Sequence[str], what: str, example: str) -> dict[str, str]:
    """`name=value` words as a mapping; see `numbers_by_name`."""
    values: dict[str, str] = {}
    for text in words:
        name, sign, value = text.partition("=")
        if not name.strip() or not sign:
            raise BadInput(f"{what} takes name=value, got {shortened(text)}; for example {example}")
        _put(values, name.strip(), value, excerpt)
    return values


def _put(values: dict[str, T], name: str, value: T, shown: Callable[[T], str]) -> None:
    """Adds a value; BadInput where the name has another one."""
    if values.setdefault(name, value) != value:
        raise BadInput(f"two values were given for '{name}', {shown(values[name])} and {shown(value)}; give one")


def as_number(text: str) -> int | float | None:
    """A number with an optional factor, k for thousands or M for millions in small or capital letters; else None."""
    match = NUMBER.fullmatch(text) if len(text) <= LONGEST_NUMBER else None
    if not match:
        return None
    digits, factor = match[1].replace("_", ""), FACTORS[match[2].lower()]
    if not re.search(r"[.eE]", digits):
        return int(digits) * factor
    value = float(digits) * factor
    return int(value) if match[2] and value.is_integer() else value


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


def part_of(key: str, value: Any) -> Part:
    """A part as a configuration names it: by its name, or a mapping of its name and options.

    Args:
        key: name of the setting, for messages.
    """
    named = Part(str(value)) if isinstance(value, str | Path) else value
    if isinstance(value, Mapping):
        named = Part(value.get("name", ""), {option: one for option, one in value.items() if option != "name"})
    if not isinstance(named, Part) or not isinstance(named.name, str) or not 0 < len(named.name) <= LONGEST_NAME:
        raise BadInput(f"{key} must be a name, or a mapping with `name` and options, got {shortened(value)}")
    for option, one in named.options.items():
        if not isinstance(option, str) or not is_plain(one):
            raise BadInput(f"option {shortened(option)} of {key} must be a plain value, got a {type(one).__name__}")
        require_plain(f"option '{option}' of {key}", one)
    return Part(named.name, {option: _number(one) for option, one in named.options.items()})


def _number(value: Any) -> Any:
    """The number that a text is; anything else as it is."""
    number = as_number(value) if isinstance(value, str) else None
    return value if number is None else number


def _whole(value: Any) -> Any:
    number = _number(value)
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _truth(value: Any) -> Any:
    word = str(value).lower() if isinstance(value, str | int) else ""
    return TRUTHS.get(word, value)


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, Path | int | float) else value


def _words(value: Any) -> Any:
    """Words with commas between them, or a list as it is printed: `[flip, translation]`."""
    if isinstance(value, str) and value.strip()[:1] == "[" and value.strip()[-1:] == "]":
        value = parse_yaml(value, "the list")
    if isinstance(value, str):
        return () if value in NOTHING else tuple(word.strip() for word in value.split(","))
    return tuple(value) if isinstance(value, list) else value or ()


TEXTS: Mapping[Any, Callable[[Any], Any]] = {tuple: _words, bool: _truth, str: _text, int: _whole, float: _number}
"""How a person writes a value of each type: what the text means; what it does not mean stays, and is refused."""
