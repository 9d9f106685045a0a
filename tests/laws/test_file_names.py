"""Safe file names of any text, and paths that stay below a folder."""

import unicodedata
from contextlib import suppress
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evenodds.errors import BadInput
from evenodds.files.names import LONGEST, below, name_key, safe_name, safe_names, safe_path

ODD = [
    "", ".", "..", "...", " ", "/", "/abs", "../../x", "..\\..\\x", "C:\\x", "C:x", "\\\\server\\share", "a/b", "a\\b",
    "a\0b", "\udce9t\udce9", "\ud800", "\x1b]0;title\x07", "a\nb", "con", "CON", "Con.txt", "nul .tar.gz", "COM1",
    "COM\u00b9", "lpt9.x", "aux.", "prn ", "trailing. . ", " leading", ".hidden", "__MACOSX", "x" * 300, "\xe4" * 300,
    "\U0001f600" * 300, "e\u0301", "\u00e9", "Straße", "STRASSE", "\ufb01", "fi", "\u202egnp.exe", "a\u00a0", "\u2028",
    "\u0345", "\u0131", "I", "i",
]  # fmt: skip
TEXTS = st.one_of(
    st.text(st.characters(), max_size=300),
    st.text("./\\ :\0con1\u0301é\udce9", max_size=12),
    st.sampled_from(ODD),
)


def is_plain(name: str) -> bool:
    """Whether a name is one component that Linux, macOS and Windows can hold, and that readers do not pass over."""
    stem = name.split(".")[0].strip().upper()
    reserved = {"CON", "PRN", "AUX", "NUL", *(f"{port}{k}" for port in ("COM", "LPT") for k in "0123456789¹²³")}
    return (
        0 < len(name.encode()) <= LONGEST
        and name.strip(" .") == name
        and not set(name) & set('<>:"/\\|?*')
        and all(unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp") for c in name)
        and stem not in reserved
        and PureWindowsPath(name).parts == (name,)
        and PurePosixPath(name).parts == (name,)
    )


@given(TEXTS)
@settings(max_examples=500, deadline=None)
@example("x" * 300)
def test_any_text_has_a_safe_name_that_stays(text: str) -> None:
    name = safe_name(text)
    assert is_plain(name), ascii(name)
    assert safe_name(name) == name


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_have_safe_names(text: str) -> None:
    assert is_plain(safe_name(text))


@pytest.mark.parametrize(
    "text", ["T-shirt", "a (b) [c] & d's, 1+1=2", "-1", "7", "Ärger", "日本語", "हिन्दी", "a.b.c", "x" * 200, "@#$%^~`!"]
)
def test_names_that_every_system_holds_stay(text: str) -> None:
    assert safe_name(text) == text


@given(st.lists(TEXTS, max_size=12), st.sampled_from(["", ".png"]))
@settings(max_examples=300, deadline=None)
@example(["fine", "Fine", "000-fine", "001-Fine"], "")
@example(["e\u0301", "\u00e9", "E\u0301"], "")
@example(["x" * 300, "x" * 301, "X" * 300], ".png")
def test_names_of_a_set_differ_and_lead_back(texts: list[str], suffix: str) -> None:
    names = safe_names(texts, suffix)
    assert len({name_key(name) for name in names}) == len(texts)
    assert all(is_plain(name) or suffix for name in names)
    assert safe_names(texts, suffix) == names
    back = dict(zip(names, texts, strict=True))  # what a record of them holds
    assert [back[name] for name in names] == texts


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_a_path_below_a_folder_stays_there(text: str) -> None:
    folder = Path("/somewhere/out")
    assert below(folder, safe_name(text)).parent == folder
    assert all(is_plain(part) for part in below(folder, safe_path(text)).relative_to(folder).parts)
    with suppress(BadInput):
        path = below(folder, text)
        assert path != folder
        assert path.resolve().is_relative_to(folder)


@pytest.mark.parametrize(
    "text", ["", ".", "..", "../x", "a/../../x", "/abs", "C:/x", "C:x", "\\x", "a\\..\\..\\x", "a\0"]
)
def test_what_leaves_a_folder_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="got "):
        below(tmp_path, text)


def test_links_that_leave_a_folder_are_refused(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (inside / "folder").symlink_to(outside)
    (inside / "file").symlink_to(outside / "not-there-yet")
    (inside / "circle").symlink_to(inside / "circle")
    (inside / "deep").mkdir()
    (inside / "near").symlink_to(inside / "deep")
    for part in ("folder", "folder/x.png", "file"):
        with pytest.raises(BadInput, match="by a link"):
            below(inside, part)
    assert below(inside, "near/x.png") == inside / "near" / "x.png"
    (tmp_path / "named").symlink_to(inside)  # the user named a link
    assert below(tmp_path / "named", "deep/x.png").parent.name == "deep"
