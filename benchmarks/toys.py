"""Toy densities with known p(x): does the game reach the equilibrium of the paper, and do all modes survive?

    python benchmarks/toys.py [ring grid mixture] [--seeds 0 1 2 3 4] [--budget 50s] [--threads 1]

Each run is the recipe of that name, as long as fits into the budget of processor time, by a game of two seconds before
it. Of ring and grid, samples are then drawn again by `sample --select budgeted --fit 1M`: rejected by a discriminator
that is fitted for the generator as it is. Written to benchmarks/results/NAME.json seed by seed, with a picture of the
samples of the first seed beside it; what is there already, of the recipe as it is, is not done again.
"""

import argparse
import json
import math
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import softplus

from common.stored import stored_results
from evenodds.apply import selecting
from evenodds.apply.density_ratio import ratio_of
from evenodds.data.readers.toys import Grid, Mixture1D, Ring
from evenodds.files.write import write_json
from evenodds.game.trainer import Training
from evenodds.metrics.divergence import histogram_divergence
from evenodds.metrics.modes import mode_coverage
from evenodds.runs.changes import with_settings
from evenodds.runs.config_files import recipe
from evenodds.runs.folders import as_seconds
from evenodds.runs.run import start
from evenodds.runs.sample_picture import sample_picture
from evenodds.runs.session import Session

RESULTS = Path(__file__).parent / "results"
FIT, SAMPLES = 1_000_000, 20_000
DENSITIES: dict[str, Any] = {"ring": Ring(), "grid": Grid(), "mixture": Mixture1D()}


def modes(name: str, session: Session) -> dict[str, Any]:
    """How many modes were found, the share of the least, and of samples within 3 sigma of a mode."""
    begun, said = time.process_time(), list[str]()
    fitted = ratio_of(session, FIT, say=said.append)
    seconds = round(time.process_time() - begun, 1)
    rejected = selecting.sample(fitted, SAMPLES, seed=1, select="budgeted", say=said.append)
    rejection = {"images": FIT, "processor_seconds": seconds, "said": said, **coverage(name, rejected)}
    return {**coverage(name, session.sample(SAMPLES, seed=1)), "rejection": rejection}


def coverage(name: str, x: NDArray[Any]) -> dict[str, Any]:
    """Of samples (N, 2)."""
    density = DENSITIES[name]
    points = torch.as_tensor(x)
    found = mode_coverage(points, density.modes, density.sigma)
    share, apart = found[0], torch.cdist(points.double(), density.modes).amin(1) / density.sigma
    return {
        "modes": int((share > 0).sum()),
        "of": len(share),
        "least_share_of_its_due": round(float(share.min() * len(share)), 3),
        "within_3_sigma": round(float(found[1]), 4),
        "beyond_6_sigma": round(float((apart > 6).double().mean()), 4),
    }


@torch.no_grad()
def equilibrium(session: Session) -> dict[str, Any]:
    """|D - 1/2| on the support, V(D, G) against -log 4, and the divergence of samples from fresh data."""
    density = DENSITIES["mixture"]
    x = torch.as_tensor(session.sample(100_000, seed=1))
    real = density.sample(100_000, torch.Generator().manual_seed(1234))
    logits = [session.players["discriminator"](session.card.units.to_model(v)) for v in (real, x)]
    value = -float(softplus(-logits[0]).mean() + softplus(logits[1]).mean())
    return {
        "mean_distance_of_D_from_half": round(float((logits[0].sigmoid() - 0.5).abs().mean()), 4),
        "value_plus_log_4": round(value + math.log(4), 4),
        "jsd_of_samples_nats": round(float(histogram_divergence(x[:, 0], real[:, 0], 100, -5.0, 6.5)), 4),
    }


class Rate:
    """Stops a run after so many seconds of processor time; the images shown in each of them, without the start."""

    def __init__(self, seconds: float, warm_up: int = 20) -> None:
        self.seconds, self.warm_up, self.rate = seconds, warm_up, 0.0

    def begin(self, training: Training) -> None:
        """Nothing to open."""

    def after_round(self, training: Training) -> None:
        if training.progress.round == self.warm_up:
            self.begun, self.before = time.process_time(), training.progress.images
        if training.progress.round > self.warm_up and (spent := time.process_time() - self.begun) > self.seconds:
            self.rate, training.stop = (training.progress.images - self.before) / spent, True

    def end(self, training: Training) -> None:
        """Nothing to close."""


def one(name: str, seed: int, budget: str, settings: dict[str, str]) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp())
    config = with_settings(recipe(name), {"seed": seed, **settings})
    start(replace(config, images=10**8), out=folder / "rate", listeners=[rate := Rate(2.0)])
    images = int((as_seconds(budget) - 2) * rate.rate) // config.batch * config.batch
    begun = time.process_time()
    session = start(replace(config, images=images), out=folder / "run")
    seconds = 2 + time.process_time() - begun
    if session.images < images:
        raise SystemExit(f"{name}, seed {seed}: stopped after {session.images:,} of {images:,} images; not stored")
    figures = equilibrium(session) if name == "mixture" else modes(name, session)
    if seed == 0 and not settings:
        picture(session, RESULTS / f"{name}.png", name != "mixture")
    shutil.rmtree(folder)
    return {"recipe": name, "seed": seed, "processor_seconds": round(seconds, 1), "images": session.images, **figures}


def picture(session: Session, path: Path, rejects: bool) -> None:
    """Data, samples and, where a discriminator was fitted, samples that it did not reject, side by side."""
    real = DENSITIES[session.config.recipe].sample(SAMPLES, torch.Generator().manual_seed(0)).numpy()
    columns = [real, session.sample(SAMPLES)]
    if rejects:
        columns.append(selecting.sample(ratio_of(session, FIT), SAMPLES, select="budgeted"))
    pictures = [sample_picture(session.card, x)[0] for x in columns]
    rule = np.full((len(pictures[0]), 4), 128, np.uint8)
    parts = [part for one in pictures for part in (rule, one)][1:]
    Image.fromarray(np.hstack(parts)).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[*DENSITIES])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--budget", default="50s")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[], dest="settings")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    settings = dict(pair.split("=", 1) for pair in arguments.settings)
    for name in arguments.names:
        path = RESULTS / f"{name}.json"
        about: dict[str, Any] = {"budget": arguments.budget, "threads": arguments.threads, "torch": torch.__version__}
        about["recipe"] = recipe(name).to_mapping()
        stored = {} if settings else stored_results(path)
        rows = stored.get("runs", []) if stored.get("recipe") == about["recipe"] else []
        for seed in arguments.seeds:
            if any(row["seed"] == seed for row in rows):
                continue
            rows.append(one(name, seed, arguments.budget, settings))
            print(json.dumps({**settings, **rows[-1]}), flush=True)
            if not settings:
                write_json(path, {**about, "runs": rows})


if __name__ == "__main__":
    main()
