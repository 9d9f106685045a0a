"""What is no ordinary file, or claims to be larger than it is, in the place of each file that is read.

Each case ends in seconds and within a bound of memory: the file is named and skipped in a folder, refused in one line
where it is named itself.
"""

import io
import os
import resource
import signal
import socket
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evenodds.apply.folder import convert_all
from evenodds.apply.photo import read
from evenodds.cli import main
from evenodds.data.folders import archives
from evenodds.data.folders.files import file_at
from evenodds.data.pictures.opening import File
from evenodds.data.pictures.picture import DecodedImage
from evenodds.data.readers import arrays, table
from evenodds.data.readers.arrays import read_arrays
from evenodds.data.sources import LAYOUTS, READERS, load
from evenodds.data.tables import delimited, opened
from evenodds.errors import BadInput
from evenodds.evaluation.evaluate import evaluate
from evenodds.files import memory, zips
from evenodds.files.outputs import Outputs

SECONDS = 10
BYTES = 1 << 30


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    """Ends a case that waits, or asks for more than so much memory beside what is there."""

    def late(*_: object) -> None:
        raise TimeoutError(f"not done in {SECONDS} s")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES, hard))
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def bind(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # The path of a socket has at most some 100 characters.
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


SPECIAL: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "a named pipe"),
    "socket": (bind, "a socket"),
    "zero": (lambda path: path.symlink_to("/dev/zero"), "a device"),
    "random": (lambda path: path.symlink_to("/dev/urandom"), "a device"),
    "circle": (lambda path: path.symlink_to(path.name), "a link that leads in a circle"),
    "broken": (lambda path: path.symlink_to("nowhere"), "a link to what is not there"),
}


def refused(work: Callable[[], object]) -> str:
    """The one line that says why."""
    with pytest.raises(BadInput) as caught:
        work()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def picture(size: tuple[int, int] = (9, 8)) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)).save(content, "PNG")
    return content.getvalue()


def pictures(folder: Path, *names: str) -> Path:
    for name in names or ("1.png", "2.png", "3.png"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture())
    return folder


# --- in the place of a file -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("ending", [ending for ending in READERS if ending != "/"])
def test_named_itself_it_is_refused(kind: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{ending}"
    make, reason = SPECIAL[kind]
    make(path)
    for reader in (load, READERS[ending]):
        line = refused(lambda reader=reader: reader(path))
        assert reason in line or "no file or folder" in line


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_in_a_layout_too(kind: str, layout: str, tmp_path: Path) -> None:
    for ending in LAYOUTS[layout]:
        if ending != "/":
            SPECIAL[kind][0](tmp_path / f"x{ending}")
            refused(lambda ending=ending: load(tmp_path / f"x{ending}", layout=layout))


@pytest.mark.parametrize("kind", SPECIAL)
def test_by_commands(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, data = tmp_path / "x.png", pictures(tmp_path / "data")
    SPECIAL[kind][0](path)
    for words in (
        ["train", "gray-28", "--data", path],
        ["evaluate", path, "--against", data],
        ["evaluate", data, "--against", path],
    ):
        assert main([str(word) for word in words]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_folder_with_the_name_of_a_file_is_a_folder(tmp_path: Path) -> None:
    assert len(load(pictures(tmp_path / "x.png"))) == 3
    (tmp_path / "y.csv").mkdir()
    assert "holds no images" in refused(lambda: load(tmp_path / "y.csv"))
    for reader in (lambda: table.table(tmp_path / "y.csv"), lambda: arrays.arrays(tmp_path / "y.csv")):
        assert "a folder" in refused(reader)


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "nul\0.png", "", "/"])
def test_names_that_no_file_has(name: str) -> None:
    if name != "/":
        refused(lambda: load(name or "./no.png"))


# --- within a folder --------------------------------------------------------------------------------------------------


def special_folder(folder: Path) -> Path:
    pictures(folder)
    for name, (make, _) in SPECIAL.items():
        make(folder / f"{name}.png")
        make(folder / f"{name}.txt")
    (folder / "sub.png").mkdir()
    (folder / "again").symlink_to(folder)
    return folder


def test_in_a_folder_each_is_named_and_skipped(tmp_path: Path) -> None:
    data = load(special_folder(tmp_path / "in"))
    assert data.names == ("1.png", "2.png", "3.png")
    (line,) = (line for line in data.report if "cannot be read" in line)
    assert line.startswith(f"Skipped {len(SPECIAL)} files that cannot be read: ")
    assert "(a link to what is not there)" in line
    assert any(line.startswith(f"Ignored {len(SPECIAL)} files") for line in data.report)


def test_in_a_folder_that_is_converted_too(tmp_path: Path) -> None:
    def copied(image: DecodedImage, target: Path, progress: Callable[[int, int], None]) -> list[str]:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"")
        return []

    lines: list[str] = []
    outputs = Outputs(tmp_path, "upscale")
    converted = convert_all(special_folder(tmp_path / "in"), tmp_path / "out", copied, outputs, say=lines.append)
    assert len(converted.written) == 3
    assert sorted(converted.skipped) == sorted(f"{name}.png ({reason})" for name, (_, reason) in SPECIAL.items())
    assert len(lines) == len(SPECIAL)
    for name, (_, reason) in SPECIAL.items():
        path = tmp_path / "in" / f"{name}.png"
        if path.exists():
            assert convert_all(path, tmp_path / "a.png", copied, outputs).skipped == [f"{name}.png ({reason})"]


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", ["labels.csv", "images/classes.txt", "images/colours.txt"])
def test_beside_images_it_is_refused(kind: str, name: str, tmp_path: Path) -> None:
    make, reason = SPECIAL[kind]
    for folder in ("images", "labels"):
        pictures(tmp_path / folder)
    make(tmp_path / name)
    source, layout = (tmp_path / "images", "images") if name == "labels.csv" else (tmp_path, "maps")
    if name == "labels.csv":
        os.replace(tmp_path / name, source / name)
    line = refused(lambda: load(source, layout=layout))
    assert reason in line or kind in ("circle", "broken")


# --- archives ---------------------------------------------------------------------------------------------------------


def packed(path: Path, entries: dict[str, bytes], modes: dict[str, int] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (modes or {}).get(name, 0o100644) << 16
            archive.writestr(entry, content)
    return path


def test_links_and_pipes_in_archives_are_skipped(tmp_path: Path) -> None:
    entries = {"1.png": picture(), "2.png": picture(), "link.png": b"/etc/passwd", "pipe.png": picture()}
    path = packed(tmp_path / "a.zip", entries, {"link.png": 0o120777, "pipe.png": 0o010644, "2.png": 0})
    data = load(path)
    assert data.names == ("1.png", "2.png")
    (line,) = (line for line in data.report if line.startswith("Skipped"))
    assert "link.png (a link in the archive)" in line
    assert "pipe.png (no regular file in the archive)" in line


def test_what_unpacks_to_much_more_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert archives._LARGE == 1 << 26
    monkeypatch.setattr(archives, "_LARGE", 1 << 20)
    bomb = bytes((1 << 20) + 1)
    data = load(packed(tmp_path / "a.zip", {"1.png": picture(), "bomb.png": bomb}))
    assert any("bomb.png (unpacks to 1 MiB, over 100 times" in line for line in data.report)
    archive = packed(tmp_path / "b.zip", {"1.png": picture(), "labels.csv": bomb})
    assert "labels.csv cannot be read" in refused(lambda: load(archive))


def test_an_archive_that_unpacks_to_much_more_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path / "a.zip", {f"{k}.png": bytes(1 << 20) for k in range(3)})
    monkeypatch.setattr(archives, "_LARGE_IN_ALL", 1 << 21)
    assert "over 100 times what it holds" in refused(lambda: load(path))


def test_sizes_that_are_not_true_are_damage(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"1.png": picture(), "2.png": bytes(1 << 22)})
    content = path.read_bytes().replace(struct.pack("<I", 1 << 22), struct.pack("<I", 1 << 10))
    path.write_bytes(content)
    data = load(path)
    assert data.names == ("1.png",)


def listing(entries: int, name: bytes = b"a.png", large: bool = False) -> bytes:
    """An archive that is a list of so many files, without their content."""
    entry = b"PK\1\2" + bytes(24) + struct.pack("<H", len(name)) + bytes(16) + name
    size, most = entries * len(entry), 0xFFFFFFFF
    end_64 = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries, size, 0)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, size, 1)
    stated = (0xFFFF, 0xFFFF, most, most) if large else (min(entries, 0xFFFE), min(entries, 0xFFFE), size, 0)
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, *stated, 0)
    return entry * entries + (end_64 + locator if large else b"") + end


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("ending", [".zip", ".npz"])
def test_an_archive_of_too_many_files_is_refused_before_they_are_listed(
    ending: str, large: bool, tmp_path: Path
) -> None:
    path = tmp_path / f"a{ending}"
    path.write_bytes((b"" if ending == ".zip" else b"PK\3\4") + listing(zips.MOST_FILES + 1, large=large))
    assert refused(lambda: load(path)) == (
        f"a{ending} holds more than 2,000,000 files; unpack a part of it, and name the folder"
    )


@pytest.mark.parametrize("large", [False, True])
def test_as_many_files_as_may_be_are_listed(large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips, "MOST_FILES", 5)
    with zips.open_zip(io.BytesIO(listing(5, large=large)), "a.zip") as archive:
        assert len(archive.infolist()) == 5
    assert "more than 5 files" in refused(lambda: zips.open_zip(io.BytesIO(listing(6, large=large)), "a.zip"))
    monkeypatch.setattr(zips, "_MOST_BYTES", 200)
    assert "more than" in refused(lambda: zips.open_zip(io.BytesIO(listing(5, large=large)), "a.zip"))


# --- arrays -----------------------------------------------------------------------------------------------------------


def header(shape: tuple[int, ...], kind: str = "<f8", content: bytes = bytes(64)) -> bytes:
    about = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}".encode()
    about += b" " * (-(len(about) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(about)) + about + content


@pytest.mark.parametrize("ending", [".npy", ".npz"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (header((1 << 40, 3)), "but 64 are there"),
        (header((10**30,)), "but 64 are there"),
        (header((4,), "|O"), "Python objects"),
        (header((4,), "|V100000000000"), "cannot be read"),
        (header((-4, 3)), "cannot be read"),
        (b"\x93NUMPY\1\0\xff\xff{", "cannot be read"),
        (b"", "cannot be read"),
        (b"\x80\x04K\x01.", "cannot be read"),
    ],
)
def test_a_header_is_believed_as_far_as_its_bytes_go(ending: str, content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{ending}"
    if ending == ".npz":
        packed(path, {"x.npy": content})
    else:
        path.write_bytes(content)
    assert said in refused(lambda: load(path))


def test_arrays_beyond_the_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "machine_bytes", lambda: 1 << 20)
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((100, 100, 100)))
    np.save(tmp_path / "a.npy", np.zeros((100, 100, 100)))
    for name in ("a.npz", "a.npy"):
        assert "over half of the memory" in refused(lambda name=name: load(tmp_path / name))


def test_arrays_are_those_that_numpy_reads(tmp_path: Path) -> None:
    x = np.arange(24).reshape(2, 3, 4)
    for values in (x, np.asfortranarray(x), x[:, ::2], x.astype(">i2"), x.astype(bool), np.array(["a", "bc"]), x[:0]):
        np.save(tmp_path / "a.npy", values)
        np.savez(tmp_path / "a.npz", x=values)
        for name in ("a.npy", "a.npz"):
            (value,) = read_arrays(tmp_path / name, ("x",)).values()
            assert value.dtype == values.dtype
            assert np.array_equal(value, values)


# --- tables -----------------------------------------------------------------------------------------------------------


def test_lines_fields_and_columns_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_text("1,2\n" + "1" * 200_000 + ",2\n")
    assert "field larger" in refused(lambda: load(path))
    monkeypatch.setattr(delimited, "_LONGEST_LINE", 1000)
    path.write_text("1,2\n" + "1" * 1001)
    assert "line 2 has over 1,000 characters" in refused(lambda: load(path))
    monkeypatch.setattr(delimited, "_MOST_COLUMNS", 10)
    path.write_text(",".join("1" * 11))
    assert "row 1 has 11 cells" in refused(lambda: load(path))
    monkeypatch.setattr(opened, "machine_bytes", lambda: 1 << 12)
    path.write_text("1,2\n" * 200)
    assert "of the memory" in refused(lambda: load(path))


def test_labels_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path)
    (tmp_path / "labels.csv").write_text("name,class\n1.png," + "x" * 200_000)
    assert "field larger" in refused(lambda: load(tmp_path))
    with (tmp_path / "labels.csv").open("wb") as file:
        file.truncate((1 << 28) + 1)  # Holds nothing on the disk.
    assert "at most 268,435,456 are read" in refused(lambda: load(tmp_path))


# --- pictures that claim to be large ----------------------------------------------------------------------------------


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, bits: int = 1, kind: int = 0, between: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
    rows = zlib.compress(bytes(1 << 20))
    return b"\x89PNG\r\n\x1a\n" + head + between + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def tiff(width: int, height: int) -> bytes:
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: 1 << 30}
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + fields + bytes(4)


GIF = b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0) + bytes(6)
GIF += b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\2\2L\1\0;"
WEBP = b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + b"\xfe\x3f\0\xff\x3f\0"
BITMAP = struct.pack("<IiiHHIIiiII", 40, 10**5, 10**5, 1, 24, *[0] * 6)
LARGE = {
    "one-bit.png": png(100_000, 100_000),
    "deep.png": png(100_000, 100_000, 16, 6),
    "wide.png": png(2**31 - 1, 2**31 - 1, 8),
    "frames.gif": GIF,
    "pages.tif": tiff(100_000, 100_000),
    "canvas.webp": WEBP,
    "runs.tga": struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, 65535, 65535, 24, 0) + b"\xff\0\0\0" * 9,
    "text.ppm": b"P6 100000 100000 255\n" + bytes(100),
    "rows.bmp": b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + BITMAP,
}


@pytest.mark.parametrize("name", LARGE)
def test_a_picture_is_guarded_before_it_is_decoded(name: str) -> None:
    """And the line says how the limit is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        line = read(File(name, lambda: io.BytesIO(LARGE[name])))
    assert isinstance(line, str)
    assert line.startswith(f"{name} (too many pixels: ")
    assert "--most-pixels" in line
    assert "89,478,485" in line


def test_the_limit_of_pixels_is_exact(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture((9, 8)))
    assert isinstance(read(file_at(tmp_path / "a.png"), 72), DecodedImage)
    assert "too many pixels: 8 x 9; --most-pixels" in str(read(file_at(tmp_path / "a.png"), 71))
    assert len(load(tmp_path, most_pixels=72)) == 1
    assert "too many pixels" in refused(lambda: load(tmp_path, most_pixels=71))
    for layout in ("pairs", "unpaired", "maps"):
        for folder in ("source", "target", "images", "labels"):
            pictures(tmp_path / layout / folder)
        assert "too many pixels" in refused(
            lambda layout=layout: load(tmp_path / layout, layout=layout, most_pixels=71)
        )
    assert "most_pixels needs" in refused(lambda: load(tmp_path, most_pixels=0))


def test_a_file_far_larger_than_its_pixels_may_be_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.write(picture())
        file.truncate(1 << 40)  # Holds nothing on the disk.
    assert "a file of 1,099,511,627,776 bytes" in str(read(file_at(tmp_path / "a.png")))


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"iCCP"])
def test_chunks_beside_the_pixels_do_not_unpack_without_end(name: bytes) -> None:
    packed_zeros = zlib.compress(bytes(1 << 24))
    before = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"iCCP": b"a\0\0"}[name]
    content = png(8, 8, 8, 0, chunk(name, before + packed_zeros) * 5)
    result = read(File("a.png", lambda: io.BytesIO(content)))
    assert isinstance(result, str) or result.size == (8, 8)


def test_many_frames_are_not_decoded(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((64, 64), k % 251, np.uint8)) for k in range(80)]
    for ending in ("gif", "png", "webp", "tiff"):
        frames[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=frames[1:])
        image = read(file_at(tmp_path / f"a.{ending}"))
        assert isinstance(image, DecodedImage)
        assert (image.animated, image.size) == (True, (64, 64))
    assert len(load(tmp_path, frames="first")) == 4


def test_many_pictures_are_held_only_as_far_as_memory_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path, *(f"{k}.png" for k in range(9)))
    monkeypatch.setattr(memory, "machine_bytes", lambda: 2000)
    data = load(tmp_path)
    assert data.items is not None
    assert any("are more than half of the memory for data" in line for line in data.report)


def test_every_command_that_takes_pictures_raises_the_limit(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("upscale", "translate", "segment", "fill", "encode", "reconstruct", "features", "evaluate"):
        assert main([command, "--help"]) == 0
        assert "--most-pixels" in capsys.readouterr().out


def test_a_limit_is_one_for_samples_and_data(tmp_path: Path) -> None:
    samples, real = (pictures(tmp_path / name, *(f"{k}.png" for k in range(12))) for name in ("samples", "real"))
    for limit in ({}, {"most_pixels": 72}):
        assert evaluate(samples, real, metrics=["kernel"], features="pixels", **limit).content["scores"]
    assert "too many pixels" in refused(lambda: evaluate(samples, real, most_pixels=71))
