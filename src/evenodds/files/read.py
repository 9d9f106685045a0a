"""Structured files are read as values of a declared type: bounded in size and depth, and nothing in them is executed.

JSON files, files of JSON lines and YAML files all go through here. What cannot be read is a `BadInput` of one sentence:
the file, the place in it, what was needed, what came, what to do next.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
import yaml

from evenodds.errors import BadInput
from evenodds.files.misfit import misfit, shortened, with_keys
from evenodds.files.regular import NotRegular, read_regular

__all__ = [
    "Lines",
    "as_type",
    "decoded_text",
    "parse_json",
    "parse_yaml",
    "read_json",
    "read_json_lines",
    "read_yaml",
    "then",
]

T = TypeVar("T")

MOST_JSON = 2**27
"""Bytes of a JSON file, or of a file of JSON lines."""
MOST_LINE = 2**20
"""Bytes of a line of JSON."""
DEEPEST_JSON = 32
"""Objects and lists within each other, in JSON."""
LONGEST_NUMBER = 40
"""Characters of a number in JSON; integers have at most 19 digits."""
RESTORE = "restore the file from a copy"

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\Z)', re.DOTALL)
_AS_SQUARE = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def then(advice: str) -> str:
    """What to do, as the end of a sentence; nothing where there is nothing to do."""
    return f"; {advice}" if advice else ""


# JSON ----------------------------------------------------------------------------------------------------------------


def read_json(
    path: Path, kind: type[T], advice: str = RESTORE, fields: type[Any] | None = None, most: int = MOST_JSON
) -> T:
    """The value of a JSON file.

    Args:
        path: the file, in UTF-8.
        kind: what it must hold: a dataclass, `dict[str, float]`, `list[...]` and so on. Keys that a dataclass does not
            have are passed over, so that files of later versions can be read.
        advice: what to do where it cannot be read; nothing is said of it where it is empty.
        fields: a type that the value must be of too, where `kind` is a mapping that keeps every key, or a list of such.
        most: bytes that it may have.

    Raises:
        BadInput: it is no regular file, is too large, is not JSON in UTF-8, is nested more than 32 deep, has a number
            that is not finite or has more than 64 bits, or holds something else than `kind`.
    """
    content = _content(path, most, advice)
    return _checked(parse_json(content, str(path), advice), kind, fields, str(path), advice)


def _checked(value: Any, kind: type[T], fields: type[Any] | None, where: str, advice: str) -> T:
    """Plain values as `kind`, with the fields of another type too."""
    typed = as_type(value, kind, where, advice)
    if fields is not None:
        as_type(value, fields, where, advice)
    return typed


def parse_json(content: bytes, where: str, advice: str = "") -> Any:
    """The plain value of a JSON text, see `read_json`.

    Args:
        where: where the text is from, for messages.
    """
    return _parsed(decoded_text(content, where, advice), where, advice)


def as_type(value: Any, kind: type[T], where: str, advice: str = RESTORE) -> T:
    """Plain values as `kind`, see `read_json`.

    Args:
        where: where the values are from, for messages.

    Raises:
        BadInput: they are something else; the message names the place.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise BadInput(
            f"{where}{misfit(with_keys(str(error), value, partial(_fits, kind)), value)}{then(advice)}"
        ) from error
    except (OverflowError, RecursionError) as error:
        raise BadInput(f"{where} holds values that are too large: {error}{then(advice)}") from error
    except UnicodeEncodeError as error:
        raise BadInput(f"{where} has {shortened(error.object)} in the place of a number{then(advice)}") from error


def _fits(kind: Any, value: Any) -> bool:
    """Whether a value fits its type."""
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, OverflowError, RecursionError, UnicodeEncodeError):
        return False
    return True


@dataclass(frozen=True)
class Lines(Generic[T]):
    """What a file of JSON lines holds.

    Args:
        values: of the lines that could be read, in their order.
        damaged: how many lines could not be read. A last line that was cut short is not among them.
        first: what is wrong with the first of these.
    """

    values: Sequence[T] = ()
    damaged: int = 0
    first: str = ""

    @property
    def complaint(self) -> str:
        """How many lines are damaged, and what is wrong with the first; empty where none is."""
        lines = "1 line is" if self.damaged == 1 else f"{self.damaged:,} lines are"
        return f"{lines} damaged and left out ({self.first})" if self.damaged else ""


def read_json_lines(
    path: Path, kind: type[T], advice: str = RESTORE, fields: type[Any] | None = None, most: int = MOST_JSON
) -> Lines[T]:
    """The values of a file with one JSON value in each line; lines that cannot be read are passed over and counted.

    A last line without an end is what a process leaves that was killed while it wrote: it is left out uncounted where
    it cannot be read. A file that is not there has no lines.

    Args:
        kind, fields: what each line must hold, see `read_json`.
        most: bytes that the file may have.

    Raises:
        BadInput: it is no regular file, or too large.
    """
    if not os.path.lexists(path):
        return Lines()
    texts = _content(path, most, advice).removeprefix(b"\xef\xbb\xbf").split(b"\n")
    values: list[T] = []
    complaints: list[str] = []
    for k, text in enumerate(texts, 1):
        if not text.strip():
            continue
        try:
            values.append(_line(text, kind, fields, f"{path}, line {k}"))
        except BadInput as error:
            if k < len(texts):
                complaints.append(str(error))
    return Lines(values, len(complaints), complaints[0] if complaints else "")


def _line(text: bytes, kind: type[T], fields: type[Any] | None, where: str) -> T:
    """The value of one line."""
    if len(text) > MOST_LINE:
        raise BadInput(f"{where} has {len(text):,} bytes, at most {MOST_LINE:,} are read")
    return _checked(parse_json(text, where), kind, fields, where, "")


def _parsed(content: str, where: str, advice: str) -> Any:
    """The plain value of a JSON text."""
    try:
        value = _DECODER.decode(content)
        _require_shallow(content)
        return value
    except json.JSONDecodeError as error:
        place = f", line {error.lineno}, column {error.colno}" if content.strip() else ""
        what = "is not valid JSON" if content.strip() else "is empty"
        raise BadInput(f"{where}{place} {what}{_excerpt(content, error.pos)}{then(advice)}") from error
    except RecursionError as error:
        raise BadInput(f"{where} is nested too deep, at most {DEEPEST_JSON} are read{then(advice)}") from error
    except ValueError as error:
        raise BadInput(f"{where}: {error}{then(advice)}") from error


def _excerpt(content: str, position: int) -> str:
    """What stands where JSON ends to be valid."""
    if not content.strip():
        return ""
    return f": {shortened(content[position : position + 12])} came" if content[position:].strip() else ": it ends early"


def _require_shallow(content: str) -> None:
    """ValueError where objects and lists of a valid JSON text lie too deep within each other."""
    if content.count("[") + content.count("{") <= DEEPEST_JSON:
        return
    brackets = _STRING.sub(b"", content.encode(errors="replace")).translate(_AS_SQUARE, _NO_BRACKETS)
    for _ in range(DEEPEST_JSON):
        brackets = brackets.replace(b"[]", b"")  # takes the innermost away
    if brackets:
        raise ValueError(f"at most {DEEPEST_JSON} objects and lists may lie within each other")


def _whole(text: str) -> int:
    if len(text) > 20 or not -(2**63) <= (value := int(text)) < 2**63:
        raise ValueError(f"whole numbers have at most 64 bits, got {shortened(text)}")
    return value


def _real(text: str) -> float:
    if len(text) > LONGEST_NUMBER or not isfinite(value := float(text)):
        raise ValueError(f"numbers are finite and have at most {LONGEST_NUMBER} characters, got {shortened(text)}")
    return value


def _constant(text: str) -> float:
    raise ValueError(f"numbers must be finite, got {text}")


_DECODER = json.JSONDecoder(parse_int=_whole, parse_float=_real, parse_constant=_constant)


# Text ----------------------------------------------------------------------------------------------------------------


def _content(path: Path, most: int, advice: str) -> bytes:
    """All bytes of a regular file; BadInput where there are more than `most`, or it cannot be read."""
    try:
        return read_regular(path, most)
    except NotRegular as error:
        raise BadInput(f"cannot read {path}: it is {error.reason}{then(advice)}") from error


def decoded_text(content: bytes, where: str, advice: str = "") -> str:
    """The text of a file in UTF-8; BadInput that names another encoding."""
    one_in_two = {not any(content[:8:2]), not any(content[1:8:2])} == {True, False} and len(content) > 3
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or one_in_two:
        raise BadInput(f"{where} must be in UTF-8, and is in UTF-16{then(advice)}")
    if b"\0" in content:
        raise BadInput(f"{where} must be text, and has null bytes from byte {content.index(0):,} on{then(advice)}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        actual = f"byte 0x{content[error.start]:02x} in line {line:,} is not (Latin-1, perhaps)"
        raise BadInput(f"{where} must be in UTF-8, and {actual}{then(advice)}") from error


# YAML ----------------------------------------------------------------------------------------------------------------

MOST_YAML = 2**18
"""Bytes of a YAML document."""
DEEPEST_YAML = 16
"""Mappings and lists within each other, in YAML."""
MOST_DIGITS = 40
"""Characters of an integer: 2^128 has 39 digits."""
LARGEST = 2**63
"""Integers lie between the negative of it and it."""

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str")}


class _Loader(_Base):  # type: ignore[misc]
    """Null, booleans, numbers, strings, lists and mappings; keys of a mapping are strings, each written once.

    What looks like a date is a string.
    """

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(problem=f"keys are words, got {key!r:.40}", problem_mark=key_node.start_mark)
            if key in mapping:
                raise yaml.MarkedYAMLError(problem=f"{key!r:.40} is there twice", problem_mark=key_node.start_mark)
            mapping[key] = self.construct_object(value_node, deep=True)
        return mapping

    def construct_number(self, node: Any) -> int | float:
        """An integer or a float within the range of either."""
        text = node.value.replace("_", "").lstrip("+-")
        whole = node.tag.endswith(":int")
        value: int | float | None = None
        if len(text) <= MOST_DIGITS:
            value = self.construct_yaml_int(node) if whole else self.construct_yaml_float(node)
        elif not whole and ":" not in text:
            value = float(node.value.replace("_", ""))
        if value is None or not isfinite(value) or (whole and abs(value) >= LARGEST):
            raise yaml.MarkedYAMLError(
                problem=f"numbers are finite and within 64 bits, got {node.value!r:.40}", problem_mark=node.start_mark
            )
        return value


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in _PLAIN]
    for first, resolvers in _Base.yaml_implicit_resolvers.items()
}
_Loader.yaml_constructors = {
    **{tag: _Base.yaml_constructors[tag] for tag in _PLAIN},
    "tag:yaml.org,2002:seq": _Base.yaml_constructors["tag:yaml.org,2002:seq"],
    "tag:yaml.org,2002:map": _Base.yaml_constructors["tag:yaml.org,2002:map"],
    "tag:yaml.org,2002:int": _Loader.construct_number,
    "tag:yaml.org,2002:float": _Loader.construct_number,
}


def read_yaml(path: Path, advice: str = "save it as text in UTF-8") -> Any:
    """The plain value that a YAML file holds; see `parse_yaml`.

    Args:
        advice: what to do where its text cannot be read.

    Raises:
        BadInput: the file cannot be read, is larger than 256 KiB, or is not such a document.
    """
    return parse_yaml(decoded_text(_content(path, MOST_YAML, advice), str(path), advice), str(path))


def parse_yaml(text: str, where: str) -> Any:
    """The plain value of a YAML document: None, bool, int, float, str, list or dict.

    Args:
        text: at most 256 KiB, with at most 16 mappings and lists within each other, without anchors, aliases and tags.
        where: its name, for messages.

    Raises:
        BadInput: with the line, where the text is not such a document, a key is written twice, or a number is not
            finite or has more than 64 bits.
    """
    if len(text) > MOST_YAML:
        raise BadInput(f"{where} must have at most {MOST_YAML // 1024} KiB; is it the right file?")
    try:
        text.encode()
        _require_plain(text)
        return yaml.load(text, Loader=_Loader)
    except UnicodeEncodeError as error:
        raise BadInput(f"{where} must be text, got {text[error.start]!r}, which no encoding has") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise BadInput(f"{where}{line} is not valid YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInput(f"{where} is not valid YAML: {' '.join(str(error).split())}") from error


def _require_plain(text: str) -> None:
    """YAMLError for what makes a short document large or executes something, before anything is built of it."""
    depth = 0
    for event in yaml.parse(text, Loader=_Base):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            _refuse(event, "anchors and aliases (& and *) are not read; write the value out")
        tag = getattr(event, "tag", None)
        if isinstance(event, yaml.NodeEvent) and tag not in (None, "!"):
            _refuse(event, f"tags such as {tag!r:.40} are not read; leave it out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST_YAML:
            _refuse(event, f"at most {DEEPEST_YAML} mappings and lists lie within each other")


def _refuse(event: Any, problem: str) -> None:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
