"""The draws of torch's generator on the CPU, by numpy: so that a file gives the samples of its run without torch.

Numbers of 32 bits are those of the Mersenne Twister (Matsumoto and Nishimura 1998), bit for bit, and so are uniform
numbers. Normal numbers are made of them as Box and Muller (1958) do, in blocks of 16. torch computes
their logarithms and sines by approximations of the processor it runs on, so that they are the same to about 2e-6.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST", "Draws"]

_BITS = 24
"""Of a uniform number in float32."""
LEAST = 16
"""Normal numbers that are made at once, of as many uniform ones; fewer cannot be drawn."""


class Draws:
    """A generator with a seed, as `torch.Generator().manual_seed(seed)`; calls go on where the one before ended."""

    def __init__(self, seed: int) -> None:
        # numpy and torch fill the state alike from the lower 32 bits; the rest of the seed is not used by torch either.
        state: Any = np.random.RandomState(seed & 0xFFFF_FFFF).get_state(legacy=False)
        self._bits = np.random.MT19937()
        self._bits.state = state

    def words(self, n: int) -> NDArray[np.uint32]:
        """(n,) numbers of 32 bits."""
        words: NDArray[np.uint64] = self._bits.random_raw(n)
        return words.astype(np.uint32)

    def uniform(self, n: int) -> NDArray[np.float32]:
        """(n,) in [0, 1), as torch.rand gives them."""
        return (self.words(n) & np.uint32((1 << _BITS) - 1)).astype(np.float32) * np.float32(2.0**-_BITS)

    def normal(self, n: int) -> NDArray[np.float32]:
        """(n,) standard normal numbers, at least 16, as torch.randn gives them.

        Those behind the last whole block are made anew, with the ones before them, as a block of their own.
        """
        if n < LEAST:
            raise ValueError(f"torch draws fewer than {LEAST} numbers in another way, got n={n}")
        numbers = _box_muller(self.uniform(n)[: n - n % LEAST])
        if not n % LEAST:
            return numbers
        last = _box_muller(self.uniform(LEAST))
        return np.concatenate([numbers[: n - LEAST], last])


def _box_muller(uniform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Normal numbers of uniform ones, in blocks whose first half gives lengths and whose second half gives angles."""
    first, second = np.moveaxis(uniform.reshape(-1, 2, LEAST // 2).astype(np.float64), 1, 0)
    length, angle = np.sqrt(-2 * np.log1p(-first)), 2 * np.pi * second
    return np.stack([length * np.cos(angle), length * np.sin(angle)], 1).reshape(-1).astype(np.float32)
