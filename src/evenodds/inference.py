"""A trained run read backwards: from x to the features of its discriminator, and to the z of its generator."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from evenodds import pictures
from evenodds.build import build_engine, open_data
from evenodds.config import Part
from evenodds.data.dataset import Dataset
from evenodds.data.sources import load_like
from evenodds.errors import BadInput
from evenodds.files import replaced
from evenodds.find import accepts, make, network
from evenodds.game import Batch, Game, mix
from evenodds.latent import directions, move, refine
from evenodds.learners import Gradient
from evenodds.networks._roles import Scores
from evenodds.schedule import cosine
from evenodds.session import Session
from evenodds.tasks.infer import Infer, encoder_options
from evenodds.trainer import Listener, train

__all__ = [
    "Codes",
    "directions_of",
    "encoder_of",
    "features",
    "items",
    "read_backwards",
    "walk_between",
    "write_codes",
    "write_directions",
    "write_features",
    "write_moved",
    "write_reconstructions",
]

ENCODER = "encoder.safetensors"
"""The file of a run's encoder, in the run's folder."""


def items(session: Session, source: Any = None, reading: Callable[[int, int], None] | None = None) -> Dataset:
    """Data in the shape that a run knows.

    Args:
        source: a folder, zip or single file of images, an array, ...; None for the data of the run.
        reading: told (files done, files in all).

    Raises:
        BadInput: the data have another shape.
    """
    if source is None:
        return open_data(session.config, reading)
    return load_like(source, session.card, "the items", reading)


@torch.no_grad()
def features(session: Session, x: Tensor, batch: int = 256) -> NDArray[np.float32]:
    """What the discriminator's last layer sees: inputs for a classifier where labels are few.

    Goodfellow et al. (2014), section 6, point 4: "features from the discriminator or inference net could improve
    performance of classifiers when limited labeled data is available".

    Args:
        x: (N, ...) in [-1, 1].

    Returns:
        (N, F).
    """
    discriminator = session.players["discriminator"]
    if not isinstance(discriminator, Scores):
        raise BadInput("this run's discriminator hands out no features; use one of `evenodds list networks`")
    if session.conditional and session.config.task.options.get("way") == "concatenation":
        raise BadInput("this run's discriminator sees x beside its class; train with --set task.way=projection")
    parts = [discriminator(part.to(session.device), features=True)[1].cpu() for part in torch.split(x, batch)]
    return np.asarray(torch.cat(parts).float())


def write_features(session: Session, source: Any, path: Path, reading: Any = None) -> tuple[int, int]:
    """Features of data as .npz: `features` (N, F); `y` (N,) names of classes, "" where unknown; returns N and F.

    Of the run's own data, `held_out` (N,) says which items it was not trained on.
    """
    data = items(session, source, reading)
    found = features(session, data.batch(torch.arange(len(data)))["x"])
    _write(path, {"features": found, **_beside(session, data, source)})
    return len(found), found.shape[1]


@dataclass(frozen=True)
class Codes:
    """What an encoder makes of items."""

    z: Tensor
    """(N, latent)."""
    x: Tensor
    """(N, ...) in [-1, 1]: the generator's answer to z."""
    error: float
    """Root mean squared difference of x and the items, in [0, 2]."""


def read_backwards(session: Session, x: Tensor, encoder: nn.Module, steps: int = 0, batch: int = 256) -> Codes:
    """The z of items, and what the generator makes of it.

    Args:
        x: (N, ...) in [-1, 1].
        steps: of refinement: descent in z from the encoder's answer on the squared error of the generator's.
    """
    generator, parts = session.players["generator"], []
    for part in torch.split(x, batch):
        with torch.no_grad():
            z = encoder(part.to(session.device)).view(len(part), -1)
        parts.append(refine(generator, part.to(session.device), z, steps=steps) if steps else z)
    z = torch.cat(parts).cpu()
    again = torch.cat([session.answer(part) for part in torch.split(z, batch)])
    return Codes(z, again, float((again - x).square().mean().sqrt()))


def write_codes(session: Session, source: Any, codes: Codes, data: Dataset, path: Path) -> None:
    """Codes as .npz: `z` (N, latent), and what `write_features` puts beside."""
    _write(path, {"z": codes.z.numpy(), **_beside(session, data, source)})


def write_reconstructions(session: Session, data: Dataset, codes: Codes, path: Path, columns: int = 16) -> Path:
    """A sheet of rows in pairs: items above the generator's answers to their codes."""
    if session.card.kind != "image":
        raise BadInput(f"reconstructions are drawn of images; this run's data is a {session.card.kind}, use encode")
    return _paired(session, data.batch(torch.arange(len(data)))["x"], codes.x, path, columns)


def walk_between(session: Session, first: Tensor, last: Tensor, path: Path, steps: int, encoder: nn.Module) -> Path:
    """A walk from the z of one image to that of another: an animation, or a strip where the file is a PNG.

    Args:
        first, last: (1, C, H, W) in [-1, 1].
        steps: frames, both ends among them.
    """
    if session.card.kind != "image":
        raise BadInput(f"a walk shows images; this run's data is a {session.card.kind}")
    if steps < 2:
        raise BadInput(f"a walk between two images needs steps >= 2, got {steps}")
    z = read_backwards(session, torch.cat([first, last]), encoder, steps=200).z
    between = session.task.prior.between(z[0], z[1], torch.linspace(0, 1, steps))
    return pictures.film(path, session.eight_bit(session.render(between)), min(steps, 12))


def directions_of(session: Session, n: int, how: str = "jacobian") -> Tensor:
    """(n, latent): the directions of z along which samples change most; see evenodds.latent.directions."""
    if session.conditional:
        raise BadInput("directions are found for runs without classes, this one is conditional; use another run")
    return directions(session.players["generator"], session.task.prior, n, how).cpu()


def write_directions(
    session: Session, path: Path, found: Tensor, by: float = 3.0, steps: int = 9, seed: int = 0
) -> Path:
    """A sheet with one row for each direction (n, latent): one sample, moved by -by to by along it."""
    _images_only(session)
    z = session.prior(1, mix(seed, 0)).repeat(steps, 1)
    moves = torch.linspace(-by, by, steps)
    made = session.render(torch.cat([move(z, one, moves) for one in found]))
    return pictures.write(path, session.picture(made, steps, 512))


def write_moved(session: Session, path: Path, direction: Tensor, by: float, n: int, seed: int = 0) -> Path:
    """A sheet of rows in pairs: samples, above the same ones moved along a direction (latent,)."""
    _images_only(session)
    z = session.prior(n, mix(seed, 0))
    return _paired(session, session.answer(z), session.answer(move(z, direction, by)), path, min(n, 16))


def _images_only(session: Session) -> None:
    if session.card.kind != "image":
        raise BadInput(f"directions are drawn of images; this run's data is a {session.card.kind}")


def _paired(session: Session, above: Tensor, below: Tensor, path: Path, columns: int) -> Path:
    """Two batches (N, C, H, W) in [-1, 1] as a sheet: rows of one above those of the other, blanks at the end."""
    rows = []
    for pair in zip(torch.split(above, columns), torch.split(below, columns), strict=True):
        rows += [torch.cat([row, row.new_ones(columns - len(row), *row.shape[1:])]) for row in pair]
    units = session.card.units
    shown = np.asarray(units.to_data(torch.cat(rows))).astype(units.dtype, copy=False)
    return pictures.write(path, session.picture(shown, columns, 512))


def encoder_of(
    session: Session, samples: int = 200_000, listeners: tuple[Listener, ...] = (), seed: int = 0
) -> nn.Module:
    """The encoder of a run: from its folder, or trained now on the generator's own samples and left there.

    An auxiliary network that predicts z given x, after training, as in wake-sleep: Goodfellow et al. (2014),
    section 6, point 2. It is of the discriminator's family, and needs no data.

    Args:
        samples: of the generator, to learn from.
        listeners: such as a progress bar.
    """
    if session.conditional:
        raise BadInput("an encoder is trained for runs without classes, this one is conditional; use another run")
    path, encoder = session.folder / ENCODER, _new_encoder(session, seed)
    if _made_for(path) == session.images:
        encoder.load_state_dict(load_file(path))
        return encoder.to(session.device).eval()
    engine = build_engine(replace(session.config, device=str(session.device), compile=False))
    players = {"encoder": encoder, "generator": deepcopy(session.players["generator"])}
    engine.adopt(players)
    rate = torch.optim.Adam(encoder.parameters(), 1e-3, betas=(0.9, 0.99))
    game = Game(Infer(session.task.prior), players)
    learner = Gradient({"encoder": rate}, cosine())
    train(game, _Nothing(session.config.batch), learner, engine, images=samples, seed=seed, listeners=listeners)
    with replaced(path) as temporary:
        state = {name: value.cpu().contiguous() for name, value in encoder.state_dict().items()}
        save_file(state, temporary, {"generator_images": str(session.images)})
    return encoder.eval()


def _made_for(path: Path) -> int | None:
    """After how many images the generator was of which this file's encoder learned; None where there is no file."""
    if not path.is_file():
        return None
    with safe_open(path, "pt") as file:
        return int((file.metadata() or {}).get("generator_images", -1))


def _new_encoder(session: Session, seed: int) -> nn.Module:
    """A network of the discriminator's family with one output for each entry of z."""
    part: Part = session.config.discriminator
    with torch.random.fork_rng():
        torch.manual_seed(mix(seed, -3))
        maker = network(part.name, "Discriminator")
        # Neither the noise nor the bounded slopes of a discriminator suit an encoder.
        kept = {key: value for key, value in part.options.items() if key not in ("norm", "noise", "minibatch_std")}
        plain = {"norm": "none"} if "norm" in accepts(maker) else {}
        options = {**kept, **plain, **encoder_options(session.task.prior.size)}
        encoder: nn.Module = make(f"encoder '{part.name}'", maker, options, session.card.shape)
    return encoder


@dataclass(frozen=True)
class _Nothing:
    """A feed for games that need no data: it gives the size of the batch alone."""

    size: int

    def at(self, position: int) -> Batch:
        return {"x": torch.zeros(self.size, 1)}


def _beside(session: Session, data: Dataset, source: Any) -> dict[str, NDArray[Any]]:
    beside: dict[str, NDArray[Any]] = {}
    if data.y is not None:
        beside["y"] = np.asarray([*data.classes, ""])[data.y.numpy()]
    if data.names:
        beside["names"] = np.asarray(data.names)
    if source is None:
        beside["held_out"] = np.isin(np.arange(len(data)), list((session.card.more or {}).get("held_out", [])))
    return beside


def _write(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    with replaced(path) as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]
