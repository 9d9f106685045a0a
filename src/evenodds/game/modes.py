"""Evaluation mode for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["at_rest"]


@contextmanager
def at_rest(*players: nn.Module) -> Iterator[None]:
    """Players in evaluation mode: neither running statistics nor spectral norms change inside.

    Args:
        players: whose modes are those from before at the end.

    Example:
        >>> from torch import nn
        >>> from evenodds.game.modes import at_rest
        >>> player = nn.Dropout()
        >>> with at_rest(player):
        ...     print(player.training)
        False
        >>> player.training
        True
    """
    modes = [(module, module.training) for player in players for module in player.modules()]
    for player in players:
        player.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
