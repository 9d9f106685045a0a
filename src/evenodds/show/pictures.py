"""Pictures of arrays: grids of images, point clouds, histograms, animations. Pillow only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from evenodds.errors import BadInput
from evenodds.files.text import visible
from evenodds.files.write import Place, replaced

__all__ = ["animation", "bars", "cloud", "enlarge", "film", "grid", "legend", "parts_of", "to_image", "write"]

Pixels = NDArray[np.uint8]


def to_image(x: NDArray[np.generic]) -> Image.Image:
    """A Pillow image of one picture.

    Args:
        x: (C, H, W) with C = 1, 3 or 4; uint8, or uint16 for one channel. With another C, the first channel is shown.
    """
    if x.shape[0] in (3, 4):
        return Image.fromarray(np.ascontiguousarray(np.moveaxis(x, 0, -1)).astype(np.uint8))
    plane = np.ascontiguousarray(x[0])
    return Image.fromarray(plane if plane.dtype == np.uint16 else plane.astype(np.uint8))


def grid(x: NDArray[np.generic], columns: int | None = None, gap: int = 1) -> Pixels:
    """Lays pictures out in rows, left to right.

    Args:
        x: (N, C, H, W) uint8.
        columns: per row; about the square root of N where None.
        gap: grey pixels between two.

    Returns:
        (C, H', W') uint8.
    """
    n, c, h, w = x.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    sheet = np.full((c, rows * (h + gap) - gap, columns * (w + gap) - gap), 128, np.uint8)
    for k in range(n):
        top, left = (k // columns) * (h + gap), (k % columns) * (w + gap)
        sheet[:, top : top + h, left : left + w] = x[k]
    return sheet


def cloud(points: NDArray[np.floating], low: Sequence[float], high: Sequence[float], side: int = 320) -> Pixels:
    """A picture of points: their density in the first two columns, or a histogram of a single column.

    The fewer the points, the larger is each drawn.

    Args:
        points: (N, D) float.
        low, high: bounds of each column; what lies beyond is left out.

    Returns:
        (1, side, side) uint8, white paper, the vertical axis upwards.
    """
    if points.shape[1] == 1:
        return _bars(points[:, 0], low[0], high[0], side)
    bounds = [(low[k % len(low)], high[k % len(high)]) for k in (0, 1)]
    dot = 1 if len(points) > 4_000 else 2 if len(points) > 400 else 4
    counts, _, _ = np.histogram2d(points[:, 0], points[:, 1], bins=side // dot, range=bounds)
    ink = np.sqrt(counts / max(1.0, np.quantile(counts[counts > 0], 0.9) if counts.any() else 1.0))
    paper: Pixels = (255 * (1 - ink.clip(0, 1).T[::-1])).astype(np.uint8)
    return paper[None].repeat(dot, 1).repeat(dot, 2)


def bars(
    names: Sequence[str],
    made: Sequence[NDArray[np.floating]],
    real: Sequence[NDArray[np.floating]] | None = None,
    columns: int | None = None,
    size: tuple[int, int] = (200, 120),
) -> Pixels:
    """A panel for each distribution: shares as bars, and those of real data as a line over them.

    Args:
        names: of the panels.
        made: the shares of each, (K,) of any length.
        real: of the same parts.
        columns: panels in a row; about the square root of their number where None.
        size: width and height of a panel in pixels.

    Returns:
        (3, H, W) uint8.
    """
    (width, height), head = size, 20
    columns = columns or max(1, min(len(names), math.ceil(math.sqrt(len(names)))))
    sheet = Image.new("RGB", (columns * width, math.ceil(len(names) / columns) * height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for k, name in enumerate(names):
        left, top = (k % columns) * width + 8, (k // columns) * height
        others = made[k] if real is None else real[k]
        high, floor = max(made[k].max(), others.max(), 1e-12), top + height - 6
        edges = left + (width - 16) * np.arange(len(made[k]) + 1) / len(made[k])
        draw.text((left, top + 3), visible(name)[:LONGEST_NAME], "black", font)
        for j, share in enumerate(made[k]):
            right, bar = max(edges[j], edges[j + 1] - 1), floor - (height - head - 8) * share / high
            draw.rectangle((edges[j], bar, right, floor), "#9db8d9")
        heights = floor - (height - head - 8) * others / high
        if real is not None:
            steps = [(x, y) for j, y in enumerate(heights) for x in (edges[j], edges[j + 1])]
            draw.line(steps, "#a3161a", 2)
    return np.moveaxis(np.asarray(sheet), 2, 0)


def parts_of(n: int, most: int = 80) -> int:
    """Into how many parts the range of n numbers is cut for a histogram: 2 n^(1/3) (Rice), from 4 to `most`."""
    return max(4, min(most, round(2 * math.cbrt(n))))


def _bars(values: NDArray[np.floating], low: float, high: float, side: int) -> Pixels:
    counts, _ = np.histogram(values, bins=parts_of(len(values), side // 4), range=(low, high))
    bar = np.arange(side) * len(counts) // side
    heights = (counts / max(1, counts.max()) * (side - 2))[bar]
    rows = np.arange(side)[::-1][:, None]
    bars: Pixels = np.where(rows < heights[None, :side], 60, 255).astype(np.uint8)
    return bars[None]


def enlarge(x: Pixels, least: int = 384) -> Pixels:
    """Repeats pixels so that the longer side of (C, H, W) has at least about `least` pixels."""
    factor = _factor(x, least)
    return x.repeat(factor, axis=1).repeat(factor, axis=2)


def _factor(x: Pixels, least: int) -> int:
    """How often pixels of (C, H, W) are repeated, so that the longer side has at least about `least` of them."""
    return max(1, round(least / int(max(x.shape[1:]))))


def _is_format(suffix: str) -> bool:
    """Whether Pillow writes files of this suffix; for the rarer ones it loads all that it has, a tenth of a second."""
    Image.preinit()
    return suffix in Image.EXTENSION or suffix in Image.registered_extensions()


def write(path: Path, x: NDArray[np.generic], place: Place = replaced) -> Path:
    """Writes one (C, H, W) picture; the suffix says in which format.

    Args:
        place: how the file takes the place of what is there.
    """
    if not _is_format(path.suffix.lower()):
        raise BadInput(f"no picture format for '{path.name}'; use .png, .tiff, .jpg or .webp")
    with place(path) as temporary:
        to_image(x).save(temporary, quality=92)  # of JPEG and WebP; 75, the default, shows
    return path


LONGEST_NAME = 60
"""Characters of a name in a legend."""


def legend(names: Sequence[str], colours: Sequence[tuple[int, int, int]], row: int = 22) -> Pixels:
    """A line for each name, after a field of its colour: (3, H, W) uint8, black on white."""
    font, names = ImageFont.load_default(row * 0.7), [visible(name)[:LONGEST_NAME] for name in names]
    width = 3 * row + math.ceil(max(font.getlength(name) for name in names))
    sheet = Image.new("RGB", (width, row * len(names) + row // 2), "white")
    draw = ImageDraw.Draw(sheet)
    for k, (name, colour) in enumerate(zip(names, colours, strict=True)):
        top = k * row + row // 4
        draw.rectangle((row // 4, top + 2, 2 * row, top + row - 3), fill=colour)
        draw.text((2.5 * row, top + row / 2), name, fill="black", font=font, anchor="lm")
    return np.moveaxis(np.asarray(sheet), -1, 0)


def film(path: Path, frames: Pixels, columns: int, place: Place = replaced) -> Path:
    """Writes frames (N, C, H, W), enlarged: a GIF that loops; to a file of another kind, a sheet of so many columns."""
    if path.suffix.lower() == ".gif":
        return animation(path, frames, place=place)
    return write(path, enlarge(grid(frames, columns), 768), place)


def animation(path: Path, frames: Iterable[Pixels], milliseconds: int = 80, place: Place = replaced) -> Path:
    """Writes (C, H, W) uint8 frames, enlarged to about 256 pixels, as a GIF that loops."""
    first, *rest = [_frame(frame) for frame in frames]
    with place(path) as temporary:
        first.save(temporary, save_all=True, append_images=rest, duration=milliseconds, loop=0)
    return path


def _frame(x: Pixels, least: int = 256) -> Image.Image:
    """A frame of a GIF. The 256 colours of a coloured one are chosen before its pixels are repeated: they are the same,
    and to choose them takes time for every pixel."""
    frame, factor = to_image(x), _factor(x, least)
    if frame.mode == "RGB":
        frame = frame.convert("P", palette=Image.Palette.ADAPTIVE)
    return frame.resize((factor * frame.width, factor * frame.height), Image.Resampling.NEAREST)
