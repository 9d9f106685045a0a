"""What an evaluation computes on: the material with its features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.evaluation.material import Material
from evenodds.evaluation.own_features import FeaturesBy, OwnFeatures
from evenodds.metrics.features.classifier import trained
from evenodds.metrics.features.extract import together
from evenodds.metrics.intervals import Side
from evenodds.metrics.neighbourhood import Neighbourhood
from evenodds.pretrained import efficientnet_lite
from evenodds.runs.allowed import is_external
from evenodds.runs.find import find

__all__ = ["Examination", "Step", "examine", "inside", "missing_extra", "photographic", "usual_features"]

Step = Callable[[str, int, int], None]
"""Is told what is being done, how far it is, and how far it goes."""
AT_ONCE = 2048
"""Training items that are in memory at a time as a network sees them."""


@dataclass(frozen=True)
class Examination:
    """Material with its features: what scores, copies and pictures are computed from."""

    material: Material
    extractor: Any
    real: Side
    fake: Side
    floor: Side
    train: Tensor | None
    """(T, F) features of the training items, where they are known."""


def examine(material: Material, features: FeaturesBy | None = None, step: Step = lambda *_: None) -> Examination:
    """Extracts the features of all sides."""
    name = features or usual_features(material.real)
    extractor = _extractor(name, material, step)

    def side(what: str, x: Tensor, labels: Tensor | None) -> Side:
        def progress(done: int, total: int) -> None:
            step(f"features of {what}", done, total)

        return Side(x, *together(extractor, x, progress=progress, device=material.device), labels)

    real, floor = (side(what, inside(d), d.y) for what, d in (("reference", material.real), ("floor", material.floor)))
    fake = side("samples", material.fake, material.fake_labels)
    train = _of_training(extractor, material, step)
    near = Neighbourhood(real.features, fake.features, floor.features)
    real, fake, floor = (side.among(near, group) for group, side in enumerate((real, fake, floor)))
    return Examination(material, extractor, real, fake, floor, train)


def _of_training(extractor: Any, material: Material, step: Step) -> Tensor | None:
    """The features of all training items, some of which are in memory at a time; None where they are not known."""
    data = material.train
    if data is None:
        return None
    parts: list[Tensor] = []
    for index in torch.split(torch.arange(len(data)), AT_ONCE):

        def progress(done: int, _: int, before: int = int(index[0])) -> None:
            step("features of training items", before + done, len(data))

        x = data.batch(index)["x"]
        parts.append(together(extractor, x, progress=progress, device=material.device)[0])
    return torch.cat(parts)


def usual_features(data: Dataset) -> str:
    """The features for a kind of data where none are named."""
    if data.kind != "image":
        return "pixels"
    if _teachable(data):
        return "classifier"
    return "pretrained" if photographic(data.shape) and efficientnet_lite.is_here() else "random"


def missing_extra(shape: Sequence[int], features: str) -> str:
    """What better features would take, where photographs were judged by random ones; empty where nothing is missing."""
    if features != "random" or not photographic(shape) or efficientnet_lite.is_here():
        return ""
    return "features of photographs would tell objects apart: pip install 'evenodds[pretrained]'"


def photographic(shape: Sequence[int]) -> bool:
    """Whether images (C, H, W) are in colour and large enough for a network that was trained on photographs."""
    return len(shape) == 3 and shape[0] == 3 and min(shape[1:]) > 48


def _teachable(data: Dataset) -> bool:
    """Whether there are labels to learn from: two classes or more with ten items in the mean."""
    return data.y is not None and len(data.classes) > 1 and int((data.y >= 0).sum()) >= 10 * len(data.classes)


def _extractor(name: FeaturesBy, material: Material, step: Step) -> Any:
    if not isinstance(name, str):
        return OwnFeatures.of(name, material.real.shape)
    maker = find("features", name)
    if is_external(name):
        return OwnFeatures.of(maker, material.real.shape, name)
    if name != "classifier":
        return maker(material.real.shape)
    fitting = material.fitting
    if fitting.y is None or len(fitting.classes) < 2:
        raise BadInput("features 'classifier' need labelled data: class folders, a y; or take --features random")
    if not _teachable(fitting):
        raise BadInput(
            f"features 'classifier' learn from ten items of each class in the mean, and there are "
            f"{int((fitting.y >= 0).sum()):,} of {len(fitting.classes):,} classes to learn from; take --features random"
        )

    def progress(done: int, total: int) -> None:
        step("training the classifier of the features", done, total)

    return trained(
        inside(fitting).to(material.device), fitting.y, fitting.classes, key=fitting.fingerprint(), progress=progress
    )


def inside(data: Dataset) -> Tensor:
    """All items in [-1, 1]."""
    return data.units.to_model(data.x)
