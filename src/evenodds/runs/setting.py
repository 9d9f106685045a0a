"""What is known of a setting: its default, what it means, and the names that it takes."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, TypeVar

from evenodds.errors import BadInput
from evenodds.files.names import is_there
from evenodds.runs.find import canonical
from evenodds.runs.values import ELSEWHERE, IN_MEMORY, Part

__all__ = ["Setting", "setting"]

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """What is known of a setting beside its type and default.

    Args:
        note: what it means, for `evenodds list settings`.
        kinds: the kinds in which its names are looked up, see `find.KINDS`.
        words: further words that it takes.
        auto: whether "auto" leaves it open until the run starts; it is None until then.
        least: the smallest value.
        most: the largest value.
        may_change: whether a resumed run may differ in it from its checkpoint.
    """

    note: str
    kinds: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    auto: bool = False
    least: float | None = None
    most: float | None = None
    may_change: bool = False

    def require_range(self, key: str, value: Any) -> None:
        """BadInput where a number is not finite or outside of the range; the message names the key."""
        if not isinstance(value, int | float):
            return
        if isinstance(value, float) and not isfinite(value):
            raise BadInput(f"{key} must be finite, got {value}")
        if self.least is not None and value < self.least:
            raise BadInput(f"{key} must be at least {self.least:,}, got {value}")
        if self.most is not None and value > self.most:
            raise BadInput(f"{key} must be at most {self.most:,}, got {value}")

    def spelled(self, value: Any) -> Any:
        """The value with every name in it as its kind spells it; names are matched whatever their case only here."""
        if isinstance(value, Part):
            return Part(self._name(value.name), value.options)
        if isinstance(value, tuple):
            return tuple(map(self.spelled, value))
        return self._name(value) if isinstance(value, str) else value

    def _name(self, name: str) -> str:
        if name.lower() in self.words:
            return name.lower()
        if "sources" in self.kinds and (name in (IN_MEMORY, ELSEWHERE) or is_there(name)):
            return name
        return next((spelling for kind in self.kinds if (spelling := canonical(kind, name)) is not None), name)


def setting(default: T, note: str, **more: Any) -> T:
    """A field of Config with its default and documentation; `more` as for Setting."""
    about = {"setting": Setting(note, **more)}
    if isinstance(default, Part):
        return field(default_factory=lambda: deepcopy(default), metadata=about)
    return field(default=default, metadata=about)
