"""An exported file that makes images of images, or labels, at work by onnxruntime and numpy alone, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.errors import BadInput
from evenodds.export.computing import Computing
from evenodds.export.entry import ANY_SIZE
from evenodds.export.runtime import opened
from evenodds.export.words import Words, part_of, read_file, way_of
from evenodds.files.extras import named
from evenodds.runs.maker import Maker

__all__ = ["maker_in"]

COMMANDS = ("upscale", "translate", "segment")
LARGEST_SCALE = 64


def maker_in(path: Path, command: str) -> Maker:
    """What a file makes of images.

    Raises:
        BadInput: it is no file that `evenodds export` wrote, is damaged, or answers something else than the command.
    """
    words, content = read_file(path)
    if words.answers != command:
        raise BadInput(f"{path} answers {words.answers} alone, and not {command}; see evenodds {words.answers} --help")
    source, answer, card = words.inputs[0], words.outputs[0], words.card
    beside, labels = card.beside.get("source"), card.beside.get("labels")
    of_source = card.units if beside is None or beside.units is None else beside.units
    palette = None if labels is None else labels.palette
    channels = [one.shape[1] if len(one.shape) == 4 else 1 for one in (source, answer)]
    if not all(isinstance(one, int) and 1 <= one <= 4 for one in channels) or source.shape[2:] != ANY_SIZE:
        raise BadInput(f"{path} must take images of any size and of 1 to 4 channels, it takes {source}; export again")
    if command == "segment" and palette is None:
        raise BadInput(f"{path} does not say what its classes are in files; export the run again")
    with named(str(path)):
        file = Computing(opened(content, str(path)), words.inputs, words.outputs, card.units, of_source)

    def compute(x: NDArray[Any]) -> NDArray[Any]:
        made = file(source=x)[0]
        return made[:, None] if command == "segment" else np.clip(made, -1, 1)

    return Maker(
        command=command,
        way=way_of(content),
        compute=compute,
        inputs=int(channels[0]),
        outputs=int(channels[1]),
        scale=_scale(words, path),
        restores=_restores(words),
        margin=words.margin,
        multiple=words.multiple,
        numbers_per_pixel=words.numbers_per_pixel,
        units=of_source,
        classes=card.classes,
        palette=palette if command == "segment" else None,
    )


def _scale(words: Words, path: Path) -> int:
    """How many times larger an answer is, by the name of its height."""
    factor, _, side = str(words.outputs[0].shape[-2]).rpartition("*")
    if side != ANY_SIZE[0] or not (factor or "1").isdecimal() or not 1 <= int(factor or 1) <= LARGEST_SCALE:
        raise BadInput(f"{path} must say how large its answers are, got {words.outputs[0]}; export it again")
    return int(factor or 1)


def _restores(words: Words) -> bool:
    """Whether sources were made of what they are to become, see `evenodds.tasks.translate`."""
    task, options = part_of(words.config, "task")
    return task == "upscale" or options.get("degradation") is not None
