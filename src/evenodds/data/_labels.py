"""labels.csv: the class of each image of a folder, where the folders do not tell."""

from __future__ import annotations

import csv
from io import StringIO

from torch import Tensor

from evenodds.data.dataset import encode_labels
from evenodds.errors import BadInput

__all__ = ["LABELS", "labelled"]

LABELS = "labels.csv"
"""The file's name; it lies beside the images or above their folders."""


def labelled(names: list[str], content: bytes) -> tuple[Tensor, tuple[str, ...], list[str]]:
    """The labels (N,) of images of these names, -1 where unknown; the classes; and what is to be said.

    Args:
        names: of the images, relative to the folder of the file.
        content: of the file: a line that names the columns, then one line for each image: its name and its class,
            which is left empty where it is unknown.

    Raises:
        BadInput: the file is not such a table, names an image twice, or none of the images.
    """
    given = _given(content)
    words = [given.get(name, "") for name in names]
    if not any(words):
        raise BadInput(f"{LABELS} names none of the {len(names):,} images, e.g. {names[0]}; write names as they are")
    y, classes = encode_labels(words)
    said = [f"Took {len(classes)} classes from {LABELS}; labels=false leaves them out."]
    unknown, absent = words.count(""), len(given.keys() - set(names))
    said += [f"{unknown:,} images have no class in {LABELS}; they count as unknown."] if unknown else []
    said += [f"{absent:,} names in {LABELS} are of no image that was read."] if absent else []
    return y, classes, said


def _given(content: bytes) -> dict[str, str]:
    try:
        lines = list(csv.reader(StringIO(content.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{LABELS} must be a table in UTF-8 text: {error}; save it again as CSV UTF-8") from error
    given: dict[str, str] = {}
    for number, cells in enumerate(lines[1:], 2):
        if not cells:
            continue
        if len(cells) < 2:
            raise BadInput(f"{LABELS}, line {number}: a name, a comma and a class are needed, got '{','.join(cells)}'")
        name = cells[0].strip().replace("\\", "/")
        if name in given:
            raise BadInput(f"{LABELS}, line {number}: '{name}' has a class already; keep one of both lines")
        given[name] = cells[1].strip()
    return given
