"""Every kind of file that data come in: what is made of each, what is said of it, and what is refused."""

import io
import json
import sys
import tarfile
import zipfile
from importlib import import_module
from pathlib import Path

import h5py
import numpy as np
import pillow_heif
import pyarrow
import pyarrow.parquet
import pydicom
import pytest
import tifffile
import torch
from PIL import Image
from pydicom.encaps import encapsulate

import evenodds
from evenodds.data.sources import load
from evenodds.errors import BadInput
from evenodds.files import tars
from tests.dicom import dicom, write_dicom
from tests.short import AT_THE_END
from tests.video import write_video

TINY = {"device": "cpu", "images": 64, "batch": 16, "generator__width": 8, "discriminator__width": 8, **AT_THE_END}


def noise(k: int, shape: tuple[int, ...] = (8, 8, 3)) -> np.ndarray:
    return np.random.default_rng(k).integers(0, 256, shape, dtype=np.uint8)


def png(k: int, shape: tuple[int, ...] = (8, 8, 3)) -> bytes:
    content = io.BytesIO()
    Image.fromarray(noise(k, shape)).save(content, "PNG")
    return content.getvalue()


def refused(source: object, **options: object) -> str:
    with pytest.raises(BadInput) as caught:
        load(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def without(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """As if these packages were not installed."""
    for name in modules:
        for loaded in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
            monkeypatch.delitem(sys.modules, loaded)
        monkeypatch.setitem(sys.modules, name, None)


# Archives ------------------------------------------------------------------------------------------------------------


def packed(path: Path, entries: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


@pytest.mark.parametrize(
    ("ending", "mode"), [("tar", "w"), ("tar.gz", "w:gz"), ("tgz", "w:gz"), ("tar.bz2", "w:bz2"), ("tar.xz", "w:xz")]
)
def test_tars_are_read_as_the_folder_in_them(ending: str, mode: str, tmp_path: Path) -> None:
    entries = {f"./{'cat' if k % 2 else 'dog'}/{k}.png": png(k) for k in range(6)}
    data = load(packed(tmp_path / f"a.{ending}", entries, mode))
    assert data.names == ("cat/1.png", "cat/3.png", "cat/5.png", "dog/0.png", "dog/2.png", "dog/4.png")
    assert data.classes == ("cat", "dog")
    assert np.array_equal(data.x[1].permute(1, 2, 0).numpy(), noise(3))


def test_links_and_ways_out_of_tars_are_skipped(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.tar", {"1.png": png(1), "../2.png": png(2), "/etc/3.png": png(3), "4.png": png(4)})
    with tarfile.open(path, "a") as archive:
        for name, kind in (
            ("soft.png", tarfile.SYMTYPE),
            ("hard.png", tarfile.LNKTYPE),
            ("pipe.png", tarfile.FIFOTYPE),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
    data = load(path)
    assert data.names == ("1.png", "4.png")
    (line,) = (line for line in data.report if line.startswith("Skipped"))
    assert "/etc/3.png (its name leads out of the archive)" in line
    assert "hard.png (a link in the archive)" in line
    assert "pipe.png (no regular file in the archive)" in line


def test_bombs_and_damaged_tars_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = packed(tmp_path / "whole.tar", {f"{k}.png": png(k) for k in range(3)}).read_bytes()
    (tmp_path / "short.tar").write_bytes(whole[:1700])
    assert "damaged or cut short" in refused(tmp_path / "short.tar")
    (tmp_path / "damaged.tar").write_bytes(whole[:1024] + b"x" * 512 + whole[1536:])
    assert "damaged or cut short" in refused(tmp_path / "damaged.tar")
    packed(tmp_path / "a.tgz", {"1.png": png(1)}, "w:gz")
    (tmp_path / "b.tgz").write_bytes((tmp_path / "a.tgz").read_bytes()[:200])
    assert "damaged or cut short" in refused(tmp_path / "b.tgz")
    long = packed(tmp_path / "long.tar", {"x" * 2_000_000: b""})
    assert "cannot be read as a tar file" in refused(long)
    monkeypatch.setattr(tars, "LARGE", 1 << 16)
    assert "100 times what it holds" in refused(packed(tmp_path / "bomb.tgz", {"1.png": bytes(1 << 22)}, "w:gz"))


@pytest.mark.parametrize(
    ("kind", "words"),
    [("cls", ["0", "1"]), ("json", ['{"label": "cat"}', '{"label": "dog"}']), ("txt", ["cat\n", "dog\n"])],
)
def test_samples_of_webdataset_have_their_labels(kind: str, words: list[str], tmp_path: Path) -> None:
    for shard in range(2):
        entries = {}
        for k in range(4):
            key = f"{4 * shard + k:04d}"
            entries |= {f"{key}.input.png": png(k), f"{key}.{kind}": words[k % 2].encode()}
        packed(tmp_path / f"{'train' if shard == 0 else 'val'}-{shard:04d}.tar", entries)
    one = load(tmp_path / "train-0000.tar")
    assert one.y is not None
    assert one.y.tolist() == [0, 1, 0, 1]
    assert f"Took the labels of 4 of 4 images from the .{kind} files beside them." in one.report
    assert not any(line.startswith("Ignored") for line in one.report)
    both = load(tmp_path)
    assert len(both) == 8
    assert both.classes == (("0", "1") if kind == "cls" else ("cat", "dog"))
    assert [name.split("/")[0] for name in both.names] == ["train"] * 4 + ["val"] * 4
    assert both.split(0.1, 0)[1].tolist() == [4, 5, 6, 7]
    assert load(tmp_path, labels=False).y is None
    packed(tmp_path / "train-0002.tar", {"0009.png": png(9)})
    unknown = load(tmp_path)
    assert unknown.y is not None
    assert unknown.y.tolist() == [0, 1, 0, 1, -1, 0, 1, 0, 1]


def test_samples_of_several_images(tmp_path: Path) -> None:
    entries = {f"{k}.{kind}": png(k) for k in range(3) for kind in ("png", "Mask.png")}
    path = packed(tmp_path / "a.tar", entries)
    both = load(path)
    assert len(both) == 6
    said = "Samples hold several images each (.mask.png, .png): all are read; data.column=mask.png takes one."
    assert said in both.report
    assert load(path, column="png").names == ("0.png", "1.png", "2.png")
    assert "no kind of images in the archive 'jpg'" in refused(path, column="jpg")


def test_a_folder_of_archives_alone_is_read(tmp_path: Path) -> None:
    packed(tmp_path / "test.tar.gz", {"cat/1.png": png(1), "dog/2.png": png(2)}, "w:gz")
    with zipfile.ZipFile(tmp_path / "train.zip", "w") as archive:
        for k, name in enumerate(["cat/3.png", "dog/4.png", "dog/5.png"], 3):
            archive.writestr(name, png(k))
    data = load(tmp_path)
    assert data.names == ("test/cat/1.png", "test/dog/2.png", "train/cat/3.png", "train/dog/4.png", "train/dog/5.png")
    assert data.classes == ("cat", "dog")
    assert data.split(0.5, 0)[1].tolist() == [0, 1]


def test_descriptions_beside_images_are_no_classes(tmp_path: Path) -> None:
    entries = {
        f"{k}.{ending}": content for k in range(6) for ending, content in (("png", png(k)), ("txt", b"no. %d" % k))
    }
    data = load(packed(tmp_path / "a.tar", entries))
    assert data.y is None
    assert any(line.startswith("Ignored 6 files") for line in data.report)
    entries |= {f"{k}.json": json.dumps({"width": 8}).encode() for k in range(6)}
    assert load(packed(tmp_path / "b.tar", entries)).y is None


# Tables --------------------------------------------------------------------------------------------------------------


def described(**features: object) -> dict[bytes, bytes]:
    """As `datasets` describes columns."""
    return {b"huggingface": json.dumps({"info": {"features": features}}).encode()}


def table(n: int = 6, first: int = 0) -> pyarrow.Table:
    """As `datasets` writes images with classes."""
    columns = {
        "image": [{"bytes": png(first + k), "path": f"{k}.png"} for k in range(n)],
        "label": [k % 3 - 1 for k in range(n)],
    }
    names = {"names": ["ant", "bee"], "_type": "ClassLabel"}
    return pyarrow.table(columns).replace_schema_metadata(described(image={"_type": "Image"}, label=names))


def saved(folder: Path, rows: pyarrow.Table) -> None:
    """As `save_to_disk` does."""
    folder.mkdir(parents=True)
    for name in ("data-00000-of-00001.arrow", "cache-1a2b.arrow"):
        with pyarrow.OSFile(str(folder / name), "wb") as file, pyarrow.ipc.new_stream(file, rows.schema) as writer:
            writer.write_table(rows)
    (folder / "state.json").write_text("{}")


def test_a_parquet_table_of_images_has_their_classes(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(table(), tmp_path / "a.parquet")
    data = load(tmp_path / "a.parquet")
    assert data.names[:2] == ("a.parquet#0", "a.parquet#1")
    assert data.classes == ("ant", "bee")
    assert data.y is not None
    assert data.y.tolist() == [-1, 0, 1, -1, 0, 1]
    assert np.array_equal(data.x[4].permute(1, 2, 0).numpy(), noise(4))
    assert "Took the classes from the column label; data.labels=false leaves them out." in data.report


def test_folders_of_datasets_keep_their_splits(tmp_path: Path) -> None:
    (tmp_path / "hub" / "data").mkdir(parents=True)
    for k, part in enumerate(["train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"]):
        pyarrow.parquet.write_table(table(6, 6 * k), tmp_path / "hub" / "data" / f"{part}.parquet")
        saved(tmp_path / "saved" / part.replace("-00000-of-00002", "").replace("-00000-of-00001", ""), table(6, 6 * k))
    for folder in ("hub", "saved"):
        data = load(tmp_path / folder)
        assert len(data) == 18
        assert data.apart is not None
        assert int(data.apart.sum()) == 6
        part = {"hub": "train/data/train-00000-of-00002.parquet", "saved": "train/data-00000-of-00001.arrow"}[folder]
        assert f"{part}#0" in data.names
        assert data.classes == ("ant", "bee")
        assert not any(line.startswith("Ignored") and "json" in line for line in data.report)


def test_plain_columns_of_bytes_and_words(tmp_path: Path) -> None:
    rows = {"name": ["a", "b", "c"], "left": [png(1), png(2), None], "img": [png(4), png(5), None], "kind": list("xyx")}
    pyarrow.parquet.write_table(pyarrow.table(rows), tmp_path / "a.parquet")
    data = load(tmp_path / "a.parquet", label="kind")
    assert data.classes == ("x", "y")
    assert np.array_equal(data.x[0].permute(1, 2, 0).numpy(), noise(4))
    assert any("a.parquet#2 (no image in this row)" in line for line in data.report)
    assert any("Took the images of the column img; data.column=left takes another." in line for line in data.report)
    left = load(tmp_path / "a.parquet", column="left", labels=False)
    assert "Took the images of the column left; data.column=img takes another." in left.report
    assert np.array_equal(left.x[0].permute(1, 2, 0).numpy(), noise(1))
    assert "no column of images in a.parquet 'name'" in refused(tmp_path / "a.parquet", column="name")
    pyarrow.parquet.write_table(pyarrow.table({"a": [1.0]}), tmp_path / "b.parquet")
    (tmp_path / "c.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:400])
    assert load(tmp_path / "b.parquet").kind == "table"
    content = (tmp_path / "a.parquet").read_bytes()
    footer = int.from_bytes(content[-8:-4], "little")
    (tmp_path / "d.parquet").write_bytes(content[: -8 - footer] + b"\xff" * footer + content[-8:])
    assert "damaged or no parquet file" in refused(tmp_path / "d.parquet")
    assert "damaged or no parquet file" in refused(tmp_path / "c.parquet")


def test_tables_need_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow.parquet.write_table(table(), tmp_path / "a.parquet")
    without(monkeypatch, "pyarrow")
    said = "a.parquet cannot be read: it needs an extra: pip install 'evenodds[parquet]'"
    assert refused(tmp_path / "a.parquet") == said
    assert "pip install 'evenodds[parquet]'" in refused(tmp_path)


# TIFF ----------------------------------------------------------------------------------------------------------------


def field(k: int, dtype: str, shape: tuple[int, ...] = (8, 8)) -> np.ndarray:
    """Numbers of a dtype, negative ones too where it has these."""
    values = np.random.default_rng(k).normal(0, 1000, shape)
    return (np.abs(values) if dtype.startswith("u") else values).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8", "int16", "int32", "uint32"])
@pytest.mark.parametrize(
    "layout", [{}, {"tile": (16, 16)}, {"compression": "zstd"}, {"bigtiff": True, "byteorder": ">"}]
)
def test_tiff_of_any_sample_format(dtype: str, layout: dict[str, object], tmp_path: Path) -> None:
    for k in range(4):
        tifffile.imwrite(tmp_path / f"{k}.tif", field(k, dtype), photometric="minisblack", **layout)
    data = load(tmp_path, range="full")
    assert data.units.dtype == "float32"
    assert np.array_equal(data.x[2, 0].numpy(), field(2, dtype).astype(np.float32))


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize(("dtype", "bands"), [("uint8", 5), ("uint8", 4), ("uint16", 4), ("float32", 3)])
def test_tiff_of_many_bands_in_either_order(planes: str, dtype: str, bands: int, tmp_path: Path) -> None:
    def values(k: int) -> np.ndarray:
        x = np.random.default_rng(k).integers(0, 200, (8, 9, bands)).astype(dtype)
        return np.moveaxis(x, -1, 0) if planes == "separate" else x

    for k in range(3):
        tifffile.imwrite(tmp_path / f"{k}.tif", values(k), photometric="minisblack", planarconfig=planes)
    data = load(tmp_path)
    assert data.shape == (bands, 8, 9)
    expected = values(1) if planes == "separate" else np.moveaxis(values(1), -1, 0)
    assert np.array_equal(data.x[1].numpy().astype(dtype), expected)


def test_a_channel_that_may_be_alpha_or_not(tmp_path: Path) -> None:
    x = noise(0, (8, 9, 4))
    two = {"planarconfig": "contig", "photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "two.tif", x[..., :2], **two)
    assert np.array_equal(load(tmp_path / "two.tif").x[0].permute(1, 2, 0).numpy(), x[..., :2])
    tifffile.imwrite(tmp_path / "alpha.tif", x, photometric="rgb", extrasamples=["unassalpha"])
    assert np.array_equal(load(tmp_path / "alpha.tif", channels=4).x[0].permute(1, 2, 0).numpy(), x)
    tifffile.imwrite(tmp_path / "other.tif", x, photometric="rgb", extrasamples=["unspecified"])
    data = load(tmp_path / "other.tif")
    assert np.array_equal(data.x[0].permute(1, 2, 0).numpy(), x[..., :3])
    assert any("the fourth channel, which is not said to be alpha, is left out" in line for line in data.report)


def test_files_that_say_which_pages_are_channels_slices_and_times(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 60000, (2, 3, 4, 8, 9), dtype=np.uint16)  # times, slices, channels
    tifffile.imwrite(tmp_path / "imagej.tif", x, imagej=True, metadata={"axes": "TZCYX"})
    tifffile.imwrite(tmp_path / "a.ome.tif", x[:, 0], metadata={"axes": "TCYX"}, photometric="minisblack")
    volume = load(tmp_path / "imagej.tif")
    assert volume.names == tuple(f"imagej.tif#t{t}z{z}" for t in range(2) for z in range(3))
    assert np.array_equal(volume.x[4].numpy(), x[1, 1])
    ome = load(tmp_path / "a.ome.tif")
    assert ome.names == ("a.ome.tif#0", "a.ome.tif#1")
    assert np.array_equal(ome.x[1].numpy(), x[1, 0])
    both = load(tmp_path, frames="first")
    assert both.names == ("a.ome.tif", "imagej.tif")
    assert "Took the first frame of 2 images with several." in both.report


def test_tiff_says_what_holds_no_data(tmp_path: Path) -> None:
    x = np.random.default_rng(0).uniform(100, 200, (3, 8, 8)).astype(np.float32)
    x[:, 2, 3] = -5
    for k in range(3):
        tifffile.imwrite(tmp_path / f"{k}.tif", x[k], extratags=[(42113, "s", 0, "-5", True)])
    data = load(tmp_path)
    assert float(data.x.min()) >= 100
    assert any(line.startswith("Values of nan are no data: 3 of them") for line in data.report)
    assert any(line.startswith("Values of nan are no data: 3 of") for line in load(tmp_path, nodata="none").report)
    most = float(data.x.max())
    assert any(line.startswith(f"Values of {most:g} are no data: 4 of") for line in load(tmp_path, nodata=most).report)
    x[0] = -5
    tifffile.imwrite(tmp_path / "0.tif", x[0], extratags=[(42113, "s", 0, "-5", True)])
    fewer = load(tmp_path)
    assert len(fewer) == 2
    assert fewer.report[0].startswith("Read 2 images of ")


def test_numbers_beyond_single_precision_are_said_to_be_rounded(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", (2**30 + np.arange(64)).reshape(8, 8).astype(np.int32))
    line = "Rounded numbers of more than 24 bits to single precision, by 63 at most."
    assert line in load(tmp_path / "a.tif").report
    assert not any("Rounded" in line for line in load(from_small_tiff(tmp_path)).report)


def from_small_tiff(folder: Path) -> Path:
    tifffile.imwrite(folder / "b.tif", np.arange(64).reshape(8, 8).astype(np.int32))
    return folder / "b.tif"


def test_numbers_among_images_are_named(tmp_path: Path) -> None:
    for k in range(3):
        (tmp_path / f"{k}.png").write_bytes(png(k))
    tifffile.imwrite(tmp_path / "a.tif", field(0, "float32"))
    data = load(tmp_path)
    assert len(data) == 3
    assert any("a.tif (1 channel of numbers among grey or coloured images)" in line for line in data.report)
    alone = load(tmp_path / "a.tif", channels=3)  # as recipes for photos ask
    assert alone.shape == (1, 8, 8)
    assert "Kept the 1 channel of 1 image that hold numbers; channels=3 is for grey and colours." in alone.report


def test_without_the_extra_pillow_reads_what_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "float.tif", field(0, "float32"))
    tifffile.imwrite(tmp_path / "plain.tif", noise(0), photometric="rgb")
    pages = np.random.default_rng(0).integers(0, 60000, (2, 3, 8, 8), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "pages.tif", pages, imagej=True, metadata={"axes": "ZCYX"})
    without(monkeypatch, "tifffile")
    assert np.array_equal(load(tmp_path / "plain.tif").x[0].permute(1, 2, 0).numpy(), noise(0))
    assert "it needs an extra: pip install 'evenodds[tiff]'" in refused(tmp_path / "float.tif")
    read = load(tmp_path / "pages.tif")
    assert len(read) == 6
    assert any("its pages are taken as images of their own" in line and "[tiff]" in line for line in read.report)


def test_padding_does_not_widen_a_range(tmp_path: Path) -> None:
    for k in range(3):
        Image.fromarray(32000 + 4 * noise(k, (8, 12)).astype(np.uint16)).save(tmp_path / f"{k}.png")
    tight, padded = load(tmp_path, size=(6, 12), fit="crop"), load(tmp_path, size=12, fit="pad")
    assert 31900 < padded.units.low[0] < padded.units.high[0] < 33100
    assert padded.units.high[0] - padded.units.low[0] < 1.2 * (tight.units.high[0] - tight.units.low[0])
    assert float(padded.batch(torch.arange(3))["x"][:, :, 0].max()) == -1
    assert load(tmp_path, size=12, fit="pad", range="full").x[0, 0, 0, 0] == 0


def test_pages_of_numbers_that_were_written_one_by_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def pages(path: Path, shapes: list[tuple[int, int]]) -> bytes:
        with tifffile.TiffWriter(path) as file:
            for k, shape in enumerate(shapes):
                file.write(field(k, "float32", shape), contiguous=False, photometric="minisblack")
        return path.read_bytes()

    content = pages(tmp_path / "a.tif", [(16, 16)] * 6)
    data = load(tmp_path / "a.tif")
    assert data.names == tuple(f"a.tif#{k}" for k in range(6))
    assert np.array_equal(data.x[4, 0].numpy(), field(4, "float32", (16, 16)))
    pages(tmp_path / "b.tif", [(16, 16), (16, 16), (8, 8)])
    assert any("b.tif#2 (8 x 8, the first is 16 x 16)" in line for line in load(tmp_path / "b.tif").report)
    (tmp_path / "c.tif").write_bytes(content[: len(content) // 2])
    cut = load(tmp_path / "c.tif")
    assert 2 <= len(cut) < 6
    assert any("c.tif#" in line and "damaged" in line for line in cut.report)
    assert "tifffile" not in capfd.readouterr().err


# Frames --------------------------------------------------------------------------------------------------------------


def test_frames_that_are_lost_are_named(tmp_path: Path) -> None:
    pages = [Image.fromarray(noise(k, (40, 40))) for k in range(6)]
    pages[0].save(tmp_path / "whole.tif", save_all=True, append_images=pages[1:])
    content = (tmp_path / "whole.tif").read_bytes()
    for name, length in (("a", len(content) * 2 // 3), ("b", 5250)):
        (tmp_path / f"{name}.tif").write_bytes(content[:length])
    (tmp_path / "whole.tif").unlink()
    data = load(tmp_path)
    (line,) = (line for line in data.report if line.startswith("Skipped"))
    assert "a.tif#4 (damaged" in line
    assert "b.tif#3 (damaged, as is what follows)" in line
    assert len(data) == 7


def test_frames_of_other_sizes_are_named(tmp_path: Path) -> None:
    pages = [Image.fromarray(noise(k, (8, 8 + 4 * (k == 2)))) for k in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert any("a.tif#2 (8 x 12, the first is 8 x 8)" in line for line in load(tmp_path).report)


@pytest.mark.parametrize(("ending", "kind"), [("png", "PNG"), ("apng", "PNG"), ("avif", "AVIF")])
def test_animated_png_and_avif_have_all_frames(ending: str, kind: str, tmp_path: Path) -> None:
    pages = [Image.fromarray(noise(k)) for k in range(4)]
    pages[0].save(tmp_path / f"a.{ending}", kind, save_all=True, append_images=pages[1:])
    data = load(tmp_path / f"a.{ending}")
    assert data.names == tuple(f"a.{ending}#{k}" for k in range(4))
    if kind == "PNG":
        assert np.array_equal(data.x[3].permute(1, 2, 0).numpy(), noise(3))
        pages[0].save(tmp_path / "b.png", save_all=True, append_images=pages[1:], default_image=True)
        assert len(load(tmp_path / "b.png")) == 3
    assert len(load(tmp_path / f"a.{ending}", frames="first")) == 1


@pytest.mark.parametrize(("ending", "module", "extra"), [("heic", "pillow_heif", "heic"), ("jxl", "pillow_jxl", "jxl")])
def test_heic_and_jpeg_xl(
    ending: str, module: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smooth = Image.fromarray(np.add.outer(np.arange(40), np.arange(48)).astype(np.uint8)[..., None].repeat(3, 2))
    if ending == "heic":
        pillow_heif.from_pillow(smooth).save(tmp_path / "a.heic", quality=-1)
    else:
        import_module("pillow_jxl")
        exif = Image.Exif()
        exif[0x010E] = "\xff\n" * 3000
        smooth.save(tmp_path / "a.jxl", lossless=True, use_container=True, exif=exif.tobytes())
        assert load(tmp_path / "a.jxl").shape == (3, 40, 48)
        smooth.save(tmp_path / "a.jxl", lossless=True)
    for name in (f"a.{ending}", "b.jpg"):  # phones write such files under the ending of JPEG, too
        (tmp_path / name).write_bytes((tmp_path / f"a.{ending}").read_bytes())
        data = load(tmp_path / name)
        assert data.shape == (3, 40, 48)
        assert np.abs(data.x[0].permute(1, 2, 0).numpy().astype(int) - np.asarray(smooth)).max() <= 3
        assert "too many pixels: 48 x 40" in refused(tmp_path / name, most_pixels=1000)
    without(monkeypatch, module)
    assert f"pip install 'evenodds[{extra}]'" in refused(tmp_path / f"a.{ending}")


# DICOM ---------------------------------------------------------------------------------------------------------------


def slices(k: int) -> np.ndarray:
    return np.random.default_rng(k).integers(0, 3000, (8, 9)).astype(np.uint16)


def test_dicom_is_rescaled_and_what_is_padding_is_no_data(tmp_path: Path) -> None:
    for k in range(3):
        x = slices(k)
        x[0, 0] = 3500
        write_dicom(tmp_path / f"{k}.dcm", x, RescaleSlope="2", RescaleIntercept="-1024", PixelPaddingValue=3500)
    data = load(tmp_path)
    assert data.units.dtype == "float32"
    assert np.array_equal(data.x[1, 0, 1:].numpy(), 2.0 * slices(1)[1:] - 1024)
    assert any(line.startswith("Values of nan are no data: 3 of them") for line in data.report)


@pytest.mark.parametrize("window", ["100,200", (100, 200), "file"])
def test_a_window_of_dicom_becomes_8_bits(window: object, tmp_path: Path) -> None:
    x = np.array([[-50, 0, 50, 100, 150, 200, 250, 900]], np.int16).repeat(8, 0)
    write_dicom(tmp_path / "1.dcm", x, WindowCenter=["100", "0"], WindowWidth=["200", "1"])
    data = load(tmp_path / "1.dcm", window=window)
    assert data.units.dtype == "uint8"
    # PS3.3, C.11.2.1.2.1: ((x - (c - 0.5)) / (w - 1) + 0.5) * 255
    assert data.x[0, 0, 0].tolist() == [0, 0, 64, 128, 192, 255, 255, 255]
    write_dicom(tmp_path / "2.dcm", x, WindowCenter="100", WindowWidth="200", PhotometricInterpretation="MONOCHROME1")
    assert load(tmp_path / "2.dcm", window=window).x[0, 0, 0].tolist() == [255, 255, 191, 127, 63, 0, 0, 0]
    write_dicom(tmp_path / "3.dcm", x)
    if window == "file":
        assert "no window in it; data.window=40,400" in refused(tmp_path / "3.dcm", window="file")


def test_inverted_dicom_is_inverted_last_over_all_that_its_bits_hold(tmp_path: Path) -> None:
    x = (slices(0) % 1024).astype(np.uint16)
    about = {"BitsStored": 12, "HighBit": 11, "RescaleIntercept": "-100", "PhotometricInterpretation": "MONOCHROME1"}
    write_dicom(tmp_path / "a.dcm", x, **about)
    assert np.array_equal(load(tmp_path / "a.dcm").x[0, 0].numpy(), 4095 - x.astype(float) - 100)
    signed = slices(1).astype(np.int16) - 1500
    write_dicom(tmp_path / "b.dcm", signed)
    assert np.array_equal(load(tmp_path / "b.dcm").x[0, 0].numpy(), signed)


def test_dicom_of_several_frames_of_colours_and_without_an_ending(tmp_path: Path) -> None:
    write_dicom(tmp_path / "1.2.840.7", np.stack([slices(k) for k in range(3)]), PatientID="A")
    write_dicom(tmp_path / "IM0001", slices(3), PatientID="A")
    write_dicom(tmp_path / "IM0002", slices(4), PatientID="B")
    (tmp_path / "README").write_text("hello")
    data = load(tmp_path)
    assert data.names == ("1.2.840.7#0", "1.2.840.7#1", "1.2.840.7#2", "IM0001", "IM0002")
    assert data.groups is not None
    assert data.groups.tolist() == [0, 0, 0, 0, 1]
    assert "Images of one patient are held out together; there are 2 of these." in data.report
    write_dicom(tmp_path / "colour.dcm", noise(0))
    assert np.array_equal(load(tmp_path / "colour.dcm").x[0].permute(1, 2, 0).numpy(), noise(0))


def test_compressed_dicom_names_the_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = pydicom.dcmread(io.BytesIO(dicom(slices(0))))
    made.PixelData = encapsulate([b"\xff\xd8" + bytes(20)])
    made.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.70"
    made["PixelData"].VR = "OB"
    made.save_as(tmp_path / "a.dcm")
    assert "JPEG Lossless" in refused(tmp_path / "a.dcm")
    assert "needs a plugin: pip install pylibjpeg pylibjpeg-libjpeg" in refused(tmp_path / "a.dcm")
    (tmp_path / "b.dcm").write_bytes(b"hello" * 100)
    assert "b.dcm (not a DICOM file)" in refused(tmp_path / "b.dcm")
    without(monkeypatch, "pydicom")
    assert "pip install 'evenodds[dicom]'" in refused(tmp_path / "a.dcm")


def test_nothing_of_the_patients_header_is_in_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    monkeypatch.setenv("EVENODDS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("evenodds.files.kept.WORTH", 0.0)
    monkeypatch.setattr("evenodds.data.cache._SETTLED", -1e9)
    secret = {
        "PatientName": "Quillfeather^Jane",
        "PatientID": "QUILL-4711",
        "PatientBirthDate": "19010203",
        "InstitutionName": "Quilltown",
    }
    for k in range(12):
        uid = f"1.2.826.0.1.3680043.{k % 3 + 4}.99"
        write_dicom(tmp_path / "in" / f"{k}.dcm", slices(k), **secret, StudyInstanceUID=uid)
    evenodds.fit(tmp_path / "in", "gray-28", out=tmp_path / "run", task="generate", size=8, **(TINY | {"images": 16}))
    files = [path for folder in ("run", "cache") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    assert any("cache" in str(path) for path in files)
    for path in files:
        content = path.read_bytes().lower()
        for word in (b"quill", b"4711", b"19010203", b"3680043"):
            assert word not in content, path


# Videos --------------------------------------------------------------------------------------------------------------


def clip(n: int = 12) -> list[np.ndarray]:
    """Frames of one shade each, which lossy files keep."""
    return [np.full((16, 32, 3), 20 * k, np.uint8) for k in range(n)]


def test_every_nth_frame_of_a_video(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", clip(), rate=4)
    write_video(tmp_path / "b.avi", clip(), rate=4)
    data = load(tmp_path)
    assert data.names == ("a.mp4#0", "a.mp4#4", "a.mp4#8", "b.avi#0", "b.avi#4", "b.avi#8")
    assert data.groups is not None
    assert data.groups.tolist() == [0, 0, 0, 1, 1, 1]
    assert (data.x.float().mean((1, 2, 3)) - torch.tensor([0, 80, 160] * 2)).abs().max().item() < 6
    assert any("one frame of 4 was taken, which is one a second; data.every=1" in line for line in data.report)
    assert not any(line.startswith("Took all frames") for line in data.report)
    assert len(load(tmp_path / "a.mp4", every=1)) == 12
    assert len(load(tmp_path / "a.mp4", frames="first")) == 1
    assert "data.every needs a whole number" in refused(tmp_path, every=0)


def test_videos_among_images_are_read_where_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(png(1, (16, 32, 3)))
    write_video(tmp_path / "a.mp4", clip(), rate=4)
    data = load(tmp_path)
    assert data.names == ("1.png",)
    assert "Ignored 1 file hidden or not images: 1 .mp4 (a.mp4)." in data.report
    assert "Videos among images are read where data.every=30, say, takes one frame of 30." in data.report
    assert len(load(tmp_path, every=6)) == 3


def test_videos_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "a.mp4", clip(), rate=4)
    (tmp_path / "list.mp4").write_text(f"#EXTM3U\n#EXTINF:1,\n{tmp_path / 'a.mp4'}\n")
    assert "list.mp4 (not a video of its kind, or damaged)" in refused(tmp_path / "list.mp4")
    without(monkeypatch, "av")
    assert "pip install 'evenodds[video]'" in refused(tmp_path / "a.mp4")


# HDF5 ----------------------------------------------------------------------------------------------------------------


def test_hdf5_has_images_and_labels(tmp_path: Path) -> None:
    x = np.stack([noise(k) for k in range(4)])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["train/x"], file["train/y"] = x, np.array([2, 0, 2, 0]).reshape(4, 1, 1, 1)
        file["train/mask"] = np.zeros((4, 8, 8))
    data = load(tmp_path / "a.h5")
    assert np.array_equal(data.x[1].permute(1, 2, 0).numpy(), x[1])
    assert data.y is not None
    assert (data.classes, data.y.tolist()) == (("0", "2"), [1, 0, 1, 0])
    assert "Took the data set train/x, labels from train/y; there are train/mask, too" in " ".join(data.report)
    assert load(tmp_path / "a.h5", dataset="train/mask").shape == (1, 8, 8)
    assert "no data set of numbers in a.h5 'train/z'" in refused(tmp_path / "a.h5", dataset="train/z")
    for name in ("test/images", "images_test"):
        with h5py.File(tmp_path / "b.h5", "w") as file:
            file[name], file[name.replace("images", "labels")] = x[:1], [b"dog"]
            name = name.replace("test", "train")
            file[name] = x[1:]
            file.create_dataset(name.replace("images", "labels"), data=["cat", "dog", "cat"], dtype=h5py.string_dtype())
        data = load(tmp_path / "b.h5")
        assert data.y is not None
        assert data.apart is not None
        assert np.array_equal(data.x[3].permute(1, 2, 0).numpy(), x[0])
        assert (data.classes, data.y.tolist(), data.apart.tolist()) == (
            ("cat", "dog"),
            [0, 1, 0, 1],
            [False] * 3 + [True],
        )


def test_links_objects_and_data_elsewhere_are_not_read_from_hdf5(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.ones((4, 8, 8))
    (tmp_path / "raw").write_bytes(bytes(4 * 64 * 8))
    virtual = h5py.VirtualLayout((4, 8, 8), float)
    virtual[:] = h5py.VirtualSource(tmp_path / "other.h5", "x", (4, 8, 8))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["link"] = h5py.ExternalLink("other.h5", "/x")
        file["soft"] = h5py.SoftLink("/link")
        file.create_virtual_dataset("virtual", virtual)
        file.create_dataset("outside", (4, 8, 8), float, external=[(str(tmp_path / "raw"), 0, 4 * 64 * 8)])
        file.create_dataset("objects", (4, 8, 8), h5py.string_dtype())
        file.create_dataset("huge", (1 << 30, 1 << 10, 1 << 10), "f4", chunks=(1, 1 << 10, 1 << 10))
    assert "a.h5, huge needs 4,194,304.0 GiB" in refused(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        del file["huge"]
    assert "needs a data set of numbers with 3 or 4 axes, got none" in refused(tmp_path / "a.h5")
    (tmp_path / "b.h5").write_bytes((tmp_path / "other.h5").read_bytes()[:900])
    assert "b.h5 is damaged or no HDF5 file" in refused(tmp_path / "b.h5")
    without(monkeypatch, "h5py")
    assert "pip install 'evenodds[h5]'" in refused(tmp_path / "other.h5")


# Arrays --------------------------------------------------------------------------------------------------------------


def test_arrays_of_64_bits_are_said_to_be_rounded() -> None:
    def rounded(x: np.ndarray) -> bool:
        return any(line.startswith("Rounded numbers of more than 24 bits") for line in load(x).report)

    x = np.arange(4 * 64).reshape(4, 8, 8)
    assert rounded(x + 2**40)
    assert rounded(x / 3)
    assert not rounded(x / 4)
    assert not rounded(x - 9)


@pytest.mark.parametrize("kind", ["npy", "png", "h5", "pairs", "maps"])
def test_options_are_checked_before_files_are_read(kind: str, tmp_path: Path) -> None:
    source = tmp_path if kind in ("pairs", "maps") else tmp_path / f"a.{kind}"
    if kind not in ("pairs", "maps"):
        source.write_bytes(b"damaged")
    options = {"layout": kind} if kind in ("pairs", "maps") else {}
    assert "data.range needs auto" in refused(source, range="wide", **options)
    assert "data.nodata needs a number" in refused(source, nodata="nothing", **options)


# What is ignored -----------------------------------------------------------------------------------------------------


def test_what_is_ignored_is_counted_by_kind_with_what_would_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.h5", "b.h5", "c.npy", ".hidden.png", "d.CR2", "README"):
        (tmp_path / name).write_bytes(b"")
    said = refused(tmp_path)
    assert "holds no images" in said
    assert "HDF5 files are read where one is named itself" in said
    (tmp_path / "1.png").write_bytes(png(1))
    monkeypatch.setattr("evenodds.data.folders.ignored.installed", dict)
    report = load(tmp_path).report
    kinds = "2 .h5 (a.h5, b.h5), 1 .cr2 (d.CR2), 1 .npy (c.npy), 1 hidden (.hidden.png), 1 without an ending (README)"
    assert f"Ignored 6 files hidden or not images: {kinds}." in report
    assert any("HDF5" in line and line.endswith("pip install 'evenodds[h5]'.") for line in report)
    assert "Raw photos are read where a program has made TIFF or JPEG files of them." in report


# Lists ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", ["\t", ",", " ", "; "])
def test_lists_of_paths_with_labels(cut: str, tmp_path: Path) -> None:
    (tmp_path / "my photos").mkdir()
    for k in range(4):
        (tmp_path / "my photos" / f"a {k}.png").write_bytes(png(k))
    names = [f"./my photos/a {k}.png" for k in (2, 0, 1)] + [str(tmp_path / "my photos" / "a 3.png")]
    lines = [f"{name}{cut}{label}" for name, label in zip(names, ["cat", "big dog", "cat", "cat"], strict=True)]
    (tmp_path / "list.txt").write_text("\n".join(["# a list", *lines, "", lines[0]]))
    data = load(tmp_path / "list.txt")
    assert data.names == ("my photos/a 2.png", "my photos/a 0.png", "my photos/a 1.png", "my photos/a 3.png")
    assert data.y is not None
    assert (data.classes, data.y.tolist()) == (("big dog", "cat"), [1, 0, 1, 1])
    assert np.array_equal(data.x[0].permute(1, 2, 0).numpy(), noise(2))
    (tmp_path / "plain.txt").write_text("\n".join(names))
    assert load(tmp_path / "plain.txt").y is None


def test_lists_lead_nowhere_else(tmp_path: Path) -> None:
    for folder in ("secret", "lists", "lists/in"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.png").write_bytes(png(1))
    (tmp_path / "lists" / "link.png").symlink_to(tmp_path / "secret" / "1.png")
    lines = ["in/1.png", "../secret/1.png", str(tmp_path / "secret" / "1.png"), "link.png", "gone.png", "C:\\x\\1.png"]
    (tmp_path / "lists" / "a.txt").write_text("\n".join([*lines, "hello"]))
    data = load(tmp_path / "lists" / "a.txt")
    assert data.names == ("in/1.png",)
    (line,) = (line for line in data.report if line.startswith("Skipped 6 files"))
    assert line.count("it lies outside of the list's folder; data.root=FOLDER names one in which all lie") == 3
    (tmp_path / "lists" / "b.txt").write_text("secret/1.png\nlists/in/1.png\n")
    assert "none of 2 images" in refused(tmp_path / "lists" / "b.txt")
    assert len(load(tmp_path / "lists" / "b.txt", root=tmp_path)) == 2
    assert "data.root needs a folder" in refused(tmp_path / "lists" / "b.txt", root=tmp_path / "no")
    (tmp_path / "lists" / "c.txt").write_text("")
    assert "lists no image" in refused(tmp_path / "lists" / "c.txt")


# Pairs and maps ------------------------------------------------------------------------------------------------------


def test_numbers_may_be_of_pairs_and_have_maps(tmp_path: Path) -> None:
    for folder in ("i/images", "i/masks", "a/A", "a/B"):
        (tmp_path / folder).mkdir(parents=True)
    for k in range(4):
        write_dicom(tmp_path / "i" / "images" / f"{k}.dcm", slices(k), RescaleIntercept="-1024")
        mask = Image.fromarray((noise(k, (8, 9)) > 99).astype(np.uint8))
        mask.save(tmp_path / "i" / "masks" / f"{k}.png")
        tifffile.imwrite(tmp_path / "a" / "A" / f"{k}.tif", field(k, "float32"))
        tifffile.imwrite(tmp_path / "a" / "B" / f"{k}.tif", field(k + 9, "int16"))
    maps = load(tmp_path / "i", layout="maps")
    assert np.array_equal(maps.x[2, 0].numpy(), slices(2) - 1024.0)
    pairs = load(tmp_path / "a", layout="pairs")
    assert np.array_equal(pairs.x[1, 0].numpy(), field(10, "int16"))
    assert np.array_equal(pairs.beside["source"].values[1, 0].numpy(), field(1, "float32"))
    tifffile.imwrite(tmp_path / "a" / "A" / "3.tif", noise(3, (8, 8)))
    assert "the sources are of several kinds" in refused(tmp_path / "a", layout="pairs")
