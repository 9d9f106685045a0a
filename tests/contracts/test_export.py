"""Every kind of run as one file: it gives what the run gives, says what it is, and one of a stranger does nothing."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from evenodds.errors import BadInput
from evenodds.export.about import FORMAT
from evenodds.export.card import card_of
from evenodds.export.graphs import Options, possible
from evenodds.export.inside import metadata_in
from evenodds.export.model import load_model
from evenodds.export.parity import BATCHES, SIDES
from evenodds.export.write import Exported, export
from evenodds.game.rules import Batch
from evenodds.runs.assembly import Run
from evenodds.runs.config import recipe, with_settings
from evenodds.runs.session import Session
from tests.stand_ins import data_for, settled

SMALL: Mapping[str, Mapping[str, Any]] = {
    "digits": {"generator.width": 4, "discriminator.width": 4},
    "table": {"generator.width": 8, "generator.depth": 1, "discriminator.width": 8},
    "upscale-x2": {"size": 16, "task.crop": 16, "generator.width": 4, "generator.blocks": 1, "discriminator.width": 4},
    "segment": {"size": 32, "task.crop": None, "generator.width": 4, "discriminator.width": 4},
    "fill-32": {"size": 8, "generator.width": 4, "discriminator.width": 4},
}
"""The smallest players of each kind of run."""
KINDS = {
    "class numbers in, bytes out": ("digits", Options(uint8=True)),
    "features": ("digits", Options("features")),
    "table": ("table", Options()),
    "upscale": ("upscale-x2", Options()),
    "segment": ("segment", Options()),
    "fill": ("fill-32", Options()),
}


def session_of(name: str, folder: Path) -> Session:
    """An untrained run of a recipe, with the smallest players."""
    config = with_settings(recipe(name), {"device": "cpu", "batch": 4, "held_out": 0.4, **SMALL[name]})
    dataset = data_for(config, images=12)
    return Run(settled(config, dataset), dataset).session(folder, 0)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Session, Exported]]]:
    """Each kind of file beside the run that it is of, made once."""
    made: dict[str, tuple[Session, Exported]] = {}
    folder = tmp_path_factory.mktemp("export")
    for number, (kind, (name, options)) in enumerate(KINDS.items()):
        session = session_of(name, folder)
        made[kind] = session, export(session, "onnx", folder / f"{number}.onnx", options)
    yield made


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_gives_what_its_run_gives(kind: str, files: dict[str, tuple[Session, Exported]]) -> None:
    session, exported = files[kind]
    about, model = exported.about, load_model(exported.path)
    assert about.answers == (KINDS[kind][1].answers or possible(session)[0])
    assert exported.parity.cases == len(BATCHES) * (len(SIDES) if about.inputs[0].name == "source" else 1)
    ours, theirs = (answers_of(one, about.answers) for one in (session, model))
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert float((value.float() - theirs[name].float()).abs().max()) <= 2e-4, name
    assert card_of(model)["run"] == card_of(session)["run"] == about.run


def answers_of(session: Session, answers: str) -> Batch:
    """What a run or a file answers, of sizes that the file was not traced with."""
    rng = torch.Generator().manual_seed(3)
    if answers == "sample":
        return {"x": torch.from_numpy(session.numbers(7, seed=5).astype(np.float64))}
    if answers == "features":
        x = torch.rand(3, *session.card.shape, generator=rng)
        return {"features": session.players["discriminator"](x, features=True)[1]}
    if answers == "fill":
        x = 2 * torch.rand(4, *session.card.shape, generator=rng) - 1
        return session.reply({"x": x, "mask": (x[:, :1] > 0).float(), "z": session.prior(8, 1)})
    return session.reply({"source": 2 * torch.rand(3, 3, 64, 96, generator=rng) - 1})


def test_a_file_says_what_it_is(files: dict[str, tuple[Session, Exported]]) -> None:
    session, exported = files["class numbers in, bytes out"]
    words = metadata_in(exported.path.read_bytes(), "x")
    assert words["format"] == FORMAT
    assert words["classes"] == str(list(session.card.classes)).replace("'", '"')
    assert words["data_fingerprint"] == session.card.fingerprint
    assert {"run", "licence", "units", "recipe", "evenodds_version"} <= words.keys()
    assert onnx.load(exported.path).opset_import[0].version <= 18


def test_what_is_not_ours_is_neither_replaced_nor_believed(files: dict[str, tuple[Session, Exported]]) -> None:
    session, exported = files["class numbers in, bytes out"]
    own = exported.path.with_name("own.onnx")
    own.write_bytes(b"mine")
    with pytest.raises(BadInput, match=r"own\.onnx is there already"):
        export(session, "onnx", own)
    assert own.read_bytes() == b"mine"
    with pytest.raises(BadInput, match="must be a whole ONNX file"):
        load_model(own)
    model = onnx.load(exported.path)
    for name, spoil, message in SPOILT:
        other = onnx.ModelProto()
        other.CopyFrom(model)
        spoil(other)
        path = own.with_name(f"{name}.onnx")
        path.write_bytes(other.SerializeToString())
        with pytest.raises(BadInput, match=message):
            load_model(path)


def _external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def _foreign_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "stranger"


def _no_words(model: onnx.ModelProto) -> None:
    del model.metadata_props[:]


SPOILT = [
    ("external", _external, "names another file"),
    ("operator", _foreign_operator, "operators of its own"),
    ("words", _no_words, "must have the metadata"),
]


def test_a_file_that_differs_from_its_run_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evenodds.export.parity.FULL", -1.0)
    with pytest.raises(BadInput, match=r"would differ from the run by .*; nothing was written"):
        export(session_of("table", tmp_path), "pt2", tmp_path / "x.pt2")
    assert not list(tmp_path.glob("*.pt2"))


def test_a_file_needs_none_of_the_networks(files: dict[str, tuple[Session, Exported]], tmp_path: Path) -> None:
    _, exported = files["class numbers in, bytes out"]
    program = (
        "import sys; from evenodds.cli import main; "
        f"assert main(['sample', {str(exported.path)!r}, '-n', '4', '--folder', {str(tmp_path / 'out')!r}]) == 0; "
        "print(*(name for name in sys.modules if name.startswith('evenodds.parts.networks.')))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert len(list((tmp_path / "out").rglob("*.png"))) == 4
    networks = ended.stdout.splitlines()[-1].split()
    assert not [name for name in networks if not name.split(".")[-1].startswith("_")], networks
