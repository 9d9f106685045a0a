"""What commands advise is typed where they say it: it is taken, and is not said again."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import evenodds
from evenodds.apply.answering import conversion_of
from evenodds.apply.encoder import existing_encoder
from evenodds.apply.samples import requested_labels
from evenodds.cli import main
from evenodds.evaluation.resembling import known
from evenodds.export.graphs import Options, graph_of, possible
from evenodds.export.model import load_model
from evenodds.files.tensors import read_tensors_and_words
from tests.advice import TRIED, meant, messages, on, refused, told
from tests.advice_left import MACHINE, NETWORK, NO_ADVICE, PROCESSES
from tests.advice_lines import LINES, RUNS
from tests.behaviours import test_advice_on_calls, test_faces, test_fill_exported  # noqa: F401  (they add to TRIED)
from tests.behaviours.test_advice import CASES, MEANT
from tests.behaviours.test_advice_on_settings import MEANT as SETTINGS_MEANT
from tests.contracts.test_export import stand_in
from tests.exported import small_model
from tests.studio import opened

OWN = """
import torch


class Judge(torch.nn.Module):
    def __init__(self, shape, condition=0):
        super().__init__()
        self.logit = torch.nn.Linear(shape[0] * shape[1] * shape[2], 1)

    def forward(self, x):
        return self.logit(x.flatten(1))[:, 0]
"""
"""A discriminator of one's own."""


@pytest.fixture(scope="module")
def at_work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, beside which runs are made as they are named."""
    folder = tmp_path_factory.mktemp("at work")
    rng = np.random.default_rng(0)
    for name in ("photos", "maps", "others"):
        (folder / name).mkdir()
    for k in range(24):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / "photos" / f"{k}.png")
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / "others" / f"{k}.png")
        (folder / "maps" / str(k % 10)).mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / "others" / f"{k}.png")
        (folder / "maps" / str(k % 10) / f"{k:06}.png").write_bytes(b"mine")
    Image.fromarray(np.uint8(255 * (np.arange(64) < 32).reshape(8, 8))).save(folder / "mask.png")
    kinds = np.minimum(np.arange(120) % 4, 2)
    np.savez(folder / "floats.npz", x=rng.normal(size=(40, 8, 8)).astype(np.float32), y=np.arange(40) % 2)
    np.savez(folder / "others.npz", x=rng.integers(0, 256, (120, 8, 8), dtype=np.uint8), y=kinds)
    np.savez(folder / "few.npz", x=rng.integers(0, 256, (12, 8, 8), dtype=np.uint8))
    pictures = rng.integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez(folder / "values.npz", x=pictures, c=rng.random((40, 1)), c_names=np.array(["angle"]))
    for k in range(8):
        for name, pixels in (("seg/images", rng.integers(0, 256, (16, 16, 3))), ("seg/masks", 255 * np.eye(16))):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{k}.png")
        (folder / "deep").mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 65536, (12, 16), dtype=np.uint16)).save(folder / "deep" / f"{k}.png")
    (folder / "described").mkdir()
    for k in range(8):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / "described" / f"{k}.png")
        shape = {"label": "ab"[k % 2], "points": [[2, 2], [9, 2], [9, 9]], "shape_type": "polygon"}
        words = {"shapes": [shape], "imagePath": f"{k}.png", "imageHeight": 16, "imageWidth": 16}
        (folder / "described" / f"{k}.json").write_text(json.dumps(words))
    (folder / "own.py").write_text(OWN)
    (folder / "broken.onnx").write_bytes(b"nothing")
    small_model(folder / "model.onnx")
    for kind in ("segment", "way there", "way back"):
        stand_in(kind, folder)
    (folder / "model.pt2").write_bytes(b"PK")
    np.savez(
        folder / "kinds.npz", x=(rng.integers(0, 90, (120, 8, 8)) + 60 * kinds[:, None, None]).astype(np.uint8), y=kinds
    )
    rows = [f"{rng.integers(20, 70)},{rng.normal():.3f},{'ab'[k % 2]}" for k in range(80)]
    (folder / "rows.csv").write_text("\n".join(["age,income,kind", *rows]))
    gaps = [row if k % 5 else f"{row[: row.index(',')]},,{row[-1]}" for k, row in enumerate(rows)]
    (folder / "gaps.csv").write_text("\n".join(["age,income,kind", *gaps]))
    return folder


@pytest.fixture
def typed(at_work: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], int]]:
    """Types commands there, the last of which gives the status; what they make is taken away afterwards."""
    monkeypatch.chdir(at_work)
    moved: dict[str, str] = {}
    before = {path.name for path in at_work.iterdir()}

    def one(line: str) -> int:
        words = shlex.split(line)
        if words[0] == "make":
            return 0
        if words[0] == "move":
            Path(words[1]).rename(words[2])
            moved[words[2]] = words[1]
            return 0
        if words[0] == "copy":
            return 0 if shutil.copytree(words[1], words[2]) else 1
        if words[0] == "wipe":
            return shutil.rmtree(words[1]) or 0
        if words[0] == "cut":
            return 0 if Path(words[1]).write_bytes(Path(words[1]).read_bytes()[:99]) else 1
        if words[0] == "swap":
            Path(words[1]).rename("kept.npz")
            moved["kept.npz"] = words[1]
            shutil.copy(words[2], words[1])
            return 0
        return main(words)

    def each(lines: str) -> int:
        parts = lines.split(";")
        for name in RUNS.keys() & {word for part in parts for word in shlex.split(part)}:
            if not Path(name).exists():  # before data are moved or swapped
                assert main(shlex.split(f"{RUNS[name]} --out {name} --quiet")) == 0
        return [one(part) for part in parts][-1]

    yield each
    for path in at_work.iterdir():
        if path.name in moved:
            path.rename(moved[path.name])
        elif path.name not in before and path.name not in RUNS:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize("fragment", LINES)
def test_what_a_command_advises_is_taken(
    fragment: str, typed: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    line, instead = LINES[fragment]
    status = typed(line)
    printed = capsys.readouterr()
    told(fragment, printed.out + printed.err)
    assert status in (0, 1, 2)
    for other in instead.split(";") if instead else []:
        assert typed(other) == 0, capsys.readouterr().err
        again = capsys.readouterr()
        with pytest.raises(AssertionError):
            told(fragment, again.out + again.err)


@on("`--allow`.", "every file", "only with", "samples.png", "sure that")
def test_what_a_page_says_is_typed(typed: Callable[[str], int], capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("push own --to handed --licence other --allow own") == 0
    said, page = capsys.readouterr().err, Path("handed/README.md").read_text()
    told("sure that", said)
    for fragment in ("every file", "only with", "samples.png", "`--allow`."):
        told(fragment, page)
    more = {"pull": f"--sum {said.split('--sum ')[1].split()[0]}", "sample": "--allow own"}
    more["resume"] = "--images 16 --quiet --allow own"
    for line in page.partition("```sh\n")[2].partition("```")[0].splitlines()[1:]:
        words = line.partition("#")[0].replace("PLACE", "kinds.npz").split()[1:]
        assert typed(" ".join([*words, more[words[0]]])) == 0, capsys.readouterr().err
    assert Path("samples.png").is_file()


@on("--uint8 is", "they are;", "this too,", "upscale-x4,", "take a file", "copies are", "draw fewer")
def test_what_a_run_or_a_file_does_not_answer(typed: Callable[[str], int]) -> None:
    assert typed("make floats few segments pictures coded") == 0
    floats, few, segments, pictures, coded = (
        evenodds.load(name, device="cpu") for name in ("floats", "few", "segments", "pictures", "coded")
    )
    told("--uint8 is", refused(lambda: graph_of(floats, Options(uint8=True), None)))
    graph_of(floats, Options(), None)
    told("they are;", refused(lambda: existing_encoder(few)))
    assert typed("encode few few.npz --images 16 --out a.npz") == 0
    existing_encoder(few)
    told("this too,", refused(lambda: load_model("segment.onnx").players["discriminator"]))
    assert {"sample", "features"} <= {*possible(few)}
    told("upscale-x4,", refused(lambda: conversion_of(pictures)))
    assert conversion_of(segments).labels
    told("take a file", refused(lambda: load_model("model.onnx")))
    load_model("segment.onnx")
    told("draw fewer", refused(lambda: requested_labels(few, 10**13, None, None, 0)))
    assert "draw fewer at a time" in refused(lambda: few.sample(10**13))
    requested_labels(few, 2, None, None, 0)
    few.sample(2)
    told("copies are", refused(lambda: known(pictures)))
    known(coded)


@on("folders of")
def test_data_outside_of_a_studio(typed: Callable[[str], int], at_work: Path) -> None:
    assert typed("make coded") == 0
    for folder, status in (("others", 400), ("photos", 200)):
        with opened(at_work, [at_work / folder]) as client:
            answer = client.get("/api/runs/coded/resembling", params={"n": 1})
            assert answer.status_code == status
            if status == 400:
                told("folders of", answer.json()["error"])


def test_a_longer_fit_is_not_lost(typed: Callable[[str], int], capsys: pytest.CaptureFixture[str]) -> None:
    line = "sample style -n 2 --select budgeted --npz a.npz --fit"
    assert typed(f"{line} 32; {line} 16") == 0
    assert "was fitted on 32 images before, more than 16: it is taken" in capsys.readouterr().err
    assert read_tensors_and_words(Path("style/ratio.safetensors"), "")[1]["fitted_images"] == "32"


def test_every_advice_is_typed_or_it_is_said_why_not() -> None:
    typed_here = [*LINES, *TRIED, *SETTINGS_MEANT.values(), *(MEANT.get(name, case[3]) for name, case in CASES.items())]
    left = [*NO_ADVICE, *NETWORK, *MACHINE, *PROCESSES]
    found = {part: meant(part) for part in [*typed_here, *left]}
    assert {part: texts for part, texts in found.items() if len(texts) != 1} == {}
    covered = {text for (text,) in found.values()}
    assert [message for message in messages() if message.text not in covered] == []
    assert {*typed_here} & {*left} == set()
    assert len(left) == len({*left})
    assert (len(NO_ADVICE), len(NETWORK), len(MACHINE), len(PROCESSES)) == (54, 25, 25, 5)
