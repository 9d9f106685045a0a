"""A studio in this process, with runs that need no training, and a client that is let in."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from starlette.testclient import TestClient

from evenodds.server.access import Access
from evenodds.studio.start import studio

FIXTURES = Path(__file__).parent / "fixtures" / "old_layout"
TOKEN = "a-token-of-sixteen-and-more"
HOST = "127.0.0.1:8000"


def run_folder(base: Path, name: str = "digits-1", of: str = "digits") -> Path:
    """A run with a checkpoint, as an earlier version wrote it."""
    folder = base / name
    shutil.copytree(FIXTURES / of, folder)
    return folder


@contextmanager
def opened(base: Path, folders: Sequence[Path] = (), **headers: str) -> Iterator[TestClient]:
    """A client of a studio; with the token, unless other headers are given."""
    access = Access(frozenset({HOST}), 8000, TOKEN)
    words = headers or {"authorization": f"Bearer {TOKEN}"}
    with TestClient(
        studio(access, base, folders, "cpu"), f"http://{HOST}", headers=words, follow_redirects=False
    ) as client:
        yield client
