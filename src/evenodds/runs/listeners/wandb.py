"""A run logged by Weights & Biases: to where its own settings say, or offline."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from evenodds.runs.listeners._logging import Facts, Logging, Position, Store, new_id

__all__ = ["Wandb"]


WAIT = 10.0
"""Seconds for which W&B tries to reach its server, when the logged run is opened and closed."""


class _Runs:
    """Runs of W&B. Neither code nor what is printed is taken."""

    def begin(self, facts: Facts, position: Position) -> Position:
        import wandb

        run_id = position.id or new_id()
        settings = wandb.Settings(
            console="off", silent=True, disable_git=True, save_code=False, init_timeout=WAIT, finish_timeout=WAIT
        )
        wandb.setup(settings=settings)
        facts.folder.mkdir(parents=True, exist_ok=True)
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "evenodds"),
            id=run_id,
            name=facts.name,
            group=facts.group,
            dir=str(facts.folder),
            config=dict(facts.settings),
            allow_val_change=True,
            resume="allow",
            reinit="create_new",
            settings=settings,
        )
        self._run.define_metric("images")
        self._run.define_metric("*", step_metric="images")
        return replace(position, id=run_id)

    def figures(self, images: int, values: Mapping[str, float]) -> None:
        self._run.log({**values, "images": images})

    def note(self, images: int, name: str, text: str) -> None:
        self._run.log({name: text, "images": images})

    def picture(self, images: int, pixels: NDArray[np.uint8]) -> None:
        import wandb

        self._run.log({"samples": wandb.Image(pixels), "images": images})

    def end(self, finished: bool) -> None:
        self._run.finish(exit_code=0)


@dataclass
class Wandb(Logging):
    """`log=wandb`: WANDB_MODE=offline keeps it here, for `wandb sync`."""

    name: ClassVar[str] = "wandb"

    @classmethod
    def make_store(cls) -> Store:
        return _Runs()
