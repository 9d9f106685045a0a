"""A classifier of the data's own classes: it sees what tells them apart, and names the class of each item."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.files.cache import cache_folder
from evenodds.files.read import read_json
from evenodds.files.write import write_bytes, write_json
from evenodds.game.schedule import OnProgress
from evenodds.metrics.features._probabilities import WithProbabilities
from evenodds.metrics.probe import Probe, fit_probe
from evenodds.pretrained.state import digest, read_weights

__all__ = ["Classifier", "trained"]

VERSION = 1
"""Raised where the same data would give another classifier; cached ones of other versions are not read."""


class Classifier(WithProbabilities):
    """What the last layer of a probe sees, 128 features, and its probabilities of the classes.

    Args:
        probe: fitted, in eval mode.
        classes: the names of its classes, in the order of the labels.
        accuracy: share of the check part that it classifies rightly; None where there was none.
        checked: items in the check part.
    """

    name = "classifier"
    resize = "none"
    comparable = ""

    def __init__(
        self, probe: Probe, classes: Sequence[str], *, accuracy: float | None = None, checked: int = 0
    ) -> None:
        if len(classes) != probe.classes:
            raise BadInput(f"a probe of {probe.classes} classes needs as many names, got {len(classes)}; name each one")
        self.probe, self.classes = probe.eval(), tuple(classes)
        self.accuracy, self.checked = accuracy, checked
        self.weights = digest(probe.state_dict())

    @torch.no_grad()
    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features and probabilities from one pass."""
        features = self.probe.to(x.device).features(x.float())
        return features, self.probe.head(features).softmax(1)


def trained(
    x: Tensor,
    y: Tensor,
    classes: Sequence[str],
    *,
    key: str,
    seed: int = 0,
    cache: Path | None = None,
    progress: OnProgress | None = None,
) -> Classifier:
    """The classifier of some labelled data, fitted once and then read from the cache.

    A tenth of the labelled items of each class is kept to stop the fit in time and to say how good it is; having
    chosen the moment, it flatters a little.

    Args:
        x: (N, C, H, W) with H, W >= 4, or (N, D), float in [-1, 1].
        y: (N,) int64, the place of the item's class in `classes`, -1 unknown.
        classes: the names of the classes, at least 2.
        key: names x and y, such as their fingerprint: who changes the data must change the key.
        seed: of the fit.
        cache: folder of the files; None for `classifiers` in the user's cache. A damaged file is replaced; where
            nothing can be written, the classifier is fitted anew each time.
        progress: called during the fit with images seen and images at most.

    Raises:
        BadInput: no labelled rows, labels out of range, or shapes that do not go together.
    """
    if len(x) != len(y):
        raise BadInput(f"{len(x)} items need as many labels, got {len(y)}; pass x and y of the same items")
    facts = {"version": VERSION, "key": key, "seed": seed, "shape": list(x.shape[1:]), "classes": list(classes)}
    name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]
    path = (cache or cache_folder() / "classifiers") / f"{name}.safetensors"
    classifier = _read(path, facts)
    if classifier is None:
        classifier = _fit(x, y, classes, seed, progress)
        with suppress(OSError):
            _write(path, facts, classifier)
    return classifier


def _fit(x: Tensor, y: Tensor, classes: Sequence[str], seed: int, progress: OnProgress | None) -> Classifier:
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    order = order[y.cpu()[order].argsort(stable=True)]
    order = order[y.cpu()[order] != -1]
    held_out = torch.zeros(len(order), dtype=torch.bool)
    held_out[5::10] = True
    fit, check = order[~held_out].to(x.device), order[held_out].to(x.device)
    part = (x[check], y[check]) if len(check) else None
    probe = fit_probe(x[fit], y[fit], len(classes), seed=seed, check=part, progress=progress)
    classifier = Classifier(probe, classes)
    if part is not None:
        right = sum(int((classifier.probabilities(a).argmax(1) == b).sum()) for a, b in _batches(*part))
        classifier.accuracy, classifier.checked = right / len(check), len(check)
    return classifier


def _batches(x: Tensor, y: Tensor) -> list[tuple[Tensor, Tensor]]:
    return [(x[start : start + 1024], y[start : start + 1024]) for start in range(0, len(x), 1024)]


@dataclass(frozen=True)
class _About:
    """What is kept beside the weights."""

    accuracy: float | None
    checked: int
    weights: str


def _read(path: Path, facts: dict[str, Any]) -> Classifier | None:
    """What `_write` wrote; None where it is not there, not whole, or of other data."""
    try:
        about = read_json(path.with_suffix(".json"), dict[str, Any], fields=_About)
        if {name: about[name] for name in facts} != facts:
            return None
        state = read_weights(path)
        with torch.device("meta"):
            probe = Probe(facts["shape"], len(facts["classes"]))
        probe.load_state_dict(state, assign=True)
        probe.to(memory_format=torch.channels_last).requires_grad_(False)  # type: ignore[call-overload]
        classifier = Classifier(probe, facts["classes"], accuracy=about["accuracy"], checked=about["checked"])
        return classifier if classifier.weights == about["weights"] else None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return None


def _write(path: Path, facts: dict[str, Any], classifier: Classifier) -> None:
    tensors = {name: tensor.cpu().contiguous() for name, tensor in classifier.probe.state_dict().items()}
    write_bytes(path, save(tensors))
    about = {"accuracy": classifier.accuracy, "checked": classifier.checked, "weights": classifier.weights}
    write_json(path.with_suffix(".json"), {**facts, **about})
