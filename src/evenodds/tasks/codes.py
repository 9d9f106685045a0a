"""InfoGAN whose categories are settled on real images before the generator learns them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.rules import Batch, Costs, Move, Players, Progress, Task
from evenodds.game.schedule import Schedule, both, from_share, until_share
from evenodds.game.slices import items_of_all, summed
from evenodds.parts.priors import Coded, Prior
from evenodds.tasks._coded import CodedTask, view_agreement
from evenodds.tasks._description import DataDescription
from evenodds.tasks._playable import NetworkSpec
from evenodds.tasks._reader import Reader

__all__ = ["Codes"]

MOST = 64
"""Starts, and heads of each."""


@dataclass(frozen=True, kw_only=True)
class Codes(CodedTask):
    """The game of InfoGAN, whose Q is a player of its own that first learns on real images what the categories are.

    1. Until `chosen` of the run, several networks learn from real images alone: the categories that each head reads in
       two views of an image should have much mutual information (Ji et al. 2019), where the entropy of their mean
       counts `balance`.
    2. The network whose best head has the most mutual information of late goes on by itself until `begins`, at a rate
       that falls to `reader_rate`. No label is read.
    3. Then the game begins, in which it is Q: generator and Q pay for the code of samples as in InfoGAN, and Q also
       for what it reads in real images, with weight `agreement`. Its batch norm keeps the statistics of real images.

    A generator that has learned without the code already does not take to it: samples become patterns that Q alone
    takes for its categories (benchmarks/infogan.md). So generator and discriminator wait.

    All networks see items through the contest's views, so that a category cannot stand for what these change.

    Args:
        agreement: weight of the cost of real images within the game.
        starts: networks of which one is chosen.
        heads: readings of the category by each network; the best of those of the chosen one is kept.
        reader_width: of these networks, `dcgan` with batch norm.
        chosen: share of the run at which one is chosen.
        begins: share of the run at which the game begins.
        reader_rate: factor on Q's learning rate from then on.

    Example:
        >>> from evenodds import Progress
        >>> from evenodds.parts.losses.adversarial import non_saturating
        >>> from evenodds.parts.priors import Coded
        >>> from evenodds.parts.views import deformation
        >>> from evenodds.tasks.codes import Codes
        >>> from evenodds.tasks.contest import Contest
        >>> task = Codes(Coded(62, 10, 2), Contest(non_saturating, view=deformation))
        >>> [move.name for move in task.moves() if move.when(Progress(total=100))]
        ['reader']
        >>> [move.name for move in task.moves() if move.when(Progress(total=100, images=75))]
        ['discriminator', 'generator', 'reader']
    """

    agreement: float = 20.0
    starts: int = 2
    heads: int = 4
    reader_width: int = 16
    chosen: float = 0.28
    begins: float = 0.75
    reader_rate: float = 0.05
    roles: ClassVar[tuple[str, ...]] = ("generator", "discriminator", "reader")
    averaged: ClassVar[tuple[str, ...]] = ("generator", "reader")
    reads: ClassVar[str] = "reader"

    def __post_init__(self) -> None:
        if isinstance(self.prior, Coded) and not self.prior.classes:
            raise BadInput("task 'codes' settles categories first, and this prior has none; set prior.classes=10")
        if self.contest.view is None:
            raise BadInput("task 'codes' reads categories in two views of an image; set views=strokes,deformation")
        super().__post_init__()
        if not (1 <= self.starts <= MOST and 1 <= self.heads <= MOST):
            raise BadInput(f"starts and heads of codes lie within 1 and {MOST}, got {self.starts} and {self.heads}")
        if self.reader_width < 1:
            raise BadInput("reader_width of codes is at least 1")
        if not 0 < self.chosen <= self.begins < 1:
            raise BadInput(f"codes needs 0 < chosen <= begins < 1, got {self.chosen:g} and {self.begins:g}")
        if not 0 <= self.reader_rate <= 1:
            raise BadInput(f"reader_rate is a factor in [0, 1], got {self.reader_rate:g}")

    @classmethod
    def suits(cls, data: DataDescription, options: Mapping[str, Any]) -> dict[str, Any]:
        """Images, which the reader's network is for."""
        if len(data.shape) != 3 or min(data.shape[1:]) < 4:
            raise BadInput(
                f"task 'codes' reads images of at least 4 x 4, got items of {tuple(data.shape)}; set task=infogan"
            )
        return super().suits(data, options)

    @classmethod
    def idle(cls, options: Mapping[str, Any], prior: Prior | None) -> dict[str, str]:
        """The balance has its effect before the game."""
        return {name: why for name, why in super().idle(options, prior).items() if name != "balance"}

    @property
    def stages(self) -> tuple[float, ...]:
        """Where a start is chosen, and where the game begins."""
        return tuple(dict.fromkeys((self.chosen, self.begins)))

    @property
    def rates(self) -> dict[str, Schedule]:
        """The reader's falls from the choice on, and stays low within the game."""
        return {"reader": self._rate}

    def _rate(self, progress: Progress) -> float:
        length = self.begins - self.chosen
        over = (progress.share - self.chosen) / length if length else float(progress.share >= self.begins)
        return 1 - (1 - self.reader_rate) * (0.5 - 0.5 * math.cos(math.pi * min(1.0, max(0.0, over))))

    def networks(self, shape: Sequence[int]) -> dict[str, NetworkSpec]:
        """The networks of all players, for items x of that shape."""
        options = {
            "classes": self.prior.classes,
            "values": self.prior.values,
            "starts": self.starts,
            "heads": self.heads,
            "width": self.reader_width,
            "settles_at": self.chosen,
        }
        reader = NetworkSpec("Reader", (tuple(shape),), options, Reader)
        return {**super().networks(shape), "reader": reader}

    def moves(self) -> Sequence[Move]:
        """The reader's of each stage; in the last one, before it, those of Generate."""
        late = from_share(self.begins)
        alone = both(from_share(self.chosen), until_share(self.begins))
        return [
            *(replace(move, when=both(move.when, late)) for move in super().moves()),
            Move("reader", ("reader",), self.starting_cost, 1, until_share(self.chosen)),
            Move("reader", ("reader",), self.chosen_cost, 1, alone),
            Move("reader", ("reader",), self.reader_cost, 1, late),
        ]

    def generator_cost(self, players: Players, hand: Batch) -> Costs:
        """The generator's, with that of the code, which is read in what the discriminator sees."""
        overheard = Overheard(players["discriminator"])
        costs = super().generator_cost({**players, "discriminator": overheard}, hand)
        inferred = self._inferred(players["reader"](overheard.seen[0]))
        return self._with_code(costs, inferred, {}, players["reader"], hand)

    def value_task(self) -> Task | None:
        """That of Generate: the value knows no reader."""
        return self.of_two().value_task()

    def starting_cost(self, players: Players, hand: Batch) -> Costs:
        """The reader's on real images, of all starts."""
        return self._cost_of_starts(players, hand, self.starts)

    def chosen_cost(self, players: Players, hand: Batch) -> Costs:
        """The reader's on real images, of the start that was chosen."""
        return self._cost_of_starts(players, hand, 1)

    def reader_cost(self, players: Players, hand: Batch) -> Costs:
        """The reader's within the game: of the code of samples, and of real images."""
        reader, (of_real, of_fake), view = players["reader"], hand["view"], self.contest.view
        assert view is not None
        with torch.no_grad():
            fake = players["generator"](hand["z"])
        seen = torch.cat([view(hand["x"], of_real), view(fake, of_fake)])
        on_real, on_fake = reader(seen).split([len(hand["x"]), len(fake)])
        return self._with_code(Costs({}), self._inferred(on_fake), self._inferred(on_real), reader, hand)

    def _code_outputs(self, reader: nn.Module, x: Tensor) -> Tensor:
        outputs: Tensor = reader(x)
        return outputs

    def _cost_of_starts(self, players: Players, hand: Batch, starts: int) -> Costs:
        reader: Any = players["reader"]
        view = self.contest.view
        assert view is not None
        x = torch.cat([view(hand["x"], dice) for dice in hand["view"]])
        agreement = []
        for start in range(starts):
            one, other = reader.readings(x, start).softmax(2).chunk(2)
            joint = summed((one[:, :, :, None] * other[:, :, None]).sum(0)) / items_of_all(hand)
            reader.note(start, joint.detach())
            agreement.append(view_agreement(joint, self.balance).sum())
        cost = -torch.stack(agreement).sum() / math.sqrt(self.heads)
        return Costs({"agreement": cost}, {"information": reader.information.max()})


class Overheard(nn.Module):
    """A discriminator, and what it was asked of."""

    def __init__(self, discriminator: nn.Module) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        logits: Tensor = self.discriminator(x)
        return logits
