"""A trained run: its players, what they can be asked for, and their answers in the data's own units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any
from warnings import warn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from evenodds.errors import BadInput, Remark
from evenodds.files.memory import require_room
from evenodds.files.misfit import shortened
from evenodds.files.text import quoted, visible
from evenodds.game import checkpoint
from evenodds.game.checkpoint import PlayersState, best_of
from evenodds.game.engine import Local, pick_device
from evenodds.game.history import read_history
from evenodds.game.listeners.milestone import EARLIER
from evenodds.game.rules import Batch, State
from evenodds.game.seeds import mix
from evenodds.parts.priors import Prior
from evenodds.runs.allowed import allowed, allowing
from evenodds.runs.build import build_players, build_task
from evenodds.runs.card import DataCard, read_card
from evenodds.runs.changes import named
from evenodds.runs.config import Config, require_allowed
from evenodds.runs.config_files import read
from evenodds.runs.folder_facts import require_run
from evenodds.runs.sample_conditions import SampleConditions
from evenodds.tasks._playable import Playable
from evenodds.tasks.contest import per_item

__all__ = ["Session", "load", "settle"]


@dataclass
class Session:
    """A run that can be sampled from. Made by `evenodds.fit` or `evenodds.load`.

    Args:
        folder: of the run.
        players: with the generator's average in place of the generator, in evaluation mode.
        images: real images that these players have seen.
        allow: modules of the user's own that what is done with the run may import.
        file: the exported file whose answers these players are; None of a run itself.

    Example:
        >>> import evenodds
        >>> session = evenodds.fit("ring", "ring", out="my-run", images=512, watch="off")
        >>> x = session.sample(100, seed=1)  # (100, 2) float32, the units of the data
        >>> session.probability_real(x).shape  # D(x), the discriminator's probability that x is real
        (100,)
        >>> session.prior(4, seed=0).shape  # z
        torch.Size([4, 16])
    """

    folder: Path
    config: Config
    card: DataCard
    task: Playable
    players: Mapping[str, nn.Module]
    device: torch.device
    images: int
    allow: tuple[str, ...] = ()
    file: Path | None = None

    def __repr__(self) -> str:
        """What it is, in one line."""
        of = f"of {self.file}" if self.file is not None else f"in {str(self.folder)!r}"
        shown = f"{self.images:,} of {self.config.images:,} {self.card.noun}"
        return f"<Session {of}: recipe {self.config.recipe}, task {self.config.task.name}, {shown} on {self.device}>"

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
            batch: of so many at a time; another number gives other samples.
            y: of a run that is conditional on classes, the number of the class of each sample.
            given: of one that is conditional on attributes or values, a number for each of them, in its own units. None
                for both: as they occur in the training items.

        Returns:
            (n, C, H, W) uint8 or uint16 for images of that depth; (n, D) float32 for toys; (n, D) float64 for tables,
            NaN where a cell is empty, or objects where columns are words, dates or times: str, date, datetime, time,
            int, float, None. The same seed gives the same samples; the first of a longer request are those of a
            shorter one.
        """
        return self.card.cells(self.numbers(n, seed, batch, y, given))

    def numbers(
        self,
        n: int,
        seed: int = 0,
        batch: int = 256,
        y: Sequence[int] | None = None,
        given: Mapping[str, float] | None = None,
    ) -> NDArray[Any]:
        """`sample`, with words, dates and times of a table as the numbers that stand for them."""
        if n < 1:
            raise BadInput(f"n must be at least 1, got {n}")
        if batch < 1:
            raise BadInput(f"batch must be at least 1, got {batch}")
        needed = 2 * n * prod(self.card.shape) * np.dtype(self.card.units.dtype).itemsize  # blocks, and all of them
        require_room(f"{n:,} samples", needed, "draw fewer at a time, each time with another seed")
        if y is not None and len(y) != n:
            raise BadInput(f"{n} samples need {n} classes, got {len(y)}")
        c = self.conditions.for_samples(n, seed, batch, y, given)
        blocks = []
        for k in range(0, n, batch):
            z = self.prior(batch, mix(seed, k // batch))[: n - k]
            blocks.append(self.render(z, c if c is None or len(c) == 1 else c[k : k + batch]))
        return np.concatenate(blocks)

    @property
    def conditions(self) -> SampleConditions:
        """What samples can be asked for."""
        return SampleConditions(self.task, self.card)

    @property
    def draws(self) -> bool:
        """Whether the run draws samples from noise; others make something of images."""
        return self.task.draws

    @property
    def draws_of_z_alone(self) -> bool:
        """Whether samples are drawn of z, and c, alone; others are drawn for an image and a mask."""
        return self.draws and set(self.task.request_names) <= {"z", "c"}

    @property
    def latent(self) -> Prior:
        """The prior of z; BadInput of a run that draws no samples."""
        self.require_samples()
        assert self.task.prior is not None
        return self.task.prior

    @property
    def at_work(self) -> str:
        """What is typed behind the program's name to put it to work."""
        return f"{self.task.command} {quoted(self.file or self.folder)} {self.task.usage}".rstrip()

    def require_samples(self) -> None:
        """BadInput of a run that draws no samples."""
        if not self.draws:
            raise BadInput(
                f"this run ({self.config.task.name}) draws no samples; put it to work: evenodds {self.at_work}"
            )

    def require_no_tables(self) -> None:
        """BadInput of a run that fills tables, where it is to be put to work on images."""
        if self.card.has_gaps:
            raise BadInput(
                f"a run that fills tables is put to work by: evenodds fill {quoted(self.folder)} TABLE.csv, or "
                f"evenodds serve {quoted(self.folder)}"
            )

    def prior(self, n: int, seed: int) -> Tensor:
        """(n, latent) draws of z."""
        return self.latent(n, torch.Generator().manual_seed(seed))

    def render(self, z: Tensor, c: Tensor | None = None) -> NDArray[Any]:
        """The samples of z (N, latent) in the data's own units, of tables as `numbers`; c as for `answer`."""
        return self.in_own_units(self.answer(z, c))

    def in_own_units(self, x: Tensor) -> NDArray[Any]:
        """Samples (N, ...) in [-1, 1] in the data's own units, of tables as `numbers`."""
        return np.asarray(self.card.units.to_data(x)).astype(self.card.units.dtype, copy=False)

    @torch.no_grad()
    def answer(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """The samples as the generator gives them, (N, C, H, W) or (N, D) in [-1, 1].

        Args:
            z: (N, latent).
            c: (N, K), or (1, K) for all, of a conditional run, see `conditions`; None: the first class, no attribute,
                or the middle of all values.
        """
        c = self.task.default_condition if c is None else c
        x: Tensor = self.unconditional(c)["generator"](z.to(self.device))
        return x.cpu().contiguous()

    @torch.no_grad()
    def reply(self, request: Batch) -> Batch:
        """The task's answer to a request, on the CPU; see the task's `answer`."""
        answer = self.task.answer(self.players, {name: value.to(self.device) for name, value in request.items()})
        return {name: value.cpu() for name, value in answer.items()}

    def unconditional(self, c: Tensor | None = None) -> dict[str, nn.Module]:
        """The players as those of plain generation: given c (N, K), or (1, K) for all, where the run has c.

        "generator" maps z to x. "discriminator" maps x to logits; runs without a discriminator of items lack it.
        """
        _ = self.latent  # refuses runs that draw no samples
        return self.task.unconditional(self.players, self.card.shape, None if c is None else c.to(self.device))

    def walk(self, steps: int = 48, stops: int = 4, seed: int = 0, c: Tensor | None = None) -> NDArray[Any]:
        """A closed walk through the latent space.

        Args:
            steps: frames in all.
            stops: random points on the way; 1 or more.
            c: (1, K) to stay at, of a conditional run. None: each stop has a c of its own, as samples have, and the way
                leads through what lies between.

        Returns:
            (steps, C, H, W) or (steps, D), in the data's own units.
        """
        if stops < 1 or steps < stops:
            raise BadInput(f"a walk needs 1 <= stops <= steps, got stops={stops}, steps={steps}")
        corners = self.prior(stops, mix(seed, 0))
        shares = [torch.arange(len(part)) / len(part) for part in np.array_split(np.arange(steps), stops)]
        z = [self.latent.between(corners[k], corners[(k + 1) % stops], share) for k, share in enumerate(shares)]
        known = self.conditions.by_class or bool(self.card.examples)  # of runs from before, no examples may be
        asked = self.conditions.sampled(stops, seed) if c is None and known else None
        if asked is not None:
            c = torch.cat([torch.lerp(asked[k], asked[(k + 1) % stops], t[:, None]) for k, t in enumerate(shares)])
        return self.render(torch.cat(z), c)

    @torch.no_grad()
    def probability_real(self, x: NDArray[Any], y: Sequence[int] | None = None) -> NDArray[np.float32]:
        """D(x), the discriminator's probability that x is real; of a conditional run, that x is real among class y.

        Args:
            x: (N, ...) in the data's own units.
            y: (N,) numbers of classes, for a conditional run.
        """
        if y is None and self.conditions.by_class:
            raise BadInput("this run is conditional on classes; give y, the number of the class of each item")
        players = self.unconditional(None if y is None else self.conditions.to_model(y))
        if "discriminator" not in players:
            raise BadInput(f"this run ({self.config.task.name}) has no discriminator that judges items")
        logits = per_item(players["discriminator"](self.card.to_model(x).to(self.device)))
        return np.asarray(logits.sigmoid().cpu(), np.float32)

    def history(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; a warning says how many are damaged and left out."""
        history = read_history(self.folder / "metrics.jsonl")
        if history.damaged:
            warn(history.complaint, Remark, stacklevel=2)
        return list(history.values)


def load(
    run: str | Path, checkpoint_name: str | int = "last", device: str = "auto", allow: Sequence[str] = ()
) -> Session:
    """A trained run, ready to be sampled from. Needs neither the data nor the script that trained it.

    Nothing in the folder is executed: names in it are those of evenodds.

    Args:
        run: its folder.
        checkpoint_name: "last", "best" (by the held-out score), or a number of images as in `checkpoints/`.
        device: "auto", "cpu", "cuda", "mps", ...
        allow: modules of your own that the run may import, e.g. ("my_module",); look at them first.

    Raises:
        BadInput: there is no run in the folder, or no checkpoint of that name; or the run names code of a module that
            is not allowed.

    Example:
        >>> import evenodds
        >>> session = evenodds.fit("ring", "ring", out="my-run", images=512, watch="off")
        >>> evenodds.load("my-run").sample(3, seed=1).shape
        (3, 2)
    """
    folder = Path(run)
    if folder.suffix == ".onnx" and folder.is_file():
        takers = "sample, fill, upscale, translate, segment, classify, encode, features and card"
        raise BadInput(f"{folder} is an exported file, and this needs the run itself; {takers} take such a file")
    require_run(folder)
    with allowing(allow):
        return _loaded(folder, str(checkpoint_name), device)


def _loaded(folder: Path, checkpoint_name: str, device: str) -> Session:
    """`load`, within what is allowed."""
    config = read(folder / "config.yaml")
    require_allowed(config, str(folder / "config.yaml"))
    path, states, header = chosen(folder / "checkpoints", checkpoint_name)
    card = read_card(folder)
    with named(str(folder / "config.yaml")):
        task = build_task(config, card)
        players = build_players(config, task, card.shape, card.row_blocks)
    try:
        _set(players, states)
    except BadInput as error:
        raise _unfit(path, error) from error
    place = pick_device(device)
    settle(players, config, place)
    return Session(folder, config, card, task, players, place, header.images, tuple(sorted(allowed())))


def settle(players: Mapping[str, nn.Module], config: Config, device: torch.device) -> None:
    """Networks of a run ready to answer: on a device, their weights in memory as they were in training.

    How weights lie decides the speed of convolutions, and their last bits: of networks that have just learned and of
    the same ones read from a file, answers would differ.
    """
    for player in Local(device, channels_last=config.channels_last).adopt(players).values():
        player.eval()


def _set(players: dict[str, nn.Module], states: Mapping[str, State]) -> None:
    """Gives the players what a checkpoint holds of them: averages in place of those that have one."""
    PlayersState(players).restore(states["players"])
    if "milestone" in states and states["milestone"].data.get("reached"):
        players[EARLIER] = deepcopy(players["generator"])
        PlayersState({EARLIER: players[EARLIER]}).restore(states["milestone"])
    if "average" in states:
        averaged = {key.split("/")[0] for key in states["average"].tensors}
        if unexpected := averaged - set(players):
            raise BadInput(f"the average is of players that this run does not have: {shortened(min(unexpected))}")
        PlayersState({name: players[name] for name in averaged}).restore(states["average"])


def _unfit(path: Path, error: BadInput) -> BadInput:
    """The error for a checkpoint of other players than the configuration names."""
    others = [other for other in checkpoint.listing(path.parent) if other != path]
    other = f", or take another one with --checkpoint {checkpoint.images_of(others[-1])}" if others else ""
    return BadInput(f"the checkpoint {path} is not of this run: {error}; restore config.yaml and data.json{other}")


PLAYED = ("players", "average", "milestone")
"""What of a checkpoint is needed to put a run to work."""


def chosen(folder: Path, name: str) -> tuple[Path, dict[str, State], checkpoint.Header]:
    """The checkpoint of that name: its folder, the states of players, its header.

    A newest one that is damaged is passed over, with a warning.
    """
    if name == "last":
        path, states, header, complaints = checkpoint.newest(folder, PLAYED)
        for complaint in complaints:
            warn(visible(complaint), Remark, stacklevel=3)
    else:
        named = best_of(folder) if name == "best" else _numbered(folder, name)
        if named is None:
            have = checkpoint.listing(folder)
            if name == "best" and have:
                raise BadInput(f"no checkpoint in {folder} has a score, so none is the best; take --checkpoint last")
            names = ["last", *(["best"] if best_of(folder) else []), *(str(checkpoint.images_of(p)) for p in have)]
            there = f"there are {', '.join(names)}" if have else "there is none"
            raise BadInput(f"no checkpoint '{name}' in {folder}; {there}")
        path = named
        states, header = checkpoint.load(path, needed=PLAYED)
    if "players" not in states:
        raise checkpoint.Damaged(path, "it holds no players")
    return path, states, header


def _numbered(folder: Path, name: str) -> Path | None:
    """The checkpoint after so many images."""
    return next((p for p in checkpoint.listing(folder) if p.name.lstrip("0") == name.lstrip("0")), None)
