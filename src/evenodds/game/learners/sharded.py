"""An optimizer whose state is spread over processes: ZeRO, Rajbhandari et al. (2020), section 5.1, stage 1.

Slopes are the same on all processes, and so are parameters. Each process steps its share of the parameters, of which
alone it keeps what the optimizer remembers; then all are told the parameters that others have stepped. Optimizers treat
every parameter for itself, so the result has the bits of a step that each process takes alone. Parameters are not cut.

(torch's ZeroRedundancyOptimizer collects its state by pickled objects, and knows no step that the guard holds back.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from evenodds.errors import BadInput
from evenodds.game import exchange, processes

__all__ = ["Sharded", "shares"]


Slots = dict[int, dict[str, Any]]
"""What is remembered of each parameter, by its place."""


class Sharded(Optimizer):
    """Steps and remembers the share of this process; `param_groups` has all parameters.

    Args:
        make: the plain optimizer of some of the parameters.
        parameters: of a player, the same on all processes.
        held: the numbers that each process owns of other players; those of this one are added.
    """

    def __init__(
        self, make: Callable[[list[Tensor]], Optimizer], parameters: Sequence[Tensor], held: list[int] | None = None
    ) -> None:
        self.make, self.parameters, self.begun = make, list(parameters), False
        self.collected: Slots | None = None
        self.owners = shares([p.numel() for p in parameters], [0] * processes.size() if held is None else held)
        plain = make(self.parameters)
        super().__init__(self.parameters, plain.defaults)
        self.param_groups = plain.param_groups
        mine = self._of(processes.rank())
        self.own = make(mine) if mine else None
        self._remember()

    def _of(self, number: int) -> list[Tensor]:
        """The parameters of a process."""
        return [p for p, owner in zip(self.parameters, self.owners, strict=True) if owner == number]

    def _remember(self) -> None:
        self.state = self.own.state if self.own is not None else self.state

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Steps one's own share, and takes what the others have stepped; a closure is not called."""
        self.begun, self.collected = True, None
        if self.own is not None:
            self._pass_on(self.own)
            self.own.step()
        self._exchange()

    def _pass_on(self, own: Optimizer) -> None:
        """Rates and other options, and whether the guard holds the step back on the device."""
        for group, whole in zip(own.param_groups, self.param_groups, strict=True):
            group |= {key: value for key, value in whole.items() if key != "params"}
        own.found_inf = getattr(self, "found_inf", None)  # type: ignore[attr-defined]

    @torch.no_grad()
    def _exchange(self) -> None:
        """Every parameter gets the values that its owner has."""
        owner_of = {id(p): owner for p, owner in zip(self.parameters, self.owners, strict=True)}
        numbers = range(processes.size())
        for alike in exchange.by_kind(self.parameters):
            by_owner = [[p for p in alike if owner_of[id(p)] == number] for number in numbers]
            mine = [p.detach().reshape(-1) for p in by_owner[processes.rank()]]
            flat = torch.cat([alike[0].new_empty(0), *mine])
            values = exchange.gather([flat], [sum(p.numel() for p in theirs) for theirs in by_owner])
            for number in numbers:
                if number != processes.rank() and by_owner[number]:
                    exchange.fill(by_owner[number], values[number])

    def collect(self) -> None:
        """Brings what all processes remember to process 0, until the next step. All have to call it together."""
        if not self.begun:
            return
        mine = {k: self.state[p] for k, p in enumerate(self.parameters) if p in self.state}
        collected = dict(mine)
        for number in range(processes.size()):
            tensors, facts = exchange.handed(number, _flat(mine)), exchange.agreed(lambda: _facts(mine), number)
            if processes.rank() == 0:  # the others forget it again
                collected |= _slots({**tensors, **facts})
        self.collected = {k: collected[k] for k in sorted(collected)}

    def state_dict(self) -> dict[str, Any]:
        """That of the plain optimizer, on process 0; of its own share, on the others.

        Raises:
            BadInput: it was not collected after the last step.
        """
        if not self.begun:
            return self.make(self.parameters).state_dict()
        if self.collected is None:
            raise BadInput("the state of this optimizer is spread over processes; call collect() on all of them first")
        return {**super().state_dict(), "state": self.collected}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Keeps the share of this process of the state of a plain optimizer."""
        state, mine = state_dict["state"], [k for k, owner in enumerate(self.owners) if owner == processes.rank()]
        self.begun, self.collected = bool(state), None
        if self.own is not None:
            own = {place: state[k] for place, k in enumerate(mine) if k in state}
            self.own.load_state_dict({"state": own, "param_groups": self.own.state_dict()["param_groups"]})
            self._remember()


def _flat(slots: Slots) -> dict[str, Tensor]:
    return {f"{k}.{name}": v for k, named in slots.items() for name, v in named.items() if isinstance(v, Tensor)}


def _facts(slots: Slots) -> dict[str, Any]:
    return {f"{k}.{name}": v for k, named in slots.items() for name, v in named.items() if not isinstance(v, Tensor)}


def _slots(flat: Mapping[str, Any]) -> Slots:
    slots: Slots = {}
    for key, value in flat.items():
        place, _, name = key.partition(".")
        slots.setdefault(int(place), {})[name] = value
    return slots


def shares(sizes: Sequence[int], held: list[int]) -> list[int]:
    """Which process owns each parameter: the largest first, each to the one that holds least.

    Args:
        sizes: of the parameters, in numbers.
        held: the numbers that each process holds; what it gets is added.

    Example:
        >>> from evenodds.game.learners.sharded import shares
        >>> shares([10, 40, 30, 5], [0, 0])  # 45 and 40 numbers
        [1, 0, 1, 0]
    """
    owners = [0] * len(sizes)
    for k in sorted(range(len(sizes)), key=lambda k: -sizes[k]):
        owners[k] = held.index(min(held))
        held[owners[k]] += sizes[k]
    return owners
