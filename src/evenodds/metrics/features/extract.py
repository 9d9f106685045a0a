"""All features of many items, in batches; and which extractors there are."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from evenodds.errors import BadInput, unknown
from evenodds.game.schedule import OnProgress

__all__ = ["Classes", "Features", "extract", "extractor", "names", "together"]


class Features(Protocol):
    """An extractor: x (N, C, H, W) or (N, D) in [-1, 1] -> (N, F) float32, each row a function of its own item."""

    @property
    def name(self) -> str:
        """The name of its module."""
        ...

    @property
    def weights(self) -> str:
        """ "none", or "sha256:" and the digest of the weights."""
        ...

    @property
    def resize(self) -> str:
        """What happens to sizes and ranges before, for a fingerprint: "none", "area to 32x32"."""
        ...

    @property
    def comparable(self) -> str:
        """With which published figures its scores compare: "", "published FID"."""
        ...

    def __call__(self, x: Tensor) -> Tensor:
        """The features, on the device of x, without gradients."""
        ...


@runtime_checkable
class Classes(Protocol):
    """An extractor that also says to which class an item belongs."""

    def probabilities(self, x: Tensor) -> Tensor:
        """(N, K) float32; rows sum to 1."""
        ...

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features and probabilities from one pass."""
        ...


def names() -> list[str]:
    """The extractors that exist."""
    package = import_module("evenodds.metrics.features")
    modules = (info.name for info in iter_modules(package.__path__))
    return sorted(name for name in modules if not name.startswith("_") and name != "extract")


def extractor(name: str) -> Any:
    """The class of the extractor of that name.

    Raises:
        BadInput: nobody has the name.
    """
    if name not in names():
        raise unknown("features", name, names())
    return getattr(import_module(f"evenodds.metrics.features.{name}"), name.capitalize())


def extract(features: Features, x: Tensor, *, batch: int = 256, progress: OnProgress | None = None) -> Tensor:
    """The features of all items.

    Args:
        features: the extractor.
        x: (N, C, H, W) or (N, D) float in [-1, 1], N >= 1.
        batch: items per pass.
        progress: called after each batch.

    Returns:
        (N, F) float32 on the device of x.

    Raises:
        BadInput: no items, or what the extractor cannot take.
    """
    return torch.cat(_passes(features, x, batch, progress))


def together(
    features: Features,
    x: Tensor,
    *,
    batch: int = 256,
    progress: OnProgress | None = None,
    device: torch.device | None = None,
) -> tuple[Tensor, Tensor | None]:
    """The features of all items and, from the same pass, their class probabilities where the extractor has classes.

    Takes what `extract` takes, and the device on which features are computed; None for that of x.

    Returns:
        (N, F) float32, and (N, K) float32 or None; on the device of x.
    """
    if not isinstance(features, Classes):
        return torch.cat(_passes(features, x, batch, progress, device)), None
    parts = _passes(features.both, x, batch, progress, device)
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


@torch.inference_mode()
def _passes(
    run: Callable[[Tensor], Any],
    x: Tensor,
    batch: int,
    progress: OnProgress | None,
    device: torch.device | None = None,
) -> list[Any]:
    if not len(x) or batch < 1:
        raise BadInput(f"features need at least 1 item and batch >= 1, got {len(x)} and {batch}; give more items")
    parts = []
    for start in range(0, len(x), batch):
        answer = run(x[start : start + batch].to(x.device if device is None else device))
        parts.append(answer.to(x.device) if isinstance(answer, Tensor) else tuple(part.to(x.device) for part in answer))
        if progress is not None:
            progress(min(start + batch, len(x)), len(x))
    return parts
