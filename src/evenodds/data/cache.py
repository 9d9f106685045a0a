"""What was decoded of folders and archives of images, kept for the next run that reads them unchanged.

Each reading has one safetensors file in `data/` of the cache folder ($EVENODDS_CACHE, else "evenodds" in the user's
cache), with what takes a pass through all values, such as the fingerprint. It is known by the place of the images and
the options of reading, and only taken where names, sizes and times of all files are those of then. It holds numbers
and JSON alone; what is damaged, of another user or of another version is passed over and written anew. Only the user
can read it.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import PIL
from torch import Tensor

from evenodds.data.conditions import Conditions
from evenodds.data.dataset import Beside, Dataset
from evenodds.data.facts import as_notes, facts_in
from evenodds.data.folders.files import walked
from evenodds.data.items import Notes
from evenodds.data.palette import Palette
from evenodds.data.pictures.fitting import NOTES
from evenodds.data.units import Units
from evenodds.errors import BadInput
from evenodds.files.cache import cache_folder
from evenodds.files.extras import installed
from evenodds.files.read import as_type, parse_json
from evenodds.files.tensors import read_tensors_and_words, write_tensors
from evenodds.files.write import replaced
from evenodds.version import __version__

__all__ = ["MOST_BYTES", "caching", "through_cache"]

MOST_BYTES = 8 << 30
"""Of all that is kept, where EVENODDS_CACHE_GIB says nothing else."""
_FORMAT = 4
_WORTH = 1.0  # Seconds of reading from which on it is kept.
_SETTLED = 2.0  # Seconds for which files must be unchanged: the coarsest times of file systems.
_SPARE = 2  # Times the size of what is kept that must be free on the disk.
_FACTS = "facts."  # Before the names of tensors that follow from the others.

Say = Callable[[str], None]


def _silent(line: str) -> None:
    pass


_SAY: ContextVar[Say | None] = ContextVar("who is told where decoded images are kept; None: none are", default=_silent)


@contextmanager
def caching(on: bool = True, say: Say = _silent) -> Iterator[None]:
    """Within it, decoded images are kept and taken, or not.

    Args:
        say: told where, in one line.
    """
    token = _SAY.set(say if on else None)
    try:
        yield
    finally:
        _SAY.reset(token)


def through_cache(path: Path, reader: str, options: Mapping[str, Any], read: Callable[[], Dataset]) -> Dataset:
    """What `read` gives, taken from an earlier reading where nothing has changed, and kept where that pays.

    Args:
        path: the folder or archive that is read.
        reader: its name.
        options: of the reader, those that decide the result.
    """
    say, most = _SAY.get(), _most_bytes()
    words = _words(path, reader, options) if say is not None and most else None
    if say is None or words is None:
        return read()
    place = cache_folder() / "data" / f"{sha256(words.encode()).hexdigest()[:32]}.safetensors"
    files = _state(path)
    if (earlier := _taken(place, words, files)) is not None:
        say(f"images: as decoded before, from {place} (--no-cache decodes them anew)")
        return earlier
    begun, at = time.perf_counter(), time.time()
    settled = at - files.newest >= _SETTLED
    with _noting(place.with_name(f"{place.stem}-notes.safetensors"), f"{words} {files.digest}", settled, most):
        dataset = read()
    if dataset.items is not None:
        return dataset
    if time.perf_counter() - begun >= _WORTH and at - files.newest >= _SETTLED and _state(path) == files:
        with suppress(OSError):  # The next run then decodes again.
            _keep(dataset, place, words, files, most)
            say(f"images: kept as decoded in {place} (--no-cache keeps nothing)")
    return dataset


@contextmanager
def _noting(place: Path, words: str, settled: bool, most: int) -> Iterator[None]:
    """Within it, what is found out of items that are read when asked for is noted for the next reading."""
    notes: Notes = _Noted(place, words, most) if settled else {}
    token = NOTES.set(notes)
    try:
        yield
    finally:
        NOTES.reset(token)


class _Noted(Notes):
    """Notes that a file holds, too.

    Args:
        place: of the file; what it holds is taken where it is of the same words.
        words: what the notes are of.
        most: bytes that all files of the cache may take.
    """

    def __init__(self, place: Path, words: str, most: int) -> None:
        super().__init__()
        self._place, self._words, self._most = place, words, most
        with suppress(BadInput, OSError, LookupError, ValueError):
            if _is_own(place):
                tensors, told = read_tensors_and_words(place)
                sums = json.dumps({name: _sum(tensor) for name, tensor in sorted(tensors.items())})
                if (told["words"], told["sums"]) == (words, sums):
                    super().update(tensors)

    def update(self, notes: Mapping[str, Tensor]) -> None:  # type: ignore[override]
        """Adds notes, and writes all of them down; where that cannot be, the next reading finds out again."""
        super().update(notes)
        tensors = {name: tensor.contiguous() for name, tensor in self.items()}
        sums = json.dumps({name: _sum(tensor) for name, tensor in sorted(tensors.items())})
        with suppress(OSError):
            needed = sum(tensor.nbytes for tensor in tensors.values())
            _write(self._place, tensors, {"words": self._words, "sums": sums}, needed, self._most)


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


def _words(path: Path, reader: str, options: Mapping[str, Any]) -> str | None:
    """What a reading is known by; None where an option is no plain value."""
    versions = [_FORMAT, __version__, PIL.__version__, installed()]
    try:
        return json.dumps([versions, os.path.realpath(path), reader, dict(sorted(options.items()))])
    except (TypeError, ValueError):
        return None


@dataclass(frozen=True)
class _State:
    """What is known of files without opening them."""

    digest: str
    """Of their names, sizes and times."""
    newest: float
    """When the last of them was changed, in seconds since 1970."""


def _state(path: Path) -> _State:
    told, newest = [], 0
    files = walked(path) if path.is_dir() else iter([("", os.fspath(path))])
    for name, place in sorted(files):
        try:
            status = os.stat(place)
        except (OSError, ValueError):
            told.append(f"{name!r} is not there")
            continue
        # The time of change, which nobody can set, tells files apart that were replaced with all their times.
        modified, changed = status.st_mtime_ns, status.st_ctime_ns
        newest = max(newest, modified, changed)
        told.append(f"{name!r} {status.st_mode} {status.st_size} {modified} {changed}")
    return _State(sha256("\n".join(told).encode()).hexdigest(), newest / 1e9)


# --- one file of it ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _BesideCard:
    """What lies beside the images, without its values."""

    units: Units | None = None
    palette: Palette | None = None


@dataclass(frozen=True)
class _Card:
    """A data set of images without its numbers."""

    reading: str
    """See `_words`."""
    files: str
    """The state of the files."""
    sums: dict[str, int]
    """The CRC-32 of each tensor."""
    units: Units
    classes: tuple[str, ...]
    names: tuple[str, ...]
    report: tuple[str, ...]
    conditions: Conditions | None = None
    beside: dict[str, _BesideCard] = field(default_factory=dict)


def _taken(place: Path, words: str, files: _State) -> Dataset | None:
    """The data set of an earlier reading; None where there is none that fits, or it is damaged."""
    try:
        if not _is_own(place):
            return None
        tensors, told = read_tensors_and_words(place)
        card = as_type(parse_json(told["card"].encode(), str(place)), _Card, str(place))
        if zlib.crc32(told["card"].encode()) != int(told["sum"]) or (card.reading, card.files) != (words, files.digest):
            return None
        if {name: _sum(tensor) for name, tensor in tensors.items()} != card.sums:
            return None
        dataset = _dataset(tensors, card)
    except (BadInput, OSError, LookupError, ValueError, TypeError):
        return None
    with suppress(OSError):
        os.utime(place)  # What was not used for the longest time is removed first.
    return dataset


def _is_own(place: Path) -> bool:
    """Whether it is a file of this user."""
    status = os.lstat(place)
    return stat.S_ISREG(status.st_mode) and (not hasattr(os, "getuid") or status.st_uid == os.getuid())


def _dataset(tensors: Mapping[str, Tensor], card: _Card) -> Dataset:
    beside = {
        name: Beside(_as_shown(tensors[f"beside.{name}"]), one.units, one.palette) for name, one in card.beside.items()
    }
    dataset = Dataset(
        _as_shown(tensors["x"]),
        card.units,
        tensors.get("y"),
        card.classes,
        card.names,
        c=tensors.get("c"),
        conditions=card.conditions,
        beside=beside,
        groups=tensors.get("groups"),
        report=card.report,
        apart=tensors.get("apart"),
    )
    notes = {name.removeprefix(_FACTS): tensor for name, tensor in tensors.items() if name.startswith(_FACTS)}
    if (facts := facts_in(notes, dataset.head)) is not None:
        vars(dataset)["facts"] = facts
    return dataset


def _as_stored(x: Tensor) -> Tensor:
    """Images (N, C, H, W) as (N, H, W, C), as which they lie in memory; others as they are."""
    return (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).contiguous()


def _as_shown(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2) if x.ndim == 4 else x


def _sum(tensor: Tensor) -> int:
    return zlib.crc32(tensor.numpy().reshape(-1).view("uint8").data)


def _keep(dataset: Dataset, place: Path, words: str, files: _State, most: int) -> None:
    """Writes the file, after room was made for it; OSError where it cannot be kept."""
    parts = {"x": dataset.x, "y": dataset.y, "c": dataset.c, "groups": dataset.groups, "apart": dataset.apart}
    parts |= {f"beside.{name}": one.values for name, one in dataset.beside.items()}
    parts |= {f"{_FACTS}{name}": part for name, part in as_notes(dataset.facts, dataset.head).items()}
    tensors = {name: _as_stored(part) for name, part in parts.items() if part is not None}
    sums = {name: _sum(tensor) for name, tensor in tensors.items()}
    plain = {"units": dataset.units.to_json(), "classes": dataset.classes, "names": dataset.names}
    conditions = None if dataset.conditions is None else dataset.conditions.to_json()
    beside = {name: _card_of(one) for name, one in dataset.beside.items()}
    card = {"reading": words, "files": files.digest, "sums": sums, **plain, "report": dataset.report}
    text = json.dumps({**card, "conditions": conditions, "beside": beside})
    needed = sum(tensor.nbytes for tensor in tensors.values()) + len(text)
    _write(place, tensors, {"card": text, "sum": str(zlib.crc32(text.encode()))}, needed, most)


def _write(place: Path, tensors: Mapping[str, Tensor], words: Mapping[str, str], needed: int, most: int) -> None:
    """Writes a file of the cache that only the user can read, after room was made for so many bytes."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.parent.chmod(0o700)
    _make_room(place.parent, most - needed)
    if needed > most or _SPARE * needed > shutil.disk_usage(place.parent).free:
        raise OSError("no room")
    with replaced(place) as temporary:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        write_tensors(tensors, temporary, words)
        temporary.chmod(0o600)


def _card_of(beside: Beside) -> dict[str, Any]:
    parts = {"units": beside.units, "palette": beside.palette}
    return {name: None if part is None else part.to_json() for name, part in parts.items()}


def _make_room(folder: Path, most: int) -> None:
    """Removes files of earlier readings, those unused for the longest time first, to at most so many bytes."""
    with os.scandir(folder) as entries:
        kept = [entry for entry in entries if entry.name.endswith(".safetensors")]
        files = [(entry.stat(follow_symlinks=False), entry.path) for entry in kept]
    left = sum(status.st_size for status, _ in files)
    for status, path in sorted(files, key=lambda file: file[0].st_mtime_ns):
        if left <= most:
            return
        Path(path).unlink(missing_ok=True)
        left -= status.st_size
