"""Nothing stops a run or loses it that is not the run: another process, a terminal, a signal, a picture that fails."""

import errno
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors import SafetensorError

import evenodds
from evenodds.apply import finish as finishing
from evenodds.cli import main
from evenodds.cli.signals import Ended, orderly_end
from evenodds.cli.streams import Lasting
from evenodds.files.lock import locked, locked_beside
from evenodds.files.tensors import write_tensors
from evenodds.files.write import temporary_name
from evenodds.game import checkpoint
from evenodds.game.history import read_history
from evenodds.game.listeners.interrupt import Interrupt
from evenodds.game.trainer import Training, end
from evenodds.runs import assembly

SET = ["generator.width=8", "discriminator.width=8", "batch=16", "device=cpu", "save_share=0.3", "evaluate_share=0.3"]
TRAIN = ["train", "digits", "--images", "320", "--quiet", "--set", *SET]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert main([*TRAIN, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    states, header = checkpoint.load(checkpoint.listing(folder / "checkpoints")[-1])
    assert header.images == 320
    return {f"{part}/{name}": value for part, state in states.items() for name, value in state.tensors.items()}


def same(a: Path, b: Path) -> None:
    """Equal bits, and histories with lines at the same images."""
    mine, other = tensors(a), tensors(b)
    assert mine.keys() == other.keys()
    assert all(torch.equal(mine[name], other[name]) for name in mine)
    assert places(a) == places(b)


def places(folder: Path) -> list[tuple[int, bool]]:
    """Where the lines of a history are, and which of them have a verdict."""
    return [(line["images"], "verdict" in line) for line in read_history(folder / "metrics.jsonl").values]


def one_line(capsys: pytest.CaptureFixture[str], *expected: str) -> None:
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert all(text in said[0] for text in expected), said


# --- two at once -----------------------------------------------------------------------------------------------------


@contextmanager
def elsewhere(context: Any) -> Iterator[None]:
    """Holds a folder in another thread, which counts as another holder."""
    ready, over = threading.Event(), threading.Event()

    def hold() -> None:
        with context:
            ready.set()
            over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize(
    ("words", "where"),
    [
        ([*TRAIN, "--out"], "new"),
        (["resume"], "run"),
        (["sample", "run", "-n", "2", "--folder"], "new"),
    ],
)
def test_the_second_is_refused_and_told_who_is_there(
    words: list[str], where: str, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(run.parent)
    with elsewhere(locked(Path(where), "train")):
        assert main([*words, where]) == 2
        one_line(capsys, f"{where} is in use by `evenodds train` (process {os.getpid()} on ", "wait until it ends")
        assert main(["sample", "run", "-n", "2", "--npz", "x.npz"]) == 0  # readers need no lock
    assert not Path("new").exists()


def test_a_folder_that_is_being_made_is_not_made_twice(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with elsewhere(locked_beside(run.parent / "images", "augment")):
        assert main(["augment", str(run), "--to", str(run.parent / "images"), "--per-class", "2"]) == 2
    one_line(capsys, "images is in use by `evenodds augment`")
    assert not list(run.parent.glob(".images*"))


# --- killed and resumed ----------------------------------------------------------------------------------------------


def test_a_run_killed_before_its_first_checkpoint_starts_from_the_beginning(
    whole: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(run / "checkpoints")
    for path in run.glob("*.*"):
        if path.name not in ("config.yaml", "choices.json", "metrics.jsonl"):
            path.unlink()
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"images": 3')
    dead = temporary_name(run / "data.json").name.replace(f"-{os.getpid()}-", f"-{2**30}-")
    (run / dead).touch()
    assert main(["sample", str(run)]) == 2
    one_line(capsys, f"evenodds resume {run} starts it from the beginning")
    assert main(["resume", str(run), "--quiet"]) == 0
    assert "it starts from the beginning" in capsys.readouterr().err
    same(whole, run)
    assert {path.name for path in run.iterdir()} == {path.name for path in whole.iterdir()}
    assert json.loads((run / "data.json").read_text()) == json.loads((whole / "data.json").read_text())


def test_a_run_that_is_started_anew_keeps_its_settings(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(run / "checkpoints")
    assert main(["resume", str(run), "--set", "generator.width=16"]) == 2
    one_line(capsys, "generator.width is 16", "has 8")


def test_a_run_killed_later_has_one_line_for_each_interval_and_all_pictures(whole: Path, run: Path) -> None:
    kept = checkpoint.listing(run / "checkpoints")
    for path in kept[-2:]:  # killed after the next checkpoint was written, before its picture
        shutil.rmtree(path)
    for path in sorted((run / "samples").iterdir())[-3:]:
        path.unlink()
    assert main(["resume", str(run), "--quiet"]) == 0
    same(whole, run)
    for path in (whole / "samples").iterdir():
        assert (run / "samples" / path.name).read_bytes() == path.read_bytes()


# --- signals ---------------------------------------------------------------------------------------------------------


@contextmanager
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_signals_end_a_run_in_order_however_many_come(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_round = Interrupt.after_round

    def struck(self: Interrupt, training: Any) -> None:
        if training.progress.images == 160:
            for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):
                signal.raise_signal(number)
        after_round(self, training)

    folder = tmp_path / "run"
    with handlers(), monkeypatch.context() as patch:
        patch.setattr(Interrupt, "after_round", struck)
        assert main([*TRAIN, "--out", str(folder)]) == 0
    assert int(checkpoint.listing(folder / "checkpoints")[-1].name) == 160
    assert main(["resume", str(folder), "--quiet"]) == 0
    mine, other = tensors(whole), tensors(folder)
    assert all(torch.equal(mine[name], other[name]) for name in mine)


def test_a_script_that_is_asked_to_end_saves_its_run_and_ends(tmp_path: Path) -> None:
    """It went on behind `evenodds.fit`, with a run that had only begun."""
    script = os.fork()  # no new interpreter: what is imported here is there too
    if script == 0:
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            after_round = Interrupt.after_round

            def struck(self: Interrupt, training: Any) -> None:
                if training.progress.images == 160:
                    signal.raise_signal(signal.SIGTERM)
                after_round(self, training)

            Interrupt.after_round = struck  # type: ignore[method-assign]
            settings = dict(one.split("=") for one in SET)
            evenodds.fit("digits", "digits", out=tmp_path / "run", images=320, **with_numbers(settings))
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(script, 0)[1]) == signal.SIGTERM
    assert int(checkpoint.listing(tmp_path / "run" / "checkpoints")[-1].name) == 160


def with_numbers(settings: dict[str, str]) -> dict[str, Any]:
    """As keyword arguments of `fit`."""
    return {key.replace(".", "__"): yaml.safe_load(value) for key, value in settings.items()}


def test_what_is_ignored_stays_so_and_other_commands_clean_up() -> None:
    with handlers():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        interrupt = Interrupt()
        with orderly_end():
            interrupt.begin(None)  # type: ignore[arg-type]
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
            assert interrupt.requested
            interrupt.end(None)  # type: ignore[arg-type]
            with pytest.raises(Ended) as error:
                signal.raise_signal(signal.SIGTERM)
            assert error.value.number == signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


# --- broken outputs --------------------------------------------------------------------------------------------------


def in_child(work: Callable[[], int]) -> int:
    """The status of a command in a copy of this process."""
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            status = work()
        except BaseException:
            status = 98
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def unread() -> int:
    """The writing end of a pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def broken(stdout: int | None, stderr: int | None) -> None:
    """Puts descriptors in the place of the streams, or closes them as a shell does."""
    for number, name, target in ((1, "stdout", stdout), (2, "stderr", stderr)):
        if target is None:
            os.close(number)
            setattr(sys, name, None)
        else:
            os.dup2(target, number)
            setattr(sys, name, open(number, "w", buffering=1, closefd=False))  # noqa: SIM115


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("closed", [False, True])
def test_a_run_goes_on_without_its_terminal(closed: bool, whole: Path, tmp_path: Path) -> None:
    def work() -> int:
        broken(*(None, None) if closed else (unread(), os.open("/dev/full", os.O_WRONLY)))
        words = [word for word in TRAIN if word != "--quiet"]
        return main([*words, "--out", str(tmp_path / "run")])

    assert in_child(work) == 0
    same(whole, tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {path.name for path in whole.iterdir()}


def test_results_that_cannot_be_written_are_an_error_and_messages_are_not() -> None:
    full = open("/dev/full", "w", buffering=1)  # noqa: SIM115
    messages = Lasting(full, lambda error: True, "standard error")
    assert print("lost", file=messages) is None
    assert print("more", file=messages, flush=True) is None
    results = Lasting(open("/dev/full", "w", buffering=1), lambda error: False, "standard output")  # noqa: SIM115
    with pytest.raises(OSError, match="No space left on device: 'standard output'"):
        print("lost", file=results)
    results.flush()  # nothing is left that could fail at the end of the process


# --- pictures and pages that fail ------------------------------------------------------------------------------------


def test_a_picture_that_fails_at_the_end_is_said_and_made_again(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*arguments: object, **options: object) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    def damaged(*arguments: object) -> None:
        raise ValueError("cannot open font")

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(finishing, "write_walk", full)
        patch.setattr(assembly, "write_snapshot", damaged)
        assert main([*TRAIN, "--out", str(folder)]) == 1
    said = capsys.readouterr().err
    assert "not written:    walk.gif (OSError: [Errno 28] No space left on device)" in said
    assert "no picture at 112 images (ValueError: cannot open font); the run goes on" in said
    assert f"resume {folder}" in said
    assert "Traceback" not in said
    same(whole, folder)
    assert (folder / "README.txt").is_file()
    assert main(["resume", str(folder)]) == 0
    assert (folder / "walk.gif").read_bytes() == (whole / "walk.gif").read_bytes()


class Ender:
    """A listener that notes that it was ended, and may fail."""

    def __init__(self, ended: list[str], name: str, error: Exception | None = None) -> None:
        self.ended, self.name, self.error = ended, name, error

    def begin(self, training: Training) -> None: ...

    def after_round(self, training: Training) -> None: ...

    def end(self, training: Training) -> None:
        self.ended.append(self.name)
        if self.error is not None:
            raise self.error


def test_a_listener_whose_end_fails_does_not_keep_others_from_theirs() -> None:
    ended: list[str] = []
    listeners = [Ender(ended, "log", OSError(errno.ENOSPC, "No space left on device")), Ender(ended, "save")]
    with pytest.raises(OSError, match="No space left"):
        end(None, listeners)  # type: ignore[arg-type]
    assert ended == ["log", "save"]


def test_a_full_disk_under_a_checkpoint_is_an_error_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OSError, match=r"No space left on device: 'players\.safetensors'") as error:
        write_tensors({}, tmp_path / "players.safetensors")
    assert error.value.errno == errno.ENOSPC
