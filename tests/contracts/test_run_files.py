"""Whatever a run's files hold, a command answers, or says in one line which file is at fault: never a traceback."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

import evenodds
from evenodds.apply.encoder import encoder_of
from evenodds.cli import main
from evenodds.errors import Remark
from evenodds.evaluation.evaluate import SCHEMA

SOURCE = Path(evenodds.__file__).parent
DEEP = "[" * 200_000

WHOLE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "all but the last byte": lambda content: content.rstrip()[:-1],
    "null bytes": lambda content: b"\0" * len(content),
    "a null byte inside": lambda content: content[:20] + b"\0" + content[20:],
    "a byte order mark": lambda content: b"\xef\xbb\xbf" + content,
    "UTF-16": lambda content: content.decode("latin-1").encode("utf-16"),
    "UTF-16 without a mark": lambda content: content.decode("latin-1").encode("utf-16-be"),
    "Latin-1": lambda content: content[:20] + b"\xe9" + content[20:],
    "10 MB of brackets": lambda content: b"[" * 10_000_000,
    "10 MB of text": lambda content: b"x" * 10_000_000,
    "a list": lambda content: b"[1, 2]",
    "null": lambda content: b"null",
    "a number": lambda content: b"1e999",
    "twice": lambda content: content + content,
    "a terminal's title": lambda content: b'{"\x1b]0;x\x07": 1}',
}
"""Changes of a whole file."""

VALUES: dict[str, Any] = {
    "null": None,
    "a string": "x\x1b[31m",
    "a list": [1, [2]],
    "an object": {"a": {"b": 1}},
    "minus one": -1,
    "a half": 0.5,
    "a huge number": 10**12,
    "19 digits": 9 * 10**18,
    "not a number": float("nan"),
    "an empty list": [],
    "a truth": True,
    "a path": "../../x",
}
"""What stands in place of a value."""

LINES = {
    "no images": '{"round": 1}',
    "no object": "[1, 2, 3]",
    "not a number": '{"images": NaN}',
    "a string": '{"images": "many"}',
    "a huge number": '{"images": ' + "9" * 5000 + "}",
    "nothing finite": '{"images": 1e999}',
    "negative": '{"images": -1, "seconds": -1}',
    "strings for figures": '{"images": 64, "shares": "x", "spread": [], "verdict": 3}',
    "nested": '{"images": 64, "a/b": ' + DEEP + "}",
    "half a line": '{"images": 6',
    "a null byte": "\0",
}
"""Lines that are no lines of a history."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run with every file that a run may have."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    settings: dict[str, Any] = {"generator__width": 2, "discriminator__width": 2, "task": "auto", "save_share": 0.5}
    session = evenodds.fit("digits", "digits", out=folder, images=256, device="cpu", watch="off", **settings)
    encoder_of(session, 16)
    remedy = {"at": 128, "back_to": 10**6, "word": "flat", "why": "a test", "settings": {"learning_rate": 1e-4}}
    (folder / "remedies.json").write_text(json.dumps([remedy]))
    for name in ("samples", "history.svg", "README.txt"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "evaluation.json").write_text(json.dumps(evaluation()))
    return folder


def evaluation() -> dict[str, Any]:
    """An evaluation with one score."""
    ends = {"value": 1.0, "low": 0.5, "high": 1.5, "floor": 0.1, "floor_low": 0.0, "floor_high": 0.2}
    score = {"name": "kernel", "title": "Kernel distance", **ends, "better": "lower", "note": ""}
    fingerprint = {"features": "random", "n_real": 10, "samples_resized": False, "weights": None}
    return {"schema": SCHEMA, "fingerprint": fingerprint, "scores": [score], "sound": True, "verdict": ["good"]}


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may damage."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


READERS = {
    "config.yaml": ("sample", "show"),
    "data.json": ("sample", "show"),
    "environment.json": ("report",),
    "metrics.jsonl": ("show", "report", "resume"),
    "choices.json": ("show",),
    "remedies.json": ("show", "resume"),
    "evaluation.json": ("compare",),
    "encoder.safetensors": ("encode",),
    "checkpoint.json": ("sample", "show", "resume"),
    "players.safetensors": ("sample", "resume"),
    "average.safetensors": ("sample",),
    "learner.safetensors": ("resume",),
    ".evenodds.jsonl": ("report", "resume"),
}
"""The commands that read each file."""


def words(command: str, run: Path) -> list[str]:
    """A command on a run, as short as it can be."""
    if command == "compare":
        other = run.parent / "other.json"
        other.write_text(json.dumps(evaluation()))
        return ["compare", str(run), str(other)]
    if command == "report":
        (run / "evaluation.json").unlink(missing_ok=True)  # it was not written by a command
    few = ["-n", "16", "--metrics", "kernel", "--features", "pixels", "--out", str(run.parent / "report.html")]
    further = {
        "show": [],
        "sample": ["-n", "2", "--npz", str(run.parent / "samples.npz"), "--device", "cpu"],
        "encode": ["--data", str(picture(run)), "--out", str(run.parent / "codes.npz"), "--images", "16"],
        "report": few,
        "resume": ["--quiet"],
    }
    return [command, str(run), *further[command]]


def picture(run: Path) -> Path:
    """An array of two images of the run's shape."""
    import numpy as np

    path = run.parent / "two.npy"
    np.save(path, np.zeros((2, 1, 8, 8), np.uint8))
    return path


def answered(
    line: list[str], capsys: pytest.CaptureFixture[str], what: str, also: tuple[int, ...] = ()
) -> tuple[int, str]:
    """The status of a command and the last line on standard error; an answer or one line, and nothing unexpected."""
    status = main(line)
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if "error: " in line]
    assert "Traceback" not in captured.err, what
    assert not any("unexpected" in line for line in errors), (what, line[0], errors)
    assert status in (0, 2, *also), (what, line[0], captured.err)
    assert len(errors) == (status in (2, 3)), (what, line[0], captured.err)
    assert "\x1b" not in captured.err + captured.out, (what, line[0])
    return status, errors[-1] if errors else ""


def placed(run: Path, name: str) -> list[Path]:
    """The files of that name in a run: one, or one in each checkpoint."""
    return [run / name] if (run / name).exists() else sorted(run.glob(f"checkpoints/*/{name}"))


@pytest.mark.parametrize("name", READERS)
def test_a_file_may_hold_anything(name: str, trained: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # A checksum tells every change of a file of tensors in a checkpoint; a page is drawn for the others.
    alike = ("players.safetensors", "average.safetensors", "learner.safetensors", "environment.json", ".evenodds.jsonl")
    some = slice(None, None, 3 if name in alike else 1)
    for k, (what, change) in enumerate(list(WHOLE.items())[some]):
        command = READERS[name][k % len(READERS[name])]
        for file in placed(run, name):
            file.write_bytes(change(file.read_bytes()))
        status, line = answered(words(command, run), capsys, f"{name}: {what}")
        assert status == 0 or name in line, (what, line)
        restored(trained, run, name, command)


def restored(trained: Path, run: Path, name: str, command: str) -> None:
    """Makes a run as it was; a resume may have changed all of it."""
    if command == "resume":
        shutil.rmtree(run)
        shutil.copytree(trained, run)
    for file in placed(trained, name):
        shutil.copyfile(file, run / file.relative_to(trained))


@pytest.mark.parametrize(
    "name", ["environment.json", "metrics.jsonl", "choices.json", "remedies.json", "evaluation.json"]
)
def test_what_a_command_does_not_need_does_not_stop_it(
    name: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for content in (b"", b"\0", b"[" * 10_000):
        (run / name).write_bytes(content)
        assert answered(words("sample", run), capsys, name)[0] == 0
    for part in run.glob("checkpoints/*/learner.safetensors"):
        part.unlink()
    assert answered(words("sample", run), capsys, "learner")[0] == 0


@pytest.mark.parametrize("name", READERS)
def test_a_file_may_be_anything(name: str, trained: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = [file.relative_to(run) for file in placed(run, name)]
    for k, what in enumerate(("not there", "a link to nowhere", "a link to itself", "a folder")):
        for file in (run / place for place in places):
            file.unlink()
            if what == "a folder":
                file.mkdir()
            elif what.startswith("a link"):
                file.symlink_to(file if what.endswith("itself") else file.with_name("nowhere"))
        # Status 1: the run is whole, and a picture that is drawn at its end could not be written.
        also = (1,) if name == ".evenodds.jsonl" else ()
        answered(words(READERS[name][k % len(READERS[name])], run), capsys, f"{name}: {what}", also)
        shutil.rmtree(run)
        shutil.copytree(trained, run)


def places(value: Any, path: tuple[Any, ...] = (), depth: int = 3) -> Iterator[tuple[Any, ...]]:
    """The places in plain values, of lists only the first entry."""
    if path:
        yield path
    if depth == 0:
        return
    inner = value.items() if isinstance(value, dict) else list(enumerate(value))[:1] if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key), depth - 1)


def changed(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of plain values with another value at a place; without it for `changed`."""
    copy = json.loads(json.dumps(content))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    if value is changed:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return copy


@pytest.mark.parametrize("name", ["data.json", "remedies.json", "evaluation.json", "checkpoint.json"])
def test_a_value_may_be_anything(name: str, trained: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(run / "checkpoints" / "000000000128")  # damage is not passed over
    file = placed(run, name)[-1]
    content = json.loads(file.read_text())
    changes = list({**VALUES, "missing": changed}.items())
    for k, path in enumerate(place for place in places(content) if place[0] != "config"):
        for j, (what, value) in enumerate(changes[k % 6 :: 6]):
            file.write_text(json.dumps(changed(content, path, value)))
            command = READERS[name][(j + k) % len(READERS[name])]
            answered(words(command, run), capsys, f"{name}: {path} is {what}")
            if command == "resume":
                restored(trained, run, name, command)
                shutil.rmtree(run / "checkpoints" / "000000000128")


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_damaged_lines_of_a_history_are_left_out_and_counted(
    place: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run / "metrics.jsonl"
    good = path.read_text().splitlines()
    at = {"first": 0, "middle": len(good) // 2, "last": len(good)}[place]
    for what, line in LINES.items():
        path.write_text("\n".join([*good[:at], line, *good[at:]]) + "\n")
        with pytest.warns(Remark, match="1 line is damaged and left out"):
            assert len(evenodds.load(run).history()) == len(good), what
    path.write_text("\n".join([*good[:at], *LINES.values(), *good[at:]]) + "\n")
    assert main(["show", str(run)]) == 0
    assert f"{len(LINES)} lines are damaged" in capsys.readouterr().out


def test_half_a_last_line_is_what_a_kill_leaves(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = run / "metrics.jsonl"
    path.write_bytes(path.read_bytes() + b'{"images": 25')
    assert main(["show", str(run)]) == 0
    assert "damaged" not in capsys.readouterr().out


def test_a_resume_says_what_it_leaves_out_of_the_history(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = run / "metrics.jsonl"
    (run / "remedies.json").unlink()
    good = path.read_text()
    path.write_text('{"round": 3}\n' + good)
    assert main(words("resume", run)) == 0
    assert "1 line is damaged and left out" in capsys.readouterr().err
    assert path.read_text() == good


@pytest.mark.parametrize("name", ["learner.safetensors", "players.safetensors", "checkpoint.json"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    name: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, last = placed(run, name)
    last.write_bytes(last.read_bytes()[:100])
    status, _ = answered(words("sample", run), capsys, name)
    assert status == 0
    first.write_bytes(first.read_bytes()[:100])
    status, line = answered(words("resume", run), capsys, name)
    assert status == 2
    assert "damaged" in line
    assert name in line


def test_who_may_read_the_configuration_may_read_the_states(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = {path.stat().st_mode & 0o777 for path in (run / "checkpoints").rglob("*.*")}
    assert modes == {(run / "config.yaml").stat().st_mode & 0o777}
    monkeypatch.setattr("os.access", lambda path, mode: not str(path).endswith("players.safetensors"))
    status, line = answered(words("sample", run), capsys, "players.safetensors")
    assert status == 2
    assert "players.safetensors may not be read by this user" in line
    assert "damaged" not in line


def test_a_checkpoint_of_other_shapes_names_itself_and_another(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["generator"]["width"] = 4
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    status, line = answered(words("sample", run), capsys, "other shapes")
    assert status == 2
    assert "000000000256 is not of this run: player 'generator'" in line
    assert "--checkpoint 128" in line


@pytest.mark.parametrize("name", ["²", "1" * 200, "-5", "12x", ".tmp"])
def test_other_folders_among_checkpoints_are_none(name: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "checkpoints" / name).mkdir()
    for command in ("sample", "show", "resume"):
        assert answered(words(command, run), capsys, name)[0] == 0


def test_keys_of_later_versions_are_passed_over(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("evaluation.json", "data.json", "checkpoint.json", "environment.json"):
        for file in placed(run, name):
            file.write_text(json.dumps({**json.loads(file.read_text()), "of a later version": {"x": [1]}}))
        for command in READERS[name]:
            status, line = answered(words(command, run), capsys, name)
            assert status == 0, line


def test_structured_files_are_read_at_one_place() -> None:
    readers = ("json.load", "yaml.load", "yaml.safe_load", "yaml.full_load", "load_file(", "safe_open(")
    places = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if any(reader in path.read_text(encoding="utf-8") for reader in readers)
    }
    assert places == {"files/read.py", "files/tensors.py"}


STATES: dict[str, Callable[[str, Tensor], tuple[str, Tensor] | None]] = {
    "a tensor is missing": lambda name, value: None,
    "another shape": lambda name, value: (name, torch.zeros(*value.shape, 2)),
    "no numbers": lambda name, value: (name, torch.zeros(0)),
    "another name": lambda name, value: (f"x.{name}\x1b", value),
    "no name": lambda name, value: ("", value),
    "deep": lambda name, value: (f"{'a/' * 50}{name}", value),
    "whole numbers": lambda name, value: (name, torch.zeros(value.shape, dtype=torch.int8)),
    "complex": lambda name, value: (name, torch.zeros(value.shape, dtype=torch.complex64)),
    "not a number": lambda name, value: (name, torch.full(value.shape, float("nan"))),
}
"""Changes of the first tensor of a file, whose checksum is brought up to date."""
DATA: dict[str, Any] = {
    "strings": {"generator.0.step": "x"},
    "a nested name": {"a": {"b": 1}},
    "no number in a name": {"generator.x.step": 1},
    "a huge number": {f"generator.{10**18}.step": 1},
    "a list": {"generator.0.exp_avg": [1]},
    "null": {"generator.0.exp_avg": None},
    "no dots": {"x": 1},
}
"""Plain values beside the tensors of a learner."""


def rewritten(folder: Path, part: str, tensors: dict[str, Tensor], data: dict[str, Any] | None = None) -> None:
    """Writes a part of a checkpoint with a checksum that fits."""
    file, header = folder / f"{part}.safetensors", json.loads((folder / "checkpoint.json").read_text())
    save_file(tensors, file)
    entry = {"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    header["parts"][part] |= entry if data is None else {**entry, "data": data}
    (folder / "checkpoint.json").write_text(json.dumps(header))


@pytest.mark.parametrize("part", ["players", "average", "learner"])
def test_states_may_hold_anything(part: str, trained: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run / "checkpoints" / "000000000256"
    whole = load_file(folder / f"{part}.safetensors")
    first = min(whole)
    cases: dict[str, tuple[dict[str, Tensor], Any]] = {}
    for what, change in STATES.items():
        pair = change(first, whole[first])
        cases[what] = ({**{k: v for k, v in whole.items() if k != first}, **({pair[0]: pair[1]} if pair else {})}, None)
    cases |= {"empty": ({}, None)} | {what: (whole, data) for what, data in DATA.items() if part == "learner"}
    for k, (what, (tensors, data)) in enumerate(cases.items()):
        rewritten(folder, part, tensors, data)
        command = "resume" if part == "learner" or k % 4 == 3 else "sample"
        further = ["--images", "272"] if part == "learner" and k < 2 else []  # a round, with what was restored
        status, complaint = answered([*words(command, run), *further], capsys, f"{part}: {what}", also=(3,))
        assert status != 2 or "000000000256" in complaint, (what, complaint)
        restored(trained, run, "checkpoint.json", command)
        restored(trained, run, f"{part}.safetensors", command)


def test_a_header_of_gigabytes_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = run / "encoder.safetensors"
    for size in (2**62, 2**33, 2**31, 10**6):
        path.write_bytes(size.to_bytes(8, "little") + b"{" + b" " * 100)
        status, line = answered(words("encode", run), capsys, str(size))
        assert status == 2
        assert "encoder.safetensors" in line


def test_odd_figures_of_a_history_are_shown_or_left_out(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = run / "metrics.jsonl"
    odd: list[dict[str, Any]] = [
        {"images": 10**15, "round": 10**12, "a/real": 1e308, "score": -1e308},
        {"images": 0, "a/b": "x", "c/d": [1], "e/f": {"g": 1}, "h/i": None, "/": True, "real": "\x1b]0;x\x07"},
        {"images": 64, "shares": [], "spread": 1.0, "finite": False, "verdict": "\x1b[2J", "why": None},
        {"images": 65, "shares": [0.5] * 1000, "spread": -1.0, "distance": 0.0, "left_out": {"\x1b": 10**18}},
        {"images": 66, "score": 1.0, "score_low": None, "score_high": 5e300, "remedy": "\x1b[31m"},
        {"images": 66, "spread": 1.0, "distance": 1e300, "apart": 1e300, "d_fake": 7.0, "d_memory": -7.0},
    ]
    odd += [{"images": 67, "shares": [0.1] * 3, "spread": 1.0, "distance": 0.1, "views/leak": "x"}] * 9
    path.write_text(path.read_text() + "".join(json.dumps(line) + "\n" for line in odd))
    for command in ("show", "report"):
        status, line = answered(words(command, run), capsys, command)
        assert status == 0, line
    (run / "remedies.json").unlink()
    status, line = answered([*words("resume", run), "--images", "320", "--set", "watch=warn"], capsys, "resume")
    assert status == 0, line
