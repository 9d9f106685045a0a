"""What commands that put a run to work take: its folder, or a file that it was exported to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from evenodds.errors import BadInput
from evenodds.files.process import is_launched

if TYPE_CHECKING:
    from evenodds.export.alone import Alone
    from evenodds.runs.session import Session

__all__ = ["RunOrModel", "beside", "is_alone", "require_order", "run_or_model", "without_torch"]

RunOrModel = Annotated[Path, Parameter(help="The run folder, or an .onnx file that `evenodds export` wrote.")]
MODELS = (".onnx",)


def run_or_model(run: Path, checkpoint: str, device: str, role: str | None = None) -> Session:
    """The run of a folder or of an exported file; BadInput where it is neither.

    Args:
        role: of the player that an exported file must have.
    """
    if run.suffix.lower() == ".pt2":
        raise BadInput(f"{run} is for torch.export.load, and evenodds opens .onnx files alone; export it --to onnx")
    if not _is_model(run):
        from evenodds.game.engine import pick_device
        from evenodds.game.processes import own_device
        from evenodds.runs.session import load

        return load(run, checkpoint, str(own_device(pick_device(device))))
    if checkpoint != "last" or device not in ("auto", "cpu"):
        raise BadInput(f"{run} holds one checkpoint and computes on the CPU; leave --checkpoint and --device out")
    from evenodds.export.model import load_model

    session = load_model(run)
    if role is not None:
        _ = session.players[role]  # a file that answers something else says so
    return session


def require_order(run: Path, source: Path, call: str) -> None:
    """BadInput where the run and the images are named the wrong way round.

    Args:
        call: as it is meant, such as upscale RUN IN OUT.
    """
    from evenodds.runs.folder_facts import is_run

    if is_run(source) and not is_run(run) and run.exists() and not _is_model(run):
        raise BadInput(f"{run} is no run, and {source} is one: `evenodds {call}` takes the run first")


def without_torch(run: Path, truncation: float, checkpoint: str, device: str) -> Alone | None:
    """The generator of an exported file that needs no torch to draw samples; None of all else.

    Args:
        truncation: that samples are to be drawn with.
    """
    if not is_alone(run, checkpoint, device):
        return None
    from evenodds.export.alone import alone

    return alone(run, truncation)


def is_alone(run: Path, checkpoint: str, device: str) -> bool:
    """Whether it is an exported file that one process is to put to work as it is, for which torch need not be there."""
    return _is_model(run) and checkpoint == "last" and device in ("auto", "cpu") and not is_launched()


def _is_model(run: Path) -> bool:
    """Whether it is an exported file, by its name."""
    return run.suffix.lower() in MODELS and not run.is_dir()


def beside(run: Path) -> Path:
    """The folder in which a command leaves its results where no other is named."""
    return run.parent if _is_model(run) else run
