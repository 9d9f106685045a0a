"""`evenodds trial`: planted generators, leaks that are caught, what is kept on disk, and what is refused."""

import json
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import evenodds
from evenodds.apply.filters import Draw
from evenodds.cli import main
from evenodds.data.dataset import Dataset
from evenodds.data.readers.digits import digits
from evenodds.errors import BadInput
from evenodds.evaluation.trial.answer import answer, compared, decided
from evenodds.evaluation.trial.arms import ARMS
from evenodds.evaluation.trial.classifiers import Examples, Small, classifier
from evenodds.evaluation.trial.generators import ConditionalRun, FinishedRun
from evenodds.evaluation.trial.plan import TrialPlan
from evenodds.evaluation.trial.play import trial
from evenodds.evaluation.trial.proof import verify
from evenodds.evaluation.trial.written import _readme, _sheet, table, write
from tests.short import AT_THE_END

CONTROLS = runpy.run_path(str(Path(__file__).resolve().parents[2] / "benchmarks" / "trial_controls.py"))
BRIEF = TrialPlan(steps=10)


def few(per_class: int = 9, classes: int = 3) -> Dataset:
    data = digits()
    assert data.y is not None
    index = torch.cat([(data.y == k).nonzero().flatten()[:per_class] for k in range(classes)])
    some = data.take(index)
    return Dataset(some.x, some.units, some.y, data.classes[:classes])


class Same:
    """Hands out one and the same images, those given, whatever is asked."""

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __call__(self, fold: Dataset, seed: int, budget: float) -> Draw:
        return lambda label, n, rng: self.x[torch.randint(len(self.x), (n,), generator=rng)]


def noise() -> Any:
    return CONTROLS["Noise"]()


@pytest.mark.parametrize(("kind", "due"), [("noise", {"CANNOT TELL", "NO EFFECT", "HURTS"}), ("oracle", {"HELPS"})])
@pytest.mark.parametrize("repetition", [0, 1])
def test_planted_controls(kind: str, due: set[str], repetition: int) -> None:
    """The small version of benchmarks/trial_controls.py."""
    content = CONTROLS["played"](kind, repetition, digits(), TrialPlan(steps=40), ["gan"], agreeing=False)
    assert content["verdict"]["answer"] in due
    assert (content["verdict"]["recommended"]["mix"] != "none") == (kind == "oracle")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("trials") / "one"
    return folder, trial(uneven(), folder, noise(), seeds=2, plan=BRIEF, agreeing=True)


def uneven() -> Dataset:
    whole = few(12)
    return whole.take(torch.tensor([k for k in range(36) if k % 12 < 12 - 5 * (k // 24)]))


def test_all_arms_are_there_and_all_is_proven(played: tuple[Path, dict[str, Any]]) -> None:
    folder, content = played
    assert list(content["arms"]) == list(ARMS)
    proof = json.loads((folder / "proof.json").read_text())
    assert verify(proof, uneven()) == []
    seen = {thing for seed in proof["seeds"] for arm in seed["arms"].values() for thing in arm["saw"]}
    assert {"classifier", "generator", "choice of changes"} < seen
    assert len(seen) == 6
    proof["seeds"][1]["arms"]["gan"]["saw"]["generator"] = proof["seeds"][1]["test"]
    assert "seed 1, gan: the generator has seen" in verify(proof)[0]


def test_resumed_is_uninterrupted(played: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, content = played
    shutil.copytree(folder, tmp_path / "again")
    for lost in ("seed-1-smote.json", "seed-1-gan.json", "seed-1-gan_classical.json", "seed-1-synthetic.npz"):
        (tmp_path / "again" / "cells" / lost).unlink()
    (tmp_path / "again" / "cells" / "seed-0-gan_classical.json").unlink()  # its images are there still
    assert trial(uneven(), tmp_path / "again", noise(), seeds=2, plan=BRIEF, agreeing=True) == content
    for name in ("trial.json", "proof.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_what_the_user_changed_in_a_trial_stays(played: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, content = played
    shutil.copytree(folder, tmp_path / "again")
    first = write(content, tmp_path / "again", uneven())
    (tmp_path / "again" / "trial.txt").write_text("my notes")
    names = [path.name for path in write(content, tmp_path / "again", uneven())]
    assert names == ["trial-2.txt" if path.name == "trial.txt" else path.name for path in first]
    assert (tmp_path / "again" / "trial.txt").read_text() == "my notes"


def test_what_is_damaged_is_played_again(played: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, content = played
    shutil.copytree(folder, tmp_path / "again")
    cells = tmp_path / "again" / "cells"
    whole = json.loads((cells / "seed-0-real.json").read_text())
    (cells / "seed-0-real.json").write_text("[" * 1000)
    (cells / "seed-1-real.json").write_text(json.dumps({**whole, "figures": {**whole["figures"], "recalls": [1.0]}}))
    (cells / "seed-0-smote.json").write_text(json.dumps({**whole, "saw": []}))
    synthetic = cells / "seed-1-synthetic.npz"
    synthetic.write_bytes(synthetic.read_bytes()[:100])
    assert trial(uneven(), tmp_path / "again", noise(), seeds=2, plan=BRIEF, agreeing=True) == content


@pytest.mark.parametrize(
    "text", ["", "[]", '{"facts": {}}', '{"facts": [], "plan": {}}', '{"facts": {}, "plan": {"steps": "x"}}']
)
def test_a_damaged_plan_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(BadInput, match=r"plan\.json.*name another folder with --out"):
        trial(uneven(), tmp_path, noise(), seeds=2, plan=BRIEF)


def test_a_row_of_the_sheet_is_a_class_also_where_it_has_no_images(tmp_path: Path) -> None:
    """Classes without synthetic images were left out, and nothing said which class a row was."""
    data = digits()
    x = np.full((3, *data.shape), 16, data.units.dtype)
    np.savez(tmp_path / "synthetic.npz", x=x, y=np.array([0, 2, 2]))
    _sheet(tmp_path / "synthetic.npz", tmp_path / "sheet.png", data, ["a", "b", "c"])
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("L"))
    rows = np.array_split(sheet, 3)
    assert [round(float((row > 250).mean()), 1) for row in rows] == [0.1, 0.0, 0.2]
    content = {"classes": ["a", "b\x1b", "c"], "evenodds": "0", "verdict": {"answer": "HELPS"}}
    assert "by rows: a, b" in _readme(content, ["synthetic.png"])
    assert "\x1b" not in _readme(content, ["synthetic.png"])


def test_the_files_say_it(played: tuple[Path, dict[str, Any]]) -> None:
    folder, content = played
    written = write(content, folder, uneven())
    assert {p.name for p in written} == {"trial.json", "trial.txt", "trial.png", "synthetic.png", "README.txt"}
    text = (folder / "trial.txt").read_text()
    assert text.startswith(content["verdict"]["answer"])
    assert all(arm["title"] in text for arm in content["arms"].values())
    assert table(json.loads((folder / "trial.json").read_text())) + "\n" == text


def test_another_trial_does_not_go_on_in_this_folder(played: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, _ = played
    with pytest.raises(BadInput, match="other seeds"):
        trial(uneven(), folder, noise(), seeds=4, agreeing=True)
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(BadInput, match="holds no trial"):
        trial(uneven(), tmp_path, noise(), seeds=3)


def test_a_generator_that_hands_out_test_images_gets_no_answer(tmp_path: Path) -> None:
    data = few()
    leak = Same(data.units.to_model(data.x))
    with pytest.raises(BadInput, match=r"no answer is given.*synthetic images are test images"):
        trial(data, tmp_path / "t", leak, seeds=2, plan=BRIEF, arms=["gan"], share=0.5, agreeing=False)


def test_arms_that_change_nothing_are_not_tried(tmp_path: Path) -> None:
    content = trial(few(), tmp_path / "t", noise(), seeds=2, plan=BRIEF, arms=["weights", "oversampling"])
    assert list(content["arms"]) == ["real"]
    alone, weights, _ = content["verdict"]["reasons"]
    assert "not tried; add gan to --arms" in alone
    assert "equally large" in weights
    assert content["verdict"]["answer"] == "NOT TRIED"  # nothing was found out about synthetic images
    assert content["verdict"]["recommended"]["arm"] == "real"


def test_a_table_is_tried_as_images_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evenodds.evaluation.trial.play.planned", lambda *_: BRIEF)
    rng, rows = np.random.default_rng(0), ["a,b,kind"]
    rows += [
        f"{rng.normal(2 * (k % 4 == 0)):.3f},{rng.normal():.3f},{'rare' if k % 4 == 0 else 'usual'}" for k in range(120)
    ]
    (tmp_path / "table.csv").write_text("\n".join(rows))
    words = ["trial", "--data", str(tmp_path / "table.csv"), "--out", str(tmp_path / "t"), "--seeds", "2"]
    assert main([*words, "--arms", "gan_classical"]) == 2
    assert "add --label COLUMN" in capsys.readouterr().err
    assert (
        main([*words, "--label", "kind", "--classifier", "logistic", "--arms", "gan_classical", "--no-agreement"]) == 0
    )
    said = capsys.readouterr().out
    assert "synthetic rows + classical" in said
    assert "images" not in said
    content = json.loads((tmp_path / "t" / "trial.json").read_text())
    assert content["train_counts"] == [20, 60]
    assert not (tmp_path / "t" / "synthetic.png").exists()
    assert "table" in main_error(capsys, ["trial", "--data", "digits", "--label", "kind"])


def main_error(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    assert main(words) == 2
    return capsys.readouterr().err


def test_a_conditional_run_on_the_fold_is_a_function_of_fold_and_seed() -> None:
    make = ConditionalRun(settings={"generator.width": 8, "discriminator.width": 8, "device": "cpu"})
    draws = [make(few(), seed, 640.0)(1, 5, torch.Generator().manual_seed(0)) for seed in (0, 0, 1)]
    assert draws[0].shape == (5, 1, 8, 8)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_a_finished_run_is_tested_on_what_it_held_out(tmp_path: Path) -> None:
    small = {
        "generator__width": 8,
        "discriminator__width": 8,
        "device": "cpu",
        "images": 64,
        **AT_THE_END,
        "held_out": 0.2,
    }
    session = evenodds.fit("digits", "digits", out=tmp_path / "run", task="condition", **small)
    made, data = FinishedRun(session), digits()
    splitter = made.splitter(data, 5)
    held = set(json.loads((tmp_path / "run" / "data.json").read_text())["held_out"])
    tests = [set(splitter(data, seed)[1].tolist()) for seed in range(5)]
    assert set.union(*tests) == held
    assert sum(map(len, tests)) == len(held)
    assert not held & set(splitter(data, 0)[0].tolist())
    assert made(data, 0, 0.0)(3, 4, torch.Generator()).shape == (4, 1, 8, 8)
    with pytest.raises(BadInput, match="other data"):
        made.splitter(few(), 5)
    everything = evenodds.fit(
        "digits", "digits", out=tmp_path / "all", task="condition", **{**small, "held_out": 0, "evaluate_share": None}
    )
    with pytest.raises(BadInput, match="held 0 images out"):
        FinishedRun(everything).splitter(data, 5)
    plain = evenodds.fit("digits", "digits", out=tmp_path / "plain", task="generate", **small)
    with pytest.raises(BadInput, match="not conditional"):
        FinishedRun(plain).splitter(data, 5)


class Mine:
    """A classifier of one's own: the mean image of each class."""

    images = True

    def fit(self, X: Any, y: Any) -> None:
        self.classes_ = np.unique(y)
        self.means = np.stack([X[y == k].mean(0) for k in self.classes_])

    def predict_proba(self, X: Any) -> Any:
        distance = ((X[:, None] - self.means) ** 2).sum((2, 3, 4))
        chance = np.exp(-distance + distance.min(1, keepdims=True))
        return chance / chance.sum(1, keepdims=True)


@pytest.mark.parametrize("name", ["small", "sklearn", "tests.behaviours.test_trial:Mine"])
def test_every_classifier_learns_and_gives_probabilities(name: str) -> None:
    chosen = Small(steps=60) if name == "small" else classifier(name)
    data = few(20)
    assert data.y is not None
    x, y = data.units.to_model(data.x), data.y
    examples = Examples(x[y != 1], y[y != 1], torch.ones(40))
    a, b = (chosen.fit(examples, 3, seed=1)(x) for _ in range(2))
    assert torch.equal(a, b)
    assert a.shape == (60, 3)
    assert torch.allclose(a.sum(1).double(), torch.ones(60, dtype=torch.float64), atol=1e-5)
    assert float((a.argmax(1) == y)[y != 1].double().mean()) > 0.9


def test_weights_are_what_repeating_is() -> None:
    """A class of double weight, and one whose items come twice, give one classifier where none draws batches."""

    class Counts:
        classes_ = np.arange(2)

        def fit(self, X: Any, y: Any) -> None:
            self.shares = np.bincount(y, minlength=2) / len(y)

        def predict_proba(self, X: Any) -> Any:
            return np.tile(self.shares, (len(X), 1))

    from evenodds.evaluation.trial.classifiers import Estimator

    y = torch.tensor([0, 0, 0, 0, 1, 1])
    x = torch.zeros(6, 1, 4, 4)
    weights = torch.where(y == 1, 1.5, 0.75)
    assert Estimator("counts", Counts).fit(Examples(x, y, weights), 2, 0)(x)[0].tolist() == [0.5, 0.5]


def figures(values: list[float]) -> list[dict[str, Any]]:
    names = ("macro_f1", "accuracy", "balanced_accuracy", "calibration_error")
    return [dict.fromkeys(names, value) | {"recalls": [value, None]} for value in values]


BASE = [0.70, 0.72, 0.69, 0.71, 0.73]


def shifted(by: float, wiggle: float = 0.004) -> list[dict[str, Any]]:
    return figures([b + by + wiggle * (-1) ** k for k, b in enumerate(BASE)])


@pytest.mark.parametrize(
    ("arms", "said", "best"),
    [
        ({"gan": shifted(0.1)}, "HELPS", "gan"),
        ({"gan": shifted(-0.1)}, "HURTS", "real"),
        ({"gan": shifted(0.0)}, "NO EFFECT", "real"),
        ({"gan": shifted(0.1), "classical": shifted(0.2)}, "HELPS", "classical"),
        ({"gan": shifted(0.1), "classical": shifted(0.1005)}, "HELPS", "classical"),
        ({"gan": shifted(0.2), "classical": shifted(0.1, 0.007)}, "HELPS", "gan"),
        ({"gan": shifted(0.05, 0.2)}, "CANNOT TELL", "real"),
    ],
)
def test_the_answer_and_the_simplest_of_the_best(arms: dict[str, Any], said: str, best: str) -> None:
    cells = {"real": figures(BASE), **arms}
    verdict = decided(cells, compared(cells, 0.0), [10, 10], {})
    assert verdict["answer"] == said
    assert verdict["recommended"]["arm"] == best
    assert (verdict["recommended"]["mix"] == "none") == (best != "gan")


def test_that_nothing_is_there_and_that_nothing_is_known_are_two_answers() -> None:
    narrow, wide = ({"real": figures(BASE), "gan": shifted(0.0, w)} for w in (0.002, 0.1))
    assert "no difference worth having" in decided(narrow, compared(narrow, 0.0), [1, 1], {})["reasons"][0]
    assert "the interval is wide; more images" in decided(wide, compared(wide, 0.0), [1, 1], {})["reasons"][0]
    assert answer({"low": 0.0, "high": 0.01}) == answer({"low": -0.01, "high": 0.0}) == "NO EFFECT"
    assert answer({"low": 0.0, "high": 0.02}) == answer({"low": -0.02, "high": 0.0}) == "CANNOT TELL"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "a trial needs --data"),
        (["--data", "missing"], "no file or folder of this name exists"),
        (["--data", "ring"], "a trial is of images"),
        (["--data", "digits", "--classifier", "smal"], "there are small, sklearn"),
        (["--data", "digits", "--classifier", "no.module:X"], "cannot be imported"),
        (["--data", "digits", "--classifier", "json:dumps"], "needs fit(X, y)"),
        (["--data", "digits", "--arms", "gans"], "did you mean 'gan'"),
        (["--data", "digits", "--seeds", "1"], "from 2 to"),
        (["--data", "digits", "--budget", "soon"], "length of time"),
        (["--data", "digits", "--budget", "1s"], "too short"),
        (["--data", "digits", "--ratio", "0"], "must be a number above 0"),
        (["--run", "nowhere"], "no run at nowhere"),
        (["--data", "plain.npz"], "labelled data"),
    ],
)
def test_wrong_input_is_one_line(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("plain.npz", x=np.zeros((9, 8, 8), np.uint8))
    assert main(["trial", *words]) == 2
    assert said in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "trials").exists()


def test_a_budget_is_planned_by_the_makers_own_unit(tmp_path: Path) -> None:
    class Counted:
        name = "counted"

        def __init__(self) -> None:
            self.asked: list[float] = []

        def planned(self, fold: Dataset, seconds: float) -> float:
            assert 0 < seconds < 120
            return 7.0

        def __call__(self, fold: Dataset, seed: int, budget: float) -> Draw:
            self.asked.append(budget)
            return noise()(fold, seed, budget)

    made, said = Counted(), []
    tell: Callable[[str], None] = said.append

    class Quick(Mine):
        pass

    from evenodds.evaluation.trial.classifiers import Estimator

    trial(
        few(), tmp_path / "t", made, classifier=Estimator("quick", Quick), seeds=2, arms=["gan"], budget=120,
        agreeing=False, say=tell,
    )  # fmt: skip
    assert made.asked == pytest.approx(
        [7 / 3, 7.0, 7 / 3, 7.0]
    )  # a third for the generator by which the share is chosen
    assert [line.rpartition("; ")[0].split(":")[0] for line in said][-1] == "seed 2 of 2, GAN images"
    assert json.loads((tmp_path / "t" / "plan.json").read_text())["plan"]["budget"] == 7.0
