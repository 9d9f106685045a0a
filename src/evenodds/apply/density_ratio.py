"""The log ratio of the densities of data and samples: the discriminator, fitted on for the generator as it is."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast
from warnings import warn

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from evenodds.data.batches import Batches
from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput, Remark
from evenodds.files.tensors import read_tensors_and_words, write_tensors
from evenodds.files.write import replaced
from evenodds.game.arithmetic import evenly
from evenodds.game.checkpoint import misfit
from evenodds.game.learners import Gradient
from evenodds.game.optimizers import eager
from evenodds.game.rules import Batch, Game, Task
from evenodds.game.schedule import cosine
from evenodds.game.seeds import mix
from evenodds.game.trainer import Feed, Listener, train
from evenodds.runs.allowed import allowing
from evenodds.runs.build import build_engine
from evenodds.runs.card import SPLIT_SEED
from evenodds.runs.folder_facts import RATIO
from evenodds.runs.run_data import open_run_data
from evenodds.runs.session import Session
from evenodds.tasks._playable import Playable
from evenodds.tasks.contest import per_item

__all__ = ["Calibration", "Fitted", "Steps", "Uncalibrated", "calibration", "fit_ratio", "ratio_of"]

ANEW = "delete it, and the discriminator is fitted anew"
MOST_HELD_OUT = 20_000
LEAST = 2
"""Items by which it is judged what a fit has found."""
MOST_BINS, LEAST_OF_BIN = 100, 50
SEPARATED = 0.2
"""Nats that are gained where a slope whose error is larger than itself means items that are told apart, not chance."""
STEPS = ("steps.edges", "steps.levels")
"""Names beside those of the discriminator's tensors in that file."""


class Uncalibrated(Remark):
    """A fitted discriminator whose logits are no log ratio of densities, as far as held-out items tell."""


@dataclass(frozen=True)
class Steps:
    """A rising step function from logits to the log ratios that items of such logits have, by isotonic regression.

    Args:
        edges: (B - 1,) float64, where it steps.
        levels: (B,) float64.

    Example:
        >>> import torch
        >>> from evenodds.apply.density_ratio import Steps
        >>> Steps.fitted(torch.tensor([1.0, 2.0, 3.0, 9.0]), torch.tensor([-4.0, -3.0, 1.5, 2.5]), bins=2).levels.exp()
        tensor([0.4286, 2.3333], dtype=torch.float64)
    """

    edges: Tensor
    levels: Tensor

    @classmethod
    def fitted(cls, real: Tensor, fake: Tensor, bins: int) -> Steps:
        """Of the logits of real items (N,) and samples (M,), in bins of equally many.

        Pool-adjacent-violators (Ayer et al. 1955; Zadrozny and Elkan 2002) on shares of items with half an item of
        each kind added to every bin, so that no level is infinite.
        """
        real, fake = real.double(), fake.double()
        edges = torch.cat([real, fake]).quantile(torch.linspace(0, 1, bins + 1, dtype=torch.float64))[1:-1].contiguous()
        counts = [torch.bincount(torch.bucketize(some, edges), minlength=bins) + 0.5 for some in (real, fake)]
        blocks: list[list[float]] = []  # real, fake, bins
        for items, samples in zip(counts[0].tolist(), counts[1].tolist(), strict=True):
            blocks.append([items, samples, 1])
            while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
                last = blocks.pop()
                blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
        share = math.log(len(fake) / len(real))
        levels = [level for a, b, n in blocks for level in [math.log(a / b) + share] * int(n)]
        return cls(edges, torch.tensor(levels, dtype=torch.float64))

    def __call__(self, logits: Tensor) -> Tensor:
        """The log ratios of logits (N,), with the slopes of the logits."""
        of = torch.bucketize(logits.detach().double().cpu(), self.edges)
        return logits + (self.levels[of].to(logits) - logits).detach()


class _Stepped(nn.Module):
    """A discriminator of items, and what its logits stand for."""

    def __init__(self, discriminator: nn.Module, steps: Steps) -> None:
        super().__init__()
        self.discriminator, self.steps = discriminator, steps

    def forward(self, x: Tensor) -> Tensor:
        return self.steps(per_item(self.discriminator(x)))


@dataclass
class Fitted(Session):
    """A run whose discriminator was fitted, see `ratio_of`."""

    steps: Steps | None = None

    def unconditional(self, c: Tensor | None = None) -> dict[str, nn.Module]:
        """As that of a run; the discriminator gives log ratios."""
        players = super().unconditional(c)
        if self.steps is not None:
            players["discriminator"] = _Stepped(players["discriminator"], self.steps)
        return players


@dataclass(frozen=True)
class Calibration:
    """How far logits are log odds of an item being real and not a sample, of items that nothing was fitted on.

    Args:
        slope: b of a logistic regression on a + b logit (Platt 1999). 1 where the logits are calibrated; above, they
            are too flat: what is selected by them is selected too little. Below, they are too steep.
        error: the standard error of the slope.
        gain: log 2 minus the mean of both log losses, in nats: at most the Jensen-Shannon divergence of samples from
            data, which the best logit reaches (Goodfellow et al. 2014, theorem 1).
        items: that were held out, at most.
    """

    slope: float
    error: float
    gain: float
    items: int

    @property
    def told(self) -> str:
        """As a sentence."""
        slope = f"calibration slope {self.slope:.2f} ± {self.error:.2f} (1: its logits are log ratios of densities)"
        if self.error > abs(self.slope):
            slope = "so few that no calibration slope can be told"
        told = f"the fitted discriminator tells samples from {self.items:,} held-out items by {self.gain:.4f} nats"
        return f"{told}; {slope}"

    @property
    def doubt(self) -> str:
        """What is wrong with it, and what helps; nothing where it can be selected by."""
        separated = self.error > abs(self.slope) and self.gain > SEPARATED  # no finite slope is the best
        if separated or self.gain > 0.9 * math.log(2):
            why = "it tells nearly every sample from data, so that what is kept is the best of samples that are all bad"
            return f"{why}; train the run longer (evenodds resume)"
        if not self.slope > 2 * self.error:
            why = f"it tells samples from {self.items:,} held-out items no better than chance"
            return f"{why}, so they are selected at random; fit it longer (--fit), or leave --fit and --select out"
        if self.slope < 0.5:
            why = f"its logits are {1 / self.slope:.1f} times as steep as log ratios: it has overfitted"
            return f"{why}; fit it shorter (--fit), or on more data"
        if self.slope > 2:
            why = f"log ratios are {self.slope:.1f} times as steep as its logits, so too few samples are rejected"
            return f"{why}; fit it longer (--fit)"
        return ""


def ratio_of(
    session: Session,
    images: int,
    data: Any = None,
    seed: int = 0,
    listeners: tuple[Listener, ...] = (),
    say: Callable[[str], None] = lambda line: None,
) -> Session:
    """A run whose discriminator's logit is log p_data(x) / p_g(x), as near as it can be found: by proposition 1 of
    Goodfellow et al. (2014) the best one is, where the generator stays as it is.

    The run's own discriminator goes on from where it is, under the non-saturating loss, without a penalty or a view,
    against fresh samples of the generator, or of its average where the run has one. Penalties keep logits flat and
    relative losses leave a constant open, so the logits of a run as it ends are no ratio to reject by. Half of the
    held-out items then say what ratio each logit stands for (isotonic regression), as no fit is long
    enough. All of it stays in the run's folder, and is not fitted again for the same number of images.

    Args:
        images: real images to show it; a run's worth is usual.
        data: where the data of the run lie now, or what it was trained on, where that was in memory; None for where
            they were.
        seed: of the fit.
        listeners: such as a progress bar.
        say: gets plain sentences: how well it is calibrated, on held-out items.

    Raises:
        BadInput: the run has no discriminator of items; or its data are not to be had, and it was not fitted before.

    Warns:
        Uncalibrated: held-out items and samples look alike to it, or its logits are far from log odds.
    """
    if not session.draws_of_z_alone:
        raise BadInput("this run draws no samples from z alone, so no ratio can be fitted for it")
    task = cast("Playable | None", session.task.value_task())  # a task's own, under another loss
    if task is None or "discriminator" not in session.players:
        raise BadInput(
            "this run has no discriminator that judges items alone, so none is fitted; leave --fit and --select out"
        )
    path = session.folder / RATIO
    discriminator = deepcopy(session.players["discriminator"])
    of_run = {one.name: getattr(session, one.name) for one in fields(Session)}
    fitted = Fitted(**{**of_run, "task": task, "players": {**session.players, "discriminator": discriminator}})
    made_for = {"generator_images": str(session.images), "fitted_images": str(images), "seed": str(seed)}
    kept = read_tensors_and_words(path, ANEW) if os.path.lexists(path) else ({}, {})
    longer = _longer(kept[1], made_for)
    if longer > images:
        say(
            f"{path} was fitted on {longer:,} {session.card.noun} before, more than {images:,}: it is taken; "
            "delete it, and it is fitted anew"
        )
        made_for["fitted_images"] = str(longer)
    steps = _kept(path, kept, discriminator, made_for, say)
    if steps is not None:
        return replace(fitted, steps=steps)
    with allowing(session.allow):
        advice = "say where the data of before lie with --data, or leave --fit out"
        dataset = open_run_data(session.config, session.card, data, advice=advice)
    shown, held_out = _parted(session, dataset)
    held_out = held_out[evenly(len(held_out), MOST_HELD_OUT)]
    feed = Batches(dataset, shown, session.config.batch, mix(seed, -6), session.device)
    config = replace(session.config, device=str(session.device), compile=False)
    fit_ratio(task, dict(fitted.players), feed, build_engine(config), images, seed, listeners)
    # Half of the held-out items say what a logit stands for, the other half whether that holds.
    real, fake = _logits(fitted, dataset, held_out[::2], 2)
    steps = Steps.fitted(real, fake, max(2, min(MOST_BINS, len(real) // LEAST_OF_BIN)))
    fitted = replace(fitted, steps=steps)
    found = calibration(*_logits(fitted, dataset, held_out[1::2], 3))
    state = {name: value.cpu().contiguous() for name, value in discriminator.state_dict().items()}
    state |= dict(zip(STEPS, (steps.edges, steps.levels), strict=True))
    try:
        with replaced(path) as temporary:
            write_tensors(state, temporary, {**made_for, "told": found.told, "warned": found.doubt})
    except OSError as error:
        say(f"the fitted discriminator is not kept in {path.parent}: {error.strerror}")
    say(found.told)
    _warn(found.doubt)
    return fitted


def _longer(words: Mapping[str, str], made_for: Mapping[str, str]) -> int:
    """The images on which a discriminator of the same samples and seed was fitted; 0 where the words are of others."""
    same = all(words.get(name) == word for name, word in made_for.items() if name != "fitted_images")
    return int(words["fitted_images"]) if same and words.get("fitted_images", "").isdecimal() else 0


def _kept(
    path: Path,
    kept: tuple[dict[str, Tensor], dict[str, str]],
    discriminator: nn.Module,
    made_for: Mapping[str, str],
    say: Callable[[str], None],
) -> Steps | None:
    """What logits stand for, of a discriminator that gets the weights that are kept; None where these are of others.

    Args:
        kept: the tensors and the words of the file at `path`.
    """
    weights, words = kept
    if any(words.get(name) != word for name, word in made_for.items()):
        return None
    steps = Steps(*(weights.pop(name, torch.zeros(0)) for name in STEPS))
    like = {name: torch.zeros_like(part) for name, part in discriminator.state_dict().items()}
    reason = misfit(weights, like) or ("" if len(steps.levels) == len(steps.edges) + 1 else "its steps do not fit")
    whole = all(bool(part.isfinite().all()) for part in (*weights.values(), steps.edges, steps.levels))
    reason = reason or ("" if whole else "it has numbers that are not finite")
    if reason:
        raise BadInput(f"{path} is no discriminator of this run: {reason}; {ANEW}")
    discriminator.load_state_dict(weights)
    say(words.get("told", ""))
    _warn(words.get("warned", ""))
    return steps


def fit_ratio(
    task: Task,
    players: dict[str, nn.Module],
    feed: Feed,
    engine: Any,
    images: int,
    seed: int = 0,
    listeners: tuple[Listener, ...] = (),
    rate: float = 1e-3,
) -> None:
    """Plays the moves of the discriminator alone, whose weights change; the generator stays as it is.

    Args:
        task: of the non-saturating loss without a penalty: a task's `value_task`.
        players: "generator" and "discriminator".
        feed: batches of data.
        engine: where it is played.
        images: real images to show.
        rate: Adam's at the start; it falls to nothing by a cosine.
    """
    moves = tuple(move for move in task.moves() if move.movers == ("discriminator",))
    pair = {name: players[name] for name in ("generator", "discriminator")}
    pair["generator"].eval()
    pair["discriminator"].train().requires_grad_()
    engine.adopt(pair)
    adam = eager(torch.optim.Adam)(pair["discriminator"].parameters(), rate, betas=(0.0, 0.99))
    learner = Gradient({"discriminator": adam}, cosine(0.0, 0.0))
    train(Game(task, pair, moves), feed, learner, engine, images=images, seed=seed, listeners=listeners)
    for player in pair.values():
        player.eval().requires_grad_(False)


@torch.no_grad()
def _logits(fitted: Session, dataset: Dataset, index: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Those of items (N,), and those of as many samples at the same c."""
    logits: tuple[list[Tensor], list[Tensor]] = [], []
    for k, some in enumerate(torch.split(index, 256)):
        batch: Batch = dataset.batch(some)
        players = fitted.unconditional(fitted.task.condition(batch) if fitted.conditions.kind is not None else None)
        z = fitted.prior(len(some), mix(seed, k)).to(fitted.device)
        for one, x in zip(logits, (batch["x"].to(fitted.device), players["generator"](z)), strict=True):
            one.append(per_item(players["discriminator"](x)).double().cpu())
    return torch.cat(logits[0]), torch.cat(logits[1])


def _warn(doubt: str) -> None:
    if doubt:
        warn(f"the fitted discriminator is not calibrated: {doubt}", Uncalibrated, stacklevel=3)


def calibration(real: Tensor, fake: Tensor) -> Calibration:
    """Logits (N,) of real items and of samples (M,) -> their calibration.

    Example:
        >>> import torch
        >>> x = torch.randn(4000, generator=torch.Generator().manual_seed(0))
        >>> data, samples = x[:2000] + 1, x[2000:]  # log N(x; 1, 1) / N(x; 0, 1) = x - 1/2
        >>> found = calibration(2 * (data - 0.5), 2 * (samples - 0.5))  # twice as steep as it is
        >>> round(found.slope, 1)
        0.5
    """
    logits = torch.cat([real, fake]).double()
    label = torch.cat([torch.ones_like(real), torch.zeros_like(fake)]).double()
    weight = torch.cat([torch.full_like(real, 0.5 / len(real)), torch.full_like(fake, 0.5 / len(fake))]).double()
    design = torch.stack([torch.ones_like(logits), logits], 1)
    beta = logits.new_zeros(2)
    ridge = 1e-9 * torch.eye(2, dtype=torch.float64)
    for _ in range(50):  # Newton's method
        p = (design @ beta).sigmoid()
        hessian = design.T @ (design * (weight * p * (1 - p))[:, None]) + ridge
        step = torch.linalg.solve(hessian, design.T @ (weight * (label - p)))
        beta = beta + step.clamp(-2, 2)
        if float(step.abs().max()) < 1e-9:
            break
    covariance = torch.linalg.inv(hessian) / len(logits)
    loss = float(softplus(-real.double()).mean() + softplus(fake.double()).mean()) / 2
    error = math.sqrt(max(0.0, float(covariance[1, 1])))
    return Calibration(float(beta[1]), error, math.log(2) - loss, len(real))


def _parted(session: Session, dataset: Dataset) -> tuple[Tensor, Tensor]:
    """The items to fit on, and those to look whether it is calibrated: the run's held-out ones, or a tenth."""
    shown, held_out = dataset.split(session.config.held_out, SPLIT_SEED)
    shown, held_out = (
        (shown, held_out) if len(held_out) >= LEAST else replace(dataset, apart=None).split(0.1, SPLIT_SEED)
    )
    if len(held_out) < LEAST:
        raise BadInput(
            f"a fit is judged by at least {LEAST} items that it has not seen, a tenth of the data, and these are "
            f"{len(dataset):,}; leave --fit out"
        )
    return shown, held_out
