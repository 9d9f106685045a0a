"""Text reaches terminals and files at one place each: no other call of the package prints, or opens text bare."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import evenodds

ROOT = Path(evenodds.__file__).parent
MODULES = [pytest.param(path, id=path.relative_to(ROOT).as_posix()) for path in sorted(ROOT.rglob("*.py"))]
PRINTS = ROOT / "files" / "terminal.py"


def calls(path: Path) -> Iterator[ast.Call]:
    """The calls of a module."""
    return (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))


@pytest.mark.parametrize("path", MODULES)
def test_only_one_module_prints(path: Path) -> None:
    if path != PRINTS:
        written = [ast.unparse(call.func) for call in calls(path)]
        assert not [name for name in written if name == "print" or name.startswith(("sys.stdout.w", "sys.stderr.w"))]


@pytest.mark.parametrize("path", MODULES)
def test_text_files_name_their_encoding(path: Path) -> None:
    for call in calls(path):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
        words = [word.arg for word in call.keywords]
        if name in ("read_text", "write_text") and isinstance(call.func, ast.Attribute):
            assert call.args or "encoding" in words, ast.unparse(call)
        if name == "open" and ast.unparse(call.func) not in (
            "Image.open",
            "os.open",
            "file.open",
            "archive.open",
            "av.open",
        ):
            given = [*call.args, *(word.value for word in call.keywords)]
            mode = [one.value for one in given if isinstance(one, ast.Constant)]
            assert "encoding" in words or any("b" in str(value) for value in mode), ast.unparse(call)
