"""Images that were kept as decoded are those of the files, bit for bit, and only taken where no file has changed."""

import json
import os
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from evenodds.cli import main
from evenodds.data import cache, sources
from evenodds.data.dataset import Dataset
from evenodds.data.readers import images
from evenodds.data.sources import load
from evenodds.errors import BadInput
from evenodds.files import kept
from evenodds.files.kept import caching
from evenodds.files.tensors import read_tensors_and_words, write_tensors

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cache. Reading always pays, and files count as settled at once."""
    monkeypatch.setenv("EVENODDS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kept, "WORTH", 0.0)
    monkeypatch.setattr(cache, "_SETTLED", -60.0)
    return tmp_path / "cache" / "data"


def picture(path: Path, *shape: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, shape or (8, 9, 3), np.uint8)).save(path)


def by_class(root: Path) -> Path:
    for k in range(6):
        picture(root / "ab"[k % 2] / f"{k}.png")
    (root / "a" / "broken.png").write_bytes(b"no image")
    return root


def with_values(root: Path) -> Path:
    for k in range(4):
        picture(root / f"{k}.png")
    (root / "labels.csv").write_text("file,class,angle\n" + "".join(f"{k}.png,{'cd'[k % 2]},{k}.5\n" for k in range(4)))
    return root


def packed(root: Path) -> Path:
    folder = by_class(root)
    with zipfile.ZipFile(root.with_suffix(".zip"), "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, path.relative_to(folder))
    return root.with_suffix(".zip")


def in_pairs(root: Path) -> Path:
    for k in range(4):
        picture(root / "source" / f"{k}.png")
        picture(root / "target" / f"{k}.png", 16, 18, 3)
    return root


def with_maps(root: Path) -> Path:
    for k in range(4):
        picture(root / "images" / f"{k}.png")
        (root / "labels").mkdir(exist_ok=True)
        Image.fromarray(RNG.integers(0, 3, (8, 9), np.uint8)).save(root / "labels" / f"{k}.png")
    return root


def deep(root: Path) -> Path:
    root.mkdir(parents=True)
    for k in range(3):
        Image.fromarray(RNG.integers(0, 65536, (8, 9)).astype(np.uint16)).save(root / f"{k}.png")
    return root


READINGS: dict[str, tuple[Callable[[Path], Path], dict[str, object]]] = {
    "classes": (by_class, {}),
    "options": (by_class, {"size": (4, 5), "channels": 1, "fit": "pad"}),
    "values": (with_values, {}),
    "archive": (packed, {}),
    "tiles": (by_class, {"size": 4, "fit": "tiles"}),
    "16 bits": (deep, {}),
    "pairs": (in_pairs, {"layout": "pairs"}),
    "unpaired": (in_pairs, {"layout": "unpaired"}),
    "maps": (with_maps, {"layout": "maps"}),
}


def same(one: Dataset, other: Dataset) -> bool:
    tensors = [(one.x, other.x), (one.y, other.y), (one.c, other.c), (one.groups, other.groups)]
    tensors += [(one.beside[name].values, other.beside[name].values) for name in one.beside]
    for a, b in tensors:
        if (a is None) != (b is None) or (a is not None and b is not None and not torch.equal(a, b)):
            return False
        if a is not None and b is not None and (a.stride(), a.dtype) != (b.stride(), b.dtype):
            return False
    plain = ("units", "classes", "names", "kind", "conditions", "report", "columns")
    if [getattr(one, name) for name in plain] != [getattr(other, name) for name in plain]:
        return False
    words = [{name: (of.units, of.palette) for name, of in data.beside.items()} for data in (one, other)]
    return words[0] == words[1] and one.fingerprint() == other.fingerprint()


def decodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with every picture that is decoded."""
    decoded: list[int] = []
    inner = images.decode_any

    def watched(*arguments: object) -> object:
        decoded.append(1)
        return inner(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(images, "decode_any", watched)
    return decoded


@pytest.mark.parametrize("name", READINGS)
def test_what_is_taken_is_what_was_read(name: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, options = READINGS[name]
    source = make(tmp_path / "in")
    said: list[str] = []
    with caching(False):
        plain = load(source, **options)
    assert not home.exists()
    with caching(say=said.append):
        first = load(source, **options)
        (place,) = home.iterdir()
        second = load(source, **options)
    assert same(first, plain)
    assert same(second, plain)
    known = vars(second)["facts"]  # as kept, not found out again: no pass through all values
    assert known[:2] == plain.facts[:2]
    assert torch.equal(known.sums, plain.facts.sums)
    assert torch.equal(known.plain, plain.facts.plain)
    assert [str(place) in line and "--no-cache" in line for line in said] == [True, True]
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    monkeypatch.setattr(kept, "taken", lambda place, words: pytest.fail("the cache was looked at"))
    with caching(False):
        load(source, **options)


def test_nothing_is_decoded_the_second_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, decoded = by_class(tmp_path / "in"), decodes(monkeypatch)
    load(source)
    assert len(decoded) == 7
    load(source)
    assert len(decoded) == 7
    load(source, channels=1)
    assert len(decoded) == 14


CHANGES: dict[str, Callable[[Path], object]] = {
    "another content": lambda root: picture(root / "a" / "0.png"),
    "a new file": lambda root: picture(root / "a" / "new.png"),
    "a file less": lambda root: (root / "a" / "0.png").unlink(),
    "another name": lambda root: (root / "a" / "0.png").rename(root / "a" / "9.png"),
    "another time": lambda root: os.utime(root / "a" / "0.png", ns=(1, 1)),
    "a new table": lambda root: (root / "labels.csv").write_text("file,class\na/0.png,z\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_files_are_read_anew(change: str, tmp_path: Path, home: Path) -> None:
    source = by_class(tmp_path / "in")
    load(source)
    CHANGES[change](source)
    with caching(False):
        plain = load(source)
    assert same(load(source), plain)
    assert len(list(home.iterdir())) == 1  # The older one was replaced.


def test_a_replaced_file_of_equal_size_and_time_is_seen(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for k in range(2):
        Image.new("RGB", (9, 8), (k, 0, 0)).save(source / f"{k}.bmp")
    load(source)
    before = (source / "0.bmp").stat()
    Image.new("RGB", (9, 8), (77, 0, 0)).save(source / "0.bmp")
    os.utime(source / "0.bmp", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (source / "0.bmp").stat().st_size == before.st_size
    assert int(load(source).x[0, 0, 0, 0]) == 77


def flipped(place: Path) -> None:
    content = bytearray(place.read_bytes())
    content[-5] ^= 1
    place.write_bytes(content)


def reworded(place: Path, others: dict[str, torch.Tensor] | None = None, **changes: object) -> None:
    tensors, words = read_tensors_and_words(place)
    tensors = others or {name: tensor.clone() for name, tensor in tensors.items()}
    write_tensors(tensors, place, {**words, "text": json.dumps({**json.loads(words["text"]), **changes})})


def linked(place: Path) -> None:
    place.rename(place.with_suffix(".other"))
    place.symlink_to(place.with_suffix(".other"))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda place: place.write_bytes(place.read_bytes()[:-9]),
    "a bit": flipped,
    "empty": lambda place: place.write_bytes(b""),
    "no safetensors": lambda place: place.write_bytes(b"x" * 1000),
    "foreign": lambda place: save_file({"x": torch.zeros(3)}, place),
    "foreign numbers": lambda place: reworded(place, {"x": torch.zeros(3, dtype=torch.bfloat16)}),
    "other words": lambda place: reworded(place, names=["evil"] * 6),
    "other types": lambda place: reworded(place, names=7),
    "a link": linked,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_written_anew(damage: str, tmp_path: Path, home: Path) -> None:
    source = by_class(tmp_path / "in")
    plain = load(source)
    place = next(home.iterdir())
    words = read_tensors_and_words(place)[1]
    DAMAGES[damage](place)
    assert same(load(source), plain)
    assert read_tensors_and_words(place)[1] == words
    assert same(load(source), plain)
    assert not place.is_symlink()


def test_that_of_another_version_is_written_anew(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, decoded = by_class(tmp_path / "in"), decodes(monkeypatch)
    load(source)
    monkeypatch.setattr(cache, "__version__", "0.0.1")
    load(source)
    assert len(decoded) == 14


def test_the_oldest_goes_first(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources_of = [by_class(tmp_path / name) for name in "abc"]
    for k, source in enumerate(sources_of[:2]):
        load(source)
        for place in home.iterdir():
            if place.stat().st_mtime > 1000:
                os.utime(place, (k, k))
    first, second = sorted(home.iterdir(), key=lambda place: place.stat().st_mtime)
    size = first.stat().st_size
    monkeypatch.setenv("EVENODDS_CACHE_GIB", str(2.5 * size / 2**30))
    load(sources_of[0])  # Used again, so that the other one is the oldest.
    load(sources_of[2])
    assert first.exists()
    assert not second.exists()
    assert len(list(home.iterdir())) == 2
    monkeypatch.setenv("EVENODDS_CACHE_GIB", "0")
    load(sources_of[1])
    assert not second.exists()
    monkeypatch.setenv("EVENODDS_CACHE_GIB", "much")
    with pytest.raises(BadInput, match="EVENODDS_CACHE_GIB"):
        load(sources_of[1])


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path, home: Path) -> None:
    home.parent.write_text("a file in the place of the folder")
    assert len(load(by_class(tmp_path / "in"))) == 6


def test_files_that_change_while_they_are_read_are_not_kept(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = by_class(tmp_path / "in")
    load(source, progress=lambda done, total: picture(source / "a" / "0.png"))
    assert not home.exists()
    monkeypatch.setattr(cache, "_SETTLED", 60.0)  # Changed so lately that another change might have the same time.
    load(source)
    monkeypatch.setattr(kept, "WORTH", 60.0)  # Read so fast that nothing is gained.
    load(source)
    assert not home.exists()


def test_a_copy_in_another_place_is_read_for_itself(tmp_path: Path, home: Path) -> None:
    source = by_class(tmp_path / "in")
    load(source)
    shutil.copytree(source, tmp_path / "copy")
    load(tmp_path / "copy")
    assert len(list(home.iterdir())) == 2


def test_tables_and_single_images_are_not_kept(tmp_path: Path, home: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n")
    load(tmp_path / "t.csv")
    picture(tmp_path / "a.png")
    load(tmp_path / "a.png")
    assert sources.load("digits", size=8) if "size" in sources.options_of("digits") else True
    assert not home.exists()


def test_a_run_is_the_same_with_and_without(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = by_class(tmp_path / "in")
    short = ["--images", "8", "--device", "cpu", "--quiet", "--set", "batch=4", "size=8", "generator.width=8"]
    short += ["discriminator.width=8", "watch=off", "held_out=0.2", "task=generate"]
    runs = {"no": ["--no-cache"], "first": [], "second": []}
    said = {}
    for name, flags in runs.items():
        assert main(["train", "gray-28", "--data", str(source), "--out", str(tmp_path / name), *short, *flags]) == 0
        said[name] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("images:")]
    assert said["no"] == []
    assert ["kept as decoded" in line for line in said["first"]] == [True]
    assert ["as decoded before" in line for line in said["second"]] == [True]
    files = [path.relative_to(tmp_path / "no") for path in sorted((tmp_path / "no").rglob("*.safetensors"))]
    assert files
    for name in ("first", "second"):
        for file in files:
            assert (tmp_path / name / file).read_bytes() == (tmp_path / "no" / file).read_bytes()
        assert (tmp_path / name / "data.json").read_text() == (tmp_path / "no" / "data.json").read_text()
