"""Costs of a player's weights, added to the moves in which it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from torch import Tensor, nn

from evenodds.game.rules import Batch, Costs, Game, Move, Players

__all__ = ["with_cost"]


def with_cost(game: Game, name: str, roles: Iterable[str], cost: Callable[[str, nn.Module], Tensor]) -> Game:
    """The game whose moves cost more.

    Args:
        name: of the cost among those of a move.
        roles: the players that bear it.
        cost: of a player by its role and itself, a scalar.
    """
    bearers = set(roles)
    return replace(game, moves=tuple(_added(move, name, bearers & set(move.movers), cost) for move in game.moves))


def _added(move: Move, name: str, roles: set[str], cost: Callable[[str, nn.Module], Tensor]) -> Move:
    if not roles:
        return move

    def total(players: Players, hand: Batch) -> Costs:
        costs = move.cost(players, hand)
        added = sum(
            (cost(role, players[role]) for role in sorted(roles)), start=next(iter(costs.values())).new_zeros(())
        )
        return Costs({**costs, name: added}, costs.facts if isinstance(costs, Costs) else None)

    return replace(move, cost=total)
