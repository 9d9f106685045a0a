"""What becomes of each fenced block of the pages: `python tools/pages.py` prints how many of each kind there are.

A block of Python runs in the test suite; one of commands is checked against the parsers of the command line. A comment
on the line before says otherwise:

    <!-- played: inputs -->   tools/play_pages.py plays it, as it takes too long for the suite; inputs may be named
    <!-- not run: reason -->  nothing plays it here
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("", "docs", "docs/tutorials", "docs/reference", "benchmarks")
FENCED = re.compile(r"(?:^<!-- (played|not run)(?:: ([^\n]*))? -->\n)?^```([^\n]*)\n(.*?)^```", re.M | re.S)
FROM_EXAMPLE = re.compile(r"`(examples/\w+\.py)`(?:, in essence| uses)[^`]*\Z")
COMMANDS = ("sh", "bash")
KINDS = {
    "run": "of Python, run in the test suite",
    "example": "of an example, which the test suite runs as a whole",
    "checked": "of commands, checked against the parsers of the command line",
    "benchmark": "of commands of benchmarks, whose results are committed",
    "played": "played by tools/play_pages.py",
    "built": "of the reference, which the site is built of",
    "not run": "marked as not run",
    "shown": "of other text: output, formats, files",
}
"""Each kind of block, in words."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: where it stands, what it is written in, and what becomes of it."""

    page: Path
    line: int
    language: str
    body: str
    kind: str
    note: str


def pages() -> list[Path]:
    """All pages of the repository."""
    return [page for folder in FOLDERS for page in sorted((ROOT / folder).glob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in its order."""
    text = page.read_text(encoding="utf-8")
    for found in FENCED.finditer(text):
        mark, note, language, body = found.groups()
        kind = mark or _kind(page, language, body, text[: found.start()])
        yield Block(page, text.count("\n", 0, found.start()) + 1, language, body, kind, note or "")


def _kind(page: Path, language: str, body: str, before: str) -> str:
    if language == "python":
        if FROM_EXAMPLE.search(before):
            return "example"
        return "shown" if page.parent.name == "benchmarks" else "run"
    if language.startswith("{"):
        return "built"
    if language not in COMMANDS:
        return "shown"
    return "checked" if re.search(r"\bevenodds ", body) else "benchmark" if "python benchmarks/" in body else "unmarked"


def count() -> str:
    """How many blocks of each kind the pages have, one a line."""
    number = Counter(block.kind for page in pages() for block in blocks(page))
    lines = [f"{number[kind]:6,}  {words}" for kind, words in KINDS.items()]
    return "\n".join([f"{number.total():6,}  fenced blocks on {len(pages())} pages", *lines])


if __name__ == "__main__":
    print(count())
