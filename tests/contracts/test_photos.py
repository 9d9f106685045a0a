"""Files as people have them, through a network and back: every kind keeps its kind, what is broken is skipped."""

import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from torch import Tensor

from evenodds.data._deep_png import to_png
from evenodds.data._picture import File, Picture
from evenodds.errors import BadInput
from evenodds.folder import Converted, convert_all
from evenodds.mappers._parts import enlarged
from evenodds.photo import Network, labels, read, said, through, write
from evenodds.tiling import Tiling

RNG = np.random.default_rng(0)
COLOUR = Image.fromarray(RNG.integers(0, 256, (12, 17, 3), np.uint8))
GREY = Image.fromarray(RNG.integers(0, 256, (12, 17), np.uint8))
DEEP = RNG.integers(0, 65536, (12, 17), np.uint16)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def interlaced() -> bytes:
    """A PNG of one pixel of 16 bits per colour, which lies in its first pass."""
    content = to_png(np.full((1, 1, 3), 0x1234, np.uint16))
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
    "colour-16.png": (to_png(DEEP[..., None] ^ np.arange(3, dtype=np.uint16)), 3, "uint16", ""),
    "alpha-16.png": (to_png(DEEP[..., None] ^ np.arange(4, dtype=np.uint16)), 4, "uint16", ""),
    "grey-alpha-16.png": (to_png(DEEP[..., None] ^ np.arange(2, dtype=np.uint16)), 2, "uint16", ""),
    "interlaced-16.png": (interlaced(), 3, "uint8", "16 bits per colour, of which 8"),
    "cmyk.jpg": (saved(COLOUR.convert("CMYK"), "JPEG"), 3, "uint8", "CMYK"),
    "palette.png": (saved(COLOUR.quantize(16), "PNG"), 3, "uint8", "a palette"),
    "palette-clear.png": (saved(COLOUR.quantize(16), "PNG", transparency=3), 4, "uint8", "a palette"),
    "profile.png": (saved(COLOUR, "PNG", icc_profile=PROFILE), 3, "uint8", "a colour profile, kept"),
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
    "empty.jpg": (b"", "not an image"),
    "deep-float.tif": (saved(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"), "32 bits per pixel"),
}


def picture(name: str) -> Picture:
    found = read(File(name, lambda: io.BytesIO(READABLE[name][0])))
    assert isinstance(found, Picture)
    return found


def bicubic(scale: int) -> Callable[[Tensor], Tensor]:
    return lambda x: enlarged(x, scale).clamp(-1, 1)


@pytest.mark.parametrize("name", READABLE)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_network_that_changes_nothing_changes_nothing(name: str, channels: int, tmp_path: Path) -> None:
    """Kind, depth and alpha of the file come back bit for bit, whatever the network's channels."""
    image = picture(name)
    made = through(Network(lambda x: x, channels, channels, Tiling(8, 0)), image)
    assert (made.shape[0], str(made.dtype)) == READABLE[name][1:3]
    assert np.array_equal(np.moveaxis(made, 0, -1), image.pixels)
    again = read(File(name, lambda: write(tmp_path / "a.png", made, image)))
    assert isinstance(again, Picture)
    assert np.array_equal(again.pixels, image.pixels) or "1x1" in name
    assert (again.profile is not None) == ("profile" in name)


@pytest.mark.parametrize("name", READABLE)
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("scale", [2, 3])
def test_a_bicubic_network_is_bicubic_for_every_kind(name: str, channels: int, scale: int) -> None:
    """Luma and repetition commute with what is linear, so that the detour by the network's channels leaves no trace."""
    image = picture(name)
    made = through(Network(bicubic(scale), channels, channels, Tiling(16, 2, scale)), image)
    full = 65535 if image.pixels.dtype == np.uint16 else 255
    x = torch.from_numpy(image.pixels.astype(np.float32)).permute(2, 0, 1)[None] / full * 2 - 1
    want = ((bicubic(scale)(x)[0] + 1) / 2 * full).round()
    off = (torch.from_numpy(made.astype(np.float32)) - want).abs()
    # Clipping a colour's channels and clipping its luma differ where bicubic overshoots.
    apart = channels == 1 and image.pixels.shape[2] >= 3
    assert off.median() <= 1
    assert apart or off.max() <= 1


def test_other_channels_out_than_in_are_the_networks() -> None:
    colours = Network(lambda x: torch.cat([x, -x, 0 * x], 1), 1, 3, Tiling(8, 0))
    assert through(colours, picture("grey-8.png")).shape == (3, 12, 17)
    assert through(colours, picture("alpha.png")).shape == (4, 12, 17)
    deep = through(colours, picture("grey-16.png"))
    assert np.array_equal(deep[0], DEEP)
    assert np.array_equal(deep[1], 65535 - DEEP)


@pytest.mark.parametrize("name", READABLE)
def test_labels_are_of_every_pixel(name: str) -> None:
    image = picture(name)
    found = labels(Network(lambda x: (x[:, :1] > 0).long() + 3, 3, 1, Tiling(8, 1, 1, 4)), image)
    assert found.shape == image.size
    assert found.dtype == np.uint8
    assert set(np.unique(found)) <= {3, 4}


@pytest.mark.parametrize("name", READABLE)
def test_what_was_done_is_said(name: str) -> None:
    clauses = said(picture(name))
    assert any(READABLE[name][3] in clause for clause in clauses) if READABLE[name][3] else not clauses


# --- folders ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All of them, some in a folder within."""
    root = tmp_path / "photos"
    for k, (name, content) in enumerate(
        {**{n: c[0] for n, c in READABLE.items()}, **{n: c for n, (c, _) in BROKEN.items()}}.items()
    ):
        path = root / ("trip/day 1" if k % 2 else "") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (root / "notes.txt").write_text("no image, and none by its name")
    return root


def double(image: Picture, target: Path, progress: Callable[[int, int], None]) -> list[str]:
    network = Network(lambda x: x.repeat_interleave(2, 2).repeat_interleave(2, 3), 3, 3, Tiling(8, 0, 2))
    write(target, through(network, image, progress), image)
    return said(image)


def check_all(found: Converted, out: Path) -> None:
    assert len(found.written) == len(READABLE)
    assert len(list(out.rglob("*.png"))) == len(READABLE)
    assert sorted(line.split("/")[-1].split(" (")[0] for line in found.skipped) == sorted(BROKEN)
    for line in found.skipped:
        assert BROKEN[line.split("/")[-1].split(" (")[0]][1] in line


def test_a_mixed_folder_is_done_as_far_as_it_can_be(folder: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    out, lines, steps = tmp_path / "out", [], []
    found = convert_all(folder, out, double, say=lines.append, step=lambda *told: steps.append(told))
    check_all(found, out)
    assert len(lines) == len(BROKEN)
    assert found.ignored == 1
    done = [step[1] for step in steps]
    assert done == sorted(done)
    assert done[-1] == steps[-1][2]
    assert f"{len(READABLE)} images written" in found.summary(out)[-1]
    assert f"{len(BROKEN)} skipped" in found.summary(out)[-1]
    with Image.open(next(out.rglob("rotated.png"))) as image:
        assert image.size == (24, 34)
    # Names that differ in their endings alone stay apart.
    assert {path.name for path in out.rglob("grey-16*")} <= {"grey-16.png", "grey-16.png.png", "grey-16.tif.png"}
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_there_is_left_unless_again(folder: Path, tmp_path: Path) -> None:
    out = folder / "out"  # within the source: results are no inputs of the next call
    first = convert_all(folder, out, double)
    first.written[0].unlink()
    second = convert_all(folder, out, double)
    assert second.written == first.written[:1]
    assert sorted(second.there) == sorted(first.written[1:])
    assert "were there already" in second.summary(out)[-1]
    assert len(convert_all(folder, out, double, again=True).written) == len(READABLE)


def test_a_zip_is_a_folder_and_leads_nowhere_else(folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in folder.rglob("*"):
            packed.write(path, path.relative_to(folder))
        for name in ("../outside.png", f"{tmp_path}/outside.png"):
            packed.writestr(name, READABLE["grey-8.png"][0])
    found = convert_all(archive, tmp_path / "out", double)
    assert any("leads out of the folder" in line for line in found.skipped)
    assert not (tmp_path / "outside.png").exists()
    assert len(found.written) == len(READABLE)


def test_interrupted_work_leaves_whole_files(folder: Path, tmp_path: Path) -> None:
    def stopped(image: Picture, target: Path, progress: Callable[[int, int], None]) -> list[str]:
        if "film" in image.name:
            raise KeyboardInterrupt
        return double(image, target, progress)

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        convert_all(folder, out, stopped)
    there = len(list(out.rglob("*.png")))
    assert 0 < there < len(READABLE)
    found = convert_all(folder, out, double)
    assert len(found.there) == there
    assert len(found.written) == len(READABLE) - there


def test_one_file_is_always_made(folder: Path, tmp_path: Path) -> None:
    source = next(folder.rglob("colour.jpg"))
    for out, target in ((tmp_path / "a.png", "a.png"), (tmp_path / "b", "b/colour.png")):
        for _ in range(2):
            assert convert_all(source, out, double).written == [tmp_path / target]
    broken = next(folder.rglob("text.png"))
    assert convert_all(broken, tmp_path / "c.png", double).skipped == ["text.png (not an image)"]


@pytest.mark.parametrize(
    ("source", "out", "message"),
    [
        ("missing", "out", "no file or folder"),
        ("photos", "photos", "holds the inputs"),
        ("photos", "photos/notes.txt", "need a folder"),
        ("photos/grey-8.png", "photos/grey-8.png", "is the input itself"),
        ("photos/grey-8.png", "photos", "is the input itself"),
        ("photos/grey-8.png", "out.jpg", "name it out.png"),
        ("photos/empty", "out", "holds no images"),
    ],
)
def test_what_cannot_be_is_said(folder: Path, tmp_path: Path, source: str, out: str, message: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(BadInput, match=message):
        convert_all(tmp_path / source, tmp_path / out, double)


def test_a_result_that_is_too_large_is_skipped(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evenodds.photo._LARGEST", 3000)
    found = convert_all(folder, tmp_path / "out", double)
    assert found.written
    assert any("cut the image into parts" in line for line in found.skipped)
