"""What steers a run while it is played: a balance of the players, views that adapt, curricula. Built from settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.game.checkpoint import Stateful
from evenodds.game.dial import Weighed
from evenodds.game.engine import Engine
from evenodds.game.learners import Gradient
from evenodds.game.listeners.balance import Balance, Lever, Penalty, Rate, Steps
from evenodds.game.listeners.scheduled import Scheduled
from evenodds.game.rules import Batch, Game, Players, mix
from evenodds.game.schedule import linear
from evenodds.game.trainer import Listener
from evenodds.parts.priors import Growing
from evenodds.runs.config import Config
from evenodds.runs.find import find, make
from evenodds.runs.listeners.leak import probed_items
from evenodds.tasks._playable import Playable
from evenodds.tasks.infer import at_rest

__all__ = ["Steering", "held_out_margin", "steered"]


class Steering(Listener, Stateful, Protocol):
    """A listener with a state, which a checkpoint keeps."""


LOOKS = 100
"""Looks of a balance at the margin in a run."""


def steered(
    config: Config,
    dataset: Dataset,
    game: Game,
    task: Playable,
    learner: Gradient,
    engine: Engine,
    held_index: Tensor,
) -> tuple[Game, dict[str, Steering]]:
    """The game, its moves gated where their number is to change, and the listeners that steer it, by name.

    Args:
        held_index: (M,) the items that are not trained on.
    """
    parts: dict[str, Steering] = {}
    if config.balance is not None:
        if "discriminator" not in task.unconditional(game.players, dataset.shape, task.default_condition):
            raise BadInput(f"balance looks at samples, which task '{config.task.name}' does not draw; set balance=none")
        lever = _lever(config.balance.name, game, learner)
        if isinstance(lever, Steps):
            game = replace(game, moves=lever.gate(game.moves))
        real = dataset.batch(probed_items(held_index, "balance"))

        def margin() -> float:
            return held_out_margin(task, game.players, real, dataset.shape, engine.device, mix(config.seed, -3))

        every, options = max(config.batch, config.images // LOOKS), config.balance.options
        parts["balance"] = make(f"balance '{config.balance.name}'", Balance, options, lever, margin, every)
    if task.contest.top is not None:
        fall = linear(0.0, config.top)  # over the first half: at a share s of the run it is where linear is at 2 s
        parts["top"] = Scheduled(
            task.contest.top, lambda progress: fall(replace(progress, total=max(1, progress.total // 2))), "top/share"
        )
    prior = task.prior
    if isinstance(prior, Growing):
        parts["curriculum"] = Scheduled(prior.dial, lambda progress: prior.inside(progress.share), "prior/inside")
    return game, parts


def _lever(name: str, game: Game, learner: Gradient) -> Lever:
    kind: type[Any] = find("balances", name)
    if kind is Steps:
        return Steps()
    if kind is Rate:
        if "discriminator" not in learner.base:
            raise BadInput("balance=rate needs a discriminator that learns by slopes; there is none")
        return Rate(learner)
    penalty = game.players.get("penalty")
    if not isinstance(penalty, Weighed):
        raise BadInput("balance=penalty needs a penalty to weigh; set penalty=r1_r2, or balance=rate")
    return Penalty(penalty.dial)


@torch.no_grad()
def held_out_margin(
    task: Playable, players: Players, real: Batch, shape: tuple[int, ...], device: torch.device, seed: int
) -> float:
    """2 P(D(x) > D(G(z))) - 1 over all pairs of a real item and a sample, both seen without views; ties are a half.

    Args:
        real: held-out items.
        shape: of one item.
        seed: of z; the same one gives the same z.
    """
    request = {k: v.to(device) for k, v in task.request_for(real, torch.Generator().manual_seed(seed)).items()}
    with at_rest(players["generator"]):
        fake = task.answer(players, request)["x"]
    discriminator = task.unconditional(players, shape, request.get("c"))["discriminator"]
    with at_rest(discriminator):
        on_real, on_fake = discriminator(real["x"].to(device)), discriminator(fake)
    return float((on_real[:, None] - on_fake[None, :]).sign().mean())
