"""A network as plain values and NumPy arrays, which can be pickled without its code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from evenodds.runs.allowed import allowing
from evenodds.runs.find import network_at

__all__ = ["StoredNetwork"]


class StoredNetwork:
    """The name of a network's class, what it was built with, and its weights as NumPy arrays.

    A pickle holds neither a network nor its code. The network is rebuilt when it is first needed.

    Args:
        module: the network to store.
        arguments: plain values that it was built with.
    """

    def __init__(self, module: nn.Module, arguments: Mapping[str, Any]) -> None:
        self.home, self.name, self.arguments = type(module).__module__, type(module).__name__, dict(arguments)
        self.weights = {key: value.detach().cpu().numpy().copy() for key, value in module.state_dict().items()}
        self._module: nn.Module | None = None
        self._kind: type[nn.Module] | None = type(module)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_module": None, "_kind": None}

    @property
    def module(self) -> nn.Module:
        """The network on the CPU, in eval mode."""
        if self._module is None:
            with torch.random.fork_rng():  # its initial weights are drawn, and replaced at once
                module: nn.Module = self._class()(**self.arguments)
            module.load_state_dict({key: torch.from_numpy(value.copy()) for key, value in self.weights.items()})
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._module = module.eval().requires_grad_(False)
        return self._module

    def built(self, modules: Sequence[str]) -> nn.Module:
        """The same; these modules of one's own may be imported for it.

        Raises:
            NotAllowed: its class is outside evenodds, and its module is not among them.
        """
        with allowing(modules):
            return self.module

    def _class(self) -> Any:
        """Of the network. After unpickling, the module of a class outside evenodds must be allowed."""
        kind: type[nn.Module] | None = self.__dict__.get("_kind")
        return kind if kind is not None else network_at(f"{self.home}:{self.name}")
