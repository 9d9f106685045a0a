"""Every kind of file that data come in: what is made of each, what is said of it, and what is refused."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from evenodds.data.sources import load
from evenodds.errors import BadInput
from evenodds.files import tars


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
    assert "Took the classes from the column label; labels=false leaves them out." in data.report


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
    assert np.array_equal(left.x[0].permute(1, 2, 0).numpy(), noise(1))
    assert "no column of images in a.parquet 'name'" in refused(tmp_path / "a.parquet", column="name")
    pyarrow.parquet.write_table(pyarrow.table({"a": [1.0]}), tmp_path / "b.parquet")
    (tmp_path / "c.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:400])
    assert "no column of images" in refused(tmp_path / "b.parquet")
    assert "damaged or no parquet file" in refused(tmp_path / "c.parquet")
