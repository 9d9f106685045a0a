"""Seeds of draws: functions of what they are for, so that no random state needs to be kept."""

from __future__ import annotations

__all__ = ["mix"]

_WORD = 0xFFFF_FFFF_FFFF_FFFF


def mix(*numbers: int) -> int:
    """One well-spread seed in [0, 2^63) from several integers (SplitMix64, Steele et al. 2014).

    Every draw of a run is a function of its seed and its position, so that no random state needs to be kept:
    the generator of round r is seeded with mix(seed, r).
    """
    state = 0
    for number in numbers:
        state = (state + (number & _WORD) + 0x9E3779B97F4A7C15) & _WORD
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _WORD
        state ^= state >> 31
    return state >> 1
