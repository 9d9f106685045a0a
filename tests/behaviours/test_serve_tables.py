"""Runs that fill tables, asked over HTTP: rows in JSON and CSV files."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

import evenodds
from evenodds.apply.filling_rows import _cell, _parsed, _writer, fill_rows
from evenodds.apply.filling_tables import fill_table
from evenodds.cli import main
from evenodds.data.tables.rows import Column
from evenodds.data.tables.types import placed
from evenodds.errors import BadInput
from evenodds.runs.session import Session
from tests.serving import asked, at_port
from tests.studio import TOKEN

SMALL = {"generator__width": 8, "discriminator__width": 8, "device": "cpu", "batch": 64, "images": 256, "watch": "off"}
ROW = {"age": 41, "city": None, "paid": "1.020,50", "day": "03.02.2021", "old": False, "code": "00123"}
NOTHING = dict.fromkeys(ROW)
CSV = {"content-type": "text/csv"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("serve")
    rng = np.random.default_rng(0)
    lines = ["age;city;paid;day;old;code", ";;;;;"]
    for _ in range(80):
        age = int(rng.integers(20, 80))
        paid, city = f"1.{age:03d},50", "Bonn" if age > 50 else "Rome"
        lines.append(f"{age};{city};{paid};{1 + age % 28:02d}.02.2021;{age > 50};{'10115' if age > 50 else '00123'}")
    lines[4], lines[5] = ";" + lines[4].partition(";")[2], lines[5].replace("Rome", "").replace("Bonn", "")
    (home / "t.csv").write_text("\n".join(lines))
    return home


@pytest.fixture(scope="module")
def session(home: Path) -> Session:
    return evenodds.fit(str(home / "t.csv"), "fill-table", out=home / "run", **SMALL)


@pytest.fixture(scope="module")
def client(session: Session) -> Iterator[TestClient]:
    with asked(session) as client:
        yield client


def fillings(client: TestClient, **words: Any) -> list[list[dict[str, Any]]]:
    answer = client.post("/v1/fill", json=words)
    assert answer.status_code == 200, answer.text
    made: list[list[dict[str, Any]]] = answer.json()["fillings"]
    return made


def test_rows_in_json_are_filled_as_they_are_written(client: TestClient, session: Session) -> None:
    rows = [ROW, {**NOTHING, "age": 70, "more": [1, "x"]}, {**NOTHING, "paid": 1030.5}, NOTHING]
    ((first, second, third, last),) = fillings(client, rows=rows)
    assert first == {**ROW, "city": first["city"]}
    assert first["city"] in ("Bonn", "Rome")
    assert (second["age"], second["more"], [*second]) == (70, [1, "x"], [*ROW, "more"])
    assert isinstance(third["age"], int)
    assert third["paid"] == 1030.5
    assert isinstance(second["old"], bool)
    assert re.fullmatch(r"1\.\d{3},\d0?", second["paid"]), "as the text of that column"
    assert re.fullmatch(r"\d\d\.02\.2021", second["day"])
    assert second["code"] in ("00123", "10115")
    assert last == NOTHING
    assert fill_rows(session, rows).fillings == [[first, second, third, last]]
    (alone,) = fillings(client, rows=[{**NOTHING, "age": 70}])
    assert {alone[0][name] == second[name] for name in ("city", "code")} == {True}
    assert isinstance(alone[0]["paid"], str | float)
    listed = client.post("/v1/fill", json={"columns": [*ROW], "rows": [[*ROW.values()]]}).json()
    assert listed == {"seed": 0, "fillings": [[first]], "notes": []}


def test_words_that_are_numbers_are_the_same_alone_and_beside_text(session: Session) -> None:
    numbers = [{**ROW, "code": 10115.0}, {**ROW, "code": 10115}, {**ROW, "old": np.True_}]
    together = fill_rows(session, [*numbers, ROW]).fillings[0]
    assert together[:3] == [fill_rows(session, [row]).fillings[0][0] for row in numbers]
    code = Column("code", "words", words=("12345678901234567", "12345678901234568"), levels=(0.0, 1.0))
    with pytest.raises(BadInput, match="12345678901234569"):
        placed(code, _parsed(code, [12345678901234569]))
    assert placed(code, _parsed(code, [12345678901234567])).tolist() == [0]


def test_a_learned_word_for_nothing_is_a_word() -> None:
    """Beside True and False it was filled as False."""
    column = Column("old", "words", words=("False", "True", "none"), levels=(0.0, 1.0, 2.0))
    cells = [_cell(cell) for cell in (True, "none", "null")]
    parsed = _parsed(column, cells)
    known = [cell for cell, there in zip(cells, ~np.isnan(placed(column, parsed, True)), strict=True) if there]
    assert known == [True, "none"]
    assert _writer(column, known, parsed)(2.0) == "none"


def test_what_is_no_text_stays_in_columns_that_are_not_learned(client: TestClient) -> None:
    body = json.dumps({"rows": [{**NOTHING, "age": 70, "more": "\ud83d"}]})
    answer = client.post("/v1/fill", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["fillings"][0][0]["more"]) == (200, "\ud83d")


def test_a_filled_file_says_how_its_characters_are_written(client: TestClient) -> None:
    content = "age;city;paid;day;old;code;\u00e9\n1;Rome;;;;;\u00e9\n"
    for encoding, charset in (
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("cp1252", "windows-1252"),
    ):
        answer = client.post("/v1/fill", content=content.encode(encoding), headers=CSV)
        assert answer.headers["content-type"] == f"text/csv; charset={charset}"
        assert answer.content.decode(encoding).startswith(content.partition("\n")[0])


def test_several_fillings_are_draws_of_a_seed(client: TestClient) -> None:
    three = fillings(client, rows=[{**NOTHING, "age": 50}], count=3, seed=7)
    assert fillings(client, rows=[{**NOTHING, "age": 50}], count=2, seed=7) == three[:2]
    assert fillings(client, rows=[{**NOTHING, "age": 50}], strategy="draw", seed=7) == three[:1]
    assert len({str(one) for one in three}) > 1
    assert fillings(client, rows=[{**NOTHING, "age": 50}], count=3, seed=8) != three
    assert fillings(client, rows=[{**NOTHING, "age": 50}], count=3, seed=7) == three


def test_a_csv_file_is_answered_as_the_command_fills_it(
    client: TestClient, session: Session, home: Path, tmp_path: Path
) -> None:
    content = (home / "t.csv").read_bytes()
    (path,) = fill_table(session, home / "t.csv", tmp_path / "filled.csv")
    answer = client.post("/v1/fill", content=content, headers=CSV)
    assert (answer.content, answer.headers["content-type"]) == (path.read_bytes(), "text/csv; charset=utf-8")
    (path,) = fill_table(session, home / "t.csv", tmp_path / "drawn.csv", strategy="draw", seed=3)
    form = {"strategy": "draw", "seed": "3"}
    assert client.post("/v1/fill", files={"rows": content}, data=form).content == path.read_bytes()
    whole = b"\n".join(content.split(b"\n")[:1] + content.split(b"\n")[8:])
    assert client.post("/v1/fill", files={"rows": whole}).content == whole, "nothing is empty"


def test_words_for_nothing_are_said(client: TestClient) -> None:
    told = client.post("/v1/fill", json={"rows": [{**ROW, "city": "NA"}, {**ROW, "age": "-"}]}).json()
    assert told["fillings"][0][0]["city"] in ("Bonn", "Rome")
    assert isinstance(told["fillings"][0][1]["age"], int)
    assert told["notes"] == [
        "Took 'NA' for empty cells in 1 column of words that the run has never seen with it: city."
    ]
    file = client.post("/v1/fill", content=b"age;city;paid;day;old;code\n41;NA;;;;\n", headers=CSV)
    assert file.headers["evenodds-notes"] == told["notes"][0]
    assert (
        "evenodds-notes"
        not in client.post("/v1/fill", content=b"age;city;paid;day;old;code\n41;;;;;\n", headers=CSV).headers
    )


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"json": {}}, "rows are needed: a CSV file, or in JSON"),
        ({"json": {"rows": []}}, "rows are needed"),
        ({"json": {"rows": "aGVq"}}, "rows: Input should be a valid list, got 'aGVq'"),
        ({"json": {"rows": [[1]]}}, "rows need names of columns"),
        ({"json": {"rows": [[1, 2]], "columns": ["age"]}}, "all rows need as many cells as there are columns"),
        ({"json": {"rows": [[1, 2]], "columns": ["age", "age"]}}, "`columns` has one name twice; rename one"),
        ({"json": {"rows": [{"age": 1}]}}, "row 1 has other columns than the run has learned: 'city', 'paid'"),
        ({"json": {"rows": [ROW, {"age": 1}]}}, "row 2 has no 'city'; give null where nothing is known"),
        ({"json": {"rows": [{**ROW, "city": "Oslo"}]}}, "column 'city' has 'Oslo', which the data do not have"),
        ({"json": {"rows": [{**ROW, "age": "old"}]}}, "column 'age' holds words, in the data numbers"),
        ({"json": {"rows": [{**ROW, "age": True}]}}, "column 'age' holds words, in the data numbers"),
        ({"json": {"rows": [{**ROW, "age": [1]}]}}, "row 1 has a list in 'age'; give a number, text or null"),
        ({"json": {"rows": [{**ROW, "day": 3}]}}, "column 'day' holds numbers, in the data dates"),
        ({"json": {"rows": [ROW, {**ROW, "age": 1e300}]}}, "row 2 has numbers too far from those that were learned"),
        ({"json": {"rows": [ROW], "count": 2, "strategy": "mean"}}, "there is one mean, and 2 fillings were asked for"),
        ({"json": {"rows": [ROW], "strategy": "mode"}}, "strategy: Input should be 'mean' or 'draw', got 'mode'"),
        ({"json": {"rows": [ROW], "format": "csv"}}, "format is one of json here, got csv"),
        ({"json": {"rows": [ROW], "image": "aGVq"}}, "this run fills rows and no images; send `rows`"),
        ({"content": b"a;b\n1;2\n", "headers": CSV}, "rows.csv has other columns than the run has learned: 'age'"),
        ({"content": b"", "headers": CSV}, "rows.csv needs rows, got an empty file"),
        (
            {"content": b"age\n1", "headers": CSV, "params": {"count": 2}},
            "a CSV file has one filling; send the rows in",
        ),
        ({"files": [("rows", b"a"), ("rows", b"b")]}, "one file of rows is needed, got 2"),
    ],
)
def test_what_cannot_be_filled_is_one_line(client: TestClient, sent: dict[str, Any], said: str) -> None:
    answer = client.post("/v1/fill", **sent)
    assert (answer.status_code, [*answer.json()]) == (400, ["error"])
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_columns_that_are_not_learned_stay_and_that_is_said(session: Session) -> None:
    made = fill_rows(session, [{**ROW, "more": None}, {**ROW, "more": 1}, {**ROW, "whole": 1}])
    assert [row.get("more") for row in made.fillings[0]] == [None, 1, None]
    assert made.notes == ("Empty cells stay in 2 columns, which the run has not learned: 'more', 'whole'.",)
    for nothing in (math.nan, "", " NaN"):
        assert fill_rows(session, [{**ROW, "more": nothing, "whole": "none"}]).notes == (
            "Empty cells stay in 1 column, which the run has not learned: 'more'.",
        )
    with pytest.raises(BadInput, match="column 'age' has an infinite number; give null where nothing is known"):
        fill_rows(session, [{**ROW, "age": 10**400}])


def test_rows_are_bounded(session: Session) -> None:
    content = "\n".join([";".join(ROW), *["1;;;;;"] * 5]).encode()
    with asked(session, samples=4) as client:
        for sent in (
            {"json": {"rows": [ROW] * 5}},
            {"json": {"rows": [ROW] * 2, "count": 3}},
            {"files": {"rows": content}},
            {"files": {"rows": content + b"\n1;2"}},  # no more of which is read
        ):
            answer = client.post("/v1/fill", **sent)
            assert (answer.status_code, "at most 4" in answer.json()["error"]) == (413, True)


def test_what_is_served_is_told(client: TestClient) -> None:
    about = client.get("/v1/model").json()
    assert about["answers"] == ["fill"]
    assert about["columns"]["age"] == "whole numbers"
    assert about["columns"]["city"] == "words"
    assert client.post("/v1/sample").status_code == 404


def test_numbers_too_far_away_are_refused_in_files_too(session: Session, home: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("age;city;paid;day;old;code\n1;Rome;;;;\n2e37;;;;;")
    with pytest.raises(BadInput, match="row 2 has numbers too far from those that were learned; leave these"):
        fill_table(session, table, tmp_path / "filled.csv")


def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")
    lines = re.findall(r"^curl -f .*$", page.partition("\n## Tables")[2], re.M)
    asking, filling = re.findall(r"^```py\n(.*?)^```", page, re.M | re.S)
    ages = "".join(f"{age},{'Bonn' if age > 50 else 'Rome'}\n" for age in [*range(20, 80)] * 2)
    (tmp_path / "t.csv").write_text(f"age,city\n{ages}")
    (tmp_path / "new.csv").write_text("age,city\n41,\n,Rome\n")
    session = evenodds.fit(str(tmp_path / "t.csv"), "fill-table", out=tmp_path / "run", **SMALL)
    monkeypatch.setenv("TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)
    with at_port(session) as (port, _, _):
        monkeypatch.setenv("URL", f"http://127.0.0.1:{port}")
        for command in lines if shutil.which("curl") else ():
            done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
            assert done.returncode == 0, (command, done.stderr)
        exec(asking.partition("told =")[0] + filling, {})
    assert len(lines) == 4
    assert main(["fill", "run", "new.csv", "--out", "same.csv"]) == 0
    assert (tmp_path / "filled.csv").read_bytes() == (tmp_path / "same.csv").read_bytes()
