"""The arms of a trial: what each of them gives a classifier to learn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evenodds.errors import unknown
from evenodds.evaluation.trial.classical import copies
from evenodds.evaluation.trial.classifiers import Examples
from evenodds.evaluation.trial.inputs import CHOICE, GENERATOR, SMALL_CLASSIFIER, ArmInputs
from evenodds.evaluation.trial.smote import smote

__all__ = ["ARMS", "SYNTHETIC", "Arm", "as_real", "checked", "learners_of"]


@dataclass(frozen=True)
class Arm:
    """A way to give a classifier more to learn from.

    Args:
        title: in words.
        build: makes its examples.
        simple: the smaller, the less it takes: of arms that cannot be told apart the simplest is recommended.
        learners: what learns from training items for it, beside the classifier.
    """

    title: str
    build: Callable[[ArmInputs], Examples]
    simple: int
    learners: tuple[str, ...] = ()


def _plain(x: Tensor, y: Tensor) -> Examples:
    return Examples(x.contiguous(memory_format=torch.channels_last), y, torch.ones(len(y)))


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


def _joined(inputs: ArmInputs) -> tuple[Tensor, Tensor]:
    x, y = inputs.generated
    return torch.cat([inputs.x(), x]), torch.cat([inputs.y, y])


def _generated(inputs: ArmInputs) -> Examples:
    return _plain(*_joined(inputs))


def _generated_changed(inputs: ArmInputs) -> Examples:
    x, y = _joined(inputs)
    return _plain(*copies(x, y, inputs.kinds, inputs.room(), inputs.rng(6)))


ARMS: Mapping[str, Arm] = {
    "real": Arm("real images only", _real, 0),
    "weights": Arm("class weights", _weighted, 1),
    "oversampling": Arm("random oversampling", _repeated, 2),
    "classical": Arm("classical augmentation", _changed, 3, (CHOICE,)),
    "smote": Arm("SMOTE", _smote, 4, (SMALL_CLASSIFIER,)),
    "gan": Arm("GAN images", _generated, 5, (GENERATOR,)),
    "gan_classical": Arm("GAN images + classical", _generated_changed, 6, (GENERATOR, CHOICE)),
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


def learners_of(arm: str, agreeing: bool) -> tuple[str, ...]:
    """All that learns from training items for an arm.

    Args:
        agreeing: whether synthetic images must pass the small classifier.
    """
    filtered = (SMALL_CLASSIFIER,) if agreeing and arm in SYNTHETIC else ()
    return ("classifier", *ARMS[arm].learners, *filtered)
