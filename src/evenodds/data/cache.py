"""What was decoded of folders and archives of images, kept for the next run that reads them unchanged.

Each reading has one file, see `evenodds.files.kept`, with what takes a pass through all values, such as the
fingerprint. It is known by the place of the images and the options of reading, and only taken where names, sizes and
times of all files are those of then; that of another version is written anew.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
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
from evenodds.files import kept
from evenodds.files.extras import installed
from evenodds.files.read import as_type, parse_json
from evenodds.version import __version__

__all__ = ["through_cache"]

_FORMAT = 4
_SETTLED = 2.0  # Seconds for which files must be unchanged: the coarsest times of file systems.
_FACTS = "facts."  # Before the names of tensors that follow from the others.


def through_cache(path: Path, reader: str, options: Mapping[str, Any], read: Callable[[], Dataset]) -> Dataset:
    """What `read` gives, taken from an earlier reading where nothing has changed, and kept where that pays.

    Args:
        path: the folder or archive that is read.
        reader: its name.
        options: of the reader, those that decide the result.
    """
    say = kept.told()
    words = _words(path, reader, options) if say is not None else None
    if say is None or words is None:
        return read()
    place, files = kept.place_of(words), _state(path)
    words = f"{words} {files.digest}"
    if (earlier := _taken(place, words)) is not None:
        say(f"images: as decoded before, from {place} (--no-cache decodes them anew)")
        return earlier
    begun, at = time.perf_counter(), time.time()
    settled = at - files.newest >= _SETTLED
    with _noting(place.with_name(f"{place.stem}-notes.safetensors"), words, settled):
        dataset = read()
    if dataset.items is not None:
        return dataset
    if time.perf_counter() - begun >= kept.WORTH and at - files.newest >= _SETTLED and _state(path) == files:
        with suppress(OSError):  # The next run then decodes again.
            _keep(dataset, place, words)
            say(f"images: kept as decoded in {place} (--no-cache keeps nothing)")
    return dataset


@contextmanager
def _noting(place: Path, words: str, settled: bool) -> Iterator[None]:
    """Within it, what is found out of items that are read when asked for is noted for the next reading."""
    notes: Notes = _Noted(place, words) if settled else {}
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
    """

    def __init__(self, place: Path, words: str) -> None:
        super().__init__((kept.taken(place, words) or ({}, ""))[0])
        self._place, self._words = place, words

    def update(self, notes: Mapping[str, Tensor]) -> None:  # type: ignore[override]
        """Adds notes, and writes all of them down; where that cannot be, the next reading finds out again."""
        super().update(notes)
        with suppress(OSError):
            kept.keep(self._place, self._words, {name: tensor.contiguous() for name, tensor in self.items()})


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

    units: Units
    classes: tuple[str, ...]
    names: tuple[str, ...]
    report: tuple[str, ...]
    conditions: Conditions | None = None
    beside: dict[str, _BesideCard] = field(default_factory=dict)


def _taken(place: Path, words: str) -> Dataset | None:
    """The data set of an earlier reading; None where there is none that fits, or it is damaged."""
    if (found := kept.taken(place, words)) is None:
        return None
    tensors, card = found
    try:
        return _dataset(tensors, as_type(parse_json(card.encode(), str(place)), _Card, str(place)))
    except (BadInput, LookupError, ValueError, TypeError):
        return None


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


def _keep(dataset: Dataset, place: Path, words: str) -> None:
    """Writes the file; OSError where it cannot be kept."""
    parts = {"x": dataset.x, "y": dataset.y, "c": dataset.c, "groups": dataset.groups, "apart": dataset.apart}
    parts |= {f"beside.{name}": one.values for name, one in dataset.beside.items()}
    parts |= {f"{_FACTS}{name}": part for name, part in as_notes(dataset.facts, dataset.head).items()}
    tensors = {name: _as_stored(part) for name, part in parts.items() if part is not None}
    plain = {"units": dataset.units.to_json(), "classes": dataset.classes, "names": dataset.names}
    conditions = None if dataset.conditions is None else dataset.conditions.to_json()
    beside = {name: _card_of(one) for name, one in dataset.beside.items()}
    card = {**plain, "report": dataset.report, "conditions": conditions, "beside": beside}
    kept.keep(place, words, tensors, json.dumps(card))


def _card_of(beside: Beside) -> dict[str, Any]:
    parts = {"units": beside.units, "palette": beside.palette}
    return {name: None if part is None else part.to_json() for name, part in parts.items()}
