"""Networks that no memory of this machine holds are refused before any of it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import nn

from evenodds.errors import BadInput
from evenodds.files.memory import machine_bytes

__all__ = ["require_memory"]

SMALL = 5 * 10**7
"""Networks whose largest layer surely has fewer entries than so many are not counted."""
DEPTHS = ("depth", "blocks", "layers")


def require_memory(
    what: str, build: Callable[..., nn.Module], options: Mapping[str, Any], arguments: Sequence[Any] = ()
) -> None:
    """BadInput where twice the parameters of a network, for itself and an average of it, exceed the machine's memory.

    Args:
        what: the network, for the message.
        build: makes it of `arguments` and `options`. It is called once, on torch's "meta" device, which allocates
            nothing and draws no random numbers; what cannot be built there is not counted.
    """
    most = machine_bytes()
    if _bound(options, arguments) < SMALL:
        return
    try:
        with torch.device("meta"):
            network = build(*arguments, **options)
    except Exception:
        return
    needed = 2 * sum(one.numel() * one.element_size() for one in (*network.parameters(), *network.buffers()))
    if needed > most:
        raise BadInput(
            f"{what} needs {needed / 2**30:,.1f} GiB for its parameters, and this machine has {most / 2**30:,.1f}; "
            "lower its width or depth"
        )


def _bound(options: Mapping[str, Any], arguments: Sequence[Any]) -> int:
    """Roughly the most entries that all layers have: the largest length times the largest length or shape, by depth."""
    values = [*options.values(), *arguments]
    length = max([1, *(abs(value) for value in values if isinstance(value, int))])
    shapes = [prod(value) for value in values if isinstance(value, list | tuple) and all(map(_whole, value))]
    depth = max([1, *(options[name] for name in DEPTHS if _whole(options.get(name)))])
    return int(length * max([length, *shapes]) * depth)


def _whole(value: Any) -> bool:
    return isinstance(value, int)
