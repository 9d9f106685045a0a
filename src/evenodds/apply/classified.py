"""What is said of the class of items, and how often it is right; torch is not needed for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.files.outputs import owned
from evenodds.files.text import csv_text
from evenodds.files.write import write_text
from evenodds.game.arithmetic import wilson

__all__ = ["COMMAND", "FILE", "Classified", "told", "write_classes"]

COMMAND = "classify"
FILE = "classes.csv"
"""What is written where no other name is given."""


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
    held_out: NDArray[np.bool_] | None = None
    strange: tuple[str, ...] = ()

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
    def accuracy(self) -> tuple[float, float, float] | None:
        """The share of right answers and the ends of its 95 % interval (Wilson 1927); None where no item shows it."""
        tested = self.tested
        if not tested.any():
            return None
        share = float((self.answers == self.known)[tested].mean())
        return share, *wilson(share, int(tested.sum()))

    @property
    def by_class(self) -> list[dict[str, Any]]:
        """For each class its "name"; "answers", the items that are said to be of it; "tested", those of it that show
        how often answers are right; "found", the share of these that are said to be of it, and "right", the share that
        is of it among those tested that are said to be. None of a share of nothing."""
        answers, known, tested = self.answers, self.known, self.tested
        rows = []
        for k, name in enumerate(self.classes):
            there, said = tested & (known == k), tested & (answers == k)
            row = {"name": name, "answers": int((answers == k).sum()), "tested": int(there.sum())}
            found = float((answers[there] == k).mean()) if there.any() else None
            rows.append(row | {"found": found, "right": float((known[said] == k).mean()) if said.any() else None})
        return rows

    @property
    def confusion(self) -> NDArray[np.int64]:
        """(K, K) of the tested items, true classes by rows, answers by columns."""
        matrix = np.zeros((len(self.classes), len(self.classes)), np.int64)
        np.add.at(matrix, (self.known[self.tested], self.answers[self.tested]), 1)
        return matrix

    @property
    def rows(self) -> list[list[object]]:
        """A head, and a row for each item: its name or number, class, probability, what is known, each probability."""
        names_of_classes = [*self.classes, ""]
        head = ["name" if self.names else "item", "class", "probability", "known", "held_out"]
        head += [f"p({name})" for name in self.classes]
        held_out = [""] * len(self.known) if self.held_out is None else self.held_out.astype(int).tolist()
        names = self.names or range(1, len(self.known) + 1)
        rounded = np.round(self.probabilities.astype(np.float64), 4)
        body = [
            [name, names_of_classes[k], row[k], names_of_classes[known], apart, *row]
            for name, k, row, known, apart in zip(
                names, self.answers.tolist(), rounded.tolist(), self.known.tolist(), held_out, strict=True
            )
        ]
        return [head, *body]


def told(classes: Sequence[str], probabilities: NDArray[np.float32]) -> list[dict[str, Any]]:
    """What is said of each item: its class, the probability of that, and those of all classes by name.

    Args:
        classes: K names.
        probabilities: (N, K).
    """
    return [
        {"class": classes[k], "probability": row[k], "probabilities": dict(zip(classes, row, strict=True))}
        for k, row in zip(probabilities.argmax(1).tolist(), probabilities.tolist(), strict=True)
    ]


def write_classes(path: Path, classified: Classified) -> Path:
    """Writes the rows as CSV, under exactly this name; what others wrote is not replaced."""
    with owned(path, COMMAND) as temporary:
        write_text(temporary, csv_text(classified.rows))
    return path
