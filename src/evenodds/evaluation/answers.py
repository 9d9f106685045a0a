"""How runs are judged whose answers are right or wrong: those that fill tables, and those that tell classes apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from evenodds.errors import BadInput
from evenodds.evaluation.examination import Step
from evenodds.evaluation.hidden_cells import judged
from evenodds.evaluation.told_classes import judged_classes
from evenodds.files.text import quoted
from evenodds.runs.run_data import Reading
from evenodds.runs.session import Session

__all__ = ["judged_answers"]


@dataclass(frozen=True)
class _Judge:
    """How runs are judged whose answers are right or wrong.

    Args:
        what: they do.
        by: what they are judged by.
        looked_at: what steps tell of.
        judge: (run, data, n, seed, reading) -> the content of an evaluation.
        idle: arguments that would change nothing, of which each is the name of a flag.
        elsewhere: what is put to other data, behind a semicolon; {} stands for the run.
    """

    what: str
    by: str
    looked_at: str
    judge: Callable[[Session, Any, int, int, Reading], dict[str, Any]]
    idle: Sequence[str]
    elsewhere: str = ""


_IDLE = ("against", "metrics", "features", "train", "most_pixels")
_JUDGES = {
    "cells": _Judge("fills tables", "cells of its held-out rows that are hidden", "hidden cells", judged, _IDLE),
    "labels": _Judge(
        "tells classes apart",
        "its held-out items that have a label",
        "held-out items",
        lambda session, data, n, seed, reading: judged_classes(session, data, n, reading),
        (*_IDLE, "seed"),
        "; other data are put to it by evenodds classify {} DATA",
    ),
}
"""By what a task is judged by."""


def judged_answers(session: Session, typed: Mapping[str, Any], say: Step) -> dict[str, Any]:
    """What an evaluation says of a run whose answers are right or wrong.

    Args:
        session: whose task is `judged_by` them.
        typed: the arguments of the evaluation by name, None where nothing was typed.

    Raises:
        BadInput: an argument would change nothing.
    """
    by = _JUDGES[session.task.judged_by]
    for name in by.idle:
        if typed.get(name) is not None:
            other = by.elsewhere.format(quoted(session.folder))
            flag = f"--{name.replace('_', '-')}"
            raise BadInput(f"{session.folder} {by.what}, and is judged by {by.by}{other}; leave {flag} out")
    say(by.looked_at, 0, 1)
    n, seed = typed.get("n", 10_000), typed.get("seed") or 0
    return by.judge(session, typed.get("run_data"), n, seed, partial(say, "reading"))
