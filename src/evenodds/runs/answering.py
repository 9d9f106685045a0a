"""A run that makes images of images, or maps of labels, at work."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from evenodds.data.palette import Palette
from evenodds.errors import BadInput
from evenodds.game.rules import Batch
from evenodds.runs.session import Session
from evenodds.show import pictures
from evenodds.tasks._paired import FromSource

__all__ = ["answered", "maker", "sides"]


def maker(session: Session) -> FromSource:
    """The task of a run that makes images of images; BadInput of any other."""
    if not isinstance(session.task, FromSource):
        raise BadInput(
            f"this run ({session.config.task.name}) makes nothing of images; train one that does, with the recipe "
            "upscale-x4, segment or denoise, say (see: evenodds list recipes)"
        )
    return session.task


@torch.no_grad()
def answered(session: Session, source: Tensor, generator: nn.Module | None = None) -> Batch:
    """What the run makes of sources (N, C, H, W) in [-1, 1], on the CPU; see the task's `answer`.

    Args:
        generator: in place of the run's own, such as a mixture of two (`converting.mixed`); on the run's device.
    """
    players = session.players if generator is None else {"generator": generator}
    found = maker(session).answer(players, {"source": source.to(session.device)})
    return {name: value.cpu() for name, value in found.items()}


def sides(session: Session, real: Batch, least: int = 384) -> NDArray[np.uint8]:
    """A column for each item: its source, the answer, the truth, (C, H', W') uint8."""
    request = maker(session).trial(real, torch.Generator().manual_seed(0))
    answer = answered(session, request["source"])
    name = "x" if "x" in answer else "labels"
    labels = session.card.beside.get("labels")
    palette = labels.palette if labels is not None else None
    rows = [_shown(part, palette) for part in (request["source"], answer[name], real[name])]
    size, channels = rows[2].shape[2:], max(row.shape[1] for row in rows)
    alike = [_alike(row, size, channels) for row in rows]
    return pictures.enlarge(pictures.grid(torch.cat(alike).numpy(), columns=len(alike[0])), least)


def _shown(part: Tensor, palette: Palette | None) -> Tensor:
    """(N, C, H, W) uint8 of images in [-1, 1], or of labels (N, H, W) in their colours."""
    if palette is not None and part.dim() == 3:
        return palette.paint(part)
    return ((part + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def _alike(row: Tensor, size: tuple[int, ...], channels: int) -> Tensor:
    """Images of another size enlarged without smoothing, of one channel repeated, of further channels cut."""
    if tuple(row.shape[2:]) != tuple(size):
        row = F.interpolate(row, tuple(size), mode="nearest")
    return row.expand(-1, channels, -1, -1) if row.shape[1] == 1 else row[:, :3]
