"""How the empty cells of a table are filled; torch is not needed to name it."""

from __future__ import annotations

from typing import Literal, get_args

from evenodds.errors import BadInput, unknown

__all__ = ["DRAWS", "STRATEGIES", "Strategy", "strategy_of"]

Strategy = Literal["mean", "draw"]
"""The mean of many draws, which errs least, of words the likeliest one; or draws, which keep the spread of columns."""
STRATEGIES: tuple[str, ...] = get_args(Strategy)
DRAWS = 64
"""Fillings of which a mean is taken, where nothing else is asked for."""


def strategy_of(strategy: str | None, n: int) -> str:
    """The strategy of n fillings: where it is None, the mean of one, and draws of several.

    Raises:
        BadInput: it is unknown, or there are several means.
    """
    if n < 1:
        raise BadInput(f"n must be at least 1, got {n}")
    strategy = strategy or ("mean" if n == 1 else "draw")
    if strategy not in STRATEGIES:
        raise unknown("strategy", strategy, STRATEGIES)
    if strategy == "mean" and n > 1:
        raise BadInput(
            f"there is one mean, and {n} fillings were asked for; ask for one, or for draws (strategy: draw)"
        )
    return strategy
