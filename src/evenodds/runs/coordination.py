"""What steers a run while it is played: a balance of the players, views that adapt, curricula. Built from settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.game.arithmetic import evenly
from evenodds.game.checkpoint import Stateful
from evenodds.game.dial import Chanced, Weighed
from evenodds.game.engine import Engine
from evenodds.game.learners import Gradient
from evenodds.game.listeners.adapt import RELATIVE_TARGET, TARGET, Adapt
from evenodds.game.listeners.balance import Balance, Lever, Penalty, Rate, Steps
from evenodds.game.listeners.turn import Look, Turn
from evenodds.game.rules import Batch, Game, Players, mix
from evenodds.game.schedule import linear
from evenodds.game.trainer import Listener
from evenodds.metrics.probe import Probe, fit_probe
from evenodds.parts.priors import Growing
from evenodds.runs.config import Config
from evenodds.runs.find import find, make
from evenodds.tasks._seats import Played
from evenodds.tasks.generate import Generate
from evenodds.tasks.infer import at_rest

__all__ = ["Leak", "Steering", "held_out_margin", "steered"]


class Steering(Listener, Stateful, Protocol):
    """A listener with a state, which a checkpoint keeps."""


LOOKS = 100
"""Looks of a balance at the margin in a run."""
ITEMS = 256
"""Held-out items, and samples, of one look."""


def steered(
    config: Config,
    dataset: Dataset,
    game: Game,
    task: Played,
    learner: Gradient,
    engine: Engine,
    sampler: Callable[[], nn.Module],
    train_index: Tensor,
    held_index: Tensor,
) -> tuple[Game, dict[str, Steering]]:
    """The game, its moves gated where their number is to change, and the listeners that steer it, by name.

    Args:
        sampler: gives the generator whose samples are judged.
        train_index: (N,) the items that are trained on.
        held_index: (M,) those that are not.
    """
    parts: dict[str, Steering] = {}
    if config.balance is not None:
        if not isinstance(task, Generate):
            raise BadInput(f"balance looks at samples, which task '{config.task.name}' does not draw; set balance=none")
        generate = task
        lever = _lever(config.balance.name, game, learner)
        if isinstance(lever, Steps):
            game = replace(game, moves=lever.gate(game.moves))
        real = dataset.batch(_some(held_index, "balance"))

        def margin() -> float:
            return held_out_margin(generate, game.players, real, dataset.shape, engine.device, mix(config.seed, -3))

        every, options = max(config.batch, config.images // LOOKS), config.balance.options
        parts["balance"] = make(f"balance '{config.balance.name}'", Balance, options, lever, margin, every)
    view = task.contest.view
    if isinstance(view, Chanced) and config.view_chance.name == "adaptive":
        target = RELATIVE_TARGET if task.contest.relative else TARGET
        options = {"images": max(1, min(500_000, config.images // 4)), "target": target, **config.view_chance.options}
        parts["adapt"] = make("view_chance 'adaptive'", Adapt, options, view.dial)
    if isinstance(view, Chanced) and isinstance(task, Generate):
        every = max(config.batch, round(config.images * config.evaluate_share))
        leak = Leak(dataset, task, view, sampler, train_index, held_index, config.seed, engine.device, config.images)
        parts["leak"] = Look(leak.measure, every)
    if task.contest.top is not None:
        fall = linear(0.0, config.top)  # over the first half: at a share s of the run it is where linear is at 2 s
        parts["top"] = Turn(
            task.contest.top, lambda progress: fall(replace(progress, total=max(1, progress.total // 2))), "top/share"
        )
    prior = getattr(task, "prior", None)
    if isinstance(prior, Growing):
        parts["curriculum"] = Turn(prior.dial, lambda progress: prior.inside(progress.share), "prior/inside")
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


def _some(index: Tensor, what: str) -> Tensor:
    if len(index) < 4:
        raise BadInput(f"{what} looks at held-out items, of which there are {len(index)}; set held_out=0.1")
    return index[evenly(len(index), ITEMS)]


@torch.no_grad()
def held_out_margin(
    task: Generate, players: Players, real: Batch, shape: tuple[int, ...], device: torch.device, seed: int
) -> float:
    """2 P(D(x) > D(G(z))) - 1 over all pairs of a real item and a sample, both seen without views; ties are a half.

    Args:
        real: held-out items.
        shape: of one item.
        seed: of z; the same one gives the same z.
    """
    request = {k: v.to(device) for k, v in task.trial(real, torch.Generator().manual_seed(seed)).items()}
    with at_rest(players["generator"]):
        fake = task.answer(players, request)["x"]
    discriminator = task.unconditional(players, shape, request.get("c"))["discriminator"]
    with at_rest(discriminator):
        on_real, on_fake = discriminator(real["x"].to(device)), discriminator(fake)
    return float((on_real[:, None] - on_fake[None, :]).sign().mean())


@dataclass
class Leak:
    """Do samples bear the trace of the views? A small network that tells changed items from unchanged ones is asked.

    It is fitted once, to training items with and without the views. What is reported is the share of samples that it
    takes for changed, less the same share of held-out items: about 0 where nothing leaks, towards 1 where all does.
    Samples that look like no item at all may fall on either side: read it once samples are good.
    """

    dataset: Dataset
    task: Generate
    view: Chanced
    sampler: Callable[[], nn.Module]
    train_index: Tensor
    held_index: Tensor
    seed: int
    device: torch.device
    images: int

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """The figure "views/leak"; nothing without held-out items."""
        if len(self.held_index) < 4:
            return {}
        real = self.dataset.batch(_some(self.held_index, "the leak test"))
        request = self.task.trial(real, torch.Generator().manual_seed(mix(self.seed, -4)))
        request = {k: v.to(self.device) for k, v in request.items()}
        generator = self.sampler()
        with at_rest(generator):
            fake = self.task.answer({"generator": generator}, request)["x"].float().cpu()
        return {"views/leak": self._changed(fake) - self._changed(real["x"])}

    def _changed(self, x: Tensor) -> float:
        return float((self.detector(x).argmax(1) == 1).float().mean())

    @cached_property
    def detector(self) -> Probe:
        """Logits (N, 2): unchanged, changed."""
        n = min(2000, len(self.train_index))
        x = self.dataset.batch(self.train_index[evenly(len(self.train_index), n)])["x"]
        rng = torch.Generator().manual_seed(mix(self.seed, -5))
        seen = Chanced(self.view.views, 1.0)(x, torch.rand(n, self.view.dice, generator=rng))
        y = (torch.arange(2 * n) >= n).long()
        with torch.enable_grad():
            shown = max(1280, min(20_000, self.images // 20))
            return fit_probe(torch.cat([x, seen]), y, 2, seed=self.seed, images=shown)
