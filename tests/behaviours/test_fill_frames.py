"""Data frames of all kinds, filled by a run: what is there stays, types too, and what cannot be is said."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evenodds
from evenodds.apply.filling_frames import fill_frame
from evenodds.apply.filling_rows import fill_rows
from evenodds.apply.filling_tables import fill_table
from evenodds.data.readers.frames import Like, as_frame
from evenodds.data.readers.gaps import frame_gaps
from evenodds.data.tables.amounts import Amounts, NumberStyle, amounts
from evenodds.data.tables.rows import Column
from evenodds.errors import BadInput, Remark
from evenodds.estimators.rows import Rows
from evenodds.runs.session import Session

pandas = pytest.importorskip("pandas")

SMALL = {"generator__width": 8, "discriminator__width": 8, "device": "cpu", "batch": 64, "watch": "off"}
OLD = Path(__file__).resolve().parents[1] / "fixtures" / "old_layout"


def rows() -> Any:
    """Rows whose columns hang together."""
    age = np.random.default_rng(0).integers(20, 80, 60)
    return pandas.DataFrame(
        {"half": age + 0.5, "city": np.where(age > 50, "Bonn", "Rome"),
         "day": pandas.Timestamp("2021-01-01") + pandas.to_timedelta(age % 28, unit="D"),
         "at": pandas.Timestamp("2021-01-01 10:30:05") + pandas.to_timedelta(age, unit="h"), "age": age * 1.0}
    )  # fmt: skip


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    out = tmp_path_factory.mktemp("frames") / "run"
    return evenodds.fit(rows(), "fill-table", out=out, images=256, **SMALL)


def test_columns_of_one_name_stay_what_they_are(session: Session) -> None:
    frame = rows()[:3].assign(note=["a", "b", "c"])
    frame.loc[1, "age"] = None
    twice = pandas.concat([frame, frame[["note"]].map(str.upper)], axis=1)
    twice.index = [4, 4, 5]
    filled = fill_frame(session, twice)
    assert filled.iloc[:, -1].tolist() == ["A", "B", "C"]
    assert filled.iloc[:, -2].tolist() == ["a", "b", "c"]
    assert not filled.isna().any(axis=None)
    assert filled.index.tolist() == [4, 4, 5]
    with pytest.raises(BadInput, match="the data frame has two columns of the name 'age'; rename one"):
        fill_frame(session, pandas.concat([frame, frame[["age"]]], axis=1))


@pytest.mark.parametrize("spelled", [("false", "true"), ("FALSE", "TRUE")])
def test_true_and_false_are_the_words_that_a_table_has_for_them(
    session: Session, spelled: tuple[str, str], tmp_path: Path
) -> None:
    """A data frame has True where the file of text, of which pandas read it, has true."""
    units = session.card.units
    columns = tuple(replace(one, words=spelled) if one.name == "city" else one for one in units.columns)
    flagged = replace(session, card=replace(session.card, units=replace(units, columns=columns)))
    frame = rows()[:8]
    flags = frame["city"] == "Rome"
    frame.loc[2, "age"] = None
    for kind in ("bool", "boolean", "object"):
        filled = fill_frame(flagged, frame.assign(city=flags.astype(kind)))
        assert filled["city"].tolist() == flags.tolist()
        assert filled["city"].dtype == kind
        assert filled["age"].notna().all()
    text = frame.assign(city=np.where(flags, spelled[1], spelled[0]))
    text.loc[3, "city"] = None
    told = fill_frame(flagged, text).iloc[3]["city"]
    gap = frame.assign(city=flags.astype("boolean").mask(text["city"].isna()))
    for kind in ("boolean", "object"):
        assert fill_frame(flagged, gap.astype({"city": kind})).iloc[3]["city"] == (told == spelled[1])
    row = dict.fromkeys(frame) | {"half": 30.5, "city": True}
    made = [fill_rows(flagged, [row | {"city": flag}]).fillings[0][0]["age"] for flag in (True, spelled[1])]
    assert made[0] == made[1]
    pytest.importorskip("pyarrow")
    gap.to_parquet(tmp_path / "t.parquet")
    (path,) = fill_table(flagged, tmp_path / "t.parquet", tmp_path / "t.csv")
    assert pandas.read_csv(path, dtype=str)["city"].tolist() == [*text["city"][:3], told, *text["city"][4:]]


@pytest.mark.parametrize(("name", "kind"), [("city", str), ("day", pandas.Timestamp), ("at", pandas.Timestamp)])
def test_a_column_of_empty_numbers_stands_for_what_was_learned(session: Session, name: str, kind: type) -> None:
    filled = fill_frame(session, rows()[:3].assign(**{name: np.nan}))
    assert {*map(type, filled[name])} == {kind}


def test_other_categories_are_no_silent_gap(session: Session) -> None:
    frame = rows().sort_values("age")[-2:].assign(city=pandas.Categorical([None, "Rome"]))  # Bonn is due
    with pytest.raises(BadInput, match="column 'city' has the type category, which has no place"):
        fill_frame(session, frame)
    assert fill_frame(session, frame.astype({"city": object}))["city"].tolist() == ["Bonn", "Rome"]


@pytest.mark.parametrize("dtype", ["Int64", object])
def test_whole_numbers_are_filled_with_the_nearest(dtype: Any) -> None:
    like = pandas.DataFrame({"n": pandas.Series([30, None], dtype=dtype)})
    column = Column("n", decimals=1, knots=(20.0, 80.0), scores=(0.0, 1.0))
    assert as_frame([column], np.array([[30.0], [69.6]]), Like.of(like))["n"].tolist() == [30, 70]


def test_a_type_too_small_is_said() -> None:
    frame = pandas.DataFrame({"n": pandas.array([1, None], dtype="Int8")})
    with pytest.raises(BadInput, match=r"column 'n' has the type Int8, .*astype\(object\)"):
        as_frame([Column("n", knots=(1.0, 900.0), scores=(0.0, 1.0))], np.array([[1.0], [900.0]]), Like.of(frame))


def test_sparse_columns_are_filled(session: Session) -> None:
    frame = rows()[:2].assign(age=pandas.arrays.SparseArray([np.nan, 31.0]))
    filled = fill_frame(session, frame)
    assert filled["age"].dtype == frame["age"].dtype
    assert filled["age"].iloc[1] == 31
    assert not filled.isna().any(axis=None)


@pytest.mark.parametrize("dtype", [object, "string"])
def test_dates_among_texts_are_texts_spelled_alike(session: Session, dtype: Any) -> None:
    frame = rows()[:2].assign(day=pandas.Series(["03.01.2021", None], dtype=dtype))
    day = fill_frame(session, frame)["day"].iloc[1]
    assert isinstance(day, str)
    assert day.endswith(".01.2021")


def test_dates_at_midnight_are_dates_with_times(session: Session) -> None:
    frame = rows()[:2].assign(at=pandas.to_datetime(["2021-01-03", None]))
    filled = fill_frame(session, frame)["at"]
    assert filled.iloc[0] == pandas.Timestamp("2021-01-03")
    assert rows()["at"].min() <= filled.iloc[1] <= rows()["at"].max()


def test_an_hour_that_there_are_two_of_is_no_gap() -> None:
    zone = pandas.DataFrame({"at": pandas.to_datetime(["2021-01-03 10:00"]).tz_localize("Europe/Berlin")})
    at = pandas.Timestamp("2021-10-31 02:30").timestamp()
    column = Column("at", "datetime", "%Y-%m-%d %H:%M:%S", levels=(at,))
    assert not as_frame([column], np.array([[at]]), Like.of(zone)).isna().any(axis=None)


@pytest.mark.parametrize(
    ("cell", "kind"), [(1880.5, float), (Decimal("1880.5"), Decimal), ("1880.5", str), ("1880,5 €", str)]
)
def test_numbers_are_spelled_as_those_beside_them(cell: Any, kind: type, tmp_path: Path) -> None:
    """The run has learned of cells such as 1880,50 €."""
    session = evenodds.load(OLD / "fill", device="cpu")
    frame = pandas.DataFrame({"age": [44, 30], "city": "Köln", "paid": [cell, None], "kind": "mid"}, dtype=object)
    paid = fill_frame(session, frame)["paid"].iloc[1]
    assert isinstance(paid, kind)
    assert str(paid).endswith(" €") == str(cell).endswith(" €")
    assert ("," in str(paid)) == ("," in str(cell))
    if kind is str:
        table = tmp_path / "t.csv"
        frame.to_csv(table, sep=";", index=False)
        (made,) = fill_table(session, table, tmp_path / "filled.csv")
        assert made.read_text(encoding="utf-8").splitlines()[-1].split(";")[2] == paid


def test_codes_that_are_said_to_be_numbers_keep_their_zeros(tmp_path: Path) -> None:
    """In a file, in a data frame of text, and in one of numbers, where there are none."""
    table = tmp_path / "t.csv"
    table.write_text("\n".join(["code,n", *(f"{k % 30:03d},{'' if k == 9 else k * k % 17}" for k in range(60))]))
    session = evenodds.fit(
        str(table), "fill-table", out=tmp_path / "run", data__types="code:number", images=64, **SMALL
    )
    (filled,) = fill_table(session, out=tmp_path / "filled.csv")
    changed = [
        k for k, (a, b) in enumerate(zip(*(p.read_text().split() for p in (table, filled)), strict=True)) if a != b
    ]
    assert changed == [10]
    code, said = filled.read_text().split()[10].split(",")
    assert (code, said.isdecimal()) == ("009", True)
    for others, digits in (("101", {3}), ("12", {1, 2})):  # which need no zeros, and which were written without
        (tmp_path / "others.csv").write_text(f"code,n\n{others},3\n,5\n")
        (filled,) = fill_table(session, tmp_path / "others.csv", tmp_path / "others-filled.csv")
        assert len(filled.read_text().split()[2].split(",")[0]) in digits
    frame = pandas.read_csv(table, dtype={"code": str})
    frame.loc[3, "code"] = None
    text = fill_frame(session, frame)
    assert text.loc[4, "code"] == "004"
    assert len(text.loc[3, "code"]) == 3
    assert 0 <= fill_frame(session, frame.astype({"code": float}))["code"][3] < 30
    frame.to_parquet(tmp_path / "t.parquet")
    (made,) = fill_table(session, tmp_path / "t.parquet", tmp_path / "made.csv")
    assert len(made.read_text().split()[4].split(",")[0]) == 3
    read = frame_gaps(frame, types="code:number")
    assert [(column.form, column.style.digits) for column in read.units.columns] == [("number", 3), ("number", 0)]
    with pytest.raises(BadInput, match="the data frame: column 'code' has cells that are no numbers; take it as words"):
        frame_gaps(frame.assign(code=["x"] * 60), types="code:number")


def test_amounts_with_zeros_inside_are_what_they_were(session: Session) -> None:
    assert amounts(["7,100", "1,000"], zeros=True) == amounts(["7,100", "1,000"])
    assert amounts(["007", "12"], zeros=True) == Amounts({"007": 7.0, "12": 12.0}, NumberStyle())


def test_what_a_data_frame_keeps_empty_is_said(session: Session) -> None:
    frame = rows()[:4].assign(note=["a", None, "c", "d"], id=range(4))
    frame.loc[0, "city"] = "NA"
    with pytest.warns(Remark) as said:
        filled = fill_frame(session, frame)
    assert [str(one.message) for one in said] == [
        "Took 'NA' for empty cells in 1 column of words that the run has never seen with it: city.",
        "Empty cells stay in 1 column, which the run has not learned: 'note'.",
    ]
    assert [one.filename for one in said] == [__file__] * 2
    assert filled.loc[0, "city"] in ("Bonn", "Rome")
    assert filled["note"].isna().tolist() == [False, True, False, False]
    with pytest.raises(BadInput, match="column 'city' has 'Oslo', which the data do not have"):
        fill_frame(session, frame.assign(city="Oslo"))


def test_words_like_numbers_are_those_of_an_estimator() -> None:
    frame = pandas.DataFrame({"a": ["007", "1.50", "1234567", "x", None] * 9, "n": np.arange(45.0)})
    learned = Rows.of(frame)
    for word in ("007", "1.50", "1234567"):
        other = pandas.DataFrame({"a": [word, ""], "n": [1.0, 2.0]})
        numbers = learned.numbers(other)
        assert learned.columns[0].words[int(numbers[0, 0])] == word
        x = np.nan_to_num(numbers)
        assert learned.filled(other, x, np.isnan(numbers))["a"].tolist() == [word, learned.columns[0].words[0]]
    whole = pandas.DataFrame({"a": [1234567.0, np.nan], "n": [1.0, 2.0]})
    assert learned.columns[0].words[int(learned.numbers(whole)[0, 0])] == "1234567"
