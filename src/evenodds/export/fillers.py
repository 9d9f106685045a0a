"""An exported file that fills images in, at work by onnxruntime and numpy alone, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from evenodds.data.folders.plain import Pictures, pictures_like
from evenodds.data.scale import Numbers
from evenodds.errors import BadInput
from evenodds.export.alone import prior_of
from evenodds.export.computing import Computing
from evenodds.export.draws import LEAST, Draws
from evenodds.export.runtime import opened
from evenodds.export.words import read_file, way_of
from evenodds.files.extras import named
from evenodds.runs.maker import Filler

__all__ = ["filler_in"]


def filler_in(path: Path) -> Filler | None:
    """What a file fills in; None of a file that needs torch for its draws of z.

    Raises:
        BadInput: it is no file that `evenodds export` wrote, is damaged, or answers something else.
    """
    words, content = read_file(path)
    if words.answers != "fill":
        raise BadInput(f"{path} answers {words.answers} alone, and not fill; see evenodds {words.answers} --help")
    prior = prior_of(words)
    if prior is None or words.card.kind != "image" or prior.size < LEAST:
        return None
    with named(str(path)):
        file = Computing(opened(content, str(path)), words.inputs, words.outputs, words.card.units, words.card.units)

    def fill(x: Numbers, mask: Numbers, z: Numbers) -> Numbers:
        observed = np.where(mask > 0, x, np.float32(-1))  # bytes have no 0 for what is hidden
        return np.where(mask > 0, x, file(x=observed, mask=mask, z=z)[0])

    def read(source: Any, most_pixels: int | None) -> Pictures:
        found = pictures_like(Path(source), words.card.shape, words.card.units, "the image", most_pixels)
        if found is None:
            raise BadInput(f"{source} is no picture that can be filled in; give an image file")
        return found

    way = way_of(content)

    def draws(n: int, seed: int) -> Numbers:
        return prior(Draws(seed), n)

    return Filler(path.parent, way, words.card.shape, fill, draws, read, prior.symmetric)
