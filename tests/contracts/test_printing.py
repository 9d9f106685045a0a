"""Text reaches terminals and files at one place each: no other call of the package prints, or opens text bare."""

import ast
from functools import cache

from tests.tools import nodes, trees

PRINTS = "files/terminal.py"
NO_TEXT = ("Image.open", "os.open", "file.open", "archive.open", "av.open")


@cache
def calls() -> dict[str, list[ast.Call]]:
    """The calls of every module."""
    return {path: [node for node in nodes(tree) if isinstance(node, ast.Call)] for path, tree in trees().items()}


def test_only_one_module_prints() -> None:
    written = {path: [ast.unparse(call.func) for call in found] for path, found in calls().items() if path != PRINTS}
    assert len(written) > 400
    aloud = {
        path: [name for name in names if name == "print" or name.startswith(("sys.stdout.w", "sys.stderr.w"))]
        for path, names in written.items()
    }
    assert {path: names for path, names in aloud.items() if names} == {}


def test_text_files_name_their_encoding() -> None:
    bare = {path: [ast.unparse(call) for call in found if is_bare(call)] for path, found in calls().items()}
    assert {path: found for path, found in bare.items() if found} == {}


def is_bare(call: ast.Call) -> bool:
    """Whether a call opens a text file and names no encoding."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
    words = [word.arg for word in call.keywords]
    if name in ("read_text", "write_text") and isinstance(call.func, ast.Attribute):
        return not call.args and "encoding" not in words
    if name != "open" or ast.unparse(call.func) in NO_TEXT:
        return False
    given = [*call.args, *(word.value for word in call.keywords)]
    mode = [one.value for one in given if isinstance(one, ast.Constant)]
    return "encoding" not in words and not any("b" in str(value) for value in mode)
