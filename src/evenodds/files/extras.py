"""Packages that not everyone needs: imported where a file asks for one, and named where it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from evenodds.errors import BadInput

__all__ = ["Missing", "needs"]


class Missing(BadInput):
    """A package of an extra is not installed. `reason` is a clause that says what to type."""

    def __init__(self, extra: str) -> None:
        self.reason = f"it needs an extra: pip install 'evenodds[{extra}]'"
        super().__init__(f"this cannot be read: {self.reason}")


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Within it, packages of an extra are imported; `Missing` where one is not installed.

    Args:
        extra: its name in pyproject.toml.
    """
    try:
        yield
    except ImportError as error:
        raise Missing(extra) from error
