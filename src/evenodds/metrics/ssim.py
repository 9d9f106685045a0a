"""How alike pictures look: multi-scale structural similarity, and the diversity of a set by it."""

import torch
import torch.nn.functional as F
from torch import Tensor

from evenodds.errors import BadInput
from evenodds.metrics._rows import portions

__all__ = ["diversity", "ms_ssim", "ssim", "window_side"]

# Wang et al. (2003), section 3.2: the exponents of the five scales, finest first, found with observers.
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
TAPS, SIGMA = 11, 1.5
# (K L)^2 with K = 0.01 and 0.03, for brightness in [0, 1]: luminance is a ratio, and black must be 0.
LUMINANCE, CONTRAST = 0.01**2, 0.03**2
AT_ONCE = 1 << 17
"""Values of pictures that are compared at once: their ten maps stay in a processor's cache, where sums of shifted
pictures take 0.4 of the time."""


def ms_ssim(left: Tensor, right: Tensor) -> Tensor:
    """Multi-scale structural similarity of pairs of pictures: Wang et al. (2003), eq. 7.

    Contrast and structure at every scale and luminance at the coarsest, under a round Gaussian window of 11 pixels
    (sigma 1.5) that stays within the picture; each scale halves the one before. Mean similarities below 0 count as 0.

    Small pictures have fewer scales: as many of the five as leave a shorter side of 11 pixels or more, which is 5
    from 176 pixels on, 4 from 88, 3 from 44, 2 from 22, else 1; the finest scales' exponents are then divided by their
    sum. Below 11 pixels the window shrinks in proportion to the largest odd size that fits. Values from different
    sizes of pictures do not compare.

    Args:
        left: (N, C, H, W) in [-1, 1], H and W at least 4; computed in float64.
        right: like left.

    Returns:
        (N,) float64 in [0, 1]; 1 for equal pictures. Symmetric.

    Raises:
        BadInput: no pictures, unequal shapes, a side below 4, or values outside [-1, 1].
    """
    left, right = _alike(left, right)
    parts = portions(len(left), left[0].numel(), AT_ONCE)
    return torch.cat([_similarity(_brightness(left[part]), _brightness(right[part])) for part in parts])


def ssim(left: Tensor, right: Tensor) -> Tensor:
    """Structural similarity of pairs of pictures at their own scale: Wang et al. (2004), eq. 13; see `ms_ssim`.

    Args:
        left: (N, C, H, W) in [-1, 1], H and W at least 4; computed in float64.
        right: like left.

    Returns:
        (N,) float64 in [-1, 1]; 1 for equal pictures. Symmetric.

    Raises:
        BadInput: no pictures, unequal shapes, a side below 4, or values outside [-1, 1].
    """
    left, right = _alike(left, right)
    scores = []
    for part in portions(len(left), left[0].numel(), AT_ONCE):
        luminance, structure = _terms(_brightness(left[part]), _brightness(right[part]))
        scores.append((luminance * structure).mean((1, 2, 3)))
    return torch.cat(scores)


def diversity(x: Tensor, pairs: int, rng: torch.Generator) -> Tensor:
    """Mean MS-SSIM of random pairs of different examples: Odena et al. (2017), section 4.2. LOWER is more diverse.

    It finds a collapsed class without any features. Compare it with the same number for real examples of that class:
    a generator should not be above them. Low values alone are no merit, since noise has the lowest.

    Args:
        x: (N, C, H, W) in [-1, 1], N >= 2, H and W at least 4: examples of one class, say.
        pairs: how many to draw, at least 1; 100 in the paper.
        rng: draws the pairs.

    Returns:
        () float64 in [0, 1].

    Raises:
        BadInput: no pictures, fewer than two, a side below 4, values outside [-1, 1], or no pairs.
    """
    x = _checked(x, "x", least=2)
    if pairs < 1:
        raise BadInput(f"'pairs' must be at least 1, got {pairs}; 100 is usual")
    first = torch.randint(len(x), (pairs,), generator=rng, device=rng.device)
    # A step of 1 to N - 1 around the circle of rows never ends where it began.
    step = torch.randint(1, len(x), (pairs,), generator=rng, device=rng.device)
    first, second = first.to(x.device), ((first + step) % len(x)).to(x.device)
    parts = portions(pairs, x[0].numel(), 1 << 21)
    return torch.cat([ms_ssim(x[first[part]], x[second[part]]) for part in parts]).mean()


def _alike(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    left, right = _checked(left, "left"), _checked(right, "right")
    if left.shape != right.shape:
        raise BadInput(f"pictures must have equal shapes, got {tuple(left.shape)} and {tuple(right.shape)}; resize one")
    return left, right


def _checked(x: Tensor, name: str, least: int = 1) -> Tensor:
    if x.ndim != 4 or x.shape[1] == 0 or min(x.shape[2:]) < 4:
        raise BadInput(f"'{name}' must be (N, C, H, W) with H and W at least 4, got {tuple(x.shape)}; resize it")
    if len(x) < least:
        raise BadInput(f"'{name}' needs at least {least} pictures, got {len(x)}; give more examples")
    low, high = x.detach().aminmax()
    if not (low >= -1.001 and high <= 1.001):
        raise BadInput(f"'{name}' must lie in [-1, 1], got [{low:.3g}, {high:.3g}]; scale it first")
    return x.detach().cpu() if x.device.type == "mps" else x.detach()


def _brightness(x: Tensor) -> Tensor:
    return (x.to(torch.float64) + 1) / 2


def _similarity(left: Tensor, right: Tensor) -> Tensor:
    """(N,) float64."""
    side = min(left.shape[2:])
    scales = 1 + sum(side >> k >= TAPS for k in range(1, len(WEIGHTS)))
    weights = WEIGHTS[:scales]
    value = left.new_ones(len(left))
    for scale, weight in enumerate(weights):
        luminance, structure = _terms(left, right)
        similarity = luminance * structure if scale == scales - 1 else structure
        value *= similarity.mean((1, 2, 3)).clamp_min(0) ** (weight / sum(weights))
        left, right = F.avg_pool2d(left, 2), F.avg_pool2d(right, 2)
    return value


def _terms(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance and contrast times structure at every place of the window: Wang et al. (2003), eqs. 1 - 3."""
    maps = torch.cat([left, right, left * left, right * right, left * right])
    mean_l, mean_r, square_l, square_r, product = _blurred(maps).chunk(5)
    squares, cross = mean_l * mean_l + mean_r * mean_r, mean_l * mean_r
    luminance = (2 * cross + LUMINANCE) / (squares + LUMINANCE)
    structure = (2 * (product - cross) + CONTRAST) / (square_l + square_r - squares + CONTRAST)
    return luminance, structure


def window_side(size: tuple[int, int]) -> int:
    """Pixels of the window's side: the largest odd number up to 11, that of Wang et al. (2004), that fits.

    Args:
        size: (height, width) of the pictures, in pixels, at least 1.

    Returns:
        The side, odd, from 1 to 11.

    Raises:
        Nothing: the callers check the size.
    """
    side = min(*size, TAPS)
    return side - (side + 1) % 2


def _blurred(x: Tensor) -> Tensor:
    """Means under the window, one axis after the other."""
    taps = window_side((x.shape[2], x.shape[3]))
    places = torch.arange(taps, dtype=x.dtype) - taps // 2
    window = torch.softmax(-(places**2) / (2 * (SIGMA * taps / TAPS) ** 2), 0).tolist()
    # Sums of shifted pictures: a tenth of the time of a convolution of one channel in float64.
    for axis in (2, 3):
        length = x.shape[axis] - taps + 1
        mean = window[0] * x.narrow(axis, 0, length)
        for k in range(1, taps):
            mean.add_(x.narrow(axis, k, length), alpha=window[k])
        x = mean
    return x
