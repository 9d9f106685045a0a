"""A game that the memory of a device does not hold is played in twice as many micro-batches."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch

from evenodds.errors import BadInput
from evenodds.game import processes
from evenodds.runs.config import Config

__all__ = ["halved", "with_room"]

T = TypeVar("T")


def with_room(config: Config, work: Callable[[Config], T], say: Callable[[str], None] = lambda line: None) -> T:
    """What `work` gives for the first of config, config with twice the `accumulate`, and so on, that memory holds.

    Raises:
        torch.OutOfMemoryError: it does not hold a micro-batch of one item, or there are several processes, which would
            have to change together.
        BadInput: the game cannot be played in micro-batches; the message names the batch that may fit.
    """
    smaller = config
    while True:
        try:
            return work(smaller)
        except torch.OutOfMemoryError as error:
            smaller = halved(smaller, error, say)
        except BadInput as error:
            if smaller is config or "accumulate" not in str(error):
                raise
            raise BadInput(
                f"the memory of the device does not hold a batch of {config.batch}; give fewer, such as "
                f"--set batch={max(1, config.batch // 2)}. {error}"
            ) from error
        _free_memory()


def _free_memory() -> None:
    """What nobody uses is given back, also what a reference cycle holds, as frames in which torch was imported do."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def halved(config: Config, error: torch.OutOfMemoryError, say: Callable[[str], None]) -> Config:
    """The configuration with micro-batches of half the items; `error` is raised where there are none."""
    pieces = 2 * config.accumulate
    if processes.size() > 1 or pieces > config.batch:
        raise error
    say(
        f"the memory of the device does not hold the game: a batch of {config.batch} is played in {pieces} "
        f"micro-batches, which is the same game; --set accumulate={pieces}{' graphs=false' if config.graphs else ''}"
    )
    # Graphs record a move that is played in one piece, and keep memory of their own.
    return replace(config, accumulate=pieces, graphs=False)
