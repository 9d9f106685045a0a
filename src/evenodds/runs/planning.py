"""What is found out before a run: how long it may be, and the settings that were left to the data."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields, replace
from math import ceil, inf

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.game.checkpoint import LARGEST
from evenodds.game.exchange import agreed
from evenodds.game.listeners.deadline import SPARE
from evenodds.game.listeners.lap import Lap
from evenodds.game.listeners.watch import FIRST_GLANCES, glance_interval
from evenodds.game.rules import Progress
from evenodds.game.trainer import train
from evenodds.game.watch.thresholds import LONG
from evenodds.runs.assembly import Run
from evenodds.runs.at_once import built_early, chosen_moves
from evenodds.runs.card import SPLIT_SEED
from evenodds.runs.choosing import Choice, chosen_task, chosen_views
from evenodds.runs.config import AUTO_TASK, Config
from evenodds.runs.config_files import origin
from evenodds.runs.extras import build_extras
from evenodds.runs.find import find
from evenodds.runs.held_out import looks
from evenodds.runs.own_parts import has_own_parts, require_own_parts
from evenodds.runs.values import Part

__all__ = ["TooShort", "plan", "planned_looks", "settle", "settle_task"]

BESIDE, LOOKED = 0.05, 0.03
"""The parts of a budget that all that is no round, and of it evaluations with checkpoints, may take."""
LEAST_LOOKS, LEAST_GLANCES = 2, FIRST_GLANCES - 1 + LONG
"""So many there are whatever they take; of glances, those of the first rounds, and with the last of these as many as a
verdict may need."""
KEPT = 0.99
"""The part of the time that is planned; a run that gets slower or faster on its way changes its length."""
LEAST = 10
"""Batches of a run."""


class TooShort(BadInput):
    """A budget of time in which too little fits.

    Args:
        least: seconds that would do.
    """

    def __init__(self, message: str, least: float) -> None:
        super().__init__(message)
        self.least = least


def plan(
    config: Config,
    dataset: Dataset,
    seconds: float,
    say: Callable[[str], None] = lambda line: None,
    spent: float = 0.0,
    most: int | None = None,
) -> tuple[Config, float, list[tuple[float, float]]]:
    """The configuration with as many images as fit into `seconds`, measured by playing a throw-away game.

    Args:
        spent: seconds of the budget before these, for the message where it is too short.
        most: images that are planned at most, however many fit.

    Returns:
        It, with fewer evaluations, checkpoints and glances where these would take more than a twentieth of the time;
        the seconds that one evaluation with a checkpoint takes; and (share of the run, seconds per image from there
        on) of each of its stages.
    """
    begun, noun = time.perf_counter(), dataset.noun
    run = Run(replace(config, images=10**9), dataset)
    paces = _paces(run, max(1.0, min(6.0, 0.05 * seconds)))
    ends = [*(start for start, _ in paces[1:]), 1.0]
    rate = 1 / sum((end - start) * pace for (start, pace), end in zip(paces, ends, strict=True))
    look = agreed(lambda: look_seconds(run, seconds))
    glance = agreed(lambda: glance_seconds(run))
    to_play = agreed(lambda: min(seconds - (time.perf_counter() - begun), (most or inf) / rate))
    config, many = with_looks(config, to_play, look, say)
    config = with_glances(config, to_play, glance, many * look, say)
    spent_here = agreed(lambda: time.perf_counter() - begun)
    left = seconds - spent_here - (many + SPARE) * look
    images = int(KEPT * images_beside(config, rate, left, glance)) // config.batch * config.batch
    ten = LEAST * config.batch
    fewest = ten if most is None else min(ten, most)
    if images < fewest:
        needed = 1.1 * (spent + seconds - left + fewest / rate / KEPT) + config.batch / rate
        least = ceil(max(needed, spent + seconds + 1))
        few = "ten batches" if fewest == ten else f"the {fewest:,} at most"
        raise TooShort(
            f"a budget of {spent + seconds:.0f} s leaves {max(0, images)} {noun} at {rate:.0f} {noun}/s, fewer than "
            f"{few}; give at least {least} s, a smaller network or a smaller batch",
            least,
        )
    if most is not None and images >= most:
        images = most
        say(f"measured {rate:,.0f} {noun}/s: the {most:,} {noun} that are played at most fit the budget")
    else:
        say(f"measured {rate:,.0f} {noun}/s: {images:,} {noun} fit the budget; --images {images} repeats this run")
    return replace(config, images=images), look, paces


def settle_task(
    config: Config, dataset: Dataset, say: Callable[[str], None] = lambda line: None
) -> tuple[Config, list[Choice]]:
    """The configuration with the task that suits the data where it was left open, and the choice, if one was made.

    Options of an open task, such as `task.balance`, are those of a game by class. Where another task is chosen they are
    left out, and that is said of those which the recipe has not of itself. Where samples are asked for by something
    else, those of the recipe are left out, and said: they were chosen for classes.
    """
    if config.task.name != AUTO_TASK:
        return config, []
    options, kind = config.task.options, config.task.options.get("kind")
    choice = chosen_task(dataset, dataset.split(config.held_out, SPLIT_SEED)[0], kind)
    usual = recipe.task.options if (recipe := origin(config)) else {}
    of_recipe = {name for name, value in options.items() if name in usual and value == usual[name]}
    if choice.value == "condition":
        aside = told = of_recipe if kind not in (None, "classes") else set()
    else:
        by_class, taken = ({one.name for one in fields(find("tasks", name))} for name in ("condition", choice.value))
        aside = by_class - taken
        told = aside - of_recipe
    kept = {name: value for name, value in options.items() if name not in aside}
    left_out = [f"task.{name}" for name in options if name in told]
    more = f"; {' and '.join(left_out)} of games by class left out" if left_out else ""
    say(f"task={choice.value}: {choice.reason}{more}")
    return replace(config, task=Part(choice.value, kept)), [choice]


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
    if has_own_parts(config):  # before anything is measured with them
        require_own_parts(built_early(config, dataset, bool(config.simultaneous)))
    if config.simultaneous is None:
        choices.append(chosen_moves(config, dataset))
        say(f"simultaneous={str(choices[-1].value).lower()}: {choices[-1].reason}")
        config = replace(config, simultaneous=choices[-1].value)
    extras = build_extras(config)
    if config.penalty_weight is None:
        extras.append(find("extras", "shortgames")())
    for extra in extras:
        config, further = extra.settle(config, dataset, seconds, say)
        choices += further
    return config, choices


def _paces(run: Run, seconds: float) -> list[tuple[float, float]]:
    """(share of the run, seconds per image from there on), from a lap in each of its stages."""
    whole_penalties = run.config.penalty_every * max(1, -(-8 // run.config.penalty_every))
    starts = (0.0, *run.task.stages)
    paces = []
    for start in starts:
        lap = Lap(warm_up=2, rounds=whole_penalties, seconds=seconds / len(starts))
        there = Progress(total=10**9, images=round(start * 10**9))
        listeners = [*run.listeners.values(), lap]
        train(
            run.game, run.feed, run.learner, run.engine,
            images=10**9, seed=run.config.seed, progress=there, listeners=listeners,
        )  # fmt: skip
        paces.append((start, 1 / lap.rate))
    return paces


def look_seconds(run: Run, seconds: float) -> float:
    """What one evaluation with a checkpoint takes.

    Args:
        seconds: of the budget.
    """
    pause = time.perf_counter()
    run.measure()
    if time.perf_counter() - pause < 0.05 * seconds:  # the first prepares much that the others find done
        pause = time.perf_counter()
        run.measure()
    return time.perf_counter() - pause + 0.2


def planned_looks(config: Config) -> float:
    """Evaluations with checkpoints of a run whose length is not known yet, at most."""
    return max(1 / config.save_share, looks(config.evaluate_share, LARGEST, 0))


def with_looks(
    config: Config, seconds: float, look: float, say: Callable[[str], None] = lambda line: None
) -> tuple[Config, float]:
    """The configuration with at most as many evaluations and checkpoints as fit into their part of a budget.

    Args:
        seconds: of the budget.
        look: seconds of one evaluation with a checkpoint.

    Returns:
        It, and how many there are.
    """
    many = planned_looks(config)
    if many * look <= LOOKED * seconds or many <= LEAST_LOOKS:
        return config, many
    most = max(LEAST_LOOKS, int(LOOKED * seconds / look))
    share = ceil(10_000 / most) / 10_000  # as it is said, so that what is said is what is done
    evaluate, save = max(share, config.evaluate_share or 0.0), max(share, config.save_share)
    say(
        f"evaluate_share={evaluate:.4g} save_share={save:.4g}: an evaluation with a checkpoint takes {look:.1f} s, "
        f"{most} of them fit this budget"
    )
    return replace(config, evaluate_share=evaluate, save_share=save), most


def glance_seconds(run: Run) -> float:
    """What a glance of the watch takes; 0 where there is none."""
    if run.config.watch == "off" or run.evidence is None:
        return 0.0
    run.glance()  # the first prepares much that the others find done
    begun = time.perf_counter()
    run.glance()
    return time.perf_counter() - begun


def with_glances(
    config: Config, seconds: float, glance: float, looked: float = 0.0, say: Callable[[str], None] = lambda line: None
) -> Config:
    """The configuration with at most as many glances of the watch as fit into what evaluations leave of their part.

    Args:
        seconds: of the budget.
        glance: seconds of one.
        looked: seconds of all evaluations with checkpoints.
    """
    many, fit = FIRST_GLANCES + 1 / config.glance_share, max(0.0, BESIDE * seconds - looked)
    if many * glance <= fit or many <= LEAST_GLANCES:
        return config
    most = max(LEAST_GLANCES, int(fit / glance))
    share = ceil(10_000 / (most - FIRST_GLANCES)) / 10_000
    say(f"glance_share={share:.4g}: a glance of the watch takes {glance:.2f} s, {most} of them fit this budget")
    return replace(config, glance_share=share)


def images_beside(config: Config, rate: float, seconds: float, glance: float) -> float:
    """Images that fit into `seconds` at a rate of images per second, beside the glances of the watch."""
    if seconds <= 0:
        return rate * seconds
    seconds = max(0.0, seconds - FIRST_GLANCES * glance)
    often = seconds / (1 / rate + glance / glance_interval(config, 0))
    return max(rate * (seconds - glance / config.glance_share), often)
