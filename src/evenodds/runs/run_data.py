"""The data of a run: where they lie now, and whether they are those that it was trained on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from evenodds.data.dataset import Dataset
from evenodds.data.facts import block
from evenodds.data.sources import AS_THEY_ARE, options_of
from evenodds.errors import BadInput
from evenodds.files.names import is_there, real
from evenodds.files.write import write_text
from evenodds.runs.card import SPLIT_SEED, DataCard, read_card
from evenodds.runs.config import Config, require_allowed
from evenodds.runs.config_files import read
from evenodds.runs.folder_facts import require_run
from evenodds.runs.reading import is_held, layout_for, open_data, read_held
from evenodds.runs.values import ELSEWHERE, IN_MEMORY, Part

__all__ = [
    "Elsewhere",
    "RunSettings",
    "block_sums",
    "data_of",
    "data_place",
    "differences",
    "named_place",
    "open_run_data",
    "read_settings",
    "same_data",
    "write_config",
]

Reading = Callable[[int, int], None]


class Elsewhere(BadInput):
    """The data of a run are not where they were."""


LISTED = 3
"""Names that are shown of a longer list."""


@dataclass(frozen=True)
class RunSettings:
    """What a run was trained on and how, without its networks."""

    config: Config
    card: DataCard


def named_place(config: Config, data: Any = None) -> str:
    """Where the data of a run are said to lie; empty where it names none.

    Args:
        data: where they lie now; None, or the data themselves, for where they were.
    """
    if isinstance(data, str | os.PathLike):
        return os.fspath(data)
    return config.data.name if config.data is not None else ""


def read_settings(run: str | Path) -> RunSettings:
    """Those of a run's folder; it needs no checkpoint.

    Raises:
        BadInput: there is no run, its files cannot be read, or it names code of a module that is not allowed.
    """
    folder = require_run(run)
    config = read(folder / "config.yaml")
    require_allowed(config, str(folder / "config.yaml"))
    return RunSettings(config, read_card(folder))


def write_config(folder: Path, config: Config) -> None:
    """Writes config.yaml where it does not say the same already: comments, order and spelling of the user stay.

    The path of the data is relative to the folder where both have a folder in common.
    """
    path = folder / "config.yaml"
    if not (os.path.lexists(path) and read(path) == config):
        write_text(path, replace(config, data=_relative(config.data, folder)).to_yaml())


def _relative(data: Part | None, folder: Path) -> Part | None:
    """The data with a path that begins with ./ or ../ where that is possible."""
    if data is None or not Path(data.name).is_absolute():
        return data
    target, home = Path(data.name), real(folder)
    if target.drive != home.drive or os.path.commonpath([target, home]) == target.anchor:
        return data
    path = Path(os.path.relpath(target, home)).as_posix()
    return replace(data, name=path if path.startswith("../") else f"./{path}")


def data_place(config: Config) -> str | None:
    """The absolute path of the data; None of data that are no path."""
    return config.data.name if config.data is not None and Path(config.data.name).is_absolute() else None


def data_of(config: Config, card: DataCard | None, advice: str) -> Path:
    """The path of the data of a run.

    Args:
        advice: what helps where they are at no path, or not there.

    Raises:
        BadInput: they are not at a path that is there.
    """
    data = _at(config, card, None, advice).data
    if data is None or data.name in (IN_MEMORY, ELSEWHERE):
        raise Elsewhere(f"the data of this run are not at hand; {advice}")
    return Path(data.name)


def open_run_data(
    config: Config, card: DataCard | None, data: Any = None, reading: Reading | None = None, advice: str = ""
) -> Dataset:
    """The data that a run was trained on, and no others.

    Args:
        config: of the run.
        card: what the run knows of its data; None where it has written nothing yet.
        data: where they lie now, or an array or data set; None for the place in the configuration.
        reading: told (files done, files in all).
        advice: what helps where the data are not there, or are others, in place of naming them with --data.

    Raises:
        BadInput: they are not there, or are others; the message says in what they differ.
    """
    at = _at(config, card, data, advice)
    dataset = _opened(at, data, reading)
    if card is None:
        return dataset
    if same_data(card, dataset):
        return _as_held_out(card, dataset)
    before = _BEFORE if len(dataset) == card.items else ()
    one_part = _ONE_PART if dataset.apart is not None and len(dataset) > (card.items or 0) else ()
    for options in (*before, *one_part):
        otherwise = _read_as(at, data, reading, options)
        if otherwise is not None and same_data(card, otherwise):
            return _as_held_out(card, otherwise)
    raise _others(config, card, dataset, data, advice)


_BEFORE: tuple[dict[str, Any], ...] = (
    {**AS_THEY_ARE, "types": "plain", "splits": "ignore", "unlabelled": -1},
    {**AS_THEY_ARE, "types": "plain", "splits": "ignore", "labels": False},
)
"""How readers took data before they looked for ranges, types and splits, and before -1 was a class."""
_ONE_PART: tuple[dict[str, Any], ...] = ({"splits": "train"}, {**AS_THEY_ARE, "splits": "train"})
"""How they took pairs and maps before folders to test on, beside those to train on, were held out."""


def _as_held_out(card: DataCard, dataset: Dataset) -> Dataset:
    """The data, held out of them what the run held out, however data are split today, and seen by players as then:
    words were numbers to those that fill tables."""
    if card.has_gaps and dataset.has_gaps and card.columns == dataset.columns:
        dataset = replace(dataset, units=card.units)
    unknown_part = not card.held_out and card.trained_on != len(dataset)
    if unknown_part or max(card.held_out, default=0) >= len(dataset):
        return dataset
    apart = torch.zeros(len(dataset), dtype=torch.bool)
    apart[list(card.held_out)] = True
    return replace(dataset, apart=apart)


def _opened(at: Config, data: Any, reading: Reading | None, options: Mapping[str, Any] | None = None) -> Dataset:
    """The data of a run, or those that are said to be it; with further options, of which those count that it takes."""
    if data is not None and is_held(data):
        typed = at.data.options if at.data is not None and at.data.name == IN_MEMORY else {}
        options = _taken(data, at.task, {**typed, **(options or {})})
        return read_held(replace(at, data=Part(IN_MEMORY, options)), data)
    if options and at.data is not None and at.data.name != IN_MEMORY:
        taken = {**at.data.options, **_taken(at.data.name, at.task, options)}
        at = replace(at, data=replace(at.data, options=taken))
    return open_data(at, reading)


def _taken(source: Any, task: Part, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the options that what reads a source for a task takes."""
    known = options_of(source, layout_for(source, task))
    return {key: value for key, value in options.items() if key in known}


def _read_as(at: Config, data: Any, reading: Reading | None, options: Mapping[str, Any]) -> Dataset | None:
    """The data read with these options; None where they cannot be."""
    try:
        return _opened(at, data, reading, options)
    except BadInput:
        return None


def _at(config: Config, card: DataCard | None, data: Any, advice: str = "") -> Config:
    """The configuration with the place at which the data lie; as it is for data that were handed over."""
    if data is not None:
        part = config.data if config.data is not None else Part("")
        there = isinstance(data, str | os.PathLike)
        return replace(config, data=replace(part, name=os.fspath(data))) if there else config
    if config.data is None or config.data.name in (IN_MEMORY, ELSEWHERE) or _there(config.data.name):
        return config
    before = card.place if card is not None else None
    if before is not None and Path(before).is_absolute() and is_there(before):
        return replace(config, data=replace(config.data, name=before))
    instead = advice or "say where they lie now with --data (in Python: data=)"
    raise Elsewhere(f"the data of this run are not at {config.data.name}; {instead}")


def _there(name: str) -> bool:
    """Whether it is the name of a source, or a path that exists."""
    if is_there(name):
        return True
    try:
        return not Path(name).is_absolute() and options_of(name) is not None
    except BadInput:
        return False


def same_data(card: DataCard, dataset: Dataset) -> bool:
    """Whether these are the data of the run; True too where the run knows no fingerprint."""
    return card.fingerprint in (None, dataset.fingerprint())


def _others(config: Config, card: DataCard, dataset: Dataset, data: Any, advice: str) -> BadInput:
    what = "; ".join(differences(config, card, dataset))
    if data is None:
        head = f"the data of this run have changed since it was trained: {what} (the fingerprint differs)"
        return BadInput(f"{head}; {advice or 'say where the data of before lie with --data (in Python: data=)'}")
    name = str(data) if isinstance(data, str | os.PathLike) else "data="
    return BadInput(f"{name} is not what the run was trained on: {what} (the fingerprint differs); name those data")


def differences(config: Config, card: DataCard, dataset: Dataset) -> list[str]:
    """In what data differ from those of a run: number, size, classes, columns; else which items are others."""
    pairs = [
        (dataset.kind, card.kind, "they are of the kind {}, not {}"),
        (_count(len(dataset)), _count(card.items or None), "they are {} items, not {}"),
        (_size(dataset.shape), _size(card.shape), "an item has the size {}, not {}"),
        (dataset.units.dtype, card.units.dtype, "values are {}, not {}"),
    ]
    lines = [words.format(now, before) for now, before, words in pairs if now != before and before]
    lines += _names("class", dataset.classes, card.classes) + _names("column", dataset.columns, card.columns)
    return lines or _counts(config, card, dataset) or [_which(card, dataset)]


def _count(items: int | None) -> str:
    return f"{items:,}" if isinstance(items, int) else ""


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _names(what: str, now: Sequence[str], before: Sequence[str]) -> list[str]:
    """Names that are there in one alone, or another order."""
    if tuple(now) == tuple(before):
        return []
    new, gone = [name for name in now if name not in before], [name for name in before if name not in now]
    lines = [f"{what} {_enumerated(gone)} missing"] if gone else []
    lines += [f"{what} {_enumerated(new)} new"] if new else []
    return lines or [f"the {what} names are in another order"]


def _enumerated(names: Sequence[str]) -> str:
    first = ", ".join(f"'{name}'" for name in names[:LISTED])
    further = f" and {len(names) - LISTED:,} others" if len(names) > LISTED else ""
    return f"{first}{further} {'is' if len(names) == 1 else 'are'}"


def _counts(config: Config, card: DataCard, dataset: Dataset) -> list[str]:
    """Classes that have another number of training items."""
    before = card.class_counts
    if dataset.y is None or not before or len(before) != len(dataset.classes):
        return []
    labels = dataset.y[dataset.split(config.held_out, SPLIT_SEED)[0]]
    now = torch.bincount(labels[labels >= 0], minlength=len(before)).tolist()
    changed = [(name, a, b) for name, a, b in zip(card.classes, now, before, strict=True) if a != b]
    return [f"class '{name}' has {a:,} items to train on, not {b:,}" for name, a, b in changed[:LISTED]]


def _which(card: DataCard, dataset: Dataset) -> str:
    """The first items that are others."""
    before, now = card.blocks, block_sums(dataset)
    alike = "their number, size and classes are the same, values are not"
    if len(before) != len(now):
        return alike
    others = [k for k, (a, b) in enumerate(zip(now, before, strict=True)) if a != b]
    if not others:
        return f"{alike}, or the units are others"
    first, last = block(others[0], len(dataset))
    name = f" ({dataset.names[first]})" if dataset.names else ""
    place = f"item {first + 1:,}" if last == first + 1 else f"one of the items {first + 1:,} to {last:,}"
    return f"{alike}: the first that differs is {place}{name}; {len(others):,} of {len(now):,} parts differ"


def block_sums(dataset: Dataset) -> list[str]:
    """A checksum, 8 hexadecimal digits, of each of at most 256 parts of consecutive items."""
    return list(dataset.facts.blocks)
