"""Path length regularisation: equal steps in w change images by equal amounts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.rules import Batch, Costs, Move, Players, State
from evenodds.game.schedule import every
from evenodds.game.slices import average
from evenodds.game.trainer import Listener, Training
from evenodds.parts.networks.style import dealt_noise
from evenodds.runs.assembly import Run
from evenodds.runs.extras import Extra

__all__ = ["PathLength", "Paths", "path_lengths"]

MOVE = "path"
LATEST = 0.01
"""Weight of the latest round in the mean length; in the first rounds each counts alike."""


@dataclass(frozen=True)
class PathLength(Extra):
    """The generator pays where a step in w changes an image more, or less, than usual: Karras et al. (2020), eq. 4.

    A style-based generator then turns w into images evenly, which makes images easier to encode and to edit. As in
    the paper the cost is played by itself, once in several rounds, and weighs as much more.

    Measured (benchmarks/parts.md): whether it trains, not yet whether it helps.

    Args:
        weight: of the cost; 0 for none. As y has unit variance over the number of pixels, 2 is usual at any size.
        every: rounds from one play to the next.
    """

    weight: float = 0.0
    every: int = 8

    def __post_init__(self) -> None:
        if self.weight < 0 or self.every < 1:
            raise BadInput(f"pathlength needs weight >= 0 and every >= 1, got {self.weight}, {self.every}; 2 and 8 do")

    def listeners(self, run: Run) -> dict[str, Listener]:
        """What follows the mean length; the game has one more move."""
        if not self.weight:
            return {}
        if not hasattr(run.game.players.get("generator"), "synthesise"):
            raise BadInput(
                f"pathlength needs a generator with styles, this run has {run.config.generator.name}; "
                "set generator=style, or leave pathlength out"
            )
        paths = Paths(self.weight * self.every, self.every, run.task.condition_length > 0)
        run.game = replace(run.game, moves=(*run.game.moves, paths.move))
        return {"pathlength": paths}


@dataclass
class Paths:
    """The cost of path lengths, and the mean length over the rounds.

    Args:
        weight: of the cost.
        every: rounds from one play to the next.
        conditional: whether the generator takes c behind z.
    """

    weight: float
    every: int
    conditional: bool = False
    mean: Tensor = field(init=False, default_factory=lambda: torch.zeros(()))
    plays: int = field(init=False, default=0)

    @property
    def move(self) -> Move:
        """The generator's, in every n-th round."""
        return Move(MOVE, ("generator",), self.cost, 1, every(self.every))

    def cost(self, players: Players, hand: Batch) -> Costs:
        """(|J^T y| - a)^2, where a is the mean length before this round; nothing in the first, which measures it."""
        z = hand["z"]
        z = torch.cat([z, hand["c"].to(z)], 1) if self.conditional else z
        lengths = path_lengths(players["generator"], z)
        weight = self.weight if self.plays else 0.0
        cost = weight * average((lengths - self.mean.to(lengths)).square())
        return Costs({"cost": cost}, {"length": average(lengths)})

    def begin(self, training: Training) -> None:
        """Nothing to open."""

    def after_round(self, training: Training) -> None:
        if not every(self.every)(replace(training.progress, round=training.progress.round - 1)):
            return
        self.plays, latest = self.plays + 1, training.terms[f"{MOVE}/length"]
        self.mean = self.mean.to(latest)  # from then on the same memory, where a recorded move reads it
        self.mean.lerp_(latest, max(LATEST, 1 / self.plays))

    def end(self, training: Training) -> None:
        """Nothing to close."""

    def state(self) -> State:
        return State({"mean": self.mean}, {"plays": self.plays})

    def restore(self, state: State) -> None:
        self.mean, self.plays = state.tensors["mean"].clone(), int(str(state.data["plays"]))


def path_lengths(generator: nn.Module, z: Tensor) -> Tensor:
    """|J^T y| (N,) of images g(w) by their w (N, levels, styles): J is the slope of g, y a random image (eq. 4).

    The pixels of y follow from z, like the noise of the image: uniform, with unit variance over the number of pixels,
    and of any two places independent. The square of a length is a mean over levels.

    Args:
        generator: with styles, e.g. that of `evenodds.parts.networks.style`.
        z: (N, latent), or (N, latent + condition).
    """
    network: Any = generator
    w, hand = network.styles(z), network.hand(z)
    x = network.synthesise(w, hand)
    steps = torch.randint(1, 64, (hand.shape[1], x[0].numel()), generator=torch.Generator().manual_seed(0))
    y = dealt_noise(hand, steps.to(hand.device)) / math.sqrt(math.prod(x.shape[2:]))
    (slope,) = torch.autograd.grad((x.flatten(1) * y.to(x)).sum(), w, create_graph=True)
    lengths: Tensor = slope.square().sum(2).mean(1).sqrt()
    return lengths
