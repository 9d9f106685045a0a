"""The classifier that is helped or not: a small network, one of scikit-learn, or one's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.metrics.probe import Probe, new_probe, train_probe
from evenodds.runs.allowed import allowing, imported, modules_in

__all__ = ["Classifier", "Estimator", "Examples", "Predict", "Small", "classifier"]

Predict = Callable[[Tensor], Tensor]
"""(N, C, H, W) or (N, D) in [-1, 1] -> (N, K) probabilities."""


@dataclass(frozen=True)
class Examples:
    """What a classifier is fitted to."""

    x: Tensor
    """(N, C, H, W), or rows (N, D), in [-1, 1]."""
    y: Tensor
    """(N,) int64."""
    weights: Tensor
    """(N,) of each example's cost, 1 in the mean."""


class Classifier(Protocol):
    """Anything that can be fitted. The same examples and seed give the same one."""

    @property
    def name(self) -> str:
        """For the record, with what decides it."""
        ...

    def appetite(self, n: int) -> int:
        """How many examples, changed copies among them, are worth while where there are n."""
        ...

    def fit(self, examples: Examples, classes: int, seed: int) -> Predict:
        """Learns from examples of `classes` classes."""
        ...


@dataclass(frozen=True)
class Small:
    """A small convolutional network, a fixed number of steps whatever the examples: more data is not more training.

    Args:
        steps: of AdamW, with one rise and fall of the rate (Smith 2018).
        batch: examples per step.
        width: of the network, see `probe.Probe`.
    """

    steps: int = 400
    batch: int = 64
    width: int = 16
    rate: float = 3e-3

    @property
    def name(self) -> str:
        return f"small network, width {self.width}, {self.steps} steps of {self.batch}"

    def appetite(self, n: int) -> int:
        """All that it will be trained on or asked about."""
        return min(self.steps * self.batch, 50 * n)

    def fit(self, examples: Examples, classes: int, seed: int) -> Predict:
        network = self.fitted(examples, classes, seed)
        return lambda x: torch.cat([network(part).softmax(1) for part in torch.split(x, 1024)])

    def fitted(self, examples: Examples, classes: int, seed: int) -> Probe:
        """The network, in eval mode."""
        probe = new_probe(examples.x.shape[1:], classes, seed, self.width)
        for _ in train_probe(
            probe, examples.x, examples.y, steps=self.steps, batch=self.batch, seed=seed, rate=self.rate,
            weights=examples.weights, fused=True,
        ):  # fmt: skip
            pass
        return probe.eval().requires_grad_(False)


@dataclass(frozen=True)
class Estimator:
    """A classifier with scikit-learn's `fit(X, y)` and `predict_proba(X)`.

    X is (N, D), the pixels in [-1, 1] in one row; (N, C, H, W) where the class says `images = True`. Where it takes
    `random_state`, it gets the seed; where `fit` takes `sample_weight`, it gets the class weights, otherwise heavier
    examples are repeated.

    Args:
        name: of the class.
        make: gives a fresh one.
    """

    name: str
    make: Callable[..., Any]
    most: int = 10_000

    def appetite(self, n: int) -> int:
        """Ten of each, within a number that a forest takes in some seconds."""
        return max(n, min(10 * n, self.most))

    def fit(self, examples: Examples, classes: int, seed: int) -> Predict:
        takes = inspect.signature(self.make).parameters
        model = self.make(**({"random_state": seed % 2**31} if "random_state" in takes else {}))
        x, y, weights = _rows(model, examples.x), examples.y.numpy(), examples.weights.numpy()
        if "sample_weight" in inspect.signature(model.fit).parameters:
            model.fit(x, y, sample_weight=weights)
        else:
            often = np.maximum(1, np.rint(weights / weights.min())).astype(int)
            model.fit(x.repeat(often, 0), y.repeat(often))
        return lambda new: _spread(model, _rows(model, new), classes)


def _rows(model: Any, x: Tensor) -> Any:
    return (x if getattr(model, "images", False) else x.flatten(1)).numpy()


def _spread(model: Any, x: Any, classes: int) -> Tensor:
    """Its probabilities, with a 0 for a class that it never saw."""
    probabilities = torch.as_tensor(np.asarray(model.predict_proba(x)), dtype=torch.float64)
    labels = torch.as_tensor(np.asarray(getattr(model, "classes_", np.arange(classes))).astype(np.int64))
    return torch.zeros(len(probabilities), classes, dtype=torch.float64).index_add_(1, labels, probabilities)


def classifier(name: str) -> Classifier:
    """The classifier of that name: small, sklearn, boosting, logistic, or module:Name."""
    if name == "small":
        return Small()
    if name in OF_SKLEARN:
        return _of_sklearn(name)
    if ":" not in name:
        named = ", ".join(("small", *OF_SKLEARN))
        raise BadInput(f"no classifier '{name}'; there are {named}, or module:Name of your own")
    with allowing(modules_in(name)):  # the user typed it; no file names a classifier
        kind = imported("classifier", name)
    if not all(hasattr(kind, method) for method in ("fit", "predict_proba")):
        raise BadInput(f"classifier '{name}' needs fit(X, y) and predict_proba(X) as in scikit-learn")
    return Estimator(name, kind)


OF_SKLEARN = ("sklearn", "boosting", "logistic")
FOREST = {"n_estimators": 200, "n_jobs": 1}


def _of_sklearn(name: str) -> Estimator:
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
        from sklearn.linear_model import LogisticRegression
    except Exception as error:
        raise BadInput(f"--classifier {name} needs scikit-learn; pip install 'evenodds[sklearn]'") from error
    title, kind, options = {
        "sklearn": ("random forest of scikit-learn, 200 trees", RandomForestClassifier, FOREST),
        "boosting": ("gradient boosting of scikit-learn, 100 rounds", HistGradientBoostingClassifier, {}),
        "logistic": ("logistic regression of scikit-learn", LogisticRegression, {"max_iter": 1000}),
    }[name]

    def fresh(random_state: int) -> Any:
        return kind(random_state=random_state, **options)

    return Estimator(title, fresh)
