"""A configuration becomes objects: players, task, learners."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from inspect import signature
from typing import Any

import torch
from torch import nn

from evenodds.errors import BadInput, unknown
from evenodds.files.misfit import shortened
from evenodds.game import processes
from evenodds.game.engine import Distributed, Local, pick_device, reseed
from evenodds.game.learners import Gradient
from evenodds.game.learners.graphs import is_recordable
from evenodds.game.learners.sharded import Sharded
from evenodds.game.optimizers import eager
from evenodds.game.schedule import Schedule
from evenodds.game.seeds import mix
from evenodds.parts.choosing import Block, ChoosingGenerator, choices_in
from evenodds.runs.allowed import is_external
from evenodds.runs.build_contest import bound, build_contest, build_degradation, build_masks, require_sizes
from evenodds.runs.config import AUTO_TASK, Config
from evenodds.runs.extras import build_extras
from evenodds.runs.find import accepts, canonical, find, make, network
from evenodds.runs.memory import require_memory
from evenodds.runs.options import require_options
from evenodds.runs.values import Part
from evenodds.tasks._description import DataDescription
from evenodds.tasks._playable import Playable

__all__ = ["build_engine", "build_learner", "build_players", "build_prior", "build_task"]
__all__ += ["options_of_encoder", "require_free_options", "require_options_of_data"]

ROLES = {"Encoder": "Discriminator"}
"""The class of a family that plays a kind of network for which it has no class of its own."""


def build_task(config: Config, data: DataDescription) -> Playable:
    """The task for such data, with its contest."""
    if config.task.name == AUTO_TASK:
        raise BadInput("task=auto is chosen when a run starts; name it to build a game by hand")
    if config.simultaneous is None:
        raise BadInput("simultaneous=auto is chosen when a run starts; give true or false to build a game by hand")
    what, maker, options = f"task '{config.task.name}'", find("tasks", config.task.name), _task_options(config)
    settings = {
        "prior": build_prior(config, data.shape, data.row_blocks),
        "contest": build_contest(config),
        "discriminator_steps": config.discriminator_steps,
        "generator_steps": config.generator_steps,
        "simultaneous": config.simultaneous,
    }
    if config.simultaneous and "simultaneous" not in accepts(maker):
        raise BadInput(f"{what} has no simultaneous moves; set simultaneous=false")
    for name in settings.keys() & options.keys():
        raise unknown(f"option of {what}", name, [option for option in accepts(maker) if option not in settings])
    accepted = {name: value for name, value in settings.items() if name in accepts(maker)}
    from_data = {name: value for name, value in maker.suits(data, options).items() if name not in options}
    require_sizes(what, options)
    task: Playable = make(what, partial(maker, **accepted, **from_data), options)
    return task


def _task_options(config: Config) -> dict[str, Any]:
    """The task's options, with objects in place of the names of masks and degradations."""
    maker, options = find("tasks", config.task.name), dict(config.task.options)
    if "masks" in accepts(maker):
        options["masks"] = build_masks(options.get("masks"))
    if options.get("degradation") is not None:
        options["degradation"] = build_degradation(options["degradation"])
    return options


def build_players(
    config: Config, task: Playable, shape: Sequence[int], blocks: Sequence[Block] = ()
) -> dict[str, nn.Module]:
    """The players of a task for data of that shape, freshly initialised from the seed.

    Args:
        blocks: that make up a row of a table; see evenodds.parts.choosing.
    """
    players: dict[str, nn.Module] = {}
    noise = choices_in(blocks)
    with torch.random.fork_rng():
        for number, (name, spec) in enumerate(task.networks(shape).items()):
            role = ROLES.get(spec.kind, spec.kind)
            part = config.discriminator if role == "Discriminator" else config.generator
            draws = bool(blocks) and spec.kind == "Generator"
            arguments = (spec.arguments[0] - noise, *spec.arguments[1:]) if draws else spec.arguments
            if spec.maker is not None:
                what, maker, shared = name, spec.maker, {}
            else:
                what, maker = f"{name} '{part.name}'", network(part.name, role)
                shared = options_of_encoder(part, maker) if spec.kind == "Encoder" else dict(part.options)
            if "condition" in shared.keys() - spec.options.keys():
                raise BadInput(f"{what} is given no condition by task '{config.task.name}'; leave its condition out")
            options = {**shared, **spec.options}
            if "row_blocks" in accepts(maker):
                maker = partial(maker, row_blocks=blocks)
            if spec.maker is None and is_external(part.name):
                _require_taken(what, maker, config.task.name, spec.options)
            require_options(what, maker, options, len(arguments))
            require_memory(what, maker, options, arguments)
            reseed(torch.get_default_device(), mix(config.seed, -1, number))
            player = make(what, maker, options, *arguments)
            if not isinstance(player, nn.Module):
                raise BadInput(f"{what} must inherit from torch.nn.Module, got {type(player).__name__}")
            _require_learning(task, config, player)
            players[name] = ChoosingGenerator(player, blocks) if draws else player
        wrapped = getattr(task.prior, "wrapped", None)
        if wrapped is not None and "generator" in players:  # a prior that learns is a part of the generator
            reseed(torch.get_default_device(), mix(config.seed, -1, len(players)))
            players["generator"] = wrapped(players["generator"])
    for extra in build_extras(config):
        players |= extra.players(task)
    return players | stateful_parts(task)


def _require_taken(what: str, maker: Callable[..., Any], task: str, given: Mapping[str, Any]) -> None:
    """BadInput where a network does not take what the task gives it."""
    for name, value in given.items():
        if name not in accepts(maker):
            raise BadInput(
                f"task '{task}' gives {what} {name}={shortened(value)}, which it does not take; docs/own-parts.md says "
                f"what `{name}` is" + ("; without conditions it is task=generate" if task == "condition" else "")
            )


def require_free_options(config: Config, task: Playable, shape: Sequence[int]) -> None:
    """BadInput where an option of a network is one that the task decides, and which it would replace."""
    for name, spec in task.networks(shape).items():
        role = "discriminator" if spec.kind == "Discriminator" else "generator"
        part = getattr(config, role)
        if spec.maker is not None or spec.kind == "Encoder":  # of the discriminator's options it has but some
            continue
        for option in spec.options.keys() & part.options.keys():
            if spec.options[option] != part.options[option]:
                raise BadInput(
                    f"{role}.{option} of {name} '{part.name}' is decided by task '{config.task.name}', which needs "
                    f"{spec.options[option]!r}; leave {role}.{option} out"
                )


def require_options_of_data(config: Config, data: DataDescription) -> None:
    """BadInput where an option of the task is one that the data decide, and which it would replace."""
    options = _task_options(config)
    for name, value in find("tasks", config.task.name).suits(data, options).items():
        if name in config.task.options and options[name] != value:
            raise BadInput(f"task.{name} follows from the data, of which it is {value!r}; leave task.{name} out")


def _require_learning(task: Playable, config: Config, player: nn.Module) -> None:
    """BadInput where a generator that is fitted before the game would have to learn in it."""
    if not hasattr(player, "fit"):
        return
    if "encoder" in task.roles:
        raise BadInput(
            f"task '{config.task.name}' lets generator and encoder learn together, and generator "
            f"'{config.generator.name}' does not learn; take the recipe table"
        )
    if task.condition_kind not in (None, "classes"):
        raise BadInput(
            f"generator '{config.generator.name}' follows classes, no attributes or values; take the recipe table"
        )


_OWN = ("norm", "noise", "minibatch_std", "outputs", "code")
"""Options of a discriminator that its family's encoder does not share."""


def options_of_encoder(part: Part, maker: Callable[..., Any]) -> dict[str, Any]:
    """Those of a discriminator that its family's encoder shares: no noise, bounded slopes or code suit it.

    Args:
        part: the discriminator.
        maker: its class.
    """
    shared = {key: value for key, value in part.options.items() if key not in _OWN}
    return {**shared, **({"norm": "none"} if "norm" in accepts(maker) else {})}


def stateful_parts(task: Playable) -> dict[str, nn.Module]:
    """What has a state of its own and is kept like a player: losses, penalties, chanced views, dials, fixtures."""
    contest = task.contest
    parts: dict[str, Any] = {"loss": contest.loss, "penalty": contest.penalty, "view": contest.view}
    parts["prior"] = getattr(task.prior, "dial", None)
    return {name: part for name, part in parts.items() if isinstance(part, nn.Module)} | task.fixtures()


def build_prior(config: Config, shape: Sequence[int] = (), blocks: Sequence[Block] = ()) -> Any:
    """The prior of z, with the noise that a generator of such rows makes its choices by.

    A generator that says how many `numbers` of z it needs for such items gets so many.
    """
    prior = make(f"prior '{config.prior.name}'", find("priors", config.prior.name), config.prior.options)
    more = choices_in(blocks) + _missing(config.generator.name, prior.size, shape, blocks)
    if more and not hasattr(prior, "widened"):
        raise BadInput(f"prior '{config.prior.name}' has no noise to choose words and levels by; set prior=normal")
    return prior.widened(more) if more else prior


def _missing(generator: str, size: int, shape: Sequence[int], blocks: Sequence[Block]) -> int:
    """The numbers of z that a generator needs beyond those of the prior, where it says how many it needs for rows."""
    if len(shape) != 1 or not (":" in generator or canonical("networks", generator)):
        return 0
    numbers = getattr(network(generator, "Generator"), "numbers", None)
    return 0 if numbers is None else max(0, numbers(shape, blocks) - size)


def build_learner(
    config: Config, players: Mapping[str, nn.Module], factors: Mapping[str, Schedule] | None = None
) -> Gradient:
    """One optimizer for each player that has parameters; penalties with state have none.

    Args:
        factors: on the learning rates of single players; see `Gradient.factors`.
    """
    optimizers, held = {}, [0] * processes.size()
    for name, player in players.items():
        if not any(True for _ in player.parameters()):
            continue
        maker = find("optimizers", config.optimizer.name)
        maker = eager(maker) if maker.__module__.startswith(("torch.", "evenodds.")) else maker
        rate = config.discriminator_learning_rate if name.startswith("discriminator") else None
        options = {**_tuples(config.optimizer.options), "lr": config.learning_rate if rate is None else rate}
        if "fused" in accepts(maker) and pick_device(config.device).type in ("cpu", "cuda"):
            options.setdefault("fused", True)  # one pass over memory instead of one per operation
        plain = partial(make, f"optimizer '{config.optimizer.name}'", maker, options)
        spread = config.shard_optimizer and processes.size() > 1
        parameters = list(player.parameters())
        optimizers[name] = Sharded(plain, parameters, held) if spread else plain(parameters)
        if not hasattr(optimizers[name], "param_groups"):
            came = type(optimizers[name]).__name__
            raise BadInput(f"optimizer '{config.optimizer.name}' must make one of torch.optim.Optimizer, got {came}")
    what, maker = f"learner '{config.learner.name}'", find("learners", config.learner.name)
    learner: Gradient = make(what, maker, config.learner.options, optimizers, build_decay(config))
    learner.factors = dict(factors or {})
    return learner


def build_decay(config: Config) -> Any:
    """The factor on the learning rates, by progress."""
    maker, what = find("schedules", config.decay.name), f"decay '{config.decay.name}'"
    if next(iter(signature(maker).parameters), "") == "progress":  # it is the factor itself, and makes none
        return bound(what, maker, config.decay.options, ("progress",))
    return make(what, maker, config.decay.options)


def build_engine(config: Config) -> Local:
    """Where the run is played: here, or by several processes that a launcher has started.

    What is left open of arithmetic, compilation and graphs is as if it were not asked for.
    """
    device = pick_device(config.device)
    count = processes.size()
    if config.batch < count * config.accumulate:
        raise BadInput(
            f"a batch of {config.batch} cannot be dealt to {count} processes in {config.accumulate} micro-batches each;"
            f" set batch={count * config.accumulate} or more, or fewer of both"
        )
    make = Local if processes.joined() is None else Distributed
    return make(
        processes.own_device(device),
        config.precision or "float32",
        config.channels_last,
        bool(config.compile),
        bool(config.graphs) and is_recordable(device),
        processes.rank(),
        count,
        config.accumulate,
    )


def _tuples(options: Mapping[str, Any]) -> dict[str, Any]:
    """YAML has no tuples, and torch wants its betas as floats."""
    return {k: tuple(float(x) for x in v) if isinstance(v, list) else v for k, v in options.items()}
