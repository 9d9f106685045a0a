"""An exported ONNX file put to work as the run that it is of, by onnxruntime; its networks are not built."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenodds.errors import BadInput
from evenodds.export.about import About, read_words
from evenodds.export.inside import read_model
from evenodds.export.runtime import Runtime, opened
from evenodds.export.units import FromModel, ToModel
from evenodds.files.extras import named as named_extra
from evenodds.parts.networks._roles import Scores
from evenodds.runs.build import build_task
from evenodds.runs.config import from_mapping, named, require_allowed
from evenodds.runs.session import Session

__all__ = ["load_model"]

_EXACT = 1e-3
"""What bytes differ by, in [-1, 1], from the numbers that they stand for: a level is 2 / 255 at least."""


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
    player = PLAYERS[about.answers](runtime, about, task.condition_length)
    players = Players({player.role: player.eval()})
    players.missing = f"{path} answers {about.answers} alone; export its run for this too, see evenodds export --help"
    return Session(path.parent, config, about.card, task, players, torch.device("cpu"), about.images)


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
        self.runtime, self.about, self.conditions = runtime, about, conditions
        self.place = nn.Parameter(torch.zeros(0), requires_grad=False)
        names = [one.name for one in about.inputs]
        expected = [one.name for one in runtime.session.get_inputs()]
        if sorted(names) != sorted(expected):
            raise BadInput(f"the model takes {', '.join(expected)[:80]}, and its metadata say otherwise; export again")
        self.margin, self.multiple, self.numbers_per_pixel = about.margin, about.multiple, about.numbers_per_pixel
        units = about.card.units
        source = about.card.beside.get("source")
        of_source = units if source is None or source.units is None else source.units
        self.to_bytes, self.to_model = FromModel(of_source), ToModel(units)

    def computed(self, **entries: Tensor) -> list[Tensor]:
        """The outputs for inputs by name, in float32."""
        given = {name: self._input(name, value) for name, value in entries.items()}
        return [torch.from_numpy(np.array(value)) for value in self.runtime.compute(given)]

    def image(self, value: Tensor) -> Tensor:
        """An output image in [-1, 1]."""
        x: Tensor = self.to_model(value) if self.about.uint8 else value
        return x

    def _input(self, name: str, value: Tensor) -> Any:
        entry = next(one for one in self.about.inputs if one.name == name)
        if entry.dtype != "uint8":
            return value.detach().contiguous().to(getattr(torch, entry.dtype)).numpy()
        if name == "mask":
            return (value > 0).to(torch.uint8).numpy()
        content = self.to_bytes(value)
        again = (content.float() - self.to_bytes.middle) / self.to_bytes.reach
        if float((again - value).abs().max()) > _EXACT:  # as of 16 bits, or of the luma of colours
            raise BadInput(
                "this model takes images of 8 bits of its own kind, and this one has finer steps; export the run "
                "without --uint8"
            )
        return content.numpy()


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
        return self.image(self.computed(**entries)[0])


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
        return self.image(self.computed(**dict(zip(("x", "mask"), repeated, strict=True)), z=z)[0])


class Converter(Player):
    """source (N, C, H, W) -> x (N, C', s H, s W)."""

    def forward(self, source: Tensor) -> Tensor:
        return self.image(self.computed(source=source)[0])


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
}
"""By what a file answers."""
