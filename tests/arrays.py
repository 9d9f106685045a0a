"""Networks of tensors where networks of arrays are taken."""

from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["of_arrays"]


def of_arrays(network: Callable[[Tensor], Tensor]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """The network, of arrays and to arrays."""
    return lambda x: network(torch.from_numpy(x)).numpy()
