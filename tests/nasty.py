"""Image files as people have them, made here: kinds that are read, and what is broken."""

import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from evenodds.data._png import PngRows

__all__ = ["BROKEN", "DEEP", "READABLE", "deep_png", "mixed_folder"]

RNG = np.random.default_rng(0)
COLOUR = Image.fromarray(RNG.integers(0, 256, (12, 17, 3), np.uint8))
GREY = Image.fromarray(RNG.integers(0, 256, (12, 17), np.uint8))
DEEP = RNG.integers(0, 65536, (12, 17), np.uint16)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def deep_png(x: np.ndarray, profile: bytes | None = None) -> bytes:
    """The file of (H, W, C) uint16."""
    content = io.BytesIO()
    rows = PngRows(content, x.shape[:2], x.shape[2], 16, profile)
    rows.add(x)
    rows.close()
    return content.getvalue()


def interlaced() -> bytes:
    """A PNG of one pixel of 16 bits per colour, which lies in its first pass."""
    content = deep_png(np.full((1, 1, 3), 0x1234, np.uint16))
    head = content[12:28] + b"\1"
    return content[:12] + head + zlib.crc32(head).to_bytes(4) + content[33:]


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(COLOUR, "JPEG", exif=exif, quality=95)


def film() -> bytes:
    return saved(GREY.convert("P"), "GIF", save_all=True, append_images=[GREY.rotate(180).convert("P")])


ALPHA = Image.fromarray(np.dstack([np.asarray(COLOUR), np.asarray(GREY)]))
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
READABLE: dict[str, tuple[bytes, int, str, str]] = {
    # content, channels of the result, its dtype, what is said
    "grey-8.png": (saved(GREY, "PNG"), 1, "uint8", ""),
    "grey-16.png": (saved(Image.fromarray(DEEP), "PNG"), 1, "uint16", ""),
    "grey-16.tif": (saved(Image.fromarray(DEEP), "TIFF"), 1, "uint16", ""),
    "one-bit.png": (saved(GREY.convert("1"), "PNG"), 1, "uint8", ""),
    "grey-alpha.png": (saved(ALPHA.convert("LA"), "PNG"), 2, "uint8", ""),
    "colour.jpg": (saved(COLOUR, "JPEG"), 3, "uint8", ""),
    "colour.webp": (saved(COLOUR, "WEBP", lossless=True), 3, "uint8", ""),
    "alpha.png": (saved(ALPHA, "PNG"), 4, "uint8", ""),
    "colour-16.png": (deep_png(DEEP[..., None] ^ np.arange(3, dtype=np.uint16)), 3, "uint16", ""),
    "alpha-16.png": (deep_png(DEEP[..., None] ^ np.arange(4, dtype=np.uint16)), 4, "uint16", ""),
    "grey-alpha-16.png": (deep_png(DEEP[..., None] ^ np.arange(2, dtype=np.uint16)), 2, "uint16", ""),
    "interlaced-16.png": (interlaced(), 3, "uint16", ""),
    "cmyk.jpg": (saved(COLOUR.convert("CMYK"), "JPEG"), 3, "uint8", "CMYK"),
    "palette.png": (saved(COLOUR.quantize(16), "PNG"), 3, "uint8", "a palette"),
    "palette-clear.png": (saved(COLOUR.quantize(16), "PNG", transparency=3), 4, "uint8", "a palette"),
    "profile.png": (saved(COLOUR, "PNG", icc_profile=PROFILE), 3, "uint8", "which was kept"),
    "rotated.jpg": (turned(), 3, "uint8", "upright"),
    "film.gif": (film(), 1, "uint8", "several frames"),
    "1x1.png": (saved(COLOUR.resize((1, 1)), "PNG"), 3, "uint8", ""),
    "3-wide.png": (saved(COLOUR.resize((3, 40)), "PNG"), 3, "uint8", ""),
    "3-high-16.png": (saved(Image.fromarray(DEEP[:3]), "PNG"), 1, "uint16", ""),
}
BROKEN = {
    "truncated.jpg": (saved(COLOUR.resize((200, 200)), "JPEG")[:2000], "damaged"),
    "truncated.png": (saved(COLOUR, "PNG")[:-200], "damaged"),
    "text.png": (b"this is no image", "not an image"),
    "empty.jpg": (b"", "empty"),
    "deep-float.tif": (saved(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"), "32 bits per pixel"),
}


def mixed_folder(root: Path) -> Path:
    """All of them, every second one in a folder within; and a file that is no image by its name."""
    contents = {name: content for name, (content, *_) in {**READABLE, **BROKEN}.items()}
    for k, (name, content) in enumerate(contents.items()):
        path = root / ("trip/day 1" if k % 2 else "") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (root / "notes.txt").write_text("no image, and none by its name")
    return root
