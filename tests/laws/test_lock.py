"""One writer for each folder, whoever comes and however its holder ended; what dead processes left is removed."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from evenodds.errors import BadInput
from evenodds.files import lock
from evenodds.files.lock import Busy, holder_of, locked, locked_beside, unused
from evenodds.files.process import Process, current, from_tag
from evenodds.files.write import (
    ABANDONED,
    is_temporary,
    remove_folder,
    replaced,
    replaced_folder,
    sweep,
    temporary_name,
    write_text,
)
from evenodds.runs.folders import next_folder

KEPT: list[object] = []
"""What is held for the rest of a process: a context that nobody names is left at once."""


@contextmanager
def forked(work: Callable[[], object]) -> Iterator[int]:
    """Another process, a copy of this one, that does some work and then waits to be killed."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os.write(tell, b"1")
            time.sleep(60)
        finally:
            os._exit(1)
    os.close(tell)
    os.read(ready, 1)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ready)


def hold(folder: Path) -> None:
    context = locked(folder, "train")
    context.__enter__()
    KEPT.append(context)


def planted(folder: Path, process: Process, age: float = 0.0) -> Path:
    """The lock file that a process would have left."""
    folder.mkdir(exist_ok=True)
    holder = {"process": asdict(process), "name": "elsewhere", "command": "train", "since": time.time()}
    (folder / lock.NAME).write_text(json.dumps(holder))
    os.utime(folder / lock.NAME, (time.time() - age, time.time() - age))
    return folder / lock.NAME


def test_another_process_is_refused_and_told_who_holds_the_folder_until_it_is_killed(tmp_path: Path) -> None:
    with forked(lambda: hold(tmp_path / "run")) as pid:
        with pytest.raises(
            Busy, match=rf"run is in use by `evenodds train` \(process {pid} on .+, since 20\d\d-"
        ) as error:
            hold(tmp_path / "run")
        assert "\n" not in str(error.value)
        os.kill(pid, signal.SIGKILL)
        with locked(tmp_path / "run", "resume", wait=10.0):
            holder = holder_of(tmp_path / "run")
            assert holder is not None
            assert holder.command == "resume"
            assert holder.process == current()


def test_a_child_of_the_holder_keeps_nothing_alive(tmp_path: Path) -> None:
    def parent() -> None:
        hold(tmp_path)
        if os.fork() == 0:
            time.sleep(1.0)
            os._exit(0)

    with forked(parent) as pid:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with locked(tmp_path, "resume"):
            pass


def test_a_thread_takes_again_what_it_holds_and_another_does_not(tmp_path: Path) -> None:
    refusals: list[str] = []

    def other() -> None:
        try:
            hold(tmp_path)
        except Busy as error:
            refusals.append(str(error))

    with locked(tmp_path, "train"):
        with locked(tmp_path / ".." / tmp_path.name, "train"):
            pass
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert (tmp_path / lock.NAME).exists()
    assert refusals
    assert str(os.getpid()) in refusals[0]
    assert not list(tmp_path.iterdir())


def test_folders_that_stay_empty_are_removed_again_and_others_stay(tmp_path: Path) -> None:
    with locked(tmp_path / "a" / "b", "train"):
        assert unused(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
    with locked(tmp_path / "a" / "b", "train"):
        (tmp_path / "a" / "b" / "file").touch()
        assert not unused(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "file").exists()
    with pytest.raises(FileExistsError), locked(tmp_path / "a", "train", new=True):
        pass
    with (
        pytest.raises(BadInput, match="a folder is needed, got the file"),
        locked(tmp_path / "a" / "b" / "file", "fill"),
    ):
        pass
    with locked_beside(tmp_path / "c" / "d", "augment"), pytest.raises(Busy), forked_refusal(tmp_path / "c" / "d"):
        pass
    assert not (tmp_path / "c").exists()


@contextmanager
def forked_refusal(path: Path) -> Iterator[None]:
    """Raises Busy where another thread is refused."""
    errors: list[Busy] = []

    def take() -> None:
        try:
            locked_beside(path, "augment").__enter__()
        except Busy as error:
            errors.append(error)

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    yield


def test_a_process_of_another_machine_holds_while_it_is_heard_from(tmp_path: Path) -> None:
    process = replace(current(), host="abcdef")
    for age in (0.0, lock.LATE / 2, -lock.LATE / 2):
        planted(tmp_path, process, age)
        with pytest.raises(Busy, match="on elsewhere, since"):
            hold(tmp_path)
    for age in (2 * lock.LATE, -2 * lock.LATE):  # the latter: a clock that was wrong must not lock for ever
        planted(tmp_path, process, age)
        with locked(tmp_path, "train"):
            pass
    assert not list(tmp_path.iterdir())


def test_without_locks_of_the_system_a_living_process_of_this_machine_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_lock", lambda file: None)
    with forked(lambda: hold(tmp_path)) as pid:
        with pytest.raises(Busy, match=str(pid)):
            hold(tmp_path)
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie, which holds nothing
        with locked(tmp_path, "train"):
            pass
    assert not list(tmp_path.iterdir())


def test_processes_of_earlier_starts_and_numbers_used_again_are_dead() -> None:
    assert current().alive() is True
    assert replace(current(), started="1").alive() is False
    assert replace(current(), boot="000000").alive() is False
    assert replace(current(), pid=2**30).alive() is False
    assert replace(current(), space="0000").alive() is None
    assert replace(current(), host="000000").alive() is None
    assert from_tag(current().tag) == current()


def test_what_a_stranger_put_in_place_of_a_lock_is_neither_followed_nor_believed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    run = tmp_path / "run"
    run.mkdir()
    (run / lock.NAME).symlink_to(tmp_path / "mine")
    with pytest.raises(BadInput, match="is no lock file of evenodds; remove it"):
        hold(run)
    assert (tmp_path / "mine").read_text() == "mine"
    (run / lock.NAME).unlink()
    os.mkfifo(run / lock.NAME)
    with pytest.raises(BadInput, match="is no lock file of evenodds; remove it"):
        hold(run)
    (run / lock.NAME).unlink()
    good = {"process": asdict(replace(current(), host="abcdef")), "name": "a", "command": "train", "since": 1.0}
    wrong: list[object] = [
        [], {}, "x" * 10_000, {**good, "name": "\x1b]0;title\x07"}, {**good, "command": "\n"}, {**good, "since": "now"},
        {**good, "process": {}}, {**good, "process": {**asdict(current()), "pid": -1}}, {**good, "since": float("nan")},
    ]  # fmt: skip
    for content in wrong:
        (run / lock.NAME).write_text(json.dumps(content))
        with locked(run, "train"):
            pass


def test_a_holder_notices_that_its_place_was_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.01)
    with locked(tmp_path, "train") as mine:
        file = planted(tmp_path, replace(current(), host="abcdef"))
        deadline = time.monotonic() + 10
        while not mine.lost and time.monotonic() < deadline:
            time.sleep(0.01)
        assert mine.lost
    assert file.exists()  # it is the other's


def test_many_at_once_get_a_folder_each(tmp_path: Path) -> None:
    pids = []
    for _ in range(8):
        pid = os.fork()
        if pid == 0:
            try:
                with next_folder(tmp_path, "ring", "train") as folder:
                    (folder / str(os.getpid())).touch()
                    time.sleep(0.05)
            finally:
                os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"ring-{k}" for k in range(1, 9)]
    assert sorted(int(path.name) for path in tmp_path.glob("ring-*/*")) == sorted(pids)


def test_the_next_folder_is_above_all_and_takes_again_what_a_killed_call_left(tmp_path: Path) -> None:
    for name in ("ring-2", "ring-7", "ring-x", "ring-1"):
        (tmp_path / name).mkdir()
    (tmp_path / "ring-7" / "config.yaml").touch()
    planted(tmp_path / "ring-2", replace(current(), pid=2**30))
    with next_folder(tmp_path, "ring", "train") as first, next_folder(tmp_path, "ring", "train") as second:
        assert (first.name, second.name) == ("ring-2", "ring-8")


def left(folder: Path, process: Process) -> list[Path]:
    """A file and a folder that a process was writing."""
    names = [temporary_name(folder / "a.png").name, temporary_name(folder / "000512").name]
    file, inner = (folder / name.replace(current().tag, process.tag) for name in names)
    file.touch()
    inner.mkdir()
    (inner / "file").touch()
    return [file, inner]


def test_what_dead_processes_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    dead = left(tmp_path, replace(current(), pid=2**30))
    alive = left(tmp_path, current())
    young = left(tmp_path, replace(current(), host="abcdef"))
    old = left(tmp_path, replace(current(), host="abcde0"))
    for path in old:
        os.utime(path, (1, time.time() - ABANDONED - 60))
    users = [tmp_path / name for name in (".a.123.tmp.png", "a.tmp", ".a.tmp", "a.png", f".a.{current().tag}.tmp")]
    for path in users:
        path.touch()
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "file").touch()
    link = tmp_path / temporary_name(tmp_path / "b").name.replace(current().tag, replace(current(), pid=2**30).tag)
    link.symlink_to(outside)
    sweep(tmp_path)
    assert not any(path.exists() for path in [*dead, *old])
    assert not link.is_symlink()
    assert all(path.exists() for path in [*alive, *young, *users, outside / "file"])


def test_the_first_write_to_a_folder_removes_what_was_left_there(tmp_path: Path) -> None:
    dead = left(tmp_path, replace(current(), pid=2**30))
    write_text(tmp_path / "a.txt", "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"], dead


def test_a_folder_is_replaced_and_removed_as_a_whole(tmp_path: Path) -> None:
    for content in ("a", "b"):
        with replaced_folder(tmp_path / "x", remove_folder) as temporary:
            (temporary / content).touch()
            assert is_temporary(temporary.name)
        assert [path.name for path in (tmp_path / "x").iterdir()] == [content]
    with pytest.raises(RuntimeError), replaced_folder(tmp_path / "x", remove_folder) as temporary:
        raise RuntimeError
    with pytest.raises(BadInput, match="something came to"), replaced_folder(tmp_path / "x") as temporary:
        (temporary / "c").touch()
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["b"]
    assert [path.name for path in (tmp_path / "x-2").iterdir()] == ["c"]
    remove_folder(tmp_path / "x-2")
    (tmp_path / "link").symlink_to(tmp_path / "x")
    remove_folder(tmp_path / "link")
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["b"]
    remove_folder(tmp_path / "x")
    remove_folder(tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_two_writers_of_one_file_never_share_a_temporary_name(tmp_path: Path) -> None:
    with replaced(tmp_path / "a.txt") as one, replaced(tmp_path / "a.txt") as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "a.txt").read_text() == "one"
