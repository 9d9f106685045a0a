"""What an ONNX file holds, read before any library opens it: it may name no other file and no operators of its own.

An ONNX file is a message of protocol buffers: fields of a number, a kind and a value, some of which are messages again
(onnx.proto of the ONNX project; the encoding is that of Protocol Buffers, "Encoding").
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from evenodds.errors import BadInput
from evenodds.export.entry import require_format
from evenodds.files.regular import read_regular, refusal

__all__ = ["DIGEST", "graph_digest", "metadata_in", "read_model"]

DIGEST = "graph_sha256"
"""The entry of the metadata that holds `graph_digest`."""

LARGEST = 2**31
"""Bytes of a file of one part: messages of protocol buffers have no more."""
Value = int | memoryview
_PARTS: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 8: "opset", 14: "word", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 9: "opset", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""The fields of a message that are messages again."""
_EXTERNAL = {13, 14}
"""Of a tensor: where in another file its numbers are, and whether they are in one."""
_DOMAINS = (b"", b"ai.onnx")
_DEEPEST = 64
_GRAPH = 7
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5


def metadata_in(content: bytes, where: str) -> dict[str, str]:
    """The metadata of an ONNX file.

    Args:
        where: the file, for messages.

    Raises:
        BadInput: it is no ONNX file, names other files, or has operators that ONNX does not define.
    """
    words: dict[str, str] = {}
    try:
        has_graph = any(number == _GRAPH for number, _ in _fields(memoryview(content)))
        _walk(memoryview(content), "model", words, where, 0)
    except (IndexError, UnicodeDecodeError, _Broken) as error:
        raise BadInput(f"{where} must be a whole ONNX file, and is not; export it again") from error
    if not has_graph:
        raise BadInput(f"{where} must be an ONNX file with a graph, and has none; export it again")
    return words


def read_model(path: Path) -> tuple[dict[str, str], bytes]:
    """The metadata of a file, and its bytes.

    Raises:
        BadInput: it is no regular file, no ONNX file as `metadata_in` asks for, or was changed since it was written.
    """
    if reason := refusal(path):
        raise BadInput(f"cannot read {path}: it is {reason}; name a file that `evenodds export` wrote")
    content = read_regular(path, LARGEST)
    words = metadata_in(content, str(path))
    require_format(words, str(path))
    if words.get(DIGEST) != graph_digest(content, str(path)):
        raise BadInput(f"{path} was changed or damaged since it was written; export it again")
    return words, content


def graph_digest(content: bytes, where: str) -> str:
    """The SHA-256 of the graph of an ONNX file, in hexadecimal digits: it tells that a file was damaged or changed."""
    digest = hashlib.sha256()
    try:
        for number, value in _fields(memoryview(content)):
            if number == _GRAPH:
                digest.update(_content(value))
    except (IndexError, _Broken) as error:
        raise BadInput(f"{where} must be a whole ONNX file, and is not; export it again") from error
    return digest.hexdigest()


class _Broken(Exception):
    """The bytes are no message."""


def _walk(message: memoryview, kind: str, words: dict[str, str], where: str, depth: int) -> None:
    if depth > _DEEPEST:
        raise _Broken
    if kind == "word":
        entry = {number: bytes(_content(value)).decode() for number, value in _fields(message)}
        words[entry.get(1, "")] = entry.get(2, "")
        return
    for number, value in _fields(message):
        if kind == "tensor" and number in _EXTERNAL and value != 0:
            raise BadInput(f"{where} names another file for its numbers, which is not opened; make it one file")
        if (kind, number) in (("node", 7), ("opset", 1)) and bytes(_content(value)) not in _DOMAINS:
            raise BadInput(f"{where} has operators of its own, and those of ONNX alone are run; export it again")
        part = _PARTS.get(kind, {}).get(number)
        if part is not None:
            _walk(_content(value), part, words, where, depth + 1)


def _content(value: Value) -> memoryview:
    if isinstance(value, int):
        raise _Broken
    return value


def _fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """(number, value) of each field."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        value: Value = 0
        if kind == _VARINT:
            value, at = _varint(message, at)
        elif kind in (_EIGHT, _FOUR):
            at += 8 if kind == _EIGHT else 4
        elif kind == _BYTES:
            length, at = _varint(message, at)
            value, at = message[at : at + length], at + length
        else:
            raise _Broken
        if at > len(message):
            raise _Broken
        yield number, value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise _Broken
