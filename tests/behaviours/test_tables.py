"""Tables as people have them: words, dates, flags, whole numbers, skew, empty cells."""

import csv
import pickle
import re
import shlex
import shutil
import sys
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch

import evenodds
from evenodds.apply.asked_rows import RowFilter
from evenodds.cli import main
from evenodds.data.sources import load
from evenodds.data.tables.amounts import NumberStyle
from evenodds.data.tables.rows import fitted, shares_of
from evenodds.errors import BadInput
from evenodds.evaluation.equilibrium import duality_gap
from evenodds.evaluation.evaluate import evaluate
from evenodds.files.read import read_json
from evenodds.runs.card import read_card
from evenodds.runs.config_files import read
from evenodds.runs.default_recipe import recipe_for
from evenodds.runs.imputing import commonest
from evenodds.runs.run_data import open_run_data
from evenodds.runs.values import Part
from tests.sheets import write_sheet
from tests.short import AT_THE_END

SHORT = {"images": 512, "batch": 64, "watch": "off", **AT_THE_END}


def rows(n: int = 120) -> list[list[Any]]:
    """A header, and rows in which columns of every kind are."""
    rng = np.random.default_rng(0)
    lines: list[list[Any]] = [["id", "day", "city", "age", "income", "debt", "member", "score", "plan"]]
    for k in range(n):
        age = int(rng.integers(18, 90))
        income = float(np.round(np.exp(rng.normal(10, 0.6)), 2))
        debt = 0 if rng.random() < 0.6 else round(income * 0.3, 2)
        score = "" if rng.random() < 0.3 else int(rng.integers(1, 6))
        city = str(rng.choice(["Bonn", "Rome", "Oslo"]))
        member = bool(rng.random() < 0.2)
        plan = "gold" if member else "none"
        lines.append([k + 1, f"2021-{k % 12 + 1:02d}-{k % 28 + 1:02d}", city, age, income, debt, member, score, plan])
    return lines


def written(path: Path, lines: list[list[Any]], delimiter: str = ",", encoding: str = "utf-8") -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=delimiter).writerows(lines)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    evenodds.fit(str(written(folder / "t.csv", rows())), "table", out=folder / "run", **SHORT)
    return folder / "run"


def test_columns_are_what_they_hold_and_that_is_said(tmp_path: Path) -> None:
    data = load(written(tmp_path / "t.csv", rows()))
    kinds = {column.name: column.kind for column in data.units.columns}
    assert kinds == {
        "day": "date",
        "city": "words",
        "age": "whole numbers",
        "income": "numbers",
        "debt": "numbers",
        "member": "words",
        "score": "levels",
        "plan": "words",
    }
    report = " ".join(data.report)
    assert "Left out column 'id': it counts from 1 to 120, an index; data.types=id:number keeps it." in report
    assert "Empty cells are learned too: score." in report
    assert data.report[1] == "Of 9 columns 8 are learned; beside them: 'id' (left out)."
    labelled = load(tmp_path / "t.csv", label="plan", given="age").report
    beside = "'id' (left out), 'age' (a value to ask for), 'plan' (the class of a row)"
    assert labelled[1] == f"Of 9 columns 6 are learned; beside them: {beside}."
    assert "day (dates); city, member, plan (words)" in report


def test_what_players_see_of_a_table_comes_back(tmp_path: Path) -> None:
    data = load(written(tmp_path / "t.csv", rows()))
    again = data.units.to_data(data.batch(torch.arange(len(data)))["x"])
    assert torch.equal(again.isnan(), data.x.isnan())
    assert torch.allclose(again.nan_to_num(), data.x.nan_to_num(), rtol=1e-6)


def test_samples_are_rows_that_the_table_could_have(run: Path, tmp_path: Path) -> None:
    main(["sample", str(run), "-n", "300", "--folder", str(tmp_path / "made")])
    made = list(csv.DictReader((tmp_path / "made" / "samples.csv").open(encoding="utf-8")))
    real = list(csv.DictReader((run.parent / "t.csv").open(encoding="utf-8")))
    assert list(made[0]) == [name for name in real[0] if name != "id"]
    for name in ("city", "member", "plan", "score"):
        assert {row[name] for row in made} <= {row[name] for row in real}
    assert {row["score"] for row in made} > {""}
    ages = [int(row["age"]) for row in made]
    assert 18 <= min(ages) <= max(ages) <= 89
    assert all(len(row["income"].partition(".")[2]) == 2 for row in made)
    assert {float(row["debt"]) for row in made} <= {float(row["debt"]) for row in real}
    days = [date.fromisoformat(row["day"]) for row in made]
    assert date(2021, 1, 1) <= min(days) <= max(days) <= date(2021, 12, 28)


def test_a_run_gives_cells_in_python(run: Path) -> None:
    session = evenodds.load(run)
    x = session.sample(50, seed=3)
    assert x.shape == (50, 8)
    cells = dict(zip(session.card.columns, x[0], strict=True))
    assert isinstance(cells["day"], date)
    assert isinstance(cells["age"], int)
    assert isinstance(cells["income"], float)
    assert cells["city"] in ("Bonn", "Rome", "Oslo")
    assert (session.sample(50, seed=3) == x).all()
    assert None in session.sample(200)[:, list(session.card.columns).index("score")]


def test_the_columns_of_a_run_are_kept_in_its_card(run: Path) -> None:
    card = read_card(run)
    data = load(run.parent / "t.csv")
    assert card.units == data.units
    assert card.shape == data.shape
    assert card.header == tuple(name for name in rows()[0] if name != "id")


def test_rows_can_be_asked_for_by_what_they_hold(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = evenodds.load(run)
    names = list(session.card.columns)
    city, age = (session.sample(1)[0, names.index(name)] for name in ("city", "age"))
    ask = ["sample", str(run), "-n", "40", "--folder", str(tmp_path / "made"), "--given"]
    main([*ask, f"city={city}", f"age={age - 5}..{age}"])
    made = list(csv.DictReader((tmp_path / "made" / "samples.csv").open(encoding="utf-8")))
    assert len(made) == 40
    assert {row["city"] for row in made} == {city}
    assert all(age - 5 <= int(row["age"]) <= age for row in made)
    capsys.readouterr()
    for given, said in (
        ("city=Paris", "no value of column 'city' 'Paris'"),
        ("town=Oslo", "no column 'town'"),
        ("age=200", "lies in [18, 88]"),
        ("age=", "has no empty cells"),
        ("age", "takes name=value"),
    ):
        assert main([*ask, given]) != 0
        assert said in capsys.readouterr().err


def test_a_table_is_judged_column_by_column(run: Path, tmp_path: Path) -> None:
    session = evenodds.load(run)
    evaluation = evaluate(session, metrics=["frechet"], n=200)
    assert [one["name"] for one in evaluation["columns"]] == list(session.card.columns)
    assert all(one["impossible"] == 0 for one in evaluation["columns"])
    assert len(evaluation["pairs"]["worst"]) == 5
    assert 0 < len(evaluation["usefulness"]) <= 3


def test_what_is_said_of_a_table_is_said_of_rows(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report.html"
    commands = ["card"], ["doctor"], ["report", "-n", "24", "--metrics", "kernel", "--out", str(out)]
    for command, *options in commands:
        assert main([command, str(run), *options]) == 0
    said = capsys.readouterr().out + out.read_text("utf-8").partition("<details")[0]
    assert "trained on: 512 of 512 rows" in said
    assert "after 512 real rows" in said
    assert re.findall(r"[0-9] (?:real )?images.{30}|real images shown", said) == []


def test_a_small_table_gets_a_generator_that_is_fitted_before_the_game(tmp_path: Path) -> None:
    data = str(written(tmp_path / "t.csv", rows()))
    assert recipe_for(data) == "small-table"
    settings = {**SHORT, "watch": "warn"}
    whole = evenodds.fit(data, "small-table", out=tmp_path / "whole", **settings)
    evenodds.fit(data, "small-table", out=tmp_path / "part", **{**settings, "images": 256})
    for folder in (tmp_path / "part" / "checkpoints").iterdir():
        if int(folder.name):
            shutil.rmtree(folder)  # as of a run that was killed early: its start is what was fitted
    resumed = evenodds.resume(tmp_path / "part", settings={"images": 512})
    assert whole.sample(20, seed=1).tolist() == resumed.sample(20, seed=1).tolist()
    debts = [row[4] for row in whole.sample(200, seed=2)]
    assert 0.45 < sum(debt == 0 for debt in debts) / len(debts) < 0.75
    assert [choice["setting"] for choice in read_json(whole.folder / "choices.json", list[Any])] == ["generator.fit"]
    played = open_run_data(whole.config, read_card(whole.folder))
    real = played.batch(torch.arange(32))["x"]
    gap = duality_gap(whole, played, real, whole.prior(32, 1), images=64)
    assert gap.best_generator <= gap.best_discriminator


def test_samples_of_any_tool_are_held_against_the_table_by_names(tmp_path: Path) -> None:
    lines = rows()
    data = written(tmp_path / "t.csv", lines)
    others = [[*line[:4][::-1], *line[4:]] for line in lines]
    same = evaluate(written(tmp_path / "s.csv", others), data, metrics=["frechet"])
    assert all(one["distance"] < 0.5 for one in same["columns"])
    off = [[*line[:4], line[4] if k == 0 else -5.0, *line[5:]] for k, line in enumerate(lines)]
    wrong = evaluate(written(tmp_path / "w.csv", off), data, metrics=["frechet"])
    assert not wrong["sound"]
    assert "cells that the data could not have, in 'income' (100 %)" in " ".join(wrong["verdict"])
    with pytest.raises(BadInput, match="need the columns of the data, 'plan' is missing"):
        evaluate(written(tmp_path / "m.csv", [line[:-1] for line in lines]), data)
    foreign = [[*line[:2], "Paris" if k else "city", *line[3:]] for k, line in enumerate(lines)]
    with pytest.raises(BadInput, match="column 'city' has 'Paris', which the data do not have"):
        evaluate(written(tmp_path / "f.csv", foreign), data)


@pytest.mark.parametrize(
    ("content", "encoding", "names", "said"),
    [
        ("stadt;größe\nBonn;1,5\nRom;2,5\n", "cp1252", ("stadt", "größe"), "Windows-1252"),
        ("stadt\tgröße\nBonn\t1.5\nRom\t2.5\n", "utf-16", ("stadt", "größe"), "UTF-16"),
        ("stadt\tgröße\nBonn\t1.5\nRom\t2.5\n", "utf-16-be", ("stadt", "größe"), "UTF-16"),
        ("都市,年\n一一,1.5\n上海,2.5\n", "utf-16-le", ("都市", "年"), "UTF-16"),
        ("stadt\tgröße\nBonn\t1.5\nRom\t2.5\n", "utf-32", ("stadt", "größe"), "UTF-32"),
        ("2019,2020,2021\n5,6,7\n8,9,1\n", "utf-8", ("2019", "2020", "2021"), "levels"),
        ("country,2019,2020\nNO,5,6\nSE,8,9\n", "utf-8", ("country", "2019", "2020"), "words"),
        ("code,x\n00123,1\n04711,2\n", "utf-8", ("code", "x"), "code (words)"),
        ("a,b\n1,NA\n2,3\n", "utf-8", ("a", "b"), "Took 'NA' for empty cells in 1 column: b."),
        ("a;b\nn.a.;2,5\n1,5;NA\n", "utf-8", ("a", "b"), "Took 'NA', 'n.a.' for empty cells in 2 columns: a, b."),
        ("d,b\n03/04/2021,1\n05/06/2021,3\n", "utf-8", ("d", "b"), "'%d/%m/%Y', and not '%m/%d/%Y'"),
        ("d,b\n31.12.2021,1\n05.06.2021,3\n", "utf-8", ("d", "b"), "d (dates)"),
        ("d,b\n2021-12-31 10:30,1\n2021-12-31 11:00,3\n", "utf-8", ("d", "b"), "d (dates with times)"),
    ],
)
def test_tables_are_read_as_they_are_written(
    content: str, encoding: str, names: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content, encoding=encoding)
    data = load(path)
    assert data.columns == names
    assert len(data) == 2
    assert said in " ".join(data.report)


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["31.12.2021", "05.06.2021"], None),
        (["31.12.21", "05.06.21"], None),
        (["12/31/2021 9:30 PM", "1/5/2021 12:05 AM"], None),
        (["5 Jan 2021", "17 Mar 2021"], None),
        (["May 5, 2021", "June 17, 2021"], None),
        (["2021-03", "1999-12"], None),
        (["$5", "$1,200", "-$33"], [5, 1200, -33]),
        (["1.234,50 €", "0,75 €", "-12,00 €"], [1234.5, 0.75, -12]),
        (["1 234,5", "7,1", "1 000 000,0"], [1234.5, 7.1, 1e6]),
        (["12 %", "7 %", "100 %"], [12, 7, 100]),
        (["1'200.50", "7.25"], [1200.5, 7.25]),
        (["12.5 kg", "3.0 kg"], [12.5, 3]),
        (["1,234", "19,014"], [1234, 19014]),
        (["(1,234.50)", "7.25", "(0.75)"], [-1234.5, 7.25, -0.75]),
        (["($1,234)", "$7"], [-1234, 7]),
        (["$ (5.25)", "$ 1,200.00"], [-5.25, 1200]),
        (["(12) %", "7 %"], [-12, 7]),
        (["1.234,55-", "2,00"], [-1234.55, 2]),
        (["\u22121,234", "19,014"], [-1234, 19014]),
        (["$-5", "$6"], [-5, 6]),
        (["0,5", "19,014"], [0.5, 19.014]),
    ],
)
def test_dates_and_amounts_come_back_as_they_were_written(
    cells: list[str], numbers: list[float] | None, tmp_path: Path
) -> None:
    data = load(written(tmp_path / "t.csv", [["a", "b"], *([cell, k] for k, cell in enumerate(cells))]))
    column = data.units.columns[0]
    assert column.form == "number" if numbers else column.form in ("date", "datetime")
    assert not numbers or data.x[:, 0].tolist() == numbers
    digits = max(len(cell.rpartition(",")[2]) for cell in cells) if column.decimals == 3 else None
    expected = [cell if digits is None else cell.ljust(len(cell.partition(",")[0]) + 4, "0") for cell in cells]
    assert [column.text(value) for value in data.x[:, 0].tolist()] == expected


@pytest.mark.parametrize(
    "cells",
    [["5 kg", "5 g"], ["$5", "5 €"], ["A12", "A13"], ["01234 %", "5 %"], ["5-10", "6-7"], ["(5", "6)"], ["(-5)", "5"]],
)
def test_what_is_no_amount_stays_words(cells: list[str], tmp_path: Path) -> None:
    data = load(written(tmp_path / "t.csv", [["a", "b"], *([cell, k] for k, cell in enumerate(cells))]))
    assert data.units.columns[0].form == "words"


@pytest.mark.parametrize(
    ("cells", "said", "instead"),
    [
        (
            ["cm", *range(40)],
            "1 of 41 cells is no number, such as 'cm'; where it is empty it is a column of numbers",
            "",
        ),
        ([*["<1"] * 4, *range(36)], "4 of 40 cells are no number, such as '<1'; where they are empty", ""),
        (["2021-01-05", "05/02/2021"] * 20, "dates in several spellings.*written as 2021-12-31 12:30:00", "2021-12-31"),
        (["2021-01-05T10:00+02:00", "2021-01-05T11:00+02:00"] * 20, "one that is not read", "2021-01-05 10:00:00"),
        (["Bonn", "bonn", "Rome"] * 10, "differ in capitals alone, such as 'Bonn' and 'bonn'", "Bonn"),
        ([*["A", "B"] * 20, "Total"], "last row may be a sum of the others, as column 'a' holds 'Total'", "A"),
    ],
)
def test_what_may_be_meant_otherwise_is_said_and_no_more_once_it_is_changed(
    cells: list[object], said: str, instead: str, tmp_path: Path
) -> None:
    def notes(cells: list[object]) -> str:
        return " ".join(
            load(written(tmp_path / "t.csv", [["a", "b"], *([c, k % 9] for k, c in enumerate(cells))])).report
        )

    odd = {"cm", "<1", "05/02/2021", "bonn", "Total", "2021-01-05T10:00+02:00", "2021-01-05T11:00+02:00"}
    assert re.search(said, notes(cells))
    assert not re.search(said, notes([instead if cell in odd else cell for cell in cells]))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\ninf,1\n2,3\n", r"holds inf; leave the cell empty$"),
        ('{"a": 1, "b": 2}\n{"a": 2, "b": 3}\n', "got JSON; save it as CSV"),
        ("# exported\na,b\n1,2\n", "row 2 has 2 cells, the first row has 1; take out what stands above the table"),
    ],
)
def test_what_is_no_table_is_refused_with_what_helps(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(BadInput, match=said):
        load(tmp_path / "t.csv")


def test_amounts_of_several_currencies_are_said_to_be_words(tmp_path: Path) -> None:
    cells = [f"${k},500" if k % 2 else f"{k} €" for k in range(1, 61)]
    data = load(written(tmp_path / "t.csv", [["price", "n"], *([cell, k % 7] for k, cell in enumerate(cells))]))
    assert "different signs around them, such as '$59,500' and '60 €'; with the same ones" in " ".join(data.report)


def test_a_table_is_written_as_it_was(tmp_path: Path) -> None:
    lines = [[f"{k},5", f"-{k + 1}.000,25 €", "Bonn" if k % 2 else "Rom; a", k % 7] for k in range(40)]
    path = written(tmp_path / "t.csv", [["sep=;"], ["höhe", "preis", "ort", "n"], *lines], delimiter=";")
    path.write_text(path.read_text().replace('"sep=;"', "sep=;"))
    session = evenodds.fit(str(path), "table", out=tmp_path / "run", task="condition", data__given="höhe", **SHORT)
    main(["sample", str(session.folder), "--given", "höhe=2.5", "-n", "30", "--folder", str(tmp_path / "made")])
    made = list(csv.reader((tmp_path / "made" / "samples.csv").open(encoding="utf-8"), delimiter=";"))
    assert made[0] == ["höhe", "preis", "ort", "n"]
    assert {row[0] for row in made[1:]} == {"2,5"}
    assert all(re.fullmatch(r"-\d{1,2}\.000,25 €", row[1]) for row in made[1:])
    again = load(tmp_path / "made" / "samples.csv")
    assert again.units.columns[1].style == session.card.units.columns[0].style


def test_numbers_far_from_all_others_that_stand_for_none_are_apart(tmp_path: Path) -> None:
    lines = [["x", "y"], *([k / 7, k % 3] for k in range(80)), [-999, 1], [-999, 2]]
    data = load(written(tmp_path / "t.csv", lines))
    assert data.units.columns[0].levels == (-999.0,)
    assert "In column 'x', -999" in " ".join(data.report)
    high = load(written(tmp_path / "u.csv", [["x", "y"], *([k / 2, k % 3] for k in range(1900, 1999))]))
    assert high.units.columns[0].levels == ()


def test_a_number_that_many_rows_hold_is_apart_from_amounts(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    debts = [0 if rng.random() < 0.5 else round(float(rng.exponential(900)), 2) for _ in range(800)]
    data = load(written(tmp_path / "t.csv", [["debt", "late"], *([debt, int(debt > 900)] for debt in debts)]))
    assert data.units.columns[0].levels == (0.0,)
    assert "In column 'debt', 0.00 is learned apart." in data.report
    shares = shares_of(data.units.columns[0], data.x[:, 0].numpy())
    assert shares[0] == pytest.approx(np.mean([debt == 0 for debt in debts]))
    assert shares.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("cells", "kind", "decimals"),
    [
        ([1560429428.75 + k for k in range(30)], "numbers", 2),
        ([(k + 1) * 7.9e-11 for k in range(30)], "numbers", None),
        ([1 + k / 10 for k in range(30)], "numbers", 1),
        ([20210101 + k % 28 + 100 * (k % 12) for k in range(60)], "date", None),
        (["1_000", "2_5", "x"] * 10, "words", None),
        ([str(2**60 + 2 * (k % 3)) for k in range(30)], "words", None),
        (["12", "n.a.", "5", "7", "8", "9", "11"] * 5, "whole numbers", 0),
    ],
)
def test_cells_are_not_changed_by_what_they_are_taken_for(
    cells: list[object], kind: str, decimals: int | None, tmp_path: Path
) -> None:
    data = load(written(tmp_path / "t.csv", [["a", "b"], *([cell, k % 3] for k, cell in enumerate(cells))]))
    column = data.units.columns[0]
    assert (column.kind, column.decimals) == (kind, decimals)
    spelled = [column.text(value) for value in data.x[:, 0].tolist()]
    assert [text or "n.a." for text in spelled] == [str(cell) for cell in cells]


def test_zeros_before_numbers_stay_wherever_they_are(tmp_path: Path) -> None:
    codes = [f"{k:05d}" for k in (90000, 80000, 70000, 60000, 50000, 1234)]
    lines = [["zip", "x"], *([codes[0], k % 3] for k in range(5000)), *([code, 1] for code in codes)]
    column = load(written(tmp_path / "t.csv", lines)).units.columns[0]
    assert column.form == "words"
    assert "01234" in column.words
    for types in ("plain", "zip:number"):
        assert load(tmp_path / "t.csv", types=types).x[:, 0].min() == 1234


def test_two_codes_are_both_apart(tmp_path: Path) -> None:
    values = [-999 if k % 42 == 0 else 9999 if k % 42 == 1 else k % 300 / 10 for k in range(1000)]
    column = load(written(tmp_path / "t.csv", [["a", "b"], *([v, k % 3] for k, v in enumerate(values))])).units.columns[
        0
    ]
    assert column.levels == (-999.0, 9999.0)


def test_rows_without_a_value_are_counted(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n,\n,\n3,4\n")
    data = load(tmp_path / "t.csv")
    assert len(data) == 2
    assert "Left out 2 rows without a value." in data.report


@pytest.mark.parametrize("delimiter", ["bar", "|"])
def test_signs_between_cells_have_words(delimiter: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a|b\n1|2\n3|4\n")
    assert load(tmp_path / "t.csv", delimiter=delimiter).columns == ("a", "b")
    (tmp_path / "t.tsv").write_text("a\tb, c\n1\t2\n3\t4\n")
    assert load(tmp_path / "t.tsv").columns == ("a", "b, c")
    with pytest.raises(BadInput, match="one sign, or one of tab, comma"):
        load(tmp_path / "t.csv", delimiter="")


def test_many_words_are_drawn(tmp_path: Path) -> None:
    words = [[f"w{k % 200:03d}", k % 7] for k in range(1000)]
    session = evenodds.fit(str(written(tmp_path / "t.csv", [["a", "b"], *words])), "table", out=tmp_path / "r", **SHORT)
    assert list((session.folder / "samples").glob("*.png"))


def test_advice_on_a_name_with_a_comma_can_be_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [["City, name", "x"], *([f"place {k}", k % 5] for k in range(60))]
    path = written(tmp_path / "t.csv", lines)
    advice = next(line for line in load(path).report if "keeps it" in line).split("; ")[1].removesuffix(" keeps it.")
    words = [*shlex.split(advice), "images=128", "batch=64", "watch=off"]
    assert main(["train", "table", "--data", str(path), "--out", str(tmp_path / "run"), "--set", *words]) == 0
    assert read_card(tmp_path / "run").columns == ("City, name", "x")


def test_rows_can_be_asked_for_by_date(run: Path, tmp_path: Path) -> None:
    ask = ["sample", str(run), "-n", "20", "--folder", str(tmp_path / "made"), "--given", "day=2021-01-01..2021-12-28"]
    assert main(ask) == 0
    assert len((tmp_path / "made" / "samples.csv").read_text().splitlines()) == 21


def test_types_are_what_the_user_says(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", rows())
    data = load(path, types="id:number,score:number,age:levels,debt:none,plan:words")
    kinds = {column.name: column.kind for column in data.units.columns}
    assert kinds["id"] == "whole numbers"
    assert kinds["age"] == "levels"
    assert "debt" not in kinds
    with pytest.raises(BadInput, match="column 'city' has cells that are no numbers"):
        load(path, types="city:number")


def test_the_label_and_what_is_given_are_written_in_their_places(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", rows())
    session = evenodds.fit(str(path), "table", out=tmp_path / "a", task="condition", data__label="plan", **SHORT)
    main(["sample", str(session.folder), "--per-class", "3", "--folder", str(tmp_path / "made")])
    made = list(csv.DictReader((tmp_path / "made" / "samples.csv").open(encoding="utf-8")))
    assert list(made[0])[-1] == "plan"
    assert [row["plan"] for row in made] == ["gold"] * 3 + ["none"] * 3
    session = evenodds.fit(str(path), "table", out=tmp_path / "b", task="condition", data__given="age", **SHORT)
    main(["sample", str(session.folder), "--given", "age=33", "-n", "4", "--folder", str(tmp_path / "given")])
    made = list(csv.DictReader((tmp_path / "given" / "samples.csv").open(encoding="utf-8")))
    assert list(made[0]) == [name for name in rows()[0] if name != "id"]
    assert {row["age"] for row in made} == {"33"}


def test_arrays_of_rows_hold_to_what_they_had(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = np.stack([rng.integers(0, 2, 200), rng.integers(18, 90, 200), rng.exponential(1, 200)], 1)
    session = evenodds.fit(x, "table", out=tmp_path / "run", **SHORT)
    made = session.sample(200)
    assert set(made[:, 0]) == {0.0, 1.0}
    assert (made[:, 1] == made[:, 1].round()).all()
    assert made[:, 2].min() >= x[:, 2].min()
    main(["sample", str(session.folder), "-n", "5", "--npz", str(tmp_path / "s.npz")])
    assert np.load(tmp_path / "s.npz")["x"].shape == (5, 3)


def test_samples_with_words_are_stored_as_text(run: Path, tmp_path: Path) -> None:
    main(["sample", str(run), "-n", "5", "--npz", str(tmp_path / "s.npz")])
    x = np.load(tmp_path / "s.npz", allow_pickle=False)["x"]
    assert x.shape == (5, 8)
    assert x.dtype.kind == "U"


def frame(n: int = 80) -> pandas.DataFrame:
    rng = np.random.default_rng(0)
    return pandas.DataFrame(
        {
            "city": pandas.Categorical(rng.choice(["Bonn", "Rome"], n)),
            "age": rng.integers(18, 90, n),
            "income": np.where(rng.random(n) < 0.2, np.nan, rng.normal(50, 9, n)),
            "member": rng.random(n) < 0.5,
            "since": pandas.Timestamp("2020-01-01") + pandas.to_timedelta(rng.integers(0, 900, n), unit="D"),
        }
    )


def test_data_frames_go_in_and_come_out() -> None:
    from evenodds.estimators import GAN, GANOverSampler

    data = frame()
    model = GAN(rows=256, random_state=0).fit(data)
    made, _ = model.sample(60)
    assert list(made.columns) == list(data.columns)
    assert (made.dtypes == data.dtypes).all()
    assert set(made["city"]) <= {"Bonn", "Rome"}
    assert made["since"].between(data["since"].min(), data["since"].max()).all()
    with pytest.raises(BadInput, match="no density"):
        model.score_samples(data)
    y = np.array([0] * 60 + [1] * 20)
    more, labels = GANOverSampler(rows=256, random_state=0, sampling_strategy=0.5).fit_resample(data, y)
    assert (labels == 1).sum() == 30
    assert more.iloc[:80].equals(data)
    assert (more.dtypes == data.dtypes).all()


def test_a_classifier_learns_from_a_data_frame() -> None:
    from evenodds.estimators import GANClassifier

    data = frame(300)
    y = np.where(data["city"] == "Bonn", "north", "south")
    few = np.where(np.arange(300) % 3, "?", y)
    classifier = GANClassifier(rows=6000, width=32, unlabelled="?", random_state=0).fit(data, few)
    assert (classifier.predict(data) == y).mean() > 0.95
    assert (classifier.predict(data[list(data.columns[::-1])]) == classifier.predict(data)).all()
    other = data.assign(city=data["city"].cat.rename_categories({"Bonn": "Oslo"}))
    with pytest.raises(BadInput, match="column 'city' has 'Oslo', which the data do not have"):
        classifier.predict(other)


def test_cells_of_a_data_frame_stay_text() -> None:
    from evenodds.estimators import GAN

    data = pandas.DataFrame({"price": [f"${k % 90 + 1},500" for k in range(200)], "n": np.arange(200) % 7})
    made, _ = GAN(rows=256, random_state=0).fit(data).sample(50)
    assert made["price"].str.fullmatch(r"\$\d{1,2},500").all()


def test_numbers_and_booleans_that_are_objects_stay_what_they_are() -> None:
    from evenodds.estimators import GAN, GANImputer

    parts = {
        "paid": Decimal("0.25"),
        "member": True,
        "share": Fraction(1, 3),
        "count": 10**20,
        "single": np.float32(0.1),
    }
    cells = {name: [value * (k % 5 + 1) for k in range(60)] for name, value in parts.items()}
    cells |= {"member": [k % 3 == 0 for k in range(60)], "either": [1, Decimal(2)] * 30}
    data = pandas.DataFrame(cells, dtype=object)
    made, _ = pickle.loads(pickle.dumps(GAN(rows=64, random_state=0).fit(data))).sample(30)
    for name in parts:
        assert {type(cell) for cell in made[name]} == {type(cell) for cell in data[name]}, name
        assert set(made[name]) <= set(data[name]), name
    assert {type(cell) for cell in made["either"]} == {str}  # of several classes, none is theirs
    data.loc[3:9, ["paid", "member"]] = None
    filled = GANImputer(rows=64, n_draws=2, random_state=0).fit_transform(data[["paid", "member"]])
    assert {type(cell) for cell in filled["paid"]} | {type(cell) for cell in filled["member"]} == {Decimal, bool}


def test_a_data_frame_is_filled_in() -> None:
    from evenodds.estimators import GANImputer

    data = frame()
    gaps = data.copy()
    gaps.loc[3:9, "city"] = None
    gaps["since"] = gaps["since"].where(gaps.index > 5)
    filled = GANImputer(rows=256, n_draws=8, random_state=0).fit_transform(gaps)
    assert not filled.isna().any(axis=None)
    assert (filled.dtypes == data.dtypes).all()
    assert filled["city"].iloc[10:].equals(data["city"].iloc[10:])
    assert filled["since"].iloc[6:].equals(data["since"].iloc[6:])
    moved = gaps.set_axis(range(100, 180))
    again = GANImputer(rows=256, n_draws=8, random_state=0).fit(gaps).transform(moved)
    assert list(again.index) == list(range(100, 180))
    assert again["income"].dropna().iloc[20:].equals(again["income"].iloc[20:])
    with pytest.raises(BadInput, match="a data frame with the columns of fit: city, age"):
        GANImputer(rows=256, random_state=0).fit(gaps).transform(gaps.drop(columns="age"))


def test_categories_of_numbers_and_time_zones_come_back() -> None:
    from evenodds.estimators import GAN

    moments = pandas.Series(pandas.Timestamp("2021-05-30") + pandas.to_timedelta(np.arange(60) % 9, unit="D"))
    data = pandas.DataFrame({"c": pandas.Categorical([1, 2, 3] * 20), "t": moments.dt.tz_localize("Europe/Berlin")})
    made, _ = GAN(rows=256, random_state=0).fit(data).sample(40)
    assert (made.dtypes == data.dtypes).all()
    assert set(made["c"]) <= {1, 2, 3}
    assert not made.isna().any(axis=None)
    assert made["t"].between(data["t"].min(), data["t"].max()).all()


def test_the_commonest_of_draws() -> None:
    draws = np.array([[[1.0, 4.0]], [[2.0, 3.0]], [[2.0, 4.0]]])
    assert commonest(draws).tolist() == [[2.0, 4.0]]


def test_a_data_frame_is_data(tmp_path: Path) -> None:
    session = evenodds.fit(frame(), "table", out=tmp_path / "run", **SHORT)
    assert session.sample(5).shape == (5, 5)
    kinds = [column.kind for column in session.card.units.columns]
    assert kinds == ["words", "whole numbers", "numbers", "words", "date"]


def test_a_sheet_of_excel_is_a_table(tmp_path: Path) -> None:
    lines = [["city", "age", "note"], *([["Bonn", "Rome"][k % 2], k % 40, f"n{k}"] for k in range(60))]
    data = load(write_sheet(tmp_path / "t.xlsx", lines))
    assert data.columns == ("city", "age")
    assert [column.kind for column in data.units.columns] == ["words", "whole numbers"]
    (tmp_path / "broken.xlsx").write_bytes(b"PK no sheet")
    with pytest.raises(BadInput, match=r"broken.xlsx cannot be read as a sheet of Excel.*save it as CSV"):
        load(tmp_path / "broken.xlsx")


def test_a_parquet_file_without_images_is_a_table(tmp_path: Path) -> None:
    frame().to_parquet(tmp_path / "t.parquet")
    data = load(tmp_path / "t.parquet", label="city")
    assert data.columns == ("age", "income", "member", "since")
    assert data.classes == ("Bonn", "Rome")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no table")
    with pytest.raises(BadInput, match="damaged or no parquet file"):
        load(tmp_path / "broken.parquet")


def test_a_sheet_without_what_reads_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(BadInput, match=r"pip install 'evenodds\[pandas\]'"):
        load(write_sheet(tmp_path / "t.xlsx", [["a"], [1]]))


def test_a_run_whose_table_was_scaled_linearly_goes_on(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", [["x", "y"], *([k / 3, k % 5] for k in range(64))])
    evenodds.fit(str(path), "table", out=tmp_path / "run", data__types="plain", **SHORT)
    config, card = read(tmp_path / "run" / "config.yaml"), read_card(tmp_path / "run")
    assert config.data is not None
    assert not card.units.columns
    today = replace(config, data=Part(config.data.name))  # as a run from before has it
    assert open_run_data(today, card).units == card.units
    assert evenodds.load(tmp_path / "run").sample(3).dtype == np.float32


def test_what_is_asked_for_may_be_written_as_the_column_writes_it() -> None:
    days = np.arange(60) * 43_200.0 + 1.6e9
    columns = [
        fitted("income", np.arange(60) * 500.0, decimals=0, style=NumberStyle("$", group=",")),
        fitted("when", days, "datetime", "%Y-%m-%dT%H:%M:%S"),
    ]
    values = np.stack([np.arange(60) * 500.0, days], 1)
    for given, n in (
        ({"income": "$500"}, 1),
        ({"income": "$500..$9,500"}, 19),
        ({"income": "500..9500"}, 19),
        ({"when": "2020-09-14..2020-09-15"}, 4),
        ({"when": columns[1].text(days[3])}, 1),
    ):
        assert RowFilter.of(columns, given)(values).sum() == n
