"""The arms of a trial: what each of them gives a classifier to learn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evenodds.errors import unknown
from evenodds.evaluation.trial.classical import copies, transformed
from evenodds.evaluation.trial.classifiers import Examples
from evenodds.evaluation.trial.inputs import CHOICE, GENERATOR, JUDGE, SHARE, SMALL_CLASSIFIER, ArmInputs, laid_out
from evenodds.evaluation.trial.smote import smote

__all__ = ["ARMS", "SYNTHETIC", "Arm", "as_real", "checked", "learners_of", "titled"]


@dataclass(frozen=True)
class Arm:
    """A way to give a classifier more to learn from.

    Args:
        title: in words.
        build: makes its examples.
        simple: the smaller, the less it takes: of arms that cannot be told apart the simplest is recommended.
        learners: what learns from training items for it, beside the classifier; of synthetic arms see `learners_of`.
    """

    title: str
    build: Callable[[ArmInputs], Examples]
    simple: int
    learners: tuple[str, ...] = ()


def _plain(x: Tensor, y: Tensor) -> Examples:
    return Examples(laid_out(x), y, torch.ones(len(y)))


def _real(inputs: ArmInputs) -> Examples:
    return _plain(inputs.x(), inputs.y)


def _weighted(inputs: ArmInputs) -> Examples:
    """N / (K n_k): classes weigh alike (King and Zeng 2001)."""
    weights = len(inputs.y) / (inputs.classes * inputs.counts.clamp_min(1))
    return Examples(inputs.x(), inputs.y, weights[inputs.y])


def _repeated(inputs: ArmInputs) -> Examples:
    """Items of smaller classes again, at random, until all are as large as the largest."""
    rng, most = inputs.rng(3), int(inputs.counts.max())
    index = [torch.arange(len(inputs.y))]
    for label, n in enumerate(inputs.counts.tolist()):
        members = (inputs.y == label).nonzero().flatten()
        index.append(members[torch.randint(n, (most - n,), generator=rng)])
    every = torch.cat(index)
    return _plain(inputs.x()[every], inputs.y[every])


def _changed(inputs: ArmInputs) -> Examples:
    return _plain(*copies(inputs.x(), inputs.y, inputs.kinds, inputs.room(), inputs.rng(4)))


def _smote(inputs: ArmInputs) -> Examples:
    x, features, rng = inputs.x(), inputs.features(), inputs.rng(5)
    parts, labels = [x], [inputs.y]
    for label, n in enumerate(inputs.lacking()):
        members = inputs.y == label
        parts.append(smote(x[members], features[members], n, rng)[0])
        labels.append(torch.full((n,), label))
    return _plain(torch.cat(parts), torch.cat(labels))


def _generated(inputs: ArmInputs) -> Examples:
    """The training items and what each class lacks; the former alone where no synthetic ones are to be taken."""
    if not inputs.shares["gan"]:
        return _real(inputs)
    index = _spread(inputs, inputs.lacking())
    x, y = inputs.generated
    return _plain(torch.cat([inputs.x(), x[index]]), torch.cat([inputs.y, y[index]]))


def _generated_changed(inputs: ArmInputs) -> Examples:
    """Classical augmentation, in which a share of each class is synthetic and changed alike.

    The class that lacks most has the share, others less in proportion.
    """
    share = inputs.shares["gan_classical"]
    if not share:
        return _changed(inputs)
    real, labels = copies(inputs.x(), inputs.y, inputs.kinds, round((1 - share) * inputs.room()), inputs.rng(4))
    lacking, counts = torch.tensor(inputs.lacking()), torch.bincount(labels, minlength=inputs.classes)
    shares = share * lacking / lacking.max()
    wanted = (shares / (1 - shares) * counts).round().long()
    index = _spread(inputs, wanted.tolist())
    x, y = inputs.generated
    changed = transformed(x[index], inputs.kinds, inputs.rng(6))
    return _plain(torch.cat([real, changed]), torch.cat([labels, y[index]]))


def _spread(inputs: ArmInputs, wanted: Sequence[int]) -> Tensor:
    """Positions of so many synthetic items of each class, each taken once before any is taken again."""
    _, y = inputs.generated
    index = []
    for label, n in enumerate(wanted):
        members = (y == label).nonzero().flatten()
        if len(members):
            index.append(members.repeat(-(-n // len(members)))[:n])
    return torch.cat(index) if index else torch.empty(0, dtype=torch.int64)


ARMS: Mapping[str, Arm] = {
    "real": Arm("real images only", _real, 0),
    "weights": Arm("class weights", _weighted, 1),
    "oversampling": Arm("random oversampling", _repeated, 2),
    "classical": Arm("classical augmentation", _changed, 3, (CHOICE,)),
    "smote": Arm("SMOTE", _smote, 4, (SMALL_CLASSIFIER,)),
    "gan": Arm("GAN images", _generated, 5),
    "gan_classical": Arm("GAN images + classical", _generated_changed, 6),
}
"""By name; the first is what the others are held against."""
SYNTHETIC = ("gan", "gan_classical")


def as_real(arm: str, balanced: bool) -> bool:
    """Whether an arm gives the very examples of real images only, so that it need not be tried."""
    return balanced and arm in ("weights", "oversampling")


def checked(arms: Sequence[str] | None) -> list[str]:
    """The arms asked for, in their order, "real" among them; BadInput for an unknown name."""
    for name in arms or ():
        if name not in ARMS:
            raise unknown("arm", name, ARMS)
    return [name for name in ARMS if arms is None or name in arms or name == "real"]


def titled(arm: str, items: str) -> str:
    """An arm in words; items: "images", or "rows", for which no game may have been played: then they are synthetic."""
    title = ARMS[arm].title if items == "images" else ARMS[arm].title.replace("GAN", "synthetic")
    return title.replace("images", items)


def learners_of(arm: str, inputs: ArmInputs) -> tuple[str, ...]:
    """All that learns from training items for an arm."""
    if arm not in SYNTHETIC:
        return ("classifier", *ARMS[arm].learners)
    chosen, some = inputs.shares_given is None, bool(inputs.shares[arm])
    parts = {
        GENERATOR: some,
        JUDGE: some and inputs.agreeing,
        CHOICE: chosen or arm == "gan_classical" or (some and inputs.agreeing),
        SHARE: chosen,
    }
    return ("classifier", *(part for part, there in parts.items() if there))
