"""Writes what there is to name, with a line for each, into the file that `evenodds list` reads.

    python tools/known.py

To be run where a name of the package, or the first line of its documentation, has changed.
"""

from __future__ import annotations

from pathlib import Path

from evenodds.evaluation.measures import documented
from evenodds.files.write import write_json
from evenodds.runs import find
from evenodds.runs.find import KINDS, WRITTEN, describe


def listed() -> dict[str, dict[str, str]]:
    """What the file is to hold; recipes are files themselves."""
    by_kind = {kind: dict(describe(kind)) for kind in KINDS if kind != "recipes"}
    return {**by_kind, "metrics": dict(documented())}


if __name__ == "__main__":
    write_json(Path(find.__file__).with_name(WRITTEN), listed())
