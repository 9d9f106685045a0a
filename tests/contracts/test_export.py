"""Every kind of run as one file: it gives what the run gives, says what it is, and one of a stranger does nothing."""

import io
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from torch import nn

from evenodds.apply.samples import requested_labels
from evenodds.cli import main
from evenodds.errors import BadInput
from evenodds.export import alone as alone_module
from evenodds.export.about import About, about_run, read_words
from evenodds.export.alone import _is_plain, alone
from evenodds.export.entry import FORMAT, Entry
from evenodds.export.graphs import Graph, Options, graph_of, possible
from evenodds.export.inside import metadata_in
from evenodds.export.model import PLAYERS, load_model
from evenodds.export.run_card import card_of
from evenodds.export.runtime import Runtime
from evenodds.export.words import Words
from evenodds.export.write import Exported, export
from evenodds.game.rules import Batch
from evenodds.runs.assembly import Run
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.find import find, make
from evenodds.runs.session import Session
from evenodds.runs.way_back import way_back
from tests.exported import Steps, write_graph
from tests.serving import asked
from tests.stand_ins import data_for, settled

SMALL: Mapping[str, Mapping[str, Any]] = {
    "digits": {"generator.width": 4, "discriminator.width": 4},
    "table": {"generator.width": 8, "generator.depth": 1, "discriminator.width": 8},
    "upscale-x2": {"size": 16, "task.crop": 16, "generator.width": 4, "generator.blocks": 1, "discriminator.width": 4},
    "denoise": {"size": 16, "task.crop": 16, "generator.width": 4, "generator.blocks": 1, "discriminator.width": 4},
    "segment": {"size": 32, "task.crop": None, "generator.width": 4, "discriminator.width": 4},
    "classify": {"size": 16, "generator.width": 4, "discriminator.width": 4},
    "fill-32": {"size": 8, "generator.width": 4, "discriminator.width": 4},
    "cycle": {"size": 16, "generator.width": 2, "generator.depth": 1, "discriminator.width": 4},
}
"""The smallest players of each kind of run."""
KINDS = {
    "class numbers": ("digits", Options()),
    "shares of classes, bytes": ("digits", Options(one_hot=True, uint8=True)),
    "features": ("digits", Options("features")),
    "encode": ("digits", Options("encode", uint8=True)),
    "table": ("table", Options()),
    "upscale": ("upscale-x2", Options()),
    "segment": ("segment", Options()),
    "fill": ("fill-32", Options(uint8=True)),
    "classify": ("classify", Options()),
    "way there": ("cycle", Options()),
    "way back": ("cycle", Options(back=True)),
}


def session_of(name: str, folder: Path) -> Session:
    """A run of a recipe, with the smallest players, whose weights are random, those too that begin at 0."""
    config = with_settings(recipe(name), {"device": "cpu", "batch": 4, "held_out": 0.4, **SMALL[name]})
    dataset = data_for(config, images=12)
    session = Run(settled(config, dataset), dataset).session(folder, 0)
    rng = torch.Generator().manual_seed(0)
    for weights in session.players["generator"].parameters():
        spread = weights[0].numel() ** -0.5 if weights.dim() > 1 else 0.1
        weights.data.add_(spread * torch.randn(weights.shape, generator=rng))
    return session


def encoder_for(session: Session) -> nn.Module:
    """One that has learned nothing."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, session.latent.size + session.task.condition_length))


class InTorch:
    """The graph itself in place of onnxruntime, so that no file has to be made."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.session = graph, self

    def get_inputs(self) -> Sequence[Entry]:
        return self.graph.inputs

    @torch.no_grad()
    def compute(self, named: dict[str, Any]) -> list[Any]:
        for one in self.graph.inputs:
            assert named[one.name].dtype.name == one.dtype
        answer = self.graph.module(*(torch.from_numpy(named[one.name]) for one in self.graph.inputs))
        values = [value.numpy() for value in (answer if isinstance(answer, tuple) else (answer,))]
        for one, value in zip(self.graph.outputs, values, strict=True):
            assert value.dtype.name == one.dtype
            assert all(side == length for side, length in zip(one.shape, value.shape, strict=True) if side is int)
        return values


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_in_place_of_the_players_gives_what_they_give(kind: str, tmp_path: Path) -> None:
    name, options = KINDS[kind]
    session = session_of(name, tmp_path)
    graph = graph_of(session, options, lambda: encoder_for(session))
    assert graph.answers in possible(session)
    about = About(graph.answers, inputs=graph.inputs, outputs=graph.outputs, **about_run(session, None, options.back))
    words = read_words(about.words(), "the words")  # what is written is what is read
    assert (words.inputs, words.card.units, words.answers) == (about.inputs, about.card.units, about.answers)
    player = PLAYERS[graph.answers](cast(Runtime, InTorch(graph)), words, session.task.condition_length)
    session = way_back(session) if options.back else session
    model = replace(session, players={player.role: player})
    if graph.answers == "encode":
        session = replace(session, players={"encoder": encoder_for(session)})
    ours, theirs = (answers_of(one, graph.answers) for one in (session, model))
    for entry, value in ours.items():
        assert float((value.float() - theirs[entry].float()).abs().max()) <= 1e-5, entry


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Session, Exported]]:
    """A file of a run by class and one of images of any size, made once."""
    made: dict[str, tuple[Session, Exported]] = {}
    folder = tmp_path_factory.mktemp("export")
    for kind in ("class numbers", "upscale"):
        session = session_of(KINDS[kind][0], folder)
        made[kind] = session, export(session, "onnx", folder / f"{len(made)}.onnx", KINDS[kind][1])
    return made


@pytest.mark.parametrize(("kind", "cases"), [("class numbers", 3), ("upscale", 6)])
def test_a_file_gives_what_its_run_gives(
    kind: str, cases: int, files: dict[str, tuple[Session, Exported]], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, exported = files[kind]
    monkeypatch.delattr("evenodds.runs.build.build_players")  # no network is built
    model = load_model(exported.path)
    assert exported.parity.cases == cases
    ours, theirs = (answers_of(one, exported.about.answers) for one in (session, model))
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert float((value.float() - theirs[name].float()).abs().max()) <= 1e-4, name
    assert card_of(model)["run"] == card_of(session)["run"] == exported.about.run


def test_a_file_is_served_as_its_run_is(files: dict[str, tuple[Session, Exported]]) -> None:
    source = files["upscale"][1].path.with_name("in.png")
    Image.fromarray(np.arange(1200, dtype=np.uint8).reshape(20, 20, 3)).save(source)
    for kind, path, request in (
        ("class numbers", "/v1/sample", {"json": {"count": 70, "seed": 3, "format": "npz"}}),
        ("class numbers", "/v1/sample", {"json": {"count": 3, "class": "3", "format": "npz"}}),
        ("upscale", "/v1/upscale", {"files": {"image": source.read_bytes()}, "data": {"format": "npz"}}),
    ):
        session, exported = files[kind]
        answers = []
        for one in (session, load_model(exported.path)):
            with asked(one) as client:
                assert client.get("/v1/model").json()["card"]["run"] == exported.about.run
                answer = client.post(path, **request)
                with np.load(io.BytesIO(answer.content)) as found:
                    answers.append({name: found[name] for name in found})
        ours, theirs = answers
        assert ours.keys() == theirs.keys()
        assert np.abs(ours["x"].astype(int) - theirs["x"]).max() <= 1  # a level of 8 bits
        assert np.array_equal(ours.get("y", []), theirs.get("y", []))


@pytest.mark.parametrize("prior", ["normal", "uniform", "spherical"])
def test_a_file_gives_the_same_samples_without_torch(
    prior: str, files: dict[str, tuple[Session, Exported]], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, exported = files["class numbers"]
    size = session.latent.size
    monkeypatch.setattr(alone_module, "_prior", lambda words: prior)
    session = replace(
        session, task=replace(cast(Any, session.task), prior=make("prior", find("priors", prior), {"size": size}))
    )
    model = alone(exported.path)
    assert model is not None
    y = requested_labels(session, 300, None, None, 5)
    assert (model.sampled_classes(300, 5) == y).all()
    want, got = session.numbers(300, 5, y=y), model.numbers(300, 5, y)
    assert want.dtype == got.dtype
    assert np.abs(want.astype(int) - got).max() <= 1
    assert (want != got).mean() < 1e-3  # where a number lies between two levels
    assert (model.card.eight_bit(got) == session.card.eight_bit(got)).all()


def stand_in(kind: str, folder: Path) -> Path:
    """A file as it is exported of a run, with a graph of a few operators, so that nothing has to be traced."""
    name, options = KINDS[kind]
    session = session_of(name, folder)
    graph = graph_of(session, replace(options, uint8=False), lambda: encoder_for(session))
    about = About(graph.answers, inputs=graph.inputs, outputs=graph.outputs, **about_run(session, None, options.back))
    path = folder / f"{graph.answers}{'-back' * options.back}.onnx"
    write_graph(path, *STEPS[graph.answers](graph), graph.inputs, graph.outputs, about.words())
    return path


def _flat(graph: Graph) -> Steps:
    """Each output is a product of all numbers of x and random weights."""
    rng, numbers = np.random.default_rng(0), np.prod(graph.inputs[0].shape[1:], dtype=int)
    weights = {f"w{k}": rng.normal(size=(numbers, one.shape[1])) / 8 for k, one in enumerate(graph.outputs)}
    products = [("MatMul", ["flat", f"w{k}"], one.name) for k, one in enumerate(graph.outputs)]
    return [("Flatten", ["x"], "flat"), *products], {name: w.astype(np.float32) for name, w in weights.items()}


def _filled(graph: Graph) -> Steps:
    """z by random weights where x is hidden."""
    (_, *shape), (_, latent) = graph.inputs[0].shape, graph.inputs[2].shape
    weights = np.random.default_rng(0).normal(size=(latent, np.prod(shape, dtype=int))).astype(np.float32) / 8
    steps = [("MatMul", ["z", "w"], "wz"), ("Tanh", ["wz"], "t"), ("Reshape", ["t", "shape"], "drawn")]
    steps += [("Sub", ["one", "mask"], "h"), ("Mul", ["h", "drawn"], "a"), ("Mul", ["mask", "x"], "b")]
    constants = {"w": weights, "shape": np.array([-1, *shape]), "one": np.float32(1)}
    return [*steps, ("Add", ["a", "b"], "filled")], constants


def _labelled(_: Graph) -> Steps:
    """Whether the first channel is above the second."""
    gathered = [("Gather", ["source", name], f"channel {name}", {"axis": 1}) for name in ("zero", "one")]
    steps = [*gathered, ("Greater", ["channel zero", "channel one"], "above")]
    return [*steps, ("Cast", ["above"], "labels", {"to": 2})], {"zero": np.int64(0), "one": np.int64(1)}


def _negative(_: Graph) -> Steps:
    """The negative of each image."""
    return [("Neg", ["source"], "x")], {}


def _shares(graph: Graph) -> Steps:
    """The softmax of such products."""
    (flat, (product, of, name)), weights = _flat(graph)
    return [flat, (product, of, "logits"), ("Softmax", ["logits"], name, {"axis": 1})], weights


STEPS = {
    "classify": _shares,
    "encode": _flat,
    "features": _flat,
    "fill": _filled,
    "segment": _labelled,
    "translate": _negative,
}


WITHOUT = ("segment", "fill", "encode", "features", "classify")


def test_files_are_put_to_work_without_torch_as_with_it(
    files: dict[str, tuple[Session, Exported]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    for k, channels in enumerate((3, 4, 1)):
        pixels = rng.integers(0, 256, (60, 44, channels), np.uint8)
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(tmp_path / "in" / f"{k}.png")
    Image.fromarray(np.repeat([[0, 255]], 30, 0).repeat(20, 1).astype(np.uint8)).resize((44, 60), 0).save(
        tmp_path / "mask.png"
    )
    made = {one.stem: one for one in (stand_in(kind, tmp_path) for kind in WITHOUT)}
    draws, enlarges = (files[kind][1].path for kind in ("class numbers", "upscale"))

    def commands(out: str) -> list[list[str]]:
        results = tmp_path / out
        words = [
            ["upscale", enlarges, tmp_path / "in", results / "upscaled", "--tile", 32, "--ensemble"],
            ["segment", made["segment"], tmp_path / "in", results / "segmented", "--tile", 32],
            [
                "fill",
                made["fill"],
                tmp_path / "in" / "0.png",
                "--mask",
                tmp_path / "mask.png",
                "--out",
                results / "one",
            ],
            ["fill", made["fill"], tmp_path / "in", "--mask", tmp_path / "mask.png", "-n", 2, "--out", results / "all"],
            ["encode", made["encode"], tmp_path / "in", "--out", results / "codes.npz"],
            ["features", made["features"], tmp_path / "in", "--out", results / "features.npz"],
            ["classify", made["classify"], tmp_path / "in", "--out", results / "classes.csv"],
            ["classify", made["classify"], tmp_path / "in" / "1.png"],
            ["sample", draws, "-n", 7, "--seed", 3, "--folder", results / "drawn", "--npz", results / "drawn.npz"],
            *(["card", one] for one in (draws, enlarges, *made.values())),
        ]
        results.mkdir()
        return [list(map(str, line)) for line in words]

    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, json.dumps(commands("without"))],
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    for place in ("classify", "convert", "latent", "export"):
        monkeypatch.setattr(f"evenodds.cli.{place}.is_alone", lambda *_: False)
    monkeypatch.setattr("evenodds.cli.sample.without_torch", lambda *_: None)
    heard = io.StringIO()
    monkeypatch.setattr(sys, "stdout", heard)
    assert [main(line) for line in commands("with")] == [0] * 16
    assert heard.getvalue().replace(str(tmp_path / "with"), str(tmp_path / "without")) == done.stdout
    named = sorted(path.relative_to(tmp_path / "with") for path in (tmp_path / "with").rglob("*.*"))
    assert len(named) > 30
    assert named == sorted(path.relative_to(tmp_path / "without") for path in (tmp_path / "without").rglob("*.*"))
    for name in named:
        require_same(tmp_path / "with" / name, tmp_path / "without" / name)


def require_same(one: Path, other: Path) -> None:
    """AssertionError where pictures or arrays differ by more than rounding."""
    if one.suffix == ".png":
        pixels = [np.asarray(Image.open(path)).astype(int) for path in (one, other)]
        assert np.abs(pixels[0] - pixels[1]).max() <= 1, one
    elif one.suffix == ".csv":
        assert one.read_text() == other.read_text()
    elif one.suffix == ".npz":
        with np.load(one) as ours, np.load(other) as theirs:
            assert {*ours} == {*theirs}
            for key in ours:
                if ours[key].dtype.kind == "U":
                    assert (ours[key] == theirs[key]).all(), key
                else:
                    assert np.abs(ours[key].astype(float) - theirs[key]).max() <= (1 if "drawn" in one.name else 1e-5)


WITHOUT_TORCH = """
import json, sys
sys.modules["torch"] = None  # an import of it fails
from evenodds.cli import main
for line in json.loads(sys.argv[1]):
    status = main(line)
    if status:
        sys.exit(f"{line}: status {status}")
assert sys.modules["torch"] is None
"""


def test_what_needs_torch_is_not_drawn_without_it(files: dict[str, tuple[Session, Exported]]) -> None:
    session, exported = files["class numbers"]
    assert alone(exported.path, truncation=0.5) is not None
    assert alone(files["upscale"][1].path) is None  # it makes images of images
    words = Words(
        "sample", exported.about.inputs, exported.about.outputs, cast(Any, session.card), {"prior": {"name": "normal"}}
    )
    assert _is_plain(words)
    for other in (Entry("c", "float32", ("batch", 3)), Entry("mask", "uint8", ("batch", 1))):
        assert not _is_plain(replace(words, inputs=(*words.inputs, other)))
    assert not _is_plain(replace(words, config={"prior": {"name": "coded"}}))


def answers_of(session: Session, answers: str) -> Batch:
    """What a run or a file answers, of sizes that the file was not traced with."""
    rng = torch.Generator().manual_seed(3)
    shape, to_model = session.card.shape, session.card.units.to_model
    if answers == "sample":
        return {"x": torch.from_numpy(session.numbers(7, seed=5).astype(np.float64))}
    bytes_ = torch.randint(0, 17, (4, *shape), generator=rng, dtype=torch.uint8)
    if answers == "encode":
        return {"z": session.players["encoder"](to_model(bytes_)).detach()}
    if answers == "classify":
        return {"probabilities": session.reply({"x": to_model(bytes_)})["probabilities"]}
    if answers == "features":
        return {"features": session.players["discriminator"](to_model(bytes_), features=True)[1].detach()}
    if answers == "fill":
        x, z = to_model(bytes_), session.prior(8, 1)
        filled = session.reply({"x": x, "mask": (bytes_[:, :1] > 8).float(), "z": z})["x"]
        return {"x": session.card.units.to_data(filled)}
    answer = session.reply({"source": 2 * torch.rand(3, 3, 64, 96, generator=rng) - 1})
    return {name: value for name, value in answer.items() if name != "back"}  # the way there and back, for scores


def test_a_file_says_what_it_is(files: dict[str, tuple[Session, Exported]]) -> None:
    session, exported = files["class numbers"]
    words = metadata_in(exported.path.read_bytes(), "x")
    assert words["format"] == FORMAT
    assert words["classes"] == str(list(session.card.classes)).replace("'", '"')
    assert words["data_fingerprint"] == (session.card.fingerprint or "unknown")
    assert {"run", "licence", "units", "recipe", "evenodds_version"} <= words.keys()
    assert onnx.load(exported.path).opset_import[0].version <= 18


def test_free_axes_have_names(files: dict[str, tuple[Session, Exported]]) -> None:
    graph = onnx.load(files["upscale"][1].path).graph
    described = [one.type.tensor_type.shape.dim for one in (*graph.input, *graph.output)]
    shapes = [[axis.dim_param or axis.dim_value for axis in axes] for axes in described]
    assert shapes == [["batch", 3, "height", "width"], ["batch", 3, "2*height", "2*width"]]


def test_what_is_not_ours_is_neither_replaced_nor_believed(files: dict[str, tuple[Session, Exported]]) -> None:
    session, exported = files["class numbers"]
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


def _other_weights(model: onnx.ModelProto) -> None:
    tensor = next(one for one in model.graph.initializer if one.raw_data)
    tensor.raw_data = bytes(len(tensor.raw_data))


SPOILT = [
    ("weights", _other_weights, "was changed or damaged"),
    ("external", _external, "names another file"),
    ("operator", _foreign_operator, "operators of its own"),
    ("words", _no_words, "must have the metadata"),
]


def test_a_file_that_differs_from_its_run_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evenodds.export.parity.FULL", -1.0)
    with pytest.raises(BadInput, match=r"would differ from the run by .*; nothing was written"):
        export(session_of("table", tmp_path), "pt2", tmp_path / "x.pt2")
    assert not list(tmp_path.glob("*.pt2"))
