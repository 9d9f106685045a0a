"""Conditional generation: p_g(x | c) against p_data(x | c), for classes, attributes or values c."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput, unknown
from evenodds.game.rules import Batch, Costs, Players, Task
from evenodds.game.slices import average
from evenodds.parts.losses import conditional
from evenodds.parts.losses.adversarial import hinge
from evenodds.parts.priors import Prior
from evenodds.tasks._conditional import (
    CONTRASTS,
    COSTS,
    WAYS,
    ConditionedDiscriminator,
    ConditionedGenerator,
    balanced,
    contrast,
    discriminator_options,
    one_hot,
)
from evenodds.tasks._description import DataDescription
from evenodds.tasks._playable import NetworkSpec
from evenodds.tasks.generate import Generate

__all__ = ["Condition", "discriminator_options"]

BALANCES = ("data", "classes")


@dataclass(frozen=True, kw_only=True)
class Condition(Generate):
    """The game of Generate, played given c: both players see the c of the batch, the fakes that of the reals.

    So p(c) is the same for real and fake, as it must be, or the discriminator could tell them apart by c alone; and
    a pair of real and fake, which relativistic losses compare, has one c.

    The way in which the discriminator sees c decides what is matched:

    - "projection": p(x | c), by a logit that is linear in c. For classes and attributes.
    - "concatenation": p(x | c), by a logit that is any function of x and c. The one for values, whose
      log p(x | c) / q(x | c) is not linear in c; with many classes its planes are costly.
    - "auxiliary": p(x), and that c can be told from x. It lacks a term for the entropy of c given x, so that the
      generator gains by samples that are easy to classify: p(x | c) keeps away from the border of the classes and is
      less diverse than the data (Shu et al. 2017; Gong et al. 2019).
    - "projection_auxiliary": p(x | c) by the logit of "projection", and that c can be told from x, by further outputs.
      More samples are of the c that was asked for, and they are less diverse; `auxiliary_weight` says how much so.
    - "contrastive" (2C), "data_to_data" (D2D-CE): as "auxiliary", by a cost that compares the items of a batch, which
      the discriminator pays for reals and the generator for fakes. For classes.
    - "multi_hinge": one hinge of all classes and of fakes, in place of the adversarial cost. For classes, with the
      hinge loss.

    The generator takes (N, latent + length): c stands behind z. Discriminators are built with
    `discriminator_options(way, shape, length)`.

    Args:
        length: K, of c: the number of classes, attributes or values.
        kind: what c holds. "classes": the batch has "y" (N,) int64 in [0, K), -1 unknown, and c is one-hot, zeros
            where unknown. "attributes": the batch has "c" (N, K) in {0, 1}. "values": it has "c" (N, K) in [-1, 1].
        way: how the discriminator sees c; None for "concatenation" of values and "projection" of all else.
        auxiliary_weight: of the auxiliary cost, for both: cross-entropy for classes (unknown ones do not enter), binary
            cross-entropy for attributes, squared error for values; and of the costs by contrast. None: 0.05 beside a
            projection, else 1.
        temperature: of the cosines in the costs by contrast.
        balance: "data" leaves p(c) as it is; "classes" draws each batch again from its own items, so that every class
            in it takes an equal share, for real and fake alike. A class that is missing in a batch stays missing.
    """

    request_names: ClassVar[tuple[str, ...]] = ("z", "c")

    length: int
    kind: str = "classes"
    way: str | None = None
    auxiliary_weight: float | None = None
    temperature: float = 0.5
    balance: str = "data"

    def __post_init__(self) -> None:
        if self.way is None:
            object.__setattr__(self, "way", _usual_way(self.kind))
        if self.auxiliary_weight is None:
            object.__setattr__(self, "auxiliary_weight", 0.05 if self.way == "projection_auxiliary" else 1.0)
        for option, members in (("kind", COSTS), ("way", WAYS), ("balance", BALANCES)):
            if getattr(self, option) not in members:
                raise unknown(f"{option} of condition", getattr(self, option), members)
        if self.length < 1:
            raise BadInput(f"a condition needs length >= 1, got {self.length}; give the number of classes or values")
        if self.simultaneous and self.way not in ("projection", "concatenation"):
            raise BadInput(
                f"simultaneous moves leave out the cost of way {self.way}; set task.way={_usual_way(self.kind)}, or "
                "simultaneous=false"
            )
        if self.way in (*CONTRASTS, "multi_hinge") and self.kind != "classes":
            raise BadInput(f"way {self.way} needs classes, got {self.kind}; set way to auxiliary")
        if self.way == "multi_hinge" and self.contest.loss is not hinge:
            raise BadInput("way multi_hinge is a hinge loss of all classes; set loss=hinge, or another way")
        if not self.temperature > 0:
            raise BadInput(f"a condition needs temperature > 0, got {self.temperature}; 0.5 and 1 are usual")
        if self.balance == "classes" and self.kind != "classes":
            raise BadInput(f"only classes can be balanced, got {self.kind}; set balance to data")

    @classmethod
    def suits(cls, data: DataDescription, options: Mapping[str, Any]) -> dict[str, Any]:
        """The length of c and, where none is chosen, its kind: classes if there are any, else what there is."""
        named, kind = data.conditions, _kind(data, options)
        if kind not in COSTS:
            raise unknown("kind of condition", kind, COSTS)
        length = len(data.classes) if kind == "classes" else len(named.names) if named is not None else 0
        if length < 1 + (kind == "classes"):
            needed = "at least 2 classes: class folders, a labels.csv, a y" if kind == "classes" else f"{kind} c"
            raise BadInput(f"task 'condition' needs data with {needed}, got {length}; or take --set task=generate")
        if kind == "attributes" and named is not None and not named.binary:
            raise BadInput("attributes are 0 or 1, and c of these data is not; set task.kind=values")
        return {"length": length, "kind": kind}

    @classmethod
    def by_class(cls, data: DataDescription, options: Mapping[str, Any]) -> bool:
        """Where c holds classes."""
        return _kind(data, options) == "classes"

    @classmethod
    def idle(cls, options: Mapping[str, Any], prior: Prior | None) -> dict[str, str]:
        """The weight of the auxiliary cost, and the temperature of one by contrast, where the way has none."""
        way, weight = options.get("way"), options.get("auxiliary_weight")
        idle = {}
        if way in (None, "concatenation", "projection", "multi_hinge"):
            costly = "auxiliary" if options.get("kind") == "values" else "projection_auxiliary"
            idle["auxiliary_weight"] = f"without an auxiliary cost; set task.way={costly}"
        if way not in CONTRASTS:
            of_classes = options.get("kind") in (None, "classes")
            compared = "without a cost by contrast; set task.way=contrastive"
            idle["temperature"] = compared if of_classes else "without a cost by contrast"
        elif weight == 0:
            idle["temperature"] = "at auxiliary_weight 0; set task.auxiliary_weight=1"
        return idle

    def networks(self, shape: Sequence[int]) -> dict[str, NetworkSpec]:
        """The networks of both players; the generator takes c behind z."""
        options = discriminator_options(str(self.way), shape, self.length)
        return {
            "generator": NetworkSpec(self.generator_kind, (self.prior.size, tuple(shape)), {"condition": self.length}),
            "discriminator": NetworkSpec("Discriminator", (options.pop("shape"),), options),
        }

    def of_one_more_class(self) -> Condition:
        """With a longer c."""
        return replace(self, length=self.length + 1)

    @property
    def condition_kind(self) -> str | None:
        """What c holds."""
        return self.kind

    @property
    def condition_length(self) -> int:
        """K of c (N, K)."""
        return self.length

    @property
    def sees_x_alone(self) -> bool:
        """Unless c joins x as further columns or planes."""
        return self.way != "concatenation"

    @property
    def deals_apart(self) -> bool:
        """Unless items are drawn anew, so that all classes are as frequent."""
        return type(self).deal is Condition.deal and self.balance != "classes"

    def deal(self, real: Batch, rng: torch.Generator) -> Batch:
        """Adds "c" (N, K) to what Generate deals."""
        real = {**real, "c": self.condition(real)}
        if self.balance == "classes":
            index = balanced(real["c"], rng)
            real = {name: value[index] for name, value in real.items()}
        return super().deal(real, rng)

    def condition(self, batch: Batch) -> Tensor:
        """The c (N, K) float of a batch: made of its labels "y" where it holds classes and there are any, else "c"."""
        if self.kind == "classes" and "y" in batch:
            return one_hot(batch["y"], self.length)
        if "c" not in batch:
            needed = "labels 'y' (N,)" if self.kind == "classes" else f"'c' (N, {self.length})"
            raise BadInput(f"a condition on {self.kind} needs {needed}, got {', '.join(sorted(batch))}; add them")
        c = batch["c"]
        if c.shape != (len(c), self.length):
            raise BadInput(f"c must be (N, {self.length}), got {tuple(c.shape)}; check `length`")
        return c

    def conditioned(self, players: Players, c: Tensor) -> tuple[ConditionedGenerator, ConditionedDiscriminator]:
        """Both players as those of the unconditional game, for c (N, K)."""
        return ConditionedGenerator(players["generator"], c), ConditionedDiscriminator(
            players["discriminator"], c, str(self.way)
        )

    def unconditional(self, players: Players, shape: Sequence[int], c: Tensor | None = None) -> dict[str, nn.Module]:
        """The players that there are, for c (N, K), or (1, K) for all items."""
        if c is None:
            raise BadInput("the players of a conditional game need c (N, K); give one")
        if "discriminator" not in players or not self.contest.oriented:
            return {"generator": ConditionedGenerator(players["generator"], c)}
        generator, discriminator = self.conditioned(players, c)
        return {"generator": generator, "discriminator": discriminator}

    def penalised_cost(self, players: Players, hand: Batch) -> Costs:
        """The discriminator's, with the penalty, which sees x alone change."""
        return self._cost(super().penalised_cost, players, hand, 2)

    def plain_cost(self, players: Players, hand: Batch) -> Costs:
        """The discriminator's, without the penalty."""
        return self._cost(super().plain_cost, players, hand, 2)

    def generator_cost(self, players: Players, hand: Batch) -> Costs:
        """The generator's."""
        return self._cost(super().generator_cost, players, hand, 1)

    def simultaneous_cost(self, players: Players, hand: Batch) -> Costs:
        """Both players'."""
        return self._cost(super().simultaneous_cost, players, hand, 2)

    def _cost(self, cost: Callable[[Players, Batch], Costs], players: Players, hand: Batch, sides: int) -> Costs:
        generator, discriminator = self.conditioned(players, hand["c"])
        costs = cost({"generator": generator, "discriminator": discriminator}, hand)
        if discriminator.condition_outputs:
            # A contest asks of reals, then of fakes, or of both at once; the generator's asks of fakes first.
            outputs = torch.cat(discriminator.condition_outputs)[: sides * len(hand["c"])]
            costs |= self._cost_of_outputs(outputs, hand["c"], sides)
        return costs

    def _cost_of_outputs(self, outputs: Tensor, c: Tensor, sides: int) -> dict[str, Tensor]:
        """What the discriminator (2 sides, reals and fakes) or the generator (1, fakes) pays for what is said of c."""
        if self.way == "multi_hinge":
            costs = conditional.multi_hinge(outputs[: len(c)], outputs[-len(c) :], c)
            return {"adversarial": average(costs[0] if sides == 2 else costs[1])}
        if self.way in CONTRASTS:
            wrong = contrast(str(self.way), outputs[: len(c)], c, self.temperature)
        else:  # the paper's L_C is a mean over the reals plus one over the fakes
            wrong = sides * COSTS[self.kind](outputs, c.repeat(sides, 1))
        return {"auxiliary": float(self.auxiliary_weight or 0) * wrong}

    def value_task(self) -> Task | None:
        """As that of Generate; none of multi_hinge, whose logit is no log ratio under another loss."""
        return None if self.way == "multi_hinge" else super().value_task()

    def request_for(self, real: Batch, rng: torch.Generator) -> Batch:
        """A request for one sample beside each real item, of its c."""
        return {**super().request_for(real, rng), "c": self.condition(real)}

    def answer(self, players: Players, request: Batch) -> Batch:
        """Request "z" (N, latent) with "y" (N,) int64, -1 any, or "c" (N, K), which may mix classes; answers "x"."""
        z, c = request["z"], self.condition(request)
        if "c" not in request:
            low, high = int(request["y"].min()), int(request["y"].max())
            if low < -1 or high >= self.length:
                raise BadInput(f"y must lie in [0, {self.length - 1}], or be -1 for any, got [{low}, {high}]")
        if len(z) != len(c):
            raise BadInput(f"z and c need one length, got {len(z)} and {len(c)}; give one c for each z")
        return super().answer({"generator": ConditionedGenerator(players["generator"], c.to(z.device))}, request)


def _usual_way(kind: str) -> str:
    """How a discriminator sees c where nothing is chosen: no logit of a value is linear in it."""
    return "concatenation" if kind == "values" else "projection"


def _kind(data: DataDescription, options: Mapping[str, Any]) -> str:
    """What c holds: as chosen, else classes if there are any, else what there is."""
    if options.get("kind"):
        return str(options["kind"])
    if data.conditions is None or len(data.classes) > 1:
        return "classes"
    return "attributes" if data.conditions.binary else "values"
