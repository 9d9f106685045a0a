"""Missing values of a table, filled by draws; see evenodds.apply.imputer."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from evenodds.apply.imputer import Settings, fit, imputer_with, task_at_work
from evenodds.errors import BadInput
from evenodds.estimators.checks import Array, check_counts, seed_of, validated
from evenodds.estimators.rows import Rows, needs_rows
from evenodds.estimators.stored import StoredNetwork
from evenodds.estimators.training import PrintProgress
from evenodds.runs.imputing import Imputer
from evenodds.runs.strategies import DRAWS, strategy_of

__all__ = ["GANImputer"]


class GANImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Fills NaN by what a generator learned of the table itself.

    A column with at most `few` distinct values gets no others in draws. A data frame of pandas may have columns of
    words, booleans and dates; it comes back with the same names and types.

    Args:
        strategy: what `transform` gives: "mean", the mean of `n_draws` fillings, which has the least squared error (of
            words the likeliest one); or "draw", one filling, which keeps the spread of the columns and
            how they hang together.
        n_draws: fillings that the mean is taken of.
        rows: shown in training; None for 60 times the table, within [20,000, 200,000].
        batch_size: rows per update.
        scale: "standard", "minmax" or "quantile", the last for columns with long tails.
        few: a column with at most so many distinct values gets no others.
        width: units per layer.
        random_state: an int makes fit and fillings repeatable.
        verbose: 1 prints how far the training is.

    Attributes:
        n_features_in_: D.
    """

    def __init__(
        self,
        *,
        strategy: str = "mean",
        n_draws: int = DRAWS,
        rows: int | None = None,
        batch_size: int = 256,
        scale: str = "standard",
        few: int = 20,
        width: int = 256,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.strategy = strategy
        self.n_draws = n_draws
        self.rows = rows
        self.batch_size = batch_size
        self.scale = scale
        self.few = few
        self.width = width
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> GANImputer:
        """Learns from a table, N at least 2; every column needs an observed value.

        Args:
            X: (N, D) numbers, NaN where missing; or a data frame.
        """
        strategy_of(self.strategy, 1)
        check_counts(rows=self.rows, batch_size=self.batch_size, n_draws=self.n_draws)
        self.rows_ = Rows.of(X) if needs_rows(X) else None
        X = self._numbers(X, reset=True, ensure_min_samples=2)
        names = [*getattr(self, "feature_names_in_", range(X.shape[1]))]
        if np.isnan(X).all(0).any():
            raise BadInput(f"column {names[np.isnan(X).all(0).argmax()]} has no observed value; leave it out")
        seed = seed_of(self.random_state)
        settings = self._settings(len(X))
        words = [] if self._rows is None else self._rows.unordered
        fitted = fit(X, settings, seed, [PrintProgress()] if self.verbose else [], words, [str(name) for name in names])
        self.columns_, self.seed_ = fitted.columns, seed
        self.filler_ = StoredNetwork(fitted.network, self._arguments(settings))
        return self

    def transform(self, X: Any) -> Any:
        """(N, D) float64: X where observed, and filled where it is NaN; always in the same way after one fit.

        A data frame, where `fit` saw one with words, booleans or dates.
        """
        frame = X
        X, fitted = self._ready(X)
        filled = self._filled(X, fitted)
        return filled if self._rows is None else self._rows.filled(frame, filled, np.isnan(X))

    @property
    def _rows(self) -> Rows | None:
        """Of a data frame; None of arrays, and of what was pickled before data frames were taken."""
        return getattr(self, "rows_", None)

    def _filled(self, X: Array, fitted: Imputer) -> Array:
        if self.strategy != "mean":
            return np.asarray(fitted.impute(X, 1, self.seed_)[0])
        words = [] if self._rows is None else self._rows.unordered
        return fitted.mean(X, self.n_draws, self.seed_, words)

    def sample_posterior(self, X: Any, n_draws: int = 10) -> Array:
        """(n_draws, N, D) float64: several fillings, equal to X where it is observed."""
        check_counts(n_draws=n_draws)
        X, fitted = self._ready(X)
        return fitted.impute(X, n_draws, seed_of(self.random_state))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _more_tags(self) -> dict[str, Any]:  # scikit-learn 1.5
        return {"allow_nan": True}

    def _numbers(self, X: Any, *, reset: bool, **options: Any) -> Array:
        """X as numbers, NaN where missing."""
        if self._rows is None:
            return np.asarray(validated(self, X, reset=reset, missing=True, dtype=np.float64, **options))
        values = self._rows.numbers(X)
        if len(values) < options.get("ensure_min_samples", 1):
            raise BadInput(f"Found data frame with {len(values)} sample(s) while a minimum of 2 is required.")
        if reset:
            self.n_features_in_ = values.shape[1]
            self.feature_names_in_ = np.array([column.name for column in self._rows.columns], object)
        return values

    def _settings(self, rows: int) -> Settings:
        total = self.rows or min(max(60 * rows, 20_000), 200_000)
        return Settings(rows=total, batch=self.batch_size, scale=self.scale, few=self.few, width=self.width)

    def _arguments(self, settings: Settings) -> dict[str, Any]:
        return {
            "latent": settings.latent,
            "shape": (sum(self.columns_.widths),),
            "width": settings.width,
            "depth": settings.depth,
            "dropout": settings.dropout,
            "memory": settings.memory,
            "neighbours": settings.neighbours,
            "row_blocks": self.columns_.blocks,
        }

    def _ready(self, X: Any) -> tuple[Array, Imputer]:
        check_is_fitted(self)
        X = self._numbers(X, reset=False)
        return X, imputer_with(self.columns_, task_at_work(blocks=self.columns_.blocks), self.filler_.module)
