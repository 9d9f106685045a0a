"""Names in settings: matched whatever their case, and spelled as their kind spells them once a Config is made."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import evenodds
from evenodds.evaluation import measures
from evenodds.export.folder_card import card_in_folder
from evenodds.export.run_card import card_of
from evenodds.game.dial import Chanced
from evenodds.runs.anonymous import anonymous
from evenodds.runs.build_contest import build_view
from evenodds.runs.changes import difference, with_settings
from evenodds.runs.config import Config, from_mapping, settings
from evenodds.runs.config_files import recipe
from evenodds.runs.default_recipe import suited_recipe
from evenodds.runs.find import KINDS, canonical, describe, find, names
from evenodds.runs.known import known
from evenodds.runs.values import ELSEWHERE, Part


def key_of(kind: str) -> str | None:
    """The setting whose names are of that kind; None where no setting has them."""
    return next((key for key, about in settings().items() if kind in about.kinds), None)


NAMED = [(key, name) for kind in KINDS if (key := key_of(kind)) is not None for name in names(kind)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_matches_names_whatever_their_case(kind: str) -> None:
    for name in names(kind):
        for written in (name.upper(), name.lower(), name.title(), name.replace("_", "-")):
            assert canonical(kind, written) == name
            assert find(kind, written) is find(kind, name)


def test_a_path_with_a_colon_is_no_name_of_code(tmp_path: Path) -> None:
    folder = tmp_path / "photos 10:30"
    folder.mkdir()
    Image.new("RGB", (64, 64)).save(folder / "0.png")
    assert suited_recipe(str(folder)).name == "photos-64"
    told = anonymous(with_settings(Config(), {"data": str(folder)})).data
    assert told is not None
    assert told.name == ELSEWHERE


@pytest.mark.parametrize(("key", "name"), NAMED)
def test_a_config_spells_every_name_as_its_kind_does(key: str, name: str) -> None:
    config = with_settings(Config(), {key: name.swapcase()})
    value = getattr(config, key)
    part = value[0] if isinstance(value, tuple) else value
    assert (part.name if isinstance(part, Part) else part) == name
    assert from_mapping({key: name.swapcase()}) == config
    assert difference(config, with_settings(Config(), {key: name})) == []


@pytest.mark.parametrize("kind", [*KINDS, "metrics"])
def test_what_is_listed_without_an_import_is_what_there_is(kind: str) -> None:
    members = measures.documented() if kind == "metrics" else describe(kind)
    assert known(kind) == members, "a name or its first line has changed: run `python tools/known.py`"


def test_lists_import_no_torch() -> None:
    script = (
        "import sys; from evenodds.cli import main;"
        "print([main(['list', kind]) for kind in ('kinds', 'losses', 'metrics', 'settings', 'recipes')]);"
        "print('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.endswith("[0, 0, 0, 0, 0]\nFalse\n")
    assert "wasserstein" in said


def test_a_run_is_shown_without_torch(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(80, 2)))  # its place is no name of a source
    run = evenodds.fit(tmp_path / "x.npy", "ring", out=tmp_path / "run", images=512, watch="off").folder
    script = (
        f"import sys; from evenodds.cli import main; print(main(['show', {str(run)!r}]));"
        "print('torch' in sys.modules or 'numpy' in sys.modules);"
        f"main(['card', {str(run)!r}, '--json']); print('torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    shown, _, card = said.partition("0\nFalse\n")
    assert "512 of 512 rows" in shown
    assert " rows/s, " in shown
    assert "images" not in shown
    assert card.endswith("}\nFalse\n")
    assert json.loads(card.removesuffix("False\n")) == card_of(evenodds.load(run))
    newest = max((run / "checkpoints").iterdir()) / "average.safetensors"
    newest.write_bytes(newest.read_bytes()[:-4] + b"else")  # of other weights than the checkpoint says
    assert card_in_folder(run) is None


def test_a_setting_looks_its_names_up_in_kinds_that_exist() -> None:
    assert {kind for about in settings().values() for kind in about.kinds} <= set(KINDS)
    parts = {key for key in settings() if isinstance(getattr(Config(), key), Part)}
    assert all(settings()[key].kinds for key in parts)


def test_words_of_settings_are_matched_whatever_their_case() -> None:
    config = with_settings(Config(), {"watch": "Act", "precision": "BFloat16", "fit": "Pad", "views": "AUTO"})
    assert (config.watch, config.precision, config.fit, config.views) == ("act", "bfloat16", "pad", ("auto",))


def test_an_adaptive_chance_builds_the_same_views_whatever_its_case() -> None:
    """A chance that adapts begins at 0; one written in capitals adapts too."""
    lower, upper = (
        with_settings(recipe("digits"), {"views": "translation", "view_chance": name})
        for name in ("adaptive", "Adaptive")
    )
    assert lower == upper
    view = build_view(upper)
    assert isinstance(view, Chanced)
    fixed = with_settings(recipe("digits"), {"views": "flip", "view_chance": {"name": "FIXED", "chance": 1.0}})
    x = torch.arange(16.0).view(1, 1, 4, 4)
    always = build_view(fixed)
    assert isinstance(always, Chanced)
    assert not torch.equal(always(x.repeat(64, 1, 1, 1), torch.rand(64, always.dice)), x.repeat(64, 1, 1, 1))


def test_a_recipe_is_named_as_the_package_spells_it() -> None:
    assert recipe("Digits") == recipe("digits")


def test_paths_and_names_of_ones_own_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Digits").mkdir()
    monkeypatch.chdir(tmp_path)
    config = Config(data=Part("Digits"), generator=Part("my_package.Nets:Tall"), loss=Part("not_a_loss"))
    assert config.data == Part("Digits")
    assert config.generator == Part("my_package.Nets:Tall")
    assert config.loss == Part("not_a_loss")  # refused with the nearest name when the run is built
