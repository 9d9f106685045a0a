"""A run that makes images of images, or maps of labels, at work on arrays."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.rules import Batch
from evenodds.runs.session import Session
from evenodds.tasks._playable import Conversion

__all__ = ["answered", "conversion_of"]


def conversion_of(session: Session) -> Conversion:
    """What a run makes of images; BadInput of a run that takes none."""
    conversion = session.task.conversion(session.card.shape)
    if conversion is None:
        raise BadInput(
            f"this run ({session.config.task.name}) makes nothing of images; train one that does, with the recipe "
            "upscale-x4, segment or denoise, say (see: evenodds list recipes)"
        )
    return conversion


@torch.no_grad()
def answered(session: Session, source: Tensor, generator: nn.Module | None = None) -> Batch:
    """What the run makes of sources (N, C, H, W) in [-1, 1], on the CPU; see the task's `answer`.

    Args:
        generator: in place of the run's own, such as a mixture of two (`making.mixed`); on the run's device.
    """
    conversion_of(session)
    if generator is None:
        return session.reply({"source": source})
    answer = session.task.answer({"generator": generator}, {"source": source.to(session.device)})
    return {name: value.cpu() for name, value in answer.items()}
