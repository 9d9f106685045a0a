"""An exported file that reads pictures, as z or as features, at work by onnxruntime and numpy alone, without torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.data.folders.plain import pictures_like
from evenodds.errors import BadInput
from evenodds.export.computing import Computing
from evenodds.export.runtime import opened
from evenodds.export.words import Words, read_file
from evenodds.files.extras import named

__all__ = ["read_pictures"]

BATCH = 256
"""Pictures that are computed at once."""


def read_pictures(
    path: Path,
    command: str,
    source: str | None,
    most_pixels: int | None = None,
    reading: Callable[[int, int], None] | None = None,
) -> dict[str, NDArray[Any]] | None:
    """What a file says of pictures, and their names: z (N, latent), and c (N, K) of a conditional run; features (N, F);
    or the names of K classes, and their probabilities (N, K).

    None of items that need torch to be read: those that are no pictures, or that have labels; and of files of runs that
    are conditional on attributes or values.

    Args:
        command: encode, features or classify.
        source: a picture, or a folder or archive of pictures.
        reading: told (files done, files in all).

    Raises:
        BadInput: it is no file that `evenodds export` wrote, is damaged, or answers something else.
    """
    words, content = read_file(path)
    if words.answers != command:
        raise BadInput(f"{path} answers {words.answers} alone, and not {command}; see evenodds {words.answers} --help")
    if source is None:
        raise BadInput("an exported file does not say where the data of its run are; name data behind it")
    units = words.card.units
    if words.card.kind != "image" or words.card.conditions is not None:
        return None
    found = pictures_like(Path(source), words.card.shape, units, "the items", most_pixels, reading)
    if found is None:
        return None
    with named(str(path)):
        file = Computing(opened(content, str(path)), words.inputs, words.outputs, units, units)
    parts = [file(x=found.scale.to_model(found.x[k : k + BATCH])) for k in range(0, len(found.x), BATCH)]
    answers = [np.concatenate(part) for part in zip(*parts, strict=True)]
    return {**_told(words, answers), "names": np.asarray(found.names)}


def _told(words: Words, answers: list[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Answers by name; of classes, the likeliest one of each item."""
    told = {one.name: answer for one, answer in zip(words.outputs, answers, strict=True)}
    if "probabilities" in told:
        told["classes"] = np.asarray(words.card.classes)
    if "c" in told:
        told["c"] = np.eye(told["c"].shape[1], dtype=np.float32)[told["c"].argmax(1)]
    return told
