"""The one place from which text reaches a terminal: sentences on standard error, results on standard output."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from evenodds.files.text import encodable, json_text, visible

__all__ = ["for_stream", "mute", "result", "result_json", "result_table", "say", "say_count", "terminal"]


_mute = False


def mute() -> None:
    """From here on this process says nothing but what is urgent: another one speaks for it."""
    global _mute
    _mute = True


def say(line: str, urgent: bool = False) -> None:
    """Prints a sentence for the user on standard error; standard output is for results."""
    if urgent or not _mute:
        print(for_stream(line, sys.stderr), file=sys.stderr, flush=True)


def say_count(line: str, end: bool) -> None:
    """Draws a line of standard error over the one before; the last one stays."""
    print(f"\r{for_stream(line, sys.stderr)}", end="\n" if end else "", file=sys.stderr, flush=True)


def result(line: object) -> None:
    """Prints a result, such as the path of a file that was written, as one line on standard output."""
    print(for_stream(line, sys.stdout))


def result_table(lines: Iterable[str]) -> None:
    """Prints a result of several lines."""
    for line in lines:
        result(line)


def result_json(content: Any) -> None:
    """Prints a result as JSON."""
    print(json_text(content, sys.stdout.encoding))


def for_stream(text: object, stream: TextIO) -> str:
    """The visible form of the text, in characters that the stream has."""
    behind = getattr(stream, "rich_proxied_file", stream)  # while a bar is drawn
    return encodable(visible(text), behind.encoding)


@contextmanager
def terminal() -> Iterator[None]:
    """While a command runs, warnings are sentences, and no character ends it because the terminal lacks it."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    before = warnings.showwarning
    warnings.showwarning = _show_warning
    try:
        yield
    finally:
        warnings.showwarning = before


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    say(f"{category.__name__}: {message}")
