"""Codes that mean something, learned without labels: InfoGAN (Chen et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenodds.errors import BadInput
from evenodds.game.modes import at_rest
from evenodds.game.rules import Batch, Costs, Players
from evenodds.game.slices import average, items_of_all, summed
from evenodds.game.wide import wide
from evenodds.parts.priors import Coded
from evenodds.tasks._answers import answers_by_entry
from evenodds.tasks._playable import NetworkSpec
from evenodds.tasks.generate import Generate

__all__ = ["InfoGAN", "discriminator_options", "view_agreement"]

InferredCode = dict[str, Tensor]
"""Logits "classes" (N, K) and means "values" (N, V) of the code of each item."""


@dataclass(frozen=True, kw_only=True)
class InfoGAN(Generate):
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

    prior: Coded = field(kw_only=False)
    classes_weight: float = 1.0
    values_weight: float = 0.1
    consistency: float = 0.0
    balance: float = 4.0
    agreement: float = 0.0
    reads: ClassVar[str] = "discriminator"
    """The player that reads the code."""

    def __post_init__(self) -> None:
        if not isinstance(self.prior, Coded):
            raise BadInput(f"task 'infogan' needs the prior 'coded', got {type(self.prior).__name__}; set prior=coded")
        if min(self.classes_weight, self.values_weight, self.consistency, self.balance, self.agreement) < 0:
            raise BadInput("weights of infogan must be at least 0; 0 leaves a cost out")
        for name, weight in (("consistency", self.consistency), ("agreement", self.agreement)):
            if weight and (self.contest.view is None or not self.prior.classes):
                raise BadInput(f"{name} of infogan needs views and categories; set views, or {name}=0")
        if self.simultaneous:
            raise BadInput("simultaneous moves leave out the cost of the code; set simultaneous=false")

    @classmethod
    def better_generator(cls, family: str, shape: Sequence[int]) -> str:
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

    def _with_code(
        self, costs: Costs, inferred: InferredCode, viewed: InferredCode, reader: nn.Module, hand: Batch
    ) -> Costs:
        """Costs, and those of the code.

        Args:
            inferred: what is read in the fakes.
            viewed: what is read in views of the real items; nothing where these do not enter.
            reader: what reads, as `_code_outputs` has it.
        """
        noise, classes, _ = self._parts
        code = hand["z"][:, noise:]
        if self.prior.classes:
            category = code[:, :classes].argmax(1)
            costs["classes"] = self.classes_weight * average(
                F.cross_entropy(inferred["classes"], category, reduction="none")
            )
            if viewed and (self.consistency or self.agreement):
                costs |= self._costs_of_real(reader, hand, viewed["classes"].log_softmax(1))
            right = inferred["classes"].argmax(1) == category
            costs.facts["right"] = average(right.to(torch.promote_types(inferred["classes"].dtype, torch.float32)))
        if self.prior.values:
            squared = (inferred["values"] - code[:, classes:]).square()
            costs["values"] = self.values_weight * 0.5 * average(squared.sum(1))
            costs.facts["error"] = average(squared).detach()
        return costs

    def _code_outputs(self, reader: nn.Module, x: Tensor) -> Tensor:
        """(N, classes + values) that are read in x; here by a discriminator, beside its logit."""
        outputs: Tensor = reader(x)[:, 1:]
        return outputs

    def _costs_of_real(self, reader: nn.Module, hand: Batch, viewed: Tensor) -> dict[str, Tensor]:
        """Of log probabilities (N, classes) that are read in views of the real items."""
        with torch.no_grad(), at_rest(reader):
            calm = self._inferred(self._code_outputs(reader, hand["x"]))["classes"].softmax(1)
        costs = {}
        if self.consistency:
            shares = summed(viewed.exp().sum(0)) / items_of_all(hand)
            entropy = -(shares * shares.clamp_min(1e-8).log()).sum()
            costs["consistency"] = self.consistency * (-average((calm * viewed).sum(1)) - self.balance * entropy)
        if self.agreement:
            joint = summed(calm.T @ viewed.exp()) / items_of_all(hand)
            costs["agreement"] = -self.agreement * view_agreement(joint, self.balance)
        return costs

    @property
    def _parts(self) -> tuple[int, int, int]:
        return self.prior.noise, self.prior.classes, self.prior.values

    def _inferred(self, outputs: Tensor) -> InferredCode:
        """Outputs after the first, (N, classes + values), as logits of classes and means of values."""
        _, classes, values = self._parts
        if outputs.shape[1] != classes + values:
            raise BadInput(
                f"a code of {classes} classes and {values} values needs {1 + classes + values} outputs of the "
                f"discriminator, got {1 + outputs.shape[1]}; set `outputs`"
            )
        return {"classes": outputs[:, :classes], "values": outputs[:, classes:]}

    def read(self, players: Players, x: Tensor) -> Batch:
        """The code: "category" (N,), its "probabilities" (N, classes), "values" (N, values)."""
        told = dict(self.answer(players, {"x": x})) if self.reads in players else {}
        return {"category" if name == "y" else name: value for name, value in told.items()}

    @torch.no_grad()
    def answer(self, players: Players, request: Batch) -> Batch:
        """What is asked for by the players as they are; put them in eval mode before.

        Args:
            players: both.
            request: "x" (N, ...) in [-1, 1] to read, or "z" (N, latent) to generate, or both.

        Returns:
            For "x": "y" (N,) int64 and "probabilities" (N, classes) of the category; "values" (N, values).
            For "z": "x" in [-1, 1].
        """

        def infer(x: Tensor) -> Batch:
            code = self._inferred(self._code_outputs(players[self.reads], x))
            values = {"values": code["values"]}
            if not self.prior.classes:
                return values
            return {"y": code["classes"].argmax(1), "probabilities": code["classes"].softmax(1)} | values

        return answers_by_entry(request, {"x": infer, "z": lambda z: {"x": players["generator"](z)}})


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


def view_agreement(joint: Tensor, balance: float = 2.0) -> Tensor:
    """How well the categories that are read in two views of the same items agree, (...); more is better.

    balance * H(mean) - H(joint), with the symmetrical joint distribution of both (Ji et al. 2019, eq. 3). At balance 2
    it is the mutual information of both, from 0 to log K; above 2, categories that are used alike count more.

    Args:
        joint: (..., K, K), the mean over items of the outer product of both distributions.
        balance: weight of the entropy of the mean.

    Example:
        >>> import torch
        >>> from evenodds.tasks.infogan import view_agreement
        >>> round(view_agreement(torch.eye(2) / 2).item(), 4)  # both views say the same: log 2
        0.6931
    """
    joint = wide(joint)  # autocast leaves products in bfloat16
    joint = ((joint + joint.mT) / 2).clamp_min(1e-8)
    mean = joint.sum(-1)
    return (joint * joint.log()).sum((-2, -1)) - balance * (mean * mean.log()).sum(-1)
