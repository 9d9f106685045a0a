"""The configuration of a run: plain values, complete, checked, written to and read from YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml

from evenodds.errors import BadInput, unknown
from evenodds.runs.find import find, names

__all__ = ["Config", "Part", "difference", "from_mapping", "origin", "read", "recipe", "with_settings"]


@dataclass(frozen=True)
class Part:
    """Something that is found by name, and its options."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Config:
    """All that decides a run. Lengths of time are counted in real images shown to the discriminator."""

    recipe: str = "custom"
    """The recipe that it came from."""
    data: Part | None = None
    """A source by name, or a path to a folder or zip of images, an .npz or .npy array, or a .csv table."""
    size: int | None = None
    """Side in pixels to which folders and zips of images are cropped and resized; none: their most common size."""
    channels: int | None = None
    """Channels of folders and zips of images: 1 grey, 3 colour, 4 with alpha; none: as the images are."""
    fit: str | None = None
    """How images get to that size: crop, pad, stretch, or tiles (pieces that cover each image); none: crop."""
    held_out: float = 0.1
    """Share of the data kept aside for judging, in [0, 0.9]; which items is decided by the data alone."""
    task: Part = field(default_factory=lambda: Part("generate"))
    """What is played, see: evenodds list tasks; auto: condition where the data have classes, else generate."""
    prior: Part = field(default_factory=lambda: Part("normal", {"size": 64}))
    """Distribution of z."""
    generator: Part = field(default_factory=lambda: Part("dcgan"))
    """Network of the generator: family, or module:Class."""
    discriminator: Part = field(default_factory=lambda: Part("dcgan"))
    """Network of the discriminator."""
    loss: Part = field(default_factory=lambda: Part("non_saturating"))
    """Adversarial loss."""
    penalty: Part | None = None
    """Penalty on the discriminator."""
    penalty_weight: float | None = 1.0
    """Weight of the penalty; auto: found by short games on the data before the run."""
    penalty_every: int = 1
    """Rounds from one penalty to the next; the weight is rescaled for it."""
    views: tuple[str, ...] = ()
    """Augmentations through which the discriminator sees real and fake images; auto: those that suit the data."""
    view_chance: Part = field(default_factory=lambda: Part("always"))
    """Chance with which each view changes an item: always, fixed (chance), or adaptive, by how far D has overfitted."""
    balance: Part | None = None
    """What keeps D's held-out margin at a target: steps (k), rate (of D's learning) or penalty (its weight)."""
    top: float = 1.0
    """Share of the fakes, the most real to D, that G learns from at the end; it falls from 1 in the first half."""
    densest: float = 1.0
    """Share of the training items to keep, those in the densest places of feature space (instance selection)."""
    fused: bool = False
    """Score real and fake images in one pass of the discriminator; not with batch norm in it."""
    discriminator_steps: int = 1
    """Discriminator moves per round (k of Algorithm 1)."""
    generator_steps: int = 1
    """Generator moves per round."""
    simultaneous: bool = False
    """In rounds without a penalty both move at once, from one pass; not with batch norm in the discriminator."""
    optimizer: Part = field(default_factory=lambda: Part("Adam", {"betas": [0.0, 0.99]}))
    """A torch optimizer, or OptimisticAdam, and its options, for both players."""
    learner: Part = field(default_factory=lambda: Part("gradient"))
    """How slopes become steps: gradient, extragradient, lookahead (every, pull), evolution."""
    learning_rate: float = 2e-4
    """Of the generator, and of the discriminator unless it has one of its own."""
    discriminator_learning_rate: float | None = None
    """Of the discriminator."""
    decay: Part = field(default_factory=lambda: Part("constant"))
    """How the learning rates change over the run."""
    batch: int = 64
    """Images per batch."""
    average_half_life: float = 0.01
    """Half-life of the generator's moving average, as a share of the run; 0 for none."""
    average_ramp: float = 0.05
    """The half-life is at most this share of the images seen so far, so that the start is forgotten."""
    images: int = 200_000
    """Length of the run."""
    seed: int = 0
    """Of the networks, the order of the data and every draw; the held-out items are the same for every seed."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    precision: str = "float32"
    """float32 or bfloat16."""
    channels_last: bool = True
    """Store images as NHWC."""
    compile: bool = False
    """Compile the players; needs a C++ compiler and a penalty without double backward."""
    save_share: float = 0.1
    """Share of the run from one checkpoint, with samples and a held-out score, to the next."""
    evaluate_share: float = 0.1
    """Share of the run from one look at held-out figures to the next."""
    keep: int = 3
    """Checkpoints to keep beside the best."""
    watch: str = "warn"
    """off: no verdicts; warn: how it goes is said; act: a run that diverges or collapses goes back and changes."""
    patience: float = 0.0
    """The run ends where its held-out score was flat for so great a share of it; 0: it plays to its end."""

    def __post_init__(self) -> None:
        positive = ("batch", "images", "penalty_every", "discriminator_steps", "generator_steps", "keep")
        for name in positive:
            if getattr(self, name) < 1:
                raise BadInput(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.held_out <= 0.9:
            raise BadInput(f"held_out is a share of the data in [0, 0.9], got {self.held_out}")
        for name in ("save_share", "evaluate_share"):
            if not 0 < getattr(self, name) <= 1:
                raise BadInput(f"{name} is a share of the run in (0, 1], got {getattr(self, name)}")
        if not self.average_ramp > 0 or self.average_half_life < 0:
            raise BadInput("average_ramp must be above 0, and average_half_life at least 0")
        if self.watch not in WATCHES:
            raise unknown("way to watch", self.watch, WATCHES)
        if not 0 <= self.patience < 1:
            raise BadInput(f"patience is a share of the run in [0, 1), got {self.patience}; 0 for none")
        for name in ("top", "densest"):
            if not 0 < getattr(self, name) <= 1:
                raise BadInput(f"{name} is a share in (0, 1], got {getattr(self, name)}")
        if self.learning_rate < 0 or (self.discriminator_learning_rate or 0) < 0:
            raise BadInput("learning rates must not be negative")

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, fit for YAML and JSON; read back by from_mapping."""
        return {key: _plain(getattr(self, key)) for key in asdict(self)}

    def to_yaml(self) -> str:
        """The complete configuration."""
        return yaml.safe_dump(self.to_mapping(), sort_keys=False, allow_unicode=True)


WATCHES = ("off", "warn", "act")
AUTO = ("penalty_weight",)
"""Numbers that may be left open until the run starts."""
AUTO_TASK = "auto"
"""The task that is left open until the run starts."""
MAY_CHANGE = ("images", "device", "keep", "save_share", "evaluate_share", "recipe", "watch", "patience")
"""Fields in which a resumed run may differ from its checkpoint."""


def recipe(name: str) -> Config:
    """A recipe of the package, or a YAML file of one's own."""
    if name.endswith((".yaml", ".yml")):
        return read(Path(name))
    text = find("recipes", name).read_text(encoding="utf-8")
    return from_mapping({**_yaml(text, f"recipe '{name}'"), "recipe": name}, f"recipe '{name}'")


def origin(config: Config) -> Config | None:
    """The recipe of the package that a configuration began from; None where it is of one's own."""
    return recipe(config.recipe) if config.recipe in names("recipes") else None


def read(path: Path) -> Config:
    """A configuration from a YAML file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    values = _yaml(text, str(path))
    return from_mapping({"recipe": path.stem, **values}, str(path))


def from_mapping(values: Mapping[str, Any], where: str = "the configuration") -> Config:
    """A configuration from plain values; unknown keys and values of a wrong type are errors."""
    hints = get_type_hints(Config)
    for key in values:
        if key not in hints:
            raise unknown(f"key in {where}", key, hints)
    return Config(**{key: _coerce(key, hints[key], value) for key, value in values.items()})


def with_settings(config: Config, settings: Mapping[str, Any]) -> Config:
    """The configuration with some values replaced.

    Args:
        settings: by key, dotted for options, e.g. {"generator.width": 32, "loss": "hinge"}. A new name for a part
            drops the options of the old one.
    """
    hints = get_type_hints(Config)
    for key, value in settings.items():
        name, _, option = key.partition(".")
        if name not in hints:
            raise unknown("setting", name, hints)
        if option:
            value = _with_option(name, getattr(config, name), option, value)
        config = replace(config, **{name: _coerce(name, hints[name], value)})
    return config


def _with_option(key: str, part: Any, option: str, value: Any) -> Part:
    if not isinstance(part, Part):
        raise BadInput(f"'{key}' has no options, so '{key}.{option}' cannot be set; it is {part!r}")
    return Part(part.name, {**part.options, option: yaml_value(value) if isinstance(value, str) else value})


def difference(mine: Config, theirs: Config) -> list[str]:
    """One line for each field in which a run's configuration no longer fits that of its checkpoint."""
    a, b = _flat(mine), _flat(theirs)
    keys = [key for key in dict.fromkeys([*a, *b]) if key.split(".")[0] not in MAY_CHANGE]
    return [f"{key} is {a.get(key)!r}, the checkpoint has {b.get(key)!r}" for key in keys if a.get(key) != b.get(key)]


def _flat(config: Config) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.to_mapping().items():
        for option, inner in value.items() if isinstance(value, dict) else [("", value)]:
            flat[f"{key}.{option}".rstrip(".")] = inner
    return flat


def yaml_value(text: str) -> Any:
    """A value as a person writes it on a command line; 1e-3 is a number here, which YAML 1.1 denies."""
    number = as_number(text)
    return number if number is not None else _yaml_any(text)


def as_number(text: str) -> int | float | None:
    """A number with an optional factor k or M; None for anything else."""
    match = re.fullmatch(r"\s*([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([kM]?)\s*", text)
    if not match:
        return None
    value = float(match[1].replace("_", "")) * {"": 1, "k": 1e3, "M": 1e6}[match[2]]
    whole = not re.search(r"[.eE]", match[1]) or bool(match[2])
    return int(value) if whole and value == int(value) else value


def _yaml(text: str, where: str) -> dict[str, Any]:
    values = _yaml_any(text, where)
    if not isinstance(values, dict):
        raise BadInput(f"{where} must hold `key: value` lines, got {type(values).__name__}")
    return values


def _yaml_any(text: str, where: str = "the value") -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput(f"{where} is not valid YAML: {' '.join(str(error).split())}") from error


def _coerce(key: str, hint: Any, value: Any) -> Any:
    """`value` as the type of the field, or an error that names the field."""
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if NoneType in options and (value is None or value in ("none", "null", "")):
        return None
    if key in AUTO and value == "auto":
        return None
    kind = next(option for option in options if option is not NoneType)
    if kind is Part:
        return _part(key, value)
    if get_origin(kind) is tuple:
        return tuple(value.split(",")) if isinstance(value, str) and value else tuple(value or ())
    if kind is bool:
        return _boolean(key, value)
    if kind is str:
        return str(value)
    number = as_number(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | float) or (kind is int and number != int(number)):
        raise BadInput(f"{key} must be {'a whole number' if kind is int else 'a number'}, got {value!r}")
    return kind(number)


def _boolean(key: str, value: Any) -> bool:
    known = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if str(value).lower() not in known:
        raise BadInput(f"{key} must be true or false, got {value!r}")
    return known[str(value).lower()]


def _part(key: str, value: Any) -> Part:
    if isinstance(value, Part):
        return value
    if isinstance(value, str | Path):
        return Part(str(value))
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        options = {k: yaml_value(v) if isinstance(v, str) and as_number(v) is not None else v for k, v in value.items()}
        return Part(options.pop("name"), options)
    raise BadInput(f"{key} must be a name, or a mapping with `name` and options, got {value!r}")


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return {"name": value.name, **value.options} if value.options else value.name
    return list(value) if isinstance(value, tuple) else value


def documented() -> list[tuple[str, str, str]]:
    """Each key with its default and what it means, from the field docstrings."""
    import inspect

    source = inspect.getsource(Config)
    notes = dict(re.findall(r'\n    (\w+): [^\n]*\n    """(.*?)"""', source, re.S))
    default = Config()
    return [(f.name, str(_plain(getattr(default, f.name))), notes.get(f.name, "")) for f in fields(default)]
