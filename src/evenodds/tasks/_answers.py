"""Requests of which each entry has its own answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.rules import Batch

__all__ = ["answers_by_entry"]


def answers_by_entry(request: Batch, answers: Mapping[str, Callable[[Tensor], Batch]]) -> Batch:
    """The answers to all entries of a request that can be answered, in one.

    Args:
        answers: by the name of the entry, what answers it.

    Raises:
        BadInput: the request has none of these entries.
    """
    answer: dict[str, Tensor] = {}
    for name, answer_of in answers.items():
        if name in request:
            answer |= answer_of(request[name])
    if not answer:
        needed = " or ".join(f"'{name}'" for name in answers)
        raise BadInput(f"a request needs {needed}, got {', '.join(sorted(request)) or 'nothing'}; add one")
    return answer
