"""Arrays as a file of numpy, under the user's name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenodds.files.outputs import owned

__all__ = ["write_arrays"]


def write_arrays(path: Path, command: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes arrays by name, in a file of exactly this name.

    Args:
        command: that writes it; what others wrote is not replaced, see evenodds.files.outputs.
    """
    with owned(path, command) as temporary, temporary.open("wb") as file:  # of a path, numpy changes the name
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
