"""An answer that is the mean of eight: of the image as it is, mirrored, and turned by quarters.

Timofte, Rothe and Van Gool, "Seven Ways to Improve Example-Based Single Image Super Resolution" (2016), section 3.4;
known as self-ensemble or geometric ensemble.
"""

from __future__ import annotations

import numpy as np

from evenodds.apply.tiling import Apply
from evenodds.data.pictures.placing import Pixels

__all__ = ["eightfold"]


def eightfold(apply: Apply) -> Apply:
    """The mean of what `apply` makes of the eight positions of an image, each turned back, in eight times the time.

    Example:
        >>> import numpy as np
        >>> from evenodds.apply.ensemble import eightfold
        >>> shifted = eightfold(lambda x: np.roll(x, 1, 3))  # the mean of four directions, each twice
        >>> shifted(np.eye(3)[None, None])[0, 0, 1]
        array([0.5, 0. , 0.5])
    """

    def mean(x: Pixels) -> Pixels:
        total: Pixels | None = None
        for mirrored in (False, True):
            for quarters in range(4):
                seen = np.rot90(x[..., ::-1] if mirrored else x, quarters, (2, 3))
                answer = np.rot90(apply(np.ascontiguousarray(seen)), -quarters, (2, 3))
                answer = answer[..., ::-1] if mirrored else answer
                total = answer if total is None else total + answer
        assert total is not None
        return total / 8

    return mean
