"""The checks of scikit-learn and the conversions of its arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.data.readers.frames import is_frame
from evenodds.errors import BadInput

__all__ = ["Array", "check_counts", "classes_of", "items_of", "seed_of", "validated"]

Array = NDArray[Any]


def validated(estimator: Any, X: Any, *, reset: bool, missing: bool = False, **options: Any) -> Any:
    """scikit-learn's check of X (and y, where given); sets `n_features_in_` and names where `reset`.

    Args:
        missing: NaN is allowed.
        options: of sklearn.utils.check_array, e.g. allow_nd; and y.
    """
    finite: bool | str = "allow-nan" if missing else True
    try:
        from sklearn.utils.validation import validate_data
    except ImportError:  # scikit-learn 1.5
        return estimator._validate_data(X, reset=reset, force_all_finite=finite, **options)
    return validate_data(estimator, X, reset=reset, ensure_all_finite=finite, **options)


def items_of(estimator: Any, X: Any, *, reset: bool, **options: Any) -> Any:
    """Items as an array by scikit-learn's checks; a data frame that has words, dates or empty cells as it is.

    Sets `n_features_in_` and the names of a data frame where `reset`.
    """
    numeric = not is_frame(X) or all(getattr(dtype, "kind", "O") in "iuf" for dtype in X.dtypes)
    if not is_frame(X) or (numeric and not X.isna().any(axis=None)):
        return validated(estimator, X, reset=reset, allow_nd=True, **options)
    if len(X) < options.get("ensure_min_samples", 1):
        raise BadInput(f"Found data frame with {len(X)} sample(s) while a minimum of 2 is required.")
    if reset:
        estimator.n_features_in_ = X.shape[1]
        estimator.feature_names_in_ = np.array([str(name) for name in X.columns], object)
    return X


def classes_of(y: Any, n: int) -> Array:
    """y (n,) as an array of classes, by scikit-learn's checks; BadInput if it has another length."""
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import column_or_1d

    y = column_or_1d(y, warn=True)
    check_classification_targets(y)
    if len(y) != n:
        raise BadInput(f"X and y need one length, got {n} and {len(y)}")
    return np.asarray(y)


def seed_of(random_state: Any) -> int:
    """A seed from what scikit-learn takes for `random_state`."""
    from sklearn.utils import check_random_state

    return int(check_random_state(random_state).randint(2**31 - 1))


def check_counts(**counts: int | None) -> None:
    """Each is None or at least 1."""
    for name, value in counts.items():
        if value is not None and value < 1:
            raise BadInput(f"'{name}' must be at least 1, got {value}")
