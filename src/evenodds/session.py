"""A trained game at work: everything that a face needs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from evenodds import checkpoint, pictures
from evenodds.build import build_players, build_task, conditional
from evenodds.checkpoint import PlayersState
from evenodds.config import Config, read
from evenodds.data.dataset import Units
from evenodds.engine import pick_device
from evenodds.errors import BadInput, unknown
from evenodds.game import mix
from evenodds.listeners.log import read_history
from evenodds.listeners.save import best_of
from evenodds.tasks.condition import Condition
from evenodds.tasks.generate import Generate

__all__ = ["SPLIT_SEED", "DataCard", "Session", "load"]

SPLIT_SEED = 0
"""Of the split into training and held-out items: a function of the data alone, so that runs of every seed are judged
by the same items."""


@dataclass(frozen=True)
class DataCard:
    """What a run knows of its data without the data: enough to make samples in the data's own units."""

    kind: str
    """image, table or toy."""
    shape: tuple[int, ...]
    units: Units
    classes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    more: Mapping[str, Any] | None = None
    """Counts, fingerprint, held-out positions and the report of the intake."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        names = {"classes": list(self.classes), "columns": list(self.columns)}
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
        return DataCard(kind, shape, units, tuple(v.pop("classes")), tuple(v.pop("columns")), v)


@dataclass
class Session:
    """A run that can be sampled from. Made by `evenodds.fit` or `evenodds.load`.

    Args:
        folder: of the run.
        players: with the generator's average in place of the generator, in evaluation mode.
        images: real images that these players have seen.
    """

    folder: Path
    config: Config
    card: DataCard
    task: Generate
    players: Mapping[str, nn.Module]
    device: torch.device
    images: int

    def sample(self, n: int, seed: int = 0, batch: int = 256, y: Sequence[int] | None = None) -> NDArray[Any]:
        """Draws n samples in the data's own units.

        Args:
            y: the number of the class of each sample, for a conditional run; None: as `labels` draws them.

        Returns:
            (n, C, H, W) uint8 or uint16 for images of that depth; (n, D) float32 for tables and toys. The same seed
            gives the same samples; the first of a longer request are those of a shorter one.
        """
        if n < 1:
            raise BadInput(f"n must be at least 1, got {n}")
        if y is not None and not self.conditional:
            raise BadInput("this run is not conditional, so no class can be asked for; train with --set task=condition")
        if y is not None and len(y) != n:
            raise BadInput(f"{n} samples need {n} classes, got {len(y)}")
        wanted = self.labels(n, seed, batch) if y is None else np.asarray(y, np.int64)
        blocks = []
        for k in range(0, n, batch):
            z = self.prior(batch, mix(seed, k // batch))[: n - k]
            blocks.append(self.render(z, None if wanted is None else torch.as_tensor(wanted[k : k + batch])))
        return np.concatenate(blocks)

    def labels(self, n: int, seed: int = 0, batch: int = 256) -> NDArray[np.int64] | None:
        """(n,) the classes of `sample(n, seed)` where none are asked for: drawn in the shares of the training items.

        None for a run that is not conditional.
        """
        if not self.conditional:
            return None
        counts = torch.tensor((self.card.more or {}).get("class_counts") or [1] * len(self.card.classes))
        ends = (counts / counts.sum()).cumsum(0)[:-1]
        rngs = (torch.Generator().manual_seed(mix(seed, k, 1)) for k in range(-(-n // batch)))
        drawn = torch.cat([torch.bucketize(torch.rand(batch, generator=rng), ends) for rng in rngs])
        return np.asarray(drawn[:n], np.int64)

    @property
    def conditional(self) -> bool:
        """Whether samples are asked for by class."""
        return conditional(self.config)

    def class_number(self, name: str) -> int:
        """The number of a class; BadInput with the list where there is none of that name."""
        if name not in self.card.classes:
            raise unknown("class", name, self.card.classes)
        return self.card.classes.index(name)

    def prior(self, n: int, seed: int) -> Tensor:
        """(n, latent) draws of z."""
        rng = torch.Generator().manual_seed(seed)
        return self.task.prior(n, rng)

    def render(self, z: Tensor, y: Tensor | None = None) -> NDArray[Any]:
        """The samples of z (N, latent) and, for a conditional run, y (N,) int64, in the data's own units."""
        return np.asarray(self.card.units.to_data(self.answer(z, y))).astype(self.card.units.dtype, copy=False)

    def answer(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The samples as the generator gives them, (N, C, H, W) or (N, D) in [-1, 1].

        Args:
            z: (N, latent).
            y: (N,) int64, for a conditional run; None: the first class.
        """
        request = {"z": z.to(self.device)}
        if self.conditional:
            request["y"] = (torch.zeros(len(z), dtype=torch.int64) if y is None else y).to(self.device)
        return self.task.answer(self.players, request)["x"].cpu().contiguous()

    def bound(self, y: Tensor | None) -> dict[str, nn.Module]:
        """The players as those of an unconditional game: given y (N,) int64 where the run is conditional."""
        if not isinstance(self.task, Condition):
            return dict(self.players)
        if y is None:
            raise BadInput("a conditional discriminator judges x by its class; give y")
        c = self.task.condition({"y": y.to(self.device)})
        generator, discriminator = self.task.given(self.players, c)
        return {"generator": generator, "discriminator": discriminator}

    def walk(self, steps: int = 48, stops: int = 4, seed: int = 0, y: int = 0) -> NDArray[Any]:
        """A closed walk through the latent space.

        Args:
            steps: frames in all.
            stops: random points on the way; 1 or more.
            y: the number of the class to stay in, for a conditional run.

        Returns:
            (steps, C, H, W) or (steps, D), in the data's own units.
        """
        if stops < 1 or steps < stops:
            raise BadInput(f"a walk needs 1 <= stops <= steps, got stops={stops}, steps={steps}")
        corners = self.prior(stops, mix(seed, 0))
        parts = np.array_split(np.arange(steps), stops)
        z = [
            self.task.prior.between(corners[k], corners[(k + 1) % stops], torch.arange(len(p)) / len(p))
            for k, p in enumerate(parts)
        ]
        return self.render(torch.cat(z), torch.full((steps,), y))

    @torch.no_grad()
    def judge(self, x: NDArray[Any], y: Sequence[int] | None = None) -> NDArray[np.float32]:
        """D(x), the discriminator's probability that x is real; of a conditional run, that x is real among class y.

        Args:
            x: (N, ...) in the data's own units.
            y: (N,) numbers of classes, for a conditional run.
        """
        discriminator = self.bound(None if y is None else torch.as_tensor(y))["discriminator"]
        logits = discriminator(self.inside(x).to(self.device))
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
    """
    folder = Path(run)
    if folder.is_file():
        raise BadInput(f"a run is a folder with a config.yaml, got the file {folder}; evenodds opens no pickles")
    if not (folder / "config.yaml").is_file():
        raise BadInput(f"no run at {folder}: it has no config.yaml; runs are made by `evenodds train`")
    config = read(folder / "config.yaml")
    states, header = chosen(folder / "checkpoints", checkpoint_name)
    card = read_card(folder)
    players = build_players(config, card.shape, len(card.classes))
    PlayersState(players).restore(states["players"])
    if "average" in states:
        averaged = {key.split("/")[0] for key in states["average"].tensors}
        PlayersState({name: players[name] for name in averaged}).restore(states["average"])
    place = pick_device(device)
    for player in players.values():
        player.to(place).eval()
    task = build_task(config, classes=len(card.classes))
    return Session(folder, config, card, task, players, place, int(header["progress"]["images"]))


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
