"""DICOM files, through pydicom: their numbers as PS3.3 means them, and nothing of what else is in their headers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from evenodds.data.pictures.numbers import Form, Plane, as_frames, require_room
from evenodds.data.pictures.opening import File, Unusable, check_pixels, streamed
from evenodds.data.pictures.picture import Frames
from evenodds.data.pictures.placing import Pixels
from evenodds.files.extras import needs, quiet

__all__ = ["ENDINGS", "decode_dicom", "is_dicom"]

ENDINGS = (".dcm", ".dicom", ".ima")
"""Of the names of such files; many have none."""
_EXTRA = "dicom"
_PLUGINS = {
    "1.2.840.10008.1.2.4.9": "pylibjpeg pylibjpeg-openjpeg",  # JPEG 2000
    "1.2.840.10008.1.2.4.20": "pylibjpeg pylibjpeg-openjpeg",  # High-throughput JPEG 2000
    "1.2.840.10008.1.2.4.8": "pyjpegls",
    "1.2.840.10008.1.2.4": "pylibjpeg pylibjpeg-libjpeg",
    "1.2.840.10008.1.2.5": "pylibjpeg pylibjpeg-rle",
}
"""What decodes a transfer syntax, by the beginning of its identifier."""


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins so is one (PS3.10, section 7.1)."""
    return head[128:132] == b"DICM"


def decode_dicom(file: File, form: Form, which: str) -> Frames | str:
    """The frames of a DICOM file, or its name and why it cannot be used.

    Grey is rescaled (slope and intercept, or table); what is padding is no data. With a window it becomes 8 bits, else
    it stays as numbers, in Hounsfield units say. MONOCHROME1, in which the lowest is white, is inverted last. Images of
    one patient are of one group, and held out together.

    Args:
        which: "all" or "first".
    """
    return streamed(file, lambda stream: _decoded(file, stream, form, which), form.most_pixels)


def _decoded(file: File, stream: BinaryIO, form: Form, which: str) -> Frames:
    with needs(_EXTRA):
        import pydicom
        from pydicom.errors import InvalidDicomError
    quiet("pydicom")
    try:
        about = pydicom.dcmread(stream)
    except InvalidDicomError:
        raise Unusable("not a DICOM file") from None
    if "Rows" not in about or not {"PixelData", "FloatPixelData", "DoubleFloatPixelData"} & {*about.dir()}:
        raise Unusable("no image in it")
    number = int(about.get("NumberOfFrames") or 1)
    check_pixels(int(about.Rows), int(about.Columns), form.most_pixels)
    values_each = int(about.Rows) * int(about.Columns) * int(about.get("SamplesPerPixel", 1))
    require_room(8 * number * values_each)
    frames = as_frames(file, _planes(_stored(about, number), about, form), form, which)
    return frames._replace(group=_group(about))


def _group(about: Any) -> str:
    """What images of one patient have in common. It is only compared, and never written."""
    known = (str(about.get(name) or "") for name in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID"))
    return next(filter(None, known), "")


def _stored(about: Any, number: int) -> Pixels:
    """(frames, H, W, C): the numbers in the file, colours as RGB."""
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array

    try:
        values: Pixels = pixel_array(about)
    except (RuntimeError, NotImplementedError) as error:
        syntax = about.file_meta.TransferSyntaxUID
        plugins = next((words for start, words in _PLUGINS.items() if syntax.startswith(start)), "pylibjpeg")
        raise Unusable(f"compressed as {syntax.name}, which needs a plugin: pip install {plugins}") from error
    if about.PhotometricInterpretation == "PALETTE COLOR":
        colours = apply_color_lut(values, about)
        values = (colours >> 8).astype(np.uint8) if colours.dtype == np.uint16 else colours
    values = values if number > 1 else values[None]
    return values if values.ndim == 4 else values[..., None]


def _planes(stored: Pixels, about: Any, form: Form) -> Iterator[Plane]:
    for k, frame in enumerate(stored):
        yield Plane(str(k), frame if frame.shape[2] > 1 else _grey(frame, about, form))


def _grey(stored: Pixels, about: Any, form: Form) -> Pixels:
    """(H, W, 1): what the numbers in the file mean."""
    values, inverted = _rescaled(stored, about), about.PhotometricInterpretation == "MONOCHROME1"
    padding = _padding(stored, about)
    window = _window(about, form)
    if window is not None:
        shown = _shown(np.where(padding, values.min(), values), *window)
        return 255 - shown if inverted else shown
    if inverted:
        lowest, highest = (float(end) for end in _rescaled(_ends(about, stored), about))
        values = lowest + highest - values
    if stored.dtype == np.uint8 and values is stored and not padding.any():
        return stored
    single: Pixels = np.where(padding, np.nan, values).astype(np.float32)
    return single


def _rescaled(stored: Pixels, about: Any) -> Pixels:
    """PS3.3, C.11.1: the modality's table, or slope and intercept; the same array where there is neither."""
    from pydicom.pixels.processing import apply_modality_lut

    if "ModalityLUTSequence" in about:
        table: Pixels = apply_modality_lut(stored, about)
        return table
    slope, intercept = float(about.get("RescaleSlope") or 1), float(about.get("RescaleIntercept") or 0)
    return stored if (slope, intercept) == (1, 0) else stored * slope + intercept


def _ends(about: Any, stored: Pixels) -> Pixels:
    """The lowest and the highest number that a file of its kind can hold."""
    if stored.dtype.kind == "f":
        return np.array([stored.min(), stored.max()])
    bits, signed = int(about.BitsStored), int(about.get("PixelRepresentation", 0))
    return np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if signed else [0, 2**bits - 1])


def _padding(stored: Pixels, about: Any) -> Pixels:
    """PS3.3, C.7.5.1.1.2: which pixels are around the image."""
    value = about.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, np.bool_)
    limit = about.get("PixelPaddingRangeLimit", value)
    low, high = sorted((int(value), int(limit)))
    return (stored >= low) & (stored <= high)


def _window(about: Any, form: Form) -> tuple[float, float] | None:
    """The centre and the width that are asked for."""
    if form.window is None or isinstance(form.window, tuple):
        return form.window
    try:
        centre, width = (about[name].value for name in ("WindowCenter", "WindowWidth"))
        first = [float(one if isinstance(one, float | int | str) else one[0]) for one in (centre, width)]
    except (LookupError, TypeError, ValueError):
        raise Unusable("no window in it; data.window=40,400 gives one, by centre and width") from None
    return first[0], first[1]


def _shown(values: Pixels, centre: float, width: float) -> Pixels:
    """PS3.3, C.11.2.1.2.1: the window as 8 bits."""
    line = (values - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5
    return (line.clip(0, 1) * 255).round().astype(np.uint8)
