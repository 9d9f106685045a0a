"""What callers hold in memory, as NumPy arrays: arrays, tensors, lists of these or of pictures, with labels beside."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence, Sized
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.files.misfit import shortened

__all__ = ["as_numpy", "items_as_numpy", "parts_of"]

Array = NDArray[Any]
PARTS = ("x", "y", "c", "c_names")
"""Names of what may stand in a mapping: items, and what is known of them; see `arrays.from_array`."""
NEEDED = "give an array (N, H, W), (N, H, W, C), (N, C, H, W) or (N, D), a data frame or a path"


def parts_of(source: Any) -> dict[str, Any] | None:
    """Items and their labels where a source holds both: a mapping with x, or a pair (x, y); else None.

    Raises:
        BadInput: a mapping without x, or with other names.
    """
    if isinstance(source, Mapping):
        names = [str(name) for name in source]
        if "x" not in names or (other := [name for name in names if name not in PARTS]):
            wrong = "no x" if "x" not in names else shortened(other[0])
            raise BadInput(
                f"a mapping needs x, and may have y, c and c_names, got {wrong}; columns of a table go into a data "
                "frame: pandas.DataFrame(data)"
            )
        return dict(source)
    if not isinstance(source, tuple) or len(source) != 2:
        return None
    x, y = source
    return {"x": x, "y": y} if getattr(x, "ndim", 2) > 1 and _are_labels(y, x) else None


def _are_labels(y: Any, x: Any) -> bool:
    """Whether these are labels of items: one number or word for each."""
    if getattr(y, "ndim", 1) != 1 or not all(isinstance(one, Sized) for one in (x, y)) or len(x) != len(y):
        return False
    return hasattr(y, "ndim") or (all(map(np.isscalar, y)) and not all(map(np.isscalar, x)))


def items_as_numpy(x: Any) -> Array:
    """The items x as an array, whatever its shape.

    Raises:
        BadInput: it holds no numbers, or parts of several shapes; what to give in its place is said.
    """
    if x is None or isinstance(x, bool | int | float):
        raise BadInput(f"there are no data: got {type(x).__name__}; {NEEDED}")
    if isinstance(x, torch.utils.data.DataLoader):
        raise BadInput("a DataLoader deals batches in an order of its own; give the data set in it: loader.dataset")
    if isinstance(x, Iterator):
        raise BadInput(f"{type(x).__name__} can be gone through once; give an array: np.stack([*data])")
    if isinstance(x, Sequence) and not isinstance(x, str | bytes):
        _check_list(x)
    values = as_numpy(x)
    if 0 in values.shape:
        raise BadInput(f"there are no data in an array of the shape {values.shape}; {NEEDED}")
    if values.ndim == 1:
        rows = "x.to_frame()" if hasattr(x, "to_frame") else "np.asarray(x)[:, None]"
        raise BadInput(
            f"x needs the shape (N, D), or that of images, got {values.shape}; {rows} makes rows of one number of it"
        )
    return values


def _check_list(x: Sequence[Any]) -> None:
    """BadInput where a list holds paths, or items of several shapes."""
    some = list(islice(x, 1000))
    if some and all(isinstance(one, str | os.PathLike) for one in some):
        raise BadInput(
            f"a list of {len(x):,} paths is not read; name the folder, or write one path in each line of a file "
            "such as photos.txt and name that"
        )
    shapes = list(dict.fromkeys(np.shape(one) for one in some if hasattr(one, "shape") or hasattr(one, "size")))
    if len(shapes) > 1:
        raise BadInput(
            f"items need one shape, got {shapes[0]} and {shapes[1]}; bring them to one size, or save them as files in "
            "a folder and name that: its images are brought to one size"
        )


def as_numpy(values: Any) -> Array:
    """Numbers or words as an array."""
    if isinstance(values, Tensor):  # NumPy has no bfloat16
        values = (values.float() if values.dtype == torch.bfloat16 else values).detach().cpu().numpy()
    try:
        array: Array = np.asarray(values)
    except ValueError:  # "inhomogeneous shape"
        raise BadInput("arrays need parts of one shape, and these have several; make them alike") from None
    if array.dtype.kind == "c":
        raise BadInput(
            f"arrays need real numbers, got dtype {array.dtype}; np.stack([x.real, x.imag], 1) has both parts"
        )
    if array.dtype.kind not in "biufUS":
        raise BadInput(f"arrays need plain numbers, got {_kind(values, array)}; convert them with .astype(float)")
    return array


def _kind(values: Any, array: Array) -> str:
    return f"dtype {array.dtype}" if array.ndim else type(values).__name__
