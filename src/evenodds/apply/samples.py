"""Samples and walks of a run as files: pictures, folders, arrays, tables. torch is not imported here."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from evenodds.data.part_names import LABELS, SAMPLES, label_column
from evenodds.errors import BadInput
from evenodds.files.lock import locked
from evenodds.files.memory import require_room
from evenodds.files.names import real, safe_names
from evenodds.files.outputs import Outputs, owned, require_owned, require_writable
from evenodds.files.text import csv_text, quoted
from evenodds.files.write import write_text
from evenodds.runs.sample_picture import sample_picture
from evenodds.show import pictures

if TYPE_CHECKING:
    from evenodds.runs.session import Session

__all__ = [
    "requested_labels", "require_not_the_data",
    "require_picture_place", "require_places", "table_rows", "table_text",
    "write_arrays", "write_samples", "write_walk",
]  # fmt: skip

_SINGLE = partial(owned, command="sample")


def requested_labels(session: Session, n: int, name: str | None, per_class: int | None, seed: int) -> list[int] | None:
    """The classes of the samples that are asked for; None where the run is not conditional on classes.

    Args:
        n: how many, where nothing else says so.
        name: all of this class.
        per_class: so many of every class, class by class.
    """
    if name is not None and per_class is not None:
        raise BadInput("--class asks for one class and --per-class for all; give one of them")
    _require_room(session, n if per_class is None else per_class * max(1, len(session.card.classes)))
    if per_class is not None and per_class < 1:
        raise BadInput(f"--per-class needs at least 1, got {per_class}")
    if name is not None or per_class is not None:
        session.conditions.require_by_class()
    if per_class is not None:
        return [k for k in range(len(session.card.classes)) for _ in range(per_class)]
    drawn = session.conditions.sampled_classes(n, seed)
    return [session.card.class_number(name)] * n if name is not None else None if drawn is None else drawn.tolist()


COPIES = 3
"""Arrays of all samples that there are at once: the blocks, what becomes of them, and the file."""


def _require_room(session: Session, n: int) -> None:
    """BadInput where the memory does not hold n samples."""
    needed = COPIES * 4 * n * prod(session.card.shape)
    require_room(f"{n:,} samples", needed, "draw fewer with -n, several times with other --seed")


def write_samples(
    session: Session,
    x: Any,
    y: Sequence[int] | None = None,
    *,
    grid: Path | None = None,
    folder: Path | None = None,
    npz: Path | None = None,
    columns: int | None = None,
    c: NDArray[Any] | None = None,
) -> list[Path]:
    """Writes samples, with their classes where there are any, in every form that is named; returns the paths.

    What this command did not write is not replaced. Files of an earlier call in `folder` are removed.

    Args:
        x: as `Session.numbers` gives them.
        c: (N, K) the attributes or values, in their own units, by which rows of a table were asked for.
        columns: of the grid; about the square root of the number of samples where None.
        npz: the file to write, of exactly this name.

    Raises:
        BadInput: a file that is there is the user's, see evenodds.files.outputs; nothing is written then.
        Busy: another process or thread writes to `folder`; see evenodds.files.lock.
    """
    require_places(session, grid=grid, folder=folder, npz=npz)
    with locked(folder, "sample") if folder is not None else nullcontext():
        placed = _in_folder(session, len(x), y, folder) if folder is not None else None
        written = []
        if grid is not None:
            written.append(pictures.write(grid, sample_picture(session.card, x, columns), _SINGLE))
        if placed is not None:
            written.append(placed.write(session, x, y, c))
        if npz is not None:
            with owned(npz, "sample") as temporary, temporary.open("wb") as file:  # of a path, numpy changes the name
                write_arrays(file, session, x, y)
            written.append(npz)
        return written


def require_places(
    session: Session, *, grid: Path | None = None, folder: Path | None = None, npz: Path | None = None
) -> None:
    """BadInput where samples must not be written to one of these, before they are drawn."""
    for flag, path in (("--grid", grid), ("--npz", npz)):
        if path is not None:
            require_owned(path, "sample", flag)
    if grid is not None:
        require_not_the_data(session, grid.parent)
    if folder is not None:
        require_not_the_data(session, folder)
        require_writable(folder, "name another folder with --folder")
        if folder.exists() and not folder.is_dir():
            raise BadInput(f"samples need a folder, got the file {folder}; name another one with --folder")


def require_picture_place(session: Session, path: Path, command: str, inputs: Sequence[str | Path | None] = ()) -> None:
    """BadInput where a picture would replace what the command did not write, an input, or join the run's data."""
    require_owned(path, command, inputs=inputs)
    require_not_the_data(session, path.parent)


def require_not_the_data(session: Session, folder: Path) -> None:
    """BadInput where a folder is, or lies in, the folder of the run's data, which would become other data by pictures.

    The folder of the run may lie in its data: it is not read with them.
    """
    data, to = session.config.data, real(folder)
    place = Path(data.name) if data is not None else None
    if to.is_relative_to(real(session.folder)):
        return
    if place is not None and place.is_dir() and to.is_relative_to(real(place)):
        raise BadInput(f"{folder} is in {place}, the data of the run; name a folder outside for what is made")


@dataclass(frozen=True)
class _Placed:
    """Samples and the files that they become, in a folder in which all of them may be written.

    Args:
        names: of the files, relative to the folder.
        stale: files of an earlier call that are no longer among them.
    """

    outputs: Outputs
    names: Sequence[str]
    stale: Sequence[Path]

    def write(self, session: Session, x: Any, y: Sequence[int] | None, c: NDArray[Any] | None) -> Path:
        """Writes all files and removes the stale ones; returns what the user looks for: the folder, or the table."""
        first = self.outputs.folder / self.names[0]
        if session.card.kind == "image":
            self._write_pictures(session, x, y)
        else:
            with self.outputs.replaced(first) as temporary:
                write_text(temporary, table_text(session, x, y, c))
        for path in self.stale:
            self.outputs.remove(path)
        return self.outputs.folder if session.card.kind == "image" else first

    def _write_pictures(self, session: Session, x: Any, y: Sequence[int] | None) -> None:
        folder, classes = self.outputs.folder, session.card.classes
        pixels = x if x.dtype == np.uint16 else session.card.eight_bit(x)  # the latter changes no full 8 bit
        for k, (name, picture) in enumerate(zip(self.names, pixels, strict=False)):
            place = partial(self.outputs.replaced, of=None if y is None else classes[y[k]])
            pictures.write(folder / name, picture, place)
        if y is not None:
            rows = [(name, classes[k]) for name, k in zip(self.names, y, strict=False)]
            with self.outputs.replaced(folder / LABELS) as temporary:
                write_text(temporary, csv_text([("name", "class"), *rows]))


def _in_folder(session: Session, n: int, y: Sequence[int] | None, folder: Path) -> _Placed:
    """One PNG per image, in folders by class and with a labels.csv where there are classes; or one CSV for a table."""
    outputs = Outputs(folder, "sample --folder", "name another folder with --folder, or move it away")
    names = [SAMPLES]
    if session.card.kind == "image":
        folders = [f"{name}/" for name in safe_names(session.card.classes)]
        names = [f"{'' if y is None else folders[y[k]]}{k:06d}.png" for k in range(n)]
        names += [] if y is None else [LABELS]
    current = set(names)
    stale = [path for path in outputs.earlier() if path.relative_to(folder).as_posix() not in current]
    outputs.require([*(folder / name for name in names), *stale])
    return _Placed(outputs, names, stale)


def table_text(session: Session, x: Any, y: Sequence[int] | None, c: NDArray[Any] | None) -> str:
    """The rows as CSV, as `table_rows` gives them."""
    return csv_text(table_rows(session, x, y, c), session.card.delimiter)


def table_rows(session: Session, x: Any, y: Sequence[int] | None, c: NDArray[Any] | None) -> list[Sequence[str]]:
    """The names of the columns, then the cells of each row, as the file of the data spells them.

    What rows were asked for by, and their classes, are among them, in the order of the data's own columns.
    """
    card = session.card
    names = list(card.columns or (f"x{k}" for k in range(x.shape[1])))
    columns = list(zip(*card.texts(x), strict=True))
    if c is not None and card.conditions is not None:
        names += card.conditions.names
        columns += card.conditions.texts(c)
    if y is not None:
        names.append(label_column(card.header, names))
        columns.append(tuple(card.classes[k] for k in y))
    order = sorted(range(len(names)), key=lambda k: card.header.index(names[k]) if names[k] in card.header else k)
    return [[names[k] for k in order], *zip(*(columns[k] for k in order), strict=True)]


def write_arrays(file: BinaryIO, session: Session, x: Any, y: Sequence[int] | None) -> None:
    """Samples as a file of arrays: x in the data's own units, and y, the names of their classes."""
    labels: dict[str, Any] = {} if y is None else {"y": np.asarray(session.card.classes)[list(y)]}
    np.savez_compressed(file, x=_storable(session, x), **labels)


def _storable(session: Session, x: Any) -> Any:
    """Samples as an array without objects: of a table with words or dates, its cells as they are spelled."""
    plain = session.card.cells(x[:1]).dtype != object
    return x if plain else np.array(session.card.texts(x))


def require_film(session: Session) -> None:
    """BadInput where a walk cannot be shown: a run's data are no images."""
    if session.card.kind != "image":
        raise BadInput(
            f"a walk shows images, and this run makes {session.card.noun}; "
            f"draw some: evenodds sample {quoted(session.folder)}"
        )


def write_walk(session: Session, path: Path, steps: int = 48, stops: int = 4, seed: int = 0) -> Path:
    """A latent walk: an animation, or a strip where the file is a PNG."""
    require_film(session)
    frames = session.card.eight_bit(session.walk(steps, stops, seed))
    return pictures.film(path, frames, -(-steps // stops), partial(owned, command="walk"))
