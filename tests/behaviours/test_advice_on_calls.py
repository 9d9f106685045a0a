"""What Python calls and servers advise is done where they say it: it is taken, and is not said again."""

from __future__ import annotations

import re
import shlex
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image

import evenodds
from evenodds.apply.density_ratio import calibration
from evenodds.apply.filling_frames import fill_frame
from evenodds.cli import main
from evenodds.cli.app import setting_values
from evenodds.data import cache
from evenodds.data.dataset import Dataset
from evenodds.data.packing import pack
from evenodds.data.readers.arrays import arrays, from_array
from evenodds.data.readers.images import images
from evenodds.data.readers.packed import records_of
from evenodds.data.shard_index import read_index
from evenodds.estimators import GAN, GANClassifier, GANOverSampler
from evenodds.evaluation.evaluate import evaluate
from evenodds.evaluation.findings import findings
from evenodds.evaluation.trial import plan
from evenodds.evaluation.trial.arms import ARMS
from evenodds.evaluation.trial.classifiers import Estimator, Small
from evenodds.evaluation.trial.plan import TrialPlan, planned
from evenodds.evaluation.trial.play import _fixed, trial
from evenodds.export.computing import Computing
from evenodds.export.entry import Entry
from evenodds.export.model import _numbers
from evenodds.files import kept
from evenodds.files.lock import locked
from evenodds.parts.networks import pretrained
from evenodds.runs.bench import Pace
from evenodds.runs.build import build_task
from evenodds.runs.build_contest import build_masks
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.folders import as_seconds
from evenodds.runs.planning import TooShort, settle_task, with_glances, with_looks
from evenodds.runs.transfer import require_kind
from evenodds.server.listening import Door
from evenodds.server.places import Places
from evenodds.studio import tools
from evenodds.tasks import classify
from tests.advice import on, refused, told
from tests.serving import asked
from tests.stand_ins import frozen_features
from tests.studio import opened, run_folder


def lines_of(call: Callable[[Callable[[str], None]], object]) -> str:
    """What a call says."""
    lines: list[str] = []
    call(lines.append)
    return "\n".join(lines)


def warned(call: Callable[[], object]) -> str:
    """What a call warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return "\n".join(str(one.message) for one in caught)


@on("'boxes,strokes',")
def test_masks(capsys: pytest.CaptureFixture[str]) -> None:
    told("'boxes,strokes',", refused(lambda: build_masks(cast(Any, 3))))
    build_masks("boxes,strokes")
    assert main(["list", "masks"]) == 0
    assert {"boxes", "strokes"} <= {line.split()[0] for line in capsys.readouterr().out.splitlines()}


@on("(evenodds", "more data", "{}; fit it longer (--fit)")
def test_calibration() -> None:
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(4000, generator=rng)
    real, fake = x[:2000] + 1, x[2000:]  # their log ratio is x - 1/2
    told("(evenodds", calibration(5 * real, 5 * (fake - 9)).doubt)  # samples of a run that was too short
    told("more data", calibration(4 * real - 2, 4 * fake - 2).doubt)  # steep by overfitting
    told("{}; fit it longer (--fit)", calibration(0.3 * real, 0.3 * fake).doubt)  # flat: not fitted to the end
    assert calibration(real - 0.5, fake - 0.5).doubt == ""


@on(", or name", "trial with")
def test_a_trial_that_is_at_work_or_another(tmp_path: Path) -> None:
    data = from_array(np.zeros((4, 8, 8), np.uint8))

    def start(name: str) -> object:
        return trial(data, tmp_path / name, cast(Any, None))

    with locked(tmp_path / "a", "trial"), ThreadPoolExecutor(1) as other:
        told(", or name", other.submit(refused, lambda: start("a")).result())
        assert "another folder" not in other.submit(refused, lambda: start("b")).result()
    _fixed(tmp_path / "c", {"seeds": 5}, TrialPlan)
    told("trial with", refused(lambda: _fixed(tmp_path / "c", {"seeds": 2}, TrialPlan)))
    _fixed(tmp_path / "d", {"seeds": 2}, TrialPlan)


class Hungry:
    """A maker of generators that need a hundred seconds each."""

    least = 100.0

    def planned(self, fold: Dataset, seconds: float) -> float:
        if seconds < self.least:
            raise TooShort("too short", self.least)
        return seconds


@on("or {} with --seeds", "or fewer --seeds")
def test_a_budget_of_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_lap", lambda fold, tested: 1.5)  # 50 ms for a step
    data = from_array(np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8), np.arange(40) % 2)

    def plan_for(budget: str, seeds: int, arms: list[str], maker: Any = None) -> str:
        return refused(lambda: planned(data, Small(), maker, as_seconds(budget), seeds, arms))

    message = plan_for("60s", 5, [*ARMS])
    told("or {} with --seeds", message)
    least = re.search(r"least (\d+m); or (\d+m) with --seeds 2 --arms gan$", message)
    assert least is not None
    assert plan_for(least[1], 5, [*ARMS]) == ""
    assert plan_for(least[2], 2, ["real", "gan"]) == ""
    assert "--seeds" not in plan_for("60s", 2, ["real", "gan"])

    message = plan_for(least[2], 2, ["real", "gan"], Hungry())
    told("or fewer --seeds", message)
    enough = re.search(r"least (\d+m), or fewer", message)
    assert enough is not None
    assert plan_for(enough[1], 2, ["real", "gan"], Hungry()) == ""


@on("too short for these data; fewer --seeds")
def test_a_trial_without_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_lap", lambda fold, tested: 6.0)  # 0.2 s for a step
    data = from_array(np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8), np.arange(40) % 2)

    def line_for(seeds: int, arms: list[str], maker: Any = None) -> str:
        return lines_of(lambda say: planned(data, Small(), maker, None, seeds, arms, say))

    line = line_for(5, [*ARMS])
    told("too short for these data; fewer --seeds", line)
    minutes = re.match(r"planned for (\d+)m, as 30m ", line)
    assert minutes is not None
    refusal = refused(lambda: planned(data, Small(), cast(Any, None), 60.0, 5, [*ARMS]))
    assert f"give at least {minutes[1]}m" in refusal  # the least that does
    assert line_for(2, ["real", "gan"]) == ""

    class Slow(Hungry):
        least = 600.0

    assert line_for(2, ["real", "gan"], Hungry()) == ""
    assert line_for(2, ["real", "gan"], Slow()).startswith("planned for ")


def test_a_budget_without_steps_of_the_small_network_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of classifiers of one's own and arms that need no network, all time is that of their fits."""
    monkeypatch.setattr(plan, "_lap", lambda fold, tested: 1.5)
    data = from_array(np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8), np.arange(40) % 2)
    forest = Estimator("forest", cast(Any, None))
    refusal = refused(lambda: planned(data, forest, cast(Any, None), 5.0, 2, ["real", "weights"]))
    assert "give at least 1m" in refusal


@on("with a checkpoint takes")
def test_looks_of_a_budget() -> None:
    base = recipe("digits")
    for fragment, settle in (
        ("a checkpoint", lambda config, look, say: with_looks(config, 20.0, look, say)),
        ("a glance of", lambda config, look, say: with_glances(config, 20.0, look / 2, 0.0, say)),
    ):
        for look in (0.061, 0.07, 0.083, 0.1, 0.19, 0.3, 4.0):
            line = lines_of(lambda say, look=look, settle=settle: settle(base, look, say))  # type: ignore[misc]
            assert fragment in line
            config = with_settings(base, setting_values(line.partition(":")[0].split()))
            assert lines_of(lambda say, look=look, settle=settle, config=config: settle(config, look, say)) == ""  # type: ignore[misc]


@on("asks for samples by")
def test_values_without_classes() -> None:
    values = from_array(np.zeros((40, 8, 8, 3), np.uint8), c=np.linspace(0, 90, 40)[:, None], c_names=["angle"])
    open_task = recipe("color-32")
    line = lines_of(lambda say: settle_task(open_task, values, say))
    told("asks for samples by", line)
    assert line.endswith("by angle")
    assert build_task(with_settings(open_task, {"task": "condition"}), values).condition_kind == "values"


@on("folders are named", "server was")
def test_places(tmp_path: Path) -> None:
    told("server was", refused(lambda: Places.of([]).allowed(str(tmp_path))))
    other = tmp_path / "other"
    other.mkdir()
    told("folders are named", refused(lambda: Places.of([other]).allowed(str(tmp_path))))
    assert Places.of([other, tmp_path]).allowed(str(tmp_path)) == tmp_path.resolve()


@on("be taken:")
def test_a_port() -> None:
    door = Door.taken()
    with door.socket:
        told("be taken:", refused(lambda: Door.taken(port=door.access.port)))
        Door.taken(port=0).socket.close()


@on("conditional=False", "larger of", "unlabelled=None")
def test_estimators() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 2))
    few = {"rows": 40, "batch_size": 20, "width": 4, "random_state": 0}
    told("conditional=False", refused(lambda: GAN(conditional=True, **few).fit(x)))
    GAN(conditional=False, **few).fit(x)
    three, counts = np.repeat([0, 1, 2], [9, 5, 3]), {1: 6, 2: 4}
    told("larger of", refused(lambda: GANOverSampler(sampling_strategy=0.5).fit_resample(x[:17], three)))
    _, made = GANOverSampler(sampling_strategy=counts, **few).fit_resample(x[:17], three)
    assert np.bincount(made).tolist() == [9, 6, 4]
    signs = np.repeat([-1, 1], 20)
    told("unlabelled=None", warned(lambda: GANClassifier(**few).fit(x, signs)))
    assert warned(lambda: GANClassifier(unlabelled=None, **few).fit(x, signs)) == ""


@on("np.savez(path,", "data.root=FOLDER")
def test_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.array([{}], object))
    told("np.savez(path,", refused(lambda: arrays(tmp_path / "x.npz")))
    np.savez(tmp_path / "x.npz", x=np.zeros((4, 8, 8)), y=np.arange(4))
    arrays(tmp_path / "x.npz")
    for name in ("lists", "images"):
        (tmp_path / name).mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "images" / "1.png")
    (tmp_path / "lists" / "x.txt").write_text(f"../images/1.png\n{tmp_path}/images/1.png\n../lists/x.txt\n/etc/1.png\n")
    told("data.root=FOLDER", refused(lambda: images(tmp_path / "lists" / "x.txt")))
    found = images(tmp_path / "lists" / "x.txt", root=str(tmp_path))
    assert found.names == ("../images/1.png", "images/1.png")
    assert "outside of data.root" in " ".join(found.report)


@on("is damaged;")
def test_an_index_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "in" / "1.png")
    shards = [read_index(pack(tmp_path / "in", tmp_path / name).folder) for name in "ab"]
    told("is damaged;", refused(lambda: records_of(replace(shards[0], notes={}))))
    assert len(records_of(shards[1])) == 1


@on("images: as", "decoded in")
def test_what_is_kept_as_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "WORTH", 0.0)
    monkeypatch.setattr(cache, "_SETTLED", -1.0)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "1.png")

    def read(on: bool) -> str:
        def within(say: Callable[[str], None]) -> None:
            with kept.caching(on, say):
                cache.through_cache(tmp_path, "images", {}, lambda: images(tmp_path))

        return lines_of(within)

    assert read(False) == ""  # --no-cache
    told("decoded in", read(True))
    told("images: as", read(True))
    assert read(False) == ""


@on("; set task.shares=null", "or leave --from out")
def test_a_start_from_a_run_that_knows_others() -> None:
    x = np.zeros((8, 3), np.float32)
    data = [
        replace(from_array(x), y=torch.arange(8) % 2, classes=tuple(of), columns=("u", *"vw")) for of in ("ab", "ba")
    ]
    config = with_settings(recipe("classify-table"), {"data": "t.csv", "task.consistency": 1, "task.shares": [1, 2]})
    source: Any = SimpleNamespace(folder=Path("run"), config=config, card=data[0])
    said = refused(lambda: require_kind(source, config, data[1]))
    told("; set task.shares=null", said)
    require_kind(source, with_settings(config, dict(setting_values(re.findall(r"task\.shares=null", said)))), data[1])
    told("or leave --from out", refused(lambda: require_kind(source, config, replace(data[0], columns=("w", *"vu")))))


@on("scores on")
def test_features_that_were_seen() -> None:
    content = {
        "memorisation": None, "classes": None, "scores": [], "equilibrium": None, "features_seen": True,
        "fingerprint": {"features": "pretrained"},
    }  # fmt: skip
    told("scores on", findings(content)[0][0])
    assert findings({**content, "features_seen": False, "fingerprint": {"features": "random"}})[1]


@on("channels, got {}; set task.perceptual=0")
def test_appearance() -> None:
    data = from_array(np.zeros((4, 2, 64, 64), np.uint8))

    def networks(weight: float) -> object:
        wanted = {"task.degradation": "noise", "task.perceptual": weight, "task.crop": 64}
        return build_task(with_settings(recipe("translate"), wanted), data).networks(data.shape)

    told("channels, got {}; set task.perceptual=0", refused(lambda: networks(1.0)))
    networks(0)


@on("mixtures;")
def test_a_file_of_class_numbers() -> None:
    told("mixtures;", refused(lambda: _numbers(torch.tensor([[0.5, 0.5]]))))
    assert _numbers(torch.tensor([[0.0, 1.0], [0.0, 0.0]])).tolist() == [1, -1]


@on("try: evenodds")
def test_what_is_faster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a b").mkdir()
    for k in range(8):
        Image.fromarray(np.full((8, 8, 3), 30 * k, np.uint8)).save(tmp_path / "a b" / f"{k}.png")
    paces = [Pace({}, 100.0), Pace({"precision": "bfloat16"}, 200.0, "other rounding")]
    monkeypatch.setattr("evenodds.runs.bench.measure_paces", lambda *_: paces)
    mine = ["size=8", "generator.width=4", "discriminator.width=4", "batch=4", "device=cpu", "threads=1"]
    assert main(["bench", "--data", str(tmp_path / "a b"), "--set", *mine, "precision=float32"]) == 0
    line = capsys.readouterr().err.strip().splitlines()[-1]
    told("try: evenodds", line)
    words = shlex.split(line.partition("evenodds ")[2])
    assert main([*words, "images=8", "watch=off", "save_share=1", "--out", str(tmp_path / "run"), "--quiet"]) == 0
    config = evenodds.load(tmp_path / "run", device="cpu").config
    assert (config.batch, config.precision, config.generator.options["width"]) == (4, "bfloat16", 4)


@on("fitted to", "studio was", "yet; learn", "made here; use", "image, or")
def test_runs_that_were_fitted_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).integers(0, 256, (12, 3, 16, 16), dtype=np.uint8)
    small = {"task__crop": 16, "size": None, "generator__width": 4, "generator__blocks": 1, "watch": "off"}
    run = evenodds.fit(x, "upscale-x2", out=tmp_path / "runs" / "up", images=8, batch=4, device="cpu", **small).folder
    told("fitted to", refused(lambda: evenodds.resume(run, settings={"images": 16})))
    np.savez(tmp_path / "x.npz", x=x)
    assert evenodds.resume(run, settings={"images": 12}, data=str(tmp_path / "x.npz")).images == 12
    run_folder(tmp_path / "runs")
    Image.fromarray(np.moveaxis(x[0], 0, -1)).save(tmp_path / "1.png")
    with opened(tmp_path / "runs") as client:
        told("studio was", client.get("/api/data").json()["error"])
        sent = client.post("/api/uploads", content=(tmp_path / "1.png").read_bytes()).json()["upload"]
        at = {"params": {"upload": sent}}
        monkeypatch.setattr(tools, "MOST_RESULT", 16 * 16 * 4 - 1)
        told("made here; use", client.get("/api/runs/up/convert", **at).json()["error"])
        monkeypatch.setattr(tools, "MOST_RESULT", 16 * 16 * 4)
        assert client.get("/api/runs/up/convert", **at).status_code == 200
        told("yet; learn", client.post("/api/runs/digits-1/reconstruct", **at).json()["error"])
    with opened(tmp_path / "runs", [tmp_path]) as client:
        assert client.get("/api/data").status_code == 200
    image = {"files": {"image": (tmp_path / "1.png").read_bytes()}}
    with asked(run, pixels=16 * 16 * 4 - 1) as client:
        told("image, or", client.post("/v1/upscale", **image).json()["error"])
    Image.fromarray(np.moveaxis(x[0, :, :12], 0, -1)).save(tmp_path / "1.png")
    image = {"files": {"image": (tmp_path / "1.png").read_bytes()}}
    with asked(run, pixels=16 * 16 * 4 - 1) as client:
        assert client.post("/v1/upscale", **image).status_code == 200
    assert main(["upscale", str(run), str(tmp_path / "1.png"), str(tmp_path / "out.png")]) == 0


@on("run once,")
def test_a_server_without_an_encoder(tmp_path: Path) -> None:
    run = run_folder(tmp_path)
    with asked(run) as client:
        told("run once,", client.post("/v1/encode", json={"image": ""}).json()["error"])
    assert main(["encode", str(run), "--images", "16", "--out", str(tmp_path / "z.npz"), "--device", "cpu"]) == 0
    with asked(run) as client:
        assert "encode" in client.get("/v1/model").json()["answers"]


@on("own kind,")
def test_a_file_that_takes_bytes() -> None:
    def put(kind: str) -> object:
        units = cast(Any, from_array(np.zeros((2, 4, 4), np.uint8) + np.uint8([[[0]], [[255]]])).units.scale)
        inputs = (Entry("x", kind, ("batch", 1, 4, 4)),)
        runtime = SimpleNamespace(session=SimpleNamespace(get_inputs=lambda: inputs))
        file = Computing(cast(Any, runtime), inputs, (), units, units)
        return file._input("x", np.full((1, 1, 4, 4), 0.001, np.float32))

    told("own kind,", refused(lambda: put("uint8")))
    put("float32")


@on("of before with --train")
def test_copies_are_looked_for_among_what_another_run_was_trained_on(tmp_path: Path) -> None:
    x, y = torch.randn(400, 4, generator=torch.Generator().manual_seed(0)).numpy(), tmp_path / "x.npy"
    np.save(y, x[:200])
    short = {"batch": 8, "images": 8, "watch": "off", "threads": 1, "evaluate_share": 1, "save_share": 1}
    run = evenodds.fit(str(y), "ring", out=tmp_path / "run", **short).folder
    judged: dict[str, Any] = {"against": x[200:], "metrics": ["memorisation"]}
    found = evaluate(x[100:200], **judged, train=str(run))
    assert found["memorisation"]["n_train"] == evenodds.load(run).card.trained_on
    np.save(y, x)
    told("of before with --train", refused(lambda: evaluate(x[100:200], **judged, train=str(run))))
    assert evaluate(x[100:200], **judged, train=x[:200])["memorisation"]["n_train"] == 200


@on("a data frame of pandas is filled, got {}")
def test_a_run_fills_data_frames_whose_columns_have_names() -> None:
    pandas = pytest.importorskip("pandas")
    session = evenodds.load(Path(__file__).resolve().parents[1] / "fixtures/old_layout/fill", device="cpu")
    x = [[44, "Köln", "1880,50 €", "mid"], [None, "Köln", None, None]]
    told("a data frame of pandas is filled, got {}", refused(lambda: fill_frame(session, x)))
    filled = fill_frame(session, pandas.DataFrame(x, columns=session.card.columns))
    assert not filled.isna().any(axis=None)


@on("evenodds train classify-photos", "saw is kept in", "as seen before")
def test_photographs_are_told_apart_by_what_was_learned_from_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVENODDS_CACHE", "cache")
    monkeypatch.setattr(classify, "is_here", lambda: True)
    x = np.random.default_rng(0).integers(0, 256, (24, 3, 8, 8), dtype=np.uint8)
    np.savez("photos.npz", x=x, y=np.arange(24) % 2)
    short = "--data photos.npz --set device=cpu images=8 batch=8 watch=off threads=1 save_share=1 evaluate_share=1"
    assert main(shlex.split(f"train classify {short} generator.width=4 discriminator.width=4")) == 0
    told("evenodds train classify-photos", capsys.readouterr().err)
    with frozen_features(monkeypatch, pretrained):
        assert main(shlex.split(f"train classify-photos {short} discriminator.side=32")) == 0
        err = capsys.readouterr().err
        assert err.count("images and their mirror images: looked at once, in 32 x 32, by the pretrained network") == 1
        assert "train classify-photos" not in err
        monkeypatch.setattr(kept, "WORTH", 0.0)
        for again, flags in enumerate(("--no-cache", "", "", "--no-cache")):
            assert main(shlex.split(f"train classify-photos {short} discriminator.side=32 {flags}")) == 0
            err = capsys.readouterr().err
            assert ("looked at once" in err) == (again != 2)
            if again == 1:
                told("saw is kept in", err)
            elif again == 2:
                told("as seen before", err)
            else:
                assert "no-cache" not in err
