"""TIFF files that Pillow cannot read, or not right: through tifffile, of any sample format and layout."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from math import prod
from typing import Any, BinaryIO

import numpy as np
from PIL import ImageFile

from evenodds.data.pictures.numbers import Form, Plane, as_frames, require_room
from evenodds.data.pictures.opening import File, Unusable, check_pixels, guarded, streamed
from evenodds.data.pictures.picture import Frames, decode, decode_frames, upright
from evenodds.data.pictures.placing import Pixels
from evenodds.files.extras import Missing, needs, quiet

__all__ = ["decode_tiff"]

_EXTRA = "tiff"
_BITS, _DESCRIPTION, _ORIENTATION, _EXTRA_SAMPLES, _FORMAT, _NO_DATA = 258, 270, 274, 338, 339, 42113  # Tags.
_SIGNED, _ALPHA = 2, (1, 2)
_COLOURED = (2, 3, 6)
_INVERTED, _PALETTE, _OTHER = 0, 3, (5, 8, 9)  # Photometric interpretations: white is zero; palette; CMYK and Lab.
_COUNT = re.compile(r"^images=(\d+)$", re.M)
_FOURTH = "the fourth channel, which is not said to be alpha, is left out"
_ADVICE = "its pages are taken as images of their own, as it needs an extra to tell channels from them: "
_ADVICE += f"pip install 'evenodds[{_EXTRA}]'"


def decode_tiff(file: File, form: Form, which: str) -> Frames | str:
    """The pictures of a TIFF file, or its name and why it cannot be used.

    Pillow reads what it can: grey of 1 to 16 bits and colours of 8. What says which of its pages are channels, or has
    other samples, more channels or another compression goes through tifffile. Channels are told from pages where the
    file says so (ImageJ, OME); volumes and times become images, named "file.tif#t2z5".

    Args:
        which: "all" or "first".
    """
    beyond = guarded(file, _beyond, form.most_pixels)
    by_pillow = _by_pillow(file, form, which) if beyond in ("", "pages", "fourth") else str(beyond)
    if beyond in ("", "fourth") and not isinstance(by_pillow, str):
        return by_pillow._replace(note=_FOURTH if beyond else "")
    read = streamed(file, lambda stream: _by_tifffile(file, stream, form, which), form.most_pixels)
    if not isinstance(read, str):
        return read
    if not isinstance(by_pillow, str):
        return by_pillow._replace(note=_ADVICE)
    return read if beyond == "numbers" or "extra" in read else by_pillow


def _by_pillow(file: File, form: Form, which: str) -> Frames | str:
    if which == "all":
        return decode_frames(file, form.size, form.fit, form.most_pixels)
    picture = decode(file, form.size, form.fit, form.most_pixels)
    return picture if isinstance(picture, str) else Frames(file.name, [picture], [])


def _beyond(image: ImageFile.ImageFile) -> str:
    """Why Pillow cannot read a file right: "numbers" of other kinds, "pages" that may be channels, a "fourth" channel
    that is no alpha; else empty."""
    tags = getattr(image, "tag_v2", {})
    if image.mode in ("I", "F") or _signed(tags) or _two_bands(tags):
        return "numbers"
    if len(_numbers(tags.get(_BITS, 1))) == 4 and _numbers(tags.get(_EXTRA_SAMPLES, 1)) == (0,) and image.mode == "RGB":
        return "fourth"
    about = str(tags.get(_DESCRIPTION, ""))[:1_000_000]
    if "<OME" in about[:2000] or "openmicroscopy.org" in about[:2000]:
        return "pages"
    if not about.startswith("ImageJ="):
        return ""
    number = _COUNT.search(about)
    hidden = number is not None and int(number[1]) > 1 and getattr(image, "n_frames", 1) == 1
    return "pages" if hidden or "\nchannels=" in about or ("\nslices=" in about and "\nframes=" in about) else ""


def _signed(tags: Any) -> bool:
    """Whether 8 bits have a sign, which Pillow does not see."""
    return _SIGNED in _numbers(tags.get(_FORMAT, ())) and max(_numbers(tags.get(_BITS, 8))) == 8


def _two_bands(tags: Any) -> bool:
    """Whether there are two channels of which the second is not alpha, for which Pillow takes it."""
    return len(_numbers(tags.get(_BITS, 1))) == 2 and not {*_numbers(tags.get(_EXTRA_SAMPLES, ()))} & {*_ALPHA}


def _numbers(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (int(value),)


def _by_tifffile(file: File, stream: BinaryIO, form: Form, which: str) -> Frames:
    with needs(_EXTRA):
        import tifffile
    quiet("tifffile")
    unusable: list[str] = []
    with _heard("tifffile") as told:
        with tifffile.TiffFile(stream, name="file.tif", _multifile=False) as tiff:  # never another file that it names
            page = tiff.pages.first
            planes = list(_of_alike(tiff.series, page, form, which, unusable))
        if any("offset" in line for line in told):
            unusable.append(f"{len(planes)} (damaged, as is what follows)")
    if unusable and not planes:
        raise Unusable("damaged")
    return as_frames(file, planes, form, which, unusable)


def _of_alike(series: Sequence[Any], page: Any, form: Form, which: str, unusable: list[str]) -> Iterator[Plane]:
    """The pictures of all arrays in a file that are like the first; others are added to those that are unusable."""
    first = series[0]
    height, width = (dict(zip(first.axes, first.shape, strict=True)).get(axis, 1) for axis in "YX")
    check_pixels(height, width, form.most_pixels)
    alike = [one for one in series if (one.shape, one.dtype, one.axes) == (first.shape, first.dtype, first.axes)]
    require_room(2 * len(alike) * prod(first.shape) * first.dtype.itemsize)
    k = 0
    for one in alike[:2] if which == "first" else alike:
        try:
            planes = list(_planes(_read(_decoded(one), page), one.axes, page))
        except (Unusable, Missing):
            raise
        except Exception:  # Decoders fail in many ways on damaged files.
            unusable.append(f"{k} (damaged)")
            k += 1
            continue
        yield from (
            planes if len(alike) == 1 else [plane._replace(suffix=str(k + at)) for at, plane in enumerate(planes)]
        )
        k += len(planes)
    for one in series:
        if which == "all" and one not in alike:
            unusable.append(
                f"{k} ({' x '.join(map(str, one.shape))}, the first is {' x '.join(map(str, first.shape))})"
            )
            k += 1


def _decoded(series: Any) -> Pixels:
    try:
        values: Pixels = series.asarray(maxworkers=1)
        return values
    except ValueError as error:
        if "imagecodecs" in str(error):
            raise Missing(_EXTRA) from error
        raise


class _Told(logging.Handler):
    """Keeps what a package logs in this thread."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.lines.append(record.getMessage())


@contextmanager
def _heard(package: str) -> Iterator[list[str]]:
    """What a package logs within it."""
    logger, handler = logging.getLogger(package), _Told()
    logger.addHandler(handler)
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)


def _read(values: Pixels, page: Any) -> Pixels:
    """The numbers that are meant by those in the file."""
    if page.photometric in _OTHER and values.dtype == np.uint8:
        raise Unusable(f"colours of the kind {page.photometric.name}; save it as RGB")
    if page.photometric == _PALETTE and page.colormap is not None:
        colours: Pixels = np.moveaxis(page.colormap[:, values] >> 8, 0, -1).astype(np.uint8)
        return colours
    if page.photometric == _INVERTED and values.dtype.kind == "u":
        values = (2**page.bitspersample - 1 - values).astype(values.dtype)
    if _NO_DATA in page.tags:
        values = _without(values, str(page.tags[_NO_DATA].value))
    return values


def _without(values: Pixels, number: str) -> Pixels:
    """The values with NaN for the number that GDAL wrote for no data; others are floats then."""
    try:
        nothing = values == float(number.strip(" \0"))
    except ValueError:
        return values
    if not nothing.any() or values.dtype.kind not in "iuf":
        return values
    where: Pixels = np.where(nothing, np.nan, values if values.dtype.itemsize > 2 else values.astype(np.float32))
    return where


def _way_up(page: Any) -> int:
    return int(page.tags[_ORIENTATION].value) if _ORIENTATION in page.tags else 1


def _are_colours(axes: str, page: Any) -> bool:
    """Whether channels are red, green and blue, and a fourth alpha."""
    extra = [int(one) for one in page.extrasamples]
    return "C" not in axes and page.photometric in _COLOURED and (not extra or extra[0] in _ALPHA)


def _planes(values: Pixels, axes: str, page: Any) -> Iterator[Plane]:
    """The pictures in an array, by its axes: Y and X, channels (C) and samples (S); all others number pictures."""
    axes = axes + "s" * (values.ndim - len(axes))  # the colours of a palette
    inner = [axes.index(axis) for axis in "YX"] + [k for k, axis in enumerate(axes) if axis in "CSs"]
    outer = [k for k in range(len(axes)) if k not in inner]
    ordered = np.transpose(values, outer + inner)
    numbers, sides = ordered.shape[: len(outer)], ordered.shape[len(outer) :]
    colours, way_up = _are_colours(axes, page), _way_up(page)
    long = [k for k, number in enumerate(numbers) if number > 1]
    for place in product(*map(range, numbers)):
        words = [f"{axes[outer[k]].lower()}{place[k]}" for k in long]
        suffix = "".join(words) if len(long) > 1 else str(sum(place))
        yield Plane(suffix, upright(ordered[place].reshape(*sides[:2], -1), way_up), colours)
