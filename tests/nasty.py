"""Image files as people have them, made here: kinds that are read, and what is broken."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from evenodds.data.pictures.png import PngRows

__all__ = ["BROKEN", "DEEP", "READABLE", "deep_png", "mixed_folder", "tiff"]

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


def tiff(
    x: np.ndarray,
    order: str = "<",
    planes: bool = False,
    deflate: bool = False,
    rows: int | None = None,
    way_up: int = 1,
    alpha: int | None = None,
) -> bytes:
    """The file of (H, W, 3 or 4) uint16, after TIFF 6.0.

    Args:
        order: of bytes, "<" or ">".
        planes: the colours lie one after the other.
        rows: of a strip; None: all.
        alpha: what the fourth channel is (ExtraSamples): 0 nothing known, 1 multiplied in, 2 not.
    """
    height, width, channels = x.shape
    rows = rows or height
    layers = np.split(x, channels, 2) if planes else [x]
    strips = [
        layer[top : top + rows].astype(f"{order}u2").tobytes() for layer in layers for top in range(0, height, rows)
    ]
    strips = [zlib.compress(strip) for strip in strips] if deflate else strips
    tags: dict[int, tuple[str, list[int]]] = {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [16] * channels),
        259: ("H", [8 if deflate else 1]),
        262: ("H", [2]),
        273: ("I", [8 + sum(map(len, strips[:k])) for k in range(len(strips))]),
        274: ("H", [way_up]),
        277: ("H", [channels]),
        278: ("I", [rows]),
        279: ("I", [len(strip) for strip in strips]),
        284: ("H", [2 if planes else 1]),
        **({} if alpha is None else {338: ("H", [alpha])}),
    }
    content, entries = b"".join(strips), b""
    content += bytes(len(content) % 2)
    for tag, (kind, values) in tags.items():
        packed = struct.pack(f"{order}{len(values)}{kind}", *values)
        if len(packed) > 4:
            packed, content = struct.pack(f"{order}I", 8 + len(content)), content + packed
        entries += struct.pack(f"{order}HHI", tag, {"H": 3, "I": 4}[kind], len(values)) + packed.ljust(4, b"\0")
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(content))
    return head + content + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


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
    "planes-16.tif": (tiff(DEEP[..., None] ^ np.arange(3, dtype=np.uint16), planes=True), 3, "uint16", ""),
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
