"""Two rounds of each case on a device that is not the CPU, a line of JSON for each: python -m tests.other_device."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from evenodds.game.dial import Dial
from evenodds.game.rules import Batch, Progress
from evenodds.game.trainer import train
from evenodds.runs.assembly import Run
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from tests import pretend
from tests.stand_ins import data_for, settled

SMALL = {"generator.width": 8, "discriminator.width": 8}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "classes": (
        "digits",
        {**SMALL, "task": "condition", "prior": "mixture", "views": "flip", "view_chance": "adaptive"},
    ),
    "rows": ("small-table", {}),
    "gaps": ("fill-table", {}),
    "codes": ("codes", {**SMALL, "size": 16}),
    "few labels": ("classify-table", {}),
    "edges": ("edges", {"generator.width": 4, "size": 16, "task.crop": 16}),
    "masks": ("fill-32", {"generator.width": 4, "size": 16}),
    "maps": ("segment", {"generator.width": 4, "size": 16}),
    "larger": ("upscale-x2", {"task.realistic": True, "generator.width": 8, "generator.blocks": 1, "task.crop": 32}),
    "style": ("color-32", {**SMALL, "generator": "style", "extras": "pathlength"}),
    "views": ("color-32", {**SMALL, "views": "color,translation,cutout,jitter,deformation"}),
    "boundary": ("ring", {"loss": "boundary", "discriminator.code": 4, "penalty": "none"}),
}


class Sent:
    """Batches that are on the device before they are asked for: how they come there is not looked at."""

    def __init__(self, run: Run) -> None:
        self.size = run.feed.size
        self.batches = [run.engine.send(run.feed.at(k * self.size)) for k in range(8)]
        self.next = 0

    def at(self, position: int) -> Batch:
        self.next += 1
        return self.batches[(self.next - 1) % len(self.batches)]


def played(name: str, settings: dict[str, Any]) -> dict[str, int]:
    """The trips of a second round of each stage."""
    config = with_settings(recipe(name), {"device": pretend.NAME, "batch": 4, "held_out": 0.4, **settings})
    dataset = data_for(config, images=12)
    run = Run(settled(config, dataset), dataset)
    feed, found = Sent(run), dict[str, int]()
    for stage in (0.0, *run.task.stages):
        progress = Progress(total=1000, images=round(1000 * stage))
        for _ in range(2):
            pretend.trips.clear()
            end = progress.images + 1
            train(run.game, feed, run.learner, run.engine, images=end, progress=progress)
        found |= pretend.trips
    for part in run.parts.values():
        part.restore(part.state())
    return found


def mixed() -> dict[str, int]:
    """Fails: a number of the device beside some of the CPU."""
    Dial(1.0).to(pretend.NAME)() * torch.zeros(2)
    return {}


def drawn_elsewhere() -> dict[str, int]:
    """Fails: draws for the device by a generator of the CPU."""
    torch.rand(2, device=pretend.NAME, generator=torch.Generator())
    return {}


def waited() -> dict[str, int]:
    """A run's own parts read a number of the device."""
    pretend.trips.clear()
    run = Run(with_settings(recipe("ring"), {"device": pretend.NAME}), data_for(recipe("ring"), images=12))
    run.engine.read({"cost": torch.zeros((), device=pretend.NAME)})
    return dict(pretend.trips)


def main() -> None:
    torch.set_num_threads(1)
    pretend.begin()
    cases: dict[str, Callable[[], dict[str, int]]] = {
        **{case: partial(played, *what) for case, what in CASES.items()},
        "mixed": mixed,
        "drawn elsewhere": drawn_elsewhere,
        "waited": waited,
    }
    for case, of in cases.items():
        told: dict[str, Any] = {"case": case}
        try:
            told["trips"] = of()
        except Exception:
            told["failed"] = traceback.format_exc(limit=-8)
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
