"""A watch over the processes of a game: one that is killed, that is not heard from or that hangs ends all of them.

Each process tells what it does, once a second, in the store that all of them share, and looks after the next one.
Those that wait in a collective cannot be interrupted by anything but their own end, so that is what the watch does.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from evenodds.files.terminal import say
from evenodds.game.processes import Link, described, joined

__all__ = ["BEAT", "SILENT", "STUCK", "watched"]

BEAT = 1.0
"""Seconds from one sign of life to the next."""
SILENT = 45.0
"""Seconds without a sign of life after which a process counts as gone: stopped, or on a machine that is cut off."""
STUCK = 600.0
"""Seconds in one and the same round after which a process counts as hanging."""
GRACE = 5.0
"""Seconds in which a process ends by itself once the loss was told."""
DONE = "done"


@dataclass
class Watch:
    """Tells how this process does, and looks after the next one.

    Args:
        link: to the others.
        store: a connection of its own, since a wait on the link's would hold this one up.
        round: the number of the watch; each has its own entries in the store.
    """

    link: Link
    store: Any
    round: int
    silent: float = SILENT
    stuck: float = STUCK
    ended: threading.Event = field(default_factory=threading.Event)
    _seen: tuple[str, float] = ("", 0.0)
    """What the next process told last, and when that was another than before, on this clock."""
    _turned: tuple[str, float] = ("", 0.0)
    """The state of it, likewise."""
    _beats: int = 0

    def run(self) -> None:
        """Until the watch ends."""
        try:
            while not self.ended.wait(BEAT):
                self.tell()
                reason = self.look(time.monotonic())
                if reason:
                    self._end(reason)
        except RuntimeError:  # the store is gone with the process that kept it
            if not self.ended.wait(5 * BEAT):
                self._end(described([0]))

    def tell(self, state: str | None = None) -> None:
        """A sign of life."""
        self._beats += 1
        state = state or f"{self.link.state} {self.link.turn}"
        self.store.set(f"beat/{self.round}/{self.link.rank}", f"{self._beats} {state}")

    def look(self, now: float) -> str:
        """What is wrong with the next process; empty where nothing is."""
        number = (self.link.rank + 1) % self.link.size
        key = f"beat/{self.round}/{number}"
        if not self.store.check([key]):  # not begun; to get it would be to wait for it
            return ""
        told = self.store.get(key).decode()
        state = told.partition(" ")[2]
        if state == DONE:
            return ""
        if told != self._seen[0]:
            self._seen = told, now
        if state != self._turned[0]:
            self._turned = state, now
        process = self.link.process(number)
        if process is not None and process.alive() is False:
            return described([number])
        if now - self._seen[1] > self.silent:
            return f"process {number} of {self.link.size} (counted from 0) was not heard from for {self.silent:.0f} s"
        if state.startswith("plays ") and now - self._turned[1] > self.stuck:
            return (
                f"process {number} of {self.link.size} (counted from 0) hangs: it has been in one round for "
                f"{self.stuck:.0f} s"
            )
        return ""

    def _end(self, reason: str) -> None:
        """Ends this process at once, and says why where nobody has said so."""
        if self.ended.is_set() or self.link.fails:
            return
        if self.link.first_to_tell():
            say(f"evenodds: error: {reason}; {self.link.advice}", urgent=True)
        else:
            self.ended.wait(GRACE)  # somebody says it now, perhaps another thread of this process
        os._exit(1)


_rounds = 0
_watching = False


@contextmanager
def watched(advice: str) -> Iterator[None]:
    """All processes look after each other inside; nothing where there is one.

    Args:
        advice: what to do when one is lost.
    """
    global _rounds, _watching
    link = joined()
    if link is None or link.size == 1 or _watching:
        yield
        return
    _rounds, _watching, link.advice = _rounds + 1, True, advice
    store = link.store.clone() if hasattr(link.store, "clone") else link.store
    watch = Watch(link, store, _rounds)
    watch.tell()
    threading.Thread(target=watch.run, daemon=True, name="evenodds watch").start()
    try:
        yield
    finally:
        _watching = False
        watch.ended.set()
        with suppress(RuntimeError):  # nobody is left to be told
            watch.tell(DONE)
