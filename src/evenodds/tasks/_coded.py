"""What tasks with a code have in common: a part of z that is read in what the generator makes of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenodds.errors import BadInput
from evenodds.game.modes import at_rest
from evenodds.game.rules import Batch, Costs, Players
from evenodds.game.slices import average, items_of_all, summed
from evenodds.game.wide import wide
from evenodds.parts.priors import Coded, Prior
from evenodds.tasks._answers import answers_by_entry
from evenodds.tasks.generate import Generate

__all__ = ["CodedTask", "InferredCode", "view_agreement"]

InferredCode = dict[str, Tensor]
"""Logits "classes" (N, K) and means "values" (N, V) of the code of each item."""


@dataclass(frozen=True, kw_only=True)
class CodedTask(Generate):
    """A game of Generate whose z holds a code, which the player `reads` reads in items; for the options see InfoGAN."""

    prior: Coded = field(kw_only=False)
    classes_weight: float = 1.0
    values_weight: float = 0.1
    consistency: float = 0.0
    balance: float = 4.0
    agreement: float = 0.0
    reads: ClassVar[str]
    """The player that reads the code."""

    def __post_init__(self) -> None:
        name = type(self).__name__.lower()
        if not isinstance(self.prior, Coded):
            raise BadInput(f"task '{name}' needs the prior 'coded', got {type(self.prior).__name__}; set prior=coded")
        if min(self.classes_weight, self.values_weight, self.consistency, self.balance, self.agreement) < 0:
            raise BadInput(f"weights of {name} must be at least 0; 0 leaves a cost out")
        for cost, weight in (("consistency", self.consistency), ("agreement", self.agreement)):
            if weight and (self.contest.view is None or not self.prior.classes):
                raise BadInput(f"{cost} of {name} needs views and categories; set views, or {cost}=0")
        if self.simultaneous:
            raise BadInput("simultaneous moves leave out the cost of the code; set simultaneous=false")

    @classmethod
    def idle(cls, options: Mapping[str, Any], prior: Prior | None) -> dict[str, str]:
        """Weights of a part that the code has not, and of an entropy that no cost has."""
        idle = {}
        if isinstance(prior, Coded) and not prior.classes:
            idle["classes_weight"] = "without categories; set prior.classes=10"
        if isinstance(prior, Coded) and not prior.values:
            idle["values_weight"] = "without values; set prior.values=2"
        if not any(options.get(cost, getattr(cls, cost)) for cost in ("consistency", "agreement")):
            idle["balance"] = "without consistency or agreement; set task.consistency=0.1"
        return idle

    @abstractmethod
    def _code_outputs(self, reader: nn.Module, x: Tensor) -> Tensor:
        """(N, classes + values): what the player that reads says of x."""

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
        """What `_code_outputs` gives, (N, classes + values), as logits of classes and means of values."""
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


def view_agreement(joint: Tensor, balance: float = 2.0) -> Tensor:
    """How well the categories that are read in two views of the same items agree, (...); more is better.

    balance * H(mean) - H(joint), with the symmetrical joint distribution of both (Ji et al. 2019, eq. 3). At balance 2
    it is the mutual information of both, from 0 to log K; above 2, categories that are used alike count more.

    Args:
        joint: (..., K, K), the mean over items of the outer product of both distributions.
        balance: weight of the entropy of the mean.

    Example:
        >>> import torch
        >>> from evenodds.tasks._coded import view_agreement
        >>> round(view_agreement(torch.eye(2) / 2).item(), 4)  # both views say the same: log 2
        0.6931
    """
    joint = wide(joint)  # autocast leaves products in bfloat16
    joint = ((joint + joint.mT) / 2).clamp_min(1e-8)
    mean = joint.sum(-1)
    return (joint * joint.log()).sum((-2, -1)) - balance * (mean * mean.log()).sum(-1)
