"""Samples and walks of a run as files: pictures, folders, arrays, tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evenodds.errors import BadInput
from evenodds.files.text import csv_text
from evenodds.files.write import replaced, write_text
from evenodds.runs.sample_picture import sample_picture
from evenodds.runs.session import Session
from evenodds.show import pictures

__all__ = ["requested_labels", "write_samples", "write_walk"]


def requested_labels(session: Session, n: int, name: str | None, per_class: int | None, seed: int) -> list[int] | None:
    """The classes of the samples that are asked for; None where the run is not conditional on classes.

    Args:
        n: how many, where nothing else says so.
        name: all of this class.
        per_class: so many of every class, class by class.
    """
    if name is not None and per_class is not None:
        raise BadInput("--class asks for one class and --per-class for all; give one of them")
    if per_class is not None and per_class < 1:
        raise BadInput(f"--per-class needs at least 1, got {per_class}")
    if not session.conditions.by_class and (name is not None or per_class is not None):
        raise BadInput(
            "this run is not conditional on classes, so none can be asked for; train with --set task=condition"
        )
    if per_class is not None:
        return [k for k in range(len(session.card.classes)) for _ in range(per_class)]
    drawn = session.conditions.sampled_classes(n, seed)
    return [session.card.class_number(name)] * n if name is not None else None if drawn is None else drawn.tolist()


def write_samples(
    session: Session,
    x: Any,
    y: Sequence[int] | None = None,
    *,
    grid: Path | None = None,
    folder: Path | None = None,
    npz: Path | None = None,
    columns: int | None = None,
) -> list[Path]:
    """Writes samples, with their classes where there are any, in every form that is named; returns the paths.

    Args:
        columns: of the grid; about the square root of the number of samples where None.
    """
    written = []
    if grid is not None:
        written.append(pictures.write(grid, sample_picture(session.card, x, columns)))
    if folder is not None:
        written.append(_write_folder(session, x, y, folder))
    if npz is not None:
        labels: dict[str, Any] = {} if y is None else {"y": np.asarray(session.card.classes)[list(y)]}
        with replaced(npz if npz.suffix == ".npz" else npz.with_suffix(".npz")) as temporary:
            np.savez_compressed(temporary, x=x, **labels)
        written.append(npz)
    return written


def _write_folder(session: Session, x: Any, y: Sequence[int] | None, folder: Path) -> Path:
    """One PNG per image, in folders by class where there are classes; or one CSV for a table."""
    folder.mkdir(parents=True, exist_ok=True)
    if session.card.kind == "image":
        _write_pictures(session, x, y, folder)
        return folder
    return _write_table(session, x, y, folder / "samples.csv")


def _write_pictures(session: Session, x: Any, y: Sequence[int] | None, folder: Path) -> None:
    pixels = x if x.dtype == np.uint16 else session.card.eight_bit(x)  # the latter changes no full 8 bit
    for k, picture in enumerate(pixels):
        place = folder if y is None else folder / session.card.classes[y[k]]
        pictures.write(place / f"{k:06d}.png", picture)


def _write_table(session: Session, x: Any, y: Sequence[int] | None, path: Path) -> Path:
    columns = session.card.columns or tuple(f"x{k}" for k in range(x.shape[1]))
    labels = [()] * len(x) if y is None else [(session.card.classes[k],) for k in y]
    head = (*columns, *(() if y is None else ("label",)))
    rows = ((*(f"{v:.9g}" for v in row), *label) for row, label in zip(x, labels, strict=True))
    write_text(path, csv_text([head, *rows]))
    return path


def write_walk(session: Session, path: Path, steps: int = 48, stops: int = 4, seed: int = 0) -> Path:
    """A latent walk: an animation, or a strip where the file is a PNG."""
    if session.card.kind != "image":
        raise BadInput(f"a walk shows images; this run's data is a {session.card.kind}, use `evenodds sample --npz`")
    return pictures.film(path, session.card.eight_bit(session.walk(steps, stops, seed)), -(-steps // stops))
