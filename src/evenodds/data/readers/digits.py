"""Handwritten digits that come with scikit-learn: small, real, and there without a download."""

from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import torch

from evenodds.data.dataset import Dataset
from evenodds.data.units import Units
from evenodds.errors import BadInput

__all__ = ["digits"]


def digits() -> Dataset:
    """The 1,797 digits of Alpaydin and Kaynak (1998) as in scikit-learn.

    Returns:
        x (1797, 1, 8, 8) uint8 from 0 to 16, y 0-9. It is the same data set whenever it is asked for in a process: what
        one run finds out about it, the next one knows.

    Raises:
        BadInput: scikit-learn cannot be imported.
    """
    return _kept()


@cache
def _kept() -> Dataset:
    images, labels = _read()
    return Dataset(
        x=torch.from_numpy(images.astype(np.uint8)[:, None]),
        units=Units((0.0,), (16.0,), "uint8"),
        y=torch.from_numpy(labels.astype(np.int64)),
        classes=tuple(str(digit) for digit in range(10)),
        report=("Read 1,797 digits of 8 x 8 with 1 channel, values 0 to 16, from scikit-learn.",),
    )


def _read() -> tuple[np.ndarray, np.ndarray]:
    """Images and labels from the file of scikit-learn, whose import takes a second."""
    with suppress(PackageNotFoundError, OSError):
        file = Path(str(distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")))
        rows = np.loadtxt(file, delimiter=",")  # 64 pixels, row by row, and the label
        return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1]
    try:
        from sklearn.datasets import load_digits
    except Exception as error:
        raise BadInput("the data source 'digits' needs scikit-learn; pip install 'evenodds[sklearn]'") from error
    bunch = load_digits()
    return bunch.images, bunch.target
