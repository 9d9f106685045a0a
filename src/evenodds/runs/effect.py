"""Settings that would change nothing about a run: what a user has typed is refused rather than passed over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from inspect import signature
from typing import Any

from evenodds.data.sources import options_of
from evenodds.errors import BadInput, excerpt
from evenodds.runs.build import build_prior
from evenodds.runs.config import AUTO_TASK, Config, settings
from evenodds.runs.find import accepts, find
from evenodds.runs.part_options import require_no_rate
from evenodds.runs.reading import layout_of
from evenodds.runs.task_class import has_discriminator, has_generator, task_class
from evenodds.runs.values import ELSEWHERE, IN_MEMORY
from evenodds.tasks._playable import WITHOUT_DISCRIMINATOR, WITHOUT_GAME

__all__ = ["require_effect"]

SHAPES = ("size", "channels", "fit")
PENALTIES = ("penalty_weight", "penalty_every", "penalty_share")
OF_DISCRIMINATOR = (
    "discriminator", "discriminator_learning_rate", "discriminator_steps", "fused", "loss", "penalty", *PENALTIES,
)  # fmt: skip
OF_GENERATOR = ("generator", "prior")
VIEWS = ("views", "view_chance")
"""Refused of other tasks than those that draw samples, whether or not there is a discriminator."""
STEPS = ("discriminator_steps", "generator_steps")
OF_WATCH = ("glance_share", "patience")
OF_HELD_OUT = (*OF_WATCH, "evaluate_share")


def require_effect(config: Config, keys: Iterable[str]) -> None:
    """BadInput where a setting that was typed has no effect beside the others, of which the message names one.

    A setting at its default asks for nothing, nor does one that is left open. What only the data tell, such as that too
    few items are held out for a score, is not known here.

    Args:
        config: with what was typed.
        keys: that were typed, dotted for options.
    """
    usual, idle = Config(), cache(lambda: _idle_options(config))
    for key in keys:
        name, _, option = key.partition(".")
        if name not in settings() or getattr(config, name) in (None, getattr(usual, name)):
            continue
        if name == "optimizer":
            require_no_rate(config.optimizer)
        if why := _idle(config, name):
            raise without_effect(key, why)
        for one in ([option] if option else config.task.options) if name == "task" else ():
            if one in idle() and config.task.options[one] not in (None, _usual_option(config, one)):
                raise without_effect(f"task.{one}", idle()[one])


def without_effect(key: str, why: str) -> BadInput:
    """The error for a key that was typed.

    Args:
        why: beside what it changes nothing and, where there is something, what to type so that it does.
    """
    return BadInput(f"{excerpt(key)} has no effect {why}{', or' if ';' in why else ';'} leave {excerpt(key)} out")


def _idle_options(config: Config) -> Mapping[str, str]:
    """The options of the task that change nothing, with what its class says of them."""
    task = _class_of_options(config)
    prior = build_prior(config) if "prior" in accepts(task) else None
    idle: Mapping[str, str] = task.idle(config.task.options, prior)
    return idle


def _usual_option(config: Config, option: str) -> Any:
    return signature(_class_of_options(config)).parameters[option].default


def _class_of_options(config: Config) -> Any:
    """The class of which the options of the task are; those of a task that is left to the data are of classes."""
    return find("tasks", "condition") if config.task.name == AUTO_TASK else task_class(config)


def _idle(config: Config, name: str) -> str:
    """Beside what a setting has no effect, and what to type so that it has; empty where it has one."""
    task = task_class(config)
    of_task, draws = f"on task '{config.task.name}'", task.draws
    if (name in OF_DISCRIMINATOR or (name in VIEWS and draws)) and not has_discriminator(config):
        return WITHOUT_DISCRIMINATOR
    if name in OF_GENERATOR and not has_generator(config):
        return WITHOUT_GAME
    if name in STEPS and name not in accepts(task):
        return f"{of_task}, whose rounds have one such move; take another task"
    if name in PENALTIES and config.penalty is None:
        return "without a penalty; set penalty=r1_r2"
    if name == "prior" and "prior" not in accepts(task):
        return f"{of_task}, which draws nothing from a prior; take another task"
    if name in OF_WATCH and not draws:
        return f"{of_task}, which is not watched; take another task"
    if name in OF_HELD_OUT and not config.held_out:
        return "without held-out items; set held_out=0.1"
    if name in OF_WATCH and config.watch == "off":
        return "with watch=off; set watch=warn"
    if name == "average_ramp" and not config.average_half_life:
        return "without an average; set average_half_life=0.01"
    if name in SHAPES and not _reshaped(config, name):
        assert config.data is not None
        name = "in memory" if config.data.name == IN_MEMORY else f"'{excerpt(config.data.name)}'"
        return f"on data {name}, which are taken as they are; name a folder of images"
    return ""


def _reshaped(config: Config, name: str) -> bool:
    """Whether data are brought to a size, to channels, or by a way of fitting; True where that is not known yet."""
    if config.data is None or config.data.name == ELSEWHERE:
        return True
    if config.data.name == IN_MEMORY:
        return False
    try:
        return name in options_of(config.data.name, layout_of(config.task))
    except BadInput:  # said where the data are opened
        return True
