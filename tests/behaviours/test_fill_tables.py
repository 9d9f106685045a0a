"""A run that fills the empty cells of tables, as a user meets it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch

import evenodds
from evenodds.apply.filling_frames import fill_frame
from evenodds.apply.filling_tables import fill_table
from evenodds.apply.imputer import imputer_of
from evenodds.apply.making import filler_of
from evenodds.cli import main
from evenodds.data.readers.gaps import gaps
from evenodds.data.tables.delimited import delimited
from evenodds.data.tables.opened import parsed_table
from evenodds.data.tables.rewriting import with_cells
from evenodds.data.tables.rows import Column
from evenodds.errors import BadInput
from evenodds.evaluation.evaluate import evaluate
from evenodds.files.regular import open_regular
from evenodds.runs.session import Session
from tests.short import AT_THE_END

SMALL = {"generator__width": 16, "generator__depth": 1, "discriminator__width": 16, "device": "cpu", "batch": 64}
HEAD = "id;age;height;paid;city;seen on;note"
GAPS = (3, 12, 20)
"""Rows with an empty city, height and paid."""


def rows(n: int = 120) -> list[list[str]]:
    """Cells of a table whose columns hang together: height follows age, the city follows it too."""
    rng = np.random.default_rng(0)
    made = []
    for k in range(n):
        age = int(rng.integers(20, 90))
        height = f"{150 + age / 2 + rng.normal():.1f}".replace(".", ",")
        paid = f"{1000 + 20 * age + int(rng.integers(0, 9))},50 €"
        city = "Köln" if age > 50 else '"Bad ""X""; Y"'
        made.append([f"P-{k:03d}", str(age), height, paid, city, f"{1 + k % 28:02d}.{1 + k % 12:02d}.2021", ""])
    made[3][4] = ""
    made[12][2] = " NA "
    made[20][3] = ""
    made[25][1:] = [""] * 6
    return made


def write(path: Path, cells: list[list[str]], head: str = HEAD, end: str = "\r\n", encoding: str = "utf-8") -> Path:
    path.write_bytes(end.join([head, *(";".join(row) for row in cells), ""]).encode(encoding))
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="module")
def session(home: Path) -> Session:
    table = write(home / "patients.csv", rows())
    return evenodds.fit(str(table), "fill-table", out=home / "run", images=2560, **SMALL, **AT_THE_END)


def cells(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file, delimiter=";"))


def test_empty_cells_alone_are_changed(session: Session, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fill", str(session.folder)]) == 0
    said = capsys.readouterr()
    assert said.out.split() == [str(session.folder / "filled" / "patients.csv")]
    assert "Filled 3 empty cells of 120 rows by the mean of 64 draws" in said.err
    assert "1 row without any value stays as written" in said.err
    before, after = (path.read_bytes().split(b"\r\n") for path in (home / "patients.csv", Path(said.out.strip())))
    changed = [k for k, (a, b) in enumerate(zip(before, after, strict=True), -1) if a != b]
    assert changed == list(GAPS)
    old, new = cells(home / "patients.csv"), cells(Path(said.out.strip()))
    for k, column in zip(GAPS, (4, 2, 3), strict=True):
        assert [one for at, one in enumerate(old[k + 1]) if at != column] == [
            one for at, one in enumerate(new[k + 1]) if at != column
        ]
    assert new[4][4] in ("Köln", 'Bad "X"; Y')
    assert new[13][2].count(",") == 1
    assert len(new[13][2].partition(",")[2]) == 1, "a height has one decimal, behind a comma"
    assert len(new[21][3].partition(",")[2]) == len("50 €"), "as many decimals as all cells have"
    assert new[26] == old[26]
    assert main(["fill", str(session.folder)]) == 0  # what this command wrote is replaced
    (session.folder / "filled" / "patients.csv").write_text("mine")
    capsys.readouterr()
    assert main(["fill", str(session.folder)]) == 2
    assert "was changed since `evenodds fill` wrote it" in capsys.readouterr().err


def test_several_fillings_are_draws(session: Session, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some = write(home / "some.csv", [["x", "45", "", "", "", "01.02.2021", "a"], ["y", "45", "170,0", "", "", "", ""]])
    words = ["fill", str(session.folder), str(some), "--out", str(home / "several")]
    assert main([*words, "-n", "3"]) == 0
    paths = [Path(line) for line in capsys.readouterr().out.split()]
    assert [path.name for path in paths] == ["some-1.csv", "some-2.csv", "some-3.csv"]
    made = [cells(path) for path in paths]
    assert len({tuple(row[2] for row in one[1:]) for one in made}) > 1
    assert all(one[1][0] == "x" and one[1][5:] == ["01.02.2021", "a"] and one[2][6] == "" for one in made)
    assert main([*words, "-n", "2"]) == 0
    assert [cells(path) for path in paths[:2]] == made[:2]
    assert not paths[2].exists(), "a filling of the earlier call that is no longer among them"
    one = home / "one.csv"
    assert main([*words[:3], "--strategy", "draw", "--out", str(one)]) == 0
    assert cells(one) == made[0]


@pytest.mark.parametrize(
    ("table", "words", "said"),
    [
        (
            "x;y\n1;2\n",
            [],
            "other columns than the run has learned: 'age', 'height', 'paid', 'city', 'seen on' are missing",
        ),
        (f"{HEAD}\n1;2;3,0;4,50 €;Rome;01.02.2021;\n", [], "column 'city' has 'Rome', which the data do not have"),
        (f"{HEAD}\n1;2;3,0;4,50 €;Köln;01.02.2021;\n", [], "no empty cell in the 5 columns that the run fills"),
        (f"{HEAD}\n1;;;;;;z\n", [], "empty cells in empty rows alone"),
        (f"{HEAD}\n1;old;3,0;4,50 €;;01.02.2021;\n", [], "column 'age' holds words, in the data numbers"),
        (f"{HEAD}\n", [], "got a header alone"),
        (None, [], "no table '"),
        ("", ["-n", "2", "--strategy", "mean"], "there is one mean"),
        ("", ["-n", "2", "--out", "a.csv"], "2 fillings need a folder"),
        ("", ["--out", "a.parquet"], "written as text"),
        ("", ["--mask", "m.png"], "--mask is for images"),
        ("", ["--strategy", "median"], "mean"),
    ],
)
def test_what_cannot_be_filled_is_said(
    table: str | None, words: list[str], said: str, session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new.csv"
    if table is not None:
        path.write_text(table, encoding="utf-8")
    assert main(["fill", str(session.folder), str(path), *words]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert said in error
    assert error.startswith("evenodds: error")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["new.csv"][: table is not None]


def test_the_table_itself_is_never_written_over(
    session: Session, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (home / "patients.csv").read_bytes()
    assert main(["fill", str(session.folder), str(home / "patients.csv"), "--out", str(home)]) == 2
    assert "is an input and would be overwritten" in capsys.readouterr().err
    assert (home / "patients.csv").read_bytes() == before


def test_a_run_that_fills_tables_is_a_run(session: Session, home: Path) -> None:
    again = evenodds.load(session.folder, device="cpu")
    one, two = (imputer_of(run).impute(np.full((2, 5), np.nan), 2) for run in (session, again))
    assert np.array_equal(one, two)
    options = {**SMALL, "average_half_life": 0, "decay": "constant", "held_out": 0, "watch": "off", **AT_THE_END}
    data = str(home / "patients.csv")
    whole = evenodds.fit(data, "fill-table", out=home / "whole", images=256, **options)
    evenodds.fit(data, "fill-table", out=home / "parts", images=128, **options)
    rest = evenodds.resume(home / "parts", settings={"images": 256})
    for a, b in zip(whole.players["generator"].state_dict().values(), rest.players["generator"].state_dict().values()):  # noqa: B905
        assert torch.equal(a, b)


def test_hidden_cells_judge_it(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    found = evaluate(session)
    error, right = (found.score(name) for name in ("hidden_error", "hidden_right"))
    assert error is not None
    assert right is not None
    assert 0 < error.value < 1, "what hangs together is told better than by the column's mean"
    by_name = {row["name"]: row for row in found["hidden"]}
    assert by_name["height"]["error"] < by_name["height"]["of_mean"]
    assert by_name["city"]["right"] is not None
    assert sum(row["cells"] for row in found["hidden"]) == found["subject"]["items"]
    assert main(["report", str(session.folder)]) == 0
    page = (session.folder / "report.html").read_text(encoding="utf-8")
    assert "Hidden cells" in page
    assert "copies of training items" not in page
    capsys.readouterr()
    assert main(["evaluate", str(session.folder), "--out", str(session.folder / "e.json")]) == 0
    assert "of the median" in capsys.readouterr().out
    assert json.loads((session.folder / "e.json").read_text())["hidden"] == found["hidden"]
    with pytest.raises(BadInput, match="leave --metrics out"):
        evaluate(session, metrics=["frechet"])
    with pytest.raises(BadInput, match="leave --most-pixels out"):
        evaluate(session, most_pixels=1000)
    assert evaluate(session, seed=1)["subject"]["seed"] == 1


def test_what_it_does_not_do_is_said(session: Session, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", str(session.folder)]) == 2
    assert f"draws no samples; put it to work: evenodds fill {session.folder}" in capsys.readouterr().err
    with pytest.raises(BadInput, match=r"is put to work by: evenodds fill .* or evenodds serve"):
        filler_of(session)


def test_rows_that_it_keeps_are_handed_on_where_that_is_said(
    session: Session, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    push = ["push", str(session.folder), "--to", str(home / "handed"), "--licence", "other"]
    assert main(push) == 2
    assert "keeps 114 rows of its data" in capsys.readouterr().err
    assert main([*push, "--with", "rows"]) == 0
    page = (home / "handed" / "README.md").read_text(encoding="utf-8")
    assert "The run keeps 114 rows of its data" in page
    assert "The data themselves are not here" not in page
    assert main(["card", str(session.folder)]) == 0
    assert "rows of the data, which the filler looks up" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "recipe", "settings", "said"),
    [
        (
            "patients.csv",
            "fill-32",
            {},
            "task 'fill' is for images, and .*patients.csv holds rows; tables are filled by",
        ),
        ("ring", "fill-32", {}, "is for images, and ring holds points"),
        ("digits", "fill-table", {}, "digits is no table with empty cells"),
        ("ring", "fill-table", {}, "is for rows, and ring holds points; images are filled by"),
        (
            "patients.csv",
            "fill-table",
            {"generator": "images"},
            "is played with generator=rows, got images; images are",
        ),
        ("digits", "fill-32", {"generator": "rows"}, "is played with generator=images, got rows; tables are filled by"),
        ("patients.csv", "fill-table", {"data.types": "plain"}, "leave data.types out"),
    ],
)
def test_settings_alone_are_refused(
    data: str, recipe: str, settings: dict[str, str], said: str, session: Session, home: Path, tmp_path: Path
) -> None:
    place = str(home / data) if data.endswith(".csv") else data
    more = {key.replace(".", "__"): value for key, value in settings.items()}
    with pytest.raises(BadInput, match=said):
        evenodds.fit(place, recipe, out=tmp_path / "run", **more)
    assert not (tmp_path / "run").exists()


def test_arrays_are_filled_by_the_estimator(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="GANImputer"):
        evenodds.fit(np.random.default_rng(0).normal(size=(20, 3)), "fill-table", out=tmp_path / "run")


def test_a_data_frame_is_learned_from_and_filled_with_its_types(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    age = np.random.default_rng(0).integers(20, 90, 60)
    frame = pandas.DataFrame(
        {"age": age * 1.0, "city": np.where(age > 50, "Köln", "Bonn"), "n": pandas.array(age, dtype="Int64"),
         "when": pandas.to_datetime("2021-01-01") + pandas.to_timedelta(age, "D"),
         "old": pandas.Categorical(np.where(age > 60, "yes", "no"))}, index=range(100, 160),
    )  # fmt: skip
    whole = frame.copy()
    for k in range(5):
        frame.iloc[k, k] = None
    frame.iloc[9] = [None] * 5
    session = evenodds.fit(frame, "fill-table", out=tmp_path / "run", images=256, watch="off", **SMALL)
    given = frame[["old", "when", "n", "city", "age"]].assign(more="x")
    given.loc[104, "city"] = ""
    for filled in (fill_frame(session, given), fill_frame(session, given, "draw", seed=1)):
        assert list(filled.columns) == list(given.columns)
        assert (filled.dtypes == given.dtypes).all()
        assert (filled.index == given.index).all()
        empty = given.isna() | (given == "")
        stays = ~empty | (filled.index == 109)[:, None]
        assert filled.where(stays).equals(given.where(stays)), "what is there, and a row of which nothing is known"
        assert not filled.drop(index=109).isna().any(axis=None)
        assert filled.loc[104, "city"] in ("Köln", "Bonn")
    assert fill_frame(session, whole).equals(whole)
    assert evaluate(session, data=frame).score("hidden_right") is not None
    with pytest.raises(BadInput, match="other columns than the run has learned: 'n' is missing"):
        fill_frame(session, given.drop(columns="n"))
    with pytest.raises(BadInput, match=r"got ndarray; name its columns.*DataFrame\(x, columns=session.card.columns\)"):
        fill_frame(session, given.to_numpy())
    again = evenodds.resume(tmp_path / "run", settings={"images": 320}, data=frame)
    assert again.card.row_blocks == session.card.row_blocks


def test_whole_numbers_stay_whole_however_they_are_written(session: Session, tmp_path: Path) -> None:
    few = [["x", f"{age}.0" if age else "", "172,5", "1900,50 €", "Köln", "01.02.2021", ""] for age in (45, 0, 51)]
    (path,) = fill_table(session, write(tmp_path / "t.csv", few), tmp_path / "filled.csv")
    filled = cells(path)[2][1]
    assert filled.endswith(".0")
    assert 20 <= float(filled) < 90


def test_words_for_nothing_that_the_run_has_never_seen_are_empty_cells(
    session: Session, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = [["x", "45", "172,5", "1900,50 €", word, "01.02.2021", ""] for word in ("NA", "-", "Köln")]
    table = write(tmp_path / "t.csv", few)
    assert main(["fill", str(session.folder), str(table), "--out", str(tmp_path / "filled.csv")]) == 0
    said = "Took '-', 'NA' for empty cells in 1 column of words that the run has never seen with it: city. Filled 2"
    assert said in capsys.readouterr().err
    assert {row[4] for row in cells(tmp_path / "filled.csv")[1:]} <= {"Köln", 'Bad "X"; Y'}


def test_a_table_is_read_once(session: Session, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def counted(path: Path) -> BinaryIO:
        opened.append(path)
        return open_regular(path)

    monkeypatch.setattr("evenodds.data.tables.delimited.open_regular", counted)
    fill_table(session, home / "patients.csv", tmp_path / "filled.csv")
    assert opened == [home / "patients.csv"]


def test_columns_of_too_many_words_and_words_that_may_be_gaps_are_said(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    lines = [f"P{k},{'NA' if k % 9 == 0 else 'ab'[k % 2]},{k % 7}" for k in range(2100)]
    table.write_text("\n".join(["id,word,n", *lines]))
    report = gaps(table).report
    assert any("Took 'NA' for words in 1 column, which are not filled: word" in line for line in report)
    assert any("2,100 different words in 2,100 rows are identifiers" in line for line in report)
    with pytest.raises(BadInput, match=r"column 'id' has 2,100; leave that column out: data\.types=id:none"):
        gaps(table, types="id:words")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_other_encodings_and_line_ends_are_kept(encoding: str, session: Session, tmp_path: Path) -> None:
    cells_ = [row[:] for row in rows(30)]
    table = write(tmp_path / "t.csv", cells_, end="\n", encoding=encoding)
    (path,) = fill_table(session, table, tmp_path / "out")
    before, after = (one.read_bytes().decode(encoding).split("\n") for one in (table, path))
    assert [k for k, (a, b) in enumerate(zip(before, after, strict=True), -1) if a != b] == list(GAPS)
    assert path.read_bytes()[:3] == table.read_bytes()[:3]


def test_sheets_are_written_as_text(session: Session, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"city": ["Köln", None], "age": [44, 45], "height": [170.5, None], "paid": ["1000,50 €", "1040,50 €"],
         "seen on": pandas.to_datetime(["2021-02-01", None]), "more": ["a", None]}
    )  # fmt: skip
    frame.to_parquet(tmp_path / "t.parquet")
    (made,) = fill_table(session, tmp_path / "t.parquet", tmp_path / "out")
    assert made.name == "t.csv"
    head, first, second = csv.reader(made.open(encoding="utf-8"))
    assert head == list(frame.columns)
    assert first == ["Köln", "44", "170,5", "1000,50 €", "01.02.2021", "a"]
    assert second[5] == ""
    assert all(second[:5])


def test_quotation_marks_that_cannot_be_kept_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b\n"x,1\ny,2\n')
    with pytest.raises(BadInput, match="quotation marks that cannot be kept"):
        with_cells(delimited(path, ","), 1, [{(0, 1): "3"}])
    path.write_text('a,b\n\n"x, ""y""\n",\n , \nz,2\n')
    (made,) = with_cells(delimited(path, ","), 1, [{(0, 1): '1,"2"'}])
    assert made.decode() == 'a,b\n\n"x, ""y""\n","1,""2"""\n , \nz,2\n'


@pytest.mark.parametrize(
    ("spelling", "cell", "day"),
    [
        ("%m/%d/%Y", "03/04/2021", "2021-03-04"),
        ("%d/%m/%Y", "03/04/2021", "2021-04-03"),
        ("%Y%m%d", "20210304", "2021-03-04"),
    ],
)
def test_dates_are_read_as_the_other_table_spells_them(spelling: str, cell: str, day: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"when,w\n{cell},a\n,b\n")
    like = Column("when", "date", spelling, levels=(0.0,))
    read = parsed_table(tmp_path / "t.csv", [like])["when"]
    assert (read.form, read.spelling) == ("date", spelling)
    assert np.datetime64("1970-01-01") + int(read.values[0]) == np.datetime64(day)
