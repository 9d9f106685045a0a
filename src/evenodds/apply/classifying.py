"""The class of items, as a run of the task classify tells it, and how often it is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenodds.apply.items import facts_beside, items
from evenodds.errors import BadInput
from evenodds.files.outputs import owned
from evenodds.files.text import csv_text
from evenodds.files.write import write_text
from evenodds.metrics.intervals import Interval
from evenodds.runs.session import Session

__all__ = ["Classified", "classify", "probabilities", "require_classifier", "write_classes"]

AT_ONCE = 2048
"""Items that are in memory at a time as a network sees them."""
BATCH = 256
"""Of them, those that a network sees at a time."""
COMMAND = "classify"


@dataclass(frozen=True)
class Classified:
    """What a run says of the class of each item, beside what is known.

    Args:
        classes: their names.
        probabilities: (N, K) float32 of each class.
        names: of the items; empty where they have none.
        known: (N,) int64, the class that the data name; -1 where they name none.
        held_out: (N,) bool, which of the run's own items it has not learned from; None of other data.
        strange: classes that the data name and the run does not know.
    """

    classes: tuple[str, ...]
    probabilities: NDArray[np.float32]
    names: tuple[str, ...]
    known: NDArray[np.int64]
    held_out: NDArray[np.bool_] | None
    strange: tuple[str, ...]

    @property
    def answers(self) -> NDArray[np.int64]:
        """(N,) the likeliest class of each item."""
        return np.asarray(self.probabilities.argmax(1))

    @property
    def tested(self) -> NDArray[np.bool_]:
        """(N,) the items that show how often answers are right: of a known class, and none that was learned from."""
        known: NDArray[np.bool_] = self.known >= 0
        return known if self.held_out is None else known & self.held_out

    @property
    def accuracy(self) -> Interval | None:
        """The share of right answers with its 95 % interval; None where no item shows it."""
        tested = self.tested
        if not tested.any():
            return None
        return Interval.of_share(int((self.answers == self.known)[tested].sum()), int(tested.sum()))

    @property
    def rows(self) -> list[list[object]]:
        """A head, and a row for each item: its name or number, class, probability, what is known, each probability."""
        told = [*self.classes, ""]
        head = ["name" if self.names else "item", "class", "probability", "known", "held_out"]
        head += [f"p({name})" for name in self.classes]
        held_out = [""] * len(self.known) if self.held_out is None else self.held_out.astype(int).tolist()
        names = self.names or range(1, len(self.known) + 1)
        rounded = np.round(self.probabilities.astype(np.float64), 4)
        body = [
            [name, told[k], row[k], told[known], apart, *row]
            for name, k, row, known, apart in zip(
                names, self.answers.tolist(), rounded.tolist(), self.known.tolist(), held_out, strict=True
            )
        ]
        return [head, *body]


def require_classifier(session: Session) -> None:
    """BadInput of a run that tells no classes apart."""
    if session.task.command != COMMAND:
        raise BadInput(
            f"this run ({session.config.task.name}) tells no classes apart; train one that does with "
            "`evenodds train classify --data FOLDER`"
        )


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
    parts = torch.split(torch.arange(len(data)), AT_ONCE)
    found = np.concatenate([probabilities(session, data.batch(part)["x"]) for part in parts])
    classes = session.card.classes
    place = {name: k for k, name in enumerate(classes)}
    told = np.full(len(data), -1) if data.y is None else data.y.numpy()
    names = [*data.classes, ""]
    known = np.array([place.get(names[k], -1) for k in told.tolist()], np.int64)
    strange = sorted({names[k] for k in told.tolist()} - {*classes, ""})
    held_out = facts_beside(session, data, source).get("held_out")
    return Classified(classes, found, data.names, known, held_out, tuple(strange))


def write_classes(path: Path, classified: Classified) -> Path:
    """Writes the rows as CSV, under exactly this name; what others wrote is not replaced."""
    with owned(path, COMMAND) as temporary:
        write_text(temporary, csv_text(classified.rows))
    return path
