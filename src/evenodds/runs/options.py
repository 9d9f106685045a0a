"""Options of parts are checked against the declaration of what they are for, before it is called.

A class or function declares its options by its signature. What a configuration gives must be plain, of the declared
type and within the range of its name, so that no constructor sees text in place of a number, or asks for memory that
no machine has.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import cache, lru_cache, reduce
from math import isfinite
from operator import or_
from types import GenericAlias, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from evenodds.errors import BadInput, unknown
from evenodds.files.misfit import shortened
from evenodds.files.read import as_type

__all__ = ["NAMED", "RANGES", "accepts", "is_plain", "require_options", "require_plain"]

LARGEST_WHOLE = 2**53
"""Whole numbers without a range of their own lie between the negative of it and it; real ones are finite."""
LONGEST = 10_000
"""Characters of a text, and entries of a list or mapping."""
DEEPEST = 8
"""Lists and mappings within each other."""

NAMED = ("masks", "degradation")
"""Options that are made of names before they are given."""

RANGES: Mapping[str, tuple[int, int]] = {
    "blocks": (0, 1_000),
    "bottom": (1, 4_096),
    "cap": (0, 65_536),
    "classes": (0, 65_536),
    "code": (0, 65_536),
    "components": (1, 65_536),
    "corners": (1, 10_000),
    "count": (1, 100_000),
    "crop": (1, 65_536),
    "depth": (0, 1_000),
    "every": (1, 10**12),
    "expansion": (0, 1_024),
    "fillings": (1, 1_024),
    "flat": (0, 1_024),
    "group": (1, 65_536),
    "growth": (0, 65_536),
    "half_life_images": (0, 10**15),
    "images": (0, 10**15),
    "late": (0, 1_000),
    "layers": (0, 1_000),
    "memory": (0, 10**8),
    "n": (1, 10**7),
    "neighbours": (0, 10**6),
    "noise": (0, 65_536),
    "pairs": (1, 10**6),
    "pieces": (1, 10_000),
    "pilot": (1, 10**8),
    "scale": (1, 64),
    "seed": (-(2**63), 2**63 - 1),
    "side": (1, 65_536),
    "size": (1, 65_536),
    "stem": (1, 1_024),
    "steps": (0, 10**9),
    "tries": (1, 10**9),
    "values": (0, 65_536),
    "width": (1, 65_536),
}
"""The range of the numbers of an option, by its name. Constructors may ask for less."""


def accepts(maker: Callable[..., Any]) -> list[str]:
    """The names of the options that a class or function takes."""
    return list(_accepted(maker) if isinstance(maker, Hashable) else _accepted.__wrapped__(maker))


@lru_cache(1024)
def _accepted(maker: Callable[..., Any]) -> tuple[str, ...]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(name for name, p in inspect.signature(maker).parameters.items() if p.kind in kinds)


def require_options(
    what: str, maker: Callable[..., Any], options: Mapping[str, Any], fixed: int = 0, others: Sequence[str] = ()
) -> None:
    """BadInput where an option is unknown, or is not of the declared type or in range; the nearest name is said.

    Args:
        what: what the options are of, for messages.
        maker: what they will be given to. Options that it declares without a type are only required to be plain.
        options: values that are no plain ones, such as masks that were built already, are passed over.
        fixed: arguments that come before the options.
        others: arguments by name that are no options.
    """
    accepted, typed = [name for name in accepts(maker)[fixed:] if name not in others], _typed(_unwrapped(maker))
    known = [name for name in accepted if name in typed or name in NAMED]
    for option, value in options.items():
        if option not in accepted or (is_plain(value) and option not in known):
            raise unknown(f"option of {what}", option, known)
    plain = {name: value for name, value in options.items() if is_plain(value)}
    for name, value in plain.items():
        require_plain(f"{name} of {what}", value)
    as_type(plain, _declared(_unwrapped(maker)), what, f"its options: {', '.join(known) or 'none'}")


def is_plain(value: Any) -> bool:
    """Whether a value is of a kind that YAML has."""
    return value is None or isinstance(value, bool | int | float | str | list | tuple | Mapping)


def require_plain(what: str, value: Any, depth: int = 0) -> None:
    """BadInput where numbers are not finite or too large, or texts, lists and mappings too long or too deep."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise BadInput(f"{what} must have at most 64 bits, its sign included, got {value.bit_length() + 1}")
    if isinstance(value, float) and not isfinite(value):
        raise BadInput(f"{what} must be finite, got {value}")
    if isinstance(value, str | list | tuple | Mapping) and len(value) > LONGEST:
        raise BadInput(f"{what} must have at most {LONGEST:,} entries or characters, got {len(value):,}")
    if depth > DEEPEST:
        raise BadInput(f"{what} must have at most {DEEPEST} lists within each other, got {shortened(value)}")
    for entry in _entries(value):
        require_plain(what, entry, depth + 1)


def _entries(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list | tuple):
        yield from value


def _unwrapped(maker: Callable[..., Any]) -> Callable[..., Any]:
    """What a partial is of."""
    function: Callable[..., Any] = getattr(maker, "func", maker)
    return function


@cache
def _typed(maker: Callable[..., Any]) -> frozenset[str]:
    """The options of a class or function that plain values can be given for: no tensor, network or schedule is one."""
    return frozenset(name for name in accepts(maker) if _schema(name, *_hinted(maker, name)) is not NoneType)


def _hinted(maker: Callable[..., Any], name: str) -> tuple[Any, bool]:
    """The declared type, and whether what has none that is plain takes None alone."""
    return _hints(maker).get(name, Any), maker.__module__.split(".")[0] in ("evenodds", "torch")


@cache
def _declared(maker: Callable[..., Any]) -> Any:
    """A record with the options of a class or function, of their types and within their ranges; none is required."""
    fields = [(name, _schema(name, *_hinted(maker, name)), None) for name in accepts(maker)]
    return msgspec.defstruct("Options", fields, kw_only=True)


@cache
def _hints(maker: Callable[..., Any]) -> dict[str, Any]:
    """The declared types; one that cannot be resolved, as one that only type checkers import, is left out."""
    function = maker.__init__ if inspect.isclass(maker) else maker
    scope = _scope(maker)
    hints = {}
    for name, annotation in getattr(function, "__annotations__", {}).items():
        try:
            hints[name] = get_type_hints(_Holder(annotation), scope)["it"]
        except Exception:
            continue
    return hints


def _scope(maker: Callable[..., Any]) -> dict[str, Any]:
    """The names that annotations may use: a dataclass inherits fields whose types only their own module imports."""
    scope: dict[str, Any] = {}
    for home in (*reversed(getattr(maker, "__mro__", ())), maker):
        scope |= getattr(sys.modules.get(home.__module__), "__dict__", {})
    return scope


class _Holder:
    """One annotation, as `get_type_hints` takes it."""

    def __init__(self, annotation: Any) -> None:
        self.__annotations__ = {"it": annotation}


def _schema(name: str, hint: Any, strict: bool) -> Any:
    """The type that plain values of an option must have.

    Args:
        strict: whether a type that nothing plain has takes None alone, and not whatever is plain.
    """
    plain = _plain(name, hint)
    return plain if plain is not None else NoneType if strict else Any


def _plain(name: str, hint: Any) -> Any:
    """The plain part of a type, its numbers within the range of the name; None where nothing plain is in it."""
    if hint is bool:
        return bool | Literal[0, 1]
    if hint is float and name not in RANGES:
        return hint
    if hint in (int, float):
        low, high = RANGES.get(name, (-LARGEST_WHOLE, LARGEST_WHOLE))
        return Annotated[hint, msgspec.Meta(ge=low, le=high)]
    if hint in (str, NoneType, Any, None):
        return hint
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        members = [plain for one in arguments if (plain := _plain(name, one)) is not None]
        return reduce(or_, members) if members else None
    if origin is Literal:
        return hint
    if origin is tuple:
        inner = [one if one is ... else _plain(name, one) for one in arguments]
        return GenericAlias(tuple, tuple(inner)) if None not in inner else None
    if origin in (list, Sequence):
        inner = _plain(name, arguments[0])
        return GenericAlias(list, (inner,)) if inner is not None else None
    if origin in (dict, Mapping) and arguments[0] is str:
        inner = _plain(name, arguments[1])
        return GenericAlias(dict, (str, inner)) if inner is not None else None
    return None
