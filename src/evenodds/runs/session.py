"""A trained game at work: everything that a face needs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from evenodds.data.dataset import Beside, Conditions, Units
from evenodds.data.palette import Palette
from evenodds.errors import BadInput, unknown
from evenodds.game import checkpoint
from evenodds.game.checkpoint import PlayersState
from evenodds.game.engine import pick_device
from evenodds.game.listeners.log import read_history
from evenodds.game.listeners.milestone import EARLIER
from evenodds.game.listeners.save import best_of
from evenodds.game.rules import mix
from evenodds.runs.build import build_players, build_task
from evenodds.runs.config import Config, read
from evenodds.show import pictures
from evenodds.tasks._given import one_hot
from evenodds.tasks._paired import FromSource
from evenodds.tasks._seats import Played
from evenodds.tasks.condition import Condition
from evenodds.tasks.contest import per_item
from evenodds.tasks.generate import Generate

__all__ = ["SPLIT_SEED", "BesideCard", "DataCard", "Session", "load"]

SPLIT_SEED = 0
"""Of the split into training and held-out items: a function of the data alone, so that runs of every seed are judged
by the same items."""


@dataclass(frozen=True)
class BesideCard:
    """What a run knows of what lay beside its data; see evenodds.data.dataset.Beside."""

    shape: tuple[int, ...]
    units: Units | None = None
    palette: Palette | None = None

    @staticmethod
    def of(beside: Mapping[str, Beside], classes: int) -> dict[str, BesideCard]:
        """That of each; labels whose values in files are not known are taken to be these values."""
        plain = Palette.plain(classes) if classes else None
        palettes = {name: one.palette or plain if one.units is None else None for name, one in beside.items()}
        return {name: BesideCard(one.shape, one.units, palettes[name]) for name, one in beside.items()}

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        known = {"units": self.units, "palette": self.palette}
        return {"shape": list(self.shape), **{key: one.to_json() for key, one in known.items() if one is not None}}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> BesideCard:
        """Reads what to_json wrote."""
        units, palette = values.get("units"), values.get("palette")
        return BesideCard(
            tuple(values["shape"]), units and Units.from_json(units), palette and Palette.from_json(palette)
        )


@dataclass(frozen=True)
class DataCard:
    """What a run knows of its data without the data: enough to make samples in the data's own units."""

    kind: str
    """image, table or toy."""
    shape: tuple[int, ...]
    units: Units
    classes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    conditions: Conditions | None = None
    """What is known of each item beside its class."""
    beside: Mapping[str, BesideCard] = field(default_factory=dict)
    """What lay beside each item, by name."""
    more: Mapping[str, Any] | None = None
    """Counts, fingerprint, held-out positions and the report of the intake."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        names: dict[str, Any] = {"classes": list(self.classes), "columns": list(self.columns)}
        if self.conditions is not None:
            names["conditions"] = self.conditions.to_json()
        if self.beside:
            names["beside"] = {name: one.to_json() for name, one in self.beside.items()}
        return {
            "kind": self.kind,
            "shape": list(self.shape),
            "units": self.units.to_json(),
            **names,
            **(self.more or {}),
        }

    @staticmethod
    def from_json(values: dict[str, Any]) -> DataCard:
        """Reads what to_json wrote."""
        v = dict(values)
        kind, shape, units = v.pop("kind"), tuple(v.pop("shape")), Units.from_json(v.pop("units"))
        classes, columns, named = tuple(v.pop("classes")), tuple(v.pop("columns")), v.pop("conditions", None)
        conditions = None if named is None else Conditions.from_json(named)
        beside = {name: BesideCard.from_json(one) for name, one in v.pop("beside", {}).items()}
        return DataCard(kind, shape, units, classes, columns, conditions, beside, v)


@dataclass
class Session:
    """A run that can be sampled from. Made by `evenodds.fit` or `evenodds.load`.

    Args:
        folder: of the run.
        players: with the generator's average in place of the generator, in evaluation mode.
        images: real images that these players have seen.

    Example:
        >>> import evenodds
        >>> session = evenodds.fit("ring", "ring", out="my-run", images=512, watch="off")
        >>> x = session.sample(100, seed=1)  # (100, 2) float32, the units of the data
        >>> session.judge(x).shape  # D(x), the discriminator's probability that x is real
        (100,)
        >>> session.prior(4, seed=0).shape  # z
        torch.Size([4, 16])
    """

    folder: Path
    config: Config
    card: DataCard
    task: Played
    players: Mapping[str, nn.Module]
    device: torch.device
    images: int

    def sample(
        self,
        n: int,
        seed: int = 0,
        batch: int = 256,
        y: Sequence[int] | None = None,
        given: Mapping[str, float] | None = None,
    ) -> NDArray[Any]:
        """Draws n samples in the data's own units.

        Args:
            y: of a run that is conditional on classes, the number of the class of each sample.
            given: of one that is conditional on attributes or values, a number for each of them, in its own units. None
                for both: as they occur in the training items.

        Returns:
            (n, C, H, W) uint8 or uint16 for images of that depth; (n, D) float32 for tables and toys. The same seed
            gives the same samples; the first of a longer request are those of a shorter one.
        """
        if n < 1:
            raise BadInput(f"n must be at least 1, got {n}")
        if y is not None and len(y) != n:
            raise BadInput(f"{n} samples need {n} classes, got {len(y)}")
        c = self.drawn(n, seed, batch) if y is None and given is None else self.asked(y, given)
        blocks = []
        for k in range(0, n, batch):
            z = self.prior(batch, mix(seed, k // batch))[: n - k]
            blocks.append(self.render(z, c if c is None or len(c) == 1 else c[k : k + batch]))
        return np.concatenate(blocks)

    def asked(self, y: Sequence[int] | None = None, given: Mapping[str, float] | None = None) -> Tensor:
        """c (N, K) of classes, or (1, K) of attributes or values; BadInput where the run does not know such."""
        task = self.task
        if not isinstance(task, Condition):
            raise BadInput("this run is not conditional, so nothing can be asked for; train with --set task=condition")
        if (y is None) == (given is None) or (y is None) == (task.kind == "classes"):
            raise BadInput(f"this run is conditional on {self._conditions()}; ask for these, and nothing else")
        if y is not None:
            if len(y) and not 0 <= min(y) <= max(y) < task.length:
                raise BadInput(f"classes have the numbers 0 to {task.length - 1}, got {min(y)} to {max(y)}")
            return one_hot(torch.as_tensor(y), task.length)
        assert self.card.conditions is not None
        return self.card.conditions.to_model(given or {})

    def _conditions(self) -> str:
        named = self.card.classes if self.classed or self.card.conditions is None else self.card.conditions.names
        return f"{'classes' if self.classed else 'values'} ({', '.join(named)})"

    def drawn(self, n: int, seed: int = 0, batch: int = 256) -> Tensor | None:
        """c (n, K) of `sample(n, seed)` where nothing is asked for: as it occurs in the training items.

        None for a run that is not conditional.
        """
        if not isinstance(self.task, Condition):
            return None
        if self.classed:
            return one_hot(torch.from_numpy(self.labels(n, seed, batch)), self.task.length)
        some = torch.tensor((self.card.more or {})["examples"])
        assert self.card.conditions is not None
        picked = torch.cat([torch.randint(len(some), (batch,), generator=rng) for rng in _rngs(n, seed, batch)])
        return self.card.conditions.units.to_model(some[picked[:n]])

    def labels(self, n: int, seed: int = 0, batch: int = 256) -> NDArray[np.int64] | None:
        """(n,) the classes of `sample(n, seed)` where none are asked for: drawn in the shares of the training items.

        None for a run that is not conditional on classes.
        """
        if not self.classed:
            return None
        counts = torch.tensor((self.card.more or {}).get("class_counts") or [1] * len(self.card.classes))
        ends = (counts / counts.sum()).cumsum(0)[:-1]
        rngs = _rngs(n, seed, batch)
        drawn = torch.cat([torch.bucketize(torch.rand(batch, generator=rng), ends) for rng in rngs])
        return np.asarray(drawn[:n], np.int64)

    @property
    def conditional(self) -> bool:
        """Whether something can be asked for: a class, attributes or values."""
        return isinstance(self.task, Condition)

    @property
    def classed(self) -> bool:
        """Whether samples are asked for by class."""
        return isinstance(self.task, Condition) and self.task.kind == "classes"

    def class_number(self, name: str) -> int:
        """The number of a class; BadInput with the list where there is none of that name."""
        if name not in self.card.classes:
            raise unknown("class", name, self.card.classes)
        return self.card.classes.index(name)

    @property
    def draws(self) -> bool:
        """Whether the run draws samples from noise; others make something of images."""
        return isinstance(self.task, Generate)

    @property
    def command(self) -> str:
        """The command that puts the run to work."""
        return self.task.command if isinstance(self.task, FromSource) else "sample"

    @property
    def sampled(self) -> Generate:
        """The task, of a run that draws samples; BadInput of others."""
        if not isinstance(self.task, Generate):
            raise BadInput(
                f"this run ({self.config.task.name}) draws no samples, it makes something of images: "
                f"evenodds {self.command} {self.folder} IN OUT"
            )
        return self.task

    def prior(self, n: int, seed: int) -> Tensor:
        """(n, latent) draws of z."""
        rng = torch.Generator().manual_seed(seed)
        return self.sampled.prior(n, rng)

    def render(self, z: Tensor, c: Tensor | None = None) -> NDArray[Any]:
        """The samples of z (N, latent) in the data's own units; c as for `answer`."""
        return np.asarray(self.card.units.to_data(self.answer(z, c))).astype(self.card.units.dtype, copy=False)

    @torch.no_grad()
    def answer(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """The samples as the generator gives them, (N, C, H, W) or (N, D) in [-1, 1].

        Args:
            z: (N, latent).
            c: (N, K), or (1, K) for all, of a conditional run, see `asked`; None: the first class, or the middle of all
                values.
        """
        x: Tensor = self.bound(self.first if c is None else c)["generator"](z.to(self.device))
        return x.cpu().contiguous()

    @property
    def first(self) -> Tensor | None:
        """c (1, K) where nothing is asked for; None of a run that is not conditional."""
        if not isinstance(self.task, Condition):
            return None
        return one_hot(torch.zeros(1, dtype=torch.int64), self.task.length) * float(self.classed)

    def bound(self, c: Tensor | None = None) -> dict[str, nn.Module]:
        """The players as those of an unconditional game: given c (N, K), or (1, K) for all, where the run has c."""
        return self.sampled.unconditional(self.players, self.card.shape, None if c is None else c.to(self.device))

    def walk(self, steps: int = 48, stops: int = 4, seed: int = 0, c: Tensor | None = None) -> NDArray[Any]:
        """A closed walk through the latent space.

        Args:
            steps: frames in all.
            stops: random points on the way; 1 or more.
            c: (1, K) to stay at, of a conditional run; as for `answer`.

        Returns:
            (steps, C, H, W) or (steps, D), in the data's own units.
        """
        if stops < 1 or steps < stops:
            raise BadInput(f"a walk needs 1 <= stops <= steps, got stops={stops}, steps={steps}")
        corners = self.prior(stops, mix(seed, 0))
        parts = np.array_split(np.arange(steps), stops)
        z = [
            self.sampled.prior.between(corners[k], corners[(k + 1) % stops], torch.arange(len(p)) / len(p))
            for k, p in enumerate(parts)
        ]
        return self.render(torch.cat(z), c)

    @torch.no_grad()
    def judge(self, x: NDArray[Any], y: Sequence[int] | None = None) -> NDArray[np.float32]:
        """D(x), the discriminator's probability that x is real; of a conditional run, that x is real among class y.

        Args:
            x: (N, ...) in the data's own units.
            y: (N,) numbers of classes, for a conditional run.
        """
        discriminator = self.bound(None if y is None else self.asked(y))["discriminator"]
        logits = per_item(discriminator(self.inside(x).to(self.device)))
        return np.asarray(logits.sigmoid().cpu(), np.float32)

    def picture(self, x: NDArray[Any], columns: int | None = None, least: int = 384) -> pictures.Pixels:
        """Samples as one (C, H, W) uint8 picture: a grid of images, or a cloud of points."""
        if self.card.kind != "image":
            pairs = list(zip(self.card.units.low, self.card.units.high, strict=True))
            margins = [0.05 * (high - low) for low, high in pairs]
            low = [pair[0] - margin for pair, margin in zip(pairs, margins, strict=True)]
            high = [pair[1] + margin for pair, margin in zip(pairs, margins, strict=True)]
            return pictures.cloud(x, low, high)
        return pictures.enlarge(pictures.grid(self.eight_bit(x), columns), least)

    def eight_bit(self, x: NDArray[Any]) -> NDArray[np.uint8]:
        """Images in the data's own units as 8 bit, for showing."""
        return np.asarray(((self.inside(x) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8))

    def inside(self, x: NDArray[Any]) -> Tensor:
        """(N, ...) in the data's own units -> float32 in [-1, 1]."""
        return self.card.units.to_model(torch.as_tensor(x.astype(np.int32) if x.dtype == np.uint16 else x))

    def history(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        return read_history(self.folder / "metrics.jsonl")


def load(run: str | Path, checkpoint_name: str = "last", device: str = "auto") -> Session:
    """A trained run, ready to be sampled from. Needs neither the data nor the code that trained it.

    Args:
        run: its folder.
        checkpoint_name: "last", "best" (by the held-out score), or a number of images as in `checkpoints/`.
        device: "auto", "cpu", "cuda", "mps", ...

    Raises:
        BadInput: there is no run in the folder, or no checkpoint of that name.

    Example:
        >>> import evenodds
        >>> session = evenodds.fit("ring", "ring", out="my-run", images=512, watch="off")
        >>> evenodds.load("my-run").sample(3, seed=1).shape
        (3, 2)
    """
    folder = Path(run)
    if folder.is_file():
        raise BadInput(f"a run is a folder with a config.yaml, got the file {folder}; evenodds opens no pickles")
    if not (folder / "config.yaml").is_file():
        raise BadInput(f"no run at {folder}: it has no config.yaml; runs are made by `evenodds train`")
    config = read(folder / "config.yaml")
    states, header = chosen(folder / "checkpoints", checkpoint_name)
    card = read_card(folder)
    task = build_task(config, card)
    players = build_players(config, task, card.shape)
    PlayersState(players).restore(states["players"])
    if "milestone" in states and states["milestone"].data["reached"]:
        players[EARLIER] = deepcopy(players["generator"])
        PlayersState({EARLIER: players[EARLIER]}).restore(states["milestone"])
    if "average" in states:
        averaged = {key.split("/")[0] for key in states["average"].tensors}
        PlayersState({name: players[name] for name in averaged}).restore(states["average"])
    place = pick_device(device)
    for player in players.values():
        player.to(place).eval()
    return Session(folder, config, card, task, players, place, int(header["progress"]["images"]))


def _rngs(n: int, seed: int, batch: int) -> Iterator[torch.Generator]:
    """One for each batch of n draws of c."""
    return (torch.Generator().manual_seed(mix(seed, k, 1)) for k in range(-(-n // batch)))


def chosen(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The states and header of the checkpoint of that name."""
    if name == "last":
        states, header, _ = checkpoint.newest(folder)
        return states, header
    path = (
        best_of(folder)
        if name == "best"
        else next((p for p in checkpoint.listing(folder) if p.name.lstrip("0") == name.lstrip("0")), None)
    )
    if path is None:
        have = ", ".join(p.name.lstrip("0") for p in checkpoint.listing(folder)) or "none"
        raise BadInput(f"no checkpoint '{name}' in {folder}; there are last, best, {have}")
    return checkpoint.load(path)


def read_card(folder: Path) -> DataCard:
    """What a run's folder says of its data."""
    try:
        return DataCard.from_json(json.loads((folder / "data.json").read_text()))
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"{folder / 'data.json'} cannot be read: {error}") from error
