"""A trained run read backwards: from x to the features of its discriminator, and to the z of its generator."""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from evenodds.apply.latent import directions, move, refine
from evenodds.data.dataset import Dataset
from evenodds.data.sources import load_like
from evenodds.errors import BadInput
from evenodds.files.outputs import owned
from evenodds.files.tensors import read_tensors_and_words, write_tensors
from evenodds.files.write import Place, replaced
from evenodds.game.checkpoint import misfit
from evenodds.game.learners import Gradient
from evenodds.game.rules import Batch, Game, mix
from evenodds.game.schedule import cosine
from evenodds.game.trainer import Listener, train
from evenodds.parts.networks._roles import Scores
from evenodds.parts.priors import Coded
from evenodds.runs.allowed import allowing
from evenodds.runs.build import build_engine
from evenodds.runs.config import Part
from evenodds.runs.find import accepts, make, network
from evenodds.runs.run_data import open_run_data, same_data
from evenodds.runs.sample_picture import sample_picture
from evenodds.runs.session import Session
from evenodds.show import pictures
from evenodds.tasks._conditional import one_hot
from evenodds.tasks.infer import Infer, encoder_options

__all__ = [
    "Codes",
    "conditions_of",
    "directions_of",
    "encoder_of",
    "features",
    "items",
    "read_backwards",
    "walk_between",
    "write_code_sheet",
    "write_codes",
    "write_directions",
    "write_features",
    "write_moved",
    "write_reconstructions",
]

ENCODER = "encoder.safetensors"
ANEW = "delete it, and the encoder is learned anew"
"""The file of a run's encoder, in the run's folder."""
_OF_DIRECTIONS = partial(owned, command="directions")


def items(
    session: Session,
    source: Any = None,
    reading: Callable[[int, int], None] | None = None,
    most_pixels: int | None = None,
) -> Dataset:
    """Data in the shape that a run knows.

    Args:
        source: a folder, zip or single file of images, an array, ...; None for the data of the run.
        reading: told (files done, files in all).
        most_pixels: of a picture of the source; larger ones are not decoded. None: 89,478,485.

    Raises:
        BadInput: the data have another shape.
    """
    if source is None:
        with allowing(session.allow):
            return open_run_data(session.config, session.card, None, reading, "name data behind the run")
    return load_like(source, session.card, "the items", reading, most_pixels)


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
    discriminator = session.players.get("discriminator")
    if not isinstance(discriminator, Scores):
        raise BadInput("this run's discriminator hands out no features; use one of `evenodds list networks`")
    if not session.task.sees_x_alone:
        remedy = "; train with --set task.way=projection" if session.conditions.kind is not None else ""
        raise BadInput(f"this run's discriminator does not see x alone{remedy}")
    parts = [discriminator(part.to(session.device), features=True)[1].cpu() for part in torch.split(x, batch)]
    # Of a discriminator of patches, (N, P, F), the mean: its mean logit is linear in it.
    return np.asarray(torch.cat([hidden if hidden.dim() == 2 else hidden.mean(1) for hidden in parts]).float())


def write_features(
    session: Session, source: Any, path: Path, reading: Any = None, most_pixels: int | None = None
) -> tuple[int, int]:
    """Features of data as .npz: `features` (N, F); `y` (N,) names of classes, "" where unknown; returns N and F.

    Of the run's own data, `held_out` (N,) says which items it was not trained on.
    """
    data = items(session, source, reading, most_pixels)
    rows = features(session, data.batch(torch.arange(len(data)))["x"])
    _write(path, "features", {"features": rows, **_beside(session, data, source)})
    return len(rows), rows.shape[1]


@dataclass(frozen=True)
class Codes:
    """What an encoder makes of items."""

    z: Tensor
    """(N, latent)."""
    x: Tensor
    """(N, ...) in [-1, 1]: the generator's answer to z."""
    error: float
    """Root mean squared difference of x and the items, in [0, 2]."""
    c: Tensor | None = None
    """(N, K) of a conditional run: what was known of the items, or told by the encoder."""


def read_backwards(
    session: Session, x: Tensor, encoder: nn.Module, steps: int = 0, c: Tensor | None = None, batch: int = 256
) -> Codes:
    """The z of items, and what the generator makes of it.

    Args:
        x: (N, ...) in [-1, 1].
        steps: of refinement: descent in z from the encoder's answer on the squared error of the generator's.
        c: (N, K) of the items, of a conditional run; None: as the encoder tells.
    """
    latent, codes, answers, conditions = session.latent.size, [], [], []
    for k, part in enumerate(torch.split(x, batch)):
        with torch.no_grad():
            out = encoder(part.to(session.device)).view(len(part), -1)
        z, condition = out[:, :latent], None
        if session.conditions.kind is not None:
            condition = _decided(session, out[:, latent:]) if c is None else c[k * batch : (k + 1) * batch]
            conditions.append(condition.cpu())
        generator = session.unconditional(condition)["generator"]
        z = refine(generator, part.to(session.device), z, steps=steps) if steps else z
        codes.append(z.cpu())
        answers.append(session.answer(z, condition))
    again = torch.cat(answers)
    error = float((again - x).square().mean().sqrt())
    return Codes(torch.cat(codes), again, error, torch.cat(conditions) if conditions else None)


def conditions_of(session: Session, data: Dataset) -> Tensor | None:
    """c (N, K) of data, as far as the run is conditional and the data say it of every item."""
    if session.conditions.kind is None or len(data.classes) != len(session.card.classes):
        return None
    batch = data.batch(torch.arange(len(data)))
    by_class = session.conditions.by_class
    if ("y" if by_class else "c") not in batch or (by_class and bool((batch["y"] < 0).any())):
        return None
    return session.task.condition(batch)


def _decided(session: Session, estimates: Tensor) -> Tensor:
    """What an encoder says of c (N, K) as a c that can be: the most likely class, attributes of 0 or 1, values."""
    if session.conditions.by_class:
        return one_hot(estimates.argmax(1), estimates.shape[1])
    conditions = session.card.conditions
    return (estimates > 0.5).float() if conditions is not None and conditions.binary else estimates.clamp(-1, 1)


def write_codes(session: Session, source: Any, codes: Codes, data: Dataset, path: Path) -> None:
    """Codes as .npz: `z` (N, latent), and what `write_features` puts beside."""
    c = {} if codes.c is None else {"c": codes.c.numpy()}
    _write(path, "encode", {"z": codes.z.numpy(), **c, **_beside(session, data, source)})


def write_reconstructions(session: Session, data: Dataset, codes: Codes, path: Path, columns: int = 16) -> Path:
    """A sheet of rows in pairs: items above the generator's answers to their codes."""
    if session.card.kind != "image":
        raise BadInput(f"reconstructions are drawn of images; this run's data is a {session.card.kind}, use encode")
    place = partial(owned, command="reconstruct")
    return _paired(session, data.batch(torch.arange(len(data)))["x"], codes.x, path, columns, place)


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
    codes, share = read_backwards(session, torch.cat([first, last]), encoder, steps=200), torch.linspace(0, 1, steps)
    between = session.latent.between(codes.z[0], codes.z[1], share)
    c = None if codes.c is None else torch.lerp(codes.c[0], codes.c[1], share[:, None])
    frames = session.card.eight_bit(session.render(between, c))
    return pictures.film(path, frames, min(steps, 12), partial(owned, command="walk"))


def directions_of(session: Session, n: int, how: str = "jacobian", c: Tensor | None = None) -> Tensor:
    """(n, latent): the directions of z along which samples change most; see evenodds.apply.latent.directions.

    Args:
        c: (1, K) of a conditional run, within which they are sought; None: as for `Session.answer`.
    """
    generator = session.unconditional(session.task.default_condition if c is None else c)["generator"]
    return directions(generator, session.latent, n, how).cpu()


def write_directions(
    session: Session,
    path: Path,
    axes: Tensor,
    by: float = 3.0,
    steps: int = 9,
    seed: int = 0,
    c: Tensor | None = None,
) -> Path:
    """A sheet with one row for each direction (n, latent): one sample, moved by -by to by along it."""
    _images_only(session)
    z = session.prior(1, mix(seed, 0)).repeat(steps, 1)
    moves = torch.linspace(-by, by, steps)
    samples = session.render(torch.cat([move(z, one, moves) for one in axes]), c)
    return pictures.write(path, sample_picture(session.card, samples, steps, 512), _OF_DIRECTIONS)


def write_code_sheet(session: Session, path: Path, by: float = 1.5, rows: int = 4, seed: int = 0) -> Path:
    """A sheet of a code: rows of samples with a column for each category, then one row for each value.

    Along a row nothing else changes; values go from -by to by.
    """
    _images_only(session)
    prior = session.latent
    if not isinstance(prior, Coded):
        raise BadInput("this run has no code; train with --set task=infogan prior=coded")
    columns, ends = prior.classes or 9, (prior.noise, prior.noise + prior.classes)
    z = session.prior(rows, mix(seed, 0))
    z[:, ends[1] :] = 0
    parts = []
    for one in z if prior.classes else z[:0]:
        row = one.repeat(columns, 1)
        row[:, ends[0] : ends[1]] = torch.eye(columns)
        parts.append(row)
    for k in range(prior.values):
        row = z[0].repeat(columns, 1)
        row[:, ends[1] + k] = torch.linspace(-by, by, columns)
        parts.append(row)
    sheet = sample_picture(session.card, session.render(torch.cat(parts)), columns, 512)
    return pictures.write(path, sheet, _OF_DIRECTIONS)


def write_moved(
    session: Session, path: Path, direction: Tensor, by: float, n: int, seed: int = 0, c: Tensor | None = None
) -> Path:
    """A sheet of rows in pairs: samples, above the same ones moved along a direction (latent,)."""
    _images_only(session)
    z = session.prior(n, mix(seed, 0))
    moved = session.answer(move(z, direction, by), c)
    return _paired(session, session.answer(z, c), moved, path, min(n, 16), _OF_DIRECTIONS)


def _images_only(session: Session) -> None:
    if session.card.kind != "image":
        raise BadInput(f"directions are drawn of images; this run's data is a {session.card.kind}")


def _paired(session: Session, above: Tensor, below: Tensor, path: Path, columns: int, place: Place) -> Path:
    """Two batches (N, C, H, W) in [-1, 1] as a sheet: rows of one above those of the other, blanks at the end."""
    rows = []
    for pair in zip(torch.split(above, columns), torch.split(below, columns), strict=True):
        rows += [torch.cat([row, row.new_ones(columns - len(row), *row.shape[1:])]) for row in pair]
    units = session.card.units
    sheet = np.asarray(units.to_data(torch.cat(rows))).astype(units.dtype, copy=False)
    return pictures.write(path, sample_picture(session.card, sheet, columns, 512), place)


def encoder_of(
    session: Session, samples: int = 200_000, listeners: tuple[Listener, ...] = (), seed: int = 0
) -> nn.Module:
    """The encoder of a run: from its folder, or trained now on the generator's own samples and left there.

    An auxiliary network that predicts z given x, after training, as in wake-sleep: Goodfellow et al. (2014),
    section 6, point 2. It is of the discriminator's family, and needs no data. That of a conditional run also tells c.

    Args:
        samples: of the generator, to learn from.
        listeners: such as a progress bar.
    """
    conditional = session.conditions.kind is not None
    prior = _Joint(session) if conditional else session.latent
    path, encoder = session.folder / ENCODER, _new_encoder(session, prior.size, seed)
    weights = _weights_for(path, session.images)
    if weights is not None:
        _set_encoder(encoder, weights, path)
        return encoder.to(session.device).eval()
    engine = build_engine(replace(session.config, device=str(session.device), compile=False))
    # That of a conditional run takes c behind z, as _Joint draws it.
    generator = session.players["generator"] if conditional else session.unconditional()["generator"]
    players = {"encoder": encoder, "generator": deepcopy(generator)}
    engine.adopt(players)
    rate = torch.optim.Adam(encoder.parameters(), 1e-3, betas=(0.9, 0.99))
    game = Game(Infer(prior), players)
    learner = Gradient({"encoder": rate}, cosine())
    train(game, _Nothing(session.config.batch), learner, engine, images=samples, seed=seed, listeners=listeners)
    with replaced(path) as temporary:
        state = {name: value.cpu().contiguous() for name, value in encoder.state_dict().items()}
        write_tensors(state, temporary, {"generator_images": str(session.images)})
    return encoder.eval()


def _weights_for(path: Path, images: int) -> dict[str, Tensor] | None:
    """The encoder of a file, where it learned of the generator as it was after so many images; None else.

    Both are read of one opened file: another process may replace it meanwhile.
    """
    if not os.path.lexists(path):
        return None
    weights, words = read_tensors_and_words(path, ANEW)
    return weights if words.get("generator_images") == str(images) else None


def _set_encoder(encoder: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Gives an encoder its weights; BadInput where they are of another network."""
    if reason := misfit(weights, encoder.state_dict()):
        raise BadInput(f"{path} is no encoder of this run: {reason}; {ANEW}")
    encoder.load_state_dict(weights)


@dataclass(frozen=True)
class _Joint:
    """The prior of z and c of a conditional run, side by side."""

    session: Session

    @property
    def size(self) -> int:
        return self.session.latent.size + self.session.task.condition_length

    def __call__(self, n: int, rng: torch.Generator) -> Tensor:
        seed = int(torch.randint(2**62, (), generator=rng, device=rng.device))
        c = self.session.conditions.sampled(n, seed, n)
        assert c is not None
        return torch.cat([self.session.latent(n, rng), c.to(rng.device)], 1)

    def between(self, start: Tensor, end: Tensor, share: Tensor) -> Tensor:
        raise NotImplementedError  # an encoder only needs draws


def _new_encoder(session: Session, outputs: int, seed: int) -> nn.Module:
    """A network of the discriminator's family with so many outputs: one for each entry of z, and of c."""
    part: Part = session.config.discriminator
    with torch.random.fork_rng():
        torch.manual_seed(mix(seed, -3))
        with allowing(session.allow):
            maker = network(part.name, "Discriminator")
        # Neither the noise nor the bounded slopes of a discriminator suit an encoder.
        shared = {key: value for key, value in part.options.items() if key not in ("norm", "noise", "minibatch_std")}
        plain = {"norm": "none"} if "norm" in accepts(maker) else {}
        options = {**shared, **plain, **encoder_options(outputs)}
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
    if source is None or same_data(session.card, data):
        beside["held_out"] = np.isin(np.arange(len(data)), session.card.held_out)
    return beside


def _write(path: Path, command: str, arrays: dict[str, NDArray[Any]]) -> None:
    with owned(path, command) as temporary, temporary.open("wb") as file:  # of a path, numpy changes the name
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
