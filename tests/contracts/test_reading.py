"""YAML is read as plain values: nothing in it is executed, nothing in it grows, and every refusal is one line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from evenodds.errors import BadInput
from evenodds.files.read import as_type, parse_yaml, read_yaml

PLAIN: dict[str, Any] = {
    "a: 1": 1,
    "a: -9_000": -9000,
    "a: 0x1F": 31,
    "a: 1:30": 90,
    "a: 1.7976931348623157e+308": 1.7976931348623157e308,
    "a: 0." + "1" * 60: 1 / 9,
    "a: 1e-3": "1e-3",
    "a: [x, true, ~]": ["x", True, None],
    "a: {b: 'c'}": {"b": "c"},
    "a: 2001-99-99": "2001-99-99",
    "a: =": "=",
    "a: ! x": "x",
}

REFUSED = {
    "an alias": "a: &x [1]\nb: *x",
    "an anchor": "a: &x 1",
    "many laughs": "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]",
    "a tag that calls": "a: !!python/object/apply:os.system [x]",
    "a tag that imports": "a: !!python/name:os.system",
    "bytes": "a: !!binary aGk=",
    "a tag of one's own": "!x a: 1",
    "infinity": "a: -.inf",
    "not a number": "a: .NaN",
    "a float that overflows": "a: 1.0e+999",
    "5,000 digits": "a: " + "9" * 5000,
    "5,000 hexadecimal digits": "a: 0x" + "f" * 5000,
    "base 60 without end": "a: 59" + ":59" * 2000,
    "base 60 with a fraction without end": "a: 59" + ":59" * 2000 + ".5",
    "more than 64 bits": "a: 9223372036854775808",
    "a key twice": "a: 1\na: 2",
    "a key twice further in": "a: {b: 1, b: 2}",
    "a number as a key": "1: 2",
    "a list as a key": "? [a]\n: 1",
    "lists without end": "[" * 100_000,
    "mappings without end": "{a: " * 60_000,
    "dashes without end": "- " * 100_000,
    "300 KiB": "a: " + "x" * 300_000,
    "two documents": "a: 1\n---\nb: 2",
    "an open quote": "a: 'x",
    "NUL": "a: \x00",
    "half a surrogate pair": "a: \ud800",
}


@pytest.mark.parametrize("text", PLAIN)
def test_plain_values_are_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8-sig")
    for value in (parse_yaml(text, "it"), read_yaml(tmp_path / "a.yaml")):
        assert value == {"a": pytest.approx(PLAIN[text]) if isinstance(PLAIN[text], float) else PLAIN[text]}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_more_than_plain_values_is_refused_in_one_line(what: str) -> None:
    with pytest.raises(BadInput, match=r"^the recipe") as caught:
        parse_yaml(REFUSED[what], "the recipe")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@dataclass
class _Record:
    """A value with a free mapping in it."""

    m: dict[str, list[dict[str, float]]]


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ({"a": 1.0, "b": "x", "c": 2.0}, dict[str, float], "it: ['b'] must be a number, got 'x'"),
        (
            {"m": {"p": [{"u": 1.0}], "q": [{"v": 1.0}, {"w'": "no"}]}},
            _Record,
            "it: m['q'][1][\"w'\"] must be a number",
        ),
        ({"m": {"p": 3}}, _Record, "it: m['p'] must be a list, got 3"),
        ({"m": 3}, _Record, "it: m must be an object, got 3"),
        ({"a.b": {"c]": "y"}}, dict[str, dict[str, float]], "it: ['a.b']['c]'] must be a number"),
        ({str(k): k if k != 777 else "y" for k in range(1000)}, dict[str, int], "it: ['777'] must be a whole number"),
        ({"x" * 100: "y"}, dict[str, int], f"it: ['{'x' * 36}...] must be a whole number"),
    ],
)
def test_an_entry_of_a_free_mapping_is_named_by_its_key(value: Any, kind: Any, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        as_type(value, kind, "it")
    assert str(caught.value).startswith(message)


def test_a_refusal_names_the_line() -> None:
    with pytest.raises(BadInput, match=r"^a\.yaml, line 3 .*'loss' is there twice"):
        parse_yaml("loss: hinge\nbatch: 8\nloss: hinge", "a.yaml")


@pytest.mark.parametrize("content", [b"a: \xff", b"\xfe\xff\x00a", b"x" * 300_000])
def test_a_file_of_another_encoding_or_size_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.yaml (must be in UTF-8|has 300,000 bytes, at most 262,144)"):
        read_yaml(tmp_path / "a.yaml")


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot read .*not there"):
        read_yaml(tmp_path / "a.yaml")
