"""Better samples of a run that is trained already: nearer to the middle of z, or picked by the discriminator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from warnings import warn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenodds.apply.density_ratio import Uncalibrated
from evenodds.apply.rejection import acceptance, budgeted_highest, gamma_for
from evenodds.errors import BadInput
from evenodds.game.seeds import mix
from evenodds.parts.priors import Prior, Spherical
from evenodds.runs.find import find, make
from evenodds.runs.session import Session

__all__ = [
    "Target", "budgeted", "diffuse", "drawn_in", "langevin", "rejection", "require_drawable", "sample", "truncated",
]  # fmt: skip

LogRatio = Callable[[Tensor], Tensor]
"""z (N, latent) -> (N,) log p_data(x) / p_g(x) at x = G(z), up to a constant: the discriminator's logits."""


@dataclass(frozen=True)
class Target:
    """A run as those see it who select z: its prior, and how real its discriminator takes what z makes to be."""

    prior: Prior
    draw: Callable[[int, int], Tensor]
    """(n, seed) -> z (n, latent)."""
    log_ratio: Callable[[Tensor, Tensor | None], Tensor]
    """z (N, latent) and c (N, K) or None -> (N,) logits, with a graph to z."""


def sample(
    session: Session,
    n: int,
    seed: int = 0,
    y: Sequence[int] | None = None,
    given: Mapping[str, float] | None = None,
    *,
    truncation: float = 1.0,
    select: str | None = None,
    batch: int = 256,
    say: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> NDArray[Any]:
    """Draws n samples like `Session.sample`, which this is where nothing is truncated or selected.

    Args:
        truncation: z, or w of a style-based generator, moves towards its middle by this factor, in (0, 1]: truer and
            more alike. 1 leaves it.
        select: "budgeted", "rejection" or "langevin", by the run's discriminator; None for none. Its own is seldom
            calibrated, see `density_ratio.ratio_of`.
        say: gets a sentence on what the selection drew.
        options: of the selection.

    Returns:
        As `Session.sample`; the same seed gives the same samples, and the first of more are those of fewer.
    """
    require_drawable(session, y, given, truncation=truncation, select=select, **options)
    if truncation == 1 and select is None:
        return session.numbers(n, seed, batch, y, given)
    prior = _plain_prior(session)
    if n < 1 or (y is not None and len(y) != n):
        raise BadInput(f"n must be at least 1 and one class is needed for each, got n={n}")
    session, truncation = drawn_in(session, truncation)
    choose = (lambda z, target, **_: z) if select is None else _selection(select, options)
    c = session.conditions.for_samples(n, seed, batch, y, given)
    target, blocks = None if select is None else _target(session, prior), []
    for k in range(0, n, batch):
        condition = c if c is None or len(c) == 1 else c[k : k + batch]
        z = choose(
            session.prior(batch, mix(seed, k // batch))[: n - k], target, c=condition, seed=mix(seed, k // batch, 2)
        )
        blocks.append(session.render(truncated(prior, z, truncation), condition))
    if told := getattr(choose, "told", ""):
        say(told)
    return np.concatenate(blocks)


def require_drawable(
    session: Session,
    y: Sequence[int] | None = None,
    given: Mapping[str, float] | None = None,
    *,
    truncation: float = 1.0,
    select: str | None = None,
    **options: Any,
) -> None:
    """BadInput, before any work, where `sample` refuses such samples whatever the discriminator is.

    What is refused for its discriminator is not said here: `density_ratio.ratio_of` may fit one first.
    """
    if not 0 < truncation <= 1:
        raise BadInput(f"truncation lies in (0, 1], got {truncation}; 1 is plain sampling, 0.7 is usual")
    if select is None and options:
        raise BadInput(f"{', '.join(options)} needs a selection; add --select budgeted, rejection or langevin")
    if given is not None:
        session.conditions.to_model(None if y is None else y[:1], given)
    if truncation == 1 and select is None:
        return
    prior = _plain_prior(session)
    if not _has_styles(session):
        truncated(prior, session.prior(1, 0), truncation)
    if select is not None:
        require = getattr(_selection(select, options), "require", None)
        if require is not None:
            require(prior)


def drawn_in(session: Session, truncation: float) -> tuple[Session, float]:
    """A run whose samples are truncated in w, where its generator is style-based; and the factor that is left for z."""
    if truncation == 1:
        return session, truncation
    _plain_prior(session)
    if not _has_styles(session):
        return session, truncation
    generator: Any = session.players["generator"]
    return replace(session, players={**session.players, "generator": generator.truncated(truncation)}), 1.0


def _has_styles(session: Session) -> bool:
    """Whether samples are truncated in w, not in z."""
    return hasattr(session.players["generator"], "truncated")


def _plain_prior(session: Session) -> Prior:
    """The prior of a run that draws samples from z, and c, alone; BadInput of others."""
    if not session.draws_of_z_alone:
        raise BadInput(
            "this run draws no samples from z alone, so none are truncated or selected; "
            "leave --truncation and --select out"
        )
    return session.latent


def _selection(name: str, options: dict[str, Any]) -> Callable[..., Tensor]:
    """The selection of that name with its options, made once: what it learns of the run serves all blocks."""
    selection: Callable[..., Tensor] = make(f"selection '{name}'", find("selections", name), options)
    return selection


def _target(session: Session, prior: Prior) -> Target:
    if "discriminator" not in session.unconditional(session.task.default_condition):
        fit = "" if session.task.value_task() is None else "fit one first (--fit 1M), or "
        raise BadInput(f"this run has no discriminator to select samples by; {fit}leave --select out")
    if not session.task.contest.log_ratio:
        fit = "fit it first (--fit 1M), train with loss=non_saturating, or " if session.task.value_task() else ""
        raise BadInput(
            f"the logit of loss '{session.config.loss.name}' is no log ratio of densities, so it selects no samples; "
            f"{fit}leave --select out"
        )
    contest = session.task.contest
    if contest.relative or contest.penalty is not None:
        what = f"loss '{session.config.loss.name}'" if contest.relative else "a penalty"
        why = f"the run's own discriminator, which was trained with {what}, is not calibrated to select samples"
        warn(f"{why}; add --fit 1M to fit it first", Uncalibrated, stacklevel=3)
    for player in session.players.values():
        player.requires_grad_(False)

    def log_ratio(z: Tensor, c: Tensor | None) -> Tensor:
        players = session.unconditional(session.task.default_condition if c is None else c)
        logits: Tensor = players["discriminator"](players["generator"](z.to(session.device)))
        return logits.float().cpu()

    return Target(prior, session.prior, log_ratio)


# Truncation --------------------------------------------------------------------------------------------------------


def truncated(prior: Prior, z: Tensor, factor: float) -> Tensor:
    """z (N, latent) drawn towards the middle of the prior by a factor in (0, 1] (Karras et al. 2019, section B).

    Of a mixture, towards the mean that is nearest; of a learned one all but the coordinate that says which part it is;
    of a code the noise alone. 1 gives z itself.
    """
    if factor == 1:
        return z
    draw_in = getattr(prior, "truncated", None)
    if draw_in is None:
        kind = "on a sphere" if isinstance(prior, Spherical) else f"of {type(prior).__name__}"
        raise BadInput(
            f"z {kind} has no middle to be drawn to; leave --truncation out (--select budgeted raises the quality in "
            "another way), or train with prior=normal"
        )
    shorter: Tensor = draw_in(z, factor)
    return shorter


# Rejection ---------------------------------------------------------------------------------------------------------


@dataclass
class rejection:  # named as people ask for it
    """Keeps samples by the ratio of the densities that the discriminator reports (DRS, Azadi et al. 2019).

    Args:
        rate: share of samples that are kept on average; gamma is set for it (section 3.3 there). Below the share that
            None keeps, what is kept is nearer to the highest ratio than the data are: truer and more alike. None: gamma
            is 0, which is exact and may take long.
        pilot: samples by which the highest ratio and gamma are found.
        tries: after so many rejections in a row the best of them is kept.
    """

    rate: float | None = 0.2
    pilot: int = 2000
    tries: int = 200
    highest: float = field(init=False, default=-math.inf)
    gamma: float = field(init=False, default=0.0)
    drawn: int = field(init=False, default=0)
    kept: int = field(init=False, default=0)
    given_up: int = field(init=False, default=0)
    """Samples that are the best of `tries` draws, of which none was kept."""

    def __post_init__(self) -> None:
        if (self.rate is not None and not 0 < self.rate <= 1) or self.pilot < 1 or self.tries < 1:
            needed = f"{type(self).__name__} needs rate in (0, 1], pilot >= 1, tries >= 1"
            raise BadInput(f"{needed}, got {self.rate}, {self.pilot}, {self.tries}")

    @property
    def told(self) -> str:
        """How many draws it took, as a sentence."""
        of = self.kept + self.given_up
        best = f"; {self.given_up:,} of them are the best of {self.tries:,} draws that were all rejected"
        times = f"{self.drawn / max(1, of):.1f} for each"
        return f"{self.drawn:,} draws for {of:,} samples, {times}{best if self.given_up else ''}"

    @torch.no_grad()
    def __call__(self, z: Tensor, target: Target, c: Tensor | None = None, seed: int = 0) -> Tensor:
        """z (N, latent) with those that are rejected replaced by later draws; each keeps its c."""
        if self.highest == -math.inf:
            self._learn(target, c)
        chosen, best = z.clone(), torch.full((len(z),), -math.inf)
        waiting, n = torch.arange(len(z)), len(z)
        for turn in range(self.tries):
            if not len(waiting):
                break
            # Drawn for whole blocks, so that the first samples of more are those of fewer.
            if turn:
                z = target.draw(BLOCK * -(-n // BLOCK), mix(seed, turn))[:n]
            rng = torch.Generator().manual_seed(mix(seed, turn, 1))
            dice = torch.rand(BLOCK * -(-n // BLOCK), generator=rng, dtype=torch.float64)[:n]
            candidates = z[waiting]
            logits = target.log_ratio(candidates, c if c is None or len(c) == 1 else c[waiting])
            better = logits > best[waiting]
            accepted = dice[waiting] < acceptance(logits, self.highest, self.gamma)
            self.drawn, self.kept = self.drawn + len(waiting), self.kept + int(accepted.sum())
            replaced = accepted | better
            chosen[waiting[replaced]] = candidates[replaced]
            best[waiting] = torch.maximum(best[waiting], logits)
            waiting = waiting[~accepted]
        self.given_up += len(waiting)
        return chosen

    def _learn(self, target: Target, c: Tensor | None) -> None:
        """The highest ratio of the pilot, and gamma for the rate."""
        ratios = []
        for k, start in enumerate(range(0, self.pilot, BLOCK)):
            n = min(BLOCK, self.pilot - start)
            condition = c if c is None or len(c) == 1 else c[torch.arange(n) % len(c)]
            ratios.append(target.log_ratio(target.draw(n, mix(1, k)), condition))
        self._set(torch.cat(ratios))

    def _set(self, logits: Tensor) -> None:
        self.highest = float(logits.max())
        if self.rate is not None:
            self.gamma = gamma_for(logits, self.highest, self.rate)


@dataclass
class budgeted(rejection):  # named as people ask for it
    """Rejection that is exact as far as the draws allow (OBRS, Verine et al. 2024): nearest to the data for its share.

    A sample is kept with the chance min(1, ratio / m). m is the highest ratio, which is exact, unless that would keep
    a share below `rate`; then it is the one that keeps just that.

    Args:
        rate: the least share of samples to keep: at most 1 / rate draws for each, on average. None: always exact.
        pilot: samples by which m is found.
        tries: after so many rejections in a row the best of them is kept.
    """

    rate: float | None = 0.8
    pilot: int = 10_000

    def _set(self, logits: Tensor) -> None:
        self.highest = float(logits.max()) if self.rate is None else budgeted_highest(logits, self.rate)


BLOCK = 256


# Langevin ----------------------------------------------------------------------------------------------------------


@dataclass
class langevin:  # named as people ask for it
    """Walks z by the discriminator's slope and noise, towards p(z) p_data(G(z)) / p_g(G(z)) (DDLS, Che et al. 2020).

    The energy is |z|^2 / 2 - log_ratio(z): the prior must be standard normal. Without a Metropolis test, as in the
    paper; where the log ratio is linear the mean is exact and the variance 1 / (1 - step / 4).

    Args:
        steps: of the walk.
        step: z moves by -step / 2 times the slope of the energy, and by noise of variance `step`; in (0, 1].
    """

    steps: int = 100
    step: float = 0.01

    def __post_init__(self) -> None:
        if self.steps < 0 or not 0 < self.step <= 1:
            raise BadInput(f"langevin needs steps >= 0 and step in (0, 1], got {self.steps} and {self.step}")

    def require(self, prior: Prior) -> None:
        """BadInput where z is not standard normal."""
        if not getattr(prior, "normal", False):
            name = type(prior).__name__.lower()
            raise BadInput(f"langevin needs a normal prior, this run's is {name}; take --select budgeted")

    def __call__(self, z: Tensor, target: Target, c: Tensor | None = None, seed: int = 0) -> Tensor:
        """z (N, latent) at the end of its walk."""
        self.require(target.prior)
        return diffuse(z, lambda at: target.log_ratio(at, c), self.steps, self.step, seed)


def diffuse(z: Tensor, log_ratio: LogRatio, steps: int, step: float, seed: int = 0) -> Tensor:
    """Unadjusted Langevin dynamics of the energy |z|^2 / 2 - log_ratio(z), from z (N, latent)."""
    rng = torch.Generator().manual_seed(mix(seed, 3))
    for _ in range(steps):
        with torch.enable_grad():
            leaf = z.detach().requires_grad_()
            (slope,) = torch.autograd.grad(log_ratio(leaf).sum(), leaf)
        # Noise of whole blocks: the first walks of more are those of fewer.
        noise = torch.randn(BLOCK * -(-len(z) // BLOCK), z.shape[1], generator=rng)[: len(z)].to(z)
        z = z.detach() + 0.5 * step * (slope - z.detach()) + math.sqrt(step) * noise
    return z
