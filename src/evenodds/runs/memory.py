"""Networks and rounds of training that no memory of this machine holds are refused before any of it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from inspect import signature
from math import inf, prod
from typing import Any

import torch
from torch import nn

from evenodds.errors import BadInput
from evenodds.files.memory import machine_bytes
from evenodds.game import processes
from evenodds.game.rules import Batch
from evenodds.runs.config import Config
from evenodds.runs.peak import Peak, as_meta, on_meta, peak_of
from evenodds.tasks._playable import Playable

__all__ = ["device_bytes", "require_memory", "require_round", "round_bound"]

SMALL = 5 * 10**7
"""Networks whose largest layer surely has fewer entries than so many are not counted."""
KERNELS = 2 * 9
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
    defaults = {name: one.default for name, one in signature(build).parameters.items()}
    if _bound({**defaults, **options}, arguments) < SMALL:
        return
    try:
        with torch.device("meta"):
            network = build(*arguments, **options)
    except Exception:
        return
    needed = 2 * sum(one.numel() * one.element_size() for one in (*network.parameters(), *network.buffers()))
    most = machine_bytes()
    if needed > most:
        raise BadInput(
            f"{what} needs {needed / 2**30:,.1f} GiB for its parameters, and this machine has {most / 2**30:,.1f}; "
            "lower its width or depth"
        )


ROOM = 0.8
"""The part of the memory that a round may take which is advised instead of one that is too large."""
SMALL_LENGTH, SMALL_DEPTH = 512, 16
SMALL_WEIGHTS = 2**30
"""Bytes that players surely do not need whose layers have at most that length, and which have at most that depth."""
PER_UNIT = 400
"""Bytes that their round surely does not need for each pixel of a batch and unit of their width."""
USUAL_WIDTH = 64
"""At least that of all networks of images where a configuration gives none."""
WITH_EXTRAS = 2
"""So many times that a round surely does not need which has extras of the package's own."""


UNRELATED: dict[str, Any] = {
    "images": 1, "seed": 0, "threads": None, "save_share": 1.0, "evaluate_share": 1.0, "glance_share": 1.0,
}  # fmt: skip
"""Settings that change nothing about the memory of a round, at some value."""


def require_round(
    config: Config,
    task: Playable,
    one: Batch,
    build: Callable[[], Mapping[str, nn.Module]],
    device: torch.device,
    slices: int = 1,
    once: Callable[[Hashable, Callable[[], Peak | None]], Peak | None] = lambda _, find: find(),
) -> None:
    """BadInput where a round of training needs more memory than the device has, before any of it is asked for.

    Rounds that are surely small are not looked at. What cannot be played without values is not refused.

    Args:
        config: of the run.
        one: a batch of one item of the data.
        build: makes the players. It is called once, on torch's "meta" device, which allocates and draws nothing.
        device: where the players are to be.
        slices: in how many a batch is played, of which one at a time is on the device.
        once: keeps what was found out about a round of the data under a key: a run is built several times.
    """
    config = replace(config, batch=-(-config.batch // slices))
    there, shape = device_bytes(device), tuple(one["x"].shape[1:])
    if round_bound(config, (getattr(task.prior, "size", 1), *shape[:1]), prod(shape[1:])) <= there / 4:
        return
    key = ("peak of a round", repr(replace(config, **UNRELATED)))
    peak = once(key, lambda: _peak(config, task, one, build))
    if peak is not None and peak.total > there:
        place = "this GPU" if device.type == "cuda" else "this machine"
        raise BadInput(
            f"a round of training needs {peak.total / 2**30:,.1f} GiB of memory ({peak.activations / 2**30:,.1f} for a "
            f"batch of {config.batch:,}), and {place} has {there / 2**30:,.1f}; {_advice(peak, there, config, slices)}"
        )


def device_bytes(device: torch.device) -> int:
    """The memory of a device, all of it."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return machine_bytes()


def round_bound(config: Config, lengths: Sequence[int], pixels: int) -> float:
    """Bytes that a round surely does not exceed, by the numbers of a configuration alone; inf where these do not say.

    Args:
        lengths: of z, and of the channels or columns of an item.
        pixels: of an item.
    """
    parts = (config.generator, config.discriminator)
    depth = max([1, *(part.options[name] for part in parts for name in DEPTHS if _whole(part.options.get(name)))])
    longest = max([*lengths, *(n for part in parts for value in part.options.values() for n in _numbers(value))])
    own = any(":" in part.name for part in (*parts, *config.extras))
    if longest > SMALL_LENGTH or depth > SMALL_DEPTH or own:
        return inf
    width = max(part.options.get("width", USUAL_WIDTH) for part in parts)
    plain = float(SMALL_WEIGHTS + PER_UNIT * config.batch * pixels * width * max(1, depth / 4))
    return plain * WITH_EXTRAS if config.extras else plain


def _numbers(value: Any) -> list[int]:
    """The whole numbers in an option."""
    return [one for one in (value if isinstance(value, list | tuple) else [value]) if _whole(one)]


def _peak(config: Config, task: Playable, one: Batch, build: Callable[[], Mapping[str, nn.Module]]) -> Peak | None:
    """Of a round of the run; None where it cannot be played without values."""
    averaged = task.averaged if config.average_half_life > 0 else ()
    try:
        _ = task.contest.relative, task.contest.oriented  # found from values
        sharing = processes.size() if config.shard_optimizer else 1
        peak = peak_of(task, on_meta(build), as_meta(one, config.batch), config.optimizer.name, averaged, sharing)
    except BadInput:
        raise
    except Exception:
        return None
    halved = config.precision == "bfloat16"
    return Peak(peak.weights, peak.activations // 2) if halved else peak


def _advice(peak: Peak, there: int, config: Config, slices: int) -> str:
    """What to type so that a round fits.

    Args:
        config: with the batch of a slice.
    """
    left = ROOM * there - peak.weights
    batch = int(config.batch * left / max(1, peak.activations))
    if batch >= 1:
        fits = 2 ** (batch.bit_length() - 1)
        pieces = config.accumulate * -(-config.batch // fits)
        return f"--set batch={fits * slices} fits, and so does the same batch with --set accumulate={pieces}"
    return "lower --set generator.width and discriminator.width, or their depth"


def _bound(options: Mapping[str, Any], arguments: Sequence[Any]) -> int:
    """Roughly the most entries that all layers have: the largest length times the largest length or shape, by depth.

    A layer may be a few convolutions of 3 x 3.
    """
    values = [*options.values(), *arguments]
    length = max([1, *(abs(value) for value in values if isinstance(value, int))])
    shapes = [prod(value) for value in values if isinstance(value, list | tuple) and all(map(_whole, value))]
    depth = max([1, *(options[name] for name in DEPTHS if _whole(options.get(name)))])
    return int(KERNELS * length * max([length, *shapes]) * depth)


def _whole(value: Any) -> bool:
    return isinstance(value, int)
