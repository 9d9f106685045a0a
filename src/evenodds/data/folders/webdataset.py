"""Files that belong together by their names in archives, as WebDataset packs samples."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evenodds.data.part_names import TEST, TRAIN
from evenodds.data.pictures.opening import File
from evenodds.data.wording import count
from evenodds.errors import BadInput, unknown
from evenodds.files.read import parse_json

__all__ = ["apart", "labelled", "of_samples", "split_of"]

LABELS = ("cls", "json", "txt")
"""Endings of files that may hold the label of a sample, the likeliest first."""
KEYS = ("label", "class", "cls", "class_name", "label_name", "category")
"""Under which a JSON file may hold it."""
_LONGEST = 200  # Characters of a label.
_PART = re.compile(rf"(?:.*/)?({'|'.join(sorted((*TRAIN, *TEST), key=len, reverse=True))})(?:[-_.][^/]*)?", re.I)

Read = Callable[[File], bytes]


def split_of(name: str) -> str:
    """The part of the data that the name of a file begins with, such as "train" of "train-00000.tar"; else empty."""
    folders = name.lower().split("/")[:-1]
    match = _PART.fullmatch(name)
    return match[1].lower() if match else next((one for one in folders if one in (*TRAIN, *TEST)), "")


def apart(parts: Mapping[str, Sequence[File]]) -> list[File]:
    """The files of several archives or tables under names that no two have.

    Args:
        parts: the files by the name of what they are in. Where these names, or their folders, name splits, they come
            first, as folders.
    """
    names = [file.name for files in parts.values() for file in files]
    unique = len(set(names)) == len(names)
    return [
        file._replace(name=f"{_before(name, file.name)}{'' if unique else f'{name}/'}{file.name}")
        for name, files in parts.items()
        for file in files
    ]


def _before(part: str, name: str) -> str:
    """The split that the name of an archive or table names, as a folder, where that of a file in it does not."""
    split = split_of(part)
    return f"{split}/" if split and split not in name.lower().split("/")[:-1] else ""


def of_samples(files: list[File], column: str | None) -> tuple[list[File], tuple[str, ...]]:
    """The images of one kind where samples hold several, such as a photo and a mask, and a note.

    Args:
        column: what stands behind the first dot of their names, such as "jpg"; None: all are taken.
    """
    parts = [_parts(file.name) for file in files]
    kinds = sorted({kind for _, kind in parts})
    if column is not None:
        if column.lower() not in kinds:
            raise unknown("kind of images in the archive", column, kinds)
        return [file for file, (_, kind) in zip(files, parts, strict=True) if kind == column.lower()], ()
    if len({sample for sample, _ in parts}) == len(files) or len(kinds) < 2:
        return files, ()
    several = ", ".join(f".{kind}" for kind in kinds[:8])
    return files, (f"Samples hold several images each ({several}): all are read; data.column={kinds[0]} takes one.",)


def labelled(files: list[File], others: list[File], read: Read) -> tuple[list[File], list[File], tuple[str, ...]]:
    """The images with the labels that lie beside them, the files that hold none, and notes.

    Files whose names are equal up to the first dot are one sample, as WebDataset has it.

    Args:
        read: gives all of a small file.
    """
    kinds = {_parts(file.name)[1] for file in others}
    for kind in LABELS:
        holders = {_parts(file.name)[0]: file for file in others if _parts(file.name)[1] == kind}
        words = _words(files, holders, kind, read) if kind in kinds else {}
        if not words:
            continue
        known = [file._replace(label=words.get(_parts(file.name)[0], "")) for file in files]
        found = sum(bool(file.label) for file in known)
        note = f"Took the labels of {found:,} of {count(len(files), 'image')} from the .{kind} files beside them."
        left = [file for file in others if _parts(file.name)[1] != kind or _parts(file.name)[0] not in words]
        return known, left, (note,)
    return files, others, ()


def _parts(name: str) -> tuple[str, str]:
    """The name of a sample, and what stands behind the dot."""
    folder, _, own = name.rpartition("/")
    stem, _, rest = own.partition(".")
    return f"{folder}/{stem}", rest.lower()


def _words(files: Sequence[File], holders: Mapping[str, File], kind: str, read: Read) -> dict[str, str]:
    """The label of each sample; none where the files hold something else, such as a description of each image."""
    samples = dict.fromkeys(_parts(file.name)[0] for file in files)
    words = {key: _word(holders[key], kind, read) for key in samples if key in holders}
    words = {key: word for key, word in words.items() if word}
    return {} if kind == "txt" and len(set(words.values())) > max(1, len(words) // 2) else words


def _word(file: File, kind: str, read: Read) -> str:
    try:
        content = read(file)
        value: Any = parse_json(content, file.name) if kind == "json" else content.decode("utf-8-sig")
    except (BadInput, UnicodeDecodeError):
        return ""
    if isinstance(value, dict):
        value = next((value[key] for key in KEYS if key in value), "")
    word = str(value).strip() if isinstance(value, str | int) else ""
    return word if len(word) <= _LONGEST and "\n" not in word else ""
