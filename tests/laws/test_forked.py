"""Work in forked processes: the results are those of one process, in order, whatever becomes of the others."""

import os
import signal
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evenodds.data.facts import digests
from evenodds.data.pictures import queue
from evenodds.data.pictures.forked import can_fork, forked
from evenodds.data.pictures.message import packed, unpacked
from evenodds.data.pictures.partners import Partners
from evenodds.data.pictures.picture import DecodedImage
from evenodds.data.sources import load

pytestmark = pytest.mark.skipif(not can_fork(), reason="processes are forked on Linux alone")


def ended(process: int) -> bool:
    """Whether a process is gone; this one has waited for its own."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("processes", [1, 2, 3, 9])
@pytest.mark.parametrize("groups", [0, 1, 2, 7])
def test_results_come_in_order(processes: int, groups: int) -> None:
    jobs = [list(range(10 * k, 10 * k + 3)) for k in range(groups)]
    assert list(forked(lambda job: job * job, jobs, processes)) == [[job * job for job in group] for group in jobs]


def test_work_is_done_elsewhere_and_no_process_is_left() -> None:
    ids = {process for group in forked(lambda _: os.getpid(), [[0]] * 6, 2) for process in group}
    assert len(ids) == 2
    assert os.getpid() not in ids
    assert all(map(ended, ids))


def test_who_stops_early_leaves_no_process() -> None:
    with closing(forked(lambda _: (os.getpid(), bytes(1 << 20)), [[0]] * 50, 2)) as results:
        ids = [next(results)[0][0], next(results)[0][0]]
    assert all(map(ended, ids))


@pytest.mark.parametrize("how", ["killed", "raising"])
def test_what_a_process_did_not_do_is_done_here(how: str) -> None:
    home = os.getpid()

    def work(job: int) -> int:
        if job == 4 and os.getpid() != home:
            if how == "raising":
                raise MemoryError
            os.kill(os.getpid(), signal.SIGKILL)
        return job

    assert list(forked(work, [[k] for k in range(8)], 2)) == [[k] for k in range(8)]


@pytest.mark.parametrize("packed", [False, True])
def test_images_are_those_of_one_process(packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, archive = tmp_path / "images", tmp_path / "images.zip"
    for k in range(100):
        path = folder / "ab"[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 8), (k, 2 * k, 255 - k)).save(path)
    (folder / "a" / "broken.png").write_bytes(b"no image")
    with zipfile.ZipFile(archive, "w") as entries:
        for path in sorted(folder.rglob("*.png")):
            entries.write(path, path.relative_to(folder))
    source = archive if packed else folder
    alone = load(source)
    monkeypatch.setattr(queue, "_MANY", 1)
    monkeypatch.setattr(queue, "cores", lambda: [0, 1, 2])
    asked: list[int] = []

    def watched(work: object, groups: list[list[object]]) -> object:
        asked.append(len(groups))
        return forked(work, groups, 3)  # type: ignore[arg-type]

    monkeypatch.setattr(queue, "forked", watched)
    told: list[tuple[int, int]] = []
    together = load(source, progress=lambda done, total: told.append((done, total)))
    assert asked == [3]
    assert told[-1] == (101, 101)
    assert torch.equal(together.x, alone.x)
    assert (together.fingerprint(), together.names, together.report) == (alone.fingerprint(), alone.names, alone.report)


def test_messages_hold_what_was_packed() -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (3, 4, 2)).astype(np.uint16)
    whole = DecodedImage("\udce9.png", pixels[::-1], (3, 4), 6, True, True, {0: (1, 2, 3)}, "P", b"\0profile")
    values = ["damaged", whole, Partners("a", whole, DecodedImage("b", pixels[:0].astype(np.int16), (0, 4))), (1, None)]
    text, image, partners, pair = unpacked(packed(values))
    assert (text, pair) == ("damaged", (1, None))
    for one, before in ((image, whole), (partners.first, whole), (partners.second, values[2].second)):  # type: ignore[attr-defined]
        assert isinstance(one, DecodedImage)
        assert np.array_equal(one.pixels, before.pixels)
        assert one.pixels.dtype == before.pixels.dtype
        assert one._replace(pixels=None) == before._replace(pixels=None)  # type: ignore[arg-type]
        assert one.pixels.flags.writeable
    assert isinstance(partners, Partners)


def test_digests_tell_items_apart_and_zeros_not() -> None:
    x = torch.tensor([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0], [0.0, 1.0 + 2**-23]])
    first, second, *others = digests(x).tolist()
    assert first == second
    assert len({first, *others}) == 3
    images = torch.randint(0, 256, (50, 3, 4, 5), dtype=torch.uint8)
    images[7] = images[3]
    sums = digests(images.contiguous(memory_format=torch.channels_last)).tolist()
    assert sums[7] == sums[3]
    assert len(set(sums)) == 49
    assert sums == digests(images).tolist()
