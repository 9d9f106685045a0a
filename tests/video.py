"""Small videos."""

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np

CODECS = {".webm": "vp8", ".mpg": "mpeg2video", ".mpeg": "mpeg2video", ".flv": "flv1", ".wmv": "wmv2"}


def write_video(path: Path, frames: Sequence[np.ndarray], rate: int = 25) -> Path:
    """A file with these frames (H, W, 3), of even sides."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(CODECS.get(path.suffix, "mpeg4"), rate=rate if path.suffix != ".mpg" else 25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
    return path
