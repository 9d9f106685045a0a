"""Which reader decodes a file, by the ending of its name."""

from __future__ import annotations

from evenodds.data.folders.files import ENDINGS
from evenodds.data.pictures import dicom, video
from evenodds.data.pictures.dicom import decode_dicom
from evenodds.data.pictures.numbers import Form
from evenodds.data.pictures.opening import MOST_PIXELS, File
from evenodds.data.pictures.picture import DecodedImage, Frames, decode, decode_frames
from evenodds.data.pictures.placing import Size
from evenodds.data.pictures.tiff import decode_tiff
from evenodds.data.pictures.video import decode_video

__all__ = ["PICTURES", "decode_any", "decode_first"]

PICTURES: tuple[str, ...] = (*ENDINGS, *dicom.ENDINGS)
"""Endings of files that are read as one image, or as all of its frames."""

_TIFF = (".tif", ".tiff")
SEVERAL = (".gif", ".webp", ".png", ".apng", ".avif")
"""Endings of files that may hold several images, and are read by Pillow."""


def decode_any(file: File, form: Form, which: str) -> Frames | str:
    """The images of a file, or its name and why it cannot be used.

    Args:
        which: "all" or "first", of a file of several.
    """
    name = file.name.lower()
    if name.endswith(_TIFF):
        return decode_tiff(file, form, which)
    if name.endswith(video.ENDINGS):
        return decode_video(file, form, which)
    if name.endswith(dicom.ENDINGS) or file.kind == "dicom":
        return decode_dicom(file, form, which)
    if which == "all" and name.endswith(SEVERAL):
        return decode_frames(file, form.size, form.fit, form.most_pixels)
    picture = decode(file, form.size, form.fit, form.most_pixels)
    return picture if isinstance(picture, str) else Frames(file.name, [picture], [])


def decode_first(file: File, size: Size | None, fit: str, most_pixels: int = MOST_PIXELS) -> DecodedImage | str:
    """The first image of a file, resized if a size is given, or its name and why it cannot be used."""
    frames = decode_any(file, Form(size, fit, most_pixels), "first")
    return frames if isinstance(frames, str) else frames.pictures[0]
