"""What a run's discriminator sees in items."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenodds.apply.items import AT_ONCE, BATCH, facts_beside, items
from evenodds.errors import BadInput
from evenodds.files.arrays import write_arrays
from evenodds.parts.networks._roles import Scores
from evenodds.runs.beforehand import seen_at_work
from evenodds.runs.session import Session

__all__ = ["features", "write_features"]


def features(session: Session, x: Tensor, batch: int = BATCH) -> NDArray[np.float32]:
    """What the discriminator's last layer sees: inputs for a classifier where labels are few.

    Goodfellow et al. (2014), section 7, point 4: "features from the discriminator or inference net could improve
    performance of classifiers when limited labeled data is available".

    Args:
        x: (N, ...) in [-1, 1].

    Returns:
        (N, F).
    """
    return _seen(_discriminator(session), x, session.device, batch)


@torch.no_grad()
def _seen(discriminator: Scores, x: Tensor, device: torch.device, batch: int = BATCH) -> NDArray[np.float32]:
    parts = [discriminator(part.to(device), features=True)[1].cpu() for part in torch.split(x, batch)]
    # Of a discriminator of patches, (N, P, F), the mean: its mean logit is linear in it.
    return np.asarray(torch.cat([hidden if hidden.dim() == 2 else hidden.mean(1) for hidden in parts]).float())


@torch.no_grad()
def _discriminator(session: Session) -> Scores:
    """The discriminator that sees items as they are; BadInput of a run that has none."""
    discriminator, task = session.players.get("discriminator"), session.config.task.name
    others = "take a run that draws samples, as of `evenodds train color-32 --data FOLDER`"
    if discriminator is None:
        raise BadInput(f"features are those of a discriminator, which this run ({task}) has not; {others}")
    if not isinstance(discriminator, Scores):
        raise BadInput("this run's discriminator hands out no features; use one of `evenodds list networks`")
    if not session.task.sees_x_alone:
        if session.conditions.kind is not None:
            raise BadInput("this run's discriminator does not see x alone; train with --set task.way=projection")
        raise BadInput(f"the discriminator of this run ({task}) does not see x alone; {others}")
    if not session.draws:
        try:
            discriminator(torch.zeros(1, *session.card.shape, device=session.device), features=True)
        except BadInput as error:  # it saw pieces of images
            raise BadInput(f"the discriminator of this run ({task}) sees pieces, no whole images; {others}") from error
    return discriminator


def write_features(
    session: Session, source: Any, path: Path, reading: Any = None, most_pixels: int | None = None
) -> tuple[int, int]:
    """Features of data as .npz: `features` (N, F); `y` (N,) names of classes, "" where unknown; returns N and F.

    Of the run's own data, `held_out` (N,) says which items it was not trained on. A run with a code (InfoGAN) also says
    the `category` (N,) that it reads in each, its `probabilities` (N, classes) and the `values` (N, values).
    """
    discriminator = _discriminator(session)
    data, batches = items(session, source, reading, most_pixels), []
    every = torch.arange(len(data))
    shown = seen_at_work(discriminator, data, every, session.device)
    for part in torch.split(every, AT_ONCE):
        for x in torch.split(shown.batch(part)["x"], BATCH):
            read = session.task.read(session.players, x.to(session.device))
            seen = _seen(discriminator, x, session.device)
            batches.append({"features": seen, **{k: value.cpu().numpy() for k, value in read.items()}})
    arrays = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    write_arrays(path, "features", {**arrays, **facts_beside(session, data, source)})
    return arrays["features"].shape
