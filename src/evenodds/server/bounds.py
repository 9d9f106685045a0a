"""How much a server takes at once: what is beyond is refused at once, with the time after which to ask again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from evenodds.errors import BadInput

__all__ = ["Bounds", "Full", "Line", "NotNow", "Overloaded", "Replaced", "TooMuch"]


class Overloaded(BadInput):
    """More is asked of a run, or of runs, than can be answered in time."""


class Replaced(BadInput):
    """A later request for the same place has come before this one was begun."""


class NotNow(BadInput):
    """A request was not answered within its time."""


class TooMuch(BadInput):
    """One request asks for more than one may."""


class Full(Overloaded):
    """As many requests wait as may. `retry_after`: seconds after which one of them is likely to be answered."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Bounds:
    """How much is taken.

    Args:
        queue: requests that are taken and not yet answered.
        receiving: requests with pictures that are being received.
        samples: of one request; fillings, and pictures or rows to encode or classify, likewise.
        upload: bytes of a request.
        pixels: of a picture, before and after.
        numbers: in all answers that are being made, four bytes each; a quarter of it in one.
        pause: seconds between two parts of a request.
        seconds: from the whole of a request to its answer.
        grace: seconds that requests have which were taken before the server was asked to end.
    """

    queue: int = 64
    receiving: int = 16
    samples: int = 4096
    upload: int = 32 * 2**20
    pixels: int = 24_000_000
    numbers: int = 2**28
    pause: float = 10.0
    seconds: float = 60.0
    grace: float = 30.0

    def require_count(self, n: int, what: str = "samples", counted: bool = True) -> None:
        """TooMuch where a request asks for more items than one may.

        Args:
            counted: whether these are all; else there may be more.
        """
        if n > self.samples:
            got = f"{n:,}" if counted else f"at least {n:,}"
            raise TooMuch(f"a request may ask for at most {self.samples:,} {what}, got {got}; ask several times")


class Line:
    """Those who wait.

    Args:
        bounds: how many may.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.waiting = self.receiving = self.numbers = 0
        self._pace = 0.1
        """Seconds between two answers while requests wait, of late."""

    @contextmanager
    def received(self) -> Iterator[None]:
        """Within it, the body of a request is received; Full where too many are, or where it would not be taken."""
        self._require_place(self.receiving < self.bounds.receiving and self.waiting < self.bounds.queue)
        self.receiving += 1
        try:
            yield
        finally:
            self.receiving -= 1

    @contextmanager
    def taken(self, numbers: int) -> Iterator[None]:
        """Within it, a request is answered.

        Args:
            numbers: of its answer.

        Raises:
            TooMuch: of an answer that is larger than one may be.
            Full: too many requests wait, or their answers are large.
        """
        most = self.bounds.numbers // 4
        if numbers > most:
            raise TooMuch(f"an answer may have at most {most:,} numbers, this one has {numbers:,}; ask several times")
        self._require_place(self.waiting < self.bounds.queue and self.numbers + numbers <= self.bounds.numbers)
        self.waiting += 1
        self.numbers += numbers
        try:
            yield
        finally:
            self.waiting -= 1
            self.numbers -= numbers

    @property
    def is_full(self) -> bool:
        """Whether a request would be refused now."""
        return self.waiting >= self.bounds.queue

    def answered(self, seconds: float) -> None:
        """Takes down how long a request took."""
        self._pace += 0.1 * (seconds / max(1, self.waiting) - self._pace)

    def _require_place(self, there: bool) -> None:
        if not there:
            retry = min(60, max(1, math.ceil(self._pace * self.waiting / 2)))
            raise Full(f"{self.waiting} requests wait already; ask again in {retry} s", retry)
