"""A run that tells classes apart, judged by its held-out labels: what `evenodds classify` says of them."""

from __future__ import annotations

from typing import Any

import torch

from evenodds.apply.classified import Classified
from evenodds.apply.classifying import told_of
from evenodds.errors import BadInput
from evenodds.files.text import quoted
from evenodds.game.arithmetic import evenly
from evenodds.runs.run_data import Reading, named_place, open_run_data
from evenodds.runs.session import Session
from evenodds.version import __version__

__all__ = ["judged_classes"]

MOST_PAIRS = 3
"""Pairs of classes that are named since one is taken for the other."""


def judged_classes(
    session: Session, data: Any = None, n: int = 10_000, reading: Reading | None = None
) -> dict[str, Any]:
    """What an evaluation says of a run that tells classes apart.

    Args:
        data: where the data of the run lie now; None for where they were.
        n: at most so many items, spread over all that were held out.

    Raises:
        BadInput: the data are others, or no labelled item was held out.
    """
    every = open_run_data(session.config, session.card, data, reading)
    index = every.labelled(torch.tensor(session.card.held_out, dtype=torch.int64))
    index = index[evenly(len(index), n)]
    if not len(index):
        raise BadInput(
            "a classifier is judged by labelled items that were held out, and there are none; name others that have a "
            f"label: evenodds classify {quoted(session.folder)} DATA"
        )
    held_out = every.take(index)
    classified = told_of(session, every, index=index)
    return {
        "subject": {
            "kind": "run", "path": str(session.folder), "items": len(index), "images_seen": session.images,
            "seed": None,
        },
        "reference": {
            "path": named_place(session.config, data), "kind": every.kind,
            "shape": list(every.x.shape[1:]), "items": len(index), "role": "held-out items with a label",
        },
        "fingerprint": {
            "features": "classes", "reference": held_out.fingerprint(), "n_real": len(index),
            "n_fake": len(index), "evenodds": __version__,
        },
        "comparable": None,
        "features_seen": False,
        "scores": _scores(classified),
        **dict.fromkeys(("memorisation", "equilibrium", "likelihood", "classes", "outside")),
        "told": classified.by_class,
        "confusion": classified.confusion.tolist(),
        "verdict": _verdict(classified),
        "sound": True,
    }  # fmt: skip


def _scores(classified: Classified) -> list[dict[str, Any]]:
    """The share of right answers, with the interval that `evenodds classify` has."""
    assert classified.accuracy is not None
    value, low, high = classified.accuracy
    n, commonest = len(classified.known), float(classified.confusion.sum(1).max() / len(classified.known))
    return [
        {
            "name": "class_accuracy", "title": "Right answers", "better": "higher", "value": value, "low": low,
            "high": high, "floor": None, "floor_low": None, "floor_high": None, "n_real": n, "n_fake": n,
            "note": f"the commonest class alone: {commonest:.1%}",
        }
    ]  # fmt: skip


def _verdict(classified: Classified) -> list[str]:
    """What the figures say."""
    accuracy = classified.accuracy
    assert accuracy is not None
    items = f"{len(classified.known):,} held-out items with a label"
    lines = ["{:.1%} right ({:.1%} to {:.1%}) of ".format(*accuracy) + items + "."]
    matrix = classified.confusion.copy()
    matrix[range(len(matrix)), range(len(matrix))] = 0
    pairs = []
    for place in (-matrix.ravel()).argsort(kind="stable")[:MOST_PAIRS].tolist():
        true, said = divmod(place, len(matrix))
        if matrix[true, said]:
            pairs.append(f"{classified.classes[true]} taken for {classified.classes[said]} ({matrix[true, said]:,})")
    return [*lines, f"Most often wrong: {', '.join(pairs)}."] if pairs else lines
