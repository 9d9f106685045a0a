"""Learners that know that it is a game: following the slope at the present place circles round its equilibrium."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.game.engine import Engine
from evenodds.game.learners.gradient import Gradient
from evenodds.game.learners.guard import FiniteCheck
from evenodds.game.rules import Batch, Costs, Move, Players, Progress, State

__all__ = ["Extragradient", "Lookahead"]


@dataclass
class Extragradient(Gradient):
    """Steps by the slope that all players will meet one step ahead (Korpelevich 1976; Gidel et al. 2019, alg. 4).

    In a round every player first tells its slope where all stand; then all step ahead together, tell their slopes
    there on the same hands (Mishchenko et al. 2020), go back, and step by these. Moments of the optimizer are updated
    in both steps, as in the paper's ExtraAdam. A round costs two of plain gradients.

    With plain gradient descent at rate r on min max x y each round shrinks the distance to the equilibrium by
    sqrt(1 - r^2 + r^4), where simultaneous descent stretches it by sqrt(1 + r^2).

    Needs rounds in which each of its players moves once.
    """

    waiting: list[tuple[Move, Batch, tuple[str, ...]]] = field(init=False, default_factory=list)

    def improve(self, move: Move, players: Players, hand: Batch, engine: Engine, progress: Progress) -> Costs:
        movers = tuple(name for name in move.movers if name in self.optimizers)
        done = {name for *_, names in self.waiting for name in names}
        if done & set(movers):
            self.waiting.clear()
            raise BadInput(
                f"extra-gradient needs each player to move once a round, '{move.name}' moved twice; "
                "set discriminator_steps=1 and generator_steps=1, and no balance by steps"
            )
        costs = self._slope(move, movers, players, hand, engine)
        self.waiting.append((move, hand, movers))
        if done | set(movers) == set(self.optimizers):
            self._extragradient(players, engine, self.rate(progress))
        return costs

    def _slope(self, move: Move, movers: tuple[str, ...], players: Players, hand: Batch, engine: Engine) -> Costs:
        for name in movers:
            self.optimizers[name].zero_grad(set_to_none=True)
        return self._differentiate(move, players, hand, engine)

    def _extragradient(self, players: Players, engine: Engine, rate: float) -> None:
        waiting, self.waiting = self.waiting, []
        own = _parameters(self)
        here = [p.detach().clone() for p in own]
        named = " and ".join(dict.fromkeys(move.name for move, _, _ in waiting))
        if not self._all_step(named, rate):
            return
        for move, hand, movers in waiting:
            self._slope(move, movers, players, hand, engine)
        with torch.no_grad():
            torch._foreach_copy_(own, here)
        self._all_step(named, rate)

    def _all_step(self, named: str, rate: float) -> bool:
        """One step of all players, unless the guard leaves it out."""
        check = FiniteCheck(self.guard, named, list(self.optimizers.values()), [], [])
        if not check.fit():
            return False
        for name, optimizer in self.optimizers.items():
            with check.hold(optimizer):
                self._step(name, rate)
        return True


@dataclass
class Lookahead(Gradient):
    """Every few rounds all players go back part of the way that they came (Chavdarova et al. 2021, algorithm 1).

    The weights that play are drawn towards slow ones, slow + pull * (fast - slow), which become both. Where a round is
    a linear map with eigenvalue v, so many rounds and the return are one with 1 - pull + pull * v^every: circles become
    spirals inwards, and fixed points stay what they are.

    Args:
        every: rounds from one return to the next.
        pull: share of the way that is kept, in (0, 1]; 1 is no return.
    """

    every: int = 5
    pull: float = 0.5
    slow: dict[str, list[Tensor]] = field(init=False, default_factory=dict)
    round: int = field(init=False, default=-1)
    rounds: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.every < 1 or not 0 < self.pull <= 1:
            raise BadInput(f"lookahead needs every >= 1 and pull in (0, 1], got {self.every} and {self.pull}")
        self.slow = {name: [p.detach().clone() for p in _of(optimizer)] for name, optimizer in self.optimizers.items()}

    def improve(self, move: Move, players: Players, hand: Batch, engine: Engine, progress: Progress) -> Costs:
        if progress.round != self.round:
            if self.rounds and self.rounds % self.every == 0:
                self.look()
            self.round, self.rounds = progress.round, self.rounds + 1
        return super().improve(move, players, hand, engine, progress)

    @torch.no_grad()
    def look(self) -> None:
        """The return of all players at once; between two rounds."""
        for name, optimizer in self.optimizers.items():
            torch._foreach_lerp_(self.slow[name], _of(optimizer), self.pull)
            torch._foreach_copy_(_of(optimizer), self.slow[name])

    def state(self) -> State:
        kept = super().state()
        slow = {f"{SLOW}{name}.{k}": v for name, values in self.slow.items() for k, v in enumerate(values)}
        return State({**kept.tensors, **slow}, {**kept.data, ROUND: self.round, ROUNDS: self.rounds})

    def restore(self, state: State) -> None:
        tensors, data = dict(state.tensors), dict(state.data)
        if ROUNDS not in data:
            raise BadInput("the checkpoint's learner is no Lookahead; restore the learner that it had")
        self.round, self.rounds = int(str(data.pop(ROUND))), int(str(data.pop(ROUNDS)))
        for name, values in self.slow.items():
            for k, value in enumerate(values):
                value.copy_(tensors.pop(f"{SLOW}{name}.{k}"))
        super().restore(State(tensors, data))


SLOW, ROUND, ROUNDS = "slow ", "lookahead.round", "lookahead.rounds"


def _of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _parameters(learner: Gradient) -> list[Tensor]:
    return [p for optimizer in learner.optimizers.values() for p in _of(optimizer)]
