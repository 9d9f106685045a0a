"""Data in memory = data that are read when asked for = data in shards: the same items, batches, facts and runs."""

import io
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from evenodds.data.batches import Batches
from evenodds.data.dataset import Dataset
from evenodds.data.items import Pending, Taken
from evenodds.data.packing import pack
from evenodds.data.pictures.fitting import unread_all
from evenodds.data.sources import load
from evenodds.evaluation.evaluate import evaluate
from evenodds.files.kept import caching
from evenodds.game.slices import Slice, own_rows
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.priors import Normal
from evenodds.runs.changes import with_settings
from evenodds.runs.config import Config
from evenodds.runs.config_files import recipe
from evenodds.runs.run import resume, start
from evenodds.tasks.condition import Condition
from evenodds.tasks.contest import Contest
from evenodds.tasks.fill import Fill
from evenodds.tasks.generate import Generate
from tests.twins.test_resume import StopAt

RNG = np.random.default_rng(0)
N = 13


@pytest.fixture(autouse=True)
def _(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENODDS_CACHE", str(tmp_path / "cache"))


def png(pixels: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def folder(root: Path, pixels: Callable[[int], np.ndarray[Any, Any]]) -> Path:
    """Classes, parts to train and to test on, names with dots, and a damaged file."""
    for k in range(N):
        path = root / ("test" if k % 5 == 0 else "train") / "ab"[k % 2] / f"{k}.x.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(pixels(k)))
    (root / "train" / "a" / "broken.png").write_bytes(b"no image")
    return root


def coloured(root: Path) -> Path:
    return folder(root, lambda k: RNG.integers(0, 256, (9 + k % 3, 8, 3), np.uint8))


def mixed(root: Path) -> Path:
    """Colour with alpha, and grey."""
    return folder(root, lambda k: RNG.integers(0, 256, (9, 8, 4) if k % 3 else (9, 8), np.uint8))


def deep(root: Path) -> Path:
    return folder(root, lambda k: RNG.integers(0, 4000, (9, 8 + k % 2)).astype(np.uint16))


def paired(root: Path) -> Path:
    for k in range(N):
        for name, side in (("source", 8), ("target", 16)):
            (root / name).mkdir(parents=True, exist_ok=True)
            (root / name / f"{k}.png").write_bytes(png(RNG.integers(0, 256, (side, side, 3), np.uint8)))
    return root


def frames(root: Path) -> Path:
    root.mkdir(parents=True)
    for name, n in (("x.tif", 9), ("y.tif", 4)):
        first, *others = (Image.fromarray(RNG.integers(0, 256, (8, 8, 3), np.uint8)) for _ in range(n))
        first.save(root / name, save_all=True, append_images=others)
    return root


def archive(root: Path, kind: str) -> Path:
    return Path(shutil.make_archive(str(root), kind, coloured(root)))


def table(root: Path) -> Path:
    """Two tables, the latter in the format of Arrow that has no index, in small groups of rows."""
    root.mkdir(parents=True)
    rows = [{"bytes": png(RNG.integers(0, 256, (9, 8, 3), np.uint8)), "path": None} for _ in range(N)]
    every = pyarrow.table({"image": rows, "label": ["ab"[k % 2] for k in range(N)]})
    pyarrow.parquet.write_table(every.slice(0, 7), root / "a.parquet", row_group_size=5)
    with pyarrow.OSFile(str(root / "b.arrow"), "wb") as file, pyarrow.ipc.new_stream(file, every.schema) as writer:
        writer.write_table(every.slice(7), max_chunksize=4)
    return root


PLAIN = {"range": "0,5000", "nodata": "none"}
READINGS: dict[str, tuple[Callable[[Path], Path], dict[str, Any]]] = {
    "colour": (coloured, {}),
    "smaller": (coloured, {"size": 6}),
    "padded": (coloured, {"size": (7, 5), "fit": "pad"}),
    "tiles": (coloured, {"size": 4, "fit": "tiles"}),
    "mixed": (mixed, {}),
    "alpha": (mixed, {"channels": 4}),
    "16 bits": (deep, PLAIN),
    "16 bits, padded": (deep, {"size": 12, "fit": "pad"} | PLAIN),
    "pairs": (paired, {"layout": "pairs"}),
    "smaller pairs": (paired, {"layout": "pairs", "size": 8}),
    "frames": (frames, {}),
    "zip": (lambda root: archive(root, "zip"), {}),
    "tar": (lambda root: archive(root, "tar"), {}),
    "tables": (table, {}),
}


def same(held: Dataset, read: Dataset) -> None:
    assert held.items is None
    assert read.items is not None
    for name in ("units", "names", "classes", "shape"):
        assert getattr(held, name) == getattr(read, name), name
    for name in ("y", "apart"):
        one, other = getattr(held, name), getattr(read, name)
        assert (one is None and other is None) or torch.equal(one, other), name
    assert held.fingerprint() == read.fingerprint()
    assert held.facts.blocks == read.facts.blocks
    assert torch.equal(held.facts.sums, read.facts.sums)
    assert read.in_memory().fingerprint() == held.fingerprint()
    one, other = (Batches(data, None, 7, 3) for data in (held, read))
    for position in (0, 7, 14, 70, 21):  # forwards, and as after a resume
        batches = one.at(position), other.at(position)
        assert batches[0].keys() == batches[1].keys()
        assert all(torch.equal(batches[0][name], batches[1][name]) for name in batches[0])
        assert batches[0]["x"].stride() == batches[1]["x"].stride()
    _same_of_two_processes(read)
    some = torch.tensor([3, 1, 5])
    assert torch.equal(*(data.take(some).batch(torch.tensor([2, 0]))["x"] for data in (held, read)))


def _same_of_two_processes(read: Dataset) -> None:
    """Each process reads the rows that it plays, and no others; the hand that it plays is that of the whole batch."""
    asked: list[int] = []
    items, whole = read.items, Batches(read, None, 7, 3)
    assert items is not None

    class Watched(Taken):
        def start(self, index: Sequence[int]) -> Pending:
            asked.extend(index)
            return super().start(index)

    watched = replace(read, items=Watched(items, torch.arange(len(read))))
    contest = Contest(non_saturating)
    tasks = [Generate(Normal(4), contest)] + (
        [Condition(Normal(4), contest, length=len(read.classes))] if read.y is not None else []
    )
    for rank, accumulate in ((0, 1), (1, 1), (1, 2)):
        asked.clear()
        rows = own_rows(7, rank, 2, accumulate)
        mine, all_of_it = Batches(watched, None, 7, 3, rows=rows).at(14), whole.at(14)
        assert set(whole.indices(14)[rows].tolist()) <= set(asked)
        assert len(asked) % len(rows) == 0
        for task in tasks:
            assert task.deals_apart
            hands = [task.deal(batch, torch.Generator().manual_seed(1)) for batch in (mine, all_of_it)]
            for k in range(accumulate):
                one = Slice(rank * accumulate + k, 2 * accumulate, 7)
                ours, theirs = (one.taken(hand) for hand in hands)
                assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_tasks_that_draw_items_anew_promise_nothing() -> None:
    assert not Condition(Normal(4), Contest(non_saturating), length=3, balance="classes").deals_apart
    assert Fill.deals_apart is Generate.deals_apart
    assert Fill.deal is not Generate.deal


@pytest.mark.parametrize("name", READINGS)
def test_items_that_are_read_when_asked_for_are_those_in_memory(name: str, tmp_path: Path) -> None:
    make, options = READINGS[name]
    place = make(tmp_path / "data")
    same(load(place, **options), load(place, memory="2kB", **options))


PACKINGS = [(name, False) for name in ("colour", "smaller", "mixed", "16 bits", "pairs", "frames", "zip", "tables")]
PACKINGS += [(name, True) for name in ("padded", "tiles", "smaller pairs")]


@pytest.mark.parametrize(("name", "brought"), PACKINGS)
def test_shards_hold_the_items_of_the_data(name: str, brought: bool, tmp_path: Path) -> None:
    make, options = READINGS[name]
    place, shards = make(tmp_path / "data"), tmp_path / "shards"
    at_packing = {key: options[key] for key in ("size", "fit") if brought and key in options}
    at_packing |= {"layout": options["layout"]} if "layout" in options else {}
    pack(place, shards, shard="20kB", **at_packing)
    held, options = load(place, **options), {key: value for key, value in options.items() if key not in ("size", "fit")}
    options |= {} if brought else {key: READINGS[name][1][key] for key in ("size", "fit") if key in READINGS[name][1]}
    same(held, load(shards, memory="2kB", **options))
    assert load(shards, **options).fingerprint() == held.fingerprint()


def test_maps_are_packed_with_their_classes(tmp_path: Path) -> None:
    for k in range(6):
        image, labels = RNG.integers(0, 256, (8, 8, 3), np.uint8), RNG.integers(3, 6, (8, 8))
        for name, pixels in (("images", image), ("masks", labels)):
            (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
            (tmp_path / "data" / name / f"{k}.png").write_bytes(png(pixels.astype(np.uint8)))
    pack(tmp_path / "data", tmp_path / "shards", layout="maps")
    held = load(tmp_path / "data", layout="maps")
    same(held, read := load(tmp_path / "shards", layout="maps", memory="1kB"))
    assert read.beside["labels"].palette == held.beside["labels"].palette


def test_arrays_are_packed_under_their_places(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=RNG.integers(0, 256, (N, 7, 7), np.uint8), y=np.arange(N) % 3)
    pack(tmp_path / "x.npz", tmp_path / "shards")
    assert load(tmp_path / "shards").fingerprint() == load(tmp_path / "x.npz").fingerprint()


def settings(data: Path, **more: Any) -> Config:
    small = {"images": 32, "batch": 8, "device": "cpu", "threads": 1, "precision": "float32", "penalty_weight": 1.0}
    small |= {"generator.width": 8, "discriminator.width": 8, "task": "generate", "watch": "off", "views": "flip"}
    small |= {"evaluate_share": 1.0, "save_share": 1.0}
    return with_settings(recipe("digits"), small | {"data": str(data), "size": 8, "simultaneous": False, **more})


def test_a_run_from_shards_has_the_bits_of_one_in_memory_and_goes_on_with_them(tmp_path: Path) -> None:
    place = coloured(tmp_path / "data")
    pack(place, tmp_path / "shards", size=8)
    runs = tmp_path / "held", tmp_path / "read"
    start(settings(place), out=runs[0])
    start(settings(tmp_path / "shards", **{"data.memory": "1kB"}), out=runs[1], listeners=[StopAt(16)])
    resume(runs[1])
    files = [sorted(run.glob("checkpoints/*32/*.safetensors")) for run in runs]
    assert [file.name for file in files[0]] == [file.name for file in files[1]]
    assert all(one.read_bytes() == other.read_bytes() for one, other in zip(*files, strict=True))
    report = json.loads((runs[1] / "data.json").read_text())["report"]
    assert any("Read when asked for" in line for line in report)
    resume(runs[0], settings={"images": 40}, data=tmp_path / "shards")  # the same data in another form


def test_what_was_found_out_of_all_items_is_noted_for_the_next_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evenodds.data.cache._SETTLED", -60.0)
    place = coloured(tmp_path / "data")
    with caching():
        first = load(place, memory="2kB", size=6)
        fingerprint = first.fingerprint()
        monkeypatch.setattr("evenodds.data.pictures.fitting.each", lambda *_: pytest.fail("decoded again"))
        again = load(place, memory="2kB", size=6)
        monkeypatch.setattr("evenodds.data.dataset.facts_of", lambda *_: pytest.fail("looked through again"))
        assert again.fingerprint() == fingerprint


def test_packed_in_the_size_of_the_run_nothing_is_looked_through_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(coloured(tmp_path / "data"), tmp_path / "shards", size=6)
    monkeypatch.setattr("evenodds.data.pictures.fitting.each", lambda *_: pytest.fail("decoded"))
    monkeypatch.setattr("evenodds.data.dataset.facts_of", lambda *_: pytest.fail("looked through"))
    with unread_all():
        assert len(load(tmp_path / "shards", size=6).fingerprint()) == 64


def test_an_evaluation_looks_at_a_part_of_what_does_not_fit_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples, data = load(coloured(tmp_path / "samples"), size=8), coloured(tmp_path / "data")

    def judged(**options: Any) -> dict[str, Any]:
        real = load(data, size=8, **options)
        wanted = ["kernel", "memorisation"]
        return dict(evaluate(samples, real, train=real, metrics=wanted, features="pixels").content)

    held, read = judged(), judged(memory="2kB")
    assert (held["scores"], held["memorisation"]) == (read["scores"], read["memorisation"])
    assert "fit into memory" not in read["reference"]["role"]
    monkeypatch.setattr("evenodds.evaluation.material.FLOOR_ITEMS", 2)
    told = judged(memory="2kB")["reference"]["role"]
    assert "as all do not fit into memory, evenly spread: 2 of 5 items to fit judges on" in told


def test_decoded_items_take_no_more_than_half_of_the_memory(tmp_path: Path) -> None:
    read: Any = load(coloured(tmp_path / "data"), memory="3kB", size=8)
    for _ in read.parts():
        pass
    kept = sum(values.nbytes for item in read.items._kept.values() for values in item.values())
    assert 0 < kept <= 1500
