"""How far a game is from D = 1/2: its own discriminator, a fresh one, and what either side could still gain.

The value is V(D, G) = E[log D(x)] + E[log(1 - D(G(z)))] of Goodfellow et al. (2014), eq. 1, in nats. Against the best
D it is 2 JSD(p_data, p_g) - log 4 (theorem 1), so any fixed D gives a lower bound: JSD >= (V + log 4) / 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evenodds.data.batches import Batches
from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.game.engine import Local
from evenodds.game.rules import Batch, Costs, Game, Players
from evenodds.game.schedule import OnProgress
from evenodds.game.seeds import mix
from evenodds.game.trainer import train
from evenodds.metrics.intervals import Interval
from evenodds.metrics.probe import fit_probe
from evenodds.runs.build import build_learner
from evenodds.runs.session import Session
from evenodds.tasks.contest import Contest, per_item

__all__ = [
    "DiscriminatorReport",
    "Fresh",
    "Gap",
    "discriminator_report",
    "divergence_bound",
    "duality_gap",
    "fresh_discriminator",
    "judges_items",
    "value",
]

LOG4 = math.log(4)


def value(real: Tensor, fake: Tensor) -> Interval:
    """V(D, G) with its 95 % interval.

    Args:
        real: (N,) logits of D on data.
        fake: (M,) logits of D on samples.
    """
    on_real, on_fake = F.logsigmoid(real.double()), F.logsigmoid(-fake.double())
    variance = sum(float(v.var()) / len(v) for v in (on_real, on_fake) if len(v) > 1)
    return Interval.around(float(on_real.mean() + on_fake.mean()), math.sqrt(variance))


def divergence_bound(real: Tensor, fake: Tensor) -> Interval:
    """(V + log 4) / 2, a lower bound on the Jensen-Shannon divergence in nats, from logits of a D that saw neither."""
    v = value(real, fake)
    return Interval(*((end + LOG4) / 2 for end in (v.value, v.low, v.high)))


def accuracy(real: Tensor, fake: Tensor) -> Interval:
    """Mean of the shares of real and of fake items that D gets right, with its interval; a logit of 0 counts half."""
    rights = [0.5 * ((x > 0).double() + (x >= 0).double()) for x in (real, -fake)]
    shares = [Interval.of_share(round(float(r.sum())), len(r)) for r in rights]
    half = math.hypot(*((s.high - s.low) / 4 for s in shares))
    middle = sum(float(r.mean()) for r in rights) / 2
    return Interval(middle, max(0.0, middle - half), min(1.0, middle + half))


@dataclass(frozen=True)
class Fresh:
    """What a freshly trained discriminator finds."""

    bound: Interval
    """Of the Jensen-Shannon divergence, in nats: a lower bound."""
    accuracy: Interval
    fitted_on: int
    """Items of each side that it was fitted on."""
    tested_on: int
    """Items of each side that it was tested on."""


def fresh_discriminator(
    real: Tensor,
    fake: Tensor,
    real_test: Tensor,
    fake_test: Tensor,
    seed: int = 0,
    progress: OnProgress | None = None,
    device: torch.device | str = "cpu",
) -> Fresh:
    """Fits a new discriminator to tell real from fake, and reads the divergence off its answers to unseen items.

    A fifth of the items to fit on decides when to stop and how sure the answers may be (temperature scaling, Guo et
    al. 2017), so that an overfitted discriminator does not spoil the bound.

    Args:
        real: (N, ...) to fit on, in [-1, 1].
        fake: (M, ...) to fit on.
        real_test: (K, ...) unseen.
        fake_test: (L, ...) unseen.
        device: where the discriminator is fitted and asked.
    """
    n = min(len(real), len(fake))
    if n < 10 or min(len(real_test), len(fake_test)) < 2:
        raise BadInput(f"a fresh discriminator needs 10 items of each side to fit on and 2 to test, got {n}; give more")
    x, y = torch.cat([real[:n], fake[:n]]), torch.cat([torch.ones(n), torch.zeros(n)]).long()
    check = torch.zeros(2 * n, dtype=torch.bool)
    rng = torch.Generator().manual_seed(mix(seed, 7))
    for start in (0, n):
        check[start + torch.randperm(n, generator=rng)[: max(2, n // 5)]] = True
    x, labels = x.to(device), y.to(device)
    probe = fit_probe(x[~check], labels[~check], 2, seed=seed, check=(x[check], labels[check]), progress=progress)
    scale = _sureness(_logits(probe, x[check]), y[check])
    on_real, on_fake = scale * _logits(probe, real_test), scale * _logits(probe, fake_test)
    fitted, tested = n - int(check.sum()) // 2, min(len(real_test), len(fake_test))
    return Fresh(divergence_bound(on_real, on_fake), accuracy(on_real, on_fake), fitted, tested)


@torch.no_grad()
def _logits(probe: nn.Module, x: Tensor) -> Tensor:
    """(N,) log D / (1 - D), on the CPU."""
    place = next(probe.parameters()).device
    both = torch.cat([probe(part.to(place)).cpu() for part in torch.split(x, 1024)])
    return both[:, 1] - both[:, 0]


def _sureness(logits: Tensor, y: Tensor) -> float:
    """The factor in [0, 2] on the logits for the lowest cross-entropy; 0 says even odds to everything.

    It is 0 as well where the best factor beats even odds by less than one standard error: what chance preferred would
    put the bound far below 0 on unseen items.
    """
    factors = torch.linspace(0, 2, 81)
    costs = torch.stack([F.softplus((1 - 2 * y) * factor * logits) for factor in factors])
    best = int(costs.mean(1).argmin())
    gain = costs[0] - costs[best]
    return float(factors[best]) if float(gain.mean()) > float(gain.std()) / math.sqrt(len(y)) else 0.0


@dataclass(frozen=True)
class DiscriminatorReport:
    """What the game's own discriminator believes of held-out data and new samples."""

    value: Interval
    accuracy: Interval
    calibration_error: float
    calibration: list[dict[str, float]]
    """For each tenth of its probabilities: predicted, observed, n."""
    notes: list[str]


@torch.no_grad()
def discriminator_report(
    session: Session, real: Tensor, fake: Tensor, conditions: tuple[Tensor | None, Tensor | None] = (None, None)
) -> DiscriminatorReport:
    """Accuracy, calibration and value of the run's discriminator.

    Args:
        real: (N, ...) held-out items.
        fake: (M, ...) samples.
        conditions: c (N, K) and (M, K) of both, for a conditional run, whose discriminator judges x by its c.

    Where the loss sees only differences of logits (relativistic, Wasserstein), their level means nothing; then half of
    the items set it, to the highest value, and the other half are judged.
    """
    logits = [_session_logits(session.players, session, x, c) for x, c in zip((real, fake), conditions, strict=True)]
    notes = []
    if _level_free(session.task.contest):
        shift = _level(*(x[::2] for x in logits))
        logits = [x[1::2] - shift for x in logits]
        notes.append("the loss sees only differences of logits: half of the items set D's level, the others judge it")
    on_real, on_fake = logits
    error, table = _calibration(on_real, on_fake)
    return DiscriminatorReport(value(on_real, on_fake), accuracy(on_real, on_fake), error, table, notes)


def judges_items(session: Session) -> bool:
    """Whether a player of the run is a discriminator of items x."""
    return "discriminator" in session.unconditional(session.task.default_condition)


def _session_logits(players: Players, session: Session, x: Tensor, c: Tensor | None) -> Tensor:
    """(N,) logits of the discriminator among the players, for x (N, ...) and c (N, K) where the run has c."""
    return torch.cat(
        [
            per_item(play["discriminator"](x[at].to(session.device))).float().cpu()
            for at, play in _bound(players, session, len(x), c)
        ]
    )


def _bound(
    players: Players, session: Session, n: int, c: Tensor | None
) -> Iterator[tuple[slice, dict[str, nn.Module]]]:
    """For batches of n items: where they are, and the players as those of an unconditional game, for their c."""
    for start in range(0, n, 256):
        at = slice(start, min(n, start + 256))
        condition = None if c is None else c[at].to(session.device)
        yield at, session.task.unconditional(players, session.card.shape, condition)


def _level_free(contest: Contest) -> bool:
    """Whether adding a number to all logits changes no cost."""
    real, fake = torch.tensor([0.3, -1.2]), torch.tensor([0.7, -0.4])
    (before, _), (after, _) = contest.loss(real, fake), contest.loss(real + 1, fake + 1)
    return bool(torch.allclose(before.mean(), after.mean(), atol=1e-5))


def _level(real: Tensor, fake: Tensor) -> float:
    """The shift that gives the highest value: where D's mean probability over both sides is 1/2, found by bisection."""
    low, high = float(min(real.min(), fake.min())), float(max(real.max(), fake.max()))
    for _ in range(50):
        middle = (low + high) / 2
        odds = (real - middle).sigmoid().mean() + (fake - middle).sigmoid().mean()
        low, high = (middle, high) if odds > 1 else (low, middle)
    return (low + high) / 2


def _calibration(real: Tensor, fake: Tensor, bins: int = 10) -> tuple[float, list[dict[str, float]]]:
    """Expected calibration error (Guo et al. 2017, eq. 3) over equal bins, real and fake counting half each."""
    p = torch.cat([real, fake]).double().sigmoid()
    truth = torch.cat([torch.ones(len(real)), torch.zeros(len(fake))]).double()
    weight = torch.cat([torch.full((len(x),), 0.5 / len(x)) for x in (real, fake)]).double()
    place = (p * bins).long().clamp(0, bins - 1)
    total, table = 0.0, []
    for k in range(bins):
        here = place == k
        if not bool(here.any()):
            continue
        share = weight[here].sum()
        predicted, observed = ((weight * q)[here].sum() / share for q in (p, truth))
        total += float(share * (predicted - observed).abs())
        table.append({"predicted": float(predicted), "observed": float(observed), "n": int(here.sum())})
    return total, table


@dataclass(frozen=True)
class Gap:
    """The duality gap (Grnarova et al. 2019, eq. 2): 0 at an equilibrium, never below it with unlimited budgets."""

    gap: float
    best_discriminator: float
    """max over D' of V(D', G)."""
    best_generator: float
    """min over G' of V(D, G')."""
    images: int
    """The budget of either side."""


def duality_gap(
    session: Session, data: Dataset, real: Tensor, z: Tensor, images: int, seed: int = 0, c: Tensor | None = None
) -> Gap:
    """What either player gains by a best response of a fixed budget, on the value V.

    Each side starts from where it is and plays against its fixed opponent by the run's own optimizer at its full rate,
    with the non-saturating loss of the paper; nothing is lost where no answer is found: then it stays.

    Args:
        session: the game as it stands.
        data: what to play on.
        real: (N, ...) held-out items that judge.
        z: (M, latent) draws that judge.
        images: the budget of each side.
        c: (N, K) of the held-out items, for a conditional run; samples are judged at the same c, so M is N.
    """
    before = _value_of(session.players, session, real, z, c)
    response_values = {}
    for mover in ("discriminator", "generator"):
        players = _respond(session, mover, data, images, seed)
        response_values[mover] = _value_of(players, session, real, z, c)
    best_d, best_g = max(response_values["discriminator"], before), min(response_values["generator"], before)
    return Gap(best_d - best_g, best_d, best_g, images)


def _respond(session: Session, mover: str, data: Dataset, images: int, seed: int) -> dict[str, nn.Module]:
    players = {name: deepcopy(session.players[name]).requires_grad_(True) for name in ("generator", "discriminator")}
    config = replace(session.config, decay=type(session.config.loss)("constant"))
    task = session.task.value_task()
    if task is None:
        raise BadInput(f"the task '{session.config.task.name}' has no value to respond to, so no duality gap")
    moves = tuple(
        replace(move, cost=partial(_value_alone, move.cost)) for move in task.moves() if move.movers == (mover,)
    )
    game, learner = Game(task, players, moves), build_learner(config, {mover: players[mover]})
    feed = Batches(data, None, min(config.batch, len(data)), mix(seed, 11))
    train(game, feed, learner, Local(session.device), images=images, seed=mix(seed, 12))
    return {name: player.eval() for name, player in players.items()}


def _value_alone(cost: Callable[[Players, Batch], Mapping[str, Tensor]], players: Players, hand: Batch) -> Costs:
    """The adversarial part of a move's costs: the value that is played for."""
    return Costs({"adversarial": cost(players, hand)["adversarial"]})


@torch.no_grad()
def _value_of(players: Players, session: Session, real: Tensor, z: Tensor, c: Tensor | None) -> float:
    fake = torch.cat([play["generator"](z[at].to(session.device)) for at, play in _bound(players, session, len(z), c)])
    on_real, on_fake = (_session_logits(players, session, x, c) for x in (real, fake))
    if _level_free(session.task.contest):
        shift = _level(on_real, on_fake)
        on_real, on_fake = on_real - shift, on_fake - shift
    return value(on_real, on_fake).value
