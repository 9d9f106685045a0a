"""The card of a run or of a file that it was exported to: what is known of it, without names of files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evenodds.export.about import LICENCE, run_id
from evenodds.files.text import aligned
from evenodds.runs.session import Session

__all__ = ["card_lines", "card_of"]


def card_of(session: Session) -> dict[str, Any]:
    """What is known, by name, as plain values."""
    config, data = session.config, session.card
    return {
        "run": run_id(session),
    }
