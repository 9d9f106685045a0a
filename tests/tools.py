"""The tools of the repository, as modules; and the modules of the package, as text."""

import ast
import gc
import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import evenodds

TOOLS = Path(__file__).resolve().parents[1] / "tools"
PACKAGE = Path(evenodds.__file__).parent


@cache
def tool(name: str) -> ModuleType:
    """The module tools/NAME.py, which lies in no package."""
    specification = importlib.util.spec_from_file_location(f"tools_{name}", TOOLS / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses look there
    specification.loader.exec_module(module)
    return module


@cache
def nodes(tree: ast.AST) -> list[ast.AST]:
    """All nodes of a tree but those that say only whether a name is read or written; several tests look at them."""
    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        found.append(node)
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                waiting += [one for one in value if isinstance(one, ast.AST)]
            elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
                waiting.append(value)
    return found


@cache
def trees() -> dict[str, ast.Module]:
    """The modules of the package by path. Half a million objects are made that stay: no garbage is looked for then, and
    none among them afterwards."""
    paths, looked_for = sorted(PACKAGE.rglob("*.py")), gc.isenabled()
    gc.disable()
    try:
        return {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8")) for path in paths}
    finally:
        gc.freeze()
        gc.enable() if looked_for else None
