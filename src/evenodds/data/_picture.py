"""One image file: decoded without trust, turned upright, resized, brought to a number of channels."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from evenodds.game.arithmetic import LUMA

__all__ = [
    "DecodedImage",
    "File",
    "Pixels",
    "Size",
    "Unusable",
    "decode",
    "guarded",
    "in_channels",
    "nearest",
    "orientation",
]
__all__ += ["resized", "upright"]

# Only these decoders: others, such as that of EPS, start programs.
_FORMATS = ("PNG", "JPEG", "MPO", "BMP", "GIF", "TIFF", "WEBP", "PPM", "TGA")
_LUMA = np.array([[round(65536 * weight)] for weight in LUMA], dtype=np.uint32)  # (3, 1), as Pillow computes it.
_MAX_PIXELS = 89_478_485  # Pillow's own bound against decompression bombs: a quarter of a gibibyte at 3 bytes.

Pixels = NDArray[Any]
Size = tuple[int, int]


class File(NamedTuple):
    """A file of a folder or an archive, not read yet."""

    name: str
    open: Callable[[], Path | IO[bytes]]


class DecodedImage(NamedTuple):
    """The pixels of one image file, upright, and what is known of the file."""

    name: str
    pixels: Pixels  # (H, W, C), C of 1 to 4; uint8, or uint16 where C is 1.
    size: Size  # (height, width) as stored, after rotation.
    way_up: int = 1  # EXIF's orientation of the file, which the pixels no longer need.
    cut: bool = False  # 16-bit colour, which Pillow reads at 8 bits.
    animated: bool = False
    palette: dict[int, tuple[int, int, int]] | None = None  # Of a map of labels: the colour of each value.
    mode: str = "RGB"  # As Pillow names the kind of the file's pixels.
    profile: bytes | None = None  # ICC, of the file's colours; nothing here applies it.

    @property
    def nbytes(self) -> int:
        return int(self.pixels.nbytes)


class Unusable(Exception):
    """Why one file cannot be used."""


def decode(file: File, size: Size | None, fit: str) -> DecodedImage | str:
    """The picture, resized if a size is given, or the file's name and why it cannot be used."""
    return guarded(file, lambda image: _picture(file.name, image, size, fit))


def guarded(file: File, read: Callable[[Image.Image], DecodedImage]) -> DecodedImage | str:
    """What `read` makes of the opened file, or the file's name and why it cannot be used."""
    try:
        source = file.open()
        if isinstance(source, Path) and not source.is_file():
            raise Unusable("not a plain file")
        if not _length(source):
            raise Unusable("empty")
        with Image.open(source, formats=_formats()) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise Unusable("too many pixels")
            return read(image)
    except Unusable as error:
        return f"{file.name} ({error})"
    except UnidentifiedImageError:
        return f"{file.name} (not an image)"
    except Image.DecompressionBombError:
        return f"{file.name} (too many pixels)"
    except Exception:  # Decoders fail in many ways on damaged files: OSError, SyntaxError, struct.error, ...
        return f"{file.name} (damaged)"


def _length(source: Path | IO[bytes]) -> int:
    if isinstance(source, Path):
        return source.stat().st_size
    length = source.seek(0, 2)
    source.seek(0)
    return length


@cache
def _formats() -> list[str]:
    Image.init()  # Pillow otherwise knows only its commonest formats, and fails on the name of another.
    return [name for name in _FORMATS if name in Image.OPEN]


def _picture(name: str, image: Image.Image, size: Size | None, fit: str) -> DecodedImage:
    width, height = image.size
    mode, profile = image.mode, image.info.get("icc_profile")
    cut = not mode.startswith("I") and any("16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    if size:
        # A much larger JPEG is decoded at 1/2, 1/4 or 1/8: still twice the side that is wanted, whichever way up.
        image.draft(None, (2 * max(size), 2 * max(size)))
    pixels = _pixels(image)
    way_up = orientation(image)
    pixels = upright(pixels, way_up)
    stored = (width, height) if way_up >= 5 else (height, width)
    if size:
        pixels = resized(pixels, size, fit)
    animated = bool(getattr(image, "is_animated", False))
    return DecodedImage(name, np.ascontiguousarray(pixels), stored, way_up, cut, animated, mode=mode, profile=profile)


def _pixels(image: Image.Image) -> Pixels:
    """(H, W, C): grey, grey and alpha, RGB, or RGB and alpha, uint8; or grey uint16."""
    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and image.format in ("PNG", "PPM")):
        return np.asarray(image).clip(0, 65535).astype(np.uint16)[..., None]
    if mode in ("I", "F"):
        raise Unusable("32 bits per pixel; save it as .npy")
    image.load()
    clear = mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    if mode in ("1", "L", "LA", "La") or (mode in ("P", "PA") and _grey_palette(image)):
        return np.asarray(image.convert("RGBA"))[..., [0, 3]] if clear else np.asarray(_in_mode(image, "L"))[..., None]
    return np.asarray(_in_mode(image, "RGBA" if clear else "RGB"))


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)


def _grey_palette(image: Image.Image) -> bool:
    colours = np.array(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
    used = colours[[index for _, index in image.getcolors(256) or [] if index < len(colours)]]  # type: ignore[index,operator]
    return bool((used == used[:, :1]).all())


def orientation(image: Image.Image) -> int:
    """EXIF 2.3, tag 0x0112; 1 where there is none."""
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # Damaged metadata say nothing about the pixels.
        return 1


def upright(pixels: Pixels, way_up: int) -> Pixels:
    """EXIF 2.3, tag 0x0112: where row 0 and column 0 of the stored pixels lie in the picture."""
    if way_up in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if way_up in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if way_up in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def resized(pixels: Pixels, size: Size, fit: str, grid: int = 1) -> Pixels:
    """(H, W, C) -> (*size, C), see `images`. The whole is kept in floats where it has 16 bits.

    With a grid, which divides all sides, edges lie where they lie in the picture that is that much smaller.
    """
    if pixels.shape[:2] == size:
        return pixels
    deep = pixels.dtype == np.uint16
    flat = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    image = Image.fromarray(np.ascontiguousarray(flat.astype(np.float32) if deep else flat))
    box, inner, corner = _placed(pixels.shape[:2], size, fit, grid)
    image = image.resize((inner[1], inner[0]), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    values = np.asarray(image).reshape(*inner, pixels.shape[2])
    if deep:
        values = values.round().clip(0, 65535).astype(np.uint16)
    return _padded(values, size, corner, 0)


def nearest(labels: Pixels, size: Size, fit: str) -> Pixels:
    """(H, W, C) labels -> (*size, C) as `resized` places them: each the nearest of those that are there, -1 around."""
    if labels.shape[:2] == size:
        return labels
    (left, top, right, bottom), inner, corner = _placed(labels.shape[:2], size, fit, 1)
    # The middle of a pixel of the result, in pixels of the map; rounding must not lead over the edge.
    rows = top + (np.arange(inner[0]) + 0.5) * ((bottom - top) / inner[0])
    columns = left + (np.arange(inner[1]) + 0.5) * ((right - left) / inner[1])
    rows, columns = rows.astype(int).clip(0, labels.shape[0] - 1), columns.astype(int).clip(0, labels.shape[1] - 1)
    return _padded(labels[rows[:, None], columns], size, corner, -1)


def _placed(stored: Size, size: Size, fit: str, grid: int) -> tuple[tuple[float, float, float, float], Size, Size]:
    """Which box (left, top, right, bottom) of a picture becomes how large, and where its corner comes to lie."""
    if grid > 1:
        small = _placed((stored[0] // grid, stored[1] // grid), (size[0] // grid, size[1] // grid), fit, 1)
        (left, top, right, bottom), inner, corner = small
        box = (left * grid, top * grid, right * grid, bottom * grid)
        return box, (inner[0] * grid, inner[1] * grid), (corner[0] * grid, corner[1] * grid)
    height, width = stored
    box, inner = (0.0, 0.0, float(width), float(height)), size
    if fit == "crop":
        scale = min(width / size[1], height / size[0])
        left, top = max(0.0, (width - scale * size[1]) / 2), max(0.0, (height - scale * size[0]) / 2)
        box = (left, top, width - left, height - top)
    elif fit == "pad":
        scale = min(size[1] / width, size[0] / height)
        inner = max(1, round(height * scale)), max(1, round(width * scale))
    return box, inner, ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2)


def _padded(values: Pixels, size: Size, corner: Size, around: int) -> Pixels:
    rows = corner[0], size[0] - values.shape[0] - corner[0]
    columns = corner[1], size[1] - values.shape[1] - corner[1]
    return np.pad(values, [rows, columns, (0, 0)], constant_values=around)


def in_channels(pixels: Pixels, channels: int) -> Pixels:
    """(H, W, 1 to 4) -> (H, W, channels); transparent parts over white unless alpha is kept."""
    have = pixels.shape[2]
    if have == channels:
        return pixels
    full = np.iinfo(pixels.dtype).max
    colour = pixels[..., :3] if have >= 3 else pixels[..., :1]
    if channels == 4:
        alpha = pixels[..., -1:] if have == 2 else np.full_like(colour[..., :1], full)
        return np.concatenate([np.broadcast_to(colour, (*colour.shape[:2], 3)), alpha], axis=2)
    wide: Pixels = colour.astype(np.uint32)
    if have in (2, 4):
        alpha = pixels[..., -1:].astype(np.uint32)
        wide = (wide * alpha + full * (full - alpha) + full // 2) // full
    if wide.shape[2] > channels:
        wide = (wide @ _LUMA + 32768) >> 16
    return np.broadcast_to(wide, (*wide.shape[:2], channels)).astype(pixels.dtype)
