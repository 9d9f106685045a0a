"""What took long to make is kept for the next time: safetensors files in `data/` of the cache folder.

That folder is $EVENODDS_CACHE, else "evenodds" in the user's cache. Each file says what it is of, with checksums. It
holds numbers and JSON alone; what is damaged, of another user, or of something else is passed over and written anew.
Only the user can read it. All of them take a bounded number of bytes: those unused for the longest time go first.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from evenodds.errors import BadInput
from evenodds.files.cache import cache_folder
from evenodds.files.tensors import read_tensors_and_words, write_tensors
from evenodds.files.write import replaced

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MOST_BYTES", "WORTH", "caching", "keep", "place_of", "taken", "told"]

MOST_BYTES = 8 << 30
"""Of all that is kept, where EVENODDS_CACHE_GIB says nothing else."""
WORTH = 1.0
"""Seconds of making from which on it is kept."""
_SPARE = 2  # Times the size of what is kept that must be free on the disk.

Say = Callable[[str], None]


def _silent(line: str) -> None:
    pass


_SAY: ContextVar[Say | None] = ContextVar("who is told where something is kept; None: nothing is", default=_silent)


@contextmanager
def caching(on: bool = True, say: Say = _silent) -> Iterator[None]:
    """Within it, what took long to make is kept and taken, or not.

    Args:
        say: told where, in one line.
    """
    token = _SAY.set(say if on else None)
    try:
        yield
    finally:
        _SAY.reset(token)


def told() -> Say | None:
    """Who is told where something is kept; None where nothing is."""
    return _SAY.get() if _most_bytes() else None


def _most_bytes() -> int:
    """Of all that is kept; 0: nothing is."""
    given = os.environ.get("EVENODDS_CACHE_GIB", "")
    if not given:
        return MOST_BYTES
    try:
        gib = float(given)
    except ValueError:
        gib = -1.0
    if not 0 <= gib < 2**20:
        raise BadInput(f"EVENODDS_CACHE_GIB needs a number of GiB from 0, which keeps nothing, got {given[:40]!r}")
    return int(gib * 2**30)


def place_of(words: str) -> Path:
    """The file of what is known by these words; it may not be there."""
    return cache_folder() / "data" / f"{sha256(words.encode()).hexdigest()[:32]}.safetensors"


def taken(place: Path, words: str) -> tuple[dict[str, Tensor], str] | None:
    """The tensors and the text that `keep` has written under these words; None where there is nothing such, or it is
    damaged."""
    try:
        status = os.lstat(place)
        if not stat.S_ISREG(status.st_mode) or (hasattr(os, "getuid") and status.st_uid != os.getuid()):
            return None
        tensors, beside = read_tensors_and_words(place)
        text = beside.get("text", "")
        if (beside["words"], beside["sums"]) != (words, _sums(tensors, text)):
            return None
    except (BadInput, OSError, LookupError, ValueError, TypeError):
        return None
    with suppress(OSError):  # what was not used for the longest time is removed first
        os.utime(place)
    return tensors, text


def keep(place: Path, words: str, tensors: Mapping[str, Tensor], text: str = "") -> None:
    """Writes contiguous tensors and a text, which only the user can read, after room was made for them.

    Raises:
        OSError: they cannot be kept.
    """
    beside = {"words": words, "sums": _sums(tensors, text)} | ({"text": text} if text else {})
    most, needed = _most_bytes(), sum(tensor.nbytes for tensor in tensors.values()) + sum(map(len, beside.values()))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.parent.chmod(0o700)
    if needed > most:
        raise OSError("no room, whatever is removed")
    _make_room(place.parent, most - needed)
    if _SPARE * needed > shutil.disk_usage(place.parent).free:
        raise OSError("no room")
    with replaced(place) as temporary:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        write_tensors(tensors, temporary, beside)
        temporary.chmod(0o600)


def _sums(tensors: Mapping[str, Tensor], text: str) -> str:
    """The CRC-32 of each contiguous tensor by its name, and of a text by none."""
    sums = {name: zlib.crc32(tensor.numpy().reshape(-1).view("uint8").data) for name, tensor in tensors.items()}
    return json.dumps(dict(sorted((sums | ({"": zlib.crc32(text.encode())} if text else {})).items())))


def _make_room(folder: Path, most: int) -> None:
    """Removes files, those unused for the longest time first, to at most so many bytes."""
    with os.scandir(folder) as entries:
        kept = [entry for entry in entries if entry.name.endswith(".safetensors")]
        files = [(entry.stat(follow_symlinks=False), entry.path) for entry in kept]
    left = sum(status.st_size for status, _ in files)
    for status, path in sorted(files, key=lambda file: file[0].st_mtime_ns):
        if left <= most:
            return
        Path(path).unlink(missing_ok=True)
        left -= status.st_size
