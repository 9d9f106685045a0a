"""The picture in an image file: decoded, turned upright, brought to a number of channels."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from evenodds.data.pictures.opening import (
    MOST_PIXELS,
    File,
    Unusable,
    guarded,
    in_planes,
    opened,
    raw_mode,
    unpacked_as,
)
from evenodds.data.pictures.placing import Pixels, Size, resized
from evenodds.errors import BadInput
from evenodds.game.arithmetic import LUMA
from evenodds.game.schedule import OnProgress

__all__ = [
    "DecodedImage", "Frames", "decode", "decode_deep", "decode_frames", "in_channels", "orientation", "required",
    "upright",
]  # fmt: skip

_LUMA = np.array([[round(65536 * weight)] for weight in LUMA], dtype=np.uint32)  # (3, 1), as Pillow computes it.
_SWAPPED = "B" if sys.byteorder == "little" else "L"
# Pillow unpacks the upper byte of a value of 16 bits. In the other order of bytes, that is the lower one.
_DIRECT = {"RGB", "RGBA", "RGBX", *"RGBA"}  # Kinds of pixels, or planes of them, that are not computed.
_OTHER_ORDER = {"16B": "16L", "16L": "16B", "16N": f"16{_SWAPPED}"}
_AT_ONCE = 1 << 20  # Pixels that are brought from Pillow to NumPy at once: it makes several copies of them.


class DecodedImage(NamedTuple):
    """The pixels of one image file, upright, and what is known of the file."""

    name: str
    pixels: Pixels  # (H, W, C), C of 1 to 4; uint8, or uint16 where C is 1, and of colours where that was wanted;
    # of numbers any C, and float32 too.
    size: Size  # (height, width) as stored, after rotation.
    way_up: int = 1  # EXIF's orientation of the file, which the pixels no longer need.
    cut: bool = False  # 16-bit colour, which was read at 8 bits.
    animated: bool = False
    palette: dict[int, tuple[int, int, int]] | None = None  # Of a map of labels: the colour of each value.
    mode: str = "RGB"  # As Pillow names the kind of the file's pixels.
    profile: bytes | None = None  # ICC, of the file's colours; nothing here applies it.
    numbers: bool = False  # Its channels are numbers of any kind, not grey or colours.
    rounded: float = 0.0  # By how much, at most, numbers of more than 24 bits were changed.

    @property
    def nbytes(self) -> int:
        return int(self.pixels.nbytes)


def required(picture: DecodedImage | str, what: str) -> DecodedImage:
    """The picture that was read.

    Args:
        picture: or why there is none.
        what: it is, for the message, such as "the mask".

    Raises:
        BadInput: there is none.
    """
    if isinstance(picture, str):
        raise BadInput(f"{what} cannot be read: {picture}")
    return picture


class _Passes:
    """Tells how far the decoding of a file is, which goes through it once or twice; not what is read of its header."""

    def __init__(self, progress: OnProgress | None) -> None:
        self.progress, self.before, self.passes, self.decoding = progress, 0, 1, False

    def __call__(self, at: int, size: int) -> None:
        if self.progress is not None and self.decoding:
            self.progress(self.before * size + at, self.passes * size)


def decode(file: File, size: Size | None, fit: str, most_pixels: int = MOST_PIXELS) -> DecodedImage | str:
    """The picture, resized if a size is given, or the file's name and why it cannot be used."""
    return guarded(file, lambda image: _picture(file.name, image, size, fit), most_pixels)


class Frames(NamedTuple):
    """The frames of one file, of one size."""

    name: str  # Of the file.
    pictures: list[DecodedImage]  # Named "file.tif#12".
    unusable: list[str]  # The names of others, with the reason.
    note: str = ""  # A clause on how it was read, with its advice.
    group: str = ""  # What it has in common with those that are held out with it; only compared, never written.

    @property
    def size(self) -> Size:
        return self.pictures[0].size

    @property
    def nbytes(self) -> int:
        return sum(picture.nbytes for picture in self.pictures)


def decode_frames(file: File, size: Size | None, fit: str, most_pixels: int = MOST_PIXELS) -> Frames | str:
    """All frames of a file, or its name and why it cannot be used; a single one has the name of the file.

    They are read one after the other: from the start, each would take as long as all before it. Pages of another size
    than the first, such as thumbnails, are none of them, and named like those that are damaged.
    """

    def read(image: ImageFile.ImageFile) -> Frames:
        if _is_single(image):
            return Frames(file.name, [_picture(file.name, image, size, fit)], [])
        pictures: list[DecodedImage] = []
        unusable: list[str] = []
        first = image.size
        for k in count(int(getattr(image, "default_image", False))):  # a PNG may begin with one that is no frame
            name = f"{file.name}#{k}"
            try:
                image.seek(k)
            except EOFError:
                break
            except Exception:  # Decoders fail in many ways on damaged files.
                unusable.append(f"{name} (damaged, as is what follows)")
                break
            try:
                if image.size == first:
                    pictures.append(_picture(name, image, size, fit)._replace(animated=False))
                else:
                    unusable.append(f"{name} ({_sides(image.size)}, the first is {_sides(first)})")
            except Exception:
                unusable.append(f"{name} (damaged)")
        if not pictures:
            raise Unusable("damaged")
        return Frames(file.name, pictures, unusable)

    return guarded(file, read, most_pixels)


def _is_single(image: ImageFile.ImageFile) -> bool:
    """Whether a file has one frame alone, and nothing damaged behind it."""
    try:
        return int(getattr(image, "n_frames", 1)) == 1
    except Exception:
        image.seek(0)
        return False


def _sides(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]}"


def decode_deep(file: File, most_pixels: int = MOST_PIXELS, progress: OnProgress | None = None) -> DecodedImage | str:
    """The picture at its own depth, or the file's name and why it cannot be used.

    Colours of 16 bits are kept where the file is a PNG without a colour that is transparent, or a TIFF of RGB whose
    alpha, if any, is not multiplied in, and which is not both compressed and in planes. The pixels may be a view
    that is no contiguous array. Beside the result, Pillow's image is in memory meanwhile, 4 bytes per pixel.

    Args:
        most_pixels: more are refused before they are decoded.
        progress: told (done, in all) of the reading.
    """
    passes = _Passes(progress)

    def read(image: ImageFile.ImageFile) -> DecodedImage:
        stored, passes.decoding = _stored(image), True
        deep = _deep(image, passes) if stored.cut else None
        pixels, way_up = deep if deep is not None else (_pixels(image), orientation(image))
        stored = stored._replace(cut=stored.cut and deep is None)
        return _decoded(file.name, image, stored, upright(pixels, way_up), way_up)

    return guarded(file, read, most_pixels, passes)


class _Stored(NamedTuple):
    """What a file says of its pixels before they are decoded."""

    mode: str
    profile: bytes | None
    size: Size
    cut: bool


def _stored(image: ImageFile.ImageFile) -> _Stored:
    cut = not image.mode.startswith("I") and any(_of_16_bits(tile) for tile in getattr(image, "tile", ()))
    return _Stored(image.mode, image.info.get("icc_profile"), (image.height, image.width), cut)


def _of_16_bits(tile: Any) -> bool:
    """Whether a part of a file has more than 8 bits per colour."""
    if tile.codec_name in ("ppm", "ppm_plain"):
        return int(tile.args[1]) > 255  # The largest value.
    return "16" in raw_mode(tile)


def _picture(name: str, image: ImageFile.ImageFile, size: Size | None, fit: str) -> DecodedImage:
    stored = _stored(image)
    if size:
        # A much larger JPEG is decoded at 1/2, 1/4 or 1/8: still twice the side that is wanted, whichever way up.
        image.draft(None, (2 * max(size), 2 * max(size)))
    pixels = _pixels(image)
    way_up = orientation(image)  # After the pixels: in a PNG it may lie behind them.
    pixels = upright(pixels, way_up)
    if size:
        pixels = resized(pixels, size, fit)
    return _decoded(name, image, stored, np.ascontiguousarray(pixels), way_up)


def _decoded(name: str, image: ImageFile.ImageFile, stored: _Stored, pixels: Pixels, way_up: int) -> DecodedImage:
    size = stored.size[::-1] if way_up >= 5 else stored.size
    animated = bool(getattr(image, "is_animated", False))
    return DecodedImage(name, pixels, size, way_up, stored.cut, animated, mode=stored.mode, profile=stored.profile)


def _pixels(image: ImageFile.ImageFile) -> Pixels:
    """(H, W, C): grey, grey and alpha, RGB, or RGB and alpha, uint8; or grey uint16."""
    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and image.format in ("PNG", "PPM")):
        return _by_rows(image, lambda part: np.asarray(part).clip(0, 65535).astype(np.uint16)[..., None])
    if mode in ("I", "F"):
        raise Unusable("32 bits per pixel; save it as .npy")
    image.load()
    clear = mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    if mode in ("1", "L", "LA", "La") or (mode in ("P", "PA") and _grey_palette(image)):
        if clear:
            return _by_rows(image, lambda part: np.asarray(part.convert("RGBA"))[..., [0, 3]])
        return _by_rows(image, lambda part: np.asarray(_in_mode(part, "L"))[..., None])
    return _by_rows(image, lambda part: np.asarray(_in_mode(part, "RGBA" if clear else "RGB")))


def _strips(image: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    """The image by rows; at once where it is small."""
    width, height = image.size
    rows = max(1, _AT_ONCE // width)
    for top in range(0, height, rows):
        after = min(height, top + rows)
        yield slice(top, after), image if rows >= height else image.crop((0, top, width, after))


def _by_rows(image: Image.Image, pixels: Callable[[Image.Image], Pixels]) -> Pixels:
    """(H, W, C): what `pixels` makes of the image, without copies of the whole in between."""
    whole: Pixels | None = None
    for rows, strip in _strips(image):
        part = pixels(strip)
        if strip is image:
            return part
        if whole is None:
            whole = np.empty((image.height, *part.shape[1:]), part.dtype)
        whole[rows] = part
    assert whole is not None
    return whole


def _deep(image: ImageFile.ImageFile, passes: _Passes) -> tuple[Pixels, int] | None:
    """(H, W, 2 to 4) uint16 of a file of 16 bits per colour, and its orientation; None where it cannot be had.

    Pillow unpacks the upper byte of each value. It is made to unpack the lower ones too: those of grey and alpha as
    the four channels that they are in bytes, those of colours in a second pass as if their bytes were swapped.
    """
    if image.format == "PNG" and [raw_mode(tile) for tile in image.tile] == ["LA;16B"]:
        image.tile = [unpacked_as(image.tile[0], "RGBA")]
        return _by_rows(image, lambda part: _joined(np.asarray(part))), orientation(image)
    stream = image.fp
    if _lower(image) is None or stream is None:
        return None
    passes.passes = 2
    whole = _by_rows(image, lambda part: np.asarray(part).astype(np.uint16) << 8)
    way_up = orientation(image)
    image.im = None  # type: ignore[assignment]
    passes.before, passes.decoding = 1, False
    stream.seek(0)
    with opened(stream) as again:  # type: ignore[arg-type]
        passes.decoding = True
        again.tile = _lower(again) or []
        for rows, strip in _strips(again):
            whole[rows] |= np.asarray(strip)
    return whole, way_up


def _lower(image: ImageFile.ImageFile) -> list[Any] | None:
    """The parts of a file as the lower bytes of its colours; None where these cannot be had.

    Of compressed TIFF files in planes, libtiff decides how bytes are unpacked. Colours that are transparent, CMYK, and
    alpha that is multiplied in are computed by Pillow from the upper bytes alone.
    """
    if "transparency" in image.info or image.format not in ("PNG", "TIFF"):
        return None
    if isinstance(image, TiffImageFile) and image.use_load_libtiff and in_planes(image):
        return None
    unpacked = [_swapped(raw_mode(tile)) for tile in image.tile]
    if image.mode not in ("RGB", "RGBA") or "" in unpacked:
        return None
    return [unpacked_as(tile, kind) for tile, kind in zip(image.tile, unpacked, strict=True)]


def _swapped(mode: str) -> str:
    """How the lower bytes are unpacked of what is unpacked so; empty where they cannot be had."""
    kind, _, order = mode.partition(";")
    return f"{kind};{_OTHER_ORDER[order]}" if kind in _DIRECT and order in _OTHER_ORDER else ""


def _joined(pairs: Pixels) -> Pixels:
    """(h, W, 4) bytes of grey and alpha, upper ones first -> (h, W, 2) uint16."""
    wide = pairs.astype(np.uint16)
    return (wide[..., 0::2] << 8) | wide[..., 1::2]


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
