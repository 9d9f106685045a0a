"""The ways that are tried: what each of them gives a classifier to learn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from evenodds.apply.filters import Agreement, Draw, drawn_until
from evenodds.data.dataset import Dataset
from evenodds.errors import unknown
from evenodds.evaluation.trial.classical import chosen, copies
from evenodds.evaluation.trial.classifiers import Classifier, Examples, Small
from evenodds.evaluation.trial.proof import Ledger
from evenodds.evaluation.trial.smote import smote
from evenodds.game.rules import mix

__all__ = ["ARMS", "GENERATOR", "SYNTHETIC", "Maker", "Stall", "Workshop", "as_real", "checked"]

SCOUT, CHOICE, GENERATOR = "small classifier of neighbours and agreement", "choice of changes", "generator"
Maker = Callable[[Dataset, int, float], Draw]
"""(training fold, seed, budget) -> a generator that can be asked for a class. The budget is in seconds, or in what the
maker's own `planned(fold, seconds)` gives, such as images, so that the clock does not decide what is made."""


@dataclass(frozen=True)
class Stall:
    """A way that is tried."""

    title: str
    build: Callable[[Workshop], Examples]
    simple: int
    """The smaller, the less it takes: of ways that cannot be told apart the simplest is recommended."""
    things: tuple[str, ...] = ()
    """What learns from training items for it, beside the classifier."""


@dataclass
class Workshop:
    """All from which the arms of one seed are made: the training fold alone.

    Args:
        fold: the training items.
        ledger: through which everything that learns gets its items.
        seed: of all draws.
        small: the small classifier, which finds neighbours, judges samples and tries changes, whatever is tested.
        tested: the classifier that is to be helped.
        ratio: synthetic images of the largest class for each of its real ones; others are filled up to as many in all.
        agreeing: whether synthetic images must pass the small classifier.
        synthetic: (x, y) of generated images in [-1, 1]; made when first needed.
    """

    fold: Dataset
    ledger: Ledger
    seed: int
    small: Small
    tested: Classifier
    ratio: float
    agreeing: bool
    synthetic: Callable[[Workshop], tuple[Tensor, Tensor]]
    _scout: Any = None
    _kinds: tuple[str, ...] | None = None
    _made: tuple[Tensor, Tensor] | None = None

    @property
    def classes(self) -> int:
        return len(self.fold.classes)

    def x(self) -> Tensor:
        """All training images in [-1, 1]."""
        return self.fold.units.to_model(self.fold.x).contiguous(memory_format=torch.channels_last)

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

    def room(self) -> int:
        """How many images an arm of changed copies may hold: what the classifier has use for, within 1 GB."""
        return min(self.tested.appetite(len(self.y)), (1 << 28) // self.fold.x[0].numel())

    def scout(self) -> Any:
        """The small classifier fitted to the training fold."""
        if self._scout is None:
            fold = self.ledger.hand(SCOUT, self.fold)
            assert fold.y is not None
            examples = Examples(fold.units.to_model(fold.x), fold.y, torch.ones(len(fold)))
            self._scout = self.small.fitted(examples, self.classes, mix(self.seed, 7))
        return self._scout

    def features(self) -> Tensor:
        """(N, 128) of the training images, by the scout."""
        return torch.cat([self.scout().features(part) for part in torch.split(self.x(), 1024)])

    def kinds(self) -> tuple[str, ...]:
        """The changes that the classes survive."""
        if self._kinds is None:
            self.ledger.hand(CHOICE, self.fold)
            brief = Small(max(20, self.small.steps // 3), self.small.batch, self.small.width)

            def named(x: Tensor, y: Tensor, check: Tensor) -> Tensor:
                predict = brief.fit(Examples(x, y, torch.ones(len(y))), self.classes, mix(self.seed, 8))
                return predict(check).argmax(1)

            self._kinds = chosen(self.x(), self.y, named, self.rng(9))
        return self._kinds

    def record(self, arm: str) -> dict[str, str]:
        """Thing -> digest of the items that it was handed, for all that learnt for an arm, once that is built."""
        judged = (SCOUT,) if self.agreeing and arm in SYNTHETIC else ()
        return {thing: self.ledger.saw[thing] for thing in ("classifier", *ARMS[arm].things, *judged)}

    def generated(self) -> tuple[Tensor, Tensor]:
        """The synthetic images of this seed."""
        if self._made is None:
            self._made = self.synthetic(self)
        return self._made


def sampled(shop: Workshop, draw: Draw) -> tuple[Tensor, Tensor]:
    """The images that each class lacks, asked of a generator, in the data's own units and back."""

    def agreement(x: Tensor) -> Tensor:
        found: Tensor = shop.scout()(x).softmax(1)
        return found

    filters = {"agreement": Agreement(agreement)} if shop.agreeing else {}
    parts, labels = [shop.x()[:0]], []
    for label, n in enumerate(shop.lacking()):
        made, count = drawn_until(draw, label, n, filters, mix(shop.seed, 12), tries=20)
        parts += made
        labels += [label] * count.written
    units = shop.fold.units
    return units.to_model(units.to_data(torch.cat(parts).clamp(-1, 1))), torch.tensor(labels, dtype=torch.int64)


def _plain(x: Tensor, y: Tensor) -> Examples:
    return Examples(x.contiguous(memory_format=torch.channels_last), y, torch.ones(len(y)))


def _real(shop: Workshop) -> Examples:
    return _plain(shop.x(), shop.y)


def _weighted(shop: Workshop) -> Examples:
    """N / (K n_k): classes weigh alike (King and Zeng 2001)."""
    weights = len(shop.y) / (shop.classes * shop.counts.clamp_min(1))
    return Examples(shop.x(), shop.y, weights[shop.y])


def _repeated(shop: Workshop) -> Examples:
    """Items of smaller classes again, at random, until all are as large as the largest."""
    rng, most = shop.rng(3), int(shop.counts.max())
    index = [torch.arange(len(shop.y))]
    for label, n in enumerate(shop.counts.tolist()):
        own = (shop.y == label).nonzero().flatten()
        index.append(own[torch.randint(n, (most - n,), generator=rng)])
    every = torch.cat(index)
    return _plain(shop.x()[every], shop.y[every])


def _changed(shop: Workshop) -> Examples:
    return _plain(*copies(shop.x(), shop.y, shop.kinds(), shop.room(), shop.rng(4)))


def _smote(shop: Workshop) -> Examples:
    x, features, rng = shop.x(), shop.features(), shop.rng(5)
    parts, labels = [x], [shop.y]
    for label, n in enumerate(shop.lacking()):
        own = shop.y == label
        parts.append(smote(x[own], features[own], n, rng)[0])
        labels.append(torch.full((n,), label))
    return _plain(torch.cat(parts), torch.cat(labels))


def _joined(shop: Workshop) -> tuple[Tensor, Tensor]:
    x, y = shop.generated()
    return torch.cat([shop.x(), x]), torch.cat([shop.y, y])


def _generated(shop: Workshop) -> Examples:
    return _plain(*_joined(shop))


def _generated_changed(shop: Workshop) -> Examples:
    x, y = _joined(shop)
    return _plain(*copies(x, y, shop.kinds(), shop.room(), shop.rng(6)))


ARMS: Mapping[str, Stall] = {
    "real": Stall("real images only", _real, 0),
    "weights": Stall("class weights", _weighted, 1),
    "oversampling": Stall("random oversampling", _repeated, 2),
    "classical": Stall("classical augmentation", _changed, 3, (CHOICE,)),
    "smote": Stall("SMOTE", _smote, 4, (SCOUT,)),
    "gan": Stall("GAN images", _generated, 5, (GENERATOR,)),
    "gan_classical": Stall("GAN images + classical", _generated_changed, 6, (GENERATOR, CHOICE)),
}
"""By name; the first is what the others are held against."""
SYNTHETIC = ("gan", "gan_classical")


def as_real(arm: str, balanced: bool) -> bool:
    """Whether an arm gives the very examples of real images only, so that it need not be tried."""
    return balanced and arm in ("weights", "oversampling")


def checked(arms: Sequence[str] | None) -> list[str]:
    """The arms asked for, in their order, "real" among them; BadInput for a name that nobody has."""
    for name in arms or ():
        if name not in ARMS:
            raise unknown("arm", name, ARMS)
    return [name for name in ARMS if arms is None or name in arms or name == "real"]
