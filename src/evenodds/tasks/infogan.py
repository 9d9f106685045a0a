"""Codes that mean something, learned without labels: InfoGAN (Chen et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.rules import Batch, Costs, Players, Task
from evenodds.parts.priors import Coded
from evenodds.tasks._coded import CodedTask
from evenodds.tasks._playable import NetworkSpec
from evenodds.tasks.generate import Generate

__all__ = ["InfoGAN", "discriminator_options"]


@dataclass(frozen=True, kw_only=True)
class InfoGAN(CodedTask):
    """The game of Generate, in which a part of z, the code, must be readable from what the generator makes of it.

    A third network Q, here further outputs of the discriminator, says which code made x. Generator and Q both lower

        -L_I(G, Q) = -E[log Q(c | G(z, c))],

    eq. 5 of the paper: a lower bound on the mutual information of code and x, up to the constant entropy of the code.
    The categorical part pays the cross-entropy; the values pay half their squared error, which is a Gaussian of unit
    variance. Real items do not enter, but for `consistency` and `agreement`. Penalties see the logit of being real
    alone.

    Discriminators are built with `discriminator_options(prior)`: the logit, then the logits of the classes, then the
    means of the values.

    Args:
        prior: a Coded one, which says what the code is made of.
        classes_weight: of the cross-entropy of the category, for both.
        values_weight: of half the squared error of the values, summed over them, for both.
        consistency: weight of a cost that the paper has not: the cross-entropy of the category that the discriminator
            reads in a real item as it is, which counts as the truth, and the one that it reads through the contest's
            view, less `balance` times the entropy of their mean over the batch (Krause et al. 2010; Hu et al. 2017).
            The first moves the borders of the categories to where there are few items, the second keeps all in use.
        balance: how much the entropy counts within it. At 1 a digit may stay split in two categories while two others
            share one; Hu et al. have 4.
        agreement: weight of another cost in its place, less what `view_agreement` says of the same two readings with
            that `balance` (Ji et al. 2019). It also sharpens what is read, and needs no generator for that, so that a
            discriminator may be trained by it before the game.
    """

    reads: ClassVar[str] = "discriminator"

    @classmethod
    def better_networks(cls, generator: str, discriminator: str, shape: Sequence[int]) -> str:
        """Of images, a task whose categories are settled on real ones first."""
        if len(shape) != 3:
            return ""
        return "Categories follow what is shown more closely where real images settle them first: take the recipe codes"

    def networks(self, shape: Sequence[int]) -> dict[str, NetworkSpec]:
        """The networks of both players, for items x of that shape."""
        options = discriminator_options(self.prior)
        return {**super().networks(shape), "discriminator": NetworkSpec("Discriminator", (tuple(shape),), options)}

    def unconditional(self, players: Players, shape: Sequence[int], c: Tensor | None = None) -> dict[str, nn.Module]:
        """Both players, of which the discriminator says its logit alone."""
        bound = super().unconditional(players, shape, c)
        return {name: CodeReader(player) if name == "discriminator" else player for name, player in bound.items()}

    def penalised_cost(self, players: Players, hand: Batch) -> Costs:
        """The discriminator's, with the penalty."""
        return self._cost(super().penalised_cost, players, hand, len(hand["x"]))

    def plain_cost(self, players: Players, hand: Batch) -> Costs:
        """The discriminator's, without the penalty."""
        return self._cost(super().plain_cost, players, hand, len(hand["x"]))

    def generator_cost(self, players: Players, hand: Batch) -> Costs:
        """The generator's."""
        return self._cost(super().generator_cost, players, hand, 0)

    def _cost(self, cost: Callable[[Players, Batch], Costs], players: Players, hand: Batch, first: int) -> Costs:
        """A cost of Generate and that of the code, where the discriminator is asked of fakes after `first` others."""
        reader = CodeReader(players["discriminator"])
        costs = cost({**players, "discriminator": reader}, hand)
        outputs = torch.cat(reader.code_outputs)
        inferred = self._inferred(outputs[first : first + len(hand["z"])])
        viewed = self._inferred(outputs[:first]) if first else {}
        return self._with_code(costs, inferred, viewed, players["discriminator"], hand)

    def _code_outputs(self, reader: nn.Module, x: Tensor) -> Tensor:
        outputs: Tensor = reader(x)[:, 1:]
        return outputs

    def value_task(self) -> Task | None:
        """As that of Generate; real items, which no view shows there, do not enter."""
        return Generate.value_task(replace(self, consistency=0.0, agreement=0.0))


class CodeReader(nn.Module):
    """x -> logits (N,) of being real, and beside them what a discriminator says of the code."""

    def __init__(self, discriminator: nn.Module) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.code_outputs: list[Tensor] = []
        """(n, classes + values), call by call."""

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.discriminator(x)
        if out.dim() != 2:
            raise BadInput("a discriminator that reads a code needs several outputs, got 1; set `outputs`")
        self.code_outputs.append(out[:, 1:])
        return out[:, 0]


def discriminator_options(prior: Coded) -> dict[str, int]:
    """What a discriminator is to be built with, beside the shape of x."""
    return {"outputs": 1 + prior.classes + prior.values}
