"""What all adversarial tasks share: the loss, the penalty, and what the discriminator sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput
from evenodds.game.dial import View
from evenodds.game.rules import Batch, Costs, Move, Players
from evenodds.game.schedule import but_every, every
from evenodds.game.slices import average, items_of_all, means_of_all, own, parted, playing_now, whole
from evenodds.game.wide import wide

__all__ = ["Adversarial", "Contest", "Cost", "Penalty", "draws_of", "per_item"]

Adversarial = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(real, fake) logits (N,), or (N, P) of patches -> (discriminator, generator) cost of that shape, unreduced; distances
take (N, K) features and give (N,)."""
Cost = Callable[[Players, Batch], Costs]
"""What a move minimises."""
Penalty = Callable[..., Tensor]
"""(score, real x, fake x, *, uniform or normal numbers that it names) -> (N,)."""


DRAWS = ("uniform", "normal")
"""Random numbers that a penalty may name: (N, 4) uniform, and normal ones of the shape of the items."""


def draws_of(penalty: Penalty) -> tuple[str, ...]:
    """The random numbers that a penalty names."""
    named = signature(penalty).parameters
    return tuple(name for name in DRAWS if name in named)


@dataclass(frozen=True)
class Contest:
    """The terms on which a generator and a discriminator meet.

    Args:
        loss: of logits; see evenodds.parts.losses.
        penalty: on the discriminator; None for none.
        weight: of the penalty.
        every: rounds from one penalty to the next. The weight is multiplied by it, so that the mean gradient is that
            of a penalty in every round (lazy regularisation, Karras et al. 2020).
        share: of the items of a batch that the penalty is computed on, in (0, 1], at least one item. Its mean stands
            for that of all: the expected gradient is that of the whole batch, for players that treat every item for
            itself. Batch norm and minibatch spread see both portions of the batch apart in these rounds.
        view: augmentation through which the discriminator sees real and fake alike (Zhao et al. 2020); None for none.
        view_dice: uniform numbers per item that the view needs.
        fused: score real and fake in one pass of the discriminator. Not for one with batch norm, whose statistics
            would then mix both.
        fake_weights: logits of the fakes (N,) -> weights (N,) of their part in the generator's cost; None: all count
            alike.
    """

    loss: Adversarial
    penalty: Penalty | None = None
    weight: float = 1.0
    every: int = 1
    share: float = 1.0
    view: View | None = None
    view_dice: int = 4
    fused: bool = False
    fake_weights: Callable[[Tensor], Tensor] | None = None
    draws: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        if self.every < 1:
            raise BadInput(f"a penalty is played every n >= 1 rounds, got {self.every}")
        if not self.weight >= 0:
            raise BadInput(f"the weight of a penalty is at least 0, got {self.weight}; 0 leaves it out")
        if not 0 < self.share <= 1:
            raise BadInput(f"a penalty is computed on a share of the batch in (0, 1], got {self.share}")
        object.__setattr__(self, "draws", () if self.penalty is None else draws_of(self.penalty))

    def discriminator_moves(self, penalised: Cost, plain: Cost, k: int = 1) -> list[Move]:
        """k moves of the discriminator by one of two costs: with the penalty in every n-th round, without in others."""
        movers = ("discriminator",)
        penalised = self.shared(penalised, plain)
        if self.penalty is None or self.every == 1:
            return [Move("discriminator", movers, penalised, k)]
        return [
            Move("discriminator", movers, penalised, k, every(self.every)),
            Move("discriminator", movers, plain, k, but_every(self.every)),
        ]

    def shared(self, penalised: Cost, plain: Cost) -> Cost:
        """The cost of a round with the penalty, which only a share of the items of a hand bears."""
        if self.penalty is None or self.share == 1:
            return penalised

        def cost(players: Players, hand: Batch) -> Costs:
            items = items_of_all(hand)
            count = max(1, round(self.share * items))
            if count == items:
                return penalised(players, hand)
            with parted(hand, count, True) as first:
                bearing = penalised(players, first)
            with parted(hand, count, False) as others:
                return weighed(bearing, plain(players, others), count / items)

        return cost

    def deal(self, real: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """The random numbers that one play needs."""
        n, hand = len(real), {}
        if self.view is not None:
            hand["view"] = torch.rand(2, n, self.view_dice, generator=rng, device=rng.device)
        if "uniform" in self.draws:
            hand["uniform"] = torch.rand(n, 4, generator=rng, device=rng.device)
        if "normal" in self.draws:
            hand["normal"] = torch.randn(real.shape, generator=rng, device=rng.device)
        return hand

    def discriminator_costs(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, hand: dict[str, Tensor], penalised: bool
    ) -> Costs:
        """What the discriminator minimises: its adversarial cost and, where due, the penalty, in ONE backward.

        Args:
            real: (N, ...) in [-1, 1].
            fake: (N, ...) detached from the generator.
        """
        real, fake = self._viewed(real, fake, hand)
        penalised = penalised and self.penalty is not None
        if penalised:  # leaves of their own: a penalty differentiates the score with respect to them
            real, fake = real.detach().requires_grad_(), fake.detach().requires_grad_()
        score = Remembered(discriminator)
        if self.fused:
            score.both(real, fake)
        on_real, on_fake = self._compared(score(real)), self._compared(score(fake))
        costs = {"adversarial": self._mean(self.loss(on_real, on_fake)[0])}
        if penalised and self.penalty is not None:
            draws = {name: hand[name] for name in self.draws}
            penalty = average(self.penalty(lambda x: per_item(score(x)), real, fake, **draws))
            costs["penalty"] = self.weight * self.every * penalty
        return Costs(costs, facts=self._beliefs(on_real, on_fake))

    def simultaneous_costs(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, hand: dict[str, Tensor]
    ) -> Costs:
        """What both minimise at once, each with the gradient of its own cost, in one pass and one backward.

        The discriminator's backward of item i is linear in the slope of the cost at the logit of item i. So the
        gradient of the generator's cost with respect to fake i is that of the discriminator's cost, times the ratio
        of both slopes; with the minimax loss this is gradient reversal (Ganin and Lempitsky 2015). It spares a forward
        and a backward of the discriminator and a forward of the generator.

        Needs a loss whose discriminator cost has a slope at every fake logit (not hinge, not least squares), and a
        discriminator that scores each item for itself (no batch norm, no minibatch spread), by one logit (no patches).

        Args:
            fake: (N, ...) with the generator's graph.
        """
        real, fake = self._viewed(real, fake, hand)
        turned, ratio = scaled_backward(fake)
        score = Remembered(discriminator)
        if self.fused:
            score.both(real, turned)
        on_real, on_fake = self._compared(score(real)), self._compared(score(turned))
        if on_fake.dim() > 1:  # the slopes of an item's patches are no multiple of each other
            raise BadInput(
                f"simultaneous moves need one logit for each item, got {tuple(on_fake.shape)}; leave `simultaneous` "
                "false, or take a discriminator of whole items"
            )
        costs = self.loss(on_real, on_fake)
        slopes = self._slope_ratio(on_real, on_fake)
        slopes = slopes if self.fake_weights is None else slopes * self.fake_weights(on_fake)
        ratio.append(own(slopes) if len(slopes) > len(fake) else slopes)
        facts = {"generator": self._mean(costs[1]), **self._beliefs(on_real, on_fake)}
        return Costs({"adversarial": self._mean(costs[0])}, facts)

    @cached_property
    def slopes_everywhere(self) -> bool:
        """Whether the discriminator's cost has a slope at every fake logit, as simultaneous moves need."""
        logits = torch.linspace(-8, 8, 65, device=self._place).requires_grad_()
        (slope,) = torch.autograd.grad(self.loss(torch.zeros_like(logits), logits)[0].sum(), logits)
        return bool((slope != 0).all())

    def _slope_ratio(self, on_real: Tensor, on_fake: Tensor) -> Tensor:
        """(N,) slope of the generator's cost over that of the discriminator's, at each fake logit."""
        logits = wide(on_fake.detach()).requires_grad_()
        with torch.enable_grad():
            costs = self.loss(wide(on_real.detach()), logits)
            of_d, of_g = (torch.autograd.grad(cost.sum(), logits, retain_graph=True)[0] for cost in costs)
        return of_g / torch.where(of_d.abs() < TINY, TINY, of_d)

    def generator_costs(self, discriminator: nn.Module, real: Tensor, fake: Tensor, hand: dict[str, Tensor]) -> Costs:
        """What the generator minimises; only losses that pair or average real logits need a pass over real."""
        real, fake = self._viewed(real, fake, hand)
        on_fake = self._compared(discriminator(fake))
        on_real = self._compared(discriminator(real)) if self.relative else torch.zeros_like(on_fake)
        cost = self.loss(on_real, on_fake)[1]
        weighted = cost if self.fake_weights is None else cost * self.fake_weights(on_fake)
        return Costs({"adversarial": self._mean(weighted)})

    @cached_property
    def compares(self) -> bool:
        """Whether logits of different items meet: in the loss, the weights of fakes, or what views are adapted by.

        Then those of all items are looked at, where a batch is played in slices. Found by asking for the slope of the
        cost of one item in the logits of another.
        """
        if self.fake_weights is not None or (self.relative and self.tells_signs):
            return True
        real, fake = (self._logits().add(shift).requires_grad_() for shift in (0.3, -0.2))
        discriminator, generator = self.loss(real, fake)
        cost = discriminator[0] + 2 * generator[0]  # the plain sum of a zero-sum game has no slope
        slopes = torch.autograd.grad(cost, (real, fake), allow_unused=True)
        return any(slope is not None and bool((slope[1:] != 0).any()) for slope in slopes)

    def _compared(self, logits: Tensor) -> Tensor:
        """The logits of all items of the batch where they meet, else those that are there."""
        return whole(logits) if playing_now() is not None and self.compares else logits

    def _mean(self, cost: Tensor) -> Tensor:
        """The mean over items of what follows from compared logits."""
        return cost.mean() if playing_now() is None or self.compares else average(cost)

    def _levels(self, on_real: Tensor, on_fake: Tensor) -> list[Tensor]:
        """The mean logits of all reals and all fakes."""
        if playing_now() is None or self.compares:
            return [on_real.mean(), on_fake.mean()]
        return means_of_all(on_real, on_fake)

    @property
    def tells_signs(self) -> bool:
        """Whether the mean sign of the logits of reals is reported, which chances of views follow."""
        return self.view is not None

    @cached_property
    def relative(self) -> bool:
        """Whether the generator's cost depends on the real logits, found by asking for its gradient."""
        real, fake = (self._logits().add(shift).requires_grad_() for shift in (0.3, -0.2))
        cost = self.loss(real, fake)[1].sum()
        (gradient,) = torch.autograd.grad(cost, real, allow_unused=True)
        return gradient is not None and bool((gradient != 0).any())

    @cached_property
    def oriented(self) -> bool:
        """Whether high logits are those of reals: the discriminator pays for real and fake that change places.

        A distance between sets of logits is the same from both sides. Then no logit says that an item is real.
        """
        real, fake = (self._logits().add(shift) for shift in (0.3, -0.2))
        plain, exchanged = self.loss(real, fake)[0].mean(), self.loss(fake, real)[0].mean()
        return not torch.allclose(plain, exchanged, rtol=1e-4)

    @cached_property
    def log_ratio(self) -> bool:
        """Whether the best logit is log p_data / p_g up to a constant, which sampling by the discriminator needs.

        Where p_data / p_g is r, the best logit balances r times the slope at the reals with that at the fakes. Relative
        losses are not tested: a softplus of differences, as all of them are, finds the ratio up to a constant. A
        distance between sets of logits finds none.
        """
        return self.oriented and (self.relative or any(self._balances(shift) for shift in (0.0, 1.0)))

    @property
    def _place(self) -> torch.device:
        """Where the loss computes: it may have numbers of its own, as that of BEGAN has."""
        own = (*self.loss.parameters(), *self.loss.buffers()) if isinstance(self.loss, nn.Module) else ()
        return own[0].device if own else torch.device("cpu")

    def _logits(self) -> Tensor:
        """(4,) to ask the loss with."""
        return torch.linspace(-1, 1, 4, device=self._place)

    def _balances(self, shift: float) -> bool:
        ratio = torch.tensor([1 / 3, 1.0, 3.0], dtype=torch.float64, device=self._place)
        real, fake = ((ratio.log() + shift).requires_grad_() for _ in range(2))
        at_real, at_fake = torch.autograd.grad(self.loss(real, fake)[0].sum(), (real, fake))
        return bool(torch.allclose(ratio * at_real + at_fake, torch.zeros_like(ratio), atol=1e-6))

    def _beliefs(self, on_real: Tensor, on_fake: Tensor) -> dict[str, Tensor]:
        """The mean probabilities of being real, D(x) and D(G(z)); none where logits do not say what is real.

        A relative loss fixes logits up to a shift; each is then held against the mean logit of the other side, as in
        Jolicoeur-Martineau (2018), eq. 7; and for the mean sign of D(x), against the middle of both.
        """
        level: Tensor | float = 0.0
        if not self.oriented:
            return {}
        if self.relative:
            real, fake = self._levels(on_real, on_fake)
            level = (real + fake) / 2
        signs = self._mean((on_real - level).sign())
        if self.relative:
            on_real, on_fake = on_real - fake, on_fake - real
        facts = {"real": self._mean(on_real.sigmoid()), "fake": self._mean(on_fake.sigmoid())}
        # r_t of Karras et al. (2020), section 3, which views are adapted by.
        return {**facts, "signs": signs} if self.tells_signs else facts

    def _viewed(self, real: Tensor, fake: Tensor, hand: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        if self.view is None:
            return real, fake
        return self.view(real, hand["view"][0]), self.view(fake, hand["view"][1])


def weighed(first: Costs, second: Costs, share: float) -> Costs:
    """The means over a batch from those over its first items, of which the share is that large, and over the rest.

    What only the first have, the penalty, stays as it is.
    """

    def mean(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {k: share * v + (1 - share) * other[k] if k in other else v for k, v in one.items()}

    return Costs(mean(first, second), mean(first.facts, second.facts))


def per_item(logits: Tensor) -> Tensor:
    """(N,) of (N,), or of (N, P), the logits of P patches of each item: their mean."""
    return logits if logits.dim() == 1 else logits.flatten(1).mean(1)


TINY = 1e-30
"""Least slope of a cost that is divided by; float32 has room for what it is multiplied with."""


class _ScaledBackward(torch.autograd.Function):
    """The identity, whose gradient is multiplied per item by factors that are known only at the backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factors: list[Tensor]) -> Tensor:
        ctx.factors = factors
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        factor = ctx.factors[-1].to(gradient.dtype)
        return gradient * factor.view(-1, *[1] * (gradient.dim() - 1)), None


def scaled_backward(x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """x, and a list to which (N,) factors of its gradient are to be appended before the backward."""
    factors: list[Tensor] = []
    scaled: Tensor = _ScaledBackward.apply(x, factors)  # type: ignore[no-untyped-call]
    return scaled, factors


class Remembered:
    """A score that computes each tensor once, so that loss and penalty share one forward pass."""

    def __init__(self, discriminator: nn.Module) -> None:
        self.discriminator = discriminator
        self.scores: list[tuple[Tensor, Tensor]] = []

    def __call__(self, x: Tensor) -> Tensor:
        for scored, answer in self.scores:
            if scored is x:
                return answer
        logits: Tensor = self.discriminator(x)
        self.scores.append((x, logits))
        return logits

    def both(self, real: Tensor, fake: Tensor) -> None:
        """Scores both in one pass."""
        on_real, on_fake = self.discriminator(torch.cat([real, fake])).split([len(real), len(fake)])
        self.scores += [(real, on_real), (fake, on_fake)]
