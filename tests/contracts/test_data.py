"""What holds for every data source, for what people feed it, and for a folder of the worst kind."""

import io
import shutil
import warnings
import zipfile
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

import h5py
import numpy as np
import pillow_heif
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image, ImageOps

from evenodds.data.batches import Batches
from evenodds.data.dataset import Dataset
from evenodds.data.pictures import video
from evenodds.data.readers import images
from evenodds.data.sources import READERS, SOURCES, load, load_like
from evenodds.data.units import Units
from evenodds.errors import BadInput
from evenodds.files.read import as_type
from tests.dicom import write_dicom
from tests.sheets import write_sheet
from tests.video import write_video

RNG = np.random.default_rng(0)


def picture(mode: str = "RGB", size: tuple[int, int] = (20, 16)) -> Image.Image:
    """A random picture; size is (width, height)."""
    noise = RNG.integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    if mode == "I;16":
        return Image.fromarray(noise[..., 0].astype(np.uint16) * 256 + noise[..., 1])
    return Image.fromarray(noise, "RGBA").convert(mode)


def npz(folder: Path) -> Path:
    np.savez(folder / "a.npz", x=RNG.integers(0, 256, (12, 6, 7, 3), dtype=np.uint8), y=np.arange(12) % 3)
    return folder / "a.npz"


def npy(folder: Path) -> Path:
    np.save(folder / "a.npy", RNG.normal(size=(12, 4)))
    return folder / "a.npy"


def csv(folder: Path, ending: str = "csv", cut: str = ",") -> Path:
    path = folder / f"a.{ending}"
    path.write_text(f"a{cut}b c\n1{cut}-2.5\n3{cut}4e1\n")
    return path


def hdf5(ending: str, folder: Path) -> Path:
    with h5py.File(folder / f"a{ending}", "w") as file:
        file["x"], file["y"] = RNG.normal(size=(5, 6, 7)), np.arange(5) % 2
    return folder / f"a{ending}"


def paths(ending: str, folder: Path) -> Path:
    class_folders(folder)
    (folder / f"list{ending}").write_text(
        "\n".join(f"pictures/{('cat', 'dog')[k % 2]}/{k}.png {k % 2}" for k in range(6))
    )
    return folder / f"list{ending}"


def class_folders(folder: Path) -> Path:
    for k in range(6):
        path = folder / "pictures" / ("cat", "dog")[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture().save(path)
    return folder / "pictures"


def single(ending: str, folder: Path) -> Path:
    image, path = picture(), folder / f"one{ending}"
    if ending in (".heic", ".heif"):
        pillow_heif.from_pillow(image).save(path)
    elif ending == ".jxl":
        import_module("pillow_jxl")  # which registers itself
        image.save(path, lossless=True)
    elif ending in (".dcm", ".dicom", ".ima"):
        write_dicom(path, np.asarray(image))
    elif ending in video.ENDINGS:
        write_video(path, [np.asarray(image)] * 3)
    else:
        image.save(path, format={".jfif": "JPEG", ".apng": "PNG"}.get(ending))
    return path


def rows() -> pyarrow.Table:
    content = io.BytesIO()
    picture().save(content, "PNG")
    return pyarrow.table({"image": [content.getvalue()] * 3, "label": ["a", "b", "a"]})


def parquet(folder: Path) -> Path:
    pyarrow.parquet.write_table(rows(), folder / "a.parquet")
    return folder / "a.parquet"


def arrow(folder: Path) -> Path:
    with pyarrow.OSFile(str(folder / "a.arrow"), "wb") as file, pyarrow.ipc.new_file(file, rows().schema) as writer:
        writer.write_table(rows())
    return folder / "a.arrow"


def packed(ending: str, folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder / "packed"), PACKED[ending], class_folders(folder))).rename(
        folder / f"packed{ending}"
    )


LISTS = (".parquet", ".arrow", ".txt", ".lst")
PACKED = {".zip": "zip", ".tar": "tar", ".tar.gz": "gztar", ".tgz": "gztar", ".tar.bz2": "bztar", ".tar.xz": "xztar"}


EXAMPLES: dict[str, Callable[[Path], Path]] = {
    ".npz": npz,
    ".npy": npy,
    ".csv": csv,
    ".tsv": lambda folder: csv(folder, "tsv", "\t"),
    ".xlsx": lambda folder: write_sheet(folder / "t.xlsx", [["a", "b"], [1, "x"], [2, "y"], [3, "x"]]),
    ".txt": partial(paths, ".txt"),
    ".lst": partial(paths, ".lst"),
    ".h5": partial(hdf5, ".h5"),
    ".hdf5": partial(hdf5, ".hdf5"),
    ".parquet": parquet,
    ".arrow": arrow,
    "/": class_folders,
    **{ending: partial(packed, ending) for ending in PACKED},
    **{ending: partial(single, ending) for ending in images.READS if ending not in ("/", *PACKED, *LISTS)},
}


@pytest.mark.parametrize("name", [*SOURCES, *READERS])
def test_source(name: str, tmp_path: Path) -> None:
    source = EXAMPLES[name](tmp_path) if name in READERS else name
    data = load(source)
    assert data.kind in ("image", "table", "toy")
    assert data.shape == data.units.seen(tuple(data.x.shape[1:]))
    assert data.report
    assert all(line.endswith(".") and "\n" not in line for line in data.report)
    batch = Batches(data, None, 1, 0).at(0)
    assert batch["x"].shape == (1, *data.shape)
    every = data.batch(torch.arange(len(data)))
    assert every["x"].dtype == torch.float32
    # A toy's units are fixed; rare samples lie beyond them. Amounts of a table are normal scores.
    limit = 1.3 if data.kind == "toy" else 4 if data.units.columns else 1 + 1e-6
    assert every["x"].abs().max() <= limit
    assert ("y" in every) == (data.y is not None)
    if data.y is not None:
        assert every["y"].dtype == torch.int64
        assert set(every["y"].tolist()) == set(range(len(data.classes)))
    own = data.units.to_data(every["x"])
    assert own.dtype == data.x.dtype
    if data.units.dtype == "float32":
        assert torch.allclose(own, data.x, rtol=1e-5, atol=1e-5)
    else:
        assert torch.equal(own, data.x)
    again = load(source)
    assert again.fingerprint() == data.fingerprint() != load(torch.zeros(3, 2)).fingerprint()
    assert as_type(data.units.to_json(), Units, "units") == data.units


def test_every_reader_has_an_example_here() -> None:
    assert set(EXAMPLES) == set(READERS)


# --- names, paths and options ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        ("rin", {}, "did you mean 'ring'.*no file or folder"),
        ("./nowhere", {}, "no data source './nowhere'.*no file or folder"),
        ("ring", {"sigmas": 1.0}, "did you mean 'sigma'"),
        ("digits", {"size": 8}, "takes no options"),
        ("ring", {"n": 0}, "n > 0"),
        ("model.pkl", {}, "can run code"),
        ("model.PT", {}, "can run code"),
        (np.zeros((2, 3)), {"size": 8}, "no option"),
    ],
)
def test_what_cannot_be_loaded_says_why(source: object, options: dict[str, object], said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        load(source, **options)
    assert "\n" not in str(caught.value)


def test_unknown_endings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.doc").write_text("hello")
    with pytest.raises(BadInput, match=r"a\.doc needs an ending that can be read"):
        load(tmp_path / "a.doc")


def test_names_forgive_dashes() -> None:
    assert load("two-moons", n=5).fingerprint() == load("two_moons", n=5).fingerprint()
    assert load("mixture-1d", n=5, seed=3).shape == (1,)


# --- arrays ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "shape", "kind", "low", "high"),
    [
        (np.zeros((5, 8, 9), np.uint8), (1, 8, 9), "uint8", 0, 255),
        (np.full((5, 8, 9, 3), 300, np.uint16), (3, 8, 9), "uint16", 0, 511),
        (np.full((5, 3, 8, 9), 255, np.int64), (3, 8, 9), "uint8", 0, 255),
        (np.full((5, 8, 9, 5), 32768, np.int64), (5, 8, 9), "uint16", 0, 65535),
        (np.ones((5, 8, 9), bool), (1, 8, 9), "uint8", 0, 1),
        (np.linspace(-3, 5, 5 * 72).reshape(5, 8, 9), (1, 8, 9), "float32", -3, 5),
        (torch.full((5, 1, 8, 9), 0.5), (1, 8, 9), "float32", 0.5, 0.5),
        (torch.full((5, 1, 8, 9), 0.5, dtype=torch.bfloat16), (1, 8, 9), "float32", 0.5, 0.5),
        (np.zeros((5, 8, 9, 3), np.uint8)[:, :, ::-1, ::-1], (3, 8, 9), "uint8", 0, 255),
        (np.broadcast_to(np.uint8(7), (5, 8, 9)), (1, 8, 9), "uint8", 0, 255),
        (np.arange(10).reshape(5, 2), (2,), "float64", 0, 8),
    ],
)
@pytest.mark.filterwarnings("error")
def test_arrays_of_any_shape_and_depth(x: object, shape: tuple[int, ...], kind: str, low: float, high: float) -> None:
    data = load(x)
    assert data.shape == shape
    assert data.units.dtype == kind
    assert (data.units.low[0], data.units.high[0]) == (low, high)
    assert torch.allclose(data.units.to_data(data.batch(torch.arange(5))["x"]).double(), data.x.double())


@pytest.mark.parametrize(
    ("sides", "shape", "said"),
    [
        ((3, 9, 3), (3, 3, 9), "nchw"),
        ((1, 9, 1), (1, 1, 9), "nchw"),
        ((4, 9, 4), (4, 4, 9), "nchw"),
        ((3, 9, 1), (1, 3, 9), "nchw"),
        ((3, 9, 4), (3, 9, 4), "nhwc"),
        ((9, 9, 9), (9, 9, 9), "nchw"),
        ((3, 9, 9), (3, 9, 9), ""),
        ((9, 9, 1), (1, 9, 9), ""),
        ((9, 3), (1, 9, 3), "x[None]"),
    ],
)
def test_what_counts_channels_is_said_where_either_side_may(
    sides: tuple[int, ...], shape: tuple[int, ...], said: str, tmp_path: Path
) -> None:
    x = np.random.default_rng(0).integers(0, 256, (7, *sides), dtype=np.uint8)
    np.save(tmp_path / "x.npy", x)
    data = load(tmp_path / "x.npy")
    assert data.shape == shape
    assert [said] == [one for one in ("nchw", "nhwc", "x[None]") if one in " ".join(data.report)] or not said
    assert bool(said) == (len(data.report) > 1)
    if said in ("nchw", "nhwc"):
        other = load(tmp_path / "x.npy", layout=said)
        assert np.array_equal(other.x.numpy(), x if said == "nchw" else np.moveaxis(x, 3, 1))
        assert load_like(tmp_path / "x.npy", other, "samples").shape == other.shape


def test_layout_can_be_said() -> None:
    x = np.zeros((2, 5, 6, 7), np.uint8)
    assert load(x).shape == (5, 6, 7)
    assert load(x, layout="nhwc").shape == (7, 5, 6)


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (np.array([[0.0, np.nan]]), None, "a value in each column, got none in 'x1'"),
        (np.full((2, 3, 3), np.inf), None, r"inf at \[0, 0, 0\]"),
        (np.full((2, 3), 1e300), None, "single precision"),
        (np.zeros((2, 3)), [0], "same length, got 2 and 1"),
        (np.zeros(3), None, "shape"),
        (np.zeros((0, 3)), None, "shape"),
        (np.array([["a"]]), None, "needs numbers"),
        (np.array([[object()]]), None, "plain numbers"),
        (np.zeros((2, 3)), [0.5, 1], "whole numbers"),
    ],
)
def test_arrays_that_cannot_be_used(x: object, y: object, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        load(x, y=y)


def test_train_and_test_share_classes_and_range(tmp_path: Path) -> None:
    path = tmp_path / "both.npz"
    x_train, x_test = np.zeros((3, 4, 4)), np.full((2, 4, 4), 9.0)
    np.savez(path, x_train=x_train, y_train=["b", "c", "c"], x_test=x_test, y_test=["a", "c"])
    train, test, both = (load(path, split=split) for split in ("train", "test", "all"))
    assert (len(train), len(test), len(both)) == (3, 2, 5)
    assert train.units == test.units == Units((0,), (9,), "float32")
    assert train.classes == ("a", "b", "c")
    assert train.y is not None
    assert test.y is not None
    assert train.y.tolist() == [1, 2, 2]
    assert test.y.tolist() == [0, 2]
    assert test.x.min() == 9
    assert "Read 2 images" in test.report[0]
    held_out = load(path, splits="respect")
    assert [part.tolist() for part in held_out.split(0.5, 0)] == [[0, 1, 2], [3, 4]]
    assert held_out.fingerprint() == both.fingerprint()
    assert load(path, splits="train").fingerprint() == train.fingerprint()


def test_files_that_are_no_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "short.npz").write_bytes(npz(tmp_path).read_bytes()[:200])
    (tmp_path / "empty.npy").write_bytes(b"")
    np.savez(tmp_path / "keys.npz", left=np.zeros(3), right=np.zeros(3))
    for name in ("objects.npy", "text.npz", "short.npz", "empty.npy", "keys.npz"):
        with pytest.raises(BadInput, match=name) as caught:
            load(tmp_path / name)
        assert "\n" not in str(caught.value)


# --- tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [",", ";", "\t"])
def test_tables_find_their_delimiter_and_header(tmp_path: Path, cut: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("\ufeff" + "\n".join(cut.join(row) for row in (["a", "kind", " b "], "1x2", "3y4", "5x6")) + "\n\n")
    data = load(path, label="kind")
    assert data.columns == ("a", "b")
    assert data.x.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert data.classes == ("x", "y")
    assert data.y is not None
    assert data.y.tolist() == [0, 1, 0]
    assert data.header == ("a", "kind", "b")
    plain = load(path, label="kind", types="plain")
    assert plain.batch(torch.arange(3))["x"].tolist() == [[-1, -1], [0, 0], [1, 1]]


def test_tables_without_a_header_and_with_constant_columns(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("1,7,a\n2,7,b\n")
    data = load(tmp_path / "t.csv", label="column 3")
    assert data.columns == ("column 1", "column 2")
    assert "Columns: column 1 (levels); column 2 (constant)." in data.report
    plain = load(tmp_path / "t.csv", label="column 3", types="plain")
    assert plain.batch(torch.arange(2))["x"].tolist() == [[-1, 0], [1, 0]]
    assert "Column 'column 2' is constant." in plain.report


def test_rows_are_read_as_the_table_that_they_are_likened_to_is_written(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    (tmp_path / "data.csv").write_text("a;b\n1,5;1.234,5\n2,125;7,25\n")
    data = load(tmp_path / "data.csv")
    (tmp_path / "open.csv").write_text('a,b\n"5,105",1.234\n')
    frame = pandas.DataFrame({"a": ["5,105"], "b": ["1.234"]})
    assert [load_like(given, data, "rows").x.tolist() for given in (tmp_path / "open.csv", frame)] == [
        [[5.105, 1234]]
    ] * 2
    (tmp_path / "proved.csv").write_text('a,b\n"5,105",1.25\n')
    frame = pandas.DataFrame({"a": ["5,105"], "b": ["1,000.25"]})
    assert load_like(tmp_path / "proved.csv", data, "rows").x.tolist() == [[5105, 1.25]]
    assert load_like(frame, data, "rows").x.tolist() == [[5105, 1000.25]]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("a,b\n1,2\n3,\n", {"types": "plain"}, "column 'b' has empty cells.*set data.types=auto"),
        ("a,b\n1,2\n\n2,-inf\n", {}, "row 4, column 'b' holds -inf"),
        ("a,b\n\n1,red\n", {"types": "b:number"}, "column 'b' has cells that are no numbers.*data.types=b:words"),
        ("a,b\n1,2\n", {"types": "c:words"}, "no column 'c'"),
        ("a,b\n1,2\n", {"types": "b:word"}, "no type of column 'b' 'word'; did you mean 'words'"),
        ("a,b\n1,2\n", {"types": "words"}, "name:type"),
        ("a,a\n1,2\n", {}, "two columns of the name 'a'"),
        ("a;b\n1;2,5\n2;1,234,567\n", {}, "commas between thousands and before decimals"),
        ("a,b\n1,2,3\n", {}, "row 2 has 3 cells"),
        ("a,b\n1,1e300\n", {}, "row 2, column 'b' holds 1e\\+300"),
        ("a,b\n1,2\n", {"label": "c"}, "no column of t.csv 'c'"),
        ("a\n1\n", {"label": "a"}, "beside the label"),
        ("a,b\n", {}, "a header alone"),
        ("", {}, "empty file"),
        ("\x00\x01", {}, "t.csv"),
    ],
)
def test_tables_name_the_cell_that_is_wrong(tmp_path: Path, text: str, options: dict[str, str], said: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(BadInput, match=said) as caught:
        load(tmp_path / "t.csv", **options)
    assert "\n" not in str(caught.value)


def test_tables_say_when_single_precision_is_too_coarse(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("time,value\n1700000001,0.1\n1700000002,0.2\n")
    plain = load(tmp_path / "t.csv", types="plain")
    assert any("'time'" in line and "precision" in line for line in plain.report)
    data = load(tmp_path / "t.csv")
    assert data.units.to_data(data.units.to_model(data.x)).tolist() == [[1700000001, 0.1], [1700000002, 0.2]]


# --- images ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What people have in a folder; 14 of the files can be used."""
    folder = tmp_path_factory.mktemp("nasty")
    for name in ("sub/deeper", ".hidden", "__MACOSX"):
        (folder / name).mkdir(parents=True)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        image = picture("RGB").quantize(200) if mode == "P" else picture(mode)
        image.save(folder / f"mode {mode.replace(';', '')}.png")
    picture("CMYK").save(folder / "cmyk.jpg")
    picture("P").save(folder / "clear.gif", transparency=3)
    picture("RGB", (1, 1)).save(folder / "one.png")
    picture("RGB", (3, 50)).save(folder / "thin.bmp")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture("RGB", (16, 20)).save(folder / "turned.jpg", exif=exif)
    picture("RGB", (90, 70)).save(folder / "sub" / "BIG.TIFF")
    picture().save(folder / "sub" / "deeper" / "umläut.webp")
    for name in (".hidden/a.png", "__MACOSX/._a.png", ".b.png"):
        picture().save(folder / name)
    whole = (folder / "turned.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "truncated.png").write_bytes((folder / "mode RGB.png").read_bytes()[:300])
    (folder / "text.png").write_text("I am not an image")
    (folder / "empty.png").write_bytes(b"")
    Image.fromarray(np.ones((4, 4), np.float32)).save(folder / "float.tif")
    (folder / "readme.txt").write_text("hello")
    (folder / "model.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    return folder


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("channels", [None, 1, 3, 4])
@pytest.mark.parametrize("size", [None, 8, (5, 11)])
def test_the_worst_folder(nasty: Path, size: object, channels: int | None, fit: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load(nasty, size=size, channels=channels, fit=fit)
    assert len(data) == len(data.names) == 14
    assert data.names == tuple(sorted(data.names))
    height, width = (16, 20) if size is None else (8, 8) if size == 8 else (5, 11)
    assert data.shape == (channels or 3, height, width)
    assert data.x.dtype == torch.uint8
    assert data.y is None
    report = " ".join(data.report)
    for name in ("truncated.jpg (", "truncated.png (", "text.png (", "empty.png (", "float.tif ("):
        assert name in report
    assert "Skipped 5 files" in report
    assert "Ignored 5 files" in report
    assert "readme.txt" in report
    assert "Turned 1 image upright" in report
    assert "Reduced 1 image from 16 to 8 bits" in report
    assert "Enlarged" in report
    assert ("over white" in report) == (channels != 4)


def test_a_zip_file_is_its_folder(nasty: Path, tmp_path: Path) -> None:
    path = shutil.make_archive(str(tmp_path / "nasty"), "zip", nasty)
    zipped, plain = load(path), load(nasty)
    assert zipped.fingerprint() == plain.fingerprint()
    assert (zipped.names, zipped.report) == (plain.names, plain.report)
    assert list(tmp_path.iterdir()) == [Path(path)]


def test_pixels_are_those_of_pillow(nasty: Path) -> None:
    data = load(nasty)
    for name in ("mode RGB.png", "mode L.png", "mode P.png", "cmyk.jpg", "turned.jpg", "mode 1.png"):
        expected = np.asarray(ImageOps.exif_transpose(Image.open(nasty / name)).convert("RGB"))
        assert np.array_equal(data.x[data.names.index(name)].permute(1, 2, 0).numpy(), expected), name
    white = Image.new("RGBA", (20, 16), "white")
    white.alpha_composite(Image.open(nasty / "mode RGBA.png"))
    seen = data.x[data.names.index("mode RGBA.png")].permute(1, 2, 0).numpy().astype(int)
    assert np.abs(seen - np.asarray(white.convert("RGB"))).max() <= 1
    grey = load(nasty, channels=1)
    expected = np.asarray(Image.open(nasty / "mode RGB.png").convert("L"))
    assert np.array_equal(grey.x[grey.names.index("mode RGB.png")][0].numpy(), expected)
    clear = load(nasty, channels=4)
    expected = np.asarray(Image.open(nasty / "mode RGBA.png"))
    assert np.array_equal(clear.x[clear.names.index("mode RGBA.png")].permute(1, 2, 0).numpy(), expected)


def test_sixteen_bits_are_kept_and_grey_stays_grey(tmp_path: Path) -> None:
    deep = [picture("I;16") for _ in range(3)]
    for k, image in enumerate(deep):
        image.save(tmp_path / f"{k}.png")
    data = load(tmp_path)
    assert data.x.dtype == torch.int32
    assert data.units == Units((0,), (65535,), "uint16")
    assert np.array_equal(data.x[:, 0].numpy(), np.stack([np.asarray(image) for image in deep]))
    assert load(tmp_path, size=7).x.dtype == torch.int32
    picture("L").save(tmp_path / "8.png")
    mixed = load(tmp_path)
    assert mixed.shape == (1, 16, 20)
    assert np.array_equal(mixed.x[0, 0].numpy(), np.round(np.asarray(deep[0]) / 257))


def test_folders_name_classes_only_where_they_can(tmp_path: Path) -> None:
    folder = class_folders(tmp_path)
    data = load(folder)
    assert data.classes == ("cat", "dog")
    assert data.y is not None
    assert [data.classes[k] for k in data.y] == [name.split("/")[0] for name in data.names]
    assert load(tmp_path).classes == ("cat", "dog")  # One folder around all of them says nothing.
    assert load(folder, labels=False).y is None
    assert load(folder / "cat").y is None
    picture().save(folder / "outside.png")
    assert load(folder).y is None
    for name in ("train", "val"):
        (tmp_path / "parts" / name).mkdir(parents=True)
        picture().save(tmp_path / "parts" / name / "a.png")
    parts = load(tmp_path / "parts")
    assert parts.y is None
    assert any("splits" in line for line in parts.report)


def test_large_photographs_are_reduced_as_if_decoded_whole(tmp_path: Path) -> None:
    wave = np.sin(np.linspace(0, 9, 640))[:, None] * np.cos(np.linspace(0, 7, 480))[None] * 120 + 128
    Image.fromarray(np.repeat(wave[..., None], 3, 2).astype(np.uint8)).save(tmp_path / "a.jpg", quality=95)
    Image.open(tmp_path / "a.jpg").save(tmp_path / "b.png")
    data = load(tmp_path, size=(40, 30))
    assert (data.x[0].int() - data.x[1].int()).abs().max() <= 6


def test_the_most_common_size_wins(tmp_path: Path) -> None:
    for k, size in enumerate([(9, 9), (12, 10), (12, 10), (99, 50)]):
        picture("L", size).save(tmp_path / f"{k}.png")
    data = load(tmp_path)
    assert data.shape == (1, 10, 12)
    assert any("Resized 2 images to 10 x 12" in line for line in data.report)


def test_progress_reaches_the_end(nasty: Path) -> None:
    told: list[tuple[int, int]] = []
    load(nasty, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (19, 19)


def test_images_that_no_array_can_hold_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for k in range(10):
        picture("L", (14, 10)).save(tmp_path / f"{k}.png")
    monkeypatch.setattr("evenodds.files.memory.machine_bytes", lambda: 3000)
    with pytest.raises(BadInput, match=r"the images need.*smaller size"):
        load(tmp_path, channels=4)


def test_many_threads_keep_the_order(tmp_path: Path) -> None:
    for k in range(70):
        Image.new("L", (150, 150), k).save(tmp_path / f"{k:02}.png")
    assert load(tmp_path).x[:, 0, 0, 0].tolist() == list(range(70))


def flat(folder: Path, lines: str = "file,class\na.png,cat\nb.png,dog\nc.png,\ngone.png,dog\n") -> Path:
    for name in "abc":
        picture().save(folder / f"{name}.png")
    (folder / "labels.csv").write_text(lines)
    return folder


def test_labels_csv_names_the_classes_of_a_folder_and_of_its_zip(tmp_path: Path) -> None:
    plain = load(flat(tmp_path))
    assert plain.classes == ("cat", "dog")
    assert plain.y is not None
    assert plain.y.tolist() == [0, 1, -1]
    report = " ".join(plain.report)
    assert "2 classes from labels.csv" in report
    assert "Counted 1 image without a class" in report
    assert "1 name in labels.csv of no image" in report
    zipped = load(shutil.make_archive(str(tmp_path / ".." / "flat"), "zip", tmp_path))
    assert zipped.fingerprint() == plain.fingerprint()
    assert load(tmp_path, labels=False).y is None


def test_label_says_which_column_of_labels_csv_holds_the_class(tmp_path: Path) -> None:
    lines = "file,species,age\na.png,cat,3\nb.png,dog,4\nc.png,cat,5\n"
    data = load(flat(tmp_path, lines), label="species")
    assert data.classes == ("cat", "dog")
    assert data.conditions is not None
    assert data.conditions.names == ("age",)
    with pytest.raises(BadInput, match=r"column of labels.csv.*'colour'"):
        load(tmp_path, label="colour")
    (tmp_path / "labels.csv").unlink()
    with pytest.raises(BadInput, match=r"data.label=species names a column of labels.csv, and none is there"):
        load(tmp_path, label="species")


def test_classes_that_differ_in_spaces_around_are_one_and_that_is_said(tmp_path: Path) -> None:
    data = load(flat(tmp_path, "file,class\na.png, cat\nb.png,cat\nc.png,dog\n"))
    assert data.classes == ("cat", "dog")
    assert "Took 1 class in labels.csv as one each, though the spaces around differ: cat." in data.report
    again = load(flat(tmp_path, "file,class\na.png, cat\nb.png, cat\nc.png,dog\n"))
    assert not any("spaces" in line for line in again.report)
    (tmp_path / "t.csv").write_text("x,kind\n1, a\n2,a\n3,b\n")
    table = load(tmp_path / "t.csv", label="kind")
    assert table.classes == ("a", "b")
    assert any("1 class in t.csv as one each" in line for line in table.report)


def test_names_of_images_keep_spaces_that_they_have(tmp_path: Path) -> None:
    flat(tmp_path, "file,class\n a.png,dog\na.png,cat\nb.png,cat\nc.png,dog\n")
    picture().save(tmp_path / " a.png")
    data = load(tmp_path)
    assert data.names == (" a.png", "a.png", "b.png", "c.png")
    assert data.y is not None
    assert data.y.tolist() == [1, 0, 0, 1]


def test_labels_csv_stands_above_class_folders(tmp_path: Path) -> None:
    folder = class_folders(tmp_path)
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.png"))
    (folder / "labels.csv").write_text("file,class\n" + "".join(f"{name},all\n" for name in names))
    assert load(folder).classes == ("all",)


def bomb(folder: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(folder / "bomb.png")


def locked(folder: Path) -> None:
    with zipfile.ZipFile(folder / "locked.zip", "w") as archive:
        stream = io.BytesIO()
        picture().save(stream, "PNG")
        archive.writestr("a.png", stream.getvalue())
    data = bytearray((folder / "locked.zip").read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + at] |= 1
    (folder / "locked.zip").write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("make", "name", "options", "said"),
    [
        (lambda folder: None, "", {}, "holds no images"),
        (lambda folder: (folder / "a.png").write_text("no"), "", {}, r"none of 1 image can be read.*a\.png"),
        (bomb, "", {}, "too many pixels"),
        (locked, "locked.zip", {}, "encrypted"),
        (lambda folder: (folder / "a.zip").write_text("no"), "a.zip", {}, "cannot be read as a zip"),
        (class_folders, "", {"channels": 2}, "channels, got 2"),
        (class_folders, "", {"fit": "crob"}, "did you mean 'crop'"),
        (class_folders, "", {"size": 0}, "size needs"),
        (class_folders, "", {"size": (1, 2, 3)}, "size needs"),
        (class_folders, "", {"size": "big"}, "size needs"),
        (class_folders, "", {"sizes": 8}, "did you mean 'size'"),
        (lambda folder: flat(folder, "file,class\nx.png,cat\n"), "", {}, "names none of the 3 images"),
        (lambda folder: flat(folder, "file,class\na.png\n"), "", {}, "line 2: a name, a comma and a class"),
        (lambda folder: flat(folder, "f,c\na.png,cat\na.png,dog\n"), "", {}, "line 3: 'a.png' stands there already"),
    ],
)
def test_images_that_cannot_be_used(
    tmp_path: Path, make: Callable[[Path], object], name: str, options: dict[str, object], said: str
) -> None:
    make(tmp_path)
    with pytest.raises(BadInput, match=said) as caught:
        load(tmp_path / name, **options)
    assert "\n" not in str(caught.value)


def test_data_sets_that_cannot_be_are_refused() -> None:
    x = torch.zeros(3, 2)
    units = Units((0,), (1,), "float32")
    for make in (
        lambda: Dataset(x[0], units),
        lambda: Dataset(x.double(), units),
        lambda: Dataset(x, Units((0, 0, 0), (1, 1, 1), "float32")),
        lambda: Dataset(x, units, torch.tensor([0, 1, 2]), ("a", "b")),
        lambda: Dataset(x, units, torch.tensor([0, 1]), ("a", "b")),
        lambda: Dataset(x, units, names=("a",)),
        lambda: Batches(Dataset(x, units), None, 0, 0),
        lambda: Batches(Dataset(x, units), None, 1, 0).at(-1),
    ):
        with pytest.raises(BadInput):
            make()


def test_points_in_which_samples_are_written_are_in_the_units_of_their_data() -> None:
    data = load("ring", n=40)
    assert load_like(data.x.double().numpy(), data, "the samples").units == data.units
