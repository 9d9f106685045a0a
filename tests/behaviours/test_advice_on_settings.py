"""What messages on settings advise is typed as they say it, in the situation that prints it: it is taken."""

from __future__ import annotations

import re
import shlex
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evenodds.cli.app import setting_values
from evenodds.data.checks import check
from evenodds.data.dataset import Dataset
from evenodds.data.readers.arrays import from_array
from evenodds.errors import BadInput
from evenodds.runs.assembly import Run
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.effect import require_effect
from evenodds.runs.launches import choose_graphs
from evenodds.runs.planning import settle, settle_task
from evenodds.runs.run import checked
from tests.advice import told
from tests.behaviours.test_advice import REFUSED, SETTINGS

SMALL = ["device=cpu", "batch=8", "images=64", "generator.width=8", "discriminator.width=8", "watch=off"]
IN_WORDS = (
    (r"leave `?([\w.]+)`? false", "{}=false"),
    (r"raise `(fillings)`", "task.{}=2"),
    (r"use the networks of `(\w+)`", "generator={0} discriminator={0}"),
    (r"; `(\w+)` and `\w+` go up to", "generator={}"),
    (r"did you mean '(\w+)'", "loss={}"),
)
"""Advice in words, and what is typed."""


MEANT = {
    "code": "needs the prior 'coded'",
    "code, simultaneous": "leave out the cost of the code;",
    "no views of a code": "task 'codes' reads categories in two views",
    "no categories": "task 'codes' settles categories first",
    "a code of rows": "task 'codes' reads images of at least",
    "no classes": "task 'condition' needs data with",
    "a loss of its own": "a classifier plays by a loss of its own",
    "all classes at once": "way multi_hinge is a hinge loss",
    "a way with a cost of its own": "simultaneous moves leave out the cost of way {};",
    "no attributes": "attributes are 0 or 1",
    "steps at once": "simultaneous moves are 1:1",
    "no slopes at once": "a loss that slopes at every logit",
    "penalties at once": "those without a penalty",
    "no discriminator at once": "simultaneous moves need a discriminator",
    "simultaneous": "has no simultaneous moves",
    "views of what follows": "set views=none task.turns=mirror",
    "chance of no views": "view_chance={} needs views",
    "no penalty to balance by": "balance=penalty needs a penalty",
    "balance by steps": "balance by steps needs alternating",
    "no penalty to weigh": "penalty_weight=auto needs a penalty",
    "many pieces": "cannot be dealt to {} processes",
    "no autoencoder": "set discriminator=mlp discriminator.code=16",
    "an accelerator": "this torch sees no CUDA device",
    "no styles": "set generator=style, or leave pathlength out",
    "an inverse at once": "leave out the costs of the encoder",
    "who is real": "does not say; set view_chance=fixed",
    "seen by others": "channels, got {}; set discriminator.pretrained=0",
    "seen by others alone": "channels, got {}; set discriminator=dcgan",
    "brought from others": "channels, got {}; set generator=dilated",
    "columns": "generator=mlp",
    "no comb": "task.comb needs pieces of",
    "no grey": "luma=source makes 3 channels of 1",
    "no sources": "or a degradation, e.g. --set task.degradation=noise",
    "nothing to weigh": "without a penalty; set penalty=r1_r2",
    "nobody to tell": "without a discriminator; set task.adversarial=0.01",
    "no cost of the way": "without an auxiliary cost; set task.way={}",
    "no contrast": "without a cost by contrast; set task.way=contrastive",
    "contrast of weight 0": "at auxiliary_weight 0; set task.auxiliary_weight=1",
    "no pixel": "at pixel 0; set task.pixel=1",
    "no category to weigh": "without categories; set prior.classes=10",
    "no value to weigh": "without values; set prior.values=2",
    "no balance": "without consistency or agreement; set task.consistency=0.1",
    "no step": "at rate 0; set task.rate=0.9",
    "no agreement": "without consistency; set task.consistency=1",
    "no game": "without the game; set task.unsupervised=0.5",
    "no score": "without a score that compares them; set task.joint=1",
    "nothing held out": "without held-out items; set held_out=0.1",
    "nobody to bear": "orthogonal has no effect without",
    "nothing watched": "with watch=off; set watch=warn",
    "no average": "without an average; set average_half_life=0.01",
}
"""A part of the message with the advice; of the others it is in words."""


@cache
def data(kind: str) -> Dataset:
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    return {
        "images": lambda: from_array(colours),
        "classes": lambda: from_array(colours, np.arange(40) % 2),
        "two channels": lambda: from_array(rng.integers(0, 256, (40, 2, 8, 8), dtype=np.uint8)),
        "rows": lambda: from_array(rng.normal(size=(60, 3))),
        "long rows": lambda: from_array(rng.normal(size=(8, 600))),
        "values": lambda: from_array(rng.normal(size=(60, 3)), c=rng.random((60, 1)), c_names=["age"]),
    }[kind]()


CASES = {
    "code": ("images", "color-32", "task=infogan"),
    "code, simultaneous": ("images", "color-32", "task=infogan prior=coded simultaneous=true"),
    "no views of a code": ("images", "codes", "views=none"),
    "no categories": ("images", "codes", "prior.classes=0"),
    "a code of rows": ("rows", "codes", "generator=mlp discriminator=mlp views=jitter"),
    "no classes": ("images", "color-32", "task=condition"),
    "a loss of its own": ("classes", "classify", "loss=hinge penalty=r1"),
    "all classes at once": ("classes", "color-32", "task=condition task.way=multi_hinge"),
    "a way with a cost of its own": ("classes", "color-32", "task=condition task.way=auxiliary simultaneous=true"),
    "steps at once": ("images", "color-32", "simultaneous=true generator_steps=2"),
    "no slopes at once": ("images", "color-32", "simultaneous=true loss=hinge"),
    "penalties at once": ("images", "color-32", "simultaneous=true penalty_every=1"),
    "no discriminator at once": ("images", "fill-32", "simultaneous=true task.adversarial=0"),
    "no attributes": ("values", "table", "task=condition task.kind=attributes"),
    "views of what follows": ("images", "denoise", "views=flip"),
    "chance of no views": ("images", "color-32", "view_chance=adaptive"),
    "no penalty to balance by": ("images", "color-32", "balance=penalty penalty=none"),
    "balance by steps": ("images", "color-32", "balance=steps simultaneous=true"),
    "no penalty to weigh": ("images", "color-32", "penalty_weight=auto penalty=none"),
    "many pieces": ("images", "color-32", "accumulate=16"),
    "no autoencoder": ("images", "color-32", "loss=boundary"),
    "images for rows": ("rows", "table", "generator=dcgan"),
    "an accelerator": ("images", "color-32", "device=cuda"),
    "no enlarging": ("images", "upscale-x4", "generator=unet task.crop=8 task.comb=0"),
    "no comb": ("images", "upscale-x4", "task.crop=8"),
    "no grey": ("images", "colourise", "task.degradation=noise"),
    "no sources": ("images", "translate", ""),
    "one filling": ("images", "fill-32", "task.fillings=1"),
    "simultaneous": ("images", "translate", "task.degradation=noise simultaneous=true"),
    "no styles": ("images", "color-32", "pathlength=2"),
    "an inverse at once": ("images", "color-32", "task=invertible simultaneous=true"),
    "a name": ("images", "color-32", "loss=nonsaturating"),
    "who is real": ("images", "color-32", "loss=cramer views=flip view_chance=adaptive"),
    "seen by others": ("two channels", "color-32", "discriminator.pretrained=32"),
    "seen by others alone": ("two channels", "color-32", "discriminator=pretrained"),
    "brought from others": ("two channels", "denoise", "generator=pretrained task.crop=8"),
    "columns": ("long rows", "table", "generator=copula"),
    "nothing to weigh": ("images", "color-32", "penalty=none penalty_every=4"),
    "nobody to tell": ("images", "fill-32", "task.adversarial=0 discriminator_steps=2"),
    "no agreement": ("classes", "classify", "task.consistency=0 task.threshold=0.5"),
    "no game": ("classes", "classify", "task.unsupervised=0 task.pull_away=1"),
    "nobody to see views": ("images", "fill-32", "task.adversarial=0 views=flip"),
    "nobody to come in": ("images", "denoise", "task.adversarial_from=0.5 task.crop=8"),
    "no cost of the way": ("classes", "color-32", "task=condition task.auxiliary_weight=2"),
    "no cost of values": ("values", "table", "task=condition task.kind=values task.auxiliary_weight=2"),
    "no contrast": ("classes", "color-32", "task=condition task.way=auxiliary task.temperature=1"),
    "contrast of weight 0": (
        "classes",
        "color-32",
        "task=condition task.way=contrastive task.auxiliary_weight=0 task.temperature=1",
    ),
    "no pixel": ("images", "denoise", "task.crop=8 task.adversarial=1 task.pixel=0 task.saturation=1"),
    "no category to weigh": ("images", "codes", "task=infogan prior.classes=0 task.classes_weight=2"),
    "no value to weigh": ("images", "codes", "task=infogan prior.values=0 task.values_weight=2"),
    "no balance": ("images", "codes", "task=infogan task.balance=2"),
    "no step": ("images", "color-32", "task=logan task.rate=0 task.damping=2"),
    "no score": ("images", "fill-32", "task.joint=0 task.marginal=0 task.mean=0 task.fillings=3"),
    "nothing held out": ("images", "color-32", "held_out=0 evaluate_share=0.2"),
    "nobody to bear": ("images", "denoise", "task.crop=8 orthogonal=0.1 orthogonal.of=discriminator"),
    "nothing watched": ("images", "color-32", "watch=off glance_share=0.1"),
    "no average": ("images", "color-32", "average_half_life=0 average_ramp=0.1"),
}


def assembled(kind: str, base: str, settings: list[str]) -> str:
    """Why a run with these settings is not put together; empty where it is."""
    try:
        small = with_settings(recipe(base), setting_values([*SMALL]))
        config = with_settings(small, setting_values(settings))
        require_effect(config, setting_values(settings))
        config, _ = settle_task(config, data(kind))
        Run(settle(config, data(kind), None)[0], data(kind))
    except BadInput as error:
        return f"{REFUSED}{error}"
    return ""


def ways(message: str) -> list[list[str]]:
    """What the message says to type."""
    advice = message.partition(";")[2] or message
    found = [shlex.split(way.rstrip(".,")) for way in SETTINGS.findall(advice)]
    return found + [
        typed.format(*at.groups()).split() for words, typed in IN_WORDS if (at := re.search(words, message))
    ]


@pytest.mark.parametrize("name", CASES)
def test_advice_is_taken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evenodds.tasks.translate.is_here", lambda: True)  # weights are not what these messages ask for
    kind, base, more = CASES[name]
    message = assembled(kind, base, more.split())
    assert message.startswith(REFUSED)
    assert ways(message)
    if name in MEANT:
        told(MEANT[name], message)
    for way in ways(message):
        changed = {one.partition("=")[0] for one in way}
        kept = [one for one in more.split() if one.partition("=")[0] not in changed]
        assert assembled(kind, base, [*kept, *way]) == "", (message, way)


@pytest.mark.parametrize("written", ["[flip,translation]", "[flip, translation]", "['flip', 'translation']"])
def test_lists_are_read_as_they_are_printed(written: str) -> None:
    assert with_settings(recipe("color-32"), {"views": written}).views == ("flip", "translation")


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        ("images", "compile=maybe", "compile must be auto, true or false, got 'maybe'"),
        ("images", "precision=half", "precision must be auto, float32 or bfloat16, got 'half'"),
        ("images", "threads=some", "threads must be auto, a whole number, got 'some'"),
        (
            "images",
            "task=invertible task.latent=1e30",
            "'latent' of task 'invertible' must lie within -1e+06 and 1e+06",
        ),
        ("rows", "generator=copula task=invertible", "generator 'copula' does not learn; take the recipe table"),
        ("values", "generator=copula task=condition task.kind=values", "follows classes, no attributes or values"),
    ],
)
def test_what_cannot_be_played_is_said_before_the_game(kind: str, more: str, said: str) -> None:
    base = "color-32" if kind == "images" else "table"
    assert said in assembled(kind, base, more.split())


@pytest.mark.parametrize(
    ("base", "more", "left_out", "said"),
    [
        (
            "color-32",
            "data=digits size=16",
            "size=16",
            "size has no effect on data 'digits', which are",
        ),
        ("color-32", "data=digits channels=3", "channels=3", "or leave channels out"),
        ("color-32", "data=in-memory fit=pad", "fit=pad", "fit has no effect on data in memory"),
        (
            "denoise",
            "prior.size=8",
            "prior.size=8",
            "prior.size has no effect on task 'translate', which",
        ),
        ("denoise", "patience=0.2", "patience=0.2", "task 'translate', which is not watched"),
        ("color-32", "optimizer.lr=0.1", "optimizer.lr=0.1", "optimizer.lr has no effect: rates are learning_rate"),
        ("denoise", "loss=hinge", "loss=hinge", "loss has no effect without a discriminator"),
    ],
)
def test_a_setting_without_effect_is_refused(base: str, more: str, left_out: str, said: str) -> None:
    """What was typed is honoured or refused, never passed over."""
    assert said in assembled("images", base, more.split())
    kept = [one for one in more.split() if one != left_out]
    assert assembled("images", base, kept) == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "condition", "temperature": 0.3}, "task.temperature has no effect"),
        ({"name": "condition", "temperature": 0.5}, ""),  # its default asks for nothing
        ({"name": "condition", "way": "data_to_data", "temperature": 0.3}, ""),
        ({"name": "condition", "kind": "values", "temperature": 0.3}, "by contrast; leave task.temperature out"),
        ({"name": "segment", "adversarial": 0, "sure": 0.8}, "task.sure has no effect without a discriminator"),
        ({"name": "segment", "adversarial": 1, "sure": 0.8}, ""),
        ({"name": "upscale", "adversarial": 0, "comb": 1}, "task.comb has no effect without a discriminator"),
        ({"name": "codes", "balance": 2}, ""),
    ],
)
def test_options_in_a_mapping_are_typed_too(options: dict[str, Any], said: str) -> None:
    config = with_settings(recipe("color-32"), {"task": options})
    with pytest.raises(BadInput, match=said) if said else nullcontext():
        require_effect(config, {"task": options})


@pytest.mark.parametrize(
    ("kind", "base", "option", "said"),
    [
        ("images", "denoise", "task.inputs=1", "task.inputs follows from the data, of which it is 3"),
        ("classes", "color-32", "task=condition task.length=5", "task.length follows from the data, of which it is 2"),
        ("images", "fill-32", "task.beside=[mask]", "nothing called 'mask' lies beside these data"),
    ],
)
def test_options_of_the_data_are_not_typed(kind: str, base: str, option: str, said: str) -> None:
    """They made a game of another shape than the data have, or one with players of what is not there."""
    config = with_settings(recipe(base), setting_values([*SMALL, *option.split()]))
    with pytest.raises(BadInput) as raised:
        checked(config, data(kind), lambda line: None)
    assert said in str(raised.value)


@pytest.mark.parametrize("extra", ["top=0.5", "pseudo=0.5"])
def test_extras_of_a_discriminator_need_one(extra: str) -> None:
    assert "this game has none; leave it out" in assembled("images", "fill-32", ["task.adversarial=0", extra])


def test_settings_of_the_recipe_may_have_no_effect() -> None:
    """A recipe of photographs takes arrays, and one with a discriminator plays without it."""
    assert assembled("images", "photos-64", ["data=digits", "generator=dcgan", "views=none"]) == ""


def test_a_rate_in_a_recipe_of_ones_own_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("data: ring\noptimizer: {name: Adam, lr: 0.1}\n")
    with pytest.raises(BadInput, match="learning_rate"):
        recipe(str(path))


def test_graphs_without_a_device_for_them_are_said() -> None:
    said: list[str] = []
    config = with_settings(recipe("color-32"), {"graphs": True, "device": "cpu"})
    assert choose_graphs(config, None, said.append) == (config, [])  # type: ignore[arg-type]
    assert said == ["graphs=true has no effect: moves on the cpu cannot be recorded, those on CUDA devices can"]


def test_a_table_of_few_rows_is_said() -> None:
    rows = from_array(np.arange(6.0).reshape(3, 2) ** 2)
    lines = check(rows, torch.arange(3), torch.arange(0))
    assert "3 rows to train on: samples will repeat them, or mix their cells." in lines
