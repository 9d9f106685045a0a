"""Files of tensors are read whole or refused: safetensors alone, in which nothing can execute."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from evenodds.errors import BadInput
from evenodds.files.read import RESTORE, parse_json, then
from evenodds.files.regular import open_regular, refusal, size_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["bytes_by_name", "digest_of", "has_declared_size", "read_tensors", "read_tensors_and_words", "write_tensors"]

MOST_HEADER = 10**8
"""Bytes of a header, as safetensors itself limits it."""
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""How safetensors names an error of the system."""


def write_tensors(tensors: Mapping[str, Tensor], path: Path, words: Mapping[str, str] | None = None) -> None:
    """Writes a safetensors file that those may read who may read other files: safetensors itself lets only its owner.

    A file that is there keeps its mode.

    Args:
        tensors: by name; contiguous, and none shares memory with another.
        words: by name, to be written beside them.

    Raises:
        OSError: it cannot be written, as the disk is full, say.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)
    try:
        save_file(dict(tensors), path, None if words is None else dict(words))
    except SafetensorError as error:
        number = _OS_ERROR.search(str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), path.name) from error
    path.chmod(mode)


def digest_of(values: Iterable[Tensor]) -> str:
    """The SHA-256 of tensors, in their order."""
    import torch

    digest = hashlib.sha256()
    for value in values:
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def has_declared_size(path: Path) -> bool:
    """Whether a regular file is as long as its safetensors header says; nothing but the header is read."""
    try:
        with open_regular(path) as file:
            size = size_of(file)
            length, header = _header(file, path)
        ends = [offsets[1] for offsets in _places(header).values()]
        return bool(size == 8 + length + max(ends, default=0))
    except (BadInput, OSError, TypeError, LookupError, AttributeError):
        return False


def bytes_by_name(content: bytes, path: Path) -> dict[str, bytes]:
    """The bytes of each tensor in the content of a safetensors file, by name; torch is not needed.

    Args:
        path: of the file, for messages.

    Raises:
        BadInput: the header is no JSON.
        LookupError, TypeError, ValueError: it is not what safetensors writes.
    """
    length, header = _header(BytesIO(content), path)
    begin = 8 + length
    return {name: content[begin + first : begin + last] for name, (first, last) in _places(header).items()}


def _places(header: Any) -> dict[str, tuple[int, int]]:
    """Of each tensor, where its bytes begin and end behind the header."""
    return {name: entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"}


def _header(file: BinaryIO, path: Path) -> tuple[int, Any]:
    """The length of the header in bytes, and what it says, of a file that is read from its beginning."""
    length = int.from_bytes(file.read(8), "little")
    return length, parse_json(file.read(min(length, MOST_HEADER)), str(path))


def read_tensors(path: Path, advice: str = RESTORE, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """The tensors of a safetensors file by name, see `read_tensors_and_words`."""
    return read_tensors_and_words(path, advice, device)[0]


def read_tensors_and_words(
    path: Path, advice: str = RESTORE, device: torch.device | str = "cpu"
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file by name, and the words by name that were written beside them.

    Args:
        advice: what to do where it cannot be read.
        device: where the tensors go.

    Raises:
        BadInput: it is no regular file, is cut short, or is no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    if reason := refusal(path):
        raise BadInput(f"cannot read {path}: it is {reason}{then(advice)}")
    try:
        if any("\ud800" <= character <= "\udfff" for character in str(path)):  # the library opens no such path
            return _of_bytes(path, device)
        with safe_open(path, "pt", str(device)) as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
            return tensors, dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError, LookupError, TypeError, RuntimeError, MemoryError) as error:
        reason = " ".join(str(error).split())[:100]
        raise BadInput(f"{path} must be a whole safetensors file, and is not ({reason}){then(advice)}") from error


def _of_bytes(path: Path, device: torch.device | str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The same, of a file whose path is not UTF-8: it is read into memory first."""
    from safetensors.torch import load

    with open_regular(path) as file:
        content = file.read()
    tensors = {name: tensor.to(device) for name, tensor in load(content).items()}
    header = _header(BytesIO(content), path)[1]
    return tensors, header.get("__metadata__") or {}
