"""Standard output and standard error that outlive their reader: a closed or full terminal does not stop a command."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

__all__ = ["Lasting", "lasting_streams"]

GONE = frozenset({errno.EPIPE, errno.EIO, errno.EBADF, errno.ENXIO, errno.ESHUTDOWN})
"""How a system says that nobody reads any more: a closed pipe, a terminal that is gone, a closed descriptor."""


class Lasting:
    """A text stream of which a failure that may be passed over sends the rest nowhere.

    Args:
        stream: that is written to.
        passed_over: whether the command goes on after an error. What was written before stays where it is.
        name: of the stream, for errors that are raised.
    """

    def __init__(self, stream: TextIO, passed_over: Callable[[OSError], bool], name: str) -> None:
        self._stream, self._passed_over, self._name = stream, passed_over, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._tried(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._tried(self._stream.flush)

    def _tried(self, action: Callable[[], object]) -> None:
        try:
            action()
        except UnicodeError:
            raise
        except ValueError:  # the stream was closed
            self._stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # to the end of the process
        except OSError as error:
            self._silence()
            if not self._passed_over(error):
                raise OSError(error.errno, error.strerror, self._name) from error

    def _silence(self) -> None:
        """Sends what is buffered and what comes nowhere, so that the end of the process does not fail on it."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextmanager
def lasting_streams() -> Iterator[None]:
    """The streams of this process as `Lasting` ones.

    Messages on standard error are lost where it is closed or full. Results on standard output are lost where nobody
    reads any more, as behind `| head`; any other failure, such as a full disk, is an error.
    """
    _fill_descriptors()
    before = sys.stdout, sys.stderr
    output = Lasting(_stream(sys.stdout), lambda error: error.errno in GONE, "standard output")
    errors = Lasting(_stream(sys.stderr), lambda error: True, "standard error")
    sys.stdout, sys.stderr = output, errors
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        errors.flush()


def _fill_descriptors() -> None:
    """Opens closed descriptors of the streams on nothing: else the next file opened, a checkpoint say, would be one."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _stream(stream: TextIO | None) -> TextIO:
    """The stream, or one to nowhere where Python found none."""
    return stream if stream is not None else open(os.devnull, "w", encoding="utf-8")
