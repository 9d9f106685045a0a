"""Every flag that takes a number has a range, which is checked before any work."""

from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from cyclopts import CoercionError, Token

from evenodds.cli import main, whole_app
from evenodds.cli.ranges import Range
from evenodds.errors import BadInput
from evenodds.files import memory
from evenodds.runs.folders import as_seconds
from evenodds.runs.values import as_number

NEVER = ["1e12x", "1e300", "-1e300", "nan", "inf", "-inf", "", "wide", "9" * 5000, "0x10", "1,5", "[red]", "\x1b[31m"]


@cache
def arguments() -> list[tuple[str, Any]]:
    """Every argument of every command."""
    app = whole_app()
    commands = [command for command in app if not command.startswith("-")]
    found = [(command, argument) for command in commands for argument in app[command].assemble_argument_collection()]
    return [(command, argument) for command, argument in found if not argument.children]


def takes_numbers(hint: Any) -> bool:
    return hint in (int, float) or any(map(takes_numbers, get_args(hint)))


NUMERIC = {(command, argument.names[0]): argument for command, argument in arguments() if takes_numbers(argument.hint)}


@cache
def required(command: str) -> list[str]:
    """The words that a command cannot do without."""
    needed = [argument for other, argument in arguments() if other == command and argument.required]
    words = []
    for argument in needed:
        words += ["nowhere"] if argument.index is not None else [argument.names[0], "nowhere"]
    return words


def test_every_numeric_flag_has_a_range() -> None:
    assert {command for command, _ in NUMERIC} >= {"train", "sample", "augment", "walk", "evaluate", "trial", "upscale"}
    for (command, name), argument in NUMERIC.items():
        assert isinstance(argument.parameter.converter, Range), f"{command} {name} takes any number"


@pytest.mark.parametrize(("command", "name"), NUMERIC)
def test_numbers_out_of_range_are_refused(command: str, name: str) -> None:
    numbers = NUMERIC[command, name].parameter.converter
    beyond = [str(int(numbers.least) - 1), str(int(numbers.most) + 1), *(["0"] if numbers.above else [])]
    for value in [*NEVER, *beyond, *(["1.5"] if numbers.whole else [])]:
        with pytest.raises(CoercionError) as error:
            numbers(int, [Token(keyword=name, value=value)])
        assert str(error.value).startswith(f"{name} must be {numbers}, got ")
        assert len(str(error.value)) < 200


@pytest.mark.parametrize(("command", "name"), NUMERIC)
def test_no_work_is_begun_with_such_a_number(
    command: str, name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([command, *required(command), name, "9" * 5000]) == 2
    out, error = capsys.readouterr()
    assert not out
    assert error.startswith(f"evenodds: error: {name} must be ")
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", ["-1", "-inf", "1e12x", "\x1b[31m", ""])
@pytest.mark.parametrize("form", ["-n {}", "-n{}", "--number {}", "--number={}"])
def test_however_it_is_written(form: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "nowhere", *form.format(value).split(" ")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "\x1b" not in error


def test_numbers_at_the_ends_of_a_range_are_taken() -> None:
    for argument in NUMERIC.values():
        numbers = argument.parameter.converter
        assert numbers.read(str(numbers.most)) == numbers.most
        assert numbers.above or numbers.read(str(numbers.least)) == numbers.least


@pytest.mark.parametrize("text", ["9223372036854775807", "-9223372036854775808", "12345678901234567k", "1_000"])
def test_whole_numbers_keep_all_their_digits(text: str) -> None:
    factor = 1000 if text.endswith("k") else 1
    assert as_number(text) == int(text.removesuffix("k")) * factor


NO_LENGTHS = ["nan", "infs", "infh", "1e308h", "0s", "-1m", "9" * 5000 + "s", "", "s", "3 x", "1h 5", 0, float("nan")]


@pytest.mark.parametrize("budget", NO_LENGTHS)
def test_a_budget_is_a_length_of_time(budget: str | float) -> None:
    with pytest.raises(BadInput, match="a length of time such as 60s, 10m or 1h30m; got") as error:
        as_seconds(budget)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("budget", "seconds"),
    [("90s", 90), ("10m", 600), ("10min", 600), ("2 hours", 7200), ("1h30m", 5400), ("1.5 H", 5400), (90, 90)],
)
def test_lengths_of_time_as_people_write_them(budget: str | float, seconds: float) -> None:
    assert as_seconds(budget) == seconds


@pytest.mark.parametrize("budget", ["3", "0.5", " 90 ", "9" * 5000])
def test_a_budget_without_a_unit_asks_for_one(budget: str) -> None:
    with pytest.raises(BadInput, match="a budget needs a unit: ") as error:
        as_seconds(budget)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("value", ["nan", "inf", "1e999", "-1e999", "9" * 5000])
def test_what_is_asked_for_is_finite(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "nowhere", "--checkpoint", value]) == 2
    from evenodds.cli.app import numbers

    with pytest.raises(BadInput, match="--given takes name=number") as error:
        numbers([f"angle={value}"])
    assert len(str(error.value)) < 200


def test_two_values_for_one_name_are_refused() -> None:
    from evenodds.cli.app import assignments, numbers

    for read in (numbers, assignments):
        with pytest.raises(BadInput, match="two values were given for 'age', 30 and 40"):
            read(["age=30", " age=40"])
        assert list(read(["age=30", "age=30"]) or ()) == ["age"]


def test_limits_of_a_container_are_the_memory_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups, place = tmp_path / "cgroup", tmp_path / "self"
    (groups / "box" / "inner").mkdir(parents=True)
    (groups / "box" / "memory.max").write_text("4096\n")
    (groups / "box" / "inner" / "memory.max").write_text("max\n")
    place.write_text("0::/box/inner\n")
    monkeypatch.setattr(memory, "GROUPS", groups)
    monkeypatch.setattr(memory, "OF_THIS_PROCESS", place)
    assert memory.machine_bytes() == 4096
    (groups / "memory").mkdir()
    (groups / "memory" / "memory.limit_in_bytes").write_text("2048\n")
    place.write_text("7:cpu,memory:/elsewhere\n")
    assert memory.machine_bytes() == 2048
    with pytest.raises(BadInput, match=r"a thing needs 1\.0 GiB of memory, and this machine has 0\.0; wait"):
        memory.require_room("a thing", 2**30, "wait")
    for text in ("", "nonsense", "0::"):
        place.write_text(text)
        assert memory.machine_bytes() > 0
