"""Instance selection: items in sparse places of feature space are not learned from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput, unknown
from evenodds.evaluation.examination import missing_extra, photographic
from evenodds.metrics.features.extract import extract
from evenodds.pretrained import efficientnet_lite
from evenodds.runs.choosing import Choice
from evenodds.runs.config import Config
from evenodds.runs.extras import Extra
from evenodds.runs.find import find
from evenodds.runs.values import Part

__all__ = ["Densest", "densest"]

FEATURES = ("pretrained", "random")


@dataclass(frozen=True)
class Densest(Extra):
    """Learns from the training items in the densest places of feature space alone (DeVries et al. 2020).

    Measured (benchmarks/latents.md): on the grid 80 % leave out the four corner modes; score 0.096 to 0.104 where all
    items give 0.059 to 0.074. It trades recall for precision.

    Args:
        share: of the training items to keep, in (0, 1]. Held-out items stay as they are.
        features: of images: pretrained (the authors chose features of ImageNet too) or random. A run that leaves it out
            takes pretrained ones of colour photographs where they are installed, and its configuration names what was
            taken, so that it goes on with the same items.
    """

    share: float = 1.0
    features: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise BadInput(f"densest is a share in (0, 1], got {self.share}")
        if self.features not in (None, *FEATURES):
            raise unknown("kind of features for densest", str(self.features), FEATURES)

    def settle(
        self, config: Config, dataset: Dataset, seconds: float | None, say: Callable[[str], None]
    ) -> tuple[Config, list[Choice]]:
        """Names the features."""
        if self.features is not None or self.share == 1 or dataset.kind != "image":
            return config, []
        here = photographic(dataset.shape) and efficientnet_lite.is_here()
        name = "pretrained" if here else "random"
        more = missing_extra(dataset.shape, name)
        say(f"densest.features={name}" + (f": {more}" if more else ""))
        settled = Part("densest", {"share": self.share, "features": name})
        extras = tuple(settled if part.name == "densest" else part for part in config.extras)
        reason = more or "colour photographs" if here or more else "no colour photographs"
        return replace(config, extras=extras), [Choice("densest.features", name, reason)]

    def select(self, dataset: Dataset, train_index: Tensor) -> tuple[Tensor, tuple[str, ...]]:
        """The densest of them."""
        key = ("densest", self.share, self.features, train_index.numpy().tobytes())
        chosen_index, sentence = dataset.once(key, lambda: densest(dataset, train_index, self.share, self.features))
        return chosen_index, (sentence,)


@torch.no_grad()
def densest(dataset: Dataset, index: Tensor, share: float, features_of: str | None = None) -> tuple[Tensor, str]:
    """Instance selection (DeVries et al. 2020): the items at which a Gaussian of their features is densest.

    Of labelled data each class gives the same share, by its own Gaussian, so that none is lost.

    Args:
        index: (N,) to choose from.
        share: to keep, in (0, 1].
        features_of: images: random, or the name of others.

    Returns:
        The sorted indices that are kept, and a sentence for the report.
    """
    name = features_of or "random" if dataset.kind == "image" else "pixels"
    features = _in_batches(dataset, index, find("features", name)(dataset.shape))
    labels = dataset.y[index] if dataset.y is not None else torch.zeros(len(index), dtype=torch.int64)
    places_by_class = []
    for label in torch.unique(labels).tolist():
        places = (labels == label).nonzero().flatten()
        count = max(1, round(share * len(places)))
        places_by_class.append(places[_surprise(features[places]).argsort(stable=True)[:count]])
    chosen = index[torch.cat(places_by_class)].sort().values
    kept = f"the densest {len(chosen):,} of {len(index):,} training items are learned from"
    return chosen, f"instance selection: {kept}, by {name} features"


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
