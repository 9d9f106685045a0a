"""Learning by differentiating the cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim import Optimizer

from evenodds.errors import BadInput
from evenodds.game.engine import Engine
from evenodds.game.learners.compiled import CompiledMoves
from evenodds.game.learners.graphs import MoveGraphs
from evenodds.game.learners.guard import Guard
from evenodds.game.learners.sharded import Sharded
from evenodds.game.members import parameters_of
from evenodds.game.rules import Batch, Costs, Move, Players, Progress, State
from evenodds.game.schedule import Schedule, constant
from evenodds.game.slicing import Slicing

__all__ = ["Gradient", "frozen", "over_processes", "play"]


@dataclass
class Gradient:
    """Backpropagation and a torch optimizer for each player; the movers of one move share one backward pass.

    Args:
        optimizers: by player name.
        rate: factor on every learning rate, as a function of the progress.

    A move whose gradient is not finite is left out by the `guard`, and counted.

    Raises:
        BadInput: the cost of a move has no gradient.

    Example:
        >>> import torch
        >>> from evenodds import Gradient
        >>> players = {"generator": torch.nn.Linear(4, 2), "discriminator": torch.nn.Linear(2, 1)}
        >>> learner = Gradient({name: torch.optim.Adam(p.parameters(), 2e-3) for name, p in players.items()})
        >>> learner.base
        {'generator': [0.002], 'discriminator': [0.002]}
    """

    optimizers: Mapping[str, Optimizer]
    rate: Schedule = constant
    base: dict[str, list[float]] = field(init=False)
    factors: dict[str, Schedule] = field(init=False, default_factory=dict)
    """Further factors on the learning rates of single players, by name."""
    guard: Guard = field(init=False, default_factory=Guard)
    compiled: CompiledMoves = field(init=False, default_factory=CompiledMoves)
    graphs: MoveGraphs = field(init=False, default_factory=MoveGraphs)
    slicing: Slicing = field(init=False, default_factory=Slicing)

    def __post_init__(self) -> None:
        self.base = {name: [g["lr"] for g in opt.param_groups] for name, opt in self.optimizers.items()}

    def improve(self, move: Move, players: Players, hand: Batch, engine: Engine, progress: Progress) -> Costs:
        movers = [name for name in move.movers if name in self.optimizers]
        if not movers and not any(parameters_of(players[name]) for name in move.movers):
            with frozen(players, but=()):  # what was fitted before the game does not learn in it
                return play(move, players, hand, engine)
        optimizers = [self.optimizers[name] for name in movers]
        for name in movers:
            self._set_rate(name, progress)

        def whole(hand: Batch) -> Costs:
            return self._improve(move, optimizers, players, hand, engine)

        return self.graphs.play(move, players, hand, optimizers, whole) if engine.graphs else whole(hand)

    def _improve(
        self, move: Move, optimizers: Sequence[Optimizer], players: Players, hand: Batch, engine: Engine
    ) -> Costs:
        """A whole move at the rates that are set."""
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        with self.guard.over(move, players, optimizers) as verdict:
            costs = self._differentiate(move, players, hand, engine)
            if verdict.fit():
                for optimizer in optimizers:
                    with verdict.hold(optimizer):
                        optimizer.step()
        return costs

    def _differentiate(self, move: Move, players: Players, hand: Batch, engine: Engine) -> Costs:
        """Leaves the slope of the costs of the whole hand in the `grad` of the movers' parameters, on all processes."""

        def cost(hand: Batch) -> Costs:
            return play(move, players, hand, engine)

        def learn(hand: Batch, weight: float) -> Costs:
            return self._learn(move, players, hand, engine, weight)

        # Frozen opponents: otherwise every gradient of theirs is computed, and sent between processes, for nothing.
        with frozen(players, but=move.movers):
            costs = self.slicing.play(move, players, hand, engine, cost, learn)
        groups = [g for name in move.movers if name in self.optimizers for g in self.optimizers[name].param_groups]
        return over_processes(costs, [p for group in groups for p in group["params"]], engine)

    def _learn(self, move: Move, players: Players, hand: Batch, engine: Engine, weight: float) -> Costs:
        """Adds the slope of the costs of a hand, times a weight, to the `grad` of the movers; all others are frozen."""
        if engine.compile:
            compiled = self.compiled.differentiate(move, players, hand, engine, weight)
            if compiled is not None:
                return compiled
        costs = play(move, players, hand, engine)
        total = costs.total()
        if not total.requires_grad:
            raise BadInput(
                f"the cost of move '{move.name}' has no gradient: some player between it and"
                f" {', '.join(move.movers)} is not differentiable; improve the movers by Evolution"
            )
        (total if weight == 1 else weight * total).backward()  # type: ignore[no-untyped-call]
        return costs

    def _step(self, name: str, progress: Progress) -> None:
        self._set_rate(name, progress)
        self.optimizers[name].step()

    def _set_rate(self, name: str, progress: Progress) -> None:
        rate = self.rate(progress) * self.factors.get(name, constant)(progress)
        for group, base in zip(self.optimizers[name].param_groups, self.base[name], strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(base * rate)  # a graph reads it where it is
            else:
                group["lr"] = base * rate

    def collect(self) -> None:
        """Brings the state of optimizers that processes share to process 0; all of them call it before `state`."""
        for optimizer in self.optimizers.values():
            if isinstance(optimizer, Sharded):
                optimizer.collect()

    def state(self) -> State:
        tensors: dict[str, Tensor] = {}
        data: dict[str, object] = {}
        for name, optimizer in self.optimizers.items():
            for index, slots in optimizer.state_dict()["state"].items():
                for slot, value in slots.items():
                    key = f"{name}.{index}.{slot}"
                    if isinstance(value, Tensor):
                        tensors[key] = value
                    else:
                        data[key] = value
        return State(tensors, data)

    def restore(self, state: State) -> None:
        for name, optimizer in self.optimizers.items():
            slots: dict[int, dict[str, object]] = {}
            for key, value in {**state.tensors, **state.data}.items():
                player, index, slot = key.rsplit(".", 2)
                if player == name:
                    slots.setdefault(int(index), {})[slot] = value
            _require_fit(name, optimizer, slots)
            optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
            _match_strides(optimizer)


def play(move: Move, players: Players, hand: Batch, engine: Engine) -> Costs:
    """The costs of one hand, in the engine's arithmetic."""
    with engine.autocast():
        costs = move.cost(players, hand)
    return costs if isinstance(costs, Costs) else Costs(costs)


def over_processes(costs: Costs, parameters: Sequence[Tensor], engine: Engine) -> Costs:
    """Sums slopes and costs over all processes, of which each has those of its slice.

    A slope that is None counts as zeros where another process has one, and stays None where none has.

    Args:
        parameters: whose `grad` is summed, in an order that all processes share.
    """
    if engine.size == 1:
        return costs
    held = torch.tensor([float(p.grad is not None) for p in parameters])
    slopes = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    engine.total([*slopes, *costs.values(), *costs.facts.values(), held])
    for parameter, slope, holders in zip(parameters, slopes, held.tolist(), strict=True):
        parameter.grad = slope if holders else None
    return costs


@contextmanager
def frozen(players: Players, but: tuple[str, ...]) -> Iterator[None]:
    """No parameter of the players requires a gradient inside, except those of the players named in `but`."""
    frozen_parameters = [
        parameter
        for name, player in players.items()
        if name not in but
        for parameter in parameters_of(player)
        if parameter.requires_grad
    ]
    for parameter in frozen_parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in frozen_parameters:
            parameter.requires_grad_(True)


def _require_fit(name: str, optimizer: Optimizer, slots: Mapping[int, Mapping[str, object]]) -> None:
    """BadInput where what is kept of a step does not fit the parameters that are stepped.

    Args:
        name: of the player.
        slots: what is kept for each parameter, by its place: values of its shape, single numbers.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    names = set().union(*slots.values())
    for index, values in slots.items():
        if not 0 <= index < len(parameters) or set(values) != names:
            raise BadInput(f"the optimizer of '{name}' has {len(parameters)} parameters with the same slots each")
        for slot, value in values.items():
            shapes = (parameters[index].shape, torch.Size([]))
            numeric = value.shape in shapes if isinstance(value, Tensor) else isinstance(value, int | float)
            if not numeric and not (value is None and slot == UNBEGUN):
                raise BadInput(f"'{slot}' of parameter {index} of '{name}' must be numbers of its shape")


UNBEGUN = "momentum_buffer"
"""What SGD keeps as None before its first step."""


def _match_strides(optimizer: Optimizer) -> None:
    """Lays the optimizer's moments out like their parameters: other strides could round otherwise."""
    for parameter, slots in optimizer.state.items():
        for slot, value in slots.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                slots[slot] = torch.empty_like(parameter).copy_(value)
