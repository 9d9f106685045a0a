"""Lists every module of the package with the number of modules that import it, its room and the level of the room.

    python tools/importers.py                 # level, room, importers, module; least imported first within a room
    python tools/importers.py --by            # also who imports it
    python tools/importers.py --room runs --most 2

Imports are read from the source, also those inside functions and under `TYPE_CHECKING`; nothing is executed. Levels are
those of the import contract in pyproject.toml. Modules that are found by name (recipes, networks, tasks, metrics, ...)
may have no importer.
"""

from __future__ import annotations

import argparse
import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "evenodds"


def modules(source: Path) -> dict[str, Path]:
    """The file of each module below `source`, which holds the package."""
    files = sorted((source / PACKAGE).rglob("*.py"))
    return {_name(file.relative_to(source)): file for file in files}


def _name(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(module: str, files: dict[str, Path]) -> set[str]:
    """The modules of the package that a module imports."""
    tree = ast.parse(files[module].read_text(encoding="utf-8"))
    package = module if files[module].name == "__init__.py" else module.rpartition(".")[0]
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))
    return {target for node in imports for target in _targets(node, package, files)} - {module}


def _targets(node: ast.Import | ast.ImportFrom, package: str, files: dict[str, Path]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in files)
    else:
        parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        base = ".".join([*parents, *([node.module] if node.module else [])])
        members = {f"{base}.{alias.name}" for alias in node.names}
        yield from members & files.keys()  # `from room import module`
        if base in files and members - files.keys():
            yield base


def importers(source: Path) -> dict[str, set[str]]:
    """The modules that import each module."""
    files = modules(source)
    by: dict[str, set[str]] = {name: set() for name in files}
    for name in files:
        for target in imported(name, files):
            by[target].add(name)
    return by


def levels(pyproject: Path) -> dict[str, int]:
    """The level of each room in the import contract; 0 is the ground."""
    contracts = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers: list[str] = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    rooms = (re.findall(r"\w+", layer) for layer in reversed(layers))
    return {room: level for level, names in enumerate(rooms) for room in names}


def room(module: str) -> str:
    """The first part of a module's name below the package; "" of the package itself."""
    return module.removeprefix(PACKAGE).lstrip(".").partition(".")[0]


def main() -> None:
    """Prints the list."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--room", help="only the modules of this room")
    parser.add_argument("--most", type=int, help="only modules with at most so many importers")
    parser.add_argument("--by", action="store_true", help="also name the importers")
    options = parser.parse_args()
    by, level = importers(ROOT / "src"), levels(ROOT / "pyproject.toml")
    for module in sorted(by, key=lambda name: (-level.get(room(name), len(level)), room(name), len(by[name]), name)):
        number = len(by[module])
        if (options.room is None or room(module) == options.room) and (options.most is None or number <= options.most):
            names = " ".join(sorted(name.removeprefix(f"{PACKAGE}.") for name in by[module])) if options.by else ""
            print(f"{level.get(room(module), '-'):>2}  {room(module):<10}  {number:>3}  {module}  {names}".rstrip())


if __name__ == "__main__":
    main()
