"""A generator of items like those of a table or of a set of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.estimators.checks import Array, check_counts, classes_of, items_of, seed_of, validated
from evenodds.estimators.items import Items
from evenodds.estimators.own_code import OwnCode
from evenodds.estimators.training import TrainingOptions, samples, train_generator
from evenodds.metrics.likelihood import log_density, parzen
from evenodds.tasks._conditional import one_hot

__all__ = ["GAN"]


class GAN(DensityMixin, OwnCode):  # type: ignore[misc]
    """Learns to draw items like those it was fitted to (Goodfellow et al. 2014).

    Args:
        conditional: learns the items given their class, the y of `fit`.
        network: "auto" takes fully connected ones for tables and images below 16 pixels, "dcgan" for larger images;
            or the name of another network of evenodds.
        latent: length of z.
        width: units per layer of fully connected networks.
        rows: items shown in training; None for 200 times the data, within [20,000, 200,000].
        batch_size: items per update.
        learning_rate: of both players.
        few: a column of a table with at most so many distinct values gets no others.
        windows: samples on which `score_samples` rests.
        device: where it trains: "cpu", "cuda", "auto".
        allow: modules of your own that a network may come from, e.g. ("my_module",). A name that is given as `network`
            allows its module by itself; after unpickling, allow it anew by `set_params(allow=...)`.
        random_state: an int makes fit and samples repeatable.
        verbose: 1 prints how far the training is.

    Attributes:
        n_features_in_: X.shape[1].
        classes_: the classes, sorted; None if not conditional.
        sigma_: deviation of the Parzen windows, where columns have deviation 1 and images lie in [-1, 1]; None of data
            frames.
    """

    def __init__(
        self,
        *,
        conditional: bool = False,
        network: str = "auto",
        latent: int = 32,
        width: int = 128,
        rows: int | None = None,
        batch_size: int = 64,
        learning_rate: float = 2e-3,
        few: int = 20,
        windows: int = 2000,
        device: str = "cpu",
        allow: str | Sequence[str] | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.conditional = conditional
        self.network = network
        self.latent = latent
        self.width = width
        self.rows = rows
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.few = few
        self.windows = windows
        self.device = device
        self.allow = allow
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> GAN:
        """Learns from items.

        Args:
            X: (N, D) numbers, a data frame of pandas with columns of any kind and empty cells, or images (N, H, W) or
                (N, C, H, W) of integers or floats; N at least 2.
            y: (N,) classes, if `conditional`; ignored otherwise.
        """
        check_counts(rows=self.rows, batch_size=self.batch_size, latent=self.latent, windows=self.windows)
        X, frame = items_of(self, X, reset=True, ensure_min_samples=2), X
        seed = seed_of(self.random_state)
        self.classes_, labels = self._classes(y, len(X))
        self.items_ = Items.of(X, self.few, frame)
        x = self.items_.to_model(X)
        length = 0 if self.classes_ is None else len(self.classes_)
        self.shares_ = None if labels is None else np.bincount(labels.numpy()) / len(X)
        self.generator_ = train_generator(x, labels, length, TrainingOptions.of(self), seed, blocks=self.items_.blocks)
        self.window_seed_ = seed
        self.sigma_ = None if self.items_.mixed else self._sigma(self.items_.scaled(X), seed)
        return self

    def sample(self, n_samples: int = 1) -> tuple[Array, Array | None]:
        """Draws items.

        Returns:
            X (n_samples, ...) in the units and dtype of fit's, a data frame where that was one; and y (n_samples,),
            whose classes have the shares that they had, sorted as in GaussianMixture, or None. An int for
            `random_state` gives the same ones every time.
        """
        check_is_fitted(self)
        check_counts(n_samples=n_samples)
        rng = check_random_state(self.random_state)
        labels = None if self.shares_ is None else np.repeat(np.arange(len(self.shares_)), self._counts(n_samples, rng))
        fake = self._draw(n_samples, labels, int(rng.randint(2**31 - 1)))
        return self.items_.to_data(fake), None if self.classes_ is None else self.classes_[labels]

    def score_samples(self, X: Any) -> Array:
        """(N,) log densities in nats, in the units of X, by Gaussian windows around samples (Parzen 1962).

        The deviation of the windows was chosen on rows that were fitted. A rough estimate where D is large: compare it
        only between models of one data set (Theis et al. 2016).
        """
        check_is_fitted(self)
        if self.sigma_ is None:
            raise BadInput("rows with words and empty cells have no density; use evenodds.evaluate on samples of them")
        X = validated(self, X, reset=False, allow_nd=True)
        x = self.items_.scaled(X)
        log_densities = log_density(x, self._windows(self.windows), self.sigma_) + self.items_.log_slope
        return np.asarray(log_densities.numpy())

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of `score_samples`."""
        return float(self.score_samples(X).mean())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = bool(self.conditional)
        tags.input_tags.three_d_array = True
        return tags

    def _classes(self, y: Any, n: int) -> tuple[Array | None, Tensor | None]:
        if not self.conditional:
            return None, None
        if y is None:
            raise BadInput("requires y to be passed, but the target y is None; or set conditional=False")
        classes, labels = np.unique(classes_of(y, n), return_inverse=True)
        return classes, torch.from_numpy(labels.astype(np.int64))

    def _counts(self, n: int, rng: Any) -> Array:
        return np.asarray(rng.multinomial(n, self.shares_))

    def _draw(self, n: int, labels: Array | None, seed: int) -> Tensor:
        c = None if labels is None else one_hot(torch.from_numpy(labels), self.generator_.arguments["condition"])
        generator, latent = self.generator_.built(self.allowed_modules), self.generator_.arguments["latent"]
        return samples(generator, latent, c, n, seed, self.items_.blocks)

    def _windows(self, n: int) -> Tensor:
        """(n, D) samples, always the same ones."""
        rng = np.random.RandomState(self.window_seed_)
        labels = None if self.shares_ is None else np.repeat(np.arange(len(self.shares_)), self._counts(n, rng))
        return self.items_.scaled(np.asarray(self.items_.to_data(self._draw(n, labels, self.window_seed_))))

    def _sigma(self, x: Tensor, seed: int, most: int = 500) -> float:
        chosen = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:most]
        rows = x[chosen].flatten(1)
        return parzen(self._windows(min(most, self.windows)), rows, rows).sigma
