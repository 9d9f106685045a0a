"""What a run says of itself while it learns: figures on items that it does not learn from, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from evenodds.data.dataset import Dataset
from evenodds.game.arithmetic import evenly
from evenodds.game.engine import Engine
from evenodds.game.rules import Batch
from evenodds.game.seeds import mix
from evenodds.metrics.features.extract import extract
from evenodds.metrics.frechet import frechet
from evenodds.metrics.intervals import Interval, Pairs, Side, intervals
from evenodds.metrics.kernel_statistic import KernelStatistic
from evenodds.metrics.manifold import precision_recall_of
from evenodds.metrics.memorisation import CopyTest
from evenodds.metrics.neighbourhood import Neighbourhood
from evenodds.metrics.sliced import SlicedTo
from evenodds.runs.find import find
from evenodds.tasks._playable import Playable, Scoring

__all__ = ["LEAST_TIMES", "HeldOut", "held_out", "looks"]

T = TypeVar("T")

LEAST_LEARNED, MOST_LEARNED = 16, 2000
"""Copies are looked for among so many training images: more are seldom copied."""

LEAST_TIMES = 4
"""And where a run shows each of them so many times at least."""

JUDGED = 1000
"""Held-out items, at most, by which samples are scored."""
LOOKS = (10, 5, 2, 1)
"""Evaluations of a run, where it is left open: so many that it shows `PER_ITEM` images for each item that is judged."""
PER_ITEM = 4
"""To judge a thousand items takes about as long as to train with a few hundred images."""


def looks(share: float | None, images: int, items: int) -> int:
    """Evaluations of a run.

    Args:
        share: of the run, from one to the next; None where the length decides.
        images: of the run.
        items: that are held out.

    Example:
        >>> [looks(None, images, 5000) for images in (640, 20_000, 200_000)]
        [1, 5, 10]
    """
    if share is not None:
        return round(1 / share)
    fewest = LOOKS[-1]
    return next((many for many in LOOKS if many * PER_ITEM * min(items, JUDGED) <= images), fewest)


class HeldOut(Protocol):
    """Measures the players of a run by its held-out items: always the same draws, so that figures can be compared."""

    @property
    def score_is(self) -> str:
        """What the score means."""
        ...

    def measure(self, players: Mapping[str, nn.Module]) -> dict[str, float]:
        """Named figures, among them "score", lower is better, with "score_low" and "score_high"."""
        ...


@dataclass(frozen=True)
class _Items:
    """The items that are asked about, and the answers to them."""

    task: Playable
    dataset: Dataset
    index: Tensor
    seed: int
    engine: Engine
    most: int
    at_once: int

    @cached_property
    def real(self) -> Batch:
        """At most so many held-out items, spread over all."""
        return self.once("items", lambda: self.dataset.batch(self.index[evenly(len(self.index), self.most)]))

    def once(self, what: Hashable, find: Callable[[], T]) -> T:
        """What follows from the held-out items alone: the next run of the same data finds it known."""
        return self.dataset.once(("held out", what, self.most, self.index.numpy().tobytes()), find)

    @cached_property
    def request(self) -> Batch:
        """What is asked beside them."""
        return self.task.request_for(self.real, torch.Generator().manual_seed(mix(self.seed, -2)))

    @torch.no_grad()
    def answers(self, players: Mapping[str, nn.Module]) -> dict[str, Tensor]:
        """All answers, on the CPU."""
        parts = zip(*(torch.split(value, self.at_once) for value in self.request.values()), strict=True)
        requests = (self.engine.send(dict(zip(self.request, part, strict=True))) for part in parts)
        answers = [self.task.answer(players, request) for request in requests]
        return {name: torch.cat([answer[name].cpu() for answer in answers]) for name in answers[0]}


@dataclass(frozen=True)
class Samples:
    """Samples beside real items: the kernel distance, precision and recall in random features of images, the sliced
    Wasserstein distance of others. Where training images are few, copies of them are looked for too."""

    items: _Items
    kind: str
    learned: Tensor
    """The training items among which copies are looked for."""

    @property
    def score_is(self) -> str:
        what = "kernel distance in random features" if self.kind == "image" else "sliced Wasserstein distance"
        return f"{what}, to held-out data (lower is better)"

    def measure(self, players: Mapping[str, nn.Module]) -> dict[str, float]:
        real, fake = self._held_out, self._side(self.items.answers(players)["x"].float())
        if self.kind != "image":
            return _figures(intervals(self._distance, real, fake, pairs=4, seed=self.items.seed))
        near = self._around.beside(fake.features)
        real, fake = real.among(near, 0), fake.among(near, 1)
        figures = _figures(intervals(_Appearance(), real, fake, pairs=4, seed=self.items.seed))
        return figures | self._copies(fake.features)

    def _copies(self, fake: Tensor) -> dict[str, float]:
        """The share of samples that are suspected copies: 0 where it is no more than chance."""
        if self._copy_test is None:
            return {}
        found = self._copy_test(fake)
        return {"copies": found.share if found.low > found.expected_high else 0.0}

    @cached_property
    def _copy_test(self) -> CopyTest | None:
        """By the features of the training items; None where these are too few or too many."""
        if not LEAST_LEARNED <= len(self.learned) <= MOST_LEARNED:
            return None

        def made() -> CopyTest:
            learned = self._side(self.items.dataset.batch(self.learned)["x"])
            return CopyTest(learned.features, self._held_out.features)

        return self.items.once(("copies", self.learned.numpy().tobytes()), made)

    @cached_property
    def _held_out(self) -> Side:
        return self.items.once("features", lambda: self._side(self.items.real["x"]))

    @cached_property
    def _distance(self) -> _Sliced:
        return self.items.once(("sliced", self.items.seed), _Sliced)

    @cached_property
    def _around(self) -> Neighbourhood:
        return self.items.once("neighbours", lambda: Neighbourhood(self._held_out.features))

    @cached_property
    def _extractor(self) -> Any:
        return find("features", "random" if self.kind == "image" else "pixels")(self.items.dataset.shape)

    def _side(self, x: Tensor) -> Side:
        return Side(x, extract(self._extractor, x))


class _Sliced:
    """The sliced Wasserstein distance. The real side of each pair is the same at every evaluation: its places along the
    lines are kept."""

    def __init__(self) -> None:
        self._known: list[SlicedTo] = []

    def __call__(self, real: Side, fake: Side) -> Mapping[str, float]:
        """Of one pair of sides."""
        return {"score": float(_lines_to(real)(fake.features))}

    def of_all(self, pairs: Pairs) -> list[Mapping[str, float]]:
        """Of each pair; the real sides are those of the first call."""
        sides = list(pairs)
        self._known = self._known or [_lines_to(real) for real, _ in sides]
        return [{"score": float(to(fake.features))} for to, (_, fake) in zip(self._known, sides, strict=True)]


def _lines_to(real: Side) -> SlicedTo:
    return SlicedTo(real.features, rng=torch.Generator().manual_seed(0))


class _Appearance:
    """The kernel distance, precision and recall of images."""

    def __call__(self, real: Side, fake: Side) -> Mapping[str, float]:
        """Of one pair of sides."""
        return self.of_all([(real, fake)])[0]

    def of_all(self, pairs: Pairs) -> list[Mapping[str, float]]:
        """Of each pair."""
        sides = list(pairs)
        kernels = KernelStatistic().of_all(sides)
        return [{"score": k["kernel"], **_manifold(*pair)} for k, pair in zip(kernels, sides, strict=True)]


def _manifold(real: Side, fake: Side) -> dict[str, float]:
    manifold = precision_recall_of(*real.neighbours(fake), k=min(3, len(real) - 1, len(fake) - 1))
    return {"precision": float(manifold.precision), "recall": float(manifold.recall)}


@dataclass(frozen=True)
class Answers:
    """Answers beside the truth, item by item. Once an adversary plays for how images look, what errs least is not what
    looks best: the score is then the Fréchet distance of answers and truths, in random features of all their pixels."""

    items: _Items
    scoring: Scoring

    @property
    def score_is(self) -> str:
        what = "Fréchet distance in random features" if self.scoring.by_appearance else self.scoring.score_is
        return f"{what}, on held-out data (lower is better)"

    def measure(self, players: Mapping[str, nn.Module]) -> dict[str, float]:
        answers = self.items.answers(players)
        tallies = self.scoring.tally(self.items.real, answers).float()
        side, seed = Side(tallies, tallies), self.items.seed
        figures = intervals(lambda _, tally: self.scoring.figures(tally.features), side, side, pairs=8, seed=seed)
        if not self.scoring.by_appearance:
            score = figures["score"]  # an error, of which there is none below 0
            ends = {"low": max(0.0, score.low), "high": min(self.scoring.worst, score.high)}
            return _figures({**figures, "score": replace(score, **ends)})
        figures["error"] = figures.pop("score")
        return _figures(figures | intervals(_distance, self._truth, self._side(answers["x"]), pairs=4, seed=seed))

    @cached_property
    def _truth(self) -> Side:
        return self._side(self.items.real["x"])

    @cached_property
    def _extractor(self) -> Any:
        # At the images' own size: reduced to 32 x 32, as samples are judged, sharp images look like blurred ones.
        native = min(self.items.dataset.shape[1:]) // 8 * 8
        return find("features", "random")(self.items.dataset.shape, side=max(32, min(256, native)))

    def _side(self, x: Tensor) -> Side:
        return Side(x, extract(self._extractor, x))


def _distance(real: Side, fake: Side) -> dict[str, float]:
    return {"score": float(frechet(real.features, fake.features))}


def held_out(
    task: Playable, dataset: Dataset, index: Tensor, learned: Tensor, seed: int, engine: Engine
) -> HeldOut | None:
    """What measures this task by the items of index; None where these are too few to say anything.

    Args:
        learned: the items that are trained on.
    """
    if task.learns_labels:
        index = dataset.labelled(index)
    if len(index) < 4:
        return None
    if task.scoring is not None:
        most, at_once = (JUDGED, 256) if task.learns_labels or dataset.kind != "image" else (128, 8)
        return Answers(_Items(task, dataset, index, seed, engine, most, at_once), task.scoring)
    return Samples(_Items(task, dataset, index, seed, engine, most=JUDGED, at_once=256), dataset.kind, learned)


def _figures(figures: Mapping[str, Interval]) -> dict[str, float]:
    """Values, and the ends of the score's interval."""
    score = figures["score"]
    ends = {"score": score.value, "score_low": score.low, "score_high": score.high}
    return ends | {name: interval.value for name, interval in figures.items() if name != "score"}
