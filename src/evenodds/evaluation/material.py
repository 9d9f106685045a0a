"""What an evaluation looks at: samples, the real items that judge them, further real items for the floor."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.data.part_names import SAMPLES
from evenodds.data.peek import peek
from evenodds.data.sources import load as load_data
from evenodds.data.sources import load_like, options_of
from evenodds.data.units import Units
from evenodds.data.wording import not_like
from evenodds.errors import BadInput
from evenodds.game.engine import pick_device
from evenodds.game.seeds import mix
from evenodds.runs.card import LEAST_HELD_OUT, LEAST_OTHERS, SPLIT_SEED
from evenodds.runs.folder_facts import is_run
from evenodds.runs.run_data import RunSettings, open_run_data, read_settings
from evenodds.runs.session import Session, load

__all__ = ["Material", "gather", "opened"]

Reading = Callable[[int, int], None]
FLOOR_ITEMS = 10_000
"""At most so many real items are set apart for the floor, at most half of those at hand."""
PER_ITEM = 8
"""Times its size as it is stored that the memory of an item is counted: it is looked at in floats."""


@dataclass(frozen=True)
class Material:
    """All that an evaluation looks at. Reference, floor and fitting items are disjoint."""

    fake: Tensor
    """(N, C, H, W) or (N, D) in [-1, 1]: the samples that are judged."""
    real: Dataset
    """The reference: held out from the run, or half of the data."""
    floor: Dataset
    """Further real items: they take the samples' place to measure the real-versus-real floor."""
    fitting: Dataset
    """Real items that a classifier of features may learn from."""
    fake_labels: Tensor | None = None
    """(N,) int64, numbers of `real.classes`; where the samples came with labels."""
    train: Dataset | None = None
    """What the generator was trained on; None where that is not known."""
    train_names: tuple[str, ...] = ()
    """The file, or the position in the data, of each training item."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    """Where networks that judge are fitted and asked: that of the run, where there is one."""
    session: Session | None = None
    """The run that drew the samples; None for samples of any other tool."""
    subject: dict[str, Any] = field(default_factory=dict)
    reference: dict[str, Any] = field(default_factory=dict)
    resized: str = "none"
    """What was done to the samples' size."""
    rows: Tensor | None = None
    """(N, D) the samples of a table with columns in the data's own numbers, as they came; None of other data."""


def gather(
    subject: Any,
    against: Any = None,
    *,
    run_data: Any = None,
    train: Any = None,
    n: int = 10_000,
    seed: int = 0,
    checkpoint: str = "last",
    device: str = "auto",
    reading: Reading | None = None,
    most_pixels: int | None = None,
) -> Material:
    """Opens samples and real data, and says who plays which part.

    Args:
        subject: a Session, a run's folder, or samples: a folder or archive of images, .npz, .npy, .csv, an array.
        against: real data: a source, a path, an array or Dataset, or a run's folder, whose data and split are taken.
            None for the data of the run that is judged. A run's held-out items are the reference; other data are cut
            into halves, always the same ones.
        run_data: where the data of the run lie now that is judged, or is named by `against`; None for where they were.
        train: what the samples' generator was trained on, where it is no run of evenodds: needed to look for copies.
            A run's folder names what that run was trained on.
        n: at most so many samples and so many items of the reference.
        seed: of the samples of a run.
        checkpoint: of the run.
        device: of the run's players, and of the networks that judge.
        most_pixels: of a picture among the samples and the data; larger ones are not decoded. None: 89,478,485.
    """
    if n < 1:
        raise BadInput(f"n must be at least 1, got {n}")
    subject = opened(subject, checkpoint, device)
    session = subject if isinstance(subject, Session) else None
    if session is None and checkpoint != "last":
        raise BadInput(f"--checkpoint is of a run, and {_path(subject)} holds samples; leave --checkpoint out")
    if session is not None:
        session.require_samples()
    else:
        options_of(subject)  # what cannot be read is said before anything else is opened
    if run_data is not None and session is None and not is_run(against):
        raise BadInput("--data says where the data of a run lie, and no run was named; name real data with --against")
    if most_pixels is not None:
        _require_pictures([None if session is not None else subject, against, train])
    _require_one_kind(session, subject, against)
    home, data = _data(session, against, run_data, reading, most_pixels)
    if home is not None:
        rest, held_out = data.split(home.config.held_out, SPLIT_SEED)
        held_out = held_out[_parted(len(held_out), 0, SPLIT_SEED)[0]]
        role = "held-out items of the run"
    else:
        rest, held_out = _parted(len(data), len(data) // 2, SPLIT_SEED)
        role = "one half of the data; the other half measures the floor"
    if len(held_out) < LEAST_HELD_OUT or len(rest) < LEAST_OTHERS:
        found = f"{len(held_out)} and {len(rest)}"
        raise BadInput(
            f"judging needs at least {LEAST_HELD_OUT} items held out and {LEAST_OTHERS} others, got {found}; name more "
            "real data of the kind with --against, or train on more"
        )
    pool, real = data.take(rest), data.take(_first(held_out, n)).in_memory()
    fit, floor = _parted(len(pool), min(FLOOR_ITEMS, len(pool) // 2), 1)
    trained = _training(session, home, data, rest, train, run_data, reading, most_pixels)
    role += _sampled(data, fit, len(trained[1]), len(rest))
    count = min(n, len(floor))
    fake, rows, labels, resized, what = _fakes(session, subject, data, count, seed, reading, most_pixels)
    of_run = run_data or (home.config.data.name if home is not None and home.config.data is not None else None)
    place = _path(of_run if against is None else against)
    return Material(
        fake,
        real,
        pool.take(_first(floor, n)).in_memory(),
        pool.take(_first(fit, _most(pool))).in_memory(),
        labels,
        *trained,
        session.device if session is not None else pick_device(device),
        session,
        what,
        {"path": place, "kind": data.kind, "shape": list(data.x.shape[1:]), "items": len(real), "role": role},
        resized,
        rows,
    )


def _require_pictures(sources: Sequence[Any]) -> None:
    """BadInput where none of what is read has a limit on the size of its pictures: a run's own data keep theirs."""
    if not any(one is not None and not is_run(one) and "most_pixels" in options_of(one) for one in sources):
        raise BadInput(
            "--most-pixels is of files of pictures among the samples or after --against or --train, and there are "
            "none: the data of a run are read as they were for it; leave --most-pixels out"
        )


def _require_one_kind(session: Session | None, subject: Any, against: Any) -> None:
    """BadInput where samples and real data are plainly of two kinds, rows and images: nothing of either is read yet."""
    card = session.card if session is not None else None
    samples = card.shape if card is not None else _glimpsed(subject)
    named = read_settings(against).card if is_run(against) else None
    real = named.shape if named is not None else _glimpsed(against)
    if samples is None or real is None or len(samples) == len(real):
        return
    if session is not None:
        raise not_like_run(session, real)
    raise not_like("the samples", samples, real)


def _glimpsed(source: Any) -> tuple[int, ...] | None:
    """The shape of an item of a file or folder by its headers; None where they do not tell it."""
    if not isinstance(source, str | os.PathLike) or (Path(source) / SAMPLES).is_file():
        return None
    glimpse = peek(os.fspath(source))
    return None if glimpse is None else glimpse.shape


def not_like_run(session: Session, shape: Sequence[int]) -> BadInput:
    """The error for real data of another shape than a run makes."""
    return BadInput(f"the run makes {session.card.shape}, the data are {tuple(shape)}; name data of that shape")


def _most(data: Dataset) -> int:
    """So many items at most are looked at of data that are read when asked for; of others, all."""
    if data.items is None:
        return len(data)
    return max(FLOOR_ITEMS, data.items.memory // (PER_ITEM * max(1, data.item_bytes)))


def _sampled(data: Dataset, fit: Tensor, trained: int, rest: int) -> str:
    """Of what only a part is looked at, as the end of a sentence; empty where all is."""
    parts = {"to fit judges on": (min(len(fit), _most(data)), len(fit)), "to look for copies of": (trained, rest)}
    fewer = [f"{part:,} of {whole:,} items {why}" for why, (part, whole) in parts.items() if 0 < part < whole]
    return f"; as all do not fit into memory, evenly spread: {', '.join(fewer)}" if fewer else ""


def opened(subject: Any, checkpoint: str, device: str) -> Any:
    """The session of a run's folder; all else as it is."""
    return subject if isinstance(subject, Session) or not is_run(subject) else load(subject, checkpoint, device)


def _data(
    session: Session | None,
    against: Any,
    run_data: Any,
    reading: Reading | None,
    most_pixels: int | None,
) -> tuple[Session | RunSettings | None, Dataset]:
    """The real data, and the run whose split of them holds: the one named, or the one that was trained on them."""
    home = session if against is None else read_settings(against) if is_run(against) else None
    if home is None and against is None:
        raise BadInput("samples are judged against real data; name them with --against: a folder, an array, or a run")
    if home is None:
        takes = most_pixels is not None and "most_pixels" in options_of(against)
        limit: dict[str, Any] = {"most_pixels": most_pixels} if takes else {}
        if session is not None and session.card.kind == "image":  # files of other sizes are brought to the run's
            form = {"size": session.card.shape[1:], "channels": session.card.shape[0]}
            limit |= {name: value for name, value in form.items() if name in options_of(against)}
        if session is not None and session.card.units.columns:
            data = load_like(against, session.card, "the real data", reading)
        else:
            data = load_data(against, progress=reading, **limit)
        return (session if session is not None and _trained_on(session) == data.fingerprint() else None), data
    advice = "name data with --against, or say where those of before lie with --data"
    return home, open_run_data(home.config, home.card, run_data, reading, advice)


def _trained_on(session: Session) -> str | None:
    fingerprint = session.card.fingerprint
    return fingerprint


def _parted(n: int, second: int, seed: int) -> tuple[Tensor, Tensor]:
    """n rows in random order, as n - second and second of them.

    In random order, since data often come sorted and some scores compare one half with the other. Not by strata: parts
    with equal shares of every class are more alike than independent draws are.
    """
    order = torch.randperm(n, generator=torch.Generator().manual_seed(mix(seed, 5)))
    return order[second:], order[:second]


def _first(index: Tensor, n: int) -> Tensor:
    """At most n of them: always the same ones, spread evenly."""
    return index if len(index) <= n else index[torch.linspace(0, len(index) - 1, n).round().long()]


def _training(
    session: Session | None,
    home: Session | RunSettings | None,
    data: Dataset,
    rest: Tensor,
    train: Any,
    run_data: Any,
    reading: Reading | None,
    most_pixels: int | None,
) -> tuple[Dataset | None, tuple[str, ...]]:
    """What the generator was trained on, with the name of each item."""
    if train is not None:
        if is_run(train):
            run = read_settings(train)
            advice = "name those of before with --train"
            data = open_run_data(run.config, run.card, reading=reading, advice=advice)
            trained, _ = data.split(run.config.held_out, SPLIT_SEED)
            return _taken(data, _first(trained, _most(data)))
        items = load_like(train, data, "the training data", reading, most_pixels, several=True)
        items = items if len(items) <= _most(items) else items.take(_first(torch.arange(len(items)), _most(items)))
        return items, items.names or tuple(map(str, range(len(items))))
    if session is not None and session is not home:
        data = open_run_data(session.config, session.card, run_data, reading)
        rest, _ = data.split(session.config.held_out, SPLIT_SEED)
    elif home is None:
        return None, ()
    return _taken(data, _first(rest, _most(data)))


def _taken(data: Dataset, rows: Tensor) -> tuple[Dataset, tuple[str, ...]]:
    """Some items, with the name of each."""
    return data.take(rows), tuple(data.names[i] if data.names else str(i) for i in rows.tolist())


def _fakes(
    session: Session | None,
    subject: Any,
    data: Dataset,
    count: int,
    seed: int,
    reading: Reading | None,
    most_pixels: int | None,
) -> tuple[Tensor, Tensor | None, Tensor | None, str, dict[str, Any]]:
    """The samples in [-1, 1], also as rows in own numbers where they are of a table, their labels, what was done to
    their size, and what they are."""
    if session is not None:
        if session.card.shape != data.shape:
            raise not_like_run(session, data.shape)
        numbers = session.numbers(count, seed)
        x, rows = session.card.to_model(numbers), torch.from_numpy(numbers) if data.units.columns else None
        what = {"kind": "run", "path": str(session.folder), "items": len(x), "images_seen": session.images}
        drawn = session.conditions.sampled_classes(count, seed)
        labels = None if drawn is None or session.card.classes != data.classes else torch.from_numpy(drawn)
        return x, rows, labels, "none", {**what, "seed": seed}
    samples = load_like(subject, data, "the samples", reading, most_pixels, several=True)
    chosen = _first(torch.arange(len(samples)), count)
    resized = "resized" if any("esized" in line for line in samples.report) else "none"
    what = {"kind": "samples", "path": _path(subject), "items": len(chosen), "images_seen": None, "seed": None}
    what |= {"notes": list(samples.report[1:])} if samples.report[1:] else {}
    own = samples.take(chosen).in_memory("the samples").x
    x, rows = _units(samples, data).to_model(own), own if data.units.columns else None
    return x, rows, _labels(samples, data, chosen), resized, what


def _units(samples: Dataset, data: Dataset) -> Units:
    """Those of the samples, which must be of the data's depth."""
    if samples.units.dtype != data.units.dtype:
        low, high = float(samples.x.min()), float(samples.x.max())
        ours = f"{data.units.dtype} in [{min(data.units.low):g}, {max(data.units.high):g}]"
        raise BadInput(
            f"the samples are {samples.units.dtype} in [{low:g}, {high:g}], the data {ours}; save the samples in the "
            "data's own units"
        )
    return samples.units


def _labels(samples: Dataset, data: Dataset, chosen: Tensor) -> Tensor | None:
    """The samples' labels as numbers of the data's classes; -1 for a class that the data lack."""
    if samples.y is None or data.y is None:
        return None
    numbers = [data.classes.index(name) if name in data.classes else -1 for name in samples.classes]
    table = torch.tensor([*numbers, -1])
    return table[samples.y[chosen]]


def _path(source: Any) -> str:
    return (
        str(source) if isinstance(source, str | os.PathLike) else f"array of {np.shape(getattr(source, 'x', source))}"
    )
