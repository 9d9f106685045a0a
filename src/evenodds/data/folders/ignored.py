"""What lies among images and is none of them: counted by kind, with what would read it."""

from __future__ import annotations

from collections.abc import Sequence

from evenodds.data.folders import archives, image_tables
from evenodds.data.pictures import dicom, video
from evenodds.data.pictures.opening import File
from evenodds.data.wording import count, listed
from evenodds.files.extras import EXTRAS, installed

__all__ = ["described", "ignored"]

_SHOWN = 3  # Names of each kind.
_KINDS = 8  # That are named.
_OF_ALL = ("annotation", "coco", "instances")  # In names of files of JSON that describe all images.
_RAW = (".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2")
_ITSELF = "{} {} read where one is named itself, in place of the folder."
_ADVICE: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        video.ENDINGS,
        "video",
        "Videos among images are read where data.every=30, say, takes one frame of 30.",
    ),
    (dicom.ENDINGS, "dicom", _ITSELF.format("DICOM files", "are")),
    ((".npy", ".npz"), "", _ITSELF.format("NumPy files", "are")),
    ((".h5", ".hdf5"), "h5", _ITSELF.format("HDF5 files", "are")),
    (image_tables.ENDINGS, "parquet", _ITSELF.format("Tables of images", "are")),
    (archives.ENDINGS, "", _ITSELF.format("Archives", "are")),
    (_RAW, "", "Raw photos are read where a program has made TIFF or JPEG files of them."),
)
"""Endings, the extra that reads such files, and what to do."""


def ignored(files: Sequence[File], used: Sequence[File] = ()) -> list[str]:
    """The notes on files that are no images; those that were used are none of them."""
    names = [file.name for file in files if file not in used]
    runs = [name.rstrip("/") for name in names if name.endswith("/")]
    others = [name for name in names if not name.endswith("/")]
    kinds: dict[str, list[str]] = {}
    for name in others:
        kinds.setdefault(_kind(name), []).append(name)
    often = sorted(kinds.items(), key=lambda one: (-len(one[1]), one[0]))
    parts = [f"{len(same):,} {kind} ({_first(same)})" for kind, same in often[:_KINDS]]
    rest = sum(len(same) for _, same in often[_KINDS:])
    parts += [f"{rest:,} of other kinds"] if rest else []
    said = [f"Ignored {count(len(others), 'file')} hidden or not images: {', '.join(parts)}."] if others else []
    return [*said, *_advice(set(kinds)), *listed("Left out {} of evenodds: {}.", runs, what="run folder")]


def described(files: Sequence[File], others: Sequence[File]) -> list[str]:
    """That files of JSON beside images may say what their pixels show, which another recipe learns."""
    stems = {_stem(file.name) for file in files}
    names = [file.name for file in others if _kind(file.name) == ".json"]
    if not any(_stem(name) in stems or any(word in name.lower() for word in _OF_ALL) for name in names):
        return []
    return ["Where the .json files describe regions, as labelme and COCO do, `evenodds train segment` learns these."]


def _stem(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[0]


def _kind(name: str) -> str:
    """Hidden, an ending, or none."""
    if any(part.startswith(".") or part == "__MACOSX" for part in name.split("/")):
        return "hidden"
    _, dot, ending = name.rpartition("/")[2].rpartition(".")
    return f".{ending.lower()}" if dot and ending and len(ending) <= 10 else "without an ending"


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _advice(kinds: set[str]) -> list[str]:
    lines = []
    for endings, extra, advice in _ADVICE:
        if any(f".{ending.rpartition('.')[2]}" in kinds for ending in endings):
            missing = extra in EXTRAS and extra not in installed()
            lines.append(f"{advice[:-1]}; it needs an extra: pip install 'evenodds[{extra}]'." if missing else advice)
    if "without an ending" in kinds:
        lines.append("Files without an ending are read where they are DICOM; give images theirs, such as .png.")
    return lines
