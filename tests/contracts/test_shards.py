"""Folders of shards: what is packed is plain, and what is damaged, missing or changed is named in one line."""

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from evenodds.cli import main
from evenodds.data.packing import pack
from evenodds.data.peek import Glimpse, peek
from evenodds.data.shard_index import INDEX, read_index
from evenodds.data.sources import load
from evenodds.errors import BadInput
from evenodds.files.tensors import read_tensors_and_words

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("packed")
    for k in range(12):
        path = root / "data" / "ab"[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (8, 8, 3), np.uint8)).save(path)
    pack(root / "data", root / "shards", shard="12kB")
    return root


@pytest.fixture
def copy(packed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(packed / "shards", tmp_path / "shards"))


def test_shards_are_tars_with_the_files_as_they_are_and_their_classes(packed: Path) -> None:
    shards, files = read_index(packed / "shards"), dict[str, bytes]()
    assert len(shards.card.shards) > 1
    for name, size in shards.card.shards.items():
        assert size <= 12_000
        with tarfile.open(packed / "shards" / name) as archive:
            for member in archive:
                content = archive.extractfile(member)
                assert content is not None
                files[member.name] = content.read()
    assert {name for name in files if name.endswith(".png")} == set(shards.names)
    for k, name in enumerate(shards.names):
        assert files[name] == shards.read(k, 0) == (packed / "data" / name).read_bytes()
        assert files[name.replace(".png", ".cls")] == (b"0" if name.startswith("a") else b"1")


def test_the_headers_of_shards_choose_a_recipe(packed: Path) -> None:
    assert peek(str(packed / "shards")) == Glimpse(12, (3, 8, 8))


def changed(folder: Path) -> None:
    shard = folder / "shard-000001.tar"
    content = bytearray(shard.read_bytes())
    content[600] ^= 1
    shard.write_bytes(content)


def cut(folder: Path) -> None:
    (folder / "shard-000001.tar").write_bytes((folder / "shard-000001.tar").read_bytes()[:-512])


def rewritten(folder: Path, old: str, new: str) -> None:
    """The index with other words."""
    tensors, words = read_tensors_and_words(folder / INDEX)
    save_file(tensors, folder / INDEX, {**words, "card": words["card"].replace(old, new)})


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "changed": (changed, "shard-000001.tar is damaged, or was changed since its index was written: the bytes of '"),
    "cut": (cut, r"shard-000001.tar has [\d,]+ bytes, and had [\d,]+ when its index was written"),
    "missing": (lambda folder: (folder / "shard-000001.tar").unlink(), "shard-000001.tar is missing"),
    "half an index": (lambda folder: (folder / INDEX).write_bytes((folder / INDEX).read_bytes()[:-9]), "safetensors"),
    "other words": (lambda folder: rewritten(folder, '"a"', '"c"'), f"{INDEX} is damaged: its checksum"),
    "a later version": (lambda folder: rewritten(folder, '"format": 1', '"format": 2'), "is of a later version"),
    "no index": (lambda folder: save_file({"x": torch.zeros(1)}, folder / INDEX), "no index of shards"),
}


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("memory", ["1kB", "1GB"])
def test_damaged_shards_are_named(name: str, memory: str, copy: Path) -> None:
    damage, said = DAMAGES[name]
    damage(copy)
    with pytest.raises(BadInput, match=said) as caught:
        list(load(copy, memory=memory).parts())
    assert str(copy) in str(caught.value)


def test_an_index_leads_to_no_file_outside(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evenodds.data.shard_index._sum", lambda *_: 0)
    tensors, words = read_tensors_and_words(copy / INDEX)
    card = words["card"].replace("shard-000001.tar", "../shard-000001.tar")
    save_file(tensors, copy / INDEX, {"card": card, "sum": "0"})
    (copy.parent / "shard-000001.tar").write_bytes((copy / "shard-000001.tar").read_bytes())
    with pytest.raises(BadInput, match="which is no name of a file"):
        load(copy)
    tensors["places"][0, 0, 2] = 1 << 40
    save_file(tensors, copy / INDEX, {**words, "sum": "0"})
    with pytest.raises(BadInput, match="no index of shards"):
        load(copy)


def test_nothing_is_packed_over_or_into_what_is_there(packed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, shards = str(packed / "data"), packed / "shards"
    before = {path.name: path.read_bytes() for path in shards.iterdir()}
    assert main(["pack", data, str(shards)]) == 2
    assert "is there already and is left as it is" in capsys.readouterr().err
    assert main(["pack", data, str(packed / "data" / "shards")]) == 2
    assert "would lie in the data" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in shards.iterdir()} == before
    assert not (packed / "data" / "shards").exists()


def test_packing_says_what_was_packed_and_what_to_type_next(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pack", str(packed / "data"), str(tmp_path / "s"), "--size", "4", "--set", "data.channels=1"]) == 0
    said = capsys.readouterr()
    assert said.out.split() == [str(tmp_path / "s")]
    assert "packed 12 items in 1 shard" in said.err
    assert load(tmp_path / "s").shape == (1, 4, 4)
    for words, needed in ((["--size", "x"], "--size needs"), (["--shard", "x"], "--shard needs a size such as 256MB")):
        assert main(["pack", str(packed / "data"), str(tmp_path / "t"), *words]) == 2
        assert needed in capsys.readouterr().err
    with pytest.raises(BadInput, match="holds images, and pairs are wanted"):
        load(packed / "shards", layout="pairs")
    with pytest.raises(BadInput, match=r"data\.memory needs a size such as 1GB"):
        load(packed / "shards", memory="much")
