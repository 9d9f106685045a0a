"""Players that are fitted to the data before the first round."""

from __future__ import annotations

import time
from typing import Any

from evenodds.game.arithmetic import evenly
from evenodds.game.seeds import mix
from evenodds.runs.assembly import Run
from evenodds.runs.choosing import Choice

__all__ = ["fitted_players"]

MOST = 20_000
"""Items that a player is fitted to; of more, so many spread evenly."""


def fitted_players(run: Run) -> list[Choice]:
    """Fits the generators of a run that have a `fit`, and their averages, to the training items.

    Returns:
        What was fitted, as it is kept in choices.json.
    """
    choices = []
    for number, (name, player) in enumerate(run.game.players.items()):
        fit: Any = next((part.fit for part in player.modules() if hasattr(part, "fit")), None)
        if not name.startswith("generator") or fit is None:
            continue
        begun = time.process_time()
        index = run.train_index[evenly(len(run.train_index), MOST)]
        places = [column.places for column in run.dataset.units.columns]
        rows = run.dataset.batch(index)
        labels = rows.get("y") if run.task.condition_kind == "classes" else None
        fit(rows["x"], mix(run.config.seed, -2, number), places, labels)
        if run.average is not None and name in run.average.copies:
            run.average.copies[name].load_state_dict(player.state_dict())
        seconds = round(time.process_time() - begun, 1)
        reason = f"{name}: {run.config.generator.name} fitted to {len(index):,} rows"
        choices.append(Choice(f"{name}.fit", len(index), f"{reason} in {seconds} s of processor time"))
    return choices
