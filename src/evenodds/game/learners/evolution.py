"""Learning by evaluating the cost alone: evolution strategies.

The slope of the cost, smoothed by a Gaussian of the parameters, is an expectation of costs:
grad E[F(theta + sigma e)] = E[F(theta + sigma e) e] / sigma with e standard normal (Salimans et al. 2017, section 2).
So it exists, and can be followed, where the cost itself is piecewise constant: against a discriminator made of trees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.engine import Engine, reseed
from evenodds.game.learners.gradient import Gradient, frozen, over_processes, play
from evenodds.game.rules import Batch, Costs, Move, Players, State
from evenodds.game.seeds import mix

__all__ = ["Evolution", "ranks", "raw"]

Shaping = Callable[[Tensor], Tensor]
"""Costs of the whole population (P,) -> what each weighs in the estimate (P,), rising with the cost."""
Parameters = dict[str, Tensor]


def ranks(costs: Tensor) -> Tensor:
    """Ranks spread over [-1/2, 1/2], equal for equal costs (Salimans et al. 2017, section 2.1).

    The estimate then keeps its size when the cost changes its own, and no outlier rules it; NaN ranks last.
    """
    costs = torch.where(costs.isnan(), torch.inf, costs)
    above, level = costs[:, None] > costs, costs[:, None] == costs
    return (above.sum(1) + (level.sum(1) - 1) / 2) / max(1, len(costs) - 1) - 0.5


def raw(costs: Tensor) -> Tensor:
    """The costs themselves: the estimate is then unbiased for the slope of the smoothed cost."""
    return costs


@dataclass
class Evolution(Gradient):
    """Antithetic evolution strategies: a torch optimizer for each player, fed with an estimate of the slope.

    All members of a population play the same hand with the same dropout (common random numbers), and come in pairs
    theta + sigma e, theta - sigma e. Noise is a function of (seed, number of plays, pair), drawn again when it is
    needed again: no memory is spent on it, and none of it has to be kept in a checkpoint.

    Costs are compared by value. So a move whose movers each follow a cost of their own (Generate with simultaneous
    moves) is not for this learner. Batch statistics are seen by every member of the population.

    Args:
        optimizers: by player name, as for Gradient. Adam suits the default shaping.
        rate: factor on every learning rate, as a function of the progress.
        sigma: standard deviation of the noise on each parameter, above 0; the smoothing of the cost.
        pairs: half the population; one play costs 2 * pairs + 1 evaluations of the move.
        seed: of the noise.
        at_once: members that are played in one vectorised pass (torch.func.vmap), much faster for small players; 1 for
            those that cannot be vectorised: batch norm while training, moves that differentiate.
        shaping: costs of the population to weights; `ranks` or `raw`.
    """

    sigma: float = 0.05
    pairs: int = 32
    seed: int = 0
    at_once: int = 1
    shaping: Shaping = ranks
    plays: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sigma <= 0 or self.pairs < 1:
            raise BadInput(f"evolution needs sigma > 0 and pairs >= 1, got {self.sigma} and {self.pairs}")

    def _differentiate(self, move: Move, players: Players, hand: Batch, engine: Engine) -> Costs:
        strange = sorted(set(move.movers) - set(self.optimizers))
        if strange:
            raise BadInput(
                f"evolution needs moves whose movers are all its own, '{move.name}' also moves {', '.join(strange)};"
                " play alternating moves, or give Evolution all of them"
            )

        def cost(hand: Batch) -> Costs:
            return play(move, players, hand, engine)

        def evaluate() -> Costs:
            reseed(engine.device, mix(self.seed, self.plays, *_other(engine.rank)))  # the same dropout for all
            return self.slicing.play(move, players, hand, engine, cost, lambda hand, weight: cost(hand))

        table = _Table([players[name] for name in move.movers])
        parameters = table.stepped_by([self.optimizers[name] for name in move.movers])
        # Frozen instead of torch.no_grad: no graph is built, yet a cost may take gradients of its own, as penalties do.
        with frozen(players, but=()):
            costs = evaluate()
            values = torch.cat([self._values(table, parameters, pairs, evaluate) for pairs in self._portions()])
        engine.total([values])  # of each process those of its slice
        self._estimate([*parameters.values()], values)
        self.plays += 1
        return over_processes(costs, [], engine)

    def _portions(self) -> list[range]:
        """The pairs, as many at a time as are to be played in one pass."""
        step = max(1, self.at_once // 2)
        return [range(k, min(k + step, self.pairs)) for k in range(0, self.pairs, step)]

    def _values(self, table: _Table, parameters: Parameters, pairs: range, evaluate: Callable[[], Costs]) -> Tensor:
        """The costs (2 * pairs,) of theta + sigma e and theta - sigma e, for one pair after the other."""

        def value(member: Parameters) -> Tensor:
            cost: Tensor = torch.func.functional_call(table, member, (lambda: evaluate().total(),))
            return cost.detach().float()

        members = self._members(parameters, pairs)
        if self.at_once > 1:
            vectorised: Tensor = torch.func.vmap(value, randomness="same")(members)
            return vectorised
        return torch.stack([value({name: v[i] for name, v in members.items()}) for i in range(2)])

    @torch.no_grad()
    def _members(self, parameters: Parameters, pairs: range) -> Parameters:
        """The parameters of the members, along a first dimension (2 * pairs, ...)."""
        noises = zip(*(self._noise([*parameters.values()], pair) for pair in pairs), strict=True)
        signs = (self.sigma, -self.sigma)
        return {
            name: torch.stack([p + sign * e for e in noise for sign in signs])
            for (name, p), noise in zip(parameters.items(), noises, strict=True)
        }

    @torch.no_grad()
    def _estimate(self, parameters: Sequence[Tensor], costs: Tensor) -> None:
        """Leaves sum_k (w(+k) - w(-k)) e_k / (2 pairs sigma) in the `grad` of the own parameters."""
        weights = self.shaping(costs).view(self.pairs, 2)
        steps = (weights[:, 0] - weights[:, 1]) / (2 * self.pairs * self.sigma)
        slopes = [torch.zeros_like(p) for p in parameters]
        for pair in range(self.pairs):
            for slope, e in zip(slopes, self._noise(parameters, pair), strict=True):
                slope += steps[pair] * e
        for p, slope in zip(parameters, slopes, strict=True):
            p.grad = slope

    def _noise(self, parameters: Sequence[Tensor], pair: int) -> list[Tensor]:
        """The same on all processes: their populations are then the same, and only their hands differ."""
        rng = torch.Generator(parameters[0].device).manual_seed(mix(self.seed, self.plays, pair))
        return [torch.randn(p.shape, generator=rng, device=p.device, dtype=p.dtype) for p in parameters]

    def state(self) -> State:
        state = super().state()
        return State(state.tensors, {**state.data, PLAYS: self.plays})

    def restore(self, state: State) -> None:
        data = dict(state.data)
        plays = data.pop(PLAYS, None)
        if not isinstance(plays, int):
            raise BadInput("the checkpoint's learner is no Evolution: it counts no plays; restore the learner it had")
        super().restore(State(state.tensors, data))
        self.plays = plays


PLAYS = "plays"


class _Table(nn.ModuleList):
    """The movers of a move. Called with other parameters, it does something while these are the movers' own."""

    def forward(self, something: Callable[[], Tensor]) -> Tensor:
        return something()

    def stepped_by(self, optimizers: Sequence[torch.optim.Optimizer]) -> Parameters:
        """The parameters that the optimizers step."""
        stepped = {id(p) for opt in optimizers for group in opt.param_groups for p in group["params"]}
        return {name: p for name, p in self.named_parameters() if id(p) in stepped and p.requires_grad}


def _other(rank: int) -> list[int]:
    """What makes the dropout of a process another than that of the first."""
    return [rank] if rank else []
