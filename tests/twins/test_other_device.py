"""Rounds on a device that is not the CPU: nothing mixes with tensors of the CPU, and no round waits for the device."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.other_device import CASES
from tests.pretend import is_possible

pytestmark = pytest.mark.skipif(not is_possible(), reason="this torch has no devices that are written in Python")


@pytest.fixture(scope="module")
def told() -> dict[str, dict[str, Any]]:
    """What became of each case; a process of its own, as torch cannot forget a device."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.other_device"], capture_output=True, text=True, timeout=300, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    return {one["case"]: one for one in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("case", CASES)
def test_a_round_stays_on_its_device(told: dict[str, dict[str, Any]], case: str) -> None:
    assert "failed" not in told[case], told[case]["failed"]
    assert told[case]["trips"] == {}


def test_what_mixes_and_what_waits_is_found(told: dict[str, dict[str, Any]]) -> None:
    assert "is on the CPU" in told["mixed"]["failed"]
    assert "the generator is not on the device" in told["drawn elsewhere"]["failed"]
    assert told["waited"]["trips"]
