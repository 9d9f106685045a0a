"""The class of items, as a run of the task classify tells it, and how often it is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenodds.apply.classified import COMMAND, Classified
from evenodds.apply.items import AT_ONCE, BATCH, facts_beside, items
from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.runs.beforehand import seen_at_work
from evenodds.runs.session import Session

__all__ = ["classify", "probabilities", "require_classifier", "told_of"]


def require_classifier(session: Session) -> None:
    """BadInput of a run that tells no classes apart."""
    if session.task.command != COMMAND:
        how = (
            "train one that does with `evenodds train classify-table --data TABLE.csv --set data.label=COLUMN`"
            if session.card.kind == "table"
            else "train one that does with `evenodds train classify --data FOLDER`"
        )
        raise BadInput(f"this run ({session.config.task.name}) tells no classes apart; {how}")


@torch.no_grad()
def probabilities(session: Session, x: Tensor, batch: int = BATCH) -> NDArray[np.float32]:
    """(N, K) of the classes, for items x (N, ...) in [-1, 1]."""
    require_classifier(session)
    return np.asarray(
        torch.cat([session.reply({"x": part})["probabilities"] for part in torch.split(x, batch)]).float()
    )


def classify(
    session: Session,
    source: Any = None,
    reading: Callable[[int, int], None] | None = None,
    most_pixels: int | None = None,
) -> Classified:
    """Tells the class of each item.

    Args:
        source: folder, archive or single file of images, array, table; None for the data of the run.
        reading: told (files done, files in all).
        most_pixels: of a picture of the source; larger ones are not decoded. None: 89,478,485.

    Example:
        >>> import evenodds
        >>> from evenodds.apply.classifying import classify
        >>> session = evenodds.fit("digits", "classify", images=256, watch="off", size=8, channels=1)
        >>> classify(session).probabilities.shape
        (1797, 10)
    """
    require_classifier(session)
    data = items(session, source, reading, most_pixels)
    return told_of(session, data, facts_beside(session, data, source).get("held_out"))


def told_of(
    session: Session, data: Dataset, held_out: NDArray[np.bool_] | None = None, index: Tensor | None = None
) -> Classified:
    """What a run says of the class of each of these items.

    Args:
        held_out: (N,) bool, which of the run's own items it has not learned from; None of other data.
        index: (n,) those of the items that are told; None for all.
    """
    index = torch.arange(len(data)) if index is None else index
    seen = seen_at_work(session.players["discriminator"], data, index, session.device)
    found = np.concatenate([probabilities(session, seen.batch(part)["x"]) for part in torch.split(index, AT_ONCE)])
    data = data.take(index)
    classes = session.card.classes
    place = {name: k for k, name in enumerate(classes)}
    told = np.full(len(data), -1) if data.y is None else data.y.numpy()
    names = [*data.classes, ""]
    known = np.array([place.get(names[k], -1) for k in told.tolist()], np.int64)
    strange = sorted({names[k] for k in told.tolist()} - {*classes, ""})
    return Classified(classes, found, data.names, known, held_out, tuple(strange))
