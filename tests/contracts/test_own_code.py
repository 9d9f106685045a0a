"""A file names code, and nothing happens: only modules that the user named in this very call are imported."""

import inspect
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from sklearn.base import clone

import evenodds
from evenodds.cli import main, whole_app
from evenodds.errors import BadInput
from evenodds.estimators import GAN, GANClassifier, GANOverSampler
from evenodds.estimators.stored import StoredNetwork
from evenodds.evaluation.evaluate import evaluate
from evenodds.evaluation.trial.prepare import from_run
from evenodds.runs.allowed import NotAllowed, allowed, allowing, modules_in, named
from evenodds.runs.config import Config, settings
from evenodds.runs.find import KINDS, find, network
from evenodds.runs.moved import MOVED
from evenodds.runs.summary import summary
from evenodds.runs.values import Part

PLANTED = '''"""Says that it was imported, and that something in it was called."""
import pathlib
from os import system
from subprocess import Popen

pathlib.Path({marker!r}).touch()


def loss(real, fake):
    return (real - 1) ** 2 + fake**2, (fake - 1) ** 2


class Run:
    def __init__(self, *arguments, **options):
        pathlib.Path({marker!r} + ".called").touch()


thing = 3
'''

SMALL: Mapping[str, Any] = {
    "images": 128,
    "batch": 64,
    "generator__width": 8,
    "discriminator__width": 8,
    "watch": "off",
    "held_out": 0.001,
    "data__n": 6000,
}

STARTED: list[tuple[str, str]] = []
ARMED: list[bool] = []
PROCESSES = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "ctypes.dlopen")


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not ARMED:
        return
    if event in PROCESSES:
        STARTED.append((event, str(arguments[:1])))
    if event == "import" and str(arguments[0]).split(".")[0] in ("planted", "planted_package"):
        STARTED.append((event, str(arguments[0])))
    if event == "exec" and "planted" in getattr(arguments[0], "co_filename", ""):
        STARTED.append((event, arguments[0].co_filename))


@cache
def _listen() -> None:
    """From here to the end of this process: audit hooks stay, and every other test would pay for one."""
    sys.addaudithook(_hear)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    evenodds.fit("ring", "ring", out=folder, **SMALL)
    return folder


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that the planted module makes; its folder is the working folder, and on the path of imports."""
    here = tmp_path / "here"
    here.mkdir()
    marker = tmp_path / "ran"
    (here / "planted.py").write_text(PLANTED.format(marker=str(marker)))
    np.savez(here / "samples.npz", x=np.zeros((8, 2), np.float32))
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(str(here))
    _listen()
    STARTED.clear()
    ARMED.append(True)
    yield marker
    ARMED.clear()
    sys.modules.pop("planted", None)


NAMES = ("planted:Run", "subprocess:Popen", "os:system")


def part(name: str) -> dict[str, Any]:
    return {"name": name, "args": "touch ran", "shell": True}


def places() -> dict[str, Callable[[str], dict[str, Any]]]:
    """Each place of a configuration that takes the name of code -> the values that put a name there."""
    found: dict[str, Callable[[str], dict[str, Any]]] = {}
    for key, about in settings().items():
        if not about.kinds or key == "data":
            continue
        many = isinstance(getattr(Config(), key), tuple)
        found[key] = lambda name, key=key, many=many: {  # type: ignore[misc]
            key: [name] if key == "views" else [part(name)] if many else part(name)
        }
    chain = [{"name": "noise", "low": 1, "high": 2}]
    found["masks"] = lambda name: {"task": {"name": "fill", "masks": f"boxes,{name}"}}
    found["masks in a list"] = lambda name: {"task": {"name": "fill", "masks": ["boxes", name]}}
    found["degradation"] = lambda name: {"task": {"name": "translate", "degradation": part(name)}}
    found["degradation by name"] = lambda name: {"task": {"name": "translate", "degradation": name}}
    found["degradations"] = lambda name: {"task": {"name": "translate", "degradation": [*chain, part(name)]}}
    found["masks that hide"] = lambda name: {
        "task": {"name": "translate", "degradation": {"name": "hide", "masks": name}}
    }
    return found


PLACES = places()

COMMANDS: dict[str, list[str]] = {
    "augment": ["RUN", "--to", "out", "--per-class", "1"],
    "bench": ["RUN/config.yaml", "--data", "ring", "--seconds", "0.1"],
    "card": ["RUN"],
    "classify": ["RUN"],
    "directions": ["RUN"],
    "doctor": ["RUN"],
    "encode": ["RUN"],
    "evaluate": ["RUN"],
    "export": ["RUN"],
    "features": ["RUN"],
    "fill": ["RUN", "a.png", "--mask", "b.png"],
    "mix": ["RUN"],
    "push": ["RUN", "--to", "out", "--licence", "mit"],
    "reconstruct": ["RUN"],
    "report": ["RUN"],
    "resume": ["RUN", "--images", "256", "--quiet"],
    "sample": ["RUN"],
    "segment": ["RUN", "a.png", "b.png"],
    "serve": ["RUN", "--port", "0"],
    "show": ["RUN"],
    "train": ["RUN/config.yaml", "--data", "ring", "--quiet", "--out", "out"],
    "translate": ["RUN", "a.png", "b.png"],
    "trial": ["--run", "RUN"],
    "upscale": ["RUN", "a.png", "b.png"],
    "walk": ["RUN"],
}
"""Every command that loads a run or a recipe, and its arguments."""
FURTHER = {
    "evaluate against": ["evaluate", "samples.npz", "--against", "RUN"],
    "trial of a recipe": [
        "trial",
        "--data",
        "digits",
        "--recipe",
        "RUN/config.yaml",
        "--budget",
        "20s",
        "--out",
        "out",
    ],
}
FROM = ["train", "--from", "RUN", "--data", "ring", "--quiet", "--out", "out"]
WAYS = {name: [name, *words] for name, words in COMMANDS.items()}
WAYS |= {"evaluate against": FURTHER["evaluate against"], "train from": FROM}

CALLS: dict[str, Callable[[Path], Any]] = {
    "load": lambda run: evenodds.load(run),
    "resume": lambda run: evenodds.resume(run, settings={"images": 256}),
    "fit": lambda run: evenodds.fit("ring", str(run / "config.yaml"), out="out"),
    "fit from": lambda run: evenodds.fit("ring", from_run=run, out="out"),
    "evaluate": lambda run: evaluate(run),
    "evaluate against": lambda run: evaluate("samples.npz", run),
    "summary": lambda run: summary(run),
    "a trial": lambda run: from_run(run, None, 1, "last", "cpu"),
}


def forged(trained: Path, folder: Path, values: Mapping[str, Any]) -> Path:
    """A copy of a run with other values in its configuration."""
    shutil.copytree(trained, folder, dirs_exist_ok=True)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**config, **values}))
    return folder


def quiet(marker: Path) -> None:
    """Nothing of the planted module, and no process, has run."""
    assert STARTED == []
    assert "planted" not in sys.modules
    assert not list(marker.parent.glob("ran*"))
    assert not list(Path().glob("ran*"))


def test_every_command_that_loads_has_the_flag_and_is_tried() -> None:
    app = whole_app()
    with_flag = {
        name
        for name in app
        if not name.startswith("-")
        and "allow" in inspect.signature(app[name].default_command or (lambda: None)).parameters
    }
    assert with_flag == set(COMMANDS)
    without = {
        "list",
        "compare",
        "duplicates",
        "pack",
        "pull",
        "studio",
    }  # no run, or no code of one's own
    assert {name for name in app if not name.startswith("-")} == {*COMMANDS, *without}


TRIED = [*((place, NAMES[0], tuple(WAYS)) for place in PLACES)]
TRIED += [(place, name, ("resume", "show", "train")) for place in PLACES for name in NAMES[1:]]


@pytest.mark.parametrize(("place", "name", "ways"), TRIED)
def test_no_command_imports_what_a_configuration_names(
    place: str,
    name: str,
    ways: tuple[str, ...],
    trained: Path,
    marker: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = forged(trained, tmp_path / "run", PLACES[place](name))
    for way in ways:
        assert main([word.replace("RUN", str(run)) for word in WAYS[way]]) == 2, way
        printed = capsys.readouterr()
        said = printed.out if way == "doctor" else printed.err.splitlines()[-1]
        assert name in said, (way, said)
        assert f"--allow {name.partition(':')[0]}" in said, way
        assert "config" in said, way
        quiet(marker)


@pytest.mark.parametrize("place", PLACES)
def test_no_python_call_imports_what_a_configuration_names(
    place: str, trained: Path, marker: Path, tmp_path: Path
) -> None:
    run = forged(trained, tmp_path / "run", PLACES[place]("planted:Run"))
    for call in CALLS.values():
        with pytest.raises(NotAllowed, match=r"config\.yaml: .*'planted:Run'.*--allow planted"):
            call(run)
        quiet(marker)


def test_a_trial_of_a_recipe_imports_nothing_that_it_names(trained: Path, marker: Path, tmp_path: Path) -> None:
    run = forged(trained, tmp_path / "run", {"penalty": part("planted:Run"), "data": None})
    assert main([word.replace("RUN", str(run)) for word in FURTHER["trial of a recipe"]]) == 2
    quiet(marker)


@pytest.mark.parametrize("command", ["resume", "show"])
def test_remedies_and_checkpoints_name_no_code(
    command: str, trained: Path, marker: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = forged(trained, tmp_path / "run", {})
    remedy = {"at": 64, "back_to": 0, "word": "diverged", "why": "", "settings": {"penalty": "planted:Run"}}
    (run / "remedies.json").write_text(json.dumps([remedy]))
    status = main([command, str(run), *(["--images", "256", "--quiet"] if command == "resume" else [])])
    assert status == (2 if command == "resume" else 0)
    assert "planted:Run" in "".join(capsys.readouterr())
    quiet(marker)
    (run / "remedies.json").unlink()
    for file in (run / "checkpoints").glob("*/checkpoint.json"):
        header = json.loads(file.read_text())
        header["config"]["penalty"] = part("planted:Run")
        header["parts"] = {k: {**v, "name": "planted:Run"} for k, v in header.get("parts", {}).items()}
        file.write_text(json.dumps(header))
    main([command, str(run), *(["--images", "256", "--quiet"] if command == "resume" else [])])
    quiet(marker)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("recipes", "sources")])
def test_no_kind_resolves_what_was_not_allowed(kind: str, marker: Path) -> None:
    for name in ("planted:Run", "os:system", "planted.further:Run"):
        with pytest.raises(NotAllowed):
            find(kind, name)
    for name in ("evenodds.files.write:write_text", "evenodds.cli:main", "planted:Run:Run", ":Run", "planted:"):
        with pytest.raises(BadInput, match="no "):
            find(kind, name)
    quiet(marker)


@pytest.mark.parametrize("role", ["Generator", "Discriminator", "Mapper", "Filler"])
def test_no_network_is_resolved_that_was_not_allowed(role: str, marker: Path) -> None:
    with pytest.raises(NotAllowed):
        network("planted:Run", role)
    assert network("evenodds.networks.mlp:Generator", "Generator") is network("mlp", "Generator")
    quiet(marker)


def test_an_allowed_module_is_imported_and_no_other_member_of_others(
    marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ARMED.clear()
    with allowing(["planted"]):
        assert find("losses", "planted:loss").__name__ == "loss"
        with pytest.raises(BadInput, match="defined in subprocess; name it as subprocess:Popen"):
            find("losses", "planted:Popen")
        for member in ("system", "thing", "pathlib"):
            with pytest.raises(BadInput, match="must be a class or a function"):
                find("losses", f"planted:{member}")
        with pytest.raises(BadInput, match="needs `between`"):
            find("priors", "planted:Run")
        with pytest.raises(BadInput, match="no member of planted 'los'; did you mean 'loss'"):
            find("losses", "planted:los")
        for name in ("os:system", "planted.further:Run", "planted_package:Run"):
            with pytest.raises(NotAllowed):
                find("losses", name)
    assert marker.exists()
    assert "planted" not in allowed()
    with pytest.raises(NotAllowed):
        find("losses", "planted:loss")
    monkeypatch.setenv("EVENODDS_ALLOW", "other, planted")
    assert find("losses", "planted:loss").__name__ == "loss"


def test_a_name_that_is_typed_allows_its_module_and_a_later_call_does_not(marker: Path, tmp_path: Path) -> None:
    ARMED.clear()
    session = evenodds.fit("ring", "ring", out=tmp_path / "typed", loss="planted:loss", **SMALL)
    assert "planted" in session.allow
    assert marker.exists()
    assert "planted" not in allowed()
    with pytest.raises(NotAllowed):
        evenodds.load(session.folder)
    assert evenodds.load(session.folder, allow=("planted",)).sample(2).shape == (2, 2)
    assert evenodds.resume(session.folder, settings={"images": 192}, allow=("planted",)).images >= 192


def test_flags_allow_modules_and_the_working_folder_is_searched_last(
    marker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ARMED.clear()
    here, run = str(Path.cwd()), str(tmp_path / "run")
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != here])
    words = ["--quiet", "--set", *(f"{key.replace('__', '.')}={value}" for key, value in SMALL.items())]
    assert main(["train", "ring", *words, "loss=planted:loss", "--out", run]) == 0
    assert here not in sys.path
    assert main(["sample", run, "-n", "4"]) == 2
    assert main(["sample", run, "-n", "4", "--allow", "other"]) == 2
    assert main(["sample", "--allow", "other,planted", run, "-n", "4"]) == 0
    assert main(["sample", run, "--allow", "planted:loss"]) == 2
    (tmp_path / "mine.yaml").write_text("loss: planted:loss\n" + yaml.safe_dump({"data": "ring"}))
    assert main(["train", str(tmp_path / "mine.yaml"), "--out", str(tmp_path / "second")]) == 2
    assert not (tmp_path / "second").exists()


def squares(real: torch.Tensor, fake: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return (real - 1) ** 2 + fake**2, (fake - 1) ** 2


def test_a_function_is_written_down_by_its_name(tmp_path: Path) -> None:
    session = evenodds.fit("ring", "ring", out=tmp_path / "run", loss=squares, **SMALL)
    assert session.config.loss == Part(f"{__name__}:squares")
    with pytest.raises(NotAllowed):
        evenodds.load(tmp_path / "run")
    assert evenodds.load(tmp_path / "run", allow=[__name__]).config.loss == session.config.loss
    kept = {"betas": (0, 0.9), "views": [squares], "part": {"name": GAN}}
    names = {"betas": (0, 0.9), "views": [f"{__name__}:squares"], "part": {"name": "evenodds.estimators.gan:GAN"}}
    assert named("all", kept) == names


@pytest.mark.parametrize("make", [lambda: lambda real, fake: (real, fake), lambda: type("Net", (), {})])
def test_a_function_that_nobody_finds_by_its_name_is_refused(make: Callable[[], Any], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="loss is written down by its name, and no other process finds"):
        evenodds.fit(np.zeros((9, 2), np.float32), "ring", out=tmp_path / "run", loss=make())
    assert not (tmp_path / "run").exists()


def test_what_is_typed_names_modules() -> None:
    assert modules_in({"generator": "my:Net", "task.degradation": "{name: a.b:Noise}"}) == {"my", "a.b"}
    assert modules_in(["task.masks=boxes,my:Mask", None, ("x", Part("p:Q", {"y": "r:S"}))]) == {"my", "p", "r"}
    assert modules_in(["evenodds.priors:Normal", "cuda:1", "C:\\a", "/a/b:c", "http://a:b", 3, "a:b:c"]) == set()


@pytest.mark.parametrize("module", ["my:Net", "", "my module", "../x", "a-b", ".a", "a..b"])
def test_what_is_no_name_of_a_module_is_refused(module: str) -> None:
    with pytest.raises(BadInput, match="names of modules"), allowing([module]):
        pass


def imported_by_python() -> set[str]:
    """What Python imports to run `python -m` of whatever package, while the working folder is first on its path."""
    code = (
        "import sys; before = set(sys.modules); import runpy\n"
        "new = [sys.modules[name] for name in set(sys.modules) - before if '.' not in name]\n"
        "print(*(one.__name__ for one in new if one.__spec__.origin not in ('built-in', 'frozen', None)))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def planted_folder(folder: Path, names: set[str]) -> Path:
    """A folder with a module of each name, which says that it was imported."""
    folder.mkdir()
    for name in names:
        (folder / f"{name}.py").write_text(f"open('ran', 'a').write({name!r} + ' ')\nraise ImportError({name!r})\n")
    return folder


def importable() -> set[str]:
    """Every name that Python, evenodds or a package that is installed may import."""
    loaded = {name.partition(".")[0] for name in sys.modules}
    names = {*sys.stdlib_module_names, *loaded, *packages_distributions(), "torchvision", "triton", "pandas", "scipy"}
    return {name for name in names if name.isidentifier()} - {"evenodds", "tests"}


@pytest.mark.parametrize("way", ["python -m evenodds", "evenodds"])
def test_no_command_imports_from_the_working_folder(way: str, trained: Path, tmp_path: Path) -> None:
    """Python itself looks there for a few modules before it runs any package; no others are looked for."""
    script = tmp_path / "evenodds"
    script.write_text("import sys\nfrom evenodds.cli import main\nsys.exit(main())\n")
    start = ["-m", "evenodds"] if way == "python -m evenodds" else [str(script)]
    here = planted_folder(tmp_path / "theirs", importable() - (imported_by_python() if start[0] == "-m" else set()))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, *start, "sample", str(trained), "-n", "2", "--npz", str(tmp_path / "x.npz")]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)
    assert not (here / "ran").exists(), (here / "ran").read_text()
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "x.npz")["x"].shape == (2, 2)


def test_a_pickled_network_names_no_code_either() -> None:
    linear = torch.nn.Linear(2, 3)
    stored = StoredNetwork(linear, {"in_features": 2, "out_features": 3})
    assert torch.equal(stored.module.weight, linear.weight)  # type: ignore[arg-type]
    again = pickle.loads(pickle.dumps(stored))
    with pytest.raises(NotAllowed, match=r"EVENODDS_ALLOW=torch\.nn\.modules\.linear"):
        _ = again.module
    with allowing(["torch.nn.modules.linear"]):
        assert torch.equal(again.module.weight, linear.weight)


@pytest.mark.parametrize("kind", [GAN, GANClassifier, GANOverSampler])
def test_an_estimator_takes_allow_and_its_pickle_allows_nothing(kind: Any) -> None:
    assert clone(kind(allow=("mine",))).get_params()["allow"] == ("mine",)
    estimator = pickle.loads(pickle.dumps(kind(allow="torch.nn.modules.linear")))
    assert estimator.get_params()["allow"] is None
    estimator.network_ = StoredNetwork(torch.nn.Linear(2, 3), {"in_features": 2, "out_features": 3})
    again = pickle.loads(pickle.dumps(estimator))
    with pytest.raises(NotAllowed, match=r"torch\.nn\.modules\.linear"):
        again.network_.built(again.allowed_modules)
    for allow in ("torch.nn.modules.linear", ["other", "torch.nn.modules.linear"]):
        again = pickle.loads(pickle.dumps(estimator)).set_params(allow=allow)
        assert again.network_.built(again.allowed_modules).in_features == 2
    with pytest.raises(BadInput, match="names of modules"):
        again.network_.built(again.set_params(allow="my:Net").allowed_modules)
    assert "torch.nn.modules.linear" not in allowed()


def test_what_has_moved_is_in_the_package() -> None:
    assert all(name.startswith("evenodds.") for pair in MOVED.items() for name in pair)
