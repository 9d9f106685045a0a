"""Samples are judged by features of one's own, which fingerprints tell apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evenodds.cli import main
from evenodds.errors import BadInput
from evenodds.evaluation.evaluate import evaluate
from evenodds.evaluation.own_features import OwnFeatures
from evenodds.files.read import read_json

SHAPE = (1, 4, 4)
OWN = """
class Seen:
    weights = "rows and columns"

    def __init__(self, shape):
        self.shape = shape

    def __call__(self, x):
        assert x.shape[1:] == self.shape
        return x.flatten(1, 2).sum(1)


def fails(x):
    raise KeyError("oops")
"""


def items(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 4, 4), dtype=np.uint8)


def flat(x: Tensor) -> Tensor:
    return x.flatten(1)


def test_the_values_by_a_function_of_ones_own_give_the_scores_of_pixels() -> None:
    samples, real = items(60, 0), items(60, 1)
    own, usual = (evaluate(samples, real, metrics=["frechet"], features=by) for by in (flat, "pixels"))
    assert own.score("frechet") == usual.score("frechet")
    assert own["fingerprint"]["features"].endswith("test_own_features:flat")
    assert own["fingerprint"]["weights"].startswith("source sha256:")


def test_a_module_is_told_by_its_weights_and_keeps_its_mode() -> None:
    torch.manual_seed(0)
    one, other = (nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(16, 3), nn.BatchNorm1d(3)) for _ in range(2))
    named = [OwnFeatures.of(module, SHAPE).weights for module in (one, one, other)]
    assert named[0] == named[1] != named[2]
    assert one.training
    assert int(one[3].num_batches_tracked) == 0


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: x.flatten(1).mean(1), r"must turn x \(3, 1, 4, 4\) into a tensor \(3, F\), got \(3,\)"),
        (lambda x: x.flatten(1).numpy(), "got a ndarray"),
        (lambda x: x.flatten(1) / 0, "gave NaN or infinity"),
        (lambda x: x.flatten(1) - x.flatten(1).mean(0), "depend on the items beside it"),
        (lambda x: x.mul_(2).flatten(1), "changes its input in place"),
        (lambda x: x.nothing, "AttributeError"),
        (3, "are made by a function or an object that is called with x"),
    ],
)
def test_what_is_wrong_with_them_is_said(function: Callable[[Tensor], Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        OwnFeatures.of(function, SHAPE)


def test_they_are_named_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my_seen.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    np.save("samples.npy", items(60, 0))
    np.save("real.npy", items(60, 1))
    words = ["evaluate", "samples.npy", "--against", "real.npy", "--metrics", "frechet", "--features"]
    assert main([*words, "my_seen:Seen", "--out", "e.json"]) == 0
    told = read_json(tmp_path / "e.json", dict[str, Any])["fingerprint"]
    assert (told["features"], told["weights"]) == ("my_seen:Seen", "rows and columns")
    capsys.readouterr()
    assert main([*words, "my_seen:fails", "--out", "f.json"]) == 2
    said = capsys.readouterr().err
    assert "features 'my_seen:fails' fails on (3, 1, 4, 4) float32: my_seen.py, line 14, in fails: KeyError" in said
    assert main([*words, "my_seen.py", "--out", "f.json"]) == 2
    said = capsys.readouterr().err
    assert "no kind of features 'my_seen.py'; one of your own is named by module and member, as in my_seen:Name" in said
