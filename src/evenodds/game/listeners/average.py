"""Moving averages of players: the weights that are sampled from."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from evenodds.game.checkpoint import PlayersState
from evenodds.game.listeners.context import Order, RunContext
from evenodds.game.members import buffers_of, parameters_of
from evenodds.game.rules import Players, State
from evenodds.game.trainer import Training

__all__ = ["Average"]


@dataclass
class Average:
    """Exponential moving averages of parameters and buffers (Yazici et al. 2019), with a half-life in images.

    Args:
        players: the players of the game.
        names: whose average to keep.
        half_life_images: images after which a past value counts half.
        ramp: the half-life is at most this share of the images seen, so that the start is forgotten.
    """

    players: Players
    names: tuple[str, ...]
    half_life_images: float
    ramp: float = 0.05
    copies: dict[str, nn.Module] = field(init=False)
    images_before: int = field(init=False, default=0)
    begun: tuple[str, ...] = field(init=False, default=())
    """Of whom a checkpoint of before had no average: theirs begins where the player is."""
    order: ClassVar[Order] = Order.AVERAGE

    @classmethod
    def for_run(cls, run: RunContext) -> Self | None:
        """On where the average has a half-life."""
        config = run.config
        if config.average_half_life <= 0:
            return None
        half_life = config.average_half_life * config.images
        return cls(run.game.players, run.averaged, half_life, config.average_ramp)

    def __post_init__(self) -> None:
        self.copies = {name: deepcopy(self.players[name]).eval().requires_grad_(False) for name in self.names}

    def begin(self, training: Training) -> None:
        for name in self.begun:
            self.copies[name].load_state_dict(self.players[name].state_dict())
        for copy in self.copies.values():
            copy.to(training.engine.device)
        self.images_before = training.progress.images

    @torch.no_grad()
    def after_round(self, training: Training) -> None:
        images = training.progress.images
        half_life = max(1e-8, min(self.half_life_images, self.ramp * images))
        weight = 1 - 0.5 ** ((images - self.images_before) / half_life)
        self.images_before = images
        for name, copy in self.copies.items():
            averaged, current = _values(copy), _values(self.players[name])
            floats = [(a, b) for a, b in zip(averaged, current, strict=True) if a.is_floating_point()]
            torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], weight)
            for a, b in zip(averaged, current, strict=True):
                if not a.is_floating_point():
                    a.copy_(b)

    def end(self, training: Training) -> None:
        """Nothing to close."""

    def state(self) -> State:
        return PlayersState(self.copies).state()

    def restore(self, state: State) -> None:
        """Of a checkpoint; the first player's average must be there, those that joined it later may be missing."""
        known = {key.partition("/")[0] for key in state.tensors} | {*self.names[:1]}
        self.begun = tuple(name for name in self.copies if name not in known)
        PlayersState({name: copy for name, copy in self.copies.items() if name in known}).restore(state)


def _values(player: nn.Module) -> list[Tensor]:
    return [*parameters_of(player), *buffers_of(player)]
