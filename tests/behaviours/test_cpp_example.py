"""examples/cpp draws the samples of an exported file that `evenodds sample` draws."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evenodds.export.alone import alone
from tests.exported import SIDE, small_model

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "cpp"
PYTHON = os.environ.get("EVENODDS_OPENVINO", sys.executable)
"""Of the environment that OpenVINO is in."""
WHERE = subprocess.run(
    [PYTHON, "-c", "import openvino.utils as u; print(u.get_cmake_path())"], capture_output=True, text=True
).stdout.strip()
pytestmark = [
    pytest.mark.skipif(
        not (shutil.which("cmake") and shutil.which("c++")),
        reason="the example for C++ was NOT run: cmake or c++ is not on PATH",
    ),
    pytest.mark.skipif(
        not WHERE,
        reason="the example for C++ was NOT run: EVENODDS_OPENVINO must name a Python that has openvino",
    ),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = tmp_path_factory.mktemp("cpp")
    for words in (["-S", EXAMPLE, "-B", build, f"-DOpenVINO_DIR={WHERE}"], ["--build", build]):
        done = subprocess.run(["cmake", *map(str, words)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return build / "sample"


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=60)


def test_it_draws_the_samples_of_the_file(program: Path, tmp_path: Path) -> None:
    for name, uint8 in (("bytes.onnx", True), ("floats.onnx", False)):
        model = small_model(tmp_path / name, uint8)
        done = run(program, model, tmp_path / "numbers.raw", 5, 1)
        assert done.returncode == 0, done.stderr
        drawn = alone(model)
        assert drawn is not None
        x = drawn.numbers(16, 5, [1] * 16)
        made = np.fromfile(tmp_path / "numbers.raw", np.uint8 if uint8 else np.float32).reshape(x.shape)
        made = made if uint8 else drawn.card.units.to_data(made)
        assert np.ptp(made.astype(int)) > 100
        assert np.abs(made.astype(int) - x).max() <= 1
        assert (made != x).mean() < 0.01
    assert run(program, model, tmp_path / "grid.pgm", 5, 1).returncode == 0
    with Image.open(tmp_path / "grid.pgm") as picture:
        pixels = np.asarray(picture).reshape(4, SIDE, 4, SIDE).transpose(0, 2, 1, 3).reshape(x.shape)
    assert np.abs(pixels.astype(int) - x).max() <= 1


def test_it_says_what_it_cannot_do(program: Path, tmp_path: Path) -> None:
    done = run(program, small_model(tmp_path / "model.onnx"), tmp_path / "grid.pgm", 5)
    assert done.returncode == 1
    assert "export it without --uint8" in done.stderr
    assert not (tmp_path / "grid.pgm").exists()
