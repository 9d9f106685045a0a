"""Text is made harmless for terminals and spreadsheets, and comes back from tables as it was."""

import csv
import json
import unicodedata
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evenodds.data.folders.labels import from_table
from evenodds.data.readers.table import table
from evenodds.errors import BadInput
from evenodds.files.names import safe_name
from evenodds.files.text import FORMULA, NUMBER, aligned, csv_text, encodable, from_cell, json_text, to_cell, visible
from evenodds.files.write import write_json, write_text

TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
"""Any code points, halves of characters among them."""
TRICKS = st.lists(st.sampled_from(list("'=+-@\t\r\n\\,;\"ud8c9 e1.\x1b\udce9\ud83d\uff1d")), max_size=12).map("".join)
SCRIPTS = ("ARABIC", "SYRIAC", "KAITHI", "EGYPTIAN")
"""Their format characters are seen."""
LINK = "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\"


@given(TEXT | TRICKS)
@example(LINK)
@example("a\u202egnp.exe")
def test_no_character_of_visible_text_acts_on_a_terminal(text: str) -> None:
    shown = visible(text)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cs", "Zl", "Zp"}
    formats = [char for char in shown if unicodedata.category(char) == "Cf"]
    assert all(unicodedata.name(char).split()[0] in SCRIPTS for char in formats)
    assert visible(shown) == shown


@given(st.text(st.characters(categories=("L", "N", "P", "S"), exclude_characters="\u115f\u1160\u3164\uffa0")))
def test_what_everybody_sees_stays(text: str) -> None:
    assert visible(text) == text


def test_the_visible_forms() -> None:
    assert visible("\x1b[2J\x07\n\x9b\u200b\u202e\udce9") == r"\x1b[2J\x07\n\x9b\u200b\u202e\udce9"


@given(TEXT, st.sampled_from(["ascii", "cp1252", "latin-1", "utf-8", None]))
def test_every_encoding_can_hold_the_line(text: str, encoding: str | None) -> None:
    encodable(visible(text), encoding).encode(encoding or "utf-8")


@given(st.dictionaries(TEXT, TEXT | st.lists(TEXT)), st.sampled_from(["ascii", "cp1252", "utf-8"]))
def test_json_is_the_same_content_in_every_encoding(content: dict[str, object], encoding: str) -> None:
    text = json_text(content, encoding)
    assert json.loads(text.encode(encoding)) == content
    assert all(line == visible(line) for line in text.split("\n"))


@given(TEXT | TRICKS)
@example("'=1")
@example("\\udce9")
@example("\\\udce9")
@example("-1.5")
def test_a_cell_is_harmless_and_is_read_as_the_same_text(text: str) -> None:
    cell = to_cell(text)
    cell.encode()
    assert cell[:1] not in set("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20") or NUMBER.fullmatch(cell)
    assert from_cell(cell) == text
    assert FORMULA.match(cell) or from_cell(cell) == cell or "\\" in cell


@pytest.mark.parametrize("number", ["-1", "+2.5", "-1e-05", "-.5", "1.", "-inf", "nan"])
def test_numbers_stay_numbers(number: str) -> None:
    assert to_cell(number) == number


@given(st.lists(st.lists(TEXT | TRICKS, min_size=2, max_size=2), min_size=1, max_size=4))
def test_a_table_is_read_as_it_was_written(rows: list[list[str]]) -> None:
    lines = csv.reader(StringIO(csv_text(rows), newline=""))
    assert [[from_cell(cell) for cell in line] for line in lines] == rows


def test_cells_are_in_quotes_where_another_delimiter_would_cut_them() -> None:
    assert csv_text([("a;=1+1", "b")]) == '"a;=1+1","b"\n'
    assert csv_text([("a", 1.5)]) == "a,1.5\n"


def test_columns_are_as_wide_as_what_is_seen() -> None:
    assert aligned([("\x1b", "1"), ("long", "22")]) == [r"\x1b  1", "long  22"]


NAMES = ["=1+1", "a,b", 'say "x"', "two\nlines", "-x", "@x", "'=y", "caf\udce9", "semi;colon"]


def test_columns_and_labels_of_any_name_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write_text(path, csv_text([(*NAMES, "label"), *([*([k] * len(NAMES)), name] for k, name in enumerate(NAMES))]))
    data = table(path, label="label")
    assert list(data.columns) == NAMES
    assert data.y is not None
    assert [data.classes[k] for k in data.y.tolist()] == NAMES


def test_labels_of_images_of_any_name_round_trip() -> None:
    names = [f"{name}.png" for name in NAMES]
    labels = from_table(names, csv_text([("name", "class"), *zip(names, NAMES, strict=True)]).encode())
    assert labels.y is not None
    assert [labels.classes[k] for k in labels.y.tolist()] == NAMES


def test_half_a_character_is_kept_by_json_files(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"caf\udce9": "\udce9"})
    write_text(tmp_path / "b.json", json.dumps({"caf\udce9": "ü\udce9"}, ensure_ascii=False))
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"caf\udce9": "\udce9"}
    assert json.loads((tmp_path / "b.json").read_text("utf-8")) == {"caf\udce9": "ü\udce9"}


@pytest.mark.parametrize("content", [{}, [1] * 200, {"a": [1] * 200, "b": (2,) * 200, "c": {"d": [3] * 200, "e": []}}])
def test_json_files_are_indented_however_long_their_lists(content: object, tmp_path: Path) -> None:
    for more in (content, {"a": [*range(200), True], "b": [*range(200), 0.5], "c": "\n"}, {1: [1] * 200, None: 2}):
        write_json(tmp_path / "a.json", more)
        assert (tmp_path / "a.json").read_text() == json.dumps(more, indent=2) + "\n"


def test_errors_and_names_of_files_are_harmless_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(BadInput(f"no run at {LINK}")) == visible(f"no run at {LINK}")
    monkeypatch.setattr("sys.getfilesystemencoding", lambda: "ascii")
    assert safe_name("caf\udce9 gr\u00f6\u00dfe") == "caf_ gr__e"
