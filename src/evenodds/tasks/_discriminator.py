"""The two costs of a discriminator that a task needs, from one."""

from __future__ import annotations

from abc import ABC, abstractmethod

from evenodds.game.rules import Batch, Costs, Players

__all__ = ["DiscriminatorCosts"]


class DiscriminatorCosts(ABC):
    """A task whose discriminators minimise one cost, with a penalty in some rounds; see Contest.discriminator_moves."""

    def penalised_cost(self, players: Players, hand: Batch) -> Costs:
        """The cost of the discriminators, with the penalty."""
        return self._discriminator_cost(players, hand, penalised=True)

    def plain_cost(self, players: Players, hand: Batch) -> Costs:
        """The cost of the discriminators, without the penalty."""
        return self._discriminator_cost(players, hand, penalised=False)

    @abstractmethod
    def _discriminator_cost(self, players: Players, hand: Batch, penalised: bool) -> Costs:
        """The cost of the discriminators."""
