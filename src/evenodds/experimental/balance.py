"""Keeps the discriminator in step with the generator, which Goodfellow et al. (2014), section 6, leave to the user."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from inspect import signature
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.dial import Dial
from evenodds.game.exchange import agreed
from evenodds.game.learners import Gradient
from evenodds.game.modes import at_rest
from evenodds.game.rules import Batch, Game, Move, Players, Progress, State
from evenodds.game.seeds import mix
from evenodds.game.trainer import Listener, Training
from evenodds.runs.assembly import Run
from evenodds.runs.extras import Extra
from evenodds.runs.find import find
from evenodds.runs.listeners.leak import probed_items
from evenodds.tasks._playable import Playable
from evenodds.tasks.contest import Contest

__all__ = ["Balance", "Lever", "MarginControl", "PenaltyWeight", "Rate", "Steps", "Weighed", "held_out_margin"]


class Lever(Protocol):
    """A means to make the discriminator stronger or weaker."""

    def pull(self, strength: float) -> None:
        """Sets the strength of the discriminator; 1 is what the configuration says."""
        ...


@dataclass
class Steps:
    """The number of discriminator moves per generator move, k of Algorithm 1: a power of two from 1/8 to 8.

    `gate` gives the moves a count of rounds of their own, so that a lazy penalty keeps its share of the moves.
    """

    ratio: float = 1.0

    def pull(self, strength: float) -> None:
        self.ratio = 2.0 ** round(math.log2(strength))

    def gate(self, moves: Sequence[Move]) -> tuple[Move, ...]:
        """The moves of one player each, played when they are due."""
        if any(len(move.movers) != 1 for move in moves):
            raise BadInput("balance by steps needs alternating moves; set simultaneous=false or balance=rate")
        return tuple(self._gated(move) for move in moves)

    def _gated(self, move: Move) -> Move:
        discriminates = move.movers == ("discriminator",)

        def when(progress: Progress) -> bool:
            share = min(1.0, self.ratio if discriminates else 1 / self.ratio)
            count = math.floor(progress.round * share)
            due = count > math.floor((progress.round - 1) * share)
            return due and move.when(replace(progress, round=count))

        return replace(move, when=when)


@dataclass
class Rate:
    """The discriminator's learning rate."""

    learner: Gradient
    initial: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.initial = list(self.learner.base["discriminator"])

    def pull(self, strength: float) -> None:
        # From the rates as they were: products of many steps would round differently after a resume.
        self.learner.base["discriminator"] = [rate * strength for rate in self.initial]


@dataclass
class PenaltyWeight:
    """The weight of the discriminator's penalty; a stronger discriminator has a lighter one."""

    dial: Dial

    def pull(self, strength: float) -> None:
        self.dial.turn(1 / strength)


LOOKS = 100
"""Measurements of the margin in a run."""


@dataclass(frozen=True)
class Balance(Extra):
    """Holds D's held-out margin at a target: by steps (k), rate (of D's learning) or penalty (its weight).

    Measured (benchmarks/coordination.md): with R1 + R2 in equal time, by steps a score of 0.064 on the grid and a
    Fréchet distance of 3.6 to 3.9 on Fashion-MNIST; the plain game has 0.057, and 2.3 to 3.9.

    Args:
        lever: steps, rate or penalty.
        target: of the margin; see MarginControl.
        gain: of the controller.
        limit: of the strength.
    """

    lever: str
    target: float = 0.5
    gain: float = 0.5
    limit: float = 8.0

    def contest(self, contest: Contest) -> Contest:
        """With a penalty whose weight can be turned, where that is the lever."""
        if find("balances", self.lever) is not PenaltyWeight or contest.penalty is None:
            return contest
        return replace(contest, penalty=Weighed(contest.penalty))

    def listeners(self, run: Run) -> dict[str, Listener]:
        """The controller."""
        task, config = run.task, run.config
        if "discriminator" not in task.unconditional(run.game.players, run.dataset.shape, task.default_condition):
            game = f"task '{config.task.name}' with loss '{config.loss.name}'"
            raise BadInput(
                f"balance needs a discriminator whose logits say what is real, {game} has none; leave it out"
            )
        lever = _lever(self.lever, run.game, run.learner)
        if isinstance(lever, Steps):
            run.game = replace(run.game, moves=lever.gate(run.game.moves))
        players, device = run.game.players, run.engine.device
        real = run.dataset.batch(probed_items(run.held_out_index, "balance"))

        def margin() -> float:
            return held_out_margin(task, players, real, run.dataset.shape, device, mix(config.seed, -3))

        every = max(config.batch, config.images // LOOKS)
        return {"balance": MarginControl(lever, margin, every, self.target, self.gain, self.limit)}


@dataclass
class MarginControl:
    """Holds the discriminator's held-out margin at a target, by one lever.

    The margin is 2 P(D(x) > D(G(z))) - 1 for an unseen item x and a sample: 0 at even odds, 1 where every item is told
    from every sample; it does not depend on the loss. An integral controller: the logarithm of the strength changes
    by gain * (target - margin) at each look.

    Args:
        lever: what is changed.
        margin: measures it; it must not touch the run's random state.
        every_images: from one look to the next.
        target: of the margin.
        gain: of the controller, above 0.
        limit: the strength stays in [1 / limit, limit].
    """

    lever: Lever
    margin: Callable[[], float]
    every_images: int
    target: float = 0.5
    gain: float = 0.5
    limit: float = 8.0
    strength: float = field(init=False, default=1.0)
    last: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if not -1 < self.target < 1 or self.gain <= 0 or self.limit < 1:
            values = f"{self.target}, {self.gain}, {self.limit}"
            raise BadInput(f"balance needs target in (-1, 1), gain > 0 and limit >= 1, got {values}")

    def begin(self, training: Training) -> None:
        if not training.progress.round:
            self.last = training.progress.images

    def after_round(self, training: Training) -> None:
        if training.progress.images - self.last < self.every_images:
            return
        self.last, margin = training.progress.images, agreed(self.margin)
        self._pull(self.strength * math.exp(self.gain * (self.target - margin)))
        training.terms |= {"balance/margin": torch.tensor(margin), "balance/strength": torch.tensor(self.strength)}

    def _pull(self, strength: float) -> None:
        strength = min(self.limit, max(1 / self.limit, strength))
        self.lever.pull(strength)
        self.strength = strength

    def end(self, training: Training) -> None:
        """Nothing to close."""

    def state(self) -> State:
        return State({}, {"strength": self.strength, "last": self.last})

    def restore(self, state: State) -> None:
        self.last = int(str(state.data["last"]))
        self._pull(float(str(state.data["strength"])))


class Weighed(nn.Module):
    """A penalty times a number that may be turned while a run goes on, 1 at the start."""

    def __init__(self, penalty: Callable[..., Tensor]) -> None:
        """Takes any penalty; one with a state of its own stays part of it."""
        super().__init__()
        self.penalty, self.dial = penalty, Dial(1.0)
        self.__signature__ = signature(penalty)  # by it callers see which random numbers the penalty needs

    def forward(self, score: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, **draws: Tensor) -> Tensor:
        """The penalty (N,), weighed."""
        value: Tensor = self.dial() * self.penalty(score, real, fake, **draws)
        return value


def _lever(name: str, game: Game, learner: Gradient) -> Lever:
    kind: type[Any] = find("balances", name)
    if kind is Steps:
        return Steps()
    if kind is Rate:
        return Rate(learner)
    penalty = game.players.get("penalty")
    if not isinstance(penalty, Weighed):
        raise BadInput("balance=penalty needs a penalty to weigh; set penalty=r1_r2, or balance=rate")
    return PenaltyWeight(penalty.dial)


@torch.no_grad()
def held_out_margin(
    task: Playable, players: Players, real: Batch, shape: tuple[int, ...], device: torch.device, seed: int
) -> float:
    """2 P(D(x) > D(G(z))) - 1 over all pairs of a real item and a sample, both seen without views; ties are a half.

    Args:
        real: held-out items.
        shape: of one item.
        seed: of z; the same one gives the same z.
    """
    request = {k: v.to(device) for k, v in task.request_for(real, torch.Generator().manual_seed(seed)).items()}
    with at_rest(players["generator"]):
        fake = task.answer(players, request)["x"]
    discriminator = task.unconditional(players, shape, request.get("c"))["discriminator"]
    with at_rest(discriminator):
        on_real, on_fake = discriminator(real["x"].to(device)), discriminator(fake)
    return float((on_real[:, None] - on_fake[None, :]).sign().mean())
