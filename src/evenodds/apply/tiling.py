"""Images of any size through a network, in bounded memory: overlapping tiles, of which what the cuts spoil is left out.

A pixel of a convolutional network's result depends on what lies within its reach. A tile therefore goes in with a
margin of that reach around what is kept of it, and the kept parts join to what the whole image would have given: tiles
at the image's borders see these borders, and each begins at a multiple of what the network divides sides by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from evenodds.data.pictures.placing import Pixels
from evenodds.errors import BadInput
from evenodds.game.schedule import OnProgress

__all__ = ["Apply", "Keep", "Rows", "Tiling", "strips", "tiled"]

Apply = Callable[[Pixels], Pixels]
"""(N, C, h, w) -> (N, C', s h, s w)."""
Keep = Callable[[Pixels], Pixels]
"""Rows of a result (N, C', h, w) -> what is kept of them, number by number, e.g. bytes."""
_ROWS = 128  # That `keep` gets at once: it may make several copies of them.


@dataclass(frozen=True)
class Tiling:
    """How an image is cut.

    Args:
        tile: longest side of what the network sees at once, in pixels of its input; None: the whole image, uncut. A
            side is a multiple of `multiple`, and of two such at least.
        margin: the network's reach: how many pixels around a place its result there depends on. None where it depends
            on all of them, as with attention or norms over the image.
        scale: of the result's sides to the input's.
        multiple: sides of what the network sees are multiples of it; images are extended by their mirror image (or by
            their last pixels, where they are too small) and the result is cut again.
        batch: how many tiles go through the network at once.
    """

    tile: int | None = None
    margin: int | None = None
    scale: int = 1
    multiple: int = 1
    batch: int = 1

    def __post_init__(self) -> None:
        if self.tile is not None and self.tile < 1:
            raise BadInput(f"a tile has a side of at least 1 pixel, got {self.tile}; 256 is usual")
        if min(self.scale, self.multiple, self.batch) < 1 or (self.margin or 0) < 0:
            raise BadInput(f"tiles need scale, multiple and batch >= 1 and margin >= 0, got {self}")

    @property
    def side(self) -> int | None:
        """Of a tile."""
        return None if self.tile is None else max(2, self.tile // self.multiple) * self.multiple

    @property
    def exact(self) -> bool:
        """Whether the result is that of the whole image: where a tile holds the margins and is half of it at least.

        Otherwise tiles overlap by a quarter, and go over into each other in the middle half of that; results that are
        whole numbers, which have no mixtures, are cut there.
        """
        side = self.side
        return side is None or (self.margin is not None and 4 * self.margin <= side)

    @property
    def step(self) -> int:
        """The longest way from one tile to the next."""
        side, unit = self.side or 0, self.multiple
        spoilt = 2 * (self.margin or 0) if self.exact else side // 4
        return (side - spoilt) // unit * unit

    def pieces(self, length: int) -> list[Piece]:
        """The tiles along an axis of that length, a multiple of `multiple`: evenly spread, all of one side."""
        side, unit, scale = self.side or length, self.multiple, self.scale
        if length <= side:
            return [Piece(0, length, 0, scale * length, 0)]
        gaps = -(-(length - side) // self.step)
        # Rounded down to multiples; as the step is one, no gap is longer than the step.
        starts = [k * ((length - side) // unit) // gaps * unit for k in range(gaps + 1)]
        middles = [scale * ((a + side + b) // 2) for a, b in pairwise(starts)]
        ramp = 0 if self.exact else scale * ((side - self.step) // 2)
        bounds = pairwise([0, *middles, scale * length])
        return [Piece(start, start + side, low, high, ramp) for start, (low, high) in zip(starts, bounds, strict=True)]


@dataclass(frozen=True)
class Piece:
    """One tile along an axis."""

    start: int
    stop: int
    """Of what the network sees, in pixels of its input."""
    low: int
    high: int
    """Of what is kept, in pixels of the result; to and from the neighbours it fades around these."""
    ramp: int
    """Length of the fade; 0 is a cut."""

    def span(self, length: int, ramp: int) -> tuple[int, int]:
        """First and after the last pixel of the result that this tile has a part in, of `length` along the axis."""
        low = 0 if self.low == 0 else self.low - ramp // 2
        return low, length if self.high == length else self.high - ramp // 2 + ramp

    def weights(self, scale: int, length: int, ramp: int) -> NDArray[np.float32]:
        """(pixels of the result,) of this tile's part; those of all tiles add up to 1 everywhere.

        Each is the difference of two ramps, one that rises at `low` and one that rises at `high`; the sum telescopes.
        """
        at = np.arange(scale * self.start, scale * self.stop)
        inside = np.ones(len(at), np.float32) if self.low == 0 else _risen(at, self.low, ramp)
        return inside if self.high == length else inside - _risen(at, self.high, ramp)


@dataclass(frozen=True)
class Rows:
    """An image of which rows are asked for, so that it need not be one array as a whole.

    Args:
        size: (H, W), each at least 1.
        take: (h,) int64, numbers of rows -> (1, C, h, W).
    """

    size: tuple[int, int]
    take: Callable[[NDArray[np.int64]], Pixels]

    @staticmethod
    def of(x: Pixels) -> Rows:
        """Those of (1, C, H, W)."""
        return Rows((x.shape[-2], x.shape[-1]), lambda at: x.take(at, -2))


def strips(
    apply: Apply, x: Pixels | Rows, tiling: Tiling, keep: Keep | None = None, progress: OnProgress | None = None
) -> Iterator[Pixels]:
    """The result by rows, from the top to the bottom, as far as they are finished.

    Args:
        apply: the network, for sides that are multiples of `tiling.multiple`.
        x: (1, C, H, W) of any dtype, H, W >= 1; or its rows. Nothing as large is made of it.
        keep: what is kept of finished rows; where tiles are exact, of each tile at once. None: all.
        progress: told (tiles done, tiles in all).

    Yields:
        (C', h, scale W): floats, or whole numbers such as labels where those are what `apply` gives, or what `keep`
        makes of them; the h add up to scale H.
    """
    late = keep is not None and not tiling.exact
    for strip in _joined(apply, x if isinstance(x, Rows) else Rows.of(x), tiling, None if late else keep, progress):
        if keep is None or not late:
            yield strip
            continue
        for top in range(0, strip.shape[1], _ROWS):
            yield keep(strip[None, :, top : top + _ROWS])[0]


def _joined(apply: Apply, x: Rows, tiling: Tiling, keep: Keep | None, progress: OnProgress | None) -> Iterator[Pixels]:
    """See `strips`; of tiles that fade into each other all is kept."""
    scale, (height, width) = tiling.scale, x.size
    down, across = (_extended(side, tiling.multiple) for side in (height, width))
    rows, columns, length = tiling.pieces(len(down)), tiling.pieces(len(across)), scale * len(down)
    carried: Pixels | None = None
    for k, row in enumerate(rows):
        report = None if progress is None else _counted(progress, k * len(columns), len(rows) * len(columns))
        part = x.take(down[row.start : row.stop])
        band = _band(apply, part, across, columns, tiling, keep, report)[..., : scale * width]
        ramp = row.ramp if band.dtype.kind == "f" else 0
        if ramp:
            band = band * row.weights(scale, length, ramp).astype(band.dtype)[:, None]
        begin, after = row.span(length, ramp)
        end = length if k == len(rows) - 1 else rows[k + 1].span(length, ramp)[0]
        band = band[:, begin - scale * row.start : after - scale * row.start]
        if carried is not None and carried.shape[1]:
            band[:, : carried.shape[1]] += carried
        carried = band[:, end - begin :]
        yield band[:, : min(end, scale * height) - begin]


def tiled(
    apply: Apply,
    x: Pixels | Rows,
    tiling: Tiling,
    keep: Keep | None = None,
    progress: OnProgress | None = None,
) -> Pixels:
    """The whole result, (1, C', scale H, scale W); see `strips`."""
    height, width = (tiling.scale * side for side in (x.size if isinstance(x, Rows) else x.shape[-2:]))
    whole: Pixels | None = None
    at = 0
    for strip in strips(apply, x, tiling, keep, progress):
        if whole is None:
            whole = np.empty((1, strip.shape[0], height, width), strip.dtype)
        whole[0, :, at : at + strip.shape[1]] = strip
        at += strip.shape[1]
    assert whole is not None
    return whole


def _band(
    apply: Apply,
    rows: Pixels,
    across: NDArray[np.int64],
    columns: list[Piece],
    tiling: Tiling,
    keep: Keep | None,
    report: Callable[[int], None] | None,
) -> Pixels:
    """(C', h, all columns): the result of one row of tiles, or what is kept of it."""
    length = tiling.scale * len(across)
    band: Pixels | None = None
    for first in range(0, len(columns), tiling.batch):
        part = columns[first : first + tiling.batch]
        windows = np.concatenate([rows.take(across[piece.start : piece.stop], -1) for piece in part])
        results = apply(windows)
        _check(windows, results, tiling.scale)
        results = results if keep is None else keep(results)
        if band is None:
            band = np.zeros((*results.shape[1:3], length), results.dtype)
        for piece, result in zip(part, results, strict=True):
            _join(band, piece, result, tiling.scale)
        if report is not None:
            report(first + len(part))
    assert band is not None
    return band


def _join(band: Pixels, piece: Piece, result: Pixels, scale: int) -> None:
    length = band.shape[-1]
    ramp = piece.ramp if result.dtype.kind == "f" else 0
    begin, end = piece.span(length, ramp)
    here = slice(begin - scale * piece.start, end - scale * piece.start)
    if ramp:
        band[..., begin:end] += (result * piece.weights(scale, length, ramp).astype(result.dtype))[..., here]
    else:
        band[..., begin:end] = result[..., here]


def _risen(at: NDArray[np.int64], bound: int, ramp: int) -> NDArray[np.float32]:
    """0 before the bound, 1 after it, in a line over `ramp` pixels around it."""
    if ramp == 0:
        return (at >= bound).astype(np.float32)
    return np.clip((at - (bound - ramp // 2) + 0.5) / ramp, 0, 1).astype(np.float32)


def _extended(side: int, multiple: int) -> NDArray[np.int64]:
    """(a multiple of `multiple`,) which pixel lies at each place of an axis of `side` pixels that is made longer."""
    whole = -(-side // multiple) * multiple
    at = np.arange(whole)
    mirrored = np.where(at < side, at, 2 * (side - 1) - at)
    return mirrored if whole - side < side else np.minimum(at, side - 1)


def _counted(progress: OnProgress, before: int, total: int) -> Callable[[int], None]:
    return lambda done: progress(before + done, total)


def _check(windows: Pixels, results: Pixels, scale: int) -> None:
    want = (len(windows), *(scale * side for side in windows.shape[2:]))
    if results.ndim != 4 or (len(results), *results.shape[2:]) != want:
        raise BadInput(
            f"a network of scale {scale} makes {want[1]} x {want[2]} of {windows.shape[2]} x {windows.shape[3]}, "
            f"got {tuple(results.shape)}; name the scale that it was built for"
        )
