"""An exported ONNX file put to work as the run that it is of, by onnxruntime; its networks are not built."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenodds.errors import BadInput
from evenodds.export.about import About, read_words
from evenodds.export.computing import Computing
from evenodds.export.entry import answer_names
from evenodds.export.inside import read_model
from evenodds.export.runtime import Runtime, opened
from evenodds.files.extras import named as named_extra
from evenodds.game.rules import Batch
from evenodds.parts.networks._roles import Scores
from evenodds.runs.build import build_task
from evenodds.runs.changes import named
from evenodds.runs.config import from_mapping, require_allowed
from evenodds.runs.session import Session

__all__ = ["load_model"]


def load_model(path: str | Path) -> Session:
    """A session whose players are an exported file, at work on the CPU.

    It gives what the run gives, as far as the file answers it: `sample`, `fill`, `upscale`, ... Nothing in the file is
    executed but operators of ONNX, and no other file is opened.

    Args:
        path: an .onnx file that `evenodds export` wrote.

    Raises:
        BadInput: it is no such file, or is damaged.
    """
    path = Path(path)
    about, content = _read(path)
    config = from_mapping(about.config, str(path))
    require_allowed(config, str(path))
    with named(str(path)):
        task = build_task(config, about.card)
    with named_extra(str(path)):
        runtime = opened(content, str(path))
    kind = RowFiller if about.card.has_gaps else PLAYERS[about.answers]
    player = kind(runtime, about, task.condition_length)
    players = Players({player.role: player.eval()})
    players.missing = f"{path} answers {about.answers} alone; export its run for this too, see evenodds export --help"
    place = torch.device("cpu")
    return Session(path.parent, config, about.card, task, players, place, about.images, file=path)


class Players(dict[str, nn.Module]):
    """The one player of a file; asked for others it says what the file is."""

    missing = ""

    def __missing__(self, name: str) -> nn.Module:
        raise BadInput(self.missing)


def _read(path: Path) -> tuple[About, bytes]:
    """What a file says of itself, and its bytes."""
    words, content = read_model(path)
    about = read_words(words, str(path))
    if about.answers not in PLAYERS:
        raise BadInput(f"{path} answers what this version does not know; use evenodds {about.version} or newer")
    return about, content


class Player(nn.Module):
    """A player of a game, whose answers onnxruntime computes."""

    role = "generator"

    def __init__(self, runtime: Runtime, about: About, conditions: int) -> None:
        super().__init__()
        self.about, self.conditions = about, conditions
        self.place = nn.Parameter(torch.zeros(0), requires_grad=False)
        self.margin, self.multiple, self.numbers_per_pixel = about.margin, about.multiple, about.numbers_per_pixel
        units = about.card.units
        source = about.card.beside.get("source")
        of_source = units if source is None or source.units is None else source.units
        self.file = Computing(runtime, about.inputs, about.outputs, units.scale, of_source.scale)

    def computed(self, **entries: Tensor) -> list[Tensor]:
        """The outputs for inputs by name; images are in [-1, 1]."""
        outputs = self.file(**{name: value.detach().numpy() for name, value in entries.items()})
        return [torch.from_numpy(np.array(value)) for value in outputs]


class Sampler(Player):
    """z (N, latent), with c (N, K) behind it -> x."""

    factor = 1.0

    def __init__(self, runtime: Runtime, about: About, conditions: int) -> None:
        super().__init__(runtime, about, conditions)
        if any(one.name == "truncation" for one in about.inputs):
            self.truncated = self._truncated

    def _truncated(self, factor: float) -> Sampler:
        """The same generator, drawn to the mean of its styles."""
        drawn_in = copy.copy(self)
        drawn_in.factor = factor
        return drawn_in

    def forward(self, zc: Tensor) -> Tensor:
        latent = zc.shape[1] - self.conditions
        entries = {"z": zc[:, :latent]}
        names = {one.name for one in self.about.inputs}
        if "y" in names:
            entries["y"] = _numbers(zc[:, latent:])
        if "c" in names:
            entries["c"] = zc[:, latent:]
        if "truncation" in names:
            entries["truncation"] = torch.tensor([self.factor])
        return self.computed(**entries)[0]


def _numbers(c: Tensor) -> Tensor:
    """The classes (N,) of c (N, K); -1 where there is none."""
    if not bool(((c == 0) | (c == 1)).all()) or bool((c.sum(1) > 1).any()):
        raise BadInput("this model takes one class at a time, and no mixtures; export the run with --one-hot")
    return torch.where(c.sum(1) > 0, c.argmax(1), -1)


class Filler(Player):
    """x (N, ...), mask (N, 1, ...), z (K N, latent) -> fillings (K N, ...)."""

    def forward(self, x: Tensor, mask: Tensor, z: Tensor) -> Tensor:
        times, x = len(z) // len(x), torch.where(mask > 0, x, -1.0)  # bytes have no 0 for what is hidden
        repeated = (part.repeat(times, *[1] * (part.dim() - 1)) for part in (x, mask))
        return self.computed(**dict(zip(("x", "mask"), repeated, strict=True)), z=z)[0]


class RowFiller(Player):
    """Empty cells of the rows of a table."""

    def answered(self, request: Batch) -> Batch:
        """As `evenodds.tasks.impute.Impute.answer`: the file draws words itself."""
        made = self.computed(**{name: request[name] for name in ("x", "mask", "z")})
        return {**dict(zip(answer_names(self.about.outputs), made, strict=True)), "mask": request["mask"]}


class Converter(Player):
    """source (N, C, H, W) -> x (N, C', s H, s W)."""

    def forward(self, source: Tensor) -> Tensor:
        return self.computed(source=source)[0]


class Labeller(Player):
    """source (N, C, H, W) -> logits (N, K, H, W), 1 for the class that the model gives and 0 for all others."""

    def forward(self, source: Tensor) -> Tensor:
        labels = self.computed(source=source)[0].long()
        return F.one_hot(labels, len(self.about.card.classes)).movedim(-1, 1).float()


class Encoder(Player):
    """x (N, ...) -> z, and estimates of c, (N, latent + K)."""

    role = "encoder"

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(self.computed(x=x), 1)


class Classifier(Player):
    """x (N, ...) -> log probabilities (N, K): logits of these probabilities."""

    role = "discriminator"

    def forward(self, x: Tensor, features: bool = False) -> Tensor:
        if features:
            raise BadInput("this model tells classes, and hands out no features; take the run itself")
        return self.computed(x=x)[0].clamp(min=torch.finfo(torch.float32).tiny).log()


class Seen(Player, Scores):
    """x (N, ...) -> features (N, F), without logits."""

    role = "discriminator"

    def forward(self, x: Tensor, features: bool = False) -> tuple[Tensor, Tensor]:
        if not features:
            raise BadInput("this model gives features, and no probability of being real; take the run itself")
        hidden = self.computed(x=x)[0]
        return hidden.new_zeros(len(hidden)), hidden


PLAYERS: Mapping[str, type[Player]] = {
    "sample": Sampler,
    "fill": Filler,
    "upscale": Converter,
    "translate": Converter,
    "segment": Labeller,
    "encode": Encoder,
    "features": Seen,
    "classify": Classifier,
}
"""By what a file answers."""
