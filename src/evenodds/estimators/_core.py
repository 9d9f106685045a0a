"""What the estimators share: arrays become items of a game and come back, and a game is played on them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from evenodds.data.arrays import from_array
from evenodds.data.columns import Columns
from evenodds.data.dataset import Batches, Dataset, Units
from evenodds.errors import BadInput
from evenodds.game.engine import Local, pick_device
from evenodds.game.learners import Gradient
from evenodds.game.listeners.average import Average
from evenodds.game.rules import Game, mix
from evenodds.game.schedule import cosine
from evenodds.game.trainer import Listener, Stage, train
from evenodds.parts.losses.adversarial import relativistic_paired
from evenodds.parts.losses.penalties import r1_r2
from evenodds.parts.priors import Normal
from evenodds.runs.find import make, network
from evenodds.tasks.condition import Condition, discriminator_options
from evenodds.tasks.contest import Contest
from evenodds.tasks.generate import Generate

__all__ = [
    "Array",
    "Items",
    "Kept",
    "Plan",
    "Tell",
    "check_counts",
    "classes_of",
    "draw",
    "feed",
    "learn",
    "play",
    "seed_of",
    "start",
    "validated",
]

Array = NDArray[Any]


def validated(estimator: Any, X: Any, *, reset: bool, missing: bool = False, **options: Any) -> Any:
    """scikit-learn's check of X (and y, where given); sets `n_features_in_` and names where `reset`.

    Args:
        missing: NaN is allowed.
        options: of sklearn.utils.check_array, e.g. allow_nd; and y.
    """
    finite: bool | str = "allow-nan" if missing else True
    try:
        from sklearn.utils.validation import validate_data
    except ImportError:  # scikit-learn 1.5
        return estimator._validate_data(X, reset=reset, force_all_finite=finite, **options)
    return validate_data(estimator, X, reset=reset, ensure_all_finite=finite, **options)


def classes_of(y: Any, n: int) -> Array:
    """y (n,) as an array of classes, by scikit-learn's checks; BadInput if it has another length."""
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import column_or_1d

    y = column_or_1d(y, warn=True)
    check_classification_targets(y)
    if len(y) != n:
        raise BadInput(f"X and y need one length, got {n} and {len(y)}")
    return np.asarray(y)


def seed_of(random_state: Any) -> int:
    """A seed from what scikit-learn takes for `random_state`."""
    from sklearn.utils import check_random_state

    return int(check_random_state(random_state).randint(2**31 - 1))


def check_counts(**counts: int | None) -> None:
    """Each is None or at least 1."""
    for name, value in counts.items():
        if value is not None and value < 1:
            raise BadInput(f"'{name}' must be at least 1, got {value}")


@dataclass(frozen=True)
class Items:
    """How items (N, D), (N, H, W) or (N, C, H, W) become what players see, and how they come back.

    Tables have columns of mean 0 and deviation 1, and images lie in [-1, 1].
    """

    shape: tuple[int, ...]
    """Of one item, as it came."""
    dtype: str
    columns: Columns | None
    units: Units | None

    @staticmethod
    def of(x: Array, few: int) -> Items:
        """Learns from items.

        Args:
            few: a column with at most so many distinct values gets no others; and with at most a quarter of the rows,
                as in a short table all values are few.
        """
        if x.ndim not in (2, 3, 4):
            raise BadInput(f"X must be (N, D), (N, H, W) or (N, C, H, W), got {x.shape}; reshape it")
        shape, dtype = x.shape[1:], str(x.dtype)
        if x.ndim == 2:
            columns = Columns.of(np.asarray(x, np.float64), few=min(few, max(2, len(x) // 4)))
            return Items(shape, dtype, columns, None)
        return Items(shape, dtype, None, from_array(_channels(x), layout="nchw").units)

    @property
    def seen(self) -> tuple[int, ...]:
        """The shape of an item as players see it: (D,) or (C, H, W)."""
        return (1, *self.shape) if len(self.shape) == 2 else self.shape

    @property
    def log_slope(self) -> float:
        """log |d model / d own|, summed over all values of an item: what a density gains by the change of scale."""
        if self.columns is not None:
            return sum(math.log((c[1] - c[0]) / (own[1] - own[0])) for own, c in self.columns.knots)
        assert self.units is not None
        return -math.prod(self.shape) * math.log((self.units.high[0] - self.units.low[0]) / 2 or 1.0)

    def to_model(self, x: Array) -> Tensor:
        """(N, *shape) in own units -> (N, *seen) float32."""
        if x.shape[1:] != self.shape:
            raise BadInput(f"X must be (N, {', '.join(map(str, self.shape))}) as in fit, got {x.shape}")
        if self.columns is not None:
            return self.columns.to_common(np.asarray(x, np.float64))
        assert self.units is not None
        return self.units.to_model(torch.from_numpy(_channels(x).astype(np.float32)))

    def to_own(self, x: Tensor) -> Array:
        """(N, *seen) -> (N, *shape) of the dtype that came: columns within what was observed, integers rounded."""
        if self.columns is not None:
            own: Array = self.columns.allowed(self.columns.to_own(x))
        else:
            assert self.units is not None
            own = self.units.to_data(x.clamp(-1, 1)).numpy().reshape(-1, *self.shape)
        return (np.rint(own) if np.dtype(self.dtype).kind in "biu" else own).astype(self.dtype)


def _channels(x: Array) -> Array:
    return x[:, None] if x.ndim == 3 else x


class Kept:
    """A network as the name of its class, what it was built with, and its weights in NumPy; rebuilt when first needed.

    So what is pickled is state, and neither a network nor its code.

    Args:
        module: whose weights to keep.
        arguments: plain values that it was built with.
    """

    def __init__(self, module: nn.Module, arguments: Mapping[str, Any]) -> None:
        self.home, self.name, self.arguments = type(module).__module__, type(module).__name__, dict(arguments)
        self.weights = {key: value.detach().cpu().numpy().copy() for key, value in module.state_dict().items()}
        self._module: nn.Module | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_module": None}

    @property
    def module(self) -> nn.Module:
        """The network on the CPU, in eval mode."""
        if self._module is None:
            with torch.random.fork_rng():  # its start draws, and is replaced at once
                module: nn.Module = getattr(import_module(self.home), self.name)(**self.arguments)
            module.load_state_dict({key: torch.from_numpy(value.copy()) for key, value in self.weights.items()})
            self._module = module.eval().requires_grad_(False)
        return self._module


@dataclass(frozen=True)
class Plan:
    """How a game is played.

    Args:
        network: "auto" takes "mlp" for tables and images below 16 pixels, else "dcgan"; or the name of a network.
        rows: items shown; None for 200 times the data, within [20,000, 200,000].
        device: "cpu", "cuda", "auto", ...
    """

    network: str
    latent: int
    width: int
    rows: int | None
    batch: int
    rate: float
    device: str
    verbose: int

    @staticmethod
    def of(estimator: Any) -> Plan:
        """By the parameters of an estimator."""
        e = estimator
        return Plan(e.network, e.latent, e.width, e.rows, e.batch_size, e.learning_rate, e.device, e.verbose)

    def name(self, shape: tuple[int, ...]) -> str:
        """The network for items of that shape."""
        if self.network != "auto":
            return self.network
        return "mlp" if len(shape) == 1 or min(shape[1:]) < 16 else "dcgan"

    def total(self, items: int) -> int:
        """Items to show."""
        return self.rows or min(max(200 * items, 20_000), 200_000)

    def options(self, shape: tuple[int, ...]) -> dict[str, int]:
        """Of either network."""
        return {"width": self.width, "depth": 3} if self.name(shape) == "mlp" else {}


def play(x: Tensor, y: Tensor | None, length: int, plan: Plan, seed: int, way: str = "projection") -> Kept:
    """Plays a game on items, and gives the averaged generator.

    The terms are those of the recipe for tables: relativistic pairs with penalties on both sides (Huang et al. 2024).

    Args:
        x: (N, D) or (N, C, H, W) float32.
        y: (N,) int64 in [0, length) for a game given the class, in which classes take equal shares; or None.
        length: number of classes; 0 without.
    """
    shape = tuple(x.shape[1:])
    seen: dict[str, Any] = {"shape": shape} if y is None else discriminator_options(way, shape, length)
    name, options = plan.name(shape), plan.options(shape)
    made = {"latent": plan.latent, "shape": shape, "condition": length, **options}
    players = start(name, {"generator": made, "discriminator": {**seen, **options}}, seed)
    contest = Contest(relativistic_paired, r1_r2, weight=0.05, every=4, fused=True)
    task: Generate = Generate(Normal(plan.latent), contest)
    if y is not None:
        task = Condition(Normal(plan.latent), contest, length=length, way=way, balance="classes")
    average = learn(task, players, feed(x, y, length, plan, seed), plan, plan.total(len(x)), seed, "generator")
    return Kept(average, made)


def learn(
    task: Any, players: dict[str, nn.Module], data: Any, plan: Plan, rows: int, seed: int, wanted: str
) -> nn.Module:
    """Trains, and gives the average of the wanted player."""
    engine = Local(pick_device(plan.device))
    engine.adopt(players)
    average = Average(players, (wanted,), half_life_images=rows / 50)
    learner = Gradient(
        {name: torch.optim.Adam(p.parameters(), plan.rate, betas=(0.0, 0.9)) for name, p in players.items()},
        cosine(start=0.3, end=0.02),
    )
    listeners: list[Listener] = [average, *([Tell()] if plan.verbose else [])]
    train(Game(task, players), data, learner, engine, images=rows, seed=seed, listeners=listeners)
    return average.copies[wanted]


def feed(x: Tensor, y: Tensor | None, length: int, plan: Plan, seed: int) -> Batches:
    """Batches of items that are as players want them."""
    classes = tuple(map(str, range(length)))
    units = Units((-1.0,), (1.0,), "float32")
    return Batches(Dataset(x, units, y, classes, kind="table" if x.dim() == 2 else "image"), None, plan.batch, seed)


def start(name: str, options: Mapping[str, Mapping[str, Any]], seed: int) -> dict[str, nn.Module]:
    """Freshly initialised from the seed."""
    players: dict[str, nn.Module] = {}
    with torch.random.fork_rng():
        for number, (role, arguments) in enumerate(options.items()):
            torch.manual_seed(mix(seed, -1, number))
            players[role] = make(f"{role} '{name}'", network(name, role.capitalize()), dict(arguments))
    return players


def draw(generator: nn.Module, latent: int, c: Tensor | None, n: int, seed: int, batch: int = 512) -> Tensor:
    """(n, *seen) samples; c (n, K) of a conditional game."""
    z = Normal(latent)(n, torch.Generator().manual_seed(mix(seed, -3)))
    entered = z if c is None else torch.cat([z, c], 1)
    with torch.no_grad():
        return torch.cat([generator(part) for part in torch.split(entered, batch)])


class Tell:
    """Prints how far the training is, ten times."""

    def begin(self, stage: Stage) -> None:
        self.told = 0

    def hear(self, stage: Stage) -> None:
        tenth = int(10 * stage.progress.share)
        if tenth > self.told:
            self.told = tenth
            print(f"{stage.progress.images} of {stage.progress.total} rows shown")

    def end(self, stage: Stage) -> None:
        """Nothing to close."""
