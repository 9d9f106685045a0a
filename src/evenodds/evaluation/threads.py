"""How many threads the networks that judge are fitted with: measured, as for a run, where the machine has several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from evenodds.game.engine import pick_device
from evenodds.game.threads import candidates, fastest, fixed_by_user, kept_threads, rates_by_threads
from evenodds.metrics.probe import new_probe, train_probe

__all__ = ["fastest_threads", "measured_threads"]

SHAPE, BATCH = (1, 28, 28), 64
"""Of the images with which a step is measured."""
SECONDS = 1.0


@contextmanager
def fastest_threads(device: str, say: Callable[[str], None] = lambda line: None) -> Iterator[None]:
    """Computes with the number of threads that is the fastest now; two on cores that others use can be ruinous.

    A number that the user set, by a variable of the environment or torch.set_num_threads, stays. So does that of before
    afterwards.

    Args:
        device: as the setting of that name; threads are those of a CPU.
        say: told the number, where it is not that of before.
    """
    with kept_threads():
        if pick_device(device).type == "cpu" and (threads := measured_threads()) != torch.get_num_threads():
            say(f"threads={threads}: other processes use this machine, and with more it would be slower")
            torch.set_num_threads(threads)
        yield


def measured_threads(play: Callable[[int], object] | None = None) -> int:
    """The number of threads with which rounds are played the fastest; that of now where the user set one.

    Args:
        play: plays so many rounds; None for steps of a small network on images.
    """
    most = torch.get_num_threads()
    if most == 1 or fixed_by_user():
        return most
    return fastest(rates_by_threads(play or _steps, candidates(most), SECONDS))


def _steps(rounds: int) -> None:
    """So many steps of a probe."""
    x, y = torch.zeros(BATCH, *SHAPE), torch.arange(BATCH) % 2
    for _ in train_probe(new_probe(SHAPE, 2, 0), x, y, steps=rounds, batch=BATCH, seed=0):
        pass
