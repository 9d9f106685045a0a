"""The weight of the penalty by short games on the data: penalty_weight=auto."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.game.exchange import agreed
from evenodds.game.rules import Progress
from evenodds.game.trainer import train
from evenodds.runs.assembly import Run
from evenodds.runs.choosing import Choice
from evenodds.runs.config import Config
from evenodds.runs.config_files import origin
from evenodds.runs.extras import Extra
from evenodds.runs.planning import plan

__all__ = ["GRID", "SPENT", "ShortGame", "ShortGames", "chosen_penalty"]

GRID = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Weights of a penalty that are tried."""
ROUNDS = ((1, 6), (2, 3), (4, 2))
"""(length, games): six games are played to 1, the best three of them on to 2, the best two to 4."""
SPENT = sum(games * (length - before) for (length, games), before in zip(ROUNDS, (0, 1, 2), strict=True))
LEAST_ROUNDS = 200
"""Rounds of the longest game, below which a weight is not chosen by games."""
SHARE = 0.125
"""Of the run's images, so many are spent on the games that choose a weight, beside the run."""


class ShortGames(Extra):
    """Chooses the weight of the penalty by short games before the run, where penalty_weight=auto.

    Measured (benchmarks/auto_penalty.md): within 10 % of the best of five weights in four of five runs, and 20 % behind
    it in the fifth, all within its interval.
    """

    def settle(
        self, config: Config, dataset: Dataset, seconds: float | None, say: Callable[[str], None]
    ) -> tuple[Config, list[Choice]]:
        """With the weight that is chosen."""
        if config.penalty_weight is not None:
            return config, []
        length, usual = config, usual_weight(config)
        if seconds is not None:  # the games cost a part of the run that follows them
            length, *_ = plan(replace(config, penalty_weight=usual), dataset, seconds / (1 + SHARE))
        open_config = replace(config, images=length.images)
        choice = chosen_penalty(open_config, usual, lambda short: _Game(Run(short, dataset)), say)
        return replace(config, penalty_weight=choice.value), [choice]


def usual_weight(config: Config) -> float:
    """The weight of the penalty in the recipe that the run began from, or 0.1 where that has none."""
    recipe = origin(config)
    return (recipe.penalty_weight if recipe is not None else None) or 0.1


@dataclass
class _Game:
    """A run without a folder that is played for a while, and its held-out score."""

    run: Run
    progress: Progress = field(init=False)

    def __post_init__(self) -> None:
        self.progress = Progress(total=self.run.config.images)
        if len(self.run.held_out_index) < 4:
            raise BadInput("penalty_weight=auto judges by held-out items, of which there are none; set held_out=0.1")

    def advance(self, images: int) -> Mapping[str, float]:
        run = self.run
        train(
            run.game,
            run.feed,
            run.learner,
            run.engine,
            images=images,
            seed=run.config.seed,
            progress=self.progress,
            listeners=[*run.listeners.values()],
        )
        return agreed(lambda: dict(run.measure()))


class ShortGame(Protocol):
    """A short game that can be played on."""

    def advance(self, images: int) -> Mapping[str, float]:
        """Plays on until so many images were shown; its held-out "score" then, lower is better, and the ends of its
        interval, "score_low" and "score_high"."""
        ...


def chosen_penalty(
    config: Config, usual: float, start: Callable[[Config], ShortGame], say: Callable[[str], None] = lambda line: None
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
        start: starts a game by a configuration.
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
    games = {weight: start(replace(short, penalty_weight=weight)) for weight in grid}
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


def _ends(figures: Mapping[str, float]) -> str:
    return f"{figures['score']:.4g} ({figures['score_low']:.4g} to {figures['score_high']:.4g})"


def _finite(score: float) -> float:
    return score if math.isfinite(score) else NOT_FINITE
