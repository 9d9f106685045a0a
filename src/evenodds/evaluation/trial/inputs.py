"""All from which the arms of one seed are made: the training fold, and what is learned from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from evenodds.apply.filters import Agreement, Draw, drawn_until
from evenodds.data.dataset import Dataset
from evenodds.evaluation.trial.classical import chosen, copies
from evenodds.evaluation.trial.classifiers import Classifier, Examples, Small
from evenodds.evaluation.trial.proof import Ledger
from evenodds.game.seeds import mix
from evenodds.metrics.probe import Probe

__all__ = ["CHOICE", "GENERATOR", "JUDGE", "SHARE", "SMALL_CLASSIFIER", "ArmInputs", "Maker", "laid_out", "sampled"]

SMALL_CLASSIFIER, CHOICE, GENERATOR = "small classifier of neighbours", "choice of changes", "generator"
JUDGE = "judge of agreement"
SHARE = "choice of the synthetic share"
Maker = Callable[[Dataset, int, float], Draw]
"""(training fold, seed, budget) -> a generator that can be asked for a class. The budget is in seconds, or in what the
maker's own `planned(fold, seconds)` gives, such as images, so that the clock does not decide what is made."""


@dataclass
class ArmInputs:
    """All from which the arms of one seed are made. Everything in it rests on the training fold alone.

    Args:
        fold: the training items.
        ledger: through which everything that learns gets its items.
        seed: of all draws.
        small: the small classifier, which finds neighbours, judges samples and tries changes, whatever is tested.
        tested: the classifier that is to be helped.
        ratio: synthetic images of the largest class for each of its real ones; others are filled up to as many in all.
        agreeing: whether synthetic items must pass the judge.
        synthetic: (x, y) of generated items in [-1, 1]; made when first needed.
        choose: the synthetic share of each arm, see `share.chosen_shares`; made when first needed.
        kinds_given: the changes to make; None chooses them.
        shares_given: the shares by arm; None chooses them.
    """

    fold: Dataset
    ledger: Ledger
    seed: int
    small: Small
    tested: Classifier
    ratio: float
    agreeing: bool
    synthetic: Callable[[ArmInputs], tuple[Tensor, Tensor]]
    choose: Callable[[ArmInputs], Mapping[str, float]]
    kinds_given: tuple[str, ...] | None = None
    shares_given: Mapping[str, float] | None = None

    @property
    def classes(self) -> int:
        return len(self.fold.classes)

    def x(self) -> Tensor:
        """All training items in [-1, 1]."""
        return laid_out(self.fold.units.to_model(self.fold.x))

    @property
    def y(self) -> Tensor:
        """(N,) int64."""
        assert self.fold.y is not None
        return self.fold.y

    @property
    def counts(self) -> Tensor:
        """(K,) training items of each class."""
        return torch.bincount(self.y, minlength=self.classes)

    def rng(self, number: int) -> torch.Generator:
        """A generator for one kind of draws."""
        return torch.Generator().manual_seed(mix(self.seed, number))

    def lacking(self) -> list[int]:
        """How many further images bring each class to (1 + ratio) times the largest."""
        most = round((1 + self.ratio) * int(self.counts.max()))
        return [most - n for n in self.counts.tolist()]

    def drawn(self) -> list[int]:
        """How many synthetic items of each class are made: what it lacks, or what half of a classifier's fill takes."""
        each = self.room() // (4 * self.classes)  # each of them twice, changed by other amounts
        return [max(n, each) for n in self.lacking()]

    def room(self) -> int:
        """How many images an arm of changed copies may hold: what the classifier has use for, within 1 GB."""
        return min(self.tested.appetite(len(self.y)), (1 << 28) // self.fold.x[0].numel())

    @cached_property
    def small_classifier(self) -> Probe:
        """The small classifier, fitted to the training fold."""
        fold = self.ledger.record(SMALL_CLASSIFIER, self.fold)
        assert fold.y is not None
        examples = Examples(fold.units.to_model(fold.x), fold.y, torch.ones(len(fold)))
        return self.small.fitted(examples, self.classes, mix(self.seed, 7))

    @cached_property
    def judge(self) -> Probe:
        """The small classifier, fitted to the training fold and its changed copies: it says what passes."""
        fold = self.ledger.record(JUDGE, self.fold)
        assert fold.y is not None
        x, y = copies(self.x(), fold.y, self.kinds, min(self.small.appetite(len(fold.y)), self.room()), self.rng(10))
        return self.small.fitted(Examples(laid_out(x), y, torch.ones(len(y))), self.classes, mix(self.seed, 9))

    def features(self) -> Tensor:
        """(N, 128) of the training images, by the small classifier."""
        return torch.cat([self.small_classifier.features(part) for part in torch.split(self.x(), 1024)])

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The changes that the classes survive."""
        if self.kinds_given is not None:
            return self.kinds_given
        self.ledger.record(CHOICE, self.fold)
        brief = Small(max(20, self.small.steps // 3), self.small.batch, self.small.width)

        def predicted(x: Tensor, y: Tensor, check: Tensor) -> Tensor:
            predict = brief.fit(Examples(x, y, torch.ones(len(y))), self.classes, mix(self.seed, 8))
            return predict(check).argmax(1)

        return chosen(self.x(), self.y, predicted, self.rng(9))

    @cached_property
    def generated(self) -> tuple[Tensor, Tensor]:
        """The synthetic items of this seed with their labels."""
        return self.synthetic(self)

    @cached_property
    def shares(self) -> Mapping[str, float]:
        """How much is synthetic, by arm."""
        if self.shares_given is not None:
            return self.shares_given
        for learner in (SHARE, CHOICE):  # the share is chosen with the changes that are made, also where it is on disk
            self.ledger.record(learner, self.fold)
        return self.choose(self)


def laid_out(x: Tensor) -> Tensor:
    """Images as convolutions read them fastest; rows as they are."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def sampled(inputs: ArmInputs, draw: Draw) -> tuple[Tensor, Tensor]:
    """Items of each class, asked of a generator, in the data's own units and back."""

    def agreement(x: Tensor) -> Tensor:
        probabilities: Tensor = inputs.judge(x).softmax(1)
        return probabilities

    filters = {"agreement": Agreement(agreement)} if inputs.agreeing else {}
    parts, labels = [inputs.x()[:0]], []
    for label, n in enumerate(inputs.drawn()):
        accepted, count = drawn_until(draw, label, n, filters, mix(inputs.seed, 12), tries=20)
        parts += accepted
        labels += [label] * count.written
    units = inputs.fold.units
    return units.to_model(units.to_data(torch.cat(parts).clamp(-1, 1))), torch.tensor(labels, dtype=torch.int64)
