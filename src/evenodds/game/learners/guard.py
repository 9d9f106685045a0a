"""Keeps numbers that are not finite away from the weights, in the very step in which they appear."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim import Optimizer

from evenodds.errors import Diverged
from evenodds.game.members import buffers_of
from evenodds.game.rules import Move, Players

__all__ = ["Guard"]


@dataclass
class Guard:
    """Leaves out the update of a move whose gradient is not finite, and counts such moves.

    One number tells: the squared norm of all gradients of the movers, in float32. It is not finite where any of them is
    NaN or infinite, nor where their norm is above 1.8e19, from which no step comes back. On the CPU it is read at once.
    On an accelerator nobody waits for it: optimizers of one kernel (torch's `fused`) are handed it as `found_inf`, and
    leave parameters and moments as they are; others get a gradient of zeros. There the counts are tensors, which are
    read by `counted`, rarely.

    A move that cannot be played `patience` times in a row has no way on: Diverged is raised, at the next reading.

    Buffers that a pass changed meanwhile, such as the running statistics of batch norm, go back to what they were.
    """

    patience: int = 20
    """Updates of one move left out in a row that are no accident any more."""
    on_device: bool | None = None
    """Whether to decide on the device, without a wait; None: on all but the CPU."""
    lost: dict[str, int | Tensor] = field(default_factory=dict)
    """Updates left out so far, by the name of the move."""
    streak: dict[str, int | Tensor] = field(default_factory=dict)
    """Updates left out since the last that was not."""

    @contextmanager
    def over(self, move: Move, players: Players, optimizers: Sequence[Optimizer]) -> Iterator[FiniteCheck]:
        """A move: differentiate inside, ask the check for `fit` afterwards, and step by its leave."""
        buffers = [b for player in players.values() for b in buffers_of(player)]
        check = FiniteCheck(self, move.name, optimizers, buffers, [b.clone() for b in buffers])
        yield check
        check.undo()

    def count(self, name: str, finite: bool | Tensor) -> None:
        """Notes how a move went."""
        self.lost.setdefault(name, 0)
        self.streak.setdefault(name, 0)
        if isinstance(finite, Tensor):
            # In place: a recorded move counts in the same memory at each replay.
            _on(self.lost, name, finite.device).add_(~finite)
            _on(self.streak, name, finite.device).add_(1).mul_(~finite)
        elif finite:
            self.streak[name] = 0
        else:
            self.lost[name] += 1
            self.streak[name] += 1
            self._require(name)

    def counted(self) -> dict[str, int]:
        """Updates left out so far, by the name of the move; none where there were none. Waits for the device.

        Raises:
            Diverged: the latest `patience` updates of a move were all left out.
        """
        for name in self.streak:
            self._require(name)
        return {name: int(lost) for name, lost in self.lost.items() if int(lost)}

    def _require(self, name: str) -> None:
        if int(self.streak[name]) >= self.patience:
            raise Diverged(
                f"the last {int(self.streak[name])} gradients of move '{name}' were not finite, and none reached the "
                "weights; lower learning_rate or raise penalty_weight; checkpoints made before are intact"
            )


def _on(counts: dict[str, int | Tensor], name: str, device: torch.device) -> Tensor:
    """A count as a tensor on the device, which stays in the table."""
    value = counts[name]
    tensor = value if isinstance(value, Tensor) else torch.tensor(value, device=device)
    counts[name] = tensor
    return tensor


@dataclass
class FiniteCheck:
    """Whether the gradients of one move are finite, and what follows."""

    guard: Guard
    name: str
    optimizers: Sequence[Optimizer]
    buffers: Sequence[Tensor]
    before: Sequence[Tensor]
    finite: bool | Tensor = True

    def fit(self) -> bool:
        """False where no step is to be taken; True where the device decides, and makes nothing of the steps."""
        gradients = [
            p.grad for opt in self.optimizers for g in opt.param_groups for p in g["params"] if p.grad is not None
        ]
        if not gradients:
            return True
        size = torch.stack(torch._foreach_norm(gradients)).square().sum()
        on_device = self.guard.on_device if self.guard.on_device is not None else size.device.type != "cpu"
        self.finite = size.isfinite() if on_device else math.isfinite(float(size))
        self.guard.count(self.name, self.finite)
        return True if isinstance(self.finite, Tensor) else self.finite

    @contextmanager
    def hold(self, optimizer: Optimizer) -> Iterator[None]:
        """A step inside changes nothing where the gradients are not finite."""
        if not isinstance(self.finite, Tensor):
            yield
            return
        if all(group.get("fused") for group in optimizer.param_groups):
            optimizer.found_inf = (~self.finite).float()  # type: ignore[attr-defined]
            yield
            del optimizer.found_inf  # type: ignore[attr-defined]
            return
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad = torch.where(self.finite, p.grad, 0.0)
        yield

    @torch.no_grad()
    def undo(self) -> None:
        """Buffers as they were before a move that is left out."""
        if self.finite is True:
            return
        for buffer, old in zip(self.buffers, self.before, strict=True):
            buffer.copy_(torch.where(self.finite, buffer, old) if isinstance(self.finite, Tensor) else old)
