"""What was written before the modules moved into rooms still loads, answers as then, and goes on as then.

tests/fixtures/old_layout holds run folders and pickled estimators of that time, and in `expected` what they gave.
"""

import json
import pickle
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from sklearn.exceptions import InconsistentVersionWarning

import evenodds
from evenodds.apply.filling_tables import fill_table
from evenodds.data.scale import Numbers
from evenodds.evaluation.evaluate import evaluate
from evenodds.game.seeds import mix
from evenodds.runs.find import find
from evenodds.runs.imputing import POOL, Imputer
from evenodds.runs.moved import MOVED, current

OLD = Path(__file__).resolve().parents[1] / "fixtures" / "old_layout"
SAMPLES = json.loads((OLD / "expected" / "samples.json").read_text())
ESTIMATORS = json.loads((OLD / "estimators" / "expected.json").read_text())

FRESH = """
import importlib.util, pickle, sys, warnings
warnings.simplefilter("ignore")
import evenodds.runs.run
print(importlib.util.find_spec("evenodds.columns"))
import evenodds.estimators
for file in sys.argv[1:]:
    print(type(pickle.load(open(file, "rb"))).__name__)
"""


def unpickled(name: str) -> object:
    import evenodds.estimators  # noqa: F401  # installs the finder

    return pickle.loads((OLD / "estimators" / f"{name}.pickle").read_bytes())


@pytest.mark.parametrize("name", ["ring", "digits", "table"])
def test_an_old_run_folder_gives_its_samples(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(OLD)  # the table's data is named relative to it
    samples = evenodds.load(name).sample(2, seed=1)
    assert np.asarray(samples, float) == pytest.approx(np.asarray(SAMPLES[name]), abs=1e-3)


def test_an_old_run_fills_words_as_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words were numbers in the order of the alphabet to those that filled tables. A seed gave other draws of z."""

    def of_then(self: Imputer, seed: int, numbers: range, places: list[int]) -> Numbers:
        return np.stack([self.prior(POOL, mix(seed, number)) for number in numbers], 1)[places]

    monkeypatch.setattr(Imputer, "_z", of_then)
    session = evenodds.load(OLD / "fill", device="cpu")
    assert session.card.row_blocks == ()
    (filled,) = fill_table(session, OLD / "fill.csv", tmp_path / "fill.csv")
    assert filled.read_bytes() == (OLD / "expected" / "fill.csv").read_bytes()
    assert evaluate(session, data=OLD / "fill.csv").score("hidden_right") is not None


def test_an_old_run_folder_resumes_to_the_weights_of_then(tmp_path: Path) -> None:
    folder = tmp_path / "ring"
    shutil.copytree(OLD / "ring", folder)
    evenodds.resume(folder)
    newest = max((folder / "checkpoints").iterdir())
    assert newest.name == "000000004032"
    weights, expected = load_file(newest / "players.safetensors"), load_file(OLD / "expected" / "ring_4032.safetensors")
    earlier = load_file(folder / "checkpoints" / "000000002048" / "players.safetensors")
    assert weights.keys() == expected.keys()
    for key, value in expected.items():
        assert weights[key] == pytest.approx(value, abs=1e-4), key
    assert any(np.abs(earlier[key] - expected[key]).max() > 1e-2 for key in expected)


@pytest.mark.filterwarnings(f"ignore::{InconsistentVersionWarning.__module__}.InconsistentVersionWarning")
@pytest.mark.parametrize("name", ["gan", "gan_images", "classifier", "imputer", "oversampler"])
def test_an_old_pickle_gives_what_it_gave(name: str) -> None:
    estimator = unpickled(name)
    rows = np.asarray(ESTIMATORS["rows"])
    if name.startswith("gan"):
        answer = estimator.sample(4)[0]  # type: ignore[attr-defined]
    elif name == "classifier":
        answer = estimator.predict_proba(rows[:4])  # type: ignore[attr-defined]
    elif name == "imputer":
        answer = estimator.transform(np.where(np.eye(24, 3) > 0, np.nan, rows)[:4])  # type: ignore[attr-defined]
    else:
        answer = estimator.sample([0, 1, 2])  # type: ignore[attr-defined]
    # What is drawn for a row depends on the row since, so that means of two draws are others: by a part of the spread.
    scale, near = (rows.std(0), 0.15) if name == "imputer" else (1.0, 1e-3)
    assert np.asarray(answer, float) / scale == pytest.approx(np.asarray(ESTIMATORS[name]) / scale, rel=1e-3, abs=near)
    assert b"evenodds.columns" not in pickle.dumps(estimator)


def test_moved_modules_are_importable_by_their_earlier_name_only_for_estimators() -> None:
    """In a fresh process: none before the estimators are imported, and old pickles load after."""
    files = [str(OLD / "estimators" / f"{name}.pickle") for name in ("classifier", "imputer")]
    command = [sys.executable, "-c", FRESH, *files]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert printed.split() == ["None", "GANClassifier", "GANImputer"]


@pytest.mark.parametrize("earlier", MOVED)
def test_every_moved_name_leads_to_one_that_exists(earlier: str) -> None:
    module, _, member = MOVED[earlier].partition(":")
    assert find_spec(module) is not None
    assert not member or hasattr(import_module(module), member)
    assert current(MOVED[earlier]) == MOVED[earlier]


@pytest.mark.parametrize(
    ("earlier", "today"),
    [
        ("evenodds.networks.mlp:Generator", "evenodds.parts.networks.mlp:Generator"),
        ("evenodds.networks", "evenodds.parts.networks"),
        ("evenodds.learners.gradient:Gradient", "evenodds.game.learners.gradient:Gradient"),
        ("evenodds.learners.extragradient:Lookahead", "evenodds.experimental.lookahead:Lookahead"),
        ("evenodds.priors:Normal", "evenodds.parts.priors:Normal"),
        ("evenodds.networks_of_mine:Generator", "evenodds.networks_of_mine:Generator"),
        ("evenodds.data.dataset", "evenodds.data.dataset"),
        ("mine.losses:loss", "mine.losses:loss"),
    ],
)
def test_names_of_today(earlier: str, today: str) -> None:
    assert current(earlier) == today


def test_a_configuration_may_name_a_part_by_its_earlier_module() -> None:
    assert find("losses", "evenodds.losses.adversarial:relativistic_paired") is find("losses", "relativistic_paired")
