"""Do the losses, penalties and regularisers that are no default train? Each once on the ring, and each way by class.

Every arm has the same networks and data, on one thread. A run of `ring` has 8 seconds by the clock of the processor,
one of `digits` 20,000 images; both are short, so that they tell what trains and stays finite, and not what is best at
its end. On `ring`: modes that
are found of 8, samples within 3 sigma of one, the held-out score. On `digits`, by class: samples that three nearest
real digits take for the class that was asked for, and the held-out score. On `paths`, the same of a style-based
generator, and how much the lengths of its paths vary. What the results file holds is not done again.

    python benchmarks/parts.py                            # all stages
    python benchmarks/parts.py ring --seeds 0 1 2 --budget 8s
    python benchmarks/parts.py digits --arms multi_hinge
"""

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from coordination import RESULTS, Settings, held_out, one, one_thread, show, table
from evenodds.data.readers.toys import Ring
from evenodds.experimental.path_length import path_lengths
from evenodds.metrics.modes import mode_coverage
from evenodds.runs.session import Session

WASSERSTEIN: Settings = {"loss": "wasserstein"}
AUTOENCODER: Settings = {"discriminator.code": 1, "penalty": None}
DISTANCE: Settings = {"discriminator.outputs": 8, "simultaneous": False}
RING: dict[str, Settings] = {
    "the recipe (relativistic, R1 + R2)": {},
    "energy": {"loss": "energy"},
    "energy of an autoencoder": {"loss": "energy", **AUTOENCODER, "loss.margin": 0.1},
    "boundary, diversity 0.9": {"loss": "boundary", "loss.diversity": 0.9, **AUTOENCODER},
    "dual contrastive": {"loss": "dual_contrastive"},
    "kernel, 8 outputs": {"loss": "kernel", **DISTANCE},
    "Cramer, 8 outputs": {"loss": "cramer", **DISTANCE},
    "Wasserstein divergence": {**WASSERSTEIN, "penalty": "wasserstein_divergence", "penalty_weight": 2.0},
    "Wasserstein, largest gradient": {**WASSERSTEIN, "penalty": "largest_gradient", "penalty_weight": 1.0},
    "Wasserstein, clipped": {
        **WASSERSTEIN, "penalty": None, "clip": 0.01, "discriminator_steps": 5, "optimizer": "RMSprop",
        "learning_rate": 5e-5,
    },
    "historical averaging": {"historical": 0.01},
    "orthogonal weights": {"orthogonal": 1e-4, "orthogonal.of": "both"},
    "pseudo augmentation": {"pseudo": 0.8},
}  # fmt: skip
HINGE: Settings = {"loss": "hinge", "simultaneous": False}
DIGITS: dict[str, Settings] = {
    "projection": {**HINGE, "task.way": "projection"},
    "auxiliary": {**HINGE, "task.way": "auxiliary"},
    "contrastive": {**HINGE, "task.way": "contrastive"},
    "data_to_data": {**HINGE, "task.way": "data_to_data"},
    "multi_hinge": {**HINGE, "task.way": "multi_hinge"},
}
"""Ways to tell the discriminator the class, all with the hinge loss."""
STYLES: Settings = {
    "task": "condition", "generator": "style", "generator.width": 16, "generator.bottom": 4, "generator.styles": 32,
    "learning_rate": 0.015, "discriminator_learning_rate": 0.002,
}  # fmt: skip
PATHS: dict[str, Settings] = {"style": STYLES, "style, lengths of paths": {**STYLES, "pathlength": 2.0}}
"""A style-based generator with the recipe's loss, without and with the cost of path lengths."""


def on_the_ring(session: Session) -> dict[str, Any]:
    """Modes found, the share of samples within 3 sigma of one, the held-out score."""
    density = Ring()
    share, close = mode_coverage(torch.as_tensor(session.sample(10_000, seed=1)), density.modes, density.sigma)
    covered = int((share > 0).sum())
    return {
        "modes": covered,
        "within 3 sigma": round(float(close), 4),
        **held_out(session),
        "failed": covered < len(share),
    }


def by_class(session: Session) -> dict[str, Any]:
    """Samples of the class that was asked for, by three nearest real digits, and the held-out score."""
    x, y = load_digits(return_X_y=True)
    labels = np.arange(10).repeat(100)
    samples = np.asarray(session.sample(len(labels), seed=1, y=labels), dtype=float)
    nearest = KNeighborsClassifier(3).fit(x, y).predict(samples.reshape(len(labels), -1))
    right = float((nearest == labels).mean())
    return {"of their class": round(right, 4), **held_out(session), "failed": right < 0.5}


def by_paths(session: Session) -> dict[str, Any]:
    """As `by_class`; and the deviation of the lengths of 1,000 paths over their mean, which the cost brings down."""
    generator, k = session.players["generator"], len(session.card.classes)
    c = torch.eye(k)[torch.arange(1000) % k]
    lengths = path_lengths(generator, torch.cat([session.prior(1000, 1), c], 1)).detach()
    return {**by_class(session), "deviation of lengths": round(float(lengths.std() / lengths.mean()), 4)}


STAGES: Mapping[str, tuple[str, str, dict[str, Settings], Callable[[Session], dict[str, Any]]]] = {
    "ring": ("ring", "8s", RING, on_the_ring),
    "digits": ("digits", "20000images", {name: {"task": "condition", **way} for name, way in DIGITS.items()}, by_class),
    "paths": ("digits", "64000images", PATHS, by_paths),
}
"""Recipe, budget of a run, arms and figures of each stage."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", default=[*STAGES], help=f"of {', '.join(STAGES)}")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--arms", nargs="*", help="only these")
    parser.add_argument("--budget", help="of a run: a time such as 8s, or a number such as 64000images")
    parser.add_argument("--out", type=Path, default=RESULTS / "parts.json")
    arguments = parser.parse_args()
    one_thread()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    for stage in arguments.stages:
        recipe, budget, arms, measure = STAGES[stage]
        chosen = {name: value for name, value in arms.items() if not arguments.arms or name in arguments.arms}
        rows = table(
            arguments.out,
            stage,
            chosen,
            arguments.seeds,
            partial(one, recipe, budget=arguments.budget or budget, measure=measure),
        )
        show(rows, "score")
