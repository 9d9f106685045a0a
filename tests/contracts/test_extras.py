"""Extras of a configuration: named in a list or by a key of their own, as configurations of earlier runs name them."""

from typing import Any

import pytest

from evenodds.errors import BadInput
from evenodds.runs.changes import difference, with_settings
from evenodds.runs.config import from_mapping
from evenodds.runs.config_files import recipe
from evenodds.runs.extras import Extra, build_extras
from evenodds.runs.find import find, names
from evenodds.runs.values import Part

EARLIER = {"top": 0.5, "densest": 0.8, "balance": {"name": "steps", "gain": 4}}
PARTS = (
    Part("balance", {"lever": "steps", "gain": 4}),
    Part("densest", {"share": 0.8}),
    Part("top", {"share": 0.5}),
)


def test_a_key_of_its_own_is_an_entry_of_the_list() -> None:
    words = {"top": "0.5", "balance": "steps", "balance.gain": "4", "densest": "0.8"}
    config = with_settings(recipe("digits"), words)
    assert config.extras == PARTS
    assert from_mapping(config.to_mapping()) == config
    assert all(isinstance(extra, Extra) for extra in build_extras(config))


def test_configurations_of_earlier_runs_mean_what_they_meant() -> None:
    plain = {key: value for key, value in recipe("digits").to_mapping().items() if key != "extras"}
    assert from_mapping({**plain, "top": 1.0, "densest": 1.0, "balance": None}) == recipe("digits")
    earlier = from_mapping({**plain, **EARLIER})
    assert earlier.extras == PARTS
    assert difference(with_settings(recipe("digits"), EARLIER), earlier) == []


def test_extras_can_be_left_out_again() -> None:
    config = with_settings(recipe("digits"), EARLIER)
    assert with_settings(config, {"balance": "none", "top": 1, "densest": 1.0}).extras == ()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"balanc": "rate"}, "did you mean 'balance'"),
        ({"balance": "rate", "balance.gian": 3}, "did you mean 'gain'"),
        ({"densest": 2}, "share in"),
    ],
)
def test_what_is_wrong_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        build_extras(with_settings(recipe("digits"), settings))


def test_each_extra_says_what_was_measured() -> None:
    for name in names("extras"):
        assert "Measured (benchmarks/" in (find("extras", name).__doc__ or ""), name
