"""Samples beside the training items that they resemble most, and suspected copies, while somebody waits."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from evenodds.data.dataset import Dataset
from evenodds.errors import BadInput
from evenodds.game.arithmetic import evenly
from evenodds.metrics.features.extract import Features, extract
from evenodds.metrics.memorisation import Suspects, suspects
from evenodds.runs.card import SPLIT_SEED
from evenodds.runs.find import find
from evenodds.runs.run_data import open_run_data
from evenodds.runs.session import Session

__all__ = ["FEATURES", "Known", "Resembling", "known", "resembling"]

FEATURES = "random"
"""They need no training and no download: a report takes better ones where it can."""
MOST_LEARNED, MOST_HELD_OUT = 5000, 2000
"""Training and held-out items that are looked at, evenly spread over all."""
MOST_JUDGED = 256
MOST_VALUES = 1 << 22
"""Of all samples that are judged."""
AT_ONCE = 512


@dataclass(frozen=True)
class Known:
    """What a run was trained on and what it was not, in features.

    Args:
        train: training items, at most `MOST_LEARNED`.
        learned: (T, F) their features.
        held_out: (H, F) features of items that it was not trained on.
        trained_on: how many training items there are.
    """

    extractor: Features
    train: Dataset
    learned: Tensor
    held_out: Tensor
    trained_on: int


@dataclass(frozen=True)
class Resembling:
    """Samples of a seed, and the training item nearest to each.

    Args:
        x: (N, C, H, W) in [-1, 1], the samples that were judged.
        nearest: (N,) positions in `Known.train`.
        found: what `suspects` says of them.
    """

    x: Tensor
    nearest: Tensor
    found: Suspects

    def order(self, closest: bool) -> Tensor:
        """The numbers of the samples: as they are drawn, or those first that are suspected the most."""
        return self.found.ratio.argsort(stable=True) if closest else torch.arange(len(self.x))


def known(session: Session) -> Known:
    """Opens the data of a run of images.

    Raises:
        BadInput: the data are no longer there, or are others; or too few items were held out to say what chance does.
    """
    if session.card.kind != "image" or not session.draws:
        raise BadInput("training images stand beside samples of images; this run draws none")
    data = open_run_data(session.config, session.card)
    rest, held_out = data.split(session.config.held_out, SPLIT_SEED)
    if len(rest) < 2 or len(held_out) < 2:
        raise BadInput(f"copies are told by held-out items, got {len(held_out)}; train with --set held_out=0.1")
    extractor = find("features", FEATURES)(data.shape)
    train = data.take(rest[evenly(len(rest), MOST_LEARNED)])
    others = data.take(held_out[evenly(len(held_out), MOST_HELD_OUT)])
    return Known(extractor, train, _features(extractor, train), _features(extractor, others), len(rest))


def _features(extractor: Features, data: Dataset) -> Tensor:
    parts = torch.split(torch.arange(len(data)), AT_ONCE)
    return torch.cat([extract(extractor, data.batch(index)["x"]) for index in parts])


def resembling(session: Session, about: Known, n: int, seed: int = 0) -> Resembling:
    """Judges samples of a seed: at least n of them, and more where they are small, as few say little of chance."""
    count = max(n, min(MOST_JUDGED, MOST_VALUES // prod(session.card.shape)))
    x = session.card.to_model(session.numbers(count, seed))
    found = suspects(extract(about.extractor, x), about.learned, about.held_out)
    return Resembling(x, found.train_index, found)
