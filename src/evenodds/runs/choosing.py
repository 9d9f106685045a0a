"""What the data decide before a run starts: the task, views, a penalty's weight, the items worth learning from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.game.arithmetic import evenly
from evenodds.game.rules import mix
from evenodds.metrics.features.extract import extract
from evenodds.runs.config import Config
from evenodds.runs.find import find

__all__ = ["GRID", "Choice", "Trial", "chosen_penalty", "chosen_task", "chosen_views", "densest", "is_open", "mirrored"]

GRID = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Weights of a penalty that are tried."""
ROUNDS = ((1, 6), (2, 3), (4, 2))
"""(length, games): six games are played to 1, the best three of them on to 2, the best two to 4."""
SPENT = sum(games * (length - before) for (length, games), before in zip(ROUNDS, (0, 1, 2), strict=True))
LEAST_ROUNDS = 200
"""Rounds of the longest game, below which a weight is not chosen by games."""
SHARE = 0.125
"""Of the run's images, so many are spent on the games that choose a weight, beside the run."""


@dataclass(frozen=True)
class Choice:
    """A setting that the data decided, and why."""

    setting: str
    value: Any
    reason: str
    found: dict[str, Any] = field(default_factory=dict)
    """The figures that it rests on."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"setting": self.setting, "value": self.value, "reason": self.reason, **self.found}


def is_open(config: Config) -> bool:
    """Whether a setting is left to the data."""
    return config.penalty_weight is None or "auto" in config.views


# The task ----------------------------------------------------------------------------------------------------------


def chosen_task(dataset: Dataset, index: Tensor) -> Choice:
    """ "condition" where the items have classes, each with at least 30 training items on average; else "generate".

    Args:
        index: (N,) the items that are trained on.
    """
    labels = dataset.y[index] if dataset.y is not None else torch.empty(0, dtype=torch.int64)
    counts = torch.bincount(labels[labels >= 0], minlength=len(dataset.classes))
    figures = {"classes": int((counts > 0).sum()), "labelled": int(counts.sum())}
    if figures["classes"] < 2:
        return Choice("task", "generate", "the data have no classes", figures)
    many = f"the data have {figures['classes']:,} classes"
    if figures["labelled"] < FEWEST * len(counts):
        few = f"with {figures['labelled'] / len(counts):.1f} training items each, fewer than {FEWEST}"
        return Choice("task", "generate", f"{many} {few}", figures)
    return Choice("task", "condition", f"{many}, so that samples can be asked for by class", figures)


# Views -------------------------------------------------------------------------------------------------------------


def chosen_views(dataset: Dataset, index: Tensor, seed: int = 0) -> Choice:
    """The views that do not change what such data are.

    Images are moved; mirrored along an axis only if the items are not found to differ from their mirror images; colours
    are changed only where there are any. Rows of numbers are jittered.

    Args:
        index: (N,) the items that are trained on.
    """
    if dataset.kind != "image":
        return Choice("views", ["jitter"], "rows of numbers are only jittered")
    found, reasons, figures = ["translation"], ["images are moved"], {}
    for name, axis in (("flip", 3), ("flip_vertical", 2)):
        chance = mirrored(dataset, index, axis, seed)
        figures[f"{name}_p"] = round(chance, 4)
        if chance >= LEAST_CHANCE:
            found.append(name)
        way = "left and right" if axis == 3 else "top and bottom"
        said = "not told apart" if chance >= LEAST_CHANCE else "told apart, so not used"
        reasons.append(f"{way} mirrored: {said} (p = {chance:.3g})")
    if dataset.shape[0] >= 3:
        found.append("color")
        reasons.append("colours are changed")
    else:
        reasons.append("grey, so no change of colours")
    return Choice("views", found, "; ".join(reasons), figures)


LEAST_CHANCE = 0.05
"""Mirror images that differ from the items with less chance than this by accident are told apart."""
FEWEST = 30
"""With fewer items nothing can be said of a symmetry, so none is taken for granted; nor is a class learned."""


@torch.no_grad()
def mirrored(dataset: Dataset, index: Tensor, axis: int, seed: int = 0, draws: int = 999) -> float:
    """The p-value of "the data are symmetric under a mirror": an exact test by signs.

    Under the hypothesis each difference f(x) - f(mirror of x) of features has a distribution that is symmetric about 0,
    so that any of its signs are equally likely. The statistic is the length of the mean difference, over pixels at
    16 x 16 and over random features, each scaled by its mean square. 0 for fewer than 30 items.

    Args:
        index: (N,) at most 2,000 of these items are looked at.
        axis: of (N, C, H, W): 3 is left and right, 2 is top and bottom.
        draws: of random signs.
    """
    if len(index) < FEWEST:
        return 0.0
    some = index[evenly(len(index), 2000)]
    x = dataset.batch(some)["x"]
    difference = _symmetry_features(dataset.shape, x) - _symmetry_features(dataset.shape, x.flip(axis))
    difference = difference / difference.square().mean(0).sqrt().clamp_min(1e-6)
    # Of signs only the products of differences matter, (N, N) in place of (N, F).
    gram = difference @ difference.T
    rng = torch.Generator().manual_seed(mix(seed, 17))
    signs = torch.randint(2, (draws, len(gram)), generator=rng).float() * 2 - 1
    drawn = ((signs @ gram) * signs).sum(1)
    return float((1 + (drawn >= gram.sum()).sum()) / (1 + draws))


def _symmetry_features(shape: Sequence[int], x: Tensor) -> Tensor:
    pixels = torch.nn.functional.adaptive_avg_pool2d(x, (min(16, shape[1]), min(16, shape[2]))).flatten(1)
    return torch.cat([pixels, extract(find("features", "random")(shape), x)], 1)


# Items -------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def densest(dataset: Dataset, index: Tensor, share: float) -> tuple[Tensor, str]:
    """Instance selection (DeVries et al. 2020): the items at which a Gaussian of their features is densest.

    Of labelled data each class gives the same share, by its own Gaussian, so that none is lost.

    Args:
        index: (N,) to choose from.
        share: to keep, in (0, 1].

    Returns:
        The sorted indices that are kept, and a sentence for the report.
    """
    name = "random" if dataset.kind == "image" else "pixels"
    features = _in_batches(dataset, index, find("features", name)(dataset.shape))
    labels = dataset.y[index] if dataset.y is not None else torch.zeros(len(index), dtype=torch.int64)
    kept = []
    for label in torch.unique(labels).tolist():
        places = (labels == label).nonzero().flatten()
        count = max(1, round(share * len(places)))
        kept.append(places[_surprise(features[places]).argsort(stable=True)[:count]])
    found = index[torch.cat(kept)].sort().values
    return found, f"instance selection: the densest {len(found):,} of {len(index):,} training items are learned from"


def _in_batches(dataset: Dataset, index: Tensor, extractor: Any) -> Tensor:
    return torch.cat([extract(extractor, dataset.batch(part)["x"]) for part in torch.split(index, 2048)])


def _surprise(features: Tensor) -> Tensor:
    """(n,) squared Mahalanobis distance to the mean, with a covariance that is drawn to its diagonal where n is few."""
    centred = (features - features.mean(0)).double()
    covariance = centred.T @ centred / max(1, len(features))
    weight = features.shape[1] / (features.shape[1] + len(features))
    diagonal = covariance.diagonal()
    covariance = torch.lerp(covariance, diagonal.diag(), weight) + 1e-6 * (diagonal.mean() + 1e-12) * torch.eye(
        len(covariance), dtype=torch.float64
    )
    solved = torch.linalg.solve(covariance, centred.T).T
    distance: Tensor = (centred * solved).sum(1)
    return distance


# The penalty -------------------------------------------------------------------------------------------------------


class Trial(Protocol):
    """A short game that can be played on."""

    def advance(self, images: int) -> Mapping[str, float]:
        """Plays on until so many images were shown; its held-out "score" then, lower is better, and the ends of its
        interval, "score_low" and "score_high"."""
        ...


def chosen_penalty(
    config: Config, usual: float, trial: Callable[[Config], Trial], say: Callable[[str], None] = lambda line: None
) -> Choice:
    """The weight of the penalty whose short game has the lowest held-out score, where it is clearly the lowest.

    Successive halving (Jamieson and Talwalkar 2016): every weight of the grid is played for a while with the same
    seed, the better half goes on. The games are whole short runs, their schedules scaled to their length; all
    together show an eighth of the run's images. Short games favour weak penalties, and their scores are noisy: the
    usual weight always goes on, and another takes its place only where it scored lower twice, at last with either
    score outside the other's interval. Where the longest game would have fewer than `LEAST_ROUNDS` rounds, in which all
    weights look alike or the weakest the best, none is played and the usual weight stays.

    Args:
        config: with the run's length; its weight is left open.
        usual: the weight that would be played without a choice; its neighbour in the grid stands for it.
        trial: starts a game by a configuration.
    """
    if config.penalty is None:
        raise BadInput("penalty_weight=auto needs a penalty to weigh; set penalty=r1_r2")
    grid = usual_first(usual)
    longest = ROUNDS[-1][0]
    unit = max(config.batch, int(SHARE * config.images / SPENT))
    rounds = longest * unit // (config.batch * config.discriminator_steps)
    if rounds < LEAST_ROUNDS:
        reason = (
            f"the usual weight: in a run of {config.images:,} images the longest short game would take {rounds} "
            f"rounds, and weights cannot be told apart in fewer than {LEAST_ROUNDS}"
        )
        say(f"penalty_weight={usual:g}: {reason}")
        return Choice("penalty_weight", usual, reason, {"images": 0, "tried": []})
    short = replace(config, images=longest * unit)
    games = {weight: trial(replace(short, penalty_weight=weight)) for weight in grid}
    scores: dict[float, list[float]] = {weight: [] for weight in grid}
    last: dict[float, Mapping[str, float]] = {}
    left = list(grid)
    for length, count in ROUNDS:
        left = [usual, *sorted(left[1:], key=lambda weight: scores[weight][-1] if scores[weight] else 0.0)][:count]
        for weight in left:
            last[weight] = games[weight].advance(length * unit)
            scores[weight].append(_finite(last[weight]["score"]))
    other = min(left[1:], key=lambda weight: scores[weight][-1])
    apart = scores[other][-1] < last[usual]["score_low"] and last[other]["score_high"] < scores[usual][-1]
    clear = (apart and scores[other][-2] < scores[usual][-2]) or not scores[usual][-1] < NOT_FINITE
    best = other if clear else usual
    after = f"after {longest * unit:,} images of a short game"
    reason = (
        f"{other:g} had the held-out score {_ends(last[other])} {after}, and the usual weight {usual:g} had "
        f"{_ends(last[usual])}: {other:g} is {'' if clear else 'not '}clearly better"
    )
    say(f"penalty_weight={best:g}: {reason}")
    rows = [{"weight": weight, "scores": [round(score, 6) for score in scores[weight]]} for weight in sorted(grid)]
    return Choice("penalty_weight", best, reason, {"images": unit, "tried": rows})


def usual_first(usual: float) -> list[float]:
    """The weights of the grid with the usual one in place of its neighbour, and first."""
    near = min(GRID, key=lambda weight: abs(math.log(weight / usual)))
    return [usual, *(weight for weight in GRID if weight != near)]


NOT_FINITE = 1e30
"""The score of a game that diverged: it comes last."""


def _ends(found: Mapping[str, float]) -> str:
    return f"{found['score']:.4g} ({found['score_low']:.4g} to {found['score_high']:.4g})"


def _finite(score: float) -> float:
    return score if math.isfinite(score) else NOT_FINITE
