"""The pages say what is there: names, links, commands, flags, settings and files exist, and examples run."""

import ast
import contextlib
import dataclasses
import doctest
import importlib
import io
import re
import shlex
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from PIL import Image

import evenodds
from evenodds.apply import imputer
from evenodds.estimators import training as estimator_training
from evenodds.game import trainer
from evenodds.runs import find, fit, run
from evenodds.runs.extra_settings import is_extra
from tests.tools import tool

ROOT = Path(__file__).resolve().parents[2]
PAGES = tool("pages").pages()
DOCS = [page for page in PAGES if page.is_relative_to(ROOT / "docs")]
CODE = re.compile(r"^```([^\n]*)\n(.*?)^```", re.M | re.S)
INLINE = re.compile(r"`([^`\n]+)`")
PLACEHOLDER = re.compile(r"[A-Z]|\.\.\.|<")
"""A word such as RUN, RECIPE or ... that stands for another."""


def on_every_page(faults: Callable[[Path], list[str]]) -> Callable[[], None]:
    """A test that names every page with faults, and these."""

    def test() -> None:
        found = {page.relative_to(ROOT).as_posix(): faults(page) for page in PAGES}
        assert len(found) > 100
        assert {page: wrong for page, wrong in found.items() if wrong} == {}

    return test


@cache
def read(page: Path) -> str:
    """The page as it is."""
    return page.read_text(encoding="utf-8")


def text_of(page: Path) -> str:
    """The page; of tables that tell where a module was before, the last column alone."""
    text = read(page)
    if page.name != "CHANGELOG.md":
        return text
    return re.sub(r"^\|.*\|([^|\n]*)\|$", r"\1", text, flags=re.M)


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of that language."""
    return [body for named, body in CODE.findall(text) if named == language]


def exists(name: str) -> bool:
    """Whether evenodds.room.module.Class.member is a module, or a member or field of one."""
    parts = name.split(".")
    for k in range(len(parts), 0, -1):
        try:
            value: Any = importlib.import_module(".".join(parts[:k]))
        except ImportError:
            continue
        return hasattr(value, "__file__") and _has(value, parts[k:])  # a stand-in for unpickling has no file
    return False


def _has(value: Any, parts: list[str]) -> bool:
    for k, part in enumerate(parts):
        fields = {field.name for field in dataclasses.fields(value)} if dataclasses.is_dataclass(value) else set()
        if not hasattr(value, part):
            return part in fields and k == len(parts) - 1
        value = getattr(value, part)
    return True


def slug(heading: str) -> str:
    """The anchor that a heading gets."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page."""
    prose = CODE.sub("", read(page))
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", prose, re.M)}


def commands(text: str) -> Iterator[list[str]]:
    """The words of every `evenodds ...` in code, without what comes before it, a comment or the next command."""
    yield from _commands([*fenced_lines(text), *INLINE.findall(CODE.sub("", text))])


def fenced_lines(text: str) -> list[str]:
    """The lines of all fenced commands."""
    return [line for language, body in CODE.findall(text) if language in ("sh", "bash") for line in body.splitlines()]


def _commands(lines: list[str]) -> Iterator[list[str]]:
    for line in lines:
        for part in re.split(r"&&|\||;", line.partition(" # ")[0]):
            words = shlex.split(part, comments=True) if part.count("'") % 2 == 0 else []
            if "evenodds" in words:
                yield words[words.index("evenodds") + 1 :]


@cache
def app() -> Any:
    """The command line with all of its commands."""
    from evenodds.cli import whole_app

    return whole_app()


@cache
def flags(command: str) -> frozenset[str]:
    """The flags of a command."""
    arguments = app()[command].assemble_argument_collection()
    return frozenset(name for argument in arguments for name in argument.names) | {"--help"}


def faults(words: list[str]) -> Iterator[str]:
    """What is wrong with one command line."""
    if not words or words[0].startswith("-") or PLACEHOLDER.search(words[0]):
        return
    command, rest = words[0], words[1:]
    if command not in list(app()):
        yield f"no command {command}"
        return
    for word in rest:
        if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in flags(command):
            yield f"{command} has no flag {word}"
    if command == "train" and rest and re.fullmatch(r"[a-z][\w-]*", rest[0]) and rest[0] not in find.names("recipes"):
        yield f"no recipe {rest[0]}"
    if command == "list" and rest and rest[0] not in [*find.KINDS, "metrics", "settings", "kinds"]:
        yield f"nothing to list: {rest[0]}"


def refusals(words: list[str]) -> Iterator[str]:
    """What the parser of the command line says of a whole command, whose values it reads, too."""
    from cyclopts import CycloptsError

    try:
        app().parse_args(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        yield f"{' '.join(words)}: {' '.join(str(error).split())}"


@cache
def settings() -> frozenset[str]:
    """The first parts of all settings."""
    from evenodds.runs.settings_table import documented

    return frozenset(re.split(r"[.\s]", row[0])[0] for row in documented())


@on_every_page
def test_dotted_names_exist(page: Path) -> list[str]:
    names = set(re.findall(r"(?<!\.)\bevenodds(?:\.[A-Za-z_]\w*)+", text_of(page)))
    return [name for name in sorted(names) if not exists(name)]


@on_every_page
def test_python_blocks_parse_and_their_imports_exist(page: Path) -> list[str]:
    wrong = []
    for block in blocks(text_of(page), "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "evenodds":
                wrong += [name for alias in node.names if not exists(name := f"{node.module}.{alias.name}")]
    return wrong


@on_every_page
def test_relative_links_resolve(page: Path) -> list[str]:
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", read(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            wrong.append(target)
    return wrong


@on_every_page
def test_commands_flags_and_recipes_exist(page: Path) -> list[str]:
    return [fault for words in commands(text_of(page)) for fault in faults(words)]


@on_every_page
def test_fenced_commands_are_understood(page: Path) -> list[str]:
    return [refusal for words in _commands(fenced_lines(text_of(page))) for refusal in refusals(words)]


@on_every_page
def test_settings_exist(page: Path) -> list[str]:
    wrong = []
    for words in commands(text_of(page)):
        for word in words[words.index("--set") + 1 :] if "--set" in words else []:
            if word.startswith("-"):
                break
            key = word.partition("=")[0].partition(".")[0]
            if "=" in word and not PLACEHOLDER.search(key) and not (key in settings() or is_extra(key)):
                wrong.append(word)
    return wrong


@on_every_page
def test_files_that_are_named_exist(page: Path) -> list[str]:
    names = set(re.findall(r"\b(?:benchmarks|examples|tools|tests)/[\w/]+\.(?:py|md)\b", text_of(page)))
    return [name for name in sorted(names) if not (ROOT / name).is_file()]


def test_every_page_is_in_a_table_of_contents() -> None:
    for folder in ("docs", "benchmarks"):
        contents = (ROOT / folder / "README.md").read_text(encoding="utf-8")
        linked = {target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", contents)}
        named = {page.relative_to(ROOT / folder).as_posix() for page in (ROOT / folder).rglob("*.md")}
        assert {name for name in named - linked - {"README.md"} if not name.endswith(".zh.md")} == set()


def test_every_page_has_one_place_in_the_contents_of_the_site() -> None:
    """docs/conf.py makes them of the rows `| [name](page.md) | ...` of docs/README.md."""
    table = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[[^\]]+\]\(([^)#]+\.md)\)", table, re.M)
    assert sorted(rows) == sorted(set(rows))
    placed = {(ROOT / "docs" / row).resolve() for row in rows}
    own_contents = [page for page in PAGES if page.parent.name == "benchmarks"]
    outside = {ROOT / "docs" / "README.md", *ROOT.glob("*.md"), *own_contents}
    assert {page for page in {*PAGES} - placed - outside if not page.name.endswith(".zh.md")} == set()


@on_every_page
def test_every_block_is_played_checked_or_marked(page: Path) -> list[str]:
    blocks = [block for block in tool("pages").blocks(page) if block.kind not in tool("pages").KINDS]
    return [f"line {block.line}: put <!-- not run: why --> before it" for block in blocks]


def test_every_public_name_is_listed() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert [name for name in evenodds.__all__ if f"`evenodds.{name}`" not in page] == []


def test_every_module_that_has_parts_metrics_or_tasks_is_in_the_reference() -> None:
    source = ROOT / "src" / "evenodds"
    files = [file for room in ("metrics", "parts", "tasks") for file in (source / room).rglob("[a-z]*.py")]
    reference = "".join(read(page) for page in ROOT.glob("docs/reference/*.md"))
    names = [".".join(file.relative_to(source.parent).with_suffix("").parts) for file in files]
    assert [name for name in names if not re.search(rf"{re.escape(name)}$", reference, re.M)] == []
    assert [name for name in evenodds.__all__ if f":: evenodds.{name}\n" not in reference] == []


def test_every_recipe_is_on_a_page() -> None:
    text = "".join(read(page) for page in PAGES)
    assert [name for name in find.names("recipes") if not re.search(rf"\b{name}\b|`{name[-3:]}`", text)] == []


def test_every_command_is_on_a_page() -> None:
    used = {words[0] for page in PAGES for words in commands(text_of(page)) if words}
    assert {name for name in app() if not name.startswith("-")} - used == set()


def test_every_benchmark_has_a_page_that_names_its_command() -> None:
    record = "".join(read(page) for page in (ROOT / "benchmarks").glob("*.md"))
    scripts = [file.name for file in (ROOT / "benchmarks").glob("*.py")]
    assert [name for name in scripts if f"python benchmarks/{name}" not in record] == []


QUOTED = re.compile(r"^<!-- from (\S+) -->\n((?:\|.*\n)+)", re.M)
"""A table that a page takes from another, word for word."""


def test_tables_that_are_quoted_stand_on_their_pages() -> None:
    quoted = [found for page in DOCS for found in QUOTED.findall(read(page))]
    assert len(quoted) >= 15
    assert [path for path, table in quoted if table not in (ROOT / path).read_text(encoding="utf-8")] == []


@on_every_page
def test_long_pages_have_contents(page: Path) -> list[str]:
    lines = read(page).splitlines()
    contents = len(lines) < 80 or page.name == "CHANGELOG.md" or re.search(r"\]\(#", read(page))
    return [] if contents else ["a page of 80 lines or more needs links to its parts"]


def test_the_modules_of_the_change_log_moved() -> None:
    """The last column of the table is checked with the other names; of the first no file must be left."""
    rows = re.findall(r"^\| `([\w.]+)` \| `[\w.]+` \|$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert len(rows) > 30
    files = [ROOT / "src" / old.replace(".", "/") for old in rows]
    assert [file for file in files if file.with_suffix(".py").exists() or (file / "__init__.py").exists()] == []


@pytest.mark.parametrize("name", evenodds.__all__)
def test_examples_of_public_names_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    value = getattr(evenodds, name)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    tests = doctest.DocTestFinder(recurse=False).find(value, name, globs={})
    assert sum(len(test.examples) for test in tests) > 0, f"{name} has no example in its docstring"
    for test in tests:
        assert runner.run(test).failed == 0, name


# --- Python on the pages runs -----------------------------------------------------------------------------------------

SHORT: dict[str, Any] = {"images": 64, "batch": 32, "watch": "off", "generator__width": 8, "discriminator__width": 8}
"""Settings of every run on a page, in place of its length."""
INPUTS: dict[str, Callable[[], dict[str, Any]]] = {
    "estimators.md": lambda: {"X": labelled()[0], "y": labelled()[1]},
    "features.md": lambda: {"x": torch.rand(3, 3, 32, 32) * 2 - 1},
    "few-labels.md": lambda: dict(zip("xy", labelled(), strict=True)),
    "fill.md": lambda: {"x": gaps(), "frame": pandas.DataFrame(gaps(), columns=["a", "b", "c"])},
    "images.md": lambda: {"evenodds": evenodds, "source": torch.rand(1, 3, 24, 24) * 2 - 1},
}
"""What the blocks of a page are given: arrays of the reader's own."""
SAME = doctest.OutputChecker()
IN_ESSENCE = re.compile(r"`(examples/\w+\.py)`(?:, in essence| uses)[^`]*```python\n(.*?)^```", re.M | re.S)
"""A block that a page takes from an example, which other tests run as a whole."""


OWN = """from evenodds.parts.networks import mlp


class Net(mlp.Generator):
    pass
"""
"""The module of the reader's own that the page on Python names."""


def labelled() -> tuple[Any, Any]:
    """A table (40, 3), and the classes of its rows."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 3)), rng.integers(0, 2, 40)


def gaps() -> Any:
    """A table (40, 3) of which some cells are empty."""
    return np.where(np.random.default_rng(1).random((40, 3)) < 0.1, np.nan, labelled()[0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all pages play: with photographs and with features of digits."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "photos").mkdir()
    rng = np.random.default_rng(0)
    for k in range(48):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / "photos" / f"{k}.png")
    (folder / "my_module.py").write_text(OWN, encoding="utf-8")
    (folder / "runs" / "digits-1").mkdir(parents=True)
    features, y = rng.normal(size=(60, 4)), np.arange(60) % 10
    np.savez(folder / "runs" / "digits-1" / "features.npz", features=features, y=y)
    return folder


def short_train(*arguments: Any, **options: Any) -> Any:
    """`evenodds.train`, for so few images that a page runs at once."""
    return trainer.train(*arguments, **{**options, "images": min(options["images"], 256)})


def short_fit(data: Any, recipe: str | None = None, **settings: Any) -> Any:
    """`evenodds.fit`, for so few images that a page runs at once."""
    settings.pop("budget", None)
    crop = {"task__crop": 32, "size": 32} if recipe == "upscale-x4" else {}
    return fit.fit(data, recipe, **{**settings, **SHORT, **crop})


def short_resume(folder: str, settings: Any) -> Any:
    """`evenodds.resume`, for so few images that a page runs at once."""
    return run.resume(folder, settings={**settings, "images": 96})


def test_python_on_the_pages_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the pages, README first, in one folder: later pages find the runs of earlier ones."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    for module in (estimator_training, imputer):
        monkeypatch.setattr(module, "train", short_train)
    monkeypatch.setattr(evenodds, "fit", short_fit, raising=False)
    monkeypatch.setattr(evenodds, "resume", short_resume, raising=False)
    ran = 0
    for page in [ROOT / "README.md", *DOCS]:
        names = INPUTS.get(page.name, dict)() | {"__name__": "page"}
        for block, after in pairwise([*tool("pages").blocks(page), None]):
            if block.kind == "run":
                with contextlib.redirect_stdout(io.StringIO()) as printed:
                    exec(compile(block.body, str(page), "exec"), names)
                expected = after.body if after is not None and after.language == "text" else ""
                assert not expected or SAME.check_output(expected, printed.getvalue(), doctest.NORMALIZE_WHITESPACE), (
                    f"{page.name}:{block.line} printed {printed.getvalue()}"
                )
                ran += 1
    assert ran >= 25


def test_what_pages_take_from_examples_stands_there() -> None:
    taken = [
        (path, line)
        for page in ROOT.glob("docs/*.md")
        for path, block in IN_ESSENCE.findall(read(page))
        for line in block.splitlines()
    ]
    assert len({path for path, _ in taken}) >= 3
    sources = {path: (ROOT / path).read_text(encoding="utf-8") for path, _ in taken}
    assert [one for one in taken if one[1].partition("  #")[0].strip() not in sources[one[0]]] == []


def test_the_tool_of_importers_knows_every_room() -> None:
    importers = tool("importers")
    by, level = importers.importers(ROOT / "src"), importers.levels(ROOT / "pyproject.toml")
    assert "evenodds.runs.session" in by
    assert all(importers.room(name) in level for name in by if name not in ("evenodds", "evenodds.__main__"))
    height = {name: level.get(importers.room(name), len(level)) for name in by}
    rooms = [target for target in by if importers.room(target) in level]  # the package itself is its public face
    assert [(name, target) for target in rooms for name in by[target] if height[name] < height[target]] == []
