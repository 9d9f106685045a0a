"""A command that a launcher such as torchrun starts several times: the first process speaks for all of them."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from evenodds.files.process import LAUNCHED, is_follower, is_launched
from evenodds.files.terminal import mute

__all__ = ["as_launched", "is_first_to_tell", "loss_behind", "named"]

TOGETHER = ("train", "resume", "upscale", "translate", "segment")
"""Commands that all processes take part in; any other is the first one's."""
ALIKE = 2.0
"""Seconds in which the first process says why all of them fail, before another one does."""


@contextmanager
def as_launched(arguments: Sequence[str]) -> Iterator[bool]:
    """Whether this process takes part in a command. One that follows another says nothing but what is urgent."""
    follows, together = is_follower(), bool(arguments) and arguments[0] in TOGETHER
    if follows:
        mute()
        warnings.simplefilter("ignore")
    if is_launched() and not together:
        for name in LAUNCHED:  # the command of one process; it must not wait for others
            del os.environ[name]
    try:
        yield together or not follows
    finally:
        if is_launched() and _processes() is not None:
            _processes().leave()


def is_first_to_tell() -> bool:
    """Whether no other process has said yet why the command fails."""
    processes = _processes()
    link = processes.joined() if processes is not None else None
    return link.first_to_tell(ALIKE) if link is not None else not is_follower()


def named(message: str) -> str:
    """What a process that follows another says begins with its number."""
    link = processes.joined() if (processes := _processes()) is not None else None
    return f"process {link.rank} of {link.size} (counted from 0): {message}" if link and link.rank else message


def loss_behind() -> str:
    """Why the launcher ends this process: which of the others has ended before; empty where none has."""
    processes = _processes()
    link = processes.joined() if processes is not None else None
    ended = link.ended() if link is not None else []
    return f"{processes.described(ended)}; {link.advice}" if link is not None and ended else ""


def _processes() -> Any:
    """The module evenodds.game.processes, where something has imported it already: it takes a second."""
    return sys.modules.get("evenodds.game.processes")
