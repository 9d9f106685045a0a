"""examples/node draws the samples of an exported file that `evenodds sample` draws."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evenodds.export.alone import alone
from tests.exported import CLASSES, SIDE, small_model

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "node"
NODE = shutil.which("node")
pytestmark = [
    pytest.mark.skipif(NODE is None, reason="the example for Node.js was NOT run: node is not on PATH"),
    pytest.mark.skipif(
        not (EXAMPLE / "node_modules" / "onnxruntime-node").is_dir(),
        reason="the example for Node.js was NOT run: npm --prefix examples/node install --ignore-scripts",
    ),
]


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [str(NODE), str(EXAMPLE / "sample.js"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_it_draws_the_samples_of_the_file(tmp_path: Path) -> None:
    model, out = small_model(tmp_path / "model.onnx"), tmp_path / "out.png"
    done = run(model, out, CLASSES[1], 5)
    assert done.returncode == 0, done.stderr
    drawn = alone(model)
    assert drawn is not None
    x = drawn.numbers(16, 5, [1] * 16).reshape(4, 4, SIDE, SIDE).transpose(0, 2, 1, 3).reshape(4 * SIDE, 4 * SIDE)
    with Image.open(out) as picture:
        pixels = np.asarray(picture.convert("L")).astype(int)
    assert np.ptp(pixels) > 100
    assert np.abs(pixels - x).max() <= 1
    assert (pixels != x).mean() < 0.01


def test_it_says_what_it_cannot_do(tmp_path: Path) -> None:
    model = small_model(tmp_path / "model.onnx")
    done = run(model, tmp_path / "out.png", "fish")
    assert done.returncode
    assert f"no class fish; there are {', '.join(CLASSES)}" in done.stderr
