"""More items of rare classes, in the manner of imbalanced-learn, which need not be installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from evenodds.errors import BadInput, unknown
from evenodds.estimators.checks import Array, check_counts, classes_of, items_of, seed_of
from evenodds.estimators.items import Items, joined
from evenodds.estimators.own_code import OwnCode
from evenodds.estimators.training import TrainingOptions, samples, train_generator
from evenodds.tasks._conditional import WAYS, one_hot

__all__ = ["GANOverSampler"]

STRATEGIES = ("auto", "minority", "not majority", "all")


class GANOverSampler(OwnCode):
    """Adds items of rare classes, drawn by a generator that was told the class (Mirza and Osindero 2014).

    One game is played for all classes, in equal shares, so that a rare class gains by what classes have in common.

    Args:
        sampling_strategy: "auto" (the same as "not majority" and "all") brings all classes up to the largest one,
            "minority" the smallest one alone; a number in (0, 1], of two classes, brings the rare one to that share of
            the other; or a dict of the items that each class named is to have.
        way: how the discriminator sees the class: "projection", "concatenation", "auxiliary", "projection_auxiliary",
            "contrastive" or "data_to_data".
        network: "auto" takes fully connected ones for tables and images below 16 pixels, "dcgan" for larger images;
            or the name of another network of evenodds.
        latent: length of z.
        width: units per layer of fully connected networks.
        rows: items shown in training; None for 200 times the data, within [20,000, 200,000].
        batch_size: items per update.
        learning_rate: of both players.
        few: a column of a table with at most so many distinct values gets no others.
        device: where it trains: "cpu", "cuda", "auto".
        allow: modules of your own that a network may come from, e.g. ("my_module",). A name that is given as `network`
            allows its module by itself; after unpickling, allow it anew by `set_params(allow=...)`.
        random_state: an int makes everything repeatable.
        verbose: 1 prints how far the training is.

    Attributes:
        n_features_in_: X.shape[1].
        classes_: the classes, sorted.
        sampling_strategy_: by class, the number of items that `fit_resample` adds.
    """

    _estimator_type = "sampler"
    _sampling_type = "over-sampling"

    def __init__(
        self,
        *,
        sampling_strategy: str | float | dict[Any, int] = "auto",
        way: str = "projection",
        network: str = "auto",
        latent: int = 32,
        width: int = 128,
        rows: int | None = None,
        batch_size: int = 64,
        learning_rate: float = 2e-3,
        few: int = 20,
        device: str = "cpu",
        allow: str | Sequence[str] | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.sampling_strategy = sampling_strategy
        self.way = way
        self.network = network
        self.latent = latent
        self.width = width
        self.rows = rows
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.few = few
        self.device = device
        self.allow = allow
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> GANOverSampler:
        """Learns what items of each class look like; see `fit_resample`."""
        frame = X
        X, y = self._checked(X, y)
        return self._fit(X, y, frame)

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Array]:
        """The items with synthetic ones behind them.

        Args:
            X: (N, D) numbers, a data frame of pandas, or images (N, H, W) or (N, C, H, W).
            y: (N,) classes, at least 2.

        Returns:
            X, a data frame where it came as one, and y: first the N rows that came, untouched, then the synthetic ones,
            class by class.
        """
        frame = X
        X, y = self._checked(X, y)
        self._fit(X, y, frame)
        X = frame if self.items_.frame is not None else X
        added = np.array([label for label, n in self.sampling_strategy_.items() for _ in range(n)], dtype=y.dtype)
        if not len(added):
            return X.copy(), y.copy()
        return joined(X, self.sample(added)), np.concatenate([y, added])

    def sample(self, y: Any) -> Any:
        """Synthetic items (n, ...) of the classes y (n,), in the units and dtype of those fitted, or a data frame."""
        check_is_fitted(self)
        y = np.asarray(y)
        labels = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        if not len(y) or (self.classes_[labels] != y).any():
            raise BadInput(f"y must hold some of the classes {self.classes_.tolist()}, and nothing else")
        c = one_hot(torch.from_numpy(labels), len(self.classes_))
        latent = self.generator_.arguments["latent"]
        generator = self.generator_.built(self.allowed_modules)
        x = samples(generator, latent, c, len(y), seed_of(self.random_state), self.items_.blocks)
        return self.items_.to_data(x)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.three_d_array = True
        return tags

    def _checked(self, X: Any, y: Any) -> tuple[Any, Array]:
        ways = [way for way in WAYS if way != "multi_hinge"]  # which plays another loss than this estimator
        if self.way not in ways:
            raise unknown("way", self.way, ways)
        check_counts(rows=self.rows, batch_size=self.batch_size, latent=self.latent)
        if y is None:
            raise BadInput("requires y to be passed, but the target y is None")
        X = items_of(self, X, reset=True, ensure_min_samples=2)
        return X, classes_of(y, len(X))

    def _fit(self, X: Any, y: Array, frame: Any) -> GANOverSampler:
        self.classes_, labels, counts = np.unique(y, return_inverse=True, return_counts=True)
        if len(self.classes_) < 2:
            raise BadInput("classes to balance are at least 2, got 1 class")
        self.sampling_strategy_ = self._missing(dict(zip(self.classes_.tolist(), counts.tolist(), strict=True)))
        self.items_ = Items.of(X, self.few, frame)
        x, numbers = self.items_.to_model(X), torch.from_numpy(labels.astype(np.int64))
        training, seed = TrainingOptions.of(self), seed_of(self.random_state)
        blocks = self.items_.blocks
        self.generator_ = train_generator(x, numbers, len(self.classes_), training, seed, self.way, blocks)
        return self

    def _missing(self, counts: Mapping[Any, int]) -> dict[Any, int]:
        """How many items each class lacks."""
        most, least = max(counts.values()), min(counts.values())
        if isinstance(self.sampling_strategy, str):
            if self.sampling_strategy not in STRATEGIES:
                raise unknown("sampling_strategy", self.sampling_strategy, STRATEGIES)
            rare = [k for k, n in counts.items() if self.sampling_strategy != "minority" or n == least]
            return {k: most - counts[k] for k in (rare[:1] if self.sampling_strategy == "minority" else rare)}
        if not isinstance(self.sampling_strategy, dict):
            return self._to_share(float(self.sampling_strategy), counts)
        for k, target in self.sampling_strategy.items():
            if k not in counts:
                raise BadInput(f"sampling_strategy names the class {k!r}, which y does not hold; it has {list(counts)}")
            if target < counts[k]:
                raise BadInput(f"class {k!r} has {counts[k]} items and is to have {target}; items are only added")
        return {k: target - counts[k] for k, target in self.sampling_strategy.items()}

    def _to_share(self, share: float, counts: Mapping[Any, int]) -> dict[Any, int]:
        """How many items the rarer of two classes lacks of that share of the other."""
        if len(counts) != 2 or not 0 < share <= 1:
            raise BadInput(
                f"sampling_strategy={share:g} is a share in (0, 1] of the larger of two classes, got {len(counts)} "
                "classes; name how many items each is to have in a dict"
            )
        rare, common = sorted(counts, key=lambda label: counts[label])
        if counts[rare] > share * counts[common]:
            raise BadInput(f"class {rare!r} is above the share {share:g} of class {common!r} already; ask for more")
        return {rare: round(share * counts[common]) - counts[rare], common: 0}
