"""The examples run as they stand, and do what they say."""

import re
import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_own_game(capsys: pytest.CaptureFixture[str]) -> None:
    source = (EXAMPLES / "own_game.py").read_text()
    assert len([line for line in source.splitlines() if line.strip()]) <= 40
    runpy.run_path(str(EXAMPLES / "own_game.py"))
    mean, spread = map(float, re.findall(r"is ([\d.]+) \+- ([\d.]+)", capsys.readouterr().out)[0])
    assert mean == pytest.approx(0.8, abs=0.08)
    assert spread < 0.12


def test_conditional(capsys: pytest.CaptureFixture[str]) -> None:
    source = (EXAMPLES / "conditional.py").read_text()
    assert len([line for line in source.splitlines() if line.strip()]) <= 40
    runpy.run_path(str(EXAMPLES / "conditional.py"))
    assert int(re.findall(r"(\d+)% of 1,000 samples", capsys.readouterr().out)[0]) >= 95


def test_the_public_names_are_what_they_say() -> None:
    import evenodds
    import evenodds.run  # loads every room: none may hide a public function behind a module of its name

    for name in evenodds.__all__:
        assert callable(getattr(evenodds, name)), name
