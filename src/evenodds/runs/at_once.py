"""Whether both players can move at once, from one pass: what is asked where a configuration leaves it open."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.runs.assembly import Run
from evenodds.runs.choosing import Choice
from evenodds.runs.config import Config

__all__ = ["built_early", "chosen_moves", "scores_items_alone"]


def chosen_moves(config: Config, dataset: Dataset) -> Choice:
    """Simultaneous moves where the run has them and its discriminator scores each item for itself, by one logit.

    See evenodds.tasks.contest.Contest.simultaneous_costs for why these are needed.

    Raises:
        BadInput: the run cannot be built with alternating moves either.
    """
    reason = _hindrance(config, dataset)
    return Choice("simultaneous", not reason, reason or "both players move from one pass in rounds without a penalty")


def _hindrance(config: Config, dataset: Dataset) -> str:
    """Why the players cannot move at once; nothing where they can."""
    try:
        run = built_early(config, dataset, simultaneous=True)
        run.task.moves()
    except BadInput as error:
        built_early(config, dataset, simultaneous=False)  # what is wrong with both is no reason
        return str(error).partition("; set ")[0]  # what to do about it is done here
    c = torch.zeros(1, run.task.condition_length, device=run.engine.device) if run.task.condition_length else None
    discriminator = run.task.unconditional(run.game.players, dataset.shape, c).get("discriminator")
    if discriminator is None:
        return f"loss '{config.loss.name}' does not say which items are real"
    items = run.engine.send(dataset.batch(torch.arange(4) % len(dataset)))["x"]
    alone = scores_items_alone(discriminator, items)
    return "" if alone else "the discriminator does not score each item for itself, by one logit"


def built_early(config: Config, dataset: Dataset, simultaneous: bool) -> Run:
    """A run that is not played, with some weight of the penalty where that is still open."""
    weight = 1.0 if config.penalty_weight is None else config.penalty_weight
    return Run(replace(config, penalty_weight=weight, simultaneous=simultaneous), dataset)


@torch.no_grad()
def scores_items_alone(discriminator: nn.Module, x: Tensor) -> bool:
    """Whether the score of an item is one logit, and the same whatever is beside it.

    Args:
        x: (4, ...) items. The first is scored beside the second, as many as batch norm needs, beside the third, and
            beside all: some look at items in groups.
    """
    with torch.random.fork_rng():
        try:
            first, other, whole = discriminator(x[:2]), discriminator(x[:3:2]), discriminator(x)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError):  # it needs more items than two
            return False
    if first.shape != (2,):
        return False
    return all(torch.allclose(score, first[0], rtol=1e-3, atol=1e-4) for score in (other[0], whole[0]))
