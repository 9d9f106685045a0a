"""A run that fills in, at work: several fillings of images, and their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenodds.data.sources import load_like
from evenodds.errors import BadInput
from evenodds.game.rules import mix
from evenodds.runs.session import Session
from evenodds.show import pictures
from evenodds.tasks.fill import Fill

__all__ = ["fillings", "read_mask", "sheet", "write_fillings"]


@torch.no_grad()
def fillings(session: Session, x: Tensor, mask: Tensor, n: int = 4, seed: int = 0) -> Tensor:
    """n different fillings of each image, (n, N, C, H, W) in [-1, 1]; what is observed comes back bit for bit.

    Args:
        x: (N, C, H, W) in [-1, 1]; hidden pixels have no influence.
        mask: (N, 1, H, W), 1 observed and 0 hidden.
        seed: the same one gives the same fillings; the first of more are those of fewer.
    """
    if not isinstance(session.task, Fill):
        raise BadInput("this run fills nothing in; train one with `evenodds train fill-32 --data FOLDER`")
    if n < 1:
        raise BadInput(f"n must be at least 1, got {n}")
    place, found = session.device, []
    for k in range(n):
        request = {"x": x.to(place), "mask": mask.to(place), "z": session.prior(len(x), mix(seed, k)).to(place)}
        found.append(session.task.answer(session.players, request)["x"].cpu())
    return torch.stack(found)


def read_mask(session: Session, source: Any) -> Tensor:
    """(1, 1, H, W), 1 observed and 0 hidden, of an image whose white parts are to be filled in."""
    _, height, width = session.card.shape
    white = load_like(source, _Grey((1, height, width)), "the mask")
    if len(white) != 1:
        raise BadInput(f"one mask is needed, got {len(white)}; give one image, white where it is to be filled in")
    mask = (white.batch(torch.arange(1))["x"] < 0).float()
    if not bool((mask == 0).any()):
        raise BadInput("the mask hides nothing; paint white what is to be filled in")
    return mask


class _Grey:
    """What a mask must be like."""

    kind = "image"

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape


def write_fillings(
    session: Session, source: Any, mask: Any, folder: Path, n: int = 4, seed: int = 0
) -> tuple[list[Path], tuple[str, ...]]:
    """Fills in one image: a PNG for each filling and a sheet; returns the files, and what was done to the image's size.

    Args:
        source: the image; it is brought to the size of the run's images.
        mask: an image, white where it is to be filled in.
        folder: for the files.
    """
    data = load_like(source, session.card, "the image")
    if len(data) != 1 or data.kind != "image":
        raise BadInput(f"one image is filled in at a time, got {len(data)} items; give one image file")
    x, hidden = data.batch(torch.arange(1))["x"], read_mask(session, mask)
    made = fillings(session, x, hidden, n, seed)
    written = []
    for k, one in enumerate(made, 1):
        # In the image's own units, so that observed pixels are as they were, whatever the arithmetic.
        pixels = torch.where(hidden > 0, data.x, data.units.to_data(one))
        depth = pixels if data.units.dtype == "uint16" else (data.units.to_model(pixels) + 1) * 127.5
        kept = np.asarray(depth[0].float().round()).astype(np.uint16 if data.units.dtype == "uint16" else np.uint8)
        written.append(pictures.write(folder / f"filling-{k}.png", kept))
    rows = pictures.enlarge(sheet(session, x, hidden, made), 512)
    return [*written, pictures.write(folder / "fillings.png", rows)], data.report


def sheet(session: Session, x: Tensor, mask: Tensor, made: Tensor) -> NDArray[np.uint8]:
    """A column for each image: as it is, with the hidden part grey, then its fillings, (C, H', W') uint8."""
    shown = torch.where(mask > 0, x, 0.0)
    rows = torch.cat([x, shown, *made])
    units = session.card.units
    own = np.asarray(units.to_data(rows)).astype(units.dtype, copy=False)
    return pictures.grid(session.eight_bit(own), columns=len(x))
