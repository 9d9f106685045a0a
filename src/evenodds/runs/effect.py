"""Settings that would change nothing about a run: what a user has typed is refused rather than passed over."""

from __future__ import annotations

from collections.abc import Iterable

from evenodds.data.sources import options_of
from evenodds.errors import BadInput, excerpt
from evenodds.runs.build import layout_of
from evenodds.runs.config import Config, settings
from evenodds.runs.find import accepts
from evenodds.runs.part_options import require_no_rate
from evenodds.runs.task_class import has_discriminator, task_class
from evenodds.runs.values import ELSEWHERE, IN_MEMORY

__all__ = ["require_effect"]

SHAPES = ("size", "channels", "fit")
PENALTIES = ("penalty_weight", "penalty_every", "penalty_share")
OF_DISCRIMINATOR = (
    "discriminator", "discriminator_learning_rate", "discriminator_steps", "fused", "loss", "penalty", *PENALTIES,
)  # fmt: skip
OF_WATCH = ("glance_share", "patience")


def require_effect(config: Config, keys: Iterable[str]) -> None:
    """BadInput where a setting that was typed has no effect beside the others, of which the message names one.

    A setting at its default asks for nothing, nor does one that is left open. What only the data tell, such as that too
    few items are held out for a score, is not known here.

    Args:
        config: with what was typed.
        keys: that were typed, dotted for options.
    """
    usual = Config()
    for key in keys:
        name = key.partition(".")[0]
        if name not in settings() or getattr(config, name) in (None, getattr(usual, name)):
            continue
        if name == "optimizer":
            require_no_rate(config.optimizer)
        if why := _idle(config, name):
            raise BadInput(f"{excerpt(key)} has no effect {why}, or leave {excerpt(key)} out")


def _idle(config: Config, name: str) -> str:
    """Beside what a setting has no effect, and what to type so that it has; empty where it has one."""
    task = task_class(config)
    of_task, draws = f"on task '{config.task.name}'", task.draws
    if name in OF_DISCRIMINATOR and not has_discriminator(config):
        return "without a discriminator; set task.adversarial=0.01"
    if name in PENALTIES and config.penalty is None:
        return "without a penalty; set penalty=r1_r2"
    if name == "prior" and "prior" not in accepts(task):
        return f"{of_task}, which draws nothing from a prior; take another task"
    if name in OF_WATCH and not draws:
        return f"{of_task}, which is not watched; take another task"
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
