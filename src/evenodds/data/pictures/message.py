"""What a process decoded, as bytes for another one: JSON that describes it, then the bytes of its arrays."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from evenodds.data.pictures.partners import Partners
from evenodds.data.pictures.picture import DecodedImage, Frames
from evenodds.files.read import parse_json

__all__ = ["packed", "unpacked"]

_KINDS: dict[str, Any] = {"image": DecodedImage, "partners": Partners, "frames": Frames}
_PLAIN = {type(None), bool, int, float, str}  # Of what a small image holds, most: it is taken as it is, without a call.
_LENGTH = 4  # Bytes that tell how long the JSON is.


def packed(values: list[Any]) -> bytes:
    """The message that holds values: None, numbers, text, bytes, arrays, mappings, tuples, decoded images, partners."""
    parts: list[bytes] = []
    described = json.dumps([_described(value, parts) for value in values]).encode()
    return b"".join([len(described).to_bytes(_LENGTH, "little"), described, *parts])


def unpacked(message: bytes) -> list[Any]:
    """The values of a message. Arrays can be written to; what else they are is as it was."""
    end = _LENGTH + int.from_bytes(message[:_LENGTH], "little")
    rest = _Rest(message, end)
    return [_restored(value, rest) for value in parse_json(message[_LENGTH:end], "what a process decoded")]


class _Rest:
    """The bytes behind the JSON, in their order."""

    def __init__(self, message: bytes, at: int) -> None:
        self._message, self._at = memoryview(message), at

    def next(self, length: int) -> memoryview:
        self._at += length
        return self._message[self._at - length : self._at]


def _described(value: Any, parts: list[bytes]) -> Any:
    """JSON for a value; bytes go to `parts`."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        parts.append(value.tobytes())
        return {"array": [value.dtype.str, value.shape, len(parts[-1])]}
    if isinstance(value, bytes):
        parts.append(value)
        return {"bytes": len(value)}
    if isinstance(value, dict):
        return {"mapping": [[_described(part, parts) for part in pair] for pair in value.items()]}
    kind = next((name for name, cls in _KINDS.items() if isinstance(value, cls)), "tuple")
    return {kind: [part if type(part) in _PLAIN else _described(part, parts) for part in value]}


def _restored(value: Any, rest: _Rest) -> Any:
    """The value that JSON and bytes describe."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "array":
        dtype, shape, length = content
        return np.frombuffer(rest.next(length), dtype).reshape(shape).copy()
    if kind == "bytes":
        return bytes(rest.next(content))
    if kind == "mapping":
        return {_restored(key, rest): _restored(part, rest) for key, part in content}
    restored = [_restored(part, rest) if type(part) is dict else part for part in content]
    return _KINDS[kind](*restored) if kind in _KINDS else tuple(restored)
