"""A short game for an estimator: networks, batches, training and samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from evenodds.data.batches import Batches
from evenodds.data.dataset import Dataset
from evenodds.data.units import Units
from evenodds.estimators.stored import StoredNetwork
from evenodds.files.terminal import result
from evenodds.game.engine import Local, pick_device, reseed
from evenodds.game.learners import Gradient
from evenodds.game.listeners.average import Average
from evenodds.game.optimizers import eager
from evenodds.game.rules import Game
from evenodds.game.schedule import cosine
from evenodds.game.seeds import mix
from evenodds.game.trainer import Listener, Training, train
from evenodds.parts.choosing import Block, ChoosingGenerator, choices_in
from evenodds.parts.losses.adversarial import relativistic_paired
from evenodds.parts.losses.penalties import r1_r2
from evenodds.parts.priors import Normal
from evenodds.runs.allowed import allowing, modules_in
from evenodds.runs.find import make, network
from evenodds.runs.memory import require_memory
from evenodds.tasks.condition import Condition, discriminator_options
from evenodds.tasks.contest import Contest
from evenodds.tasks.generate import Generate

__all__ = ["PrintProgress", "TrainingOptions", "batches", "new_players", "samples", "train_averaged", "train_generator"]


@dataclass(frozen=True)
class TrainingOptions:
    """How an estimator's game is trained.

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
    def of(estimator: Any) -> TrainingOptions:
        """By the parameters of an estimator."""
        e = estimator
        return TrainingOptions(e.network, e.latent, e.width, e.rows, e.batch_size, e.learning_rate, e.device, e.verbose)

    def network_name(self, shape: tuple[int, ...]) -> str:
        """The network for items of that shape."""
        if self.network != "auto":
            return self.network
        return "mlp" if len(shape) == 1 or min(shape[1:]) < 16 else "dcgan"

    def total(self, items: int) -> int:
        """Items to show."""
        return self.rows or min(max(200 * items, 20_000), 200_000)

    def network_options(self, shape: tuple[int, ...]) -> dict[str, int]:
        """Of either network."""
        return {"width": self.width, "depth": 3} if self.network_name(shape) == "mlp" else {}


def train_generator(
    x: Tensor,
    y: Tensor | None,
    length: int,
    training: TrainingOptions,
    seed: int,
    way: str = "projection",
    blocks: Sequence[Block] = (),
) -> StoredNetwork:
    """Trains a generator and a discriminator on items; returns the moving average of the generator.

    Of rows with blocks it is what `samples` puts behind the choices.

    The terms are those of the recipe for tables: relativistic pairs with penalties on both sides (Huang et al. 2024).

    Args:
        x: (N, D) or (N, C, H, W) float32.
        y: (N,) int64 in [0, length) for a game given the class, in which classes take equal shares; or None.
        length: number of classes; 0 without.
        blocks: of rows that are amounts and choices.
    """
    shape = tuple(x.shape[1:])
    name, options = training.network_name(shape), training.network_options(shape)
    generator = {"latent": training.latent, "shape": shape, "condition": length, **options}
    discriminator: dict[str, Any] = {"shape": shape} if y is None else discriminator_options(way, shape, length)
    players = new_players(name, {"generator": generator, "discriminator": {**discriminator, **options}}, seed)
    if blocks:
        players["generator"] = ChoosingGenerator(players["generator"], blocks)
    contest = Contest(relativistic_paired, r1_r2, weight=0.05, every=4, fused=True)
    prior = Normal(training.latent + choices_in(blocks))
    task: Generate = Generate(prior, contest)
    if y is not None:
        task = Condition(prior, contest, length=length, way=way, balance="classes")
    average = train_averaged(
        task, players, batches(x, y, length, training, seed), training, training.total(len(x)), seed, "generator"
    )
    return StoredNetwork(average.generator if isinstance(average, ChoosingGenerator) else average, generator)


def train_averaged(
    task: Any, players: dict[str, nn.Module], data: Any, training: TrainingOptions, rows: int, seed: int, player: str
) -> nn.Module:
    """Trains all players; returns the moving average of one of them."""
    engine = Local(pick_device(training.device))
    engine.adopt(players)
    average = Average(players, (player,), half_life_images=rows / 50)
    learner = Gradient(
        {name: eager(torch.optim.Adam)(p.parameters(), training.rate, betas=(0.0, 0.9)) for name, p in players.items()},
        cosine(start=0.3, end=0.02),
    )
    listeners: list[Listener] = [average, *([PrintProgress()] if training.verbose else [])]
    train(Game(task, players), data, learner, engine, images=rows, seed=seed, listeners=listeners)
    return average.copies[player]


def batches(x: Tensor, y: Tensor | None, length: int, training: TrainingOptions, seed: int) -> Batches:
    """Batches of items that are on the scale of the networks already."""
    classes = tuple(map(str, range(length)))
    units = Units((-1.0,), (1.0,), "float32")
    return Batches(Dataset(x, units, y, classes, kind="table" if x.dim() == 2 else "image"), None, training.batch, seed)


def new_players(name: str, options: Mapping[str, Mapping[str, Any]], seed: int) -> dict[str, nn.Module]:
    """Networks by role, initialised from the seed.

    Args:
        name: of the networks.
        options: by role, what each is built with.
    """
    players: dict[str, nn.Module] = {}
    with torch.random.fork_rng():
        for number, (role, arguments) in enumerate(options.items()):
            reseed(torch.get_default_device(), mix(seed, -1, number))
            with allowing(modules_in(name)):  # the user typed it, as a parameter of the estimator
                maker = network(name, role.capitalize())
            require_memory(f"{role} '{name}'", maker, arguments)
            players[role] = make(f"{role} '{name}'", maker, dict(arguments))
    return players


def samples(
    generator: nn.Module,
    latent: int,
    c: Tensor | None,
    n: int,
    seed: int,
    blocks: Sequence[Block] = (),
    batch: int = 512,
) -> Tensor:
    """(n, D) or (n, C, H, W) samples; c (n, K) one-hot classes of a conditional game; blocks as in training."""
    generator = ChoosingGenerator(generator, blocks) if blocks else generator
    z = Normal(latent + choices_in(blocks))(n, torch.Generator().manual_seed(mix(seed, -3)))
    inputs = z if c is None else torch.cat([z, c], 1)
    with torch.no_grad():
        return torch.cat([generator(part) for part in torch.split(inputs, batch)])


class PrintProgress:
    """Prints after each tenth of the training how many rows were shown."""

    def begin(self, training: Training) -> None:
        self.tenths = 0

    def after_round(self, training: Training) -> None:
        tenths = int(10 * training.progress.share)
        if tenths > self.tenths:
            self.tenths = tenths
            result(f"{training.progress.images} of {training.progress.total} rows shown")

    def end(self, training: Training) -> None:
        """Nothing to close."""
