"""The inputs and outputs of a file, and what its metadata begin with; torch is not needed to read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evenodds.errors import BadInput
from evenodds.files.read import parse_json

__all__ = ["ADVICE", "ANY_SIZE", "BATCH", "FILLINGS", "FORMAT", "Entry", "answer_names", "content_of", "require_format"]

FORMAT = "evenodds-model-1"
"""The first word of the metadata; files with another one are not evenodds'."""
BATCH = "batch"
FILLINGS = "fillings"
"""The name of the axis of the fillings of a row."""
ANY_SIZE = ("height", "width")
"""The names of the axes that may have any length."""
ADVICE = "take a file that `evenodds export` wrote"


@dataclass(frozen=True)
class Entry:
    """An input or output.

    Args:
        dtype: float32, uint8 or int64.
        shape: lengths, and names of those that are free.
    """

    name: str
    dtype: str
    shape: tuple[str | int, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} ({', '.join(map(str, self.shape))})"


def require_format(words: Mapping[str, str], where: str) -> None:
    """BadInput where evenodds did not write these metadata."""
    if words.get("format") != FORMAT or "evenodds" not in words:
        have = ", ".join(sorted(words)[:5]) or "none"
        raise BadInput(f"{where} must have the metadata format={FORMAT} and evenodds, it has {have[:80]}; {ADVICE}")


def answer_names(outputs: Sequence[Entry]) -> list[str]:
    """What a task calls the outputs of a file that fills: what is filled is its `x`."""
    return ["x" if one.name == "filled" else one.name for one in outputs]


def content_of(words: Mapping[str, str], where: str) -> Any:
    """The plain values of the entry "evenodds" of the metadata; BadInput where evenodds did not write them."""
    require_format(words, where)
    return parse_json(words["evenodds"].encode(), f"{where}, metadata", ADVICE)
