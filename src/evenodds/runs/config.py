"""The configuration of a run: plain values, complete and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, get_type_hints

import yaml

from evenodds.errors import BadInput, unknown
from evenodds.files.misfit import shortened
from evenodds.files.text import to_utf8
from evenodds.runs.allowed import require
from evenodds.runs.extra_settings import with_extras
from evenodds.runs.find import names
from evenodds.runs.part_options import require_part
from evenodds.runs.setting import Setting, setting
from evenodds.runs.values import Part, plain, typed

__all__ = [
    "Config", "from_mapping", "parts_of", "plain_setting", "require_allowed", "settings", "typed_setting",
    "with_texts",
]  # fmt: skip

LOGGERS = ("tensorboard", "mlflow", "wandb", "trackio")
"""What a run can be logged by."""
AUTO_TASK = "auto"
"""The task that is left open until the run starts."""
LEAST_SHARE = 1e-9
"""Of a run: from one look or checkpoint to the next."""


@dataclass(frozen=True)
class Config:
    """All that decides a run. Lengths of time are counted in real images shown to the discriminator."""

    recipe: str = setting("custom", "The recipe that it came from.", may_change=True)
    data: Part | None = setting(
        None,
        "A source by name, or a path to a folder or archive of images, an .npz or .npy array, or a .csv table.",
        kinds=("sources",),
    )
    size: int | None = setting(
        None,
        "Side in pixels to which folders and archives of images are cropped and resized; none: their most common size.",
        least=1,
        most=16_384,
    )
    channels: int | None = setting(
        None,
        "Channels of folders and archives of images: 1 grey, 3 colour, 4 with alpha; none: as the images are.",
        least=1,
        most=64,
    )
    fit: str | None = setting(
        None,
        "How images get to that size: crop, pad, stretch, or tiles (pieces that cover each image); none: crop.",
        words=("crop", "pad", "stretch", "tiles"),
    )
    held_out: float = setting(
        0.1,
        "Share of the data kept aside for judging, in [0, 0.9]; which items is decided by the data alone.",
    )
    task: Part = setting(
        Part("generate"),
        "What is played, see: evenodds list tasks; auto: condition where the data have classes, else generate.",
        kinds=("tasks",),
        words=(AUTO_TASK,),
    )
    prior: Part = setting(Part("normal", {"size": 64}), "Distribution of z, or module:Class.", kinds=("priors",))
    generator: Part = setting(
        Part("dcgan"),
        "Network of the generator: family, or module:Class.",
        kinds=("networks", "mappers", "fillers"),
    )
    discriminator: Part = setting(Part("dcgan"), "Network of the discriminator, likewise.", kinds=("networks",))
    loss: Part = setting(Part("non_saturating"), "Adversarial loss, or module:function.", kinds=("losses",))
    penalty: Part | None = setting(None, "Penalty on the discriminator, or module:function.", kinds=("penalties",))
    penalty_weight: float | None = setting(
        1.0,
        "Weight of the penalty; auto: found by short games on the data before the run.",
        auto=True,
        least=0,
        most=1e12,
    )
    penalty_every: int = setting(
        1, "Rounds from one penalty to the next; the weight is rescaled for it.", least=1, most=10**9
    )
    penalty_share: float = setting(
        1.0, "Share of the batch that the penalty is computed on, above 0 and at most 1.", most=1
    )
    views: tuple[str, ...] = setting(
        (),
        "Augmentations through which the discriminator sees real and fake images, or none; auto: what suits the data.",
        kinds=("views",),
        words=("auto",),
    )
    view_chance: Part = setting(
        Part("always"),
        "Chance with which each view changes an item: always, fixed (chance), or adaptive, by how far D has "
        "overfitted.",
        kinds=("chances",),
    )
    extras: tuple[Part, ...] = setting(
        (),
        "Further parts by name, see: evenodds list extras; each is also a setting of its own, such as top=0.5.",
        kinds=("extras",),
    )
    fused: bool = setting(
        False,
        "Score real and fake images in one pass of the discriminator; not with batch norm in it.",
    )
    discriminator_steps: int = setting(1, "Discriminator moves per round (k of Algorithm 1).", least=1, most=10_000)
    generator_steps: int = setting(1, "Generator moves per round.", least=1, most=10_000)
    simultaneous: bool | None = setting(
        False,
        "In rounds without a penalty both move at once, from one pass; not with batch norm in the discriminator. auto: "
        "where the task, the loss and the discriminator allow it.",
        auto=True,
    )
    optimizer: Part = setting(
        Part("Adam", {"betas": [0.0, 0.99]}),
        "A torch optimizer, or OptimisticAdam, and its options, for both players.",
        kinds=("optimizers",),
    )
    learner: Part = setting(
        Part("gradient"),
        "How slopes become steps: gradient, extragradient, lookahead (every, pull), evolution.",
        kinds=("learners",),
    )
    learning_rate: float = setting(
        2e-4, "Of the generator, and of the discriminator unless it has one of its own.", least=0
    )
    discriminator_learning_rate: float | None = setting(None, "Of the discriminator.", least=0)
    decay: Part = setting(
        Part("constant"), "How the learning rates change over the run, or module:function.", kinds=("schedules",)
    )
    batch: int = setting(64, "Images per batch, over all processes.", least=1, most=65_536)
    accelerator: tuple[str, ...] = setting(
        (),
        "What a recipe changes on a GPU, as after --set, such as batch=256; left out where one of these settings is "
        "named, and by accelerator=none.",
        may_change=True,
    )
    accumulate: int = setting(
        1,
        "Micro-batches in which each process plays its part of a batch, one after the other: less memory, the same "
        "game to rounding; not with batch norm.",
        least=1,
        most=65_536,
        may_change=True,
    )
    shard_optimizer: bool = setting(
        False,
        "Each of several processes keeps the optimizers' state of its share of the parameters alone (ZeRO, stage 1); "
        "the same game, in less memory.",
        may_change=True,
    )
    average_half_life: float = setting(
        0.01,
        "Half-life of the generator's moving average, as a share of the run; 0 for none.",
        most=1e6,
    )
    average_ramp: float = setting(
        0.05,
        "The half-life is at most this share of the images seen so far, so that the start is forgotten.",
        most=1e9,
    )
    images: int = setting(200_000, "Length of the run.", least=1, most=10**15, may_change=True)
    seed: int = setting(
        0,
        "Of the networks, the order of the data and every draw; the held-out items are the same for every seed.",
        least=-(2**63),
        most=2**63 - 1,
    )
    device: str = setting("auto", "auto, cpu, cuda, cuda:1, mps.", may_change=True)
    precision: str | None = setting(
        "float32",
        "float32 or bfloat16 (matrix products and convolutions); auto: the faster, measured before a run of more than "
        "30 s.",
        words=("float32", "bfloat16"),
        auto=True,
    )
    channels_last: bool = setting(True, "Store images as NHWC.")
    compile: bool | None = setting(
        None,
        "Compile the moves, where they can be; on a CPU this needs a C++ compiler, and torch 2.11 or newer. auto: "
        "tried in a run of more than an hour, and kept where it pays for itself.",
        auto=True,
        may_change=True,
    )
    graphs: bool | None = setting(
        False,
        "Record the moves as CUDA graphs, where they can be; only on a CUDA device. auto: where they are faster, "
        "measured before a run of more than 30 s.",
        auto=True,
        may_change=True,
    )
    threads: int | None = setting(
        None,
        "Threads on a CPU, at most OMP_NUM_THREADS; auto: the fastest, measured before a run of more than 30 s, and "
        "again where it gets slow.",
        auto=True,
        least=1,
        most=4096,
        may_change=True,
    )
    save_share: float = setting(
        0.1,
        "Share of the run from one checkpoint, with samples, to the next.",
        may_change=True,
    )
    evaluate_share: float | None = setting(
        None,
        "Share of the run from one look at held-out figures, which scores a checkpoint made there, to the next. auto: "
        "a tenth, or more of a run that shows fewer than 40 images for each item that a look judges.",
        auto=True,
        may_change=True,
    )
    glance_share: float = setting(
        0.02,
        "Share of the run from one glance of the watch to the next; at least 10 rounds.",
        may_change=True,
    )
    keep: int = setting(3, "Checkpoints to keep beside the best.", least=1, most=10**9, may_change=True)
    watch: str = setting(
        "warn",
        "off: no verdicts; warn: how it goes is said; act: a run that diverges or collapses goes back and changes.",
        words=("off", "warn", "act"),
        may_change=True,
    )
    log: tuple[str, ...] = setting(
        (),
        "Where the run is logged beside its folder: none, or some of tensorboard, mlflow, wandb, trackio.",
        words=LOGGERS,
        may_change=True,
    )
    patience: float = setting(
        0.0,
        "The run ends where its held-out score was flat for so great a share of it; 0: it plays to its end.",
        may_change=True,
    )

    def __post_init__(self) -> None:
        for name, about in settings().items():
            value = about.spelled(getattr(self, name))
            object.__setattr__(self, name, value)
            about.require_range(name, value)
        _check_shares(self)
        if self.watch not in settings()["watch"].words:
            raise unknown("way to watch", self.watch, settings()["watch"].words)
        for name in self.log:
            if name not in LOGGERS:
                raise unknown("logger", name, LOGGERS)

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, fit for YAML and JSON; read back by from_mapping."""
        return {key: plain_setting(key, getattr(self, key)) for key in settings()}

    def to_yaml(self) -> str:
        """The complete configuration."""
        return yaml.dump(with_texts(self.to_mapping(), to_utf8), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Values that are the same object are written out each time: `read_yaml` takes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _check_shares(config: Config) -> None:
    """BadInput where a share is outside its range."""
    if not 0 <= config.held_out <= 0.9:
        raise BadInput(f"held_out is a share of the data in [0, 0.9], got {config.held_out}")
    for name in ("save_share", "evaluate_share", "glance_share"):
        if (share := getattr(config, name)) is not None and not LEAST_SHARE <= share <= 1:
            raise BadInput(f"{name} is a share of the run from {LEAST_SHARE:g} to 1, got {share:g}")
    if not 0 < config.penalty_share <= 1:
        raise BadInput(f"penalty_share is a share of the batch in (0, 1], got {config.penalty_share}")
    if not config.average_ramp > 0 or config.average_half_life < 0:
        raise BadInput("average_ramp must be above 0, and average_half_life at least 0")
    if not 0 <= config.patience < 1:
        raise BadInput(f"patience is a share of the run in [0, 1), got {config.patience}; 0 for none")


@cache
def settings() -> dict[str, Setting]:
    """What is known of each setting, by its key, in the order of the fields."""
    return {f.name: f.metadata["setting"] for f in fields(Config)}


@cache
def _hints() -> dict[str, Any]:
    """The type of each setting, by its key."""
    return get_type_hints(Config)


def plain_setting(key: str, value: Any) -> Any:
    """The value of a setting as YAML and JSON have it."""
    return "auto" if value is None and settings()[key].auto else plain(value)


def with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Plain values, their texts changed."""
    if isinstance(value, dict):
        return {change(key): with_texts(one, change) for key, one in value.items()}
    if isinstance(value, list):
        return [with_texts(one, change) for one in value]
    return change(value) if isinstance(value, str) else value


def from_mapping(values: Mapping[str, Any], where: str = "the configuration", with_parts: bool = True) -> Config:
    """A configuration from plain values.

    Args:
        where: where the values are from, for messages.
        with_parts: see `read`.

    Raises:
        BadInput: a key is unknown, a value is of a wrong type or out of its range, or an option does not fit the part
            that it is for.
    """
    try:
        values = with_extras(values, settings())
        for key in values:
            if key not in settings():
                raise unknown(f"key in {where}", key, [*settings(), *names("extras")])
        config = Config(**{key: typed_setting(key, value) for key, value in values.items()})
        for key, about in settings().items() if with_parts else ():
            for part in parts_of(getattr(config, key)):
                require_part(key, about.kinds, part)
        return config
    except BadInput as error:
        raise error if where in str(error) else BadInput(f"{where}: {error}") from error


def parts_of(value: Any) -> list[Part]:
    """The parts in the value of a setting."""
    return [part for part in (value if isinstance(value, tuple) else (value,)) if isinstance(part, Part)]


def require_allowed(config: Config, where: str) -> None:
    """NotAllowed where a configuration names code of a module that the user did not allow.

    Args:
        where: the file that the configuration is from, for the message.
    """
    for key, about in settings().items():
        if about.kinds and key != "data":
            for name in _code_named(getattr(config, key)):
                require(key, name, where)


def _code_named(value: Any) -> Iterator[str]:
    """The names of code in the value of a setting: of parts, of masks and of degradations."""
    if isinstance(value, str):
        yield from (name.strip() for name in value.split(","))
    elif isinstance(value, Part):
        yield value.name
        yield from _code_named(value.options)
    elif isinstance(value, Mapping):
        for key in ("name", "masks", "degradation", "features"):
            yield from _code_named(value.get(key))
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _code_named(entry)


def typed_setting(key: str, value: Any) -> Any:
    """`value` as the type of the setting, or BadInput that names the setting."""
    about = settings()[key]
    if about.auto and isinstance(value, str) and value == "auto":
        return None
    named = about.auto and about.words and not about.kinds and isinstance(value, str)
    if named and str(value).lower() not in about.words:
        raise BadInput(f"{key} must be auto, {' or '.join(about.words)}, got {shortened(value)}")
    return typed(key, _hints()[key], value, ("auto",) * about.auto)
