"""Structured files are read as plain values: bounded in size and depth, and nothing in them is executed."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from evenodds.errors import BadInput

__all__ = ["parse_yaml", "read_yaml"]

MOST_BYTES = 2**18
"""Bytes of a YAML document."""
MOST_DEPTH = 16
"""Mappings and lists within each other."""
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
                raise yaml.MarkedYAMLError(problem=f"'{key:.40}' is there twice", problem_mark=key_node.start_mark)
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


def read_yaml(path: Path) -> Any:
    """The plain value that a YAML file holds; see `parse_yaml`.

    Raises:
        BadInput: the file cannot be read, is larger than 256 KiB, or is not such a document.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    try:
        return parse_yaml(content.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} must be text in UTF-8, got the byte {content[error.start]:#04x}; save it so") from error


def parse_yaml(text: str, where: str) -> Any:
    """The plain value of a YAML document: None, bool, int, float, str, list or dict.

    Args:
        text: at most 256 KiB, with at most 16 mappings and lists within each other, without anchors, aliases and tags.
        where: its name, for messages.

    Raises:
        BadInput: with the line, where the text is not such a document, a key is written twice, or a number is not
            finite or has more than 64 bits.
    """
    if len(text) > MOST_BYTES:
        raise BadInput(f"{where} must have at most {MOST_BYTES // 1024} KiB; is it the right file?")
    try:
        text.encode()
        _check(text)
        return yaml.load(text, Loader=_Loader)
    except UnicodeEncodeError as error:
        raise BadInput(f"{where} must be text, got {text[error.start]!r}, which no encoding has") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise BadInput(f"{where}{line} is not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise BadInput(f"{where} is not valid YAML: {' '.join(str(error).split())}") from error


def _check(text: str) -> None:
    """YAMLError for what makes a short document large or executes something, before anything is built of it."""
    depth = 0
    for event in yaml.parse(text, Loader=_Base):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            _refuse(event, "anchors and aliases (& and *) are not read; write the value out")
        tag = getattr(event, "tag", None)
        if isinstance(event, yaml.NodeEvent) and tag not in (None, "!"):
            _refuse(event, f"tags such as {tag!r:.40} are not read; leave it out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            _refuse(event, f"at most {MOST_DEPTH} mappings and lists lie within each other")


def _refuse(event: Any, problem: str) -> None:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
