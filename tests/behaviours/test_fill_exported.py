"""A run that fills tables, exported as a file that fills them without it, and without torch."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import evenodds
from evenodds.apply.filling_rows import fill_rows
from evenodds.apply.imputer import imputer_of
from evenodds.apply.making import filler_of
from evenodds.cli import main
from evenodds.errors import BadInput
from evenodds.export import table_fillers
from evenodds.export.graphs import Options, RowFiller, graph_of, possible
from evenodds.export.model import load_model
from evenodds.export.parity import drawn
from evenodds.export.table_fillers import table_filler_in
from evenodds.runs.imputing import TableFiller
from evenodds.runs.session import Session
from tests.advice import on, refused, told
from tests.serving import asked

SMALL = {"generator__width": 8, "discriminator__width": 8, "device": "cpu", "batch": 64, "images": 256, "watch": "off"}
HEAD = "id;age;city;paid;day;old;code"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of whole numbers, words, decimals behind commas, dates, flags and codes with zeros before them."""
    home, rng, lines = tmp_path_factory.mktemp("exported"), np.random.default_rng(0), [HEAD]
    for k in range(80):
        age = int(rng.integers(20, 80))
        city, code = ("Bonn", "10115") if age > 50 else ('"Bad ""X"""', "00123")
        lines.append(f"P-{k:03d};{age};{city};1.{age:03d},50;{1 + age % 28:02d}.02.2021;{age > 50};{code}")
    (home / "t.csv").write_text("\r\n".join([*lines, ""]), encoding="utf-8", newline="")
    gaps = [line.split(";") for line in lines]
    for k, row in enumerate(gaps[1:]):
        for at in {1 + k % 6, 1 + (k // 2) % 6}:
            row[at] = ""
    gaps[7][1:] = ["", "Bonn", "", "", "", ""]  # many rows are as near as others to one of a word alone
    gaps[9][1:] = [""] * 6
    (home / "gaps.csv").write_text("\r\n".join(";".join(row) for row in [*gaps, [""]]), encoding="utf-8", newline="")
    return home


@pytest.fixture(scope="module")
def session(home: Path) -> Session:
    return evenodds.fit(str(home / "t.csv"), "fill-table", out=home / "run", **SMALL)


@pytest.fixture(scope="module")
def file(session: Session, home: Path) -> Path:
    path = home / "fill.onnx"
    assert main(["export", str(session.folder), "--out", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def filler(file: Path) -> TableFiller:
    found = table_filler_in(file)
    assert found is not None
    return found


def cells(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as opened:
        return list(csv.reader(opened, delimiter=";"))


def test_a_file_fills_as_its_run_does_by_the_same_noise(session: Session, filler: TableFiller) -> None:
    columns, ours = session.card.units.columns, imputer_of(session)

    def noise(n: int, seed: int) -> NDArray[np.float32]:
        return np.random.default_rng(seed).standard_normal((n, filler.imputer.latent), np.float32)

    shares = np.random.default_rng(2).random((40, len(columns)))
    x = ours.columns.allowed(ours.columns.low + shares * (ours.columns.high - ours.columns.low))
    x[shares < 0.6] = np.nan
    x[:9] = np.nan
    x[:9, 1] = np.arange(9) % 2  # a word alone
    words = [k for k, column in enumerate(columns) if column.form == "words"]
    assert len(words) == 3
    for fillings in ("impute", "mean"):
        want, got = (getattr(replace(one, prior=noise), fillings)(x, 3) for one in (ours, filler.imputer))
        assert not np.isnan(got).any()
        assert np.array_equal(want[..., words], got[..., words])
        spread = ours.columns.high - ours.columns.low
        assert (np.abs(want - got) / spread).max() < 1e-4
        assert np.array_equal(np.broadcast_to(x, got.shape)[..., ~np.isnan(x)], got[..., ~np.isnan(x)])
    assert np.abs(ours.prior(64, 7) - filler.imputer.prior(64, 7)).max() < 1e-5  # those of torch, to rounding


WITHOUT_TORCH = """
import json, sys
sys.modules["torch"] = None  # an import of it fails
from evenodds.cli import main
for line in json.loads(sys.argv[1]):
    print("status", main(line))
"""


def test_tables_are_filled_without_torch(session: Session, file: Path, home: Path) -> None:
    table = str(home / "gaps.csv")
    words = ["-n", "2", "--seed", "5", "--out"]
    (home / "no.png").touch()
    lines = [["fill", str(file), table, *words, str(home / "file")], ["fill", str(file), str(home / "no.png")]]
    lines += [["fill", str(file)], ["card", str(file)]]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, json.dumps(lines)],
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert [line for line in done.stdout.splitlines() if line.startswith("status")] == [
        "status 0",
        "status 2",
        "status 2",
        "status 0",
    ]
    assert "no.png is no table (.csv, .tsv, .xlsx, .parquet), and this run fills tables; name one" in done.stderr
    assert "gaps.csv" not in done.stderr.splitlines()[-1]
    assert "does not say where the table of its run is" in done.stderr
    assert "kept: rows of the data, which the filler looks up" in done.stdout
    assert main(["fill", str(session.folder), table, *words, str(home / "run-filled")]) == 0
    before = cells(home / "gaps.csv")
    for name in ("gaps-1.csv", "gaps-2.csv"):
        ours, theirs = (home / place / name for place in ("run-filled", "file"))
        assert theirs.read_bytes().count(b"\r\n") == 81
        for old, a, b in zip(before, cells(ours), cells(theirs), strict=True):
            known = [k for k, cell in enumerate(old) if cell or not any(old[1:])]
            assert [b[k] for k in known] == [old[k] for k in known]
            assert [b[k] for k in (2, 5, 6)] == [a[k] for k in (2, 5, 6)]
            assert not any(old[1:]) or (all(b) and b[6] in ("10115", "00123", "code"))
            assert b[0] == "id" or not b[1] or (b[1].isdecimal() and b[3][-3:-2] == ",")
    assert cells(home / "file" / "gaps-1.csv") != cells(home / "file" / "gaps-2.csv")


def test_rows_of_programs_are_filled_by_a_file_and_served(file: Path, filler: TableFiller, session: Session) -> None:
    rows = [
        {"age": 41, "city": None, "paid": "1.020,50", "day": "03.02.2021", "old": False, "code": "00123"},
        {"age": None, "city": "Bonn", "paid": None, "day": None, "old": None, "code": None},
    ]
    made = fill_rows(filler, rows, n=3, seed=4).fillings
    model = load_model(file)
    assert fill_rows(model, rows, n=3, seed=4).fillings == made
    assert made[0][0] == {**rows[0], "city": made[0][0]["city"]}
    assert isinstance(made[0][1]["age"], int)
    assert made[0][1]["code"] in ("10115", "00123")
    with asked(model) as client:
        answer = client.post("/v1/fill", json={"rows": rows, "count": 3, "seed": 4})
        assert answer.json()["fillings"] == made
    assert fill_rows(session, rows, n=3, seed=4).fillings[0][1]["city"] == made[0][1]["city"] == "Bonn"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("age;city\n41;\n", "'paid', 'day', 'old', 'code' are missing"),
        (f"{HEAD}\nx;41;Rome;;;;00123\n", "column 'city' has 'Rome', which the data do not have"),
        (f"{HEAD}\nx;41;Bonn;1.041,50;03.02.2021;True;10115\n", "no empty cell in the 6 columns"),
        (f"{HEAD}\nx;;;;;;\n", "empty cells in empty rows alone"),
        (f"{HEAD}\nx;1{'0' * 38};;;;;\n", "row 1 has numbers too far"),
    ],
)
def test_what_a_file_cannot_fill_is_said(
    table: str, said: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "new.csv").write_text(table, encoding="utf-8")
    assert main(["fill", str(file), str(tmp_path / "new.csv")]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert said in error[0]


def test_a_file_says_what_it_is(file: Path, session: Session, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = table_fillers.read_file(file)[0]
    assert possible(session) == ("fill",)
    assert words.kept_rows == 72
    assert [column.name for column in words.card.units.columns] == HEAD.split(";")[1:]
    assert words.card.units.columns[5].words == ("00123", "10115")
    assert str(home) not in json.dumps(words.config)
    assert main(["fill", str(file), str(home / "gaps.csv"), "--mask", "m.png"]) == 2
    assert "--mask is for images" in capsys.readouterr().err
    other = replace(words, card=replace(words.card, units=replace(words.card.units, knots=words.card.units.knots[1:])))
    with pytest.raises(BadInput, match="does not say what its columns are; export the run again"):
        table_fillers._columns(other, file)


@on("leave --fp16 out", "name one with its columns", "a run that fills tables is put to work by")
def test_what_is_said_in_its_place(session: Session, file: Path, home: Path) -> None:
    told("leave --fp16 out", refused(lambda: graph_of(session, Options(half=True))))
    assert graph_of(session, Options()).answers == "fill"
    told("name one with its columns", refused(lambda: table_of(file)))
    told("a run that fills tables is put to work by", refused(lambda: filler_of(session)))
    assert main(["fill", str(session.folder), str(home / "gaps.csv"), "--out", str(home / "advised.csv")]) == 0


def table_of(file: Path) -> None:
    """Asks a file for the table of its run."""
    found = table_filler_in(file)
    assert found is not None
    found.own()


class Own(nn.Module):
    """A filler of one's own, which fills each row that it is given once."""

    def __init__(self, filler: nn.Module) -> None:
        super().__init__()
        self.filler = filler

    def forward(self, x: torch.Tensor, mask: torch.Tensor, z: torch.Tensor, row: Any) -> torch.Tensor:
        return cast(torch.Tensor, self.filler(x, mask, z, row))


def test_a_filler_of_ones_own_is_given_each_row_for_each_filling(session: Session) -> None:
    own = replace(session, players={"generator": Own(session.players["generator"])})
    inputs = drawn(session, graph_of(session, Options()), 5)
    want, got = (RowFiller(one, Options())(*inputs) for one in (session, own))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(want, got, strict=True))
