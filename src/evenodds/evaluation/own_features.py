"""Features by code of one's own, held to what scores need of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.modes import at_rest
from evenodds.pretrained.state import digest
from evenodds.runs.own_parts import called

__all__ = ["FeaturesBy", "OwnFeatures"]

FeaturesBy = str | Callable[[Tensor], Any]
"""What computes features: a name, one's own code as `module:Name` or by itself."""


@dataclass(frozen=True)
class OwnFeatures:
    """An extractor of one's own, with what fingerprints need of it.

    Args:
        name: as the user named it.
        function: x (N, C, H, W) or (N, D) in [-1, 1] -> (N, F), each row of its own item alone. A module is asked as
            for answers, without dropout and with the statistics that its norms have learned.
        weights: what tells it from others of that name.
        resize: what it does to sizes and ranges before, in words.
    """

    name: str
    function: Callable[[Tensor], Any]
    weights: str
    resize: str = "own"
    comparable = ""

    @staticmethod
    def of(code: Any, shape: Sequence[int], name: str = "") -> OwnFeatures:
        """That of a function, a module, an object that is called, or a class that is made with the shape of an item.

        Args:
            shape: of one item, (C, H, W) or (D,).
            name: as the user typed it; that of the code where it was handed over.

        Raises:
            BadInput: it cannot be called, cannot be told from others, or gives no such features.
        """
        typed, maker = name or _name(code), code
        function = maker(tuple(shape)) if inspect.isclass(code) else code
        if not callable(function):
            raise BadInput(
                f"features '{typed}' are made by a function or an object that is called with x, got {_name(function)}"
            )
        resize = getattr(function, "resize", None)
        made = OwnFeatures(typed, function, _told_apart(typed, function), resize if isinstance(resize, str) else "own")
        made._require_alone(shape)
        return made

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """(N, F) float32, on the device of x."""
        what = f"features '{self.name}'"
        with ExitStack() as stack:
            if isinstance(self.function, nn.Module):
                self.function.to(x.device)
                stack.enter_context(at_rest(self.function))
            rows = called(what, self.function, x.float())
        if not isinstance(rows, Tensor) or rows.dim() != 2 or len(rows) != len(x) or not rows.shape[1]:
            came = tuple(rows.shape) if isinstance(rows, Tensor) else f"a {type(rows).__name__}"
            raise BadInput(f"{what} must turn x {tuple(x.shape)} into a tensor ({len(x)}, F), got {came}")
        if not rows.isfinite().all():
            raise BadInput(f"{what} gave NaN or infinity for {len(x)} items in [-1, 1]")
        return rows.to(x.device, torch.float32)

    def _require_alone(self, shape: Sequence[int]) -> None:
        """BadInput where a row depends on other items than its own."""
        x = 2 * torch.rand(3, *shape, generator=torch.Generator().manual_seed(0)) - 1
        together, alone = self(x), self(x[:1])
        if not torch.allclose(together[:1], alone, rtol=1e-2, atol=1e-3 * float(together.abs().max())):
            raise BadInput(
                f"features '{self.name}' of an item depend on the items beside it; compute each row from its own item"
            )


def _name(code: Any) -> str:
    named = code if hasattr(code, "__qualname__") else type(code)
    return f"{named.__module__}:{named.__qualname__}"


def _told_apart(name: str, function: Any) -> str:
    """What tells an extractor from others of its name: what it says itself, its weights, or its source."""
    said = getattr(function, "weights", None)
    if isinstance(said, str) and said:
        return said
    if isinstance(function, nn.Module) and function.state_dict():
        return digest({key: value.cpu() for key, value in function.state_dict().items()})
    try:
        source = inspect.getsource(function if inspect.isroutine(function) else type(function))
    except (OSError, TypeError) as error:
        raise BadInput(
            f"nothing tells features '{name}' from others of that name, as their source cannot be read; give them "
            "`weights`, a text that names what they are"
        ) from error
    return f"source sha256:{sha256(source.encode()).hexdigest()}"
