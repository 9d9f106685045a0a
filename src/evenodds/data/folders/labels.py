"""Labels of images: from labels.csv, or from the folders in which they lie."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from evenodds.data.conditions import Conditions
from evenodds.data.encoding import encode_conditions, encode_labels
from evenodds.data.folders.label_table import LABELS, label_table
from evenodds.data.part_names import TEST, TRAIN
from evenodds.data.wording import count, listed
from evenodds.errors import BadInput, unknown
from evenodds.files.text import from_cell, quoted

__all__ = ["LABELS", "NO_LABELS", "Labels", "capitals", "from_folders", "from_table", "merged", "untrained"]

CLASS = ("class", "label")
"""Names of the column that holds the class, where there are several columns."""
_YES, _NO = ("true", "yes"), ("false", "no")
"""Cells of attributes, whatever their case."""
FEW_EACH, MANY = 5, 20
"""A single column of numbers holds values where it has more than so many, and fewer images of each on average."""


class Labels(NamedTuple):
    """Classes and conditions of N images."""

    y: Tensor | None = None
    """(N,) int64, -1 unknown."""
    classes: tuple[str, ...] = ()
    c: Tensor | None = None
    """(N, K) float32: attributes or values."""
    conditions: Conditions | None = None
    notes: tuple[str, ...] = ()
    """Plain sentences on where they are from."""


NO_LABELS = Labels()


_WITHOUT = ("unlabelled", "unlabeled", "no_label", "nolabel", "unknown")  # Names of folders, whatever their capitals.


def from_folders(names: list[str], unlabelled: str | float | None = None) -> Labels:
    """The folders as classes, if every image lies one folder deep below what all have in common.

    Args:
        unlabelled: the folder of images whose class is unknown.
    """
    paths = [name.split("/") for name in names]
    while all(len(path) > 1 for path in paths) and len({path[0] for path in paths}) == 1:
        paths = [path[1:] for path in paths]
    if all(len(path) == 1 for path in paths):
        return NO_LABELS
    if any(len(path) != 2 for path in paths):
        return Labels(notes=("The folders are not one level deep, so they name no classes.",))
    if {folder.lower() for folder, _ in paths} <= {*TRAIN, *TEST}:
        return Labels(notes=("The folders name splits, not classes; all of them were read.",))
    none = None if unlabelled is None else str(unlabelled)
    classes = tuple(sorted({folder for folder, _ in paths} - {none}))
    number = {folder: k for k, folder in enumerate(classes)}
    y = torch.tensor([number.get(folder, -1) for folder, _ in paths])
    note = f"Took {count(len(classes), 'folder')} as classes; data.labels=false leaves them out."
    without = int((y < 0).sum())
    notes = [f"Took the {count(without, 'image')} in {none} as unlabelled."] if without else []
    notes += [
        f"{name} is a class, too; data.unlabelled={quoted(name)} takes its images as unlabelled."
        for name in classes
        if name.casefold() in _WITHOUT
    ]
    return Labels(y, classes, notes=(note, *notes, *_alike(paths), *capitals(classes)))


def _alike(paths: Sequence[Sequence[str]]) -> list[str]:
    """That two folders may hold pairs and no classes: their images have the same names, or the same beginnings."""
    stems: dict[str, list[str]] = {}
    for folder, name in sorted(map(tuple, paths)):
        stems.setdefault(folder, []).append(name.rpartition(".")[0] or name)
    if len(stems) != 2 or len({*map(len, stems.values())}) != 1:
        return []
    if not all(a.startswith(b) or b.startswith(a) for a, b in zip(*map(sorted, stems.values()), strict=True)):
        return []
    return [
        f"Images in {' and '.join(stems)} have the same names: if they are pairs, and no classes, take "
        "`evenodds train translate`, or for maps of labels `evenodds train segment`."
    ]


def from_table(
    names: list[str],
    content: bytes,
    unlabelled: str | float | None = None,
    files: Sequence[str] = (),
    label: str | None = None,
) -> Labels:
    """The labels of images of these names.

    Args:
        names: of the images, relative to the folder of the file.
        content: of the file: a line that names the columns, which may lack, then one line for each image. The column
            with most names of images holds its name. A single further column holds its class, unless it holds many
            different numbers and is not called so: these are values. Of several columns, that named "class" or "label"
            holds the class, if there is one, and the others hold numbers: attributes, all 0 or 1, true or false, or
            values. A class may be empty or NaN where it is unknown; a number may not. Spaces around cells do not count,
            but for those of a name that an image has.
        unlabelled: a class that stands for an unknown one.
        files: the names of the files of the images, which lines may be of in their place: several images are of one.
        label: the column that holds the class, whatever it is called. None: as above.

    Raises:
        BadInput: the file is not such a table, names an image twice, or none of the images, or lacks a number.
    """
    columns, raw, absent, notes = label_table(content, [*names, *{*files}])
    if files:
        names = [name if name in raw else file for name, file in zip(names, files, strict=True)]
    cells = {name: [from_cell(cell.strip()) for cell in row] for name, row in raw.items()}
    if not cells:
        raise BadInput(f"{LABELS} names none of the {len(names):,} images, e.g. {names[0]}; write names as they are")
    if label is not None and label not in columns:
        raise unknown(f"column of {LABELS}", label, columns)
    of_class = [k for k, name in enumerate(columns) if len(columns) == 1 or name.lower() in CLASS]
    if label is not None:
        of_class = [columns.index(label)]
    elif len(columns) == 1 and columns[0].lower() not in CLASS and _many_numbers([row[0] for row in cells.values()]):
        of_class = []
        notes.append(f"The column {columns[0]} of {LABELS} holds numbers; called class, it would hold classes.")
    if len(of_class) > 1:
        several = ", ".join(columns[k] for k in of_class[:8])[:200]
        raise BadInput(f"{LABELS} needs one column with the class, got {several}; name it with data.label")
    notes += [f"Passed over {count(absent, 'name')} in {LABELS} of no image that was read."] if absent else []
    labels = NO_LABELS
    if of_class:
        words = [cells[name][of_class[0]] if name in cells else "" for name in names]
        y, classes = encode_labels(words, unlabelled)
        labels = labels._replace(y=y, classes=classes)
        notes.insert(0, f"Took {count(len(classes), 'class')} from {LABELS}; data.labels=false leaves them out.")
        without = int((y < 0).sum())
        notes += [f"Counted {count(without, 'image')} without a class in {LABELS} as unknown."] if without else []
        notes += [*merged(LABELS, (row[of_class[0]] for row in raw.values())), *negative(classes), *capitals(classes)]
    of_numbers = [k for k in range(len(columns)) if k not in of_class]
    if of_numbers:
        rows = [[_number(name, cells, columns[k], k) for k in of_numbers] for name in names]
        c, conditions = encode_conditions(np.array(rows), [columns[k] for k in of_numbers])
        labels = labels._replace(c=c, conditions=conditions)
        kind = "attributes" if conditions.binary else "values"
        notes.insert(0, f"Took the {kind} {', '.join(conditions.names)} from {LABELS}.")
    return labels._replace(notes=tuple(notes))


def merged(name: str, cells: Iterable[str]) -> list[str]:
    """A note on classes in a table of this name that differ in the spaces around their cells alone: they are one."""
    written = Counter(from_cell(cell.strip()) for cell in set(cells))
    several = sorted(word for word, n in written.items() if n > 1 and word)
    return listed(f"Took {{}} in {name} as one each, though the spaces around differ: {{}}.", several, what="class")


def untrained(labels: Labels, apart: Tensor | None) -> list[str]:
    """A note on classes that nothing to train on is of, as all their images are kept for testing."""
    if labels.y is None or apart is None:
        return []
    there = [set(labels.y[part].tolist()) for part in (apart, ~apart)]
    names = [labels.classes[k] for k in sorted(there[0] - there[1] - {-1})]
    sentence = "No image to train on is of {}: {}; all of them are held out, data.splits=ignore mixes."
    return listed(sentence, names, what="class")


def capitals(classes: Sequence[str]) -> list[str]:
    """A note on classes whose names are the same but for capitals."""
    written = Counter(name.casefold() for name in classes)
    several = [name for name in classes if written[name.casefold()] > 1]
    sentence = "Differing in capitals alone, {} stay apart: {}; give them one name to make them one."
    return listed(sentence, several, what="class")


def negative(classes: Sequence[str]) -> list[str]:
    """A note on a class that many take for an unknown one."""
    return ["-1 is a class; data.unlabelled=-1 takes it as unknown."] if "-1" in classes and len(classes) > 2 else []


def _many_numbers(cells: Sequence[str]) -> bool:
    """Whether cells hold numbers, nearly each another one, or such that are not whole."""
    try:
        numbers = {float(cell) for cell in cells if cell}
    except ValueError:
        return False
    known = {number for number in numbers if math.isfinite(number)}
    return (len(known) > MANY and len(cells) < FEW_EACH * len(known)) or any(number % 1 for number in known)


def _number(name: str, rows: dict[str, list[str]], column: str, k: int) -> float:
    cell = rows[name][k] if name in rows else ""
    if cell.lower() in (*_YES, *_NO):
        return float(cell.lower() in _YES)
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInput(f"{LABELS}: '{column}' of {name} must be a number, got '{cell}'; give it, or drop the column")
    return value
