"""What the data decide before a run starts: the task, and views that suit them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.data.wording import some_names
from evenodds.game.arithmetic import evenly
from evenodds.game.seeds import mix
from evenodds.metrics.features.extract import extract
from evenodds.runs.find import find

__all__ = ["Choice", "chosen_task", "chosen_views", "mirrored"]


@dataclass(frozen=True)
class Choice:
    """A setting that the data decided, and why."""

    setting: str
    value: Any
    reason: str
    figures: dict[str, Any] = field(default_factory=dict)
    """The figures that it rests on."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"setting": self.setting, "value": self.value, "reason": self.reason, **self.figures}


# The task ----------------------------------------------------------------------------------------------------------


A_CLASS = 25
"""With 27 photographs of each class a game by class is better than one without (benchmarks/few_photographs.md);
fewer were not tried."""


def chosen_task(dataset: Dataset, index: Tensor, kind: str | None = None) -> Choice:
    """ "condition" where the items have classes, each with at least 25 training items on average; else "generate".

    Args:
        index: (N,) the items that are trained on.
        kind: of a condition, where one is named: then there is one, whatever the data have.
    """
    if kind is not None:
        return Choice("task", "condition", f"samples are asked for by {kind}, as task.kind says")
    labels = dataset.y[index] if dataset.y is not None else torch.empty(0, dtype=torch.int64)
    counts = torch.bincount(labels[labels >= 0], minlength=len(dataset.classes))
    figures = {"classes": int((counts > 0).sum()), "labelled": int(counts.sum())}
    if figures["classes"] < 2:
        none = "one class alone" if figures["classes"] else "no classes"
        return Choice("task", "generate", f"the data have {none}{_other_conditions(dataset)}", figures)
    many = f"the data have {figures['classes']:,} classes"
    if figures["labelled"] < A_CLASS * len(counts):
        few = f"with {figures['labelled'] / len(counts):.1f} training items each, fewer than {A_CLASS}"
        return Choice("task", "generate", f"{many} {few}", figures)
    return Choice("task", "condition", f"{many}, so that samples can be asked for by class", figures)


def _other_conditions(dataset: Dataset) -> str:
    """How samples are asked for by what is known beside the class, as the end of a sentence; empty where nothing is."""
    if dataset.conditions is None:
        return ""
    return f"; --set task=condition asks for samples by {some_names(dataset.conditions.names)}"


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
    views, reasons, figures = ["translation"], ["images are moved"], {}
    for name, axis in (("flip", 3), ("flip_vertical", 2)):
        chance = mirrored(dataset, index, axis, seed)
        figures[f"{name}_p"] = round(chance, 4)
        if chance >= LEAST_CHANCE:
            views.append(name)
        way = "left and right" if axis == 3 else "top and bottom"
        outcome = "not told apart" if chance >= LEAST_CHANCE else "told apart, so not used"
        reasons.append(f"{way} mirrored: {outcome} (p = {chance:.3g})")
    if dataset.shape[0] >= 3:
        views.append("color")
        reasons.append("colours are changed")
    else:
        reasons.append("grey, so no change of colours")
    return Choice("views", views, "; ".join(reasons), figures)


LEAST_CHANCE = 0.05
"""Mirror images that differ from the items with less chance than this by accident are told apart."""
FEWEST = 30
"""With fewer items nothing can be said of a symmetry, so none is taken for granted."""


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
    x = dataset.batch(index[evenly(len(index), 2000)])["x"]
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
