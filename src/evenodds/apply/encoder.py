"""The encoder of a run: a network that predicts the z, and the c, of items."""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from warnings import warn

import torch
from torch import Tensor, nn

from evenodds.errors import BadInput, Remark
from evenodds.files.tensors import read_tensors_and_words, write_tensors
from evenodds.files.write import replaced
from evenodds.game.checkpoint import misfit
from evenodds.game.engine import reseed
from evenodds.game.learners import Gradient
from evenodds.game.optimizers import eager
from evenodds.game.rules import Batch, Game
from evenodds.game.schedule import cosine
from evenodds.game.seeds import mix
from evenodds.game.trainer import Listener, train
from evenodds.runs.allowed import allowing
from evenodds.runs.build import build_engine, options_of_encoder
from evenodds.runs.find import make, network
from evenodds.runs.folder_facts import ENCODER
from evenodds.runs.session import Session, settle
from evenodds.runs.values import Part
from evenodds.tasks.infer import Infer, encoder_options

__all__ = ["encoder_for", "encoder_of", "existing_encoder", "has_encoder"]

ENCODER_PLAYER = "encoder"
"""Where an encoder is among the players of a session: one that was exported, or that the run's own task has."""
SAMPLES = 200_000
"""That an encoder learns from where nothing is said."""
REPETITION = 5.0
"""Weight of the error of G(E(G(z))) beside that of z; see benchmarks/inference.md."""
ANEW = "delete it, and the encoder is learned anew"


def encoder_of(
    session: Session, samples: int | None = None, listeners: tuple[Listener, ...] = (), seed: int = 0
) -> nn.Module:
    """The encoder of a run: from its folder, or trained now on the generator's own samples and left there.

    An auxiliary network that predicts z given x, after training, as in wake-sleep: Goodfellow et al. (2014),
    section 7, point 2. It is of the discriminator's family, and needs no data. That of a conditional run also tells c.
    A run whose task has an encoder among its players (`invertible`) has learned it already.

    Args:
        samples: of the generator, to learn from; None: 200,000, or as many as it has learned from.
        listeners: such as a progress bar.

    Raises:
        BadInput: it has learned already, from another number of samples than is asked for.
    """
    return encoder_for(session, samples, listeners, seed)()


def encoder_for(
    session: Session, samples: int | None = None, listeners: tuple[Listener, ...] = (), seed: int = 0
) -> Callable[[], nn.Module]:
    """What `encoder_of` gives, once it is called: what it refuses is refused now, before any data are read.

    An encoder that the run has kept is read now, and once.
    """
    if (kept := _kept(session, samples)) is not None:
        return lambda: kept
    encoder = _new_encoder(session, seed)
    return lambda: _learned(encoder, session, samples, listeners, seed)


def _learned(
    encoder: nn.Module, session: Session, samples: int | None, listeners: tuple[Listener, ...], seed: int
) -> nn.Module:
    """The encoder, trained, and left in the run's folder."""
    conditional, path = session.conditions.kind is not None, session.folder / ENCODER
    prior = _Joint(session) if conditional else session.latent
    engine = build_engine(replace(session.config, device=str(session.device), compile=False))
    # That of a conditional run takes c behind z, as _Joint draws it.
    generator = session.players["generator"] if conditional else session.unconditional()["generator"]
    players = {"encoder": encoder, "generator": deepcopy(generator)}
    engine.adopt(players)
    rate = eager(torch.optim.Adam)(encoder.parameters(), 1e-3, betas=(0.9, 0.99))
    # What categories make is no smooth function of a guess at them, and cells of tables are none of z.
    smooth = session.card.kind == "image" and not conditional
    game = Game(Infer(prior, repetition=REPETITION if smooth else 0.0), players)
    learner = Gradient({"encoder": rate}, cosine())
    train(
        game,
        _Nothing(session.config.batch, session.card.noun),
        learner,
        engine,
        images=samples or SAMPLES,
        seed=seed,
        listeners=listeners,
    )
    state = {name: value.cpu().contiguous() for name, value in encoder.state_dict().items()}
    try:
        with replaced(path) as temporary:
            words = {"generator_images": str(session.images), "samples": str(samples or SAMPLES)}
            write_tensors(state, temporary, words)
    except OSError as error:
        warn(f"the encoder is not kept in {path.parent}: {error.strerror}", Remark, stacklevel=2)
    return encoder.eval()


def _kept(session: Session, samples: int | None = None) -> nn.Module | None:
    """The encoder that a run has learned, of these samples where a number is given; None where it has learned none."""
    if ENCODER_PLAYER in session.players:
        if samples is not None:
            raise BadInput(f"the encoder of {session.folder} has learned with its generator; leave --images out")
        return session.players[ENCODER_PLAYER]
    path = session.folder / ENCODER
    weights, words = _weights_for(path, session.images)
    if weights is None:
        return None
    before = words.get("samples", "")
    if samples is not None and before.isdecimal() and int(before) != samples:
        raise BadInput(
            f"the encoder of {session.folder} has learned from {int(before):,} samples; leave --images "
            f"out, or delete {path}, and it is learned anew"
        )
    encoder = _new_encoder(session, 0)
    if reason := misfit(weights, encoder.state_dict()):
        raise BadInput(f"{path} is no encoder of this run: {reason}; {ANEW}")
    encoder.load_state_dict(weights)
    settle({ENCODER_PLAYER: encoder}, session.config, session.device)
    return encoder


def has_encoder(session: Session) -> bool:
    """Whether a run has an encoder, or a file of one in its folder."""
    return ENCODER_PLAYER in session.players or (session.folder / ENCODER).is_file()


def existing_encoder(session: Session) -> nn.Module:
    """The encoder of a run that has one, or has learned one since; BadInput where there is none for these players."""
    if (kept := _kept(session)) is None:
        raise BadInput(f"{session.folder} has no encoder of its players as they are; run `evenodds encode` on it first")
    return kept


def _weights_for(path: Path, images: int) -> tuple[dict[str, Tensor] | None, dict[str, str]]:
    """The encoder of a file, where it learned of the generator as it was after so many images, else None; its words.

    Both are read of one opened file: another process may replace it meanwhile.
    """
    if not os.path.lexists(path):
        return None, {}
    weights, words = read_tensors_and_words(path, ANEW)
    return (weights if words.get("generator_images") == str(images) else None), words


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


def _new_encoder(session: Session, seed: int) -> nn.Module:
    """A network of the discriminator's family with an output for each entry of z, and of c."""
    part: Part = session.config.discriminator
    outputs = session.latent.size + session.task.condition_length
    with torch.random.fork_rng():
        reseed(torch.get_default_device(), mix(seed, -3))
        with allowing(session.allow):
            maker = network(part.name, "Discriminator")
        options = {**options_of_encoder(part, maker), **encoder_options(outputs)}
        encoder: nn.Module = make(f"encoder '{part.name}'", maker, options, session.card.shape)
    return encoder


@dataclass(frozen=True)
class _Nothing:
    """A feed for games that need no data: it gives the size of the batch alone."""

    size: int
    noun: str

    def at(self, position: int) -> Batch:
        return {"x": torch.zeros(self.size, 1)}
