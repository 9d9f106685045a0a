"""evenodds: generative adversarial networks that people can trust."""

import os
from importlib import import_module

from evenodds.version import __version__ as __version__

# Threads that wait for one another sleep after about 0.2 ms instead of 6, and leave their cores to those that work.
# This is read when torch is loaded; see docs/speed.md.
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
    os.environ["GOMP_SPINCOUNT"] = "10000"

TYPE_CHECKING = False  # not from typing: `python -m evenodds` comes here while the working folder is first on the path
if TYPE_CHECKING:
    from typing import Any

    from evenodds.game.engine import Local as Local
    from evenodds.game.learners import Gradient as Gradient
    from evenodds.game.rules import Costs as Costs
    from evenodds.game.rules import Game as Game
    from evenodds.game.rules import Move as Move
    from evenodds.game.rules import Progress as Progress
    from evenodds.game.trainer import train as train
    from evenodds.runs.fit import fit as fit
    from evenodds.runs.run import resume as resume
    from evenodds.runs.session import Session as Session
    from evenodds.runs.session import load as load


_HOMES = {
    "BadInput": "errors",
    "Costs": "game.rules",
    "Game": "game.rules",
    "Gradient": "game.learners",
    "Local": "game.engine",
    "Move": "game.rules",
    "Progress": "game.rules",
    "Session": "runs.session",
    "fit": "runs.fit",
    "load": "runs.session",
    "resume": "runs.run",
    "train": "game.trainer",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> "Any":
    """Loads what is asked for when it is asked for, so that `import evenodds` costs nothing."""
    if name in _HOMES:
        return getattr(import_module(f"evenodds.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'evenodds' has no attribute '{name}'")
