"""Labels, conditions and columns of any kind as the numbers that a data set holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenodds.data.conditions import Conditions
from evenodds.data.tables.cells import UNKNOWN
from evenodds.data.units import Units
from evenodds.errors import BadInput

__all__ = ["encode_conditions", "encode_labels", "whole_columns"]


def whole_columns(rows: NDArray[Any]) -> tuple[bool, ...]:
    """Which columns of a table (N, D) hold whole numbers alone, which float32 keeps."""
    exact = (rows == np.round(rows)).all(0) & (np.abs(rows).max(0) < 2**24)
    return tuple(bool(one) for one in exact)


def encode_labels(
    values: Sequence[Any] | NDArray[Any], unlabelled: str | float | None = None
) -> tuple[Tensor, tuple[str, ...]]:
    """Labels of any kind as numbers.

    Args:
        values: N integers, integral floats, booleans or words; or (N, K) of 0 and 1, of which the place of the only 1
            is the class. Unknown are empty words, "NaN" and the like, floats that are not a number, and rows of 0.
        unlabelled: a further value that stands for an unknown class, such as -1.

    Returns:
        (N,) int64 with -1 unknown, and the class names: the values that occur, numbers in their order, then words.
    """
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2:
        array = _of_one_hot(array)
    if array.ndim != 1:
        raise BadInput(f"labels need the shape (N,), got {array.shape}; give one label for each item")
    if array.dtype.kind == "f":
        absent = np.isnan(array)
        whole = np.isfinite(array) & (array == np.round(array))
        if not (whole | absent).all():
            at = int(np.argmin(whole | absent))
            raise BadInput(f"labels must be whole numbers or words, got {array[at]} at item {at}")
        numbers = np.where(absent, 0, array).astype(np.int64)
        array = np.where(absent, "", numbers.astype(str)) if absent.any() else numbers
    if array.dtype.kind not in "biuUS":
        raise BadInput(f"labels must be whole numbers or words, got dtype {array.dtype}")
    if array.dtype.kind in "US":
        array = _without_point(array)
    distinct, inverse = np.unique(array.astype(str) if array.dtype.kind in "US" else array, return_inverse=True)
    if array.dtype.kind in "US":
        distinct, inverse = _numbers_in_order(distinct, inverse)
    unknown_words = {*UNKNOWN, *([] if unlabelled is None else [_spelt(unlabelled)])}
    is_class = [str(value).lower() not in unknown_words for value in distinct.tolist()]
    number = np.where(is_class, np.cumsum(is_class) - 1, -1)
    classes = tuple(str(value) for value, keep in zip(distinct.tolist(), is_class, strict=True) if keep)
    return torch.from_numpy(number[inverse.reshape(-1)].astype(np.int64)), classes


_POINTLESS = re.compile(r"\s*([+-]?\d+)\.0*\s*\Z")


def _spelt(unlabelled: str | float) -> str:
    """A value as labels spell it."""
    word = f"{unlabelled:g}" if isinstance(unlabelled, float) else str(unlabelled).strip().lower()
    return _pointless(word)


def _pointless(word: str) -> str:
    at = _POINTLESS.match(word)
    return at[1] if at else word


def _without_point(words: NDArray[Any]) -> NDArray[Any]:
    """Words of which all are whole numbers, some written as 1.0, without the point; others as they are."""
    plain = {word: _pointless(word) for word in np.unique(words).tolist()}
    known = [word for word in plain.values() if word.strip().lower() not in UNKNOWN]
    if list(plain) == list(plain.values()) or not all(word.strip().lstrip("+-").isdecimal() for word in known):
        return words
    return np.array([plain[word] for word in words.tolist()])


def _of_one_hot(rows: NDArray[Any]) -> NDArray[Any]:
    """(N,) places of the 1 in rows (N, K) of 0 and 1, as words, empty of a row of 0; BadInput where they are not so."""
    marked = rows.astype(bool)
    if rows.dtype.kind not in "biuf" or not np.array_equal(marked, rows) or marked.sum(1).max(initial=0) > 1:
        raise BadInput(
            f"labels (N, K) need a single 1 in each row and 0 elsewhere, got {rows.dtype} {rows.shape}; give one label "
            "for each item, or attributes as c"
        )
    return np.where(marked.any(1), marked.argmax(1).astype(str), "")


def encode_conditions(values: NDArray[Any], names: Sequence[str] | None = None) -> tuple[Tensor, Conditions]:
    """Attributes or values (N, K) or (N,) of N items as float32 (N, K), and what they are.

    All 0 or 1 are attributes; anything else are values, each with the range that occurs.

    Args:
        names: K of them; "c1" and so on where None.
    """
    rows = np.asarray(values)
    rows = rows[:, None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or not rows.size or rows.dtype.kind not in "biuf" or not np.isfinite(rows).all():
        raise BadInput(
            f"conditions need finite numbers (N, K), got {rows.dtype} {rows.shape}; give one row for each item"
        )
    columns = tuple(names) if names is not None else tuple(f"c{k}" for k in range(1, rows.shape[1] + 1))
    if len(columns) != rows.shape[1] or len(set(columns)) != len(columns):
        raise BadInput(f"{rows.shape[1]} conditions need as many different names, got {', '.join(columns)}")
    c, binary = torch.from_numpy(rows.astype(np.float32)), bool(np.isin(rows, (0, 1)).all())
    low, high = ([-1.0] * len(columns), [1.0] * len(columns)) if binary else (c.amin(0).tolist(), c.amax(0).tolist())
    return c, Conditions(columns, Units(tuple(low), tuple(high), "float32"), binary)


def _numbers_in_order(distinct: NDArray[Any], inverse: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    # As words, "10" comes before "2"; labels read from text should be ordered as the numbers that they are.
    def key(k: int) -> tuple[bool, int, str]:
        word = str(distinct[k])
        number = word.lstrip("-").isdecimal()
        return not number, int(word) if number else 0, word

    order = sorted(range(len(distinct)), key=key)
    return distinct[order], np.argsort(order)[inverse]
