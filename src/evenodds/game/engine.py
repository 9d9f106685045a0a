"""Where a game is played: the device, its memory format and its arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game import exchange
from evenodds.game.allocator import keep_freed_memory
from evenodds.game.norms import share_norms
from evenodds.game.rules import Batch

__all__ = ["Distributed", "Engine", "Local", "pick_device", "reseed"]


class Engine(Protocol):
    """What the trainer and the learners need of the place where they run."""

    @property
    def device(self) -> torch.device:
        """Where players, hands and draws live."""
        ...

    @property
    def rank(self) -> int:
        """Which of the processes this is, from 0; each plays its slice of a hand."""
        ...

    @property
    def size(self) -> int:
        """How many processes play a hand together."""
        ...

    @property
    def accumulate(self) -> int:
        """In how many micro-batches a process plays its slice of a hand."""
        ...

    @property
    def precision(self) -> str:
        """Of the arithmetic: "float32" or "bfloat16"."""
        ...

    @property
    def compile(self) -> bool:
        """Whether moves are compiled, where they can be."""
        ...

    @property
    def graphs(self) -> bool:
        """Whether moves are recorded and replayed, where they can be."""
        ...

    def adopt(self, players: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
        """The players, moved and wrapped for playing; their parameters stay those of the originals."""
        ...

    def send(self, batch: Batch) -> dict[str, Tensor]:
        """A batch on the device, in the engine's memory format."""
        ...

    def autocast(self) -> AbstractContextManager[object]:
        """The arithmetic in which costs are computed."""
        ...

    def read(self, terms: Mapping[str, Tensor]) -> dict[str, float]:
        """Terms as numbers. Waits for the device: call it rarely."""
        ...

    def total(self, values: Sequence[Tensor]) -> None:
        """Sums values over all processes, in place and in this order; all of them get the same bits."""
        ...

    def gather(self, values: Sequence[Tensor], rows: Sequence[int]) -> list[Tensor]:
        """The values of the slices of all processes.

        Args:
            values: of the slices of this process, (rows of it, ...) each.
            rows: of each slice, process by process.
        """
        ...


@dataclass(frozen=True)
class Local:
    """One process on one device.

    Args:
        device: "cpu", "cuda", "mps", ..., or "auto" for the best that is there.
        precision: "float32", or "bfloat16" for matrix products and convolutions under autocast.
        channels_last: store images as NHWC, which more than doubles small convolutions on a CPU.
        compile: compile each move, where it can be; see evenodds.game.learners.compiled.
        graphs: record each move as a CUDA graph, where it can be; see evenodds.game.learners.graphs.
        accumulate: micro-batches in which a hand is played, one after the other: less memory, the same costs.

    Raises:
        BadInput: the precision or the device is unknown, or there is no such device.

    Example:
        >>> from evenodds import Local
        >>> Local().device
        device(type='cpu')
        >>> Local("cpu", precision="bfloat16").precision
        'bfloat16'
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: str = "float32"
    channels_last: bool = True
    compile: bool = False
    graphs: bool = False
    rank: int = 0
    size: int = 1
    accumulate: int = 1

    def __post_init__(self) -> None:
        if self.accumulate < 1:
            raise BadInput(f"a hand is played in accumulate >= 1 micro-batches, got {self.accumulate}")
        if self.graphs and self.size * self.accumulate > 1:
            raise BadInput("graphs=true records moves of one process in one piece; set graphs=false")
        if self.precision not in ("float32", "bfloat16"):
            raise BadInput(f"precision must be float32 or bfloat16, got '{self.precision}'")
        object.__setattr__(self, "device", pick_device(self.device))

    def adopt(self, players: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
        if self.device.type == "cpu":
            keep_freed_memory()
        for player in players.values():
            player.to(self.device)
            if self.channels_last:
                player.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            if self.size * self.accumulate > 1:
                share_norms(player)
        return dict(players)

    def send(self, batch: Batch) -> dict[str, Tensor]:
        return {name: self._send(value) for name, value in batch.items()}

    def _send(self, value: Tensor) -> Tensor:
        if self.channels_last and value.dim() == 4:
            return value.to(self.device, memory_format=torch.channels_last, non_blocking=True)
        return value.to(self.device, non_blocking=True)

    def autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")

    def read(self, terms: Mapping[str, Tensor]) -> dict[str, float]:
        if not terms:
            return {}
        here = [value.detach().to(self.device, torch.float32) for value in terms.values()]
        values = torch.stack(here).tolist()  # one wait for all
        return dict(zip(terms, values, strict=True))

    def total(self, values: Sequence[Tensor]) -> None:
        """Nothing to add: there is one process."""

    def gather(self, values: Sequence[Tensor], rows: Sequence[int]) -> list[Tensor]:
        return list(values)


@dataclass(frozen=True)
class Distributed(Local):
    """One of several processes, each on a device of its own; see evenodds.game.processes.

    Each plays its slice of a hand. There is no wrapper around players: the slopes of a move are added after its one
    backward, and before the guard looks at them.
    """

    def adopt(self, players: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
        adopted = super().adopt(players)
        exchange.share(adopted)
        return adopted

    def total(self, values: Sequence[Tensor]) -> None:
        exchange.total(values)

    def gather(self, values: Sequence[Tensor], rows: Sequence[int]) -> list[Tensor]:
        return exchange.gather(values, rows)


def pick_device(name: str | torch.device) -> torch.device:
    """The device of that name; "auto" is CUDA, else Apple's MPS, else the CPU."""
    if str(name) == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise BadInput(f"device must be auto, cpu, cuda, cuda:1, mps, ...; got '{name}'") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise BadInput(f"device '{device}' was asked for, but this torch sees no CUDA device; use device=cpu")
    return device


def reseed(device: torch.device, seed: int) -> None:
    """Sets what dropout draws from on the CPU and on the device, as torch.manual_seed does for all devices.

    That function also writes down where it was called, which takes 0.1 ms and more, each time.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)
