"""Options and numbers of a configuration: of the declared type and in range, or one line that names file and place."""

import inspect
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from evenodds.data.sources import load
from evenodds.errors import BadInput
from evenodds.runs.assembly import Run
from evenodds.runs.build import options_of_encoder
from evenodds.runs.changes import with_settings
from evenodds.runs.config import Config, from_mapping, settings
from evenodds.runs.config_files import recipe
from evenodds.runs.find import KINDS, find, make, names, network
from evenodds.runs.memory import require_memory
from evenodds.runs.options import RANGES, accepts, is_plain, require_options
from evenodds.runs.part_options import require_part
from evenodds.runs.values import Part

NAMED = ("networks", "mappers", "fillers")
MEMBERS = [kind for kind in KINDS if kind not in ("recipes", "listeners", "features", "balances")]
NEVER: dict[str, Any] = {
    "NaN": math.nan,
    "infinity": -math.inf,
    "NaN within": [0.5, math.nan],
    "5,000 digits": 10**5000,
    "lists within lists": [[[[[[[[[[[[1]]]]]]]]]]]],
    "a mapping": {"a": {"b": 1}},
    "a long list": [0.5] * 20_000,
    "a long text": "x" * 20_000,
    "code": object(),
}


def makers(kind: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in names(kind):
        member = find(kind, name)
        if inspect.ismodule(member):
            roles = [role for role in ("Generator", "Discriminator") if hasattr(member, role)]
            yield from ((f"{name}.{role}", getattr(member, role)) for role in roles)
        else:
            yield name, member


def options() -> Iterator[tuple[str, str, str]]:
    """Key, name and option of every option that a configuration can give."""
    for key, about in settings().items():
        for kind in about.kinds:
            if kind == "views":
                continue
            for name, maker in makers(kind):
                family = name.partition(".")[0] if kind in NAMED else name
                for option, parameter in inspect.signature(maker).parameters.items():
                    if parameter.default is not parameter.empty and is_plain(parameter.default):
                        yield key, family, option


OPTIONS = sorted(set(options()))


def refused(values: dict[str, Any]) -> str:
    with pytest.raises(BadInput) as caught:
        from_mapping(values, "a.yaml")
    message = str(caught.value)
    assert "a.yaml" in message
    assert "\n" not in message
    assert len(message) < 1000
    return message


def test_there_are_options_of_every_kind_that_a_setting_names() -> None:
    assert {key for key, _, _ in OPTIONS} >= {
        "data", "task", "prior", "generator", "discriminator", "penalty", "view_chance", "extras", "optimizer",
        "learner", "decay",
    }  # fmt: skip


@pytest.mark.parametrize("what", NEVER)
def test_no_option_takes_it(what: str) -> None:
    for key, name, option in OPTIONS:
        part = {"name": name, option: NEVER[what]}
        message = refused({key: [part] if key == "extras" else part})
        assert option in message
        assert key in message or KINDS[settings()[key].kinds[0]][0] in message


def test_numbers_take_no_text_no_lists_of_text_and_nothing_out_of_range() -> None:
    for key, name, option in OPTIONS:
        defaults = {
            maker: inspect.signature(maker).parameters[option].default
            for kind in settings()[key].kinds
            for label, maker in makers(kind)
            if label.partition(".")[0] == name.partition(".")[0] and option in inspect.signature(maker).parameters
        }
        if not all(isinstance(d, int | float) and not isinstance(d, bool) for d in defaults.values()):
            continue
        for value in ("text", ["text"], [[1]]):
            part = {"name": name, option: value}
            assert option in refused({key: [part] if key == "extras" else part}), (key, name, option, value)


@pytest.mark.parametrize("kind", MEMBERS)
def test_every_default_is_of_its_declared_type_and_in_range(kind: str) -> None:
    for name, maker in makers(kind):
        parameters = inspect.signature(maker).parameters.values()
        plain = {p.name: p.default for p in parameters if p.default is not p.empty and is_plain(p.default)}
        require_options(name, maker, {option: value for option, value in plain.items() if option in accepts(maker)})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"penalty": {"name": "r1", "weight": [1]}}, "no option of penalty 'r1' 'weight'"),
        ({"prior": {"name": "normal", "size": 1e12}}, "prior 'normal': size must be a whole number"),
        ({"prior": {"name": "normal", "size": 10**12}}, "size must be a whole number <= 65536, got 1000000000000"),
        ({"generator": {"name": "dcgan", "width": "wide"}}, "generator 'dcgan': width must be a whole number"),
        ({"generator": {"name": "dcgan", "witdh": 8}}, "did you mean 'width'"),
        (
            {"task": {"name": "translate", "degradation": {"name": "noise", "low": "a"}}},
            "'noise': low must be a number",
        ),
        ({"task": {"name": "translate", "degradation": [{"name": "noise", "lwo": 1}]}}, "did you mean 'low'"),
        ({"data": {"name": "ring", "n": 10**12}}, "n must be a whole number <= 10000000"),
        ({"batch": 10**9}, "batch must be at most 65,536"),
        ({"batch": math.inf}, "batch must be finite"),
        ({"batch": [64]}, r"batch must be a whole number, got \[64\]"),
        ({"learning_rate": math.nan}, "learning_rate must be finite"),
        ({"learning_rate": -1}, "learning_rate must be at least 0"),
        ({"images": 1e300}, "images must have at most 64 bits"),
        ({"seed": "9" * 5000}, "seed must be a whole number"),
        ({"size": 0}, "size must be at least 1"),
        ({"size": 10**6}, "size must be at most 16,384"),
        ({"extras": 3}, "extras must be a list"),
        ({"extras": [3]}, "extras must be a name"),
        ({"top": {"a": 1}}, "option of extras 'top' 'a'"),
        ({"views": {"a": 1}}, "views must be a list"),
        ({"loss": None}, "loss must be a name"),
        ({"loss": {"name": ["hinge"]}}, "loss must be a name"),
        ({"loss": {"name": "x" * 10**5}}, "loss must be a name"),
        ({"device": ["cpu"]}, "device must be a string"),
        ({"fused": 2}, "fused must be true or false"),
        ({"los": "hinge"}, "did you mean 'loss'"),
    ],
)
def test_a_refusal_says_place_and_need(values: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=rf"a\.yaml.*{message}|{message}.*a\.yaml|key in a\.yaml.*{message}"):
        from_mapping(values, "a.yaml")


@pytest.mark.parametrize(
    ("recipe_name", "key", "value", "message"),
    [
        ("digits", "generator.width", "wide", "width must be a whole number"),
        ("digits", "generator.witdh", "8", "did you mean 'width'"),
        ("digits", "prior.size", "1e12", "size must be a whole number"),
        ("fill-32", "task.masks", "boxes,strkes", "did you mean 'strokes'"),
        ("denoise", "task.degradation", "{name: noise, low: a}", "low must be a number"),
        ("digits", "batch", "many", "batch must be a whole number"),
        ("digits", "top.shar", "0.5", "did you mean 'share'"),
        ("digits", "los", "hinge", "did you mean 'loss'"),
    ],
)
def test_what_is_typed_is_refused_by_its_key(recipe_name: str, key: str, value: str, message: str) -> None:
    config = recipe(recipe_name)
    with pytest.raises(BadInput) as caught:
        with_settings(config, {"images": "1000", key: value})
    assert key in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("masks", ["boxes,strkes", ["boxes", "strkes"], "strkes"])
def test_a_mask_that_nobody_has_is_named_with_its_file(masks: object) -> None:
    for task in ({"name": "fill", "masks": masks}, _hiding(masks)):
        message = refused({"task": task})
        assert "masks of " in message
        assert "'strkes'; did you mean 'strokes'" in message


def _hiding(masks: object) -> dict[str, Any]:
    return {"name": "translate", "degradation": {"name": "hide", "masks": masks}}


def test_texts_of_a_command_line_are_numbers_and_switches() -> None:
    config = with_settings(
        Config(),
        {"batch": "1k", "learning_rate": "1e-3", "fused": "yes", "generator.width": "16", "penalty_weight": "2M"},
    )
    assert (config.batch, config.learning_rate, config.fused, config.penalty_weight) == (1000, 1e-3, True, 2e6)
    assert config.generator == Part("dcgan", {"width": 16})
    assert [with_settings(Config(), {"views": words}).views for words in ("", (), "flip,color")] == [
        (), (), ("flip", "color"),
    ]  # fmt: skip
    assert from_mapping(config.to_mapping()) == config


def test_every_range_holds_an_option() -> None:
    every = {option for kind in MEMBERS for _, maker in makers(kind) for option in accepts(maker)}
    assert set(RANGES) <= every


def test_code_of_ones_own_is_checked_by_its_own_signature() -> None:
    class Prior:
        def __init__(self, size: int, deep: "dict[str, int] | None" = None, *, loose=3) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
            self.size = size

    assert make("prior", Prior, {"size": 3, "loose": [1, "a"]}).size == 3
    for wrong in ({"size": "x"}, {"size": 10**9}, {"size": 3, "loose": math.nan}, {"size": 3, "lose": 1}):
        with pytest.raises(BadInput):
            make("prior", Prior, wrong)


@pytest.mark.parametrize(
    "name",
    sorted(name for name in names("networks") if {"Generator", "Discriminator"} <= set(vars(find("networks", name)))),
)
def test_no_memory_is_asked_for_that_the_machine_lacks(name: str) -> None:
    options = {"width": 60_000, "cap": 65_536, "depth": 1000}
    for role, arguments in (("Generator", (16, (3, 64, 64))), ("Discriminator", ((3, 64, 64),))):
        maker = network(name, role)
        state = torch.get_rng_state()
        with pytest.raises(BadInput, match=r"needs [\d,.]+ GiB .* lower its width"):
            require_memory(name, maker, {o: v for o, v in options.items() if o in accepts(maker)}, arguments)
        require_memory(name, maker, {}, arguments)
        assert torch.equal(torch.get_rng_state(), state)


def test_a_run_of_networks_that_are_too_large_is_refused() -> None:
    words = {"generator": "mlp", "generator.width": 60_000, "generator.depth": 1000, "prior.size": 4}
    with pytest.raises(BadInput, match="generator 'mlp' needs"):
        Run(with_settings(recipe("ring"), {**words, "data": "ring", "data.n": 100}), load("ring", n=100))


def test_an_encoder_has_no_code_of_a_discriminator_that_is_an_autoencoder() -> None:
    part = Part("mlp", {"code": 16, "minibatch_std": True, "width": 8})
    assert options_of_encoder(part, network("mlp", "Discriminator")) == {"width": 8}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("decay.progress", "0.5", "no option of decay 'constant' 'progress'; there are none; leave it out"),
        ("penalty.uniform", "1", "no option of penalty 'gradient_penalty' 'uniform'; there are none; leave it out"),
        ("penalty.view", "flip", "no option of penalty 'gradient_penalty' 'view'; there are none; leave it out"),
        ("generator.latent", "3", "no option of generator 'dcgan' 'latent'; known: bottom, cap, condition,"),
        ("discriminator.self_modulation", "true", "no option of discriminator 'dcgan' 'self_modulation'; "),
        (
            "discriminator.shape",
            "3",
            "known: bottom, cap, dropout, growth, minibatch_std, norm, outputs, pretrained, width",
        ),
        ("task.prior", "normal", "no option of task 'generate' 'prior'; there are none; leave it out"),
        ("task.discriminator_steps", "2", "no option of task 'generate' 'discriminator_steps'; there are none"),
    ],
)
def test_what_a_part_is_made_with_is_no_option(key: str, value: str, said: str) -> None:
    """Tensors, networks and settings of their own were listed as options, and refused when they were given."""
    config = with_settings(Config(), {"penalty": "gradient_penalty"})
    with pytest.raises(BadInput) as error:
        with_settings(config, {key: value})
    assert said in str(error.value)


def test_options_of_every_part_are_plain() -> None:
    """All that the message on an unknown option lists can be typed."""
    for key, about in settings().items():
        for kind in about.kinds:
            for name in names(kind) if kind not in ("sources", "recipes", "optimizers") else ():
                with pytest.raises(BadInput) as error:
                    require_part(key, (kind,), Part(name, {"no such option": 1}))
                listed = re.findall(r"known: (.*)", str(error.value))
                assert not {*"".join(listed).split(", ")} & {
                    "progress",
                    "uniform",
                    "normal",
                    "view",
                    "x",
                    "contest",
                    "dial",
                }
