"""Plays the blocks of the pages that take too long for the test suite, page by page in one folder, as a reader would.

    python tools/play_pages.py DIR                  # all pages that have such blocks
    python tools/play_pages.py DIR ideas research   # some of them

What a block needs that no page makes is made first, from ../shared/data beside the checkout: photos/, hats/, scenes/
and originals/. Python of a page runs in one process, also what the suite runs. Runs go to DIR/runs, and are to be new.
Outputs go to DIR/PAGE.txt. The status is 1 where a block failed; where Python printed something else than the page
says, a line says so, as machines differ.
"""

import argparse
import contextlib
import doctest
import io
import os
import subprocess
import sys
import time
import traceback
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pages

DATA = pages.ROOT.parent / "shared" / "data"
FOLDERS = {
    "photos": ("clothing-128.zip", "", 10_000),
    "hats": ("clothing-128.zip", "hat/", 100),
    "scenes": ("bsds500-train.zip", "train/", 10_000),
    "originals": ("bsds500-train.zip", "val/", 10_000),
}
"""Where a folder comes from: an archive, the folder in it, and the most images."""
FIRST = ("photographs", "labels")
"""Pages whose runs others need."""


def make(name: str, work: Path) -> None:
    """Makes an input of the pages, unless it is there."""
    if name not in FOLDERS or (work / name).exists():
        return
    archive, inside, most = FOLDERS[name]
    with zipfile.ZipFile(DATA / archive) as files:
        members = [member for member in files.namelist() if member.startswith(inside) and member.endswith(".jpg")]
        for member in members[:most]:
            target = work / name / member.removeprefix(inside)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(files.read(member))


def play_commands(body: str) -> tuple[bool, str]:
    """Whether all commands of a block went well, and what they printed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    places = os.pathsep.join([str(pages.ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        ["bash", "-ec", body],
        env={**os.environ, "PATH": path, "PYTHONPATH": places, "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode == 0, "\n".join(line.rpartition("\r")[2] for line in done.stdout.split("\n"))


def play_python(body: str, names: dict[str, Any]) -> tuple[bool, str]:
    """Whether a block went well, and what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(body, "page", "exec"), names)
        except Exception:  # what a page does wrong is what is looked for
            return False, printed.getvalue() + traceback.format_exc()
    return True, printed.getvalue()


def play_page(page: Path, work: Path) -> Iterator[tuple[pages.Block, bool, float, str]]:
    """Each block that was played, whether it went well, its seconds, and what it printed."""
    blocks = list(pages.blocks(page))
    names: dict[str, Any] = {"__name__": "page"}
    for block, after in zip(blocks, [*blocks[1:], None], strict=True):
        if block.kind not in ("played", "run"):
            continue
        for name in block.note.split(", "):
            make(name, work)
        if "my_parts.py" in block.note:
            code = [one.body for one in blocks if one.kind == "run"]
            (work / "my_parts.py").write_text("\n".join(code), encoding="utf-8")
        begin = time.perf_counter()
        python = block.language == "python"
        well, text = play_python(block.body, names) if python else play_commands(block.body)
        seconds = time.perf_counter() - begin
        if python and after is not None and after.language == "text" and not same(after.body, text):
            text += f"(the page has: {after.body.strip()})\n"
        yield block, well, seconds, text


def same(expected: str, printed: str) -> bool:
    """Whether output is that of the page, where ... stands for anything."""
    return doctest.OutputChecker().check_output(expected, printed, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)


def chosen(names: list[str]) -> list[Path]:
    """The pages with blocks to be played, those first whose runs others need."""
    played = [page for page in pages.pages() if any(block.kind == "played" for block in pages.blocks(page))]
    order = sorted(played, key=lambda page: FIRST.index(page.stem) if page.stem in FIRST else len(FIRST))
    return [page for page in order if not names or page.stem in names]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("pages", nargs="*")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    os.chdir(arguments.work)
    (Path.cwd() / "examples").exists() or (Path.cwd() / "examples").symlink_to(pages.ROOT / "examples")
    failed = 0
    for page in chosen(arguments.pages):
        with open(f"{page.stem}.txt", "w", encoding="utf-8") as record:
            for block, well, seconds, text in play_page(page, Path.cwd()):
                failed += not well
                line = f"{'played' if well else 'FAILED'} {page.name}:{block.line} in {seconds:.0f} s"
                print(line, flush=True)
                record.write(f"{line}\n{block.body}\n{text}\n\n")
                record.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
