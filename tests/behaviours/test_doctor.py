"""`evenodds doctor` checks a run folder from end to end, whatever lies in it."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import evenodds
from evenodds.cli import main
from evenodds.files.finding import FAULT, FINE, NOTE, Finding, sound
from evenodds.files.write import temporary_name
from evenodds.runs.doctor import examine

OLD = Path(__file__).resolve().parents[1] / "fixtures" / "old_layout"
TINY = {"images": 64, "batch": 16, "generator__width": 4, "discriminator__width": 4, "save_share": 0.5}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("doctor") / "run"
    return evenodds.fit("digits", "digits", out=out, watch="off", **TINY).folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def faults(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(one.place, one.what) for one in findings if one.level == FAULT]


def test_a_whole_run_has_no_fault(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    assert main(["doctor", str(trained)]) == 0
    printed = capsys.readouterr()
    assert "the data" in printed.out
    assert "those that the run was trained on" in printed.out
    assert "no fault was found" in printed.err
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before


def test_json_says_the_same(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(trained), "--skip-data", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["sound"] is True
    assert {one["level"] for one in content["findings"]} <= {FINE, NOTE}
    assert any(one["what"] == "digits was not looked at" for one in content["findings"])


@pytest.mark.parametrize("name", ["digits", "ring", "table"])
def test_runs_of_before_are_sound(name: str) -> None:
    assert not faults(examine(OLD / name, read_data=False))


def newest(run: Path) -> Path:
    return sorted((run / "checkpoints").iterdir())[-1]


def changed(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **values}), "utf-8")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def history(run: Path, *lines: str) -> None:
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


DAMAGES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "config": (lambda run: (run / "config.yaml").write_text("a: [", "utf-8"), "config.yaml", "not valid YAML"),
    "card": (lambda run: changed(run / "data.json", shape="x"), "data.json", "shape"),
    "environment": (lambda run: (run / "environment.json").write_text("[]", "utf-8"), "environment.json", "object"),
    "remedies": (lambda run: (run / "remedies.json").write_text("3", "utf-8"), "remedies.json", "list"),
    "evaluation": (lambda run: (run / "evaluation.json").write_text("{", "utf-8"), "evaluation.json", "JSON"),
    "line": (lambda run: history(run, "{"), "metrics.jsonl", "cannot read 1 line"),
    "backwards": (lambda run: history(run, '{"images": 1}'), "metrics.jsonl", "runs backwards"),
    "twice": (lambda run: history(run, *(run / "metrics.jsonl").read_text("utf-8").splitlines()[-1:]), "", "more than"),
    "beyond": (lambda run: history(run, '{"images": 999999}'), "metrics.jsonl", "goes to 999,999 images"),
    "tensors": (lambda run: cut(newest(run) / "players.safetensors"), "checkpoints/", "checksum differs"),
    "header": (lambda run: cut(newest(run) / "checkpoint.json"), "checkpoints/", "JSON"),
    "renamed": (lambda run: newest(run).rename(run / "checkpoints" / "99"), "checkpoints/99", "its name says 99"),
    "other data": (lambda run: changed(newest(run) / "checkpoint.json", data="f" * 64), "checkpoints/", "other data"),
    "other shapes": (
        lambda run: (run / "config.yaml").write_text(
            (run / "config.yaml").read_text("utf-8").replace("width: 4", "width: 8"), "utf-8"
        ),
        "checkpoints/",
        "width is 8, the checkpoint has 4",
    ),
    "picture": (lambda run: cut(sorted((run / "samples").iterdir())[-1]), "samples/", "cannot be read"),
    "encoder": (lambda run: (run / "encoder.safetensors").write_bytes(b"x"), "encoder.safetensors", "safetensors"),
    "pipe": (lambda run: os.mkfifo(run / "notes.txt"), "notes.txt", "a named pipe"),
    "way out": (lambda run: (run / "notes.txt").symlink_to("/etc/hostname"), "notes.txt", "leads out of the folder"),
    "changed data": (lambda run: changed(run / "data.json", fingerprint="f" * 64), "the data", "fingerprint differs"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found_and_named(name: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage, place, what = DAMAGES[name]
    damage(run)
    assert main(["doctor", str(run)]) == 2
    findings = examine(run)
    assert not sound(findings)
    assert [one for one in faults(findings) if one[0].startswith(place) and what in one[1]], faults(findings)


def test_what_is_no_fault_is_noted(run: Path) -> None:
    left = temporary_name(run / "walk.gif")
    left.write_bytes(b"")
    changed(run / "environment.json", torch="1.0\x1b[31m")
    shutil.rmtree(run / "checkpoints")
    findings = examine(run)
    assert sound(findings)
    notes = {one.place: one.what for one in findings if one.level == NOTE}
    assert "killed" in notes[left.name]
    assert "torch" in notes["environment.json"]
    assert "from the beginning" in notes["checkpoints"]


def test_own_code_is_named_and_never_imported(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (run / "config.yaml").read_text("utf-8")
    (run / "config.yaml").write_text(text.replace("penalty:", "penalty: 'subprocess:Popen'\nx_penalty:"), "utf-8")
    lines = [line for line in (run / "config.yaml").read_text("utf-8").splitlines() if not line.startswith("x_penalty")]
    (run / "config.yaml").write_text("\n".join(lines), "utf-8")
    assert main(["doctor", str(run)]) == 2  # the checkpoint has another penalty
    assert "--allow subprocess" in capsys.readouterr().out


def test_data_that_lie_elsewhere(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (run / "config.yaml").read_text("utf-8")
    (run / "config.yaml").write_text(text.replace("data: digits", f"data: {tmp_path / 'gone.npz'}"), "utf-8")
    assert main(["doctor", str(run)]) == 0
    assert "say where they lie now with --data" in capsys.readouterr().out
    assert main(["doctor", str(run), "--data", "digits"]) == 0
    assert main(["doctor", str(run), "--data", "ring"]) == 2


def test_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(tmp_path)]) == 2
    assert "it has no config.yaml" in capsys.readouterr().err
