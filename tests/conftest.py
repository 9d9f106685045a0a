"""What all tests share."""

import gc
import os
import shutil
from collections.abc import Generator, Iterator
from copy import copy
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from evenodds.game.engine import reseed
from tests.clock import Clock
from tests.tools import tool

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
IN_MEMORY = Path("/dev/shm")
"""Where Linux keeps files in memory: the suite makes and deletes many thousands, a tenth of its time on a disk."""
ROOM = 4 * 2**30
"""Bytes that it may need there; it takes some 600 MB."""
SELDOM = (5_000, 20, 200)
"""After how many objects garbage is looked for. All that tests import is looked through each time: a thirtieth of the
suite's time by the usual numbers."""


def pytest_configure(config: pytest.Config) -> None:
    # One thread per worker: two workers on two cores are then not in each other's way, and bits do not depend on -n.
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if IN_MEMORY.is_dir() and os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    # A million objects live from here to the end. To look through them for garbage takes a tenth of the collection,
    # and one second in thirty of the tests.
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
        gc.set_threshold(*SELDOM)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if any("test_pages.py" in report.nodeid for report in terminalreporter.stats.get("passed", [])):
        terminalreporter.write_line(tool("pages").count())


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Classifiers that tests train are none of the user's."""
    os.environ["EVENODDS_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True, scope="session")
def _groups_of_flags_once() -> Iterator[None]:
    """cyclopts finds out in which groups a command's flags are whenever it is typed: here, where thousands are typed in
    a process, once for each command. Where cyclopts does it in another way, nothing is changed."""
    name = "_resolve_groups_from_callable"
    try:
        collection = import_module("cyclopts.argument._collection")
        found = getattr(collection, name)
    except (ImportError, AttributeError):
        yield
        return
    groups: dict[Any, Any] = {}

    def once(command: Any, *parameters: Any, **more: Any) -> Any:
        if command not in groups:
            groups[command] = found(command, *parameters, **more)
        return groups[command]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collection, name, once)
        yield


@pytest.fixture(autouse=True, scope="session")
def _flags_once() -> Iterator[None]:
    """Likewise which flags a command has: what is typed is put into copies of them, which have none of it yet."""
    try:
        app = import_module("cyclopts.core").App
        found = app.assemble_argument_collection
    except (ImportError, AttributeError):
        yield
        return
    flags: dict[Any, Any] = {}

    def once(self: Any, **options: Any) -> Any:
        apps = tuple(id(one) for frame in self.app_stack.stack for one in frame)
        key = self.default_command, apps, tuple(options.items())
        if key not in flags:
            flags[key] = found(self, **options)
        copies = {id(flag): copy(flag) for flag in flags[key]}
        for flag in copies.values():
            flag.tokens = []
            flag.children = type(flags[key])(copies[id(part)] for part in flag.children)
        return type(flags[key])(copies.values())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, found.__name__, once)
        yield


@pytest.fixture(autouse=True)
def _own_draws() -> None:
    """No test depends on what another one drew before it, in whatever order they are played."""
    reseed(torch.device("cpu"), 0)


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the package, which moves only when the test says so."""
    clock = Clock()
    monkeypatch.setattr("time.perf_counter", clock)
    return clock
