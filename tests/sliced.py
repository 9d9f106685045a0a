"""Small runs of every task, for twins of one process and of several: what each of them is left with."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from evenodds.data.conditions import Conditions
from evenodds.data.dataset import Beside, Dataset
from evenodds.data.labelled import WithLabels
from evenodds.data.palette import Palette
from evenodds.data.units import Units
from evenodds.game.engine import Local
from evenodds.game.learners import Gradient
from evenodds.game.rules import Game, Players
from evenodds.game.trainer import Feed, train
from evenodds.parts.losses.adversarial import relativistic_average
from evenodds.parts.losses.penalties import r1
from evenodds.parts.networks import mlp
from evenodds.parts.priors import Normal
from evenodds.runs.assembly import Run
from evenodds.runs.build import build_engine, build_learner
from evenodds.runs.changes import with_settings
from evenodds.runs.config import Config
from evenodds.tasks.bidirectional import Bidirectional
from evenodds.tasks.classify import Classify
from evenodds.tasks.contest import Contest
from evenodds.tasks.infer import Infer

BATCH, ROUNDS = 13, 4  # items that two processes cannot share evenly
BYTE = Units((0.0,), (255.0,), "uint8")
UNIT = Units((-1.0,), (1.0,), "float32")
SMALL = {
    "batch": BATCH,
    "images": BATCH * ROUNDS,
    "device": "cpu",
    "prior.size": 4,
    "optimizer.eps": 1e-4,  # a slope that is 0 but for rounding is no step
    "generator": "modern",
    "generator.width": 8,
    "generator.bottom": 4,
    "discriminator": "modern",
    "discriminator.width": 8,
    "discriminator.bottom": 4,
}
PAIRED = {"generator": "unet", "generator.width": 4, "generator.depth": 1, "generator.norm": "none"}
PATCH = {"discriminator": "patch", "discriminator.width": 4}
DCGAN = {"generator": "dcgan", "generator.width": 8, "generator.bottom": 4}


@dataclass(frozen=True)
class Case:
    """Settings of a run.

    Args:
        channels: of the images.
        micro: whether it can be played in micro-batches: nothing shares statistics of a batch.
        images: whether the data are images; otherwise points.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    channels: int = 1
    micro: bool = True
    images: bool = True


CASES = {
    "plain": Case({"loss": "non_saturating"}),
    "lazy": Case(
        {
            "task": "condition", "loss": "relativistic_paired", "penalty": "r1_r2", "penalty_every": 2, "fused": True,
            "simultaneous": True, "views": "translation", "view_chance": "fixed", "view_chance.chance": 0.7,
        }
    ),
    "differences": Case({"loss": "relativistic_average", "penalty": "finite_difference", "penalty_every": 3}),
    "gradient_penalty": Case({"loss": "wasserstein", "penalty": "gradient_penalty", "discriminator_steps": 2}),
    "dragan": Case({"loss": "least_squares", "penalty": "dragan"}),
    "consistency": Case({"loss": "hinge", "penalty": "consistency"}),
    "lecam": Case({"loss": "hinge", "penalty": "lecam"}),
    "kernel": Case({"loss": "kernel", "discriminator.outputs": 3, "penalty": "largest_gradient"}),
    "cramer": Case({"loss": "cramer", "penalty": "wasserstein_divergence"}),
    "dual": Case({"loss": "dual_contrastive", "penalty": "r1", "views": "flip", "view_chance": "adaptive"}),
    "boundary": Case({"loss": "boundary", "loss.images": 50, "discriminator.code": 2}, images=False),
    "contrastive": Case({"task": "condition", "task.way": "contrastive", "loss": "hinge", "penalty": "r1"}),
    "multi_hinge": Case(
        {"task": "condition", "task.way": "multi_hinge", "loss": "hinge", "penalty": "r1", "penalty_share": 0.5}
    ),
    "weights": Case({"loss": "energy", "historical": 0.1, "orthogonal": 0.01, "clip": 0.5, "pseudo": 0.8}),
    "average, at once": Case(
        {"loss": "relativistic_average", "penalty": "r1", "penalty_every": 2, "simultaneous": True, "fused": True}
    ),
    "adaptive": Case(
        {"loss": "relativistic_paired", "penalty": "r2", "views": "translation,flip", "view_chance": "adaptive"}
    ),
    "share": Case({"loss": "relativistic_average", "penalty": "r1_r2", "penalty_share": 0.5}),
    "top": Case({"loss": "non_saturating", "penalty": "r1", "top": 0.5}),
    "auxiliary": Case({"task": "condition", "task.way": "auxiliary", "loss": "hinge", "penalty": "r1"}),
    "concatenation": Case({"task": "condition", "task.way": "concatenation", "task.balance": "classes"}),
    "attributes": Case(
        {
            "task": "condition", "task.kind": "attributes", "task.way": "auxiliary", "penalty": "r1",
            "penalty_share": 0.5,
        }
    ),
    "infogan": Case(
        {
            "task": "infogan", "task.consistency": 0.5, "task.agreement": 0.5, "prior": "coded", "prior.noise": 4,
            "prior.classes": 3, "views": "translation", "penalty": "r1", "penalty_share": 0.5,
        }
    ),
    "codes": Case(
        {
            "task": "codes", "task.reader_width": 4, "task.heads": 2, "task.chosen": 0.4,
            "task.begins": 0.6, "prior": "coded", "prior.noise": 4, "prior.classes": 3, "views": "deformation",
        }
    ),
    "invertible": Case({"task": "invertible", "loss": "relativistic_average", "penalty": "r1", "penalty_share": 0.5}),
    "fill": Case(
        {
            "task": "fill", "generator": "images", "generator.width": 4, "penalty": "r1_r2", "penalty_every": 2,
            "discriminator.width": 8,
        },
        channels=3,
    ),
    "translate": Case(
        {
            **PAIRED, **PATCH, "task": "translate", "task.matching": 0.1, "penalty": "r1_r2",
            "loss": "relativistic_average",
        }
    ),
    "denoise": Case({**PAIRED, **PATCH, "task": "translate", "task.degradation": "noise", "task.crop": 6}),
    "upscale": Case(
        {
            "task": "upscale", "task.scale": 2, "task.crop": 8, "generator": "residual", "generator.width": 4,
            "generator.blocks": 1, **PATCH, "loss": "relativistic_paired", "penalty": "finite_difference",
        },
        channels=3,
    ),
    "segment": Case({**PAIRED, **PATCH, "task": "segment", "task.rare": 0.5, "penalty": "r1", "penalty_share": 0.5}),
    "cycle": Case({**PAIRED, **PATCH, "task": "cycle", "task.identity": 0.5, "penalty": "r1", "loss": "least_squares"}),
    "batch norm": Case(
        {
            **DCGAN, "task": "condition", "generator.conditional_norm": True, "discriminator": "dcgan",
            "discriminator.norm": "spectral", "loss": "hinge", "penalty": "r1_r2", "penalty_every": 2,
        },
        micro=False,
    ),
    "spectral": Case(
        {
            "discriminator": "dcgan", "discriminator.norm": "spectral", "discriminator.width": 8, "penalty": "r1",
            "discriminator.bottom": 4,
        }
    ),
    "batch norm of both": Case(
        {
            **DCGAN, "discriminator": "dcgan", "discriminator.width": 8, "discriminator.norm": "batch",
            "discriminator.bottom": 2,
        },
        micro=False,
    ),
    "minibatch_std": Case({"discriminator.minibatch_std": True, "penalty": "finite_difference"}, micro=False),
    "style": Case(
        {
            "generator": "style", "generator.width": 8, "generator.bottom": 4, "generator.styles": 8, "penalty": "r1",
            "discriminator": "style", "discriminator.width": 8, "discriminator.bottom": 4, "pathlength": 2.0,
            "pathlength.every": 2,
        }
    ),
    "fastgan": Case(
        {
            "generator": "fastgan", "generator.width": 8, "generator.bottom": 4, "discriminator": "fastgan",
            "discriminator.width": 8, "discriminator.bottom": 4, "loss": "hinge", "penalty": "r1_r2",
        },
        micro=False,
    ),
    "logan": Case({"task": "logan", "penalty": "r1"}),
    "growing": Case({"prior": "growing", "penalty": "r1"}),
    "mixture": Case({"prior": "mixture", "prior.components": 3}),
    "learned": Case({"prior": "learned", "prior.components": 3}),
    "colours": Case({"optimizer": "AdamW", "optimizer.weight_decay": 0.1, "views": "color,cutout", "penalty": "r1"}),
    "evolution": Case({"learner": "evolution", "learner.pairs": 4, "loss": "relativistic_average"}, images=False),
    "extragradient": Case({"learner": "extragradient", "penalty": "r1"}, images=False),
    "lookahead": Case({"learner": "lookahead", "learner.every": 2, "penalty": "r1"}, images=False),
    "optimistic": Case({"optimizer": "OptimisticAdam", "penalty": "r1"}, images=False),
}  # fmt: skip
"""Runs by name."""


def config_of(case: Case) -> Config:
    """The configuration of a case."""
    nets = {} if case.images else {"generator": "mlp", "discriminator": "mlp", "generator.width": 8}
    base = dict(SMALL) if case.images else {k: v for k, v in SMALL.items() if not k.startswith(("gener", "discr"))}
    config = replace(Config(), images=BATCH * ROUNDS)
    changes = {**base, **nets, **case.settings}
    for name in ("generator", "discriminator", "prior"):  # a new name drops the options of the one before
        if name in case.settings:
            mine = [key for key in case.settings if key.startswith(f"{name}.")]
            changes = {k: v for k, v in changes.items() if not k.startswith(f"{name}.") or k in mine}
    return with_settings(config, changes)


def data_of(case: Case) -> Dataset:
    """Random items with classes, a fifth of them unknown, sources and maps of labels."""
    rng = torch.Generator().manual_seed(1)
    n = 50
    y = torch.randint(-1, 3, (n,), generator=rng)
    classes = ("a", "b", "c")
    if not case.images:
        points = torch.randn(n, 2, generator=rng).float()
        return Dataset(points, Units((-3.0,), (3.0,), "float32"), y, classes, kind="toy")
    x = torch.randint(0, 256, (n, case.channels, 8, 8), generator=rng, dtype=torch.uint8)
    labels = torch.randint(0, 3, (n, 8, 8), generator=rng, dtype=torch.uint8)
    labels[:, :2] = 255
    beside = {"source": Beside(x.flip(0).clone(), BYTE), "labels": Beside(labels, None, Palette.plain(3))}
    wanted = {"segment": ("labels",)}.get(str(case.settings.get("task")), ("source",))
    c, conditions = torch.randint(0, 2, (n, 2), generator=rng).float(), Conditions(("p", "q"), UNIT, True)
    return Dataset(x, BYTE, y, classes, c=c, conditions=conditions, beside={name: beside[name] for name in wanted})


@dataclass
class Wide:
    """A feed whose numbers are of torch's default type."""

    feed: Feed

    @property
    def size(self) -> int:
        return self.feed.size

    def at(self, position: int) -> dict[str, Tensor]:
        batch = self.feed.at(position)
        return {k: v.to(torch.get_default_dtype()) if v.is_floating_point() else v for k, v in batch.items()}


def played(
    name: str, accumulate: int = 1, precision: str = "float32", rounds: int = ROUNDS, shard: bool = False
) -> dict[str, Tensor]:
    """The parameters, buffers, averages and latest terms of a case that was played, in torch's default type."""
    if name in BY_HAND:
        return BY_HAND[name](accumulate)
    case = CASES[name]
    config = replace(config_of(case), accumulate=accumulate, precision=precision, shard_optimizer=shard)
    run = Run(config, data_of(case))
    stir(run.game.players)
    listeners = [one for name, one in run.listeners.items() if name != "leak"]  # which looks on, in float32
    return outcome(run, listeners, rounds)


def outcome(run: Run, listeners: list[Any], rounds: int = ROUNDS) -> dict[str, Tensor]:
    """What a run is left with after so many rounds."""
    return _result(run.game, run.learner, run.engine, Wide(run.feed), listeners, rounds * BATCH)


@torch.no_grad()
def stir(players: Players) -> None:
    """Moves biases away from 0, where a rounding decides on which side of a kink an activation lies."""
    rng = torch.Generator().manual_seed(5)
    for player in players.values():
        for parameter in player.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=rng, dtype=parameter.dtype))


def _result(
    game: Game, learner: Any, engine: Local, feed: Feed, listeners: list[Any], images: int
) -> dict[str, Tensor]:
    class Terms:
        def begin(self, training: Any) -> None: ...

        def after_round(self, training: Any) -> None:
            self.terms = {f"term {k}": v.clone() for k, v in training.terms.items()}

        def end(self, training: Any) -> None: ...

    terms = Terms()
    train(game, feed, learner, engine, images=images, seed=3, listeners=[*listeners, terms])
    values = {f"{n}/{k}": v.clone() for n, p in game.players.items() for k, v in p.state_dict().items()}
    for listener in listeners:
        copies = getattr(listener, "copies", {})
        values |= {f"copy {n}/{k}": v.clone() for n, p in copies.items() for k, v in p.state_dict().items()}
    return values | terms.terms


# By hand: tasks that are not played by runs ------------------------------------------------------------------------


class Points:
    """Points with classes, a pure function of the position."""

    size = BATCH

    def at(self, position: int) -> dict[str, Tensor]:
        rng = torch.Generator().manual_seed(position)
        return {"x": torch.randn(BATCH, 2, generator=rng), "y": torch.randint(-1, 3, (BATCH,), generator=rng)}


def by_hand(task: Any, players: dict[str, nn.Module], feed: Feed, accumulate: int) -> dict[str, Tensor]:
    engine = build_engine(with_settings(Config(), {"batch": BATCH, "accumulate": accumulate, "device": "cpu"}))
    learner = Gradient({name: torch.optim.Adam(p.parameters(), 1e-3, eps=1e-4) for name, p in players.items()})
    return _result(Game(task, players), learner, engine, feed, [], BATCH * ROUNDS)


@dataclass
class Doubled:
    """A feed in float64, which data are not held in."""

    feed: Feed
    size: int = BATCH

    def at(self, position: int) -> dict[str, Tensor]:
        return {name: x.double() if x.is_floating_point() else x for name, x in self.feed.at(position).items()}


def small(seed: int, inputs: int, outputs: int) -> nn.Module:
    torch.manual_seed(seed)
    return mlp.Discriminator((inputs,), width=8, outputs=outputs)


def classify(accumulate: int) -> dict[str, Tensor]:
    torch.manual_seed(0)
    players: dict[str, nn.Module] = {"generator": mlp.Generator(4, (2,), width=8), "discriminator": small(1, 2, 3)}
    task = Classify(
        prior=Normal(4),
        classes=3,
        entropy=0.1,
        pull_away=0.2,
        noise=0.1,
        consistency=0.5,
        threshold=0.34,
        shares=(0.5, 0.3, 0.2),
        unsupervised=0.5,
    )
    x, y = torch.linspace(-1, 1, 14).view(7, 2), torch.arange(7) % 3
    labelled = Dataset(x.float(), Units((-1,), (1,), "float32"), y, tuple("abc"), kind="table")
    return by_hand(task, players, Doubled(WithLabels(Points(), labelled, torch.arange(7), 7)), accumulate)


def bidirectional(accumulate: int) -> dict[str, Tensor]:
    torch.manual_seed(0)
    players: dict[str, nn.Module] = {
        "generator": mlp.Generator(4, (2,), width=8), "encoder": small(1, 2, 8), "discriminator": small(2, 6, 1)
    }  # fmt: skip
    task = Bidirectional(Normal(4), Contest(relativistic_average, r1, every=2), spread=True, cycle=0.5)
    return by_hand(task, players, Points(), accumulate)


def infer(accumulate: int) -> dict[str, Tensor]:
    torch.manual_seed(0)
    players: dict[str, nn.Module] = {"generator": mlp.Generator(4, (2,), width=8), "encoder": small(1, 2, 8)}
    return by_hand(Infer(Normal(4), spread=True), players, Points(), accumulate)


BY_HAND: dict[str, Callable[[int], dict[str, Tensor]]] = {
    "classify": classify,
    "bidirectional": bidirectional,
    "infer": infer,
}


def furthest(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> tuple[float, str]:
    """The largest difference of two results, and where it is."""
    assert one.keys() == other.keys(), one.keys() ^ other.keys()
    return max((float((one[k].double() - other[k].double()).abs().max()), k) for k in one if one[k].numel())


@contextmanager
def float64() -> Iterator[None]:
    """Numbers are of type float64 inside, unless a type is named."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def as_launched(rank: int, size: int, port: int) -> None:
    """Sets what a launcher says to a process."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


__all__ = [
    "BY_HAND", "CASES", "Players", "Run", "as_launched", "build_learner", "config_of", "data_of", "float64", "furthest",
    "outcome", "played",
]  # fmt: skip
