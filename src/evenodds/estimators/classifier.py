"""A classifier that learns from few labelled items and many without a label."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from evenodds.data.labelled import WithLabels
from evenodds.errors import BadInput
from evenodds.estimators.checks import Array, check_counts, classes_of, items_of, seed_of
from evenodds.estimators.items import Items
from evenodds.estimators.own_code import OwnCode
from evenodds.estimators.stored import StoredNetwork
from evenodds.estimators.training import TrainingOptions, batches, new_players, train_averaged
from evenodds.parts.choosing import ChoosingGenerator, choices_in
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.priors import Normal
from evenodds.tasks.classify import Classify
from evenodds.tasks.contest import Contest

__all__ = ["GANClassifier"]


class GANClassifier(ClassifierMixin, OwnCode):  # type: ignore[misc]
    """A discriminator that names the class of what is real (Salimans et al. 2016, section 5).

    In y, -1 is "no label" where at least two other classes occur and none is below it, as in sklearn.semi_supervised;
    else it is a class. A warning says it where another class is as frequent, and where -1 and 1 are all there are.
    `unlabelled` says it for sure.

    Args:
        network: "auto" takes fully connected ones for tables and images below 16 pixels, "dcgan" for larger images;
            or the name of another network of evenodds.
        latent: length of z.
        width: units per layer of fully connected networks.
        rows: items shown in training; None for 200 times the data, within [20,000, 200,000].
        batch_size: items per update; of labelled ones there are as many again.
        learning_rate: of both players.
        unsupervised: weight of telling real from generated; 0 makes it a plain classifier, which sees labels alone.
        consistency: weight of the difference between the discriminator's outputs with and without noise, over all
            items, where unsupervised is above 0.
        shares: of the classes among all items, (K,) numbers above 0 in the order of `classes_`, where they are known;
            "labelled" takes those of the labelled items, which is right where these were drawn at random. With them no
            class grows at the cost of another while the network learns from unlabelled items. None leaves it out.
        unlabelled: the value in y that is "no label": a number, a word, None where every value is a class, or "auto".
        noise: standard deviation of noise on all that the discriminator sees, where columns have deviation 1 and
            images lie in [-1, 1]; 0.3 of a range of 1 in the paper.
        device: where it trains: "cpu", "cuda", "auto".
        allow: modules of your own that a network may come from, e.g. ("my_module",). A name that is given as `network`
            allows its module by itself; after unpickling, allow it anew by `set_params(allow=...)`.
        random_state: an int makes it repeatable.
        verbose: 1 prints how far the training is.

    Attributes:
        n_features_in_: X.shape[1].
        classes_: the classes, sorted, without -1 where that is no class.
    """

    def __init__(
        self,
        *,
        network: str = "auto",
        latent: int = 32,
        width: int = 128,
        rows: int | None = None,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        unsupervised: float = 1.0,
        consistency: float = 1.0,
        shares: str | Sequence[float] | None = None,
        noise: float = 0.6,
        unlabelled: Any = "auto",
        device: str = "cpu",
        allow: str | Sequence[str] | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.network = network
        self.latent = latent
        self.width = width
        self.rows = rows
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.unsupervised = unsupervised
        self.consistency = consistency
        self.shares = shares
        self.noise = noise
        self.unlabelled = unlabelled
        self.device = device
        self.allow = allow
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> GANClassifier:
        """Learns from items and their classes.

        Args:
            X: (N, D) numbers, a data frame of pandas with columns of any kind and empty cells, or images (N, H, W) or
                (N, C, H, W).
            y: (N,) classes, -1 where not known.
        """
        check_counts(rows=self.rows, batch_size=self.batch_size, latent=self.latent)
        if y is None:
            raise BadInput("requires y to be passed, but the target y is None")
        X = items_of(self, X, reset=True)
        labels = self._labels(y, len(X))
        seed = seed_of(self.random_state)
        self.items_ = Items.of(X, few=0)
        self.discriminator_ = self._train(self.items_.to_model(X), torch.from_numpy(labels), seed)
        return self

    def predict_proba(self, X: Any) -> Array:
        """(N, K) float64 probabilities of `classes_`."""
        check_is_fitted(self)
        x = self.items_.to_model(items_of(self, X, reset=False))
        # In float64: in float32, the last digits of an item's probability depend on the size of its batch.
        discriminator = deepcopy(self.discriminator_.built(self.allowed_modules)).double()
        with torch.no_grad():
            logits = torch.cat([discriminator(part.double()) for part in torch.split(x, 512)])
        return np.asarray(logits.softmax(1).numpy())

    def predict(self, X: Any) -> Array:
        """(N,) the likeliest class of each item."""
        likeliest = self.predict_proba(X).argmax(1)
        return np.asarray(self.classes_[likeliest])

    def __setstate__(self, state: dict[str, Any]) -> None:
        # The earlier name of the attribute, in pickles.
        renamed = {"judge_": "discriminator_"}
        super().__setstate__({"shares": None} | {renamed.get(name, name): value for name, value in state.items()})

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _labels(self, y: Any, n: int) -> Array:
        """(N,) int64, -1 unknown; sets `classes_`."""
        y = classes_of(y, n)
        classes, labels, counts = np.unique(y, return_inverse=True, return_counts=True)
        none, known = self._no_label(classes, counts), classes.tolist()
        if none is not None and none in known:
            place = known.index(none)
            classes = np.delete(classes, place)
            labels = np.where(labels == place, -1, labels - (labels > place))
        if len(classes) < 2:
            raise BadInput(f"classes to tell apart are at least 2, got {len(classes)} class; give items of another")
        self.classes_ = classes
        return np.asarray(labels.astype(np.int64))

    def _no_label(self, classes: Array, counts: Array) -> Any:
        """The value that is no label; None where there is none."""
        if not (isinstance(self.unlabelled, str) and self.unlabelled == "auto"):
            return self.unlabelled
        if classes.dtype.kind not in "if" or -1 not in classes or classes.min() < -1:
            return None
        shown = ", ".join(f"{value:g}" for value in classes[:8]) + (", ..." if len(classes) > 8 else "")
        settings = "unlabelled=-1 takes it as no label, unlabelled=None says that it is a class"
        if len(classes) == 2:
            warnings.warn(f"y holds {shown} alone, so -1 is taken as a class; {settings}", stacklevel=4)
            return None
        if counts[classes == -1][0] <= counts[classes != -1].max():
            warnings.warn(
                f"y holds {shown}, and -1 is taken as no label, though another is as frequent; {settings}", stacklevel=4
            )
        return -1

    def _train(self, x: torch.Tensor, y: torch.Tensor, seed: int) -> StoredNetwork:
        """The moving average of the discriminator, which names K classes.

        Args:
            x: (N, D) or (N, C, H, W) float32.
            y: (N,) int64 in [0, K), -1 where the class is not known.
        """
        shape, length, training = tuple(x.shape[1:]), len(self.classes_), TrainingOptions.of(self)
        options, name = training.network_options(shape), training.network_name(shape)
        discriminator = {"shape": shape, "outputs": length, **options}
        generator = {"latent": training.latent, "shape": shape, **options}
        players = new_players(name, {"generator": generator, "discriminator": discriminator}, seed)
        blocks = self.items_.blocks
        if blocks:
            players["generator"] = ChoosingGenerator(players["generator"], blocks)
        feed = batches(x, y, length, training, seed)
        data = WithLabels(feed, feed.dataset, (y >= 0).nonzero().flatten(), training.batch, seed)
        total = training.total(len(x))
        average = train_averaged(
            self._task(length, choices_in(blocks), self._shares(y[y >= 0])),
            players,
            data,
            training,
            total,
            seed,
            "discriminator",
        )
        return StoredNetwork(average, discriminator)

    def _shares(self, y: torch.Tensor) -> tuple[float, ...] | None:
        """(K,) numbers for the task, from the labels (M,) where the parameter says so."""
        if isinstance(self.shares, str):
            if self.shares != "labelled":
                raise BadInput(f"'shares' must be 'labelled', numbers, or None, got '{self.shares}'")
            return tuple(y.bincount(minlength=len(self.classes_)).tolist())
        return None if self.shares is None else tuple(map(float, self.shares))

    def _task(self, length: int, choices: int, shares: tuple[float, ...] | None) -> Classify:
        return Classify(
            prior=Normal(self.latent + choices),
            classes=length,
            unsupervised=self.unsupervised,
            # Without unlabelled items there is nothing for the consistency cost to act on.
            consistency=self.consistency if self.unsupervised else 0.0,
            shares=shares,
            noise=self.noise,
            contest=Contest(non_saturating, fused=True),
        )
