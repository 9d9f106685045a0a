"""labels.csv: what is known of each image of a folder, where the folders do not tell."""

from __future__ import annotations

import csv
import math
from io import StringIO
from typing import NamedTuple

import numpy as np
from torch import Tensor

from evenodds.data.dataset import Conditions, encode_conditions, encode_labels
from evenodds.errors import BadInput

__all__ = ["LABELS", "Known", "labelled"]

LABELS = "labels.csv"
"""The file's name; it lies beside the images or above their folders."""
CLASS = ("class", "label")
"""Names of the column that holds the class, where there are several columns."""


class Known(NamedTuple):
    """What the file says of the images."""

    y: Tensor | None
    """(N,) int64, -1 unknown."""
    classes: tuple[str, ...]
    c: Tensor | None
    """(N, K) float32: attributes or values."""
    conditions: Conditions | None
    said: list[str]
    """Plain sentences on it."""


def labelled(names: list[str], content: bytes) -> Known:
    """What is known of images of these names.

    Args:
        names: of the images, relative to the folder of the file.
        content: of the file: a line that names the columns, then one line for each image. The first column holds its
            name. A single further column holds its class. Of several, that named "class" or "label" does, if there is
            one, and the others hold numbers: attributes, all 0 or 1, or values. A class may be empty where it is
            unknown; a number may not.

    Raises:
        BadInput: the file is not such a table, names an image twice, or none of the images, or lacks a number.
    """
    head, given = _given(content)
    if not given.keys() & set(names):
        raise BadInput(f"{LABELS} names none of the {len(names):,} images, e.g. {names[0]}; write names as they are")
    absent = len(given.keys() - set(names))
    said = [f"{absent:,} names in {LABELS} are of no image that was read."] if absent else []
    at = [k for k, name in enumerate(head) if len(head) == 1 or name.lower() in CLASS]
    if len(at) > 1:
        raise BadInput(f"{LABELS} needs one column with the class, got {', '.join(head[k] for k in at)}; rename one")
    y: Tensor | None = None
    classes: tuple[str, ...] = ()
    if at:
        words = [given[name][at[0]] if name in given else "" for name in names]
        y, classes = encode_labels(words)
        unknown = words.count("")
        said.insert(0, f"Took {len(classes)} classes from {LABELS}; labels=false leaves them out.")
        said += [f"{unknown:,} images have no class in {LABELS}; they count as unknown."] if unknown else []
    numbers = [k for k in range(len(head)) if k not in at]
    if not numbers:
        return Known(y, classes, None, None, said)
    rows = [[_number(name, given, head[k], k) for k in numbers] for name in names]
    c, conditions = encode_conditions(np.array(rows), [head[k] for k in numbers])
    kind = "attributes" if conditions.binary else "values"
    return Known(y, classes, c, conditions, [f"Took the {kind} {', '.join(conditions.names)} from {LABELS}.", *said])


def _number(name: str, given: dict[str, list[str]], column: str, k: int) -> float:
    cell = given[name][k] if name in given else ""
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInput(f"{LABELS}: '{column}' of {name} must be a number, got '{cell}'; give it, or drop the column")
    return value


def _given(content: bytes) -> tuple[list[str], dict[str, list[str]]]:
    """The names of the columns after the first, and the cells of each image in them."""
    try:
        lines = list(csv.reader(StringIO(content.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{LABELS} must be a table in UTF-8 text: {error}; save it again as CSV UTF-8") from error
    head = [cell.strip() for cell in lines[0][1:]] if lines else []
    given: dict[str, list[str]] = {}
    for number, cells in enumerate(lines[1:], 2):
        if not cells:
            continue
        if len(cells) < 2:
            raise BadInput(f"{LABELS}, line {number}: a name, a comma and a class are needed, got '{','.join(cells)}'")
        if len(cells) != len(head) + 1:
            raise BadInput(f"{LABELS}, line {number}: {len(head) + 1} cells are needed, as in line 1, got {len(cells)}")
        name = cells[0].strip().replace("\\", "/")
        if name in given:
            raise BadInput(f"{LABELS}, line {number}: '{name}' stands there already; keep one of both lines")
        given[name] = [cell.strip() for cell in cells[1:]]
    return head, given
