"""SIGTERM and SIGHUP as Ctrl-C: a command that is asked to end cleans up and says so."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Ended", "orderly_end"]


class Ended(KeyboardInterrupt):
    """A signal asked the command to end. `number` is that of the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number = number


@contextmanager
def orderly_end() -> Iterator[None]:
    """Raises `Ended` at SIGTERM and SIGHUP, where these would end the process at once.

    Signals that are ignored stay so, as SIGHUP under nohup. While a run is played, its own listener hears them.
    """
    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    heard = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    for number in heard:
        signal.signal(number, _raise)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, signal.SIG_DFL)


def _raise(number: int, frame: FrameType | None) -> None:
    raise Ended(number)
