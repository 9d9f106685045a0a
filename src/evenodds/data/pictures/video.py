"""Videos, through PyAV: every n-th frame is an image, and those of one file are held out together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from evenodds.data.pictures.numbers import Form, Plane, as_picture, require_room
from evenodds.data.pictures.opening import File, Unusable, check_pixels, streamed
from evenodds.data.pictures.picture import DecodedImage, Frames
from evenodds.data.pictures.placing import Pixels
from evenodds.files.extras import needs

__all__ = ["ENDINGS", "decode_video"]

_FORMATS = {
    **dict.fromkeys((".mp4", ".m4v", ".mov"), "mov"),
    **dict.fromkeys((".mkv", ".webm"), "matroska"),
    **dict.fromkeys((".mpg", ".mpeg"), "mpeg"),
    ".avi": "avi",
    ".wmv": "asf",
    ".flv": "flv",
}
"""Of containers. They are not guessed from the content: that of a list would lead to other files."""
ENDINGS = tuple(_FORMATS)
"""Of the names of such files."""
_EXTRA = "video"
_USUAL_RATE = 25
_ANY_SIZE = 1 << 40  # Pixels whose bytes a file may have: it is read by parts.


def decode_video(file: File, form: Form, which: str) -> Frames | str:
    """Every n-th frame of a video, named "clip.mp4#30", or its name and why it cannot be used.

    Args:
        form: `every` is n; None: one frame for each second.
        which: "all" or "first".
    """
    return streamed(file, lambda stream: _decoded(file, stream, form, which), _ANY_SIZE)


def _decoded(file: File, stream: BinaryIO, form: Form, which: str) -> Frames:
    with needs(_EXTRA):
        import av
    kind = next(one for ending, one in _FORMATS.items() if file.name.lower().endswith(ending))
    try:
        video = av.open(stream, format=kind, options={"protocol_whitelist": "none"}, metadata_errors="ignore")
    except av.error.FFmpegError as error:
        raise Unusable("not a video of its kind, or damaged") from error
    with video:
        if not video.streams.video:
            raise Unusable("no video in it")
        stream_of_images = video.streams.video[0]
        check_pixels(stream_of_images.height, stream_of_images.width, form.most_pixels)
        every = form.every or max(1, round(float(stream_of_images.average_rate or _USUAL_RATE)))
        pictures: list[DecodedImage] = []
        unusable: list[str] = []
        used = 0
        for plane in _planes(video, every, unusable):
            name = f"{file.name}#{plane.suffix}" if which == "all" else file.name
            pictures.append(as_picture(name, plane.values, form, animated=which == "first"))
            used += pictures[-1].nbytes
            require_room(used)
            if which == "first":
                break
    if not pictures:
        raise Unusable("damaged")
    note = f"one frame of {every} was taken" + ("" if form.every else ", which is one a second; data.every=1 takes all")
    lost = [f"{file.name}#{one}" for one in unusable]
    return Frames(file.name, pictures, lost, note if which == "all" and every > 1 else "")


def _planes(video: Any, every: int, unusable: list[str]) -> Iterator[Plane]:
    """Every n-th frame, upright; what cannot be decoded is added to those that are unusable."""
    import av

    k = 0
    try:
        for frame in video.decode(video=0):
            if k % every == 0:
                yield Plane(str(k), _pixels(frame))
            k += 1
    except av.error.FFmpegError:
        unusable.append(f"{k} (damaged, as is what follows)")


def _pixels(frame: Any) -> Pixels:
    grey = frame.format.name.startswith("gray")
    values: Pixels = frame.to_ndarray(format="gray" if grey else "rgb24")
    values = np.rot90(values, round(frame.rotation / 90) % 4)  # counterclockwise, as it is stated
    return values[..., None] if grey else values
