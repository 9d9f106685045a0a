"""Commands and flags that messages name exist; what they advise is typed where they say it, and does what it says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import evenodds
from evenodds.cli import main
from evenodds.runs.folders import as_seconds
from tests.behaviours.test_pages import app, faults, flags, settings

OTHERS = frozenset({"--force-reinstall", "--nproc-per-node", "--master-addr", "--node-rank", "--max-restarts"})
"""Flags of pip and of torchrun."""
COMMAND = re.compile(r"\bevenodds ([a-z]+(?: (?:\{\}|--?[a-z][\w-]*|[A-Z]+|[\w./=-]+))*)")


DOCUMENTED = re.compile(r'"""(?:[^"]|"(?!""))*"""')
QUOTED = re.compile(r'"([^"\n]* [^"\n]*)"')
FILLED_IN = re.compile(r"\{[^{}]*\}")


@cache
def messages() -> tuple[str, ...]:
    """All text in the package with a space in it, but for docstrings and pages; {} stands for what is filled in."""
    root = Path(evenodds.__file__).parent
    files = (path for path in sorted(root.rglob("*.py")) if path.relative_to(root).parts[0] != "show")
    found = [QUOTED.findall(DOCUMENTED.sub("", path.read_text(encoding="utf-8"))) for path in files]
    return tuple(FILLED_IN.sub("{}", text) for texts in found for text in texts)


def commands() -> Iterator[list[str]]:
    """What follows `evenodds` in messages, so far as it is a command line."""
    for text in messages():
        for at in COMMAND.finditer(text):
            words = at[1].split()
            if words[0] in list(app()):
                yield [word for word in words if "{}" not in word]


def test_commands_flags_and_settings_in_messages_exist() -> None:
    every = (
        frozenset(flag for command in list(app()) if not command.startswith("-") for flag in flags(command)) | OTHERS
    )
    assert [fault for words in commands() for fault in faults(words)] == []
    named = {(flag, text) for text in messages() for flag in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text)}
    assert sorted((flag, text) for flag, text in named if flag not in every) == []
    typed = {key for text in messages() for key in re.findall(r"--set '?([a-z_]+)(?:\.[a-z_]+)*=", text)}
    assert typed - settings() == set()
    assert len(typed) > 5


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures, a run on them, and what looks like samples."""
    folder = tmp_path_factory.mktemp("advice")
    rng = np.random.default_rng(0)
    for k in range(60):
        (folder / "photos").mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / "photos" / f"{k}.png")
    np.save(folder / "made.npy", rng.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8))
    small = "batch=8 size=8 generator.width=8 discriminator.width=8 device=cpu save_share=1 evaluate_share=1"
    train = ["train", "color-32", "--data", str(folder / "photos"), "--out", str(folder / "my run"), "--images", "16"]
    assert main([*train, "--quiet", "--set", *small.split()]) == 0
    return folder


JUDGE = "--metrics kernel --features pixels"
CASES = {
    "another file": ("sample run -n 2 --npz photos", r"(--npz), or move", "sample run -n 2 {} other.npz"),
    "samples alone": (f"evaluate made.npy {JUDGE}", r"(--against):", f"evaluate made.npy {{}} photos {JUDGE}"),
    "a classifier": (
        "evaluate run --features classifier --metrics kernel",
        r"or take (--features \w+)",
        "evaluate run --metrics kernel {}",
    ),
    "a run to look at": ("doctor --data photos", r"evenodds (doctor RUN --skip-data)", "{}"),
    "a list": ("train nothing", r"(recipe)", "list {}s"),
    "no run": ("resume photos", r"runs are made by `evenodds (train)`", "{} --help"),
}


def typed(line: str, place: Path) -> list[str]:
    """A command line of which names are those in the folder."""
    names = {"run": "my run", "RUN": "my run"}
    words = [names.get(word, word) for word in shlex.split(line)]
    return [str(place / word) if (place / word).exists() or word.endswith(".npz") else word for word in words]


@pytest.mark.parametrize("name", CASES)
def test_advice_of_a_command_is_taken(name: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line, advice, instead = CASES[name]
    assert main(typed(line, place)) == 2
    found = re.search(advice, capsys.readouterr().err)
    assert found is not None
    if instead:
        assert main(typed(instead.format(*found.groups()), place)) == 0, capsys.readouterr().err


def test_budgets_are_given_as_the_message_spells_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "digits", "--budget", "3"]) == 2
    examples = re.findall(r"\b3[smh]\b", capsys.readouterr().err)
    assert [as_seconds(one) for one in examples] == [3, 180, 10800]
