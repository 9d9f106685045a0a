"""Networks of one's own in estimators: which modules they may come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sklearn.base import BaseEstimator

__all__ = ["OwnCode"]


class OwnCode(BaseEstimator):  # type: ignore[misc]
    """An estimator with the parameter `allow`, which a pickle does not keep: a file decides nothing about code."""

    allow: str | Sequence[str] | None

    @property
    def allowed_modules(self) -> list[str]:
        """The modules that `allow` names."""
        return [self.allow] if isinstance(self.allow, str) else list(self.allow or ())

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "allow": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({**state, "allow": None})
