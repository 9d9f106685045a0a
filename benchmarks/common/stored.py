"""What an earlier call of a benchmark has stored; cells that are there are not played again."""

import json
from pathlib import Path
from typing import Any

__all__ = ["stored_results"]


def stored_results(path: Path) -> Any:
    """The results in a JSON file; none where there is no such file."""
    return json.loads(path.read_text()) if path.exists() else {}
