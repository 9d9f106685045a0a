"""A run logged by MLflow: where MLFLOW_TRACKING_URI says, else in its local store."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from evenodds.runs.listeners._logging import Facts, Logging, Position, Store

__all__ = ["MLflow"]

MOST_PARAMETERS = 100
"""Of one request."""
LONGEST = 500
"""Characters of a parameter, which every store takes."""


class _Runs:
    """Runs of an MLflow store, by its client, which has no state that a program shares."""

    def begin(self, facts: Facts, position: Position) -> Position:
        import mlflow

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        uri = os.environ.get("MLFLOW_TRACKING_URI") or position.place or mlflow.get_tracking_uri()
        self._client: Any = mlflow.MlflowClient(uri)
        self._run = position.id or self._new(facts)
        self._client.update_run(self._run, status="RUNNING")  # fails where the store does not have it
        return replace(position, id=self._run, place=uri)

    def _new(self, facts: Facts) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "evenodds")
        there = self._client.get_experiment_by_name(name)
        experiment = there.experiment_id if there is not None else self._client.create_experiment(name)
        run: str = self._client.create_run(experiment, run_name=facts.name, tags={"group": facts.group}).info.run_id
        from mlflow.entities import Param

        settings = [Param(key, str(value)[:LONGEST]) for key, value in facts.settings.items()]
        for first in range(0, len(settings), MOST_PARAMETERS):
            self._client.log_batch(run, params=settings[first : first + MOST_PARAMETERS])
        return run

    def figures(self, images: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        self._client.log_batch(self._run, metrics=[Metric(name, value, now, images) for name, value in values.items()])

    def note(self, images: int, name: str, text: str) -> None:
        self._client.set_tag(self._run, name, text)
        self._client.log_text(self._run, text, f"{name}/{images:012d}.txt")

    def picture(self, images: int, pixels: NDArray[np.uint8]) -> None:
        self._client.log_image(self._run, pixels, key="samples", step=images, synchronous=True)

    def end(self, finished: bool) -> None:
        self._client.set_terminated(self._run, "FINISHED" if finished else "KILLED")


@dataclass
class MLflow(Logging):
    """`log=mlflow`: look with `mlflow ui`."""

    name: ClassVar[str] = "mlflow"

    @classmethod
    def make_store(cls) -> Store:
        return _Runs()
