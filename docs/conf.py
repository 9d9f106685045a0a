"""The site: `make docs` builds it from the pages as they lie in the repository, without a request to the network."""

import re
import shutil
from pathlib import Path
from typing import Any

from evenodds import __version__

ROOT = Path(__file__).resolve().parent.parent

project = "evenodds"
author = "The evenodds authors"
copyright = "The evenodds authors, Apache-2.0"
version = release = __version__
html_title = f"evenodds {__version__}"

# The source is the repository itself, so links between pages, pictures and files hold on the site as they do there.
root_doc = "README"
include_patterns = ["*.md", "docs/**.md", "benchmarks/*.md"]
exclude_patterns = [".venv", ".git", "build", "dist", "runs", "src", "tests", "tools", "examples", "docs/README.md"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
html_theme = "furo"
html_copy_source = False
html_show_sphinx = False
html_static_path: list[str] = []

myst_heading_anchors = 4
myst_links_external_new_tab = False
myst_linkify_fuzzy_links = False

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_default_options = {"members": True, "show-inheritance": False}
add_module_names = True
python_use_unqualified_type_names = True
default_role = "code"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Returns", "Yields"]  # prose, not `type: description`
nitpicky = True
nitpick_ignore_regex = [
    # Types of other packages: a link to them would need their inventories from the network.
    ("py:.*", r"(torch|numpy|np|nn|PIL|pathlib|collections|contextlib|sklearn|pandas|os|Tensor|NDArray|Path)(\..*)?"),
    # Types of rooms that the reference leaves out.
    ("py:.*", r"evenodds\..*|Busy|Nothing|Neighbourhood|Lane"),
]

CONTENTS = ROOT / "docs" / "README.md"
README = re.compile(r"\]\(([^):#\s]*README\.md)(#[^)]*)?\)")
SECTION = re.compile(r"^\.\. rubric:: (?:Returns|Yields)\n+((?:(?![:.]).*\n?)+)", re.M)
"""What napoleon makes of a section of its own: a heading, and the text behind it."""
ATTRIBUTES = ("attribute", "data", "property")
TABLE = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.M | re.S)
LINK = re.compile(r"^\| \[([^\]]+)\]\(([^)#]+)\.md\)", re.M)


def contents(table: str) -> str:
    """docs/README.md with a table of contents behind each of its tables, of the pages that the table names."""
    parts = []
    for caption, body in TABLE.findall(table):
        pages = [f"{title} <{_page(target)}>" for title, target in LINK.findall(body) if target != "../README"]
        toctree = "\n".join(["```{toctree}", f":caption: {caption}", ":hidden:", "", *pages, "```"])
        parts.append(f"## {caption}\n{_moved(body)}\n{toctree}\n")
    return "\n".join(parts)


def _page(target: str) -> str:
    """A link of docs/README.md, as a page of the repository."""
    return (ROOT / "docs" / target).resolve().relative_to(ROOT).as_posix()


def _moved(body: str) -> str:
    """The links of docs/README.md, as they are from the repository's root."""
    return re.sub(r"\]\(([^):#]+)", lambda link: f"]({_page(link[1])}", body)


def add_contents(app: Any, name: str, source: list[str]) -> None:
    """The front page of the site ends with the tables of docs/README.md; the benchmarks' with all of theirs."""
    folder = Path(name).parent
    source[0] = README.sub(lambda link: _to_front(link[0], link[1], link[2] or "#use", folder), source[0])
    if name == root_doc:
        source[0] += "\n" + contents(CONTENTS.read_text(encoding="utf-8"))
    if name.endswith(".zh"):  # reached from the page in English alone
        source[0] = "---\norphan: true\n---\n" + source[0]
    if name == "benchmarks/README":
        source[0] += "\n```{toctree}\n:hidden:\n:glob:\n\n*\n```\n"


def _to_front(link: str, target: str, anchor: str, folder: Path) -> str:
    """A link to docs/README.md leads to the front page, which has its tables."""
    if (ROOT / folder / target).resolve() != CONTENTS:
        return link
    return f"]({'../' * len(folder.parts)}README.md{anchor})"


def write_index(app: Any, exception: Exception | None) -> None:
    """The front page under the name that a browser opens in a folder."""
    if exception is None and app.builder.name == "html":
        shutil.copyfile(Path(app.outdir) / f"{root_doc}.html", Path(app.outdir) / "index.html")


def set_language(app: Any, name: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Pages in Chinese say so, for screen readers and for the choice of glyphs."""
    if name.endswith(".zh"):
        context["language"] = "zh-CN"


def escape(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text with `code`: |z|, 2 * x and trailing_ are no markup."""
    lines[:] = [line if ">>>" in line else _escaped(line) for line in lines]
    if what in ATTRIBUTES:
        app.env.temp_data["evenodds: an attribute"] = list(lines)


def restore(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Napoleon reads "a type: and what it means" in the first line of an attribute or of Returns, which are prose."""
    if what in ATTRIBUTES:
        lines[:] = app.env.temp_data["evenodds: an attribute"]
    else:
        text = "\n".join(lines)
        lines[:] = SECTION.sub(
            lambda found: f":returns: {found[1].strip().replace(chr(10), chr(10) + '   ')}\n\n", text
        ).split("\n")


def _escaped(line: str) -> str:
    prose = re.split(r"(`[^`]*`)", line)
    return "".join(part if part.startswith("`") else re.sub(r"([|*]|(?<=\w)_(?!\w))", r"\\\1", part) for part in prose)


def skip(app: Any, what: str, name: str, value: Any, skipped: bool, options: Any) -> bool | None:
    """The fields of a named tuple are said in its docstring; requests of metadata are scikit-learn's own."""
    field = (getattr(value, "__doc__", None) or "").startswith("Alias for field number")
    return True if field or re.fullmatch(r"set_\w+_request", name) else None


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", escape, priority=100)  # before napoleon
    app.connect("autodoc-process-docstring", restore, priority=900)  # after it
    app.connect("autodoc-skip-member", skip)
    app.connect("source-read", add_contents)
    app.connect("html-page-context", set_language)
    app.connect("build-finished", write_index)
