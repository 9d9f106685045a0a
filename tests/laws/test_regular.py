"""Reading of regular files: nothing else is opened, nothing blocks, and a file that grows ends where it ended."""

import errno
import os
import socket
from pathlib import Path

import pytest

from evenodds.errors import BadInput
from evenodds.files import regular
from evenodds.files.regular import NotRegular, open_regular, read_regular, refusal, size_of


def test_a_file_is_read_whole_in_parts_and_from_anywhere(tmp_path: Path) -> None:
    path, content = tmp_path / "a", os.urandom(300_000)
    path.write_bytes(content)
    heard: list[tuple[int, int]] = []
    with open_regular(path, lambda *at: heard.append(at)) as stream:
        assert size_of(stream) == len(content)
        assert stream.read(5) + stream.read() == content
        assert stream.read() == b""
        assert stream.seek(-7, os.SEEK_END) == len(content) - 7
        assert stream.read(100) == content[-7:]
        stream.seek(10)
        assert stream.seek(5, os.SEEK_CUR) == 15
        assert stream.read(3) == content[15:18]
        with pytest.raises(OSError):
            stream.fileno()
    assert heard[-1][1] == len(content)
    assert read_regular(path, len(content)) == content
    with pytest.raises(BadInput, match="at most 299,999"):
        read_regular(path, len(content) - 1)


def test_a_file_that_grows_ends_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    with open_regular(path) as stream, path.open("ab") as more:
        more.write(b"67890" * 100_000)
        more.flush()
        assert stream.read() == b"12345"
        assert size_of(stream) == 5


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "to pipe").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        reasons = {
            "pipe": "a named pipe",
            "to pipe": "a named pipe",
            "folder": "a folder",
            "circle": "in a circle",
            "broken": "a link to what is not there",
            "zero": "a device",
            "s": "a socket",
            "nothing": "not there",
            "nul\0": "no name of a file",
            "x" * 300: "too long",
        }
        for name, reason in reasons.items():
            assert reason in refusal(tmp_path / name)
            with pytest.raises(NotRegular, match=reason) as caught:
                open_regular(tmp_path / name)
            assert "\n" not in str(caught.value)


def test_a_pipe_that_takes_the_place_of_a_checked_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, pipe, check = tmp_path / "a", tmp_path / "pipe", regular._check
    path.write_bytes(b"1")
    os.mkfifo(pipe)
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0

    def swapped(path: Path, status: os.stat_result) -> None:
        check(path, status)
        os.replace(pipe, path)

    monkeypatch.setattr(regular, "_check", swapped)
    with pytest.raises(NotRegular, match="a named pipe"):
        open_regular(path)
    assert not before or len(os.listdir("/proc/self/fd")) == before


def test_other_errors_say_what_the_system_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*words: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "a").write_bytes(b"1")
    monkeypatch.setattr("evenodds.files.regular.os.open", failing)
    with pytest.raises(NotRegular, match="Input/output error"):
        open_regular(tmp_path / "a")
