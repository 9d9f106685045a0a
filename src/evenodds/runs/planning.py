"""What is found out before a run: how long it may be, and the settings that were left to the data."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.game.listeners.lap import Lap
from evenodds.game.listeners.watch import GLANCES, glance_interval
from evenodds.game.rules import Progress
from evenodds.game.trainer import train
from evenodds.runs.assembly import Run
from evenodds.runs.card import SPLIT_SEED
from evenodds.runs.choosing import Choice, chosen_task, chosen_views
from evenodds.runs.config import AUTO_TASK, Config, Part
from evenodds.runs.extras import build_extras
from evenodds.runs.find import find

__all__ = ["plan", "settle", "settle_task"]

LOOKED = 0.25
"""The part of a budget that evaluations and checkpoints may take."""


def plan(
    config: Config, dataset: Dataset, seconds: float, say: Callable[[str], None] = lambda line: None
) -> tuple[Config, float]:
    """The configuration with as many images as fit into `seconds`, measured by playing a throw-away game.

    Returns:
        It, with fewer evaluations and checkpoints where these would take more than a quarter of the time; and the
        seconds that one evaluation with a checkpoint takes.
    """
    begun = time.perf_counter()
    run = Run(replace(config, images=10**9), dataset)
    rate = _rate(run, max(1.0, min(6.0, 0.05 * seconds)))
    pause = time.perf_counter()
    run.measure()
    if time.perf_counter() - pause < 0.05 * seconds:  # the first prepares much that the others find done
        pause = time.perf_counter()
        run.measure()
    look = time.perf_counter() - pause + 0.2
    many = max(1 / config.save_share, 1 / config.evaluate_share) + 1
    if many * look > LOOKED * seconds:
        many = max(3, int(LOOKED * seconds / look))
        shares = {name: max(1 / (many - 1), getattr(config, name)) for name in ("evaluate_share", "save_share")}
        config, more = replace(config, **shares), " ".join(f"{name}={share:.3g}" for name, share in shares.items())
        say(f"an evaluation with a checkpoint takes {look:.1f} s: only {many} of them fit the budget; --set {more}")
    left = seconds - (time.perf_counter() - begun) - many * look
    # A machine is seldom as fast for minutes as it is for seconds: 5 % are kept back, as runs of 1 to 5 minutes showed.
    images = int(0.95 * with_glances(run, rate, left)) // config.batch * config.batch
    if images < 10 * config.batch:
        raise BadInput(
            f"a budget of {seconds:.0f} s leaves {max(0, images)} images at {rate:.0f} images/s, fewer than ten "
            "batches; give more time, a smaller network or a smaller batch"
        )
    say(f"measured {rate:,.0f} images/s: {images:,} images fit the budget; --images {images} repeats this run")
    return replace(config, images=images), look


def settle_task(
    config: Config, dataset: Dataset, say: Callable[[str], None] = lambda line: None
) -> tuple[Config, list[Choice]]:
    """The configuration with the task that suits the data where it was left open, and the choice, if one was made.

    Options of an open task, such as `task.balance`, are those of the task that is chosen.
    """
    if config.task.name != AUTO_TASK:
        return config, []
    choice = chosen_task(dataset, dataset.split(config.held_out, SPLIT_SEED)[0])
    say(f"task={choice.value}: {choice.reason}")
    return replace(config, task=Part(choice.value, config.task.options)), [choice]


def settle(
    config: Config, dataset: Dataset, seconds: float | None, say: Callable[[str], None] = lambda line: None
) -> tuple[Config, list[Choice]]:
    """The configuration with the settings that were left to the data, and the choices that were made.

    Args:
        seconds: of the budget, if there is one; the games that choose a penalty are planned by it.
    """
    choices = []
    if "auto" in config.views:
        choices.append(chosen_views(dataset, dataset.split(config.held_out, SPLIT_SEED)[0]))
        say(f"views={','.join(choices[-1].value)}: {choices[-1].reason}")
        config = replace(config, views=tuple(choices[-1].value))
    extras = build_extras(config)
    if config.penalty_weight is None:
        extras.append(find("extras", "shortgames")())
    for extra in extras:
        config, further = extra.settle(config, dataset, seconds, say)
        choices += further
    return config, choices


def _rate(run: Run, seconds: float) -> float:
    """Images per second over a whole run, from a lap in each of its stages."""
    whole_penalties = run.config.penalty_every * max(1, -(-8 // run.config.penalty_every))
    starts = (0.0, *run.task.stages)
    spent = 0.0
    for start, end in zip(starts, (*run.task.stages, 1.0), strict=True):
        lap = Lap(warm_up=2, rounds=whole_penalties, seconds=seconds / len(starts))
        there = Progress(total=10**9, images=round(start * 10**9))
        listeners = [*run.listeners.values(), lap]
        train(
            run.game, run.feed, run.learner, run.engine,
            images=10**9, seed=run.config.seed, progress=there, listeners=listeners,
        )  # fmt: skip
        spent += (end - start) / lap.rate
    return 1 / spent


def with_glances(run: Run, rate: float, seconds: float) -> float:
    """Images that fit into `seconds` at a rate of images per second, when the watch glances as often as it does."""
    if run.config.watch == "off" or run.evidence is None or seconds <= 0:
        return rate * seconds
    run.glance()
    begun = time.perf_counter()
    run.glance()
    spent = time.perf_counter() - begun
    often = seconds / (1 / rate + spent / glance_interval(run.config, 0))
    return max(rate * (seconds - GLANCES * spent), often)
