"""What the readers of pairs and of label maps make of what people feed them."""

import re
import shutil
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evenodds.data.dataset import Dataset
from evenodds.data.folders.archives import ENDINGS as ARCHIVES
from evenodds.data.readers import images
from evenodds.data.sources import LAYOUTS, load, options_of
from evenodds.errors import BadInput
from evenodds.runs.config import Config
from evenodds.runs.reading import open_data
from evenodds.runs.values import Part

RNG = np.random.default_rng(0)
NEEDS = {"pairs": "source", "unpaired": "source", "maps": "labels"}
FIRST = {"pairs": ("source", "target"), "unpaired": ("source", "target"), "maps": ("labels", "images")}
FITS = ("crop", "pad", "stretch", "tiles")


def save(path: Path, mode: str = "RGB", sides: tuple[int, int] = (16, 20), **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = RNG.integers(0, 5, (*sides, 4), dtype=np.uint8)
    if mode == "I;16":
        Image.fromarray(noise[..., 0].astype(np.uint16)).save(path, **options)
    else:
        Image.fromarray(noise, "RGBA").convert(mode).save(path, **options)
    return path


def turned(way_up: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = way_up
    return exif


def nasty(root: Path, beside: str, main: str, good: str) -> Path:
    """Two folders of the worst kind; `good` is the mode of what lies beside."""
    for k, mode in enumerate(["RGB", "L", "CMYK", "RGBA", "P", "I;16", "1"]):
        ending = "jpg" if mode == "CMYK" else "png"
        save(root / main / f"{k}.{ending}", mode)
        save(root / beside / f"{k}.png", good)
    save(root / main / "tiny.png", sides=(1, 1))
    save(root / beside / "tiny.png", good, sides=(1, 1))
    save(root / main / "thin.png", sides=(40, 3))
    save(root / beside / "thin.png", good, sides=(40, 3))
    save(root / main / "turned.jpg", exif=turned(6))
    save(root / beside / "turned.png", good)
    save(root / main / "cut.jpg", sides=(64, 64), quality=95)
    (root / main / "cut.jpg").write_bytes((root / main / "cut.jpg").read_bytes()[:700])
    save(root / beside / "cut.png", good, sides=(64, 64))
    save(root / main / "text.png").write_text("not an image")
    save(root / beside / "text.png", good)
    save(root / main / "other.png", sides=(16, 21))
    save(root / beside / "other.png", good)
    save(root / main / "alone.png")
    save(root / beside / "lonely.png", good)
    (root / main / "notes.txt").write_text("hello")
    return root


@pytest.mark.parametrize("size", [None, 8, (5, 11)])
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("layout", ["pairs", "unpaired", "maps"])
def test_the_worst_folders(tmp_path: Path, layout: str, fit: str, size: object) -> None:
    root = nasty(tmp_path, *FIRST[layout], "L" if layout == "maps" else "RGB")
    size = 8 if size is None and fit == "tiles" else size
    told: list[tuple[int, int]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load(root, lambda *done: told.append(done), layout, size=size, fit=fit)
    report = " ".join(data.report)
    assert told[-1][0] == told[-1][1] > 0
    assert all(line.endswith(".") and "\n" not in line for line in data.report)
    assert "cut.jpg (damaged" in report
    assert "text.png (not an image)" in report
    assert "notes.txt" in report
    if layout != "unpaired":
        assert "Skipped 2 files without a partner" in report
        assert "Turned 1 picture without EXIF" in report
        assert "other (" in report
    if fit == "tiles":
        assert "smaller than a tile" in report
        assert "tiny" in report
        assert data.groups is not None
        assert data.shape[1:] == ((8, 8) if size == 8 else (5, 11))
    elif layout != "unpaired":
        assert len(data) == 10
        assert data.groups is None
    other = data.beside[NEEDS[layout]]
    assert other.shape[-2:] == data.shape[1:]
    assert len(other.values) == len(data) == len(data.names)


@pytest.mark.parametrize("layout", list(NEEDS))
def test_a_zip_file_is_its_folder_and_a_data_set_passes(tmp_path: Path, layout: str) -> None:
    root = nasty(tmp_path / "all", *FIRST[layout], "L")
    path = shutil.make_archive(str(tmp_path / "all"), "zip", tmp_path, "all")
    plain, zipped = load(root, layout=layout), load(path, layout=layout)
    assert zipped.fingerprint() == plain.fingerprint()
    assert zipped.classes == plain.classes
    assert load(plain, layout=layout) is plain


def test_every_layout_is_known_and_fixes_its_options() -> None:
    assert set(LAYOUTS) == {*NEEDS, "gaps"}  # tables alone, see tests/behaviours/test_fill_tables.py
    assert all(set(LAYOUTS[layout]) == {"/", ".npz", *ARCHIVES} for layout in NEEDS)


def test_options_that_a_layout_fixes_are_not_offered(tmp_path: Path) -> None:
    assert options_of(tmp_path, "pairs")[:2] == ["sources", "targets"]
    assert "paired" not in options_of(tmp_path, "unpaired")
    with pytest.raises(BadInput, match="did you mean 'sources'"):
        load(tmp_path, layout="pairs", sourcs="a")


@pytest.mark.parametrize(("task", "layout"), [("translate", "pairs"), ("cycle", "unpaired"), ("segment", "maps")])
def test_a_configuration_is_read_as_its_task_wants(tmp_path: Path, task: str, layout: str) -> None:
    root = nasty(tmp_path, *FIRST[layout], "L")
    options: dict[str, object] = {} if layout == "maps" else {"source_channels": 1}
    config = Config(data=Part(str(root), options), task=Part(task), size=8)
    data = open_data(config)
    assert data.shape == (3, 8, 8)
    assert data.beside[NEEDS[layout]].shape == ((8, 8) if layout == "maps" else (1, 8, 8))
    with pytest.raises(BadInput, match=rf"as '{layout}'; leave data\.layout out"):
        open_data(Config(data=Part(str(root), {"layout": "nchw"}), task=Part(task), size=8))


@pytest.mark.parametrize(
    ("layout", "folders", "options", "first"),
    [
        ("pairs", ["train/A", "train/B", "test/A", "test/B"], {"splits": "train"}, "train/B"),
        ("pairs", ["train/A", "test/A", "train/B", "test/B"], {"sources": "test/A", "targets": "test/B"}, "test/B"),
        ("pairs", ["x/trainA", "x/trainB", "x/testA", "x/testB"], {"splits": "train"}, "x/trainB"),
        ("pairs", ["Low", "HIGH"], {}, "HIGH"),
        ("pairs", ["deep/er/mine", "deep/er/yours"], {"sources": "mine", "targets": "yours"}, "deep/er/yours"),
        ("maps", ["VOC/JPEGImages", "VOC/SegmentationClass"], {}, "VOC/JPEGImages"),
        ("maps", ["train", "trainannot", "val", "valannot"], {"splits": "train"}, "train"),
    ],
)
def test_folders_are_found(
    tmp_path: Path, layout: str, folders: list[str], options: dict[str, str], first: str
) -> None:
    for folder in folders:
        save(tmp_path / folder / "in" / "a.png", "L")
    data = load(tmp_path, layout=layout, **options)
    assert (data.x[0, 0].numpy() == np.asarray(Image.open(tmp_path / first / "in" / "a.png"))).all()
    assert [name.removeprefix("train/") for name in data.names] == ["in/a"]


def test_maps_hold_indices_whatever_the_mode(tmp_path: Path) -> None:
    index = RNG.integers(0, 3, (6, 8), dtype=np.uint8)
    palette = Image.fromarray(index, "P")
    palette.putpalette([9, 8, 7, 10, 20, 30, 200, 100, 0])
    made: dict[str, Image.Image] = {
        "a_palette": palette,
        "grey": Image.fromarray(index),
        "deep": Image.fromarray(index.astype(np.uint16)),
        "rgb": Image.fromarray(np.repeat(index[..., None], 3, 2)),
    }
    for name, image in made.items():
        save(tmp_path / "image" / f"{name}.png", sides=(6, 8))
        (tmp_path / "label").mkdir(exist_ok=True)
        image.save(tmp_path / "label" / f"{name}.png", bits=2) if name == "a_palette" else image.save(
            tmp_path / "label" / f"{name}.png"
        )
    data = load(tmp_path, layout="maps")
    labels = data.beside["labels"]
    assert len(data) == 4
    assert (labels.values.numpy() == index).all()
    assert labels.palette is not None
    assert labels.palette.colours == ((9, 8, 7), (10, 20, 30), (200, 100, 0))


def packed_grey(values: np.ndarray, bits: int) -> bytes:
    """A PNG file of grey with fewer than 8 bits, which Pillow cannot write (PNG specification, 3rd edition, 11.2)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    single = np.unpackbits(values[..., None], -1)[..., 8 - bits :].reshape(len(values), -1)
    rows = b"".join(b"\0" + np.packbits(row).tobytes() for row in single)
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_maps_of_few_bits_hold_the_numbers_themselves(tmp_path: Path, bits: int) -> None:
    values = (np.arange(63).reshape(7, 9) % min(2**bits, 50)).astype(np.uint8)
    save(tmp_path / "images" / "a.png", sides=(7, 9))
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "a.png").write_bytes(packed_grey(values, bits))
    labels = load(tmp_path, layout="maps").beside["labels"]
    assert labels.palette is not None
    assert (labels.palette.to_file(labels.values.numpy()) == values).all()
    assert labels.palette.values == tuple(range(min(2**bits, 50)))


def test_maps_in_colours_are_named_by_a_file_of_colours(tmp_path: Path) -> None:
    index = RNG.integers(0, 3, (6, 8), dtype=np.uint8)
    colours = np.array([[128, 0, 0], [0, 128, 0], [1, 2, 3]], np.uint8)
    save(tmp_path / "images" / "a.png", sides=(6, 8))
    (tmp_path / "masks").mkdir()
    Image.fromarray(colours[index]).save(tmp_path / "masks" / "a.png")
    assert load(tmp_path, layout="maps").classes == ("colour 0 128 0", "colour 1 2 3", "colour 128 0 0")
    (tmp_path / "colours.txt").write_text("128 0 0 red brick\n0 128 0 tree\n1 2 3 void\n")
    data = load(tmp_path, layout="maps")
    assert data.classes == ("red brick", "tree")
    palette = data.beside["labels"].palette
    assert palette is not None
    assert (palette.to_file(data.beside["labels"].values.numpy()) == index).all()
    assert palette.colours == ((128, 0, 0), (0, 128, 0))
    (tmp_path / "colours.txt").write_text("128 0 0 red\n0 128 0 green\n")
    with pytest.raises(BadInput, match="the colour 1 2 3 has no line"):
        load(tmp_path, layout="maps")


def test_black_and_white_masks_are_two_classes(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", sides=(2, 2))
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).save(tmp_path / "masks" / "a.png")
    assert load(tmp_path, layout="maps").classes == ("class 0", "class 255")
    assert load(tmp_path, layout="maps", ignore=255).classes == ("class 0",)


@pytest.mark.parametrize("way_up", range(1, 9))
@pytest.mark.parametrize("drawn", ["as stored", "upright"])
def test_maps_of_images_that_exif_turns_are_turned_with_them(tmp_path: Path, way_up: int, drawn: str) -> None:
    if drawn == "as stored" and way_up < 5:
        return  # Nothing tells it from one drawn upright.
    stored = np.zeros((16, 24), np.uint8)
    stored[:8, :8] = 1
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    Image.fromarray(stored * 255).save(tmp_path / "images" / "a.png", exif=turned(way_up))
    upright = images.images(tmp_path / "images").x[0, 0].numpy() // 255
    Image.fromarray(stored if drawn == "as stored" else upright).save(tmp_path / "masks" / "a.png")
    data = load(tmp_path, layout="maps")
    assert (data.beside["labels"].values[0].numpy() == data.x[0, 0].numpy() // 255).all()


def two(*names: str, sides: tuple[int, int] = (16, 20), file: str = "a.png") -> Callable[[Path], None]:
    def make(root: Path) -> None:
        for name in names:
            save(root / name / file, sides=sides)

    return make


def odd(root: Path) -> None:
    save(root / "A" / "a.png", sides=(4, 4))
    save(root / "B" / "a.png", sides=(8, 8))


def unlike(root: Path) -> None:
    save(root / "A" / "a.png")
    save(root / "B" / "b.png")


def only_void(root: Path) -> None:
    save(root / "images" / "a.png")
    save(root / "masks" / "a.png", "L")
    Image.new("L", (20, 16), 255).save(root / "masks" / "a.png")


def many_lines(root: Path) -> None:
    only_void(root)
    (root / "classes.txt").write_text("\n".join(f"c{k}" for k in range(300)))


@pytest.mark.parametrize(
    ("make", "layout", "options", "said"),
    [
        (lambda root: None, "pairs", {}, "no folders with images"),
        (
            two("x", "y"),
            "pairs",
            {},
            r"belong together.*--set data.sources=x data.targets=y, or the other way round.*holds x, y",
        ),
        (two("x", "y"), "maps", {}, r"data.images=x data.labels=y.*holds x, y"),
        (two("x", "y"), "pairs", {"sources": "x"}, "both folders are to be named"),
        (two("x", "y"), "pairs", {"sources": "x", "targets": "z"}, "no folder 'z'.*holds x, y"),
        (two("x", "y"), "pairs", {"sources": "x", "targets": "x"}, "two different folders"),
        (two("x", "x/y"), "pairs", {"sources": "x", "targets": "y"}, "beside each other"),
        (two("p/A", "q/A"), "pairs", {"sources": "A", "targets": "p"}, "'A' may be p/A, q/A"),
        (two("p/A", "p/B", "q/A", "q/B"), "pairs", {}, "belong together"),
        (unlike, "pairs", {}, "give partners equal names"),
        (odd, "pairs", {"size": 7}, r"size 7 x 7 is no multiple of 2"),
        (two("A", "B"), "pairs", {"size": 17, "fit": "tiles"}, "largest size.*16"),
        (two("A", "B"), "unpaired", {"size": 17, "fit": "tiles"}, "largest size.*16"),
        (two("A", "B"), "pairs", {"fit": "tiles"}, "tiles need a size"),
        (two("A", "B"), "pairs", {"source_channels": 2}, "channels, got 2"),
        (two("A", "B"), "pairs", {"fit": "crob"}, "did you mean 'crop'"),
        (two("A", "B"), "piars", {}, "did you mean 'pairs'"),
        (two("images", "labels", file="a.jpg"), "maps", {}, "JPEG and WebP change labels"),
        (only_void, "maps", {}, "nothing but what is ignored"),
        (only_void, "maps", {"ignore": "sky"}, "no class to ignore 'sky'"),
        (only_void, "maps", {"ignore": 256}, "must lie in"),
        (many_lines, "maps", {}, "classes.txt needs 1 to 256 names"),
    ],
)
def test_what_cannot_be_read_says_why(
    tmp_path: Path, make: Callable[[Path], object], layout: str, options: dict[str, object], said: str
) -> None:
    make(tmp_path)
    with pytest.raises(BadInput, match=said) as caught:
        load(tmp_path, layout=layout, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "said"), [("digits", "digits has nothing beside it"), (np.zeros((3, 4, 4)), "an array")]
)
def test_what_has_nothing_beside_it_is_refused(source: object, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        load(source, layout="pairs")


def npz(folder: Path, splits: str = "ignore", **arrays: np.ndarray) -> Dataset:
    np.savez(folder / "a.npz", **arrays)
    return load(folder / "a.npz", layout="maps" if any("labels" in key for key in arrays) else "pairs", splits=splits)


def test_numpy_files_hold_what_lies_beside(tmp_path: Path) -> None:
    x = RNG.integers(0, 256, (5, 6, 8, 3), dtype=np.uint8)
    data = npz(tmp_path, x=x, source=x[:, ::2, ::2, 0])
    assert data.beside["source"].shape == (1, 3, 4)
    data = npz(tmp_path, x_train=x[:3], x_test=x[3:], source_train=x[:3], source_test=x[3:])
    assert torch.equal(data.beside["source"].values, data.x)
    data = npz(tmp_path, "respect", x_train=x[:3], x_test=x[3:], source_train=x[:3], source_test=x[3:])
    assert torch.equal(data.beside["source"].values, data.x)
    assert data.split(0.1, 0)[1].tolist() == [3, 4]
    labels = RNG.choice(np.array([4, 7, 255]), (5, 6, 8))
    data = npz(tmp_path, x=x, labels=labels)
    assert data.classes == ("class 4", "class 7")
    palette = data.beside["labels"].palette
    assert palette is not None
    assert (palette.to_file(data.beside["labels"].values.numpy()) == labels).all()
    for said, arrays in (
        ("needs an array 'source' of 5 items", {"x": x}),
        ("needs an array 'source' of 5 items.*got 4", {"x": x, "source": x[:4]}),
        ("1, 2, 3 or 4 times", {"x": x, "source": x[:, :5]}),
        (re.escape("needs labels (5, 6, 8)"), {"x": x, "labels": labels[:, :5]}),
        ("must lie in", {"x": x, "labels": labels * 2}),
        ("x must be images", {"x": x.reshape(5, -1), "source": x}),
    ):
        with pytest.raises(BadInput, match=said):
            npz(tmp_path, **arrays)


@pytest.mark.parametrize("layout", ["pairs", "unpaired", "maps"])
@pytest.mark.parametrize(("memory", "said"), [(9000, "images need|targets need|sources need")])
def test_what_is_beyond_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, memory: int, said: str
) -> None:
    for k in range(3):
        for folder in FIRST[layout]:
            save(tmp_path / folder / f"{k}.png", "L", (20, 20))
    monkeypatch.setattr("evenodds.files.memory.machine_bytes", lambda: memory)
    with pytest.raises(BadInput, match=f"({said}).*smaller size"):
        load(tmp_path, layout=layout, size=15, fit="tiles", channels=4)


def test_photos_too_small_for_tiles_are_counted_and_named(tmp_path: Path) -> None:
    save(tmp_path / "a.png", sides=(8, 30))
    save(tmp_path / "b.png", sides=(20, 20))
    data = load(tmp_path, size=10, fit="tiles")
    assert len(data) == 4
    assert "Skipped 1 image smaller than a tile of 10 x 10: a.png (8 x 30)." in data.report
    with pytest.raises(BadInput, match="largest size of a square that one holds is 20"):
        load(tmp_path, size=21, fit="tiles")


def test_classes_of_folders_go_with_their_tiles(tmp_path: Path) -> None:
    save(tmp_path / "cat" / "a.png", sides=(16, 16))
    save(tmp_path / "dog" / "b.png", sides=(16, 8))
    data = load(tmp_path, size=8, fit="tiles")
    assert data.y is not None
    assert data.y.tolist() == [0] * 4 + [1] * 2
    assert data.groups is not None
    assert data.groups.tolist() == data.y.tolist()
