"""Players that are no networks: does an evolved mixture of Gaussians find the truth against trees, and polynomials?

Nothing here has a gradient that crosses from one player to the other. On the ring of 8 the discriminator is a boosted
ensemble of trees, on the mixture of 3 on the line a logistic regression on polynomial features, cubic pieces between 20
knots; both are refitted by `Fit`. The generator is a mixture of Gaussians that `Evolution` moves. Its density is known,
and so is the data's: the Jensen-Shannon divergence is a sum over a fine grid, in nats, without samples.

What results/non_neural.json holds already is not done again.

    OMP_NUM_THREADS=1 python benchmarks/non_neural.py [ring mixture] [--seeds 3]
"""

import argparse
import json
import math
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer
from torch import Tensor

from evenodds import Game, Local, train
from evenodds.data.batches import Batches
from evenodds.data.dataset import Dataset
from evenodds.data.readers.toys import Mixture1D, Ring, mixture, ring
from evenodds.files.write import write_json
from evenodds.game.learners import Evolution, Fit, Learner
from evenodds.game.schedule import cosine
from evenodds.game.seeds import mix
from evenodds.metrics.divergence import jensen_shannon
from evenodds.metrics.modes import mode_coverage
from evenodds.parts.losses import adversarial
from evenodds.parts.nonneural.fitted import Classifier
from evenodds.parts.nonneural.transformations import Gaussians
from evenodds.parts.priors import Normal
from evenodds.tasks.contest import Contest
from evenodds.tasks.generate import Generate

FILE = Path(__file__).parent / "results" / "non_neural.json"


@dataclass(frozen=True)
class Stage:
    """One stretch of a game: rounds, the learning rate at its start, the noise of evolution, and of the view.

    Where modes are a hundredth of the way between them, no sample lands on most of them by chance, and trees say the
    same of all that lies between. Seen through noise first, real and fake alike, as in Sonderby et al. (2017), they
    are as wide as they need to be.
    """

    rounds: int
    rate: float
    sigma: float
    blur: float = 0.0


@dataclass(frozen=True)
class Settings:
    """How a game is played."""

    parts: int
    spread: float
    stages: tuple[Stage, ...]
    rows: int
    every: int = 1
    batch: int = 512
    pairs: int = 8
    loss: str = "non_saturating"
    betas: tuple[float, float] = (0.9, 0.99)


SETTINGS = {
    "ring": Settings(
        parts=16,
        spread=0.15,
        rows=4096,
        batch=768,
        pairs=16,
        stages=(
            Stage(700, 0.02, 0.03, 0.12),
            Stage(200, 0.01, 0.02, 0.04),
            Stage(250, 0.005, 0.01, 0.015),
            Stage(450, 0.003, 0.004, 0.0),
        ),
    ),
    "mixture": Settings(
        parts=6,
        spread=0.2,
        rows=4096,
        stages=(Stage(400, 0.03, 0.03, 0.1), Stage(300, 0.01, 0.02, 0.03), Stage(300, 0.005, 0.01, 0.0)),
    ),
}
DATA: dict[str, tuple[Any, Any]] = {"ring": (Ring(), ring), "mixture": (Mixture1D(), mixture)}


def estimator(name: str) -> Any:
    if name == "ring":
        return HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=12, learning_rate=0.2, early_stopping=False)
    return make_pipeline(
        SplineTransformer(n_knots=20, degree=3, extrapolation="linear"),
        LogisticRegression(C=1e3, solver="newton-cholesky"),
    )


def blurred(deviation: float, x: Tensor, uniform: Tensor) -> Tensor:
    """A view, (N, D) and uniform numbers (N, D) -> (N, D): normal noise is added."""
    noise: Tensor = torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6))
    return x + deviation * noise


def play(name: str, data: Dataset, seed: int, settings: Settings) -> Gaussians:
    """The generator after the game, whose stages all have the same players, and a fresh optimizer each."""
    size = data.shape[0]
    generator = Gaussians(size, settings.parts, spread=settings.spread, seed=seed)
    discriminator = Classifier(estimator(name))
    players = {"generator": generator, "discriminator": discriminator}
    for number, stage in enumerate(settings.stages):
        contest = Contest(getattr(adversarial, settings.loss), view=partial(blurred, stage.blur), view_dice=size)
        game = Game(Generate(Normal(size + 1), contest), {**players})
        adam = torch.optim.Adam(generator.parameters(), stage.rate, betas=settings.betas)
        learners: dict[str, Learner] = {
            "generator": Evolution(
                {"generator": adam},
                cosine(),
                sigma=stage.sigma,
                pairs=settings.pairs,
                at_once=2 * settings.pairs,
                seed=mix(seed, number),
            ),
            "discriminator": Fit({"discriminator": discriminator}, rows=settings.rows, every=settings.every, seed=seed),
        }
        feed = Batches(data, None, settings.batch, seed=mix(seed, number))
        train(game, feed, learners, Local(), images=stage.rounds * settings.batch, seed=mix(seed, number))
    return generator


@torch.no_grad()
def log_density(generator: Gaussians, x: Tensor) -> Tensor:
    """(N, D) float64 on the model's scale -> (N,). Deviations below 1e-3, a hairline, count as 1e-3."""
    factors = generator.factors.double()
    covariance = factors @ factors.mT + 1e-6 * torch.eye(generator.size, dtype=torch.float64)
    parts = torch.distributions.MultivariateNormal(generator.means.double(), covariance)
    share = generator.weights.double().log_softmax(0)
    return torch.cat([(parts.log_prob(some[:, None]) + share).logsumexp(1) for some in x.split(50_000)])


def divergence(generator: Gaussians, density: Any, cells: int) -> float:
    """Nats, on a grid over [-1.2, 1.2] of the model's scale; all that the generator puts beyond is one more cell."""
    line = (torch.arange(cells, dtype=torch.float64) + 0.5) * (2.4 / cells) - 1.2
    x = torch.cartesian_prod(*[line] * generator.size).view(-1, generator.size)
    fake = log_density(generator, x).exp() * (2.4 / cells) ** generator.size
    real = density.log_prob(density.units.to_data(x)).exp()
    beyond = (1 - fake.sum()).clamp_min(0)[None]
    return float(jensen_shannon(torch.cat([real, torch.zeros(1)]), torch.cat([fake, beyond])))


@torch.no_grad()
def modes(generator: Gaussians, density: Any) -> dict[str, Any]:
    """Modes with a third of their due or more among 20,000 samples, within 3 deviations of a mode's centre."""
    z = Normal(generator.size + 1)(20_000, torch.Generator().manual_seed(1234))
    x = density.units.to_data(generator(z)).double()
    weights, sigmas = density._parts()
    shares = [mode_coverage(x, density.modes, float(sigma)).share[k] for k, sigma in enumerate(sigmas)]
    due = torch.stack(shares) / weights
    return {
        "modes": int((due >= 1 / 3).sum()),
        "of": len(due),
        "least_share_of_its_due": round(float(due.min()), 3),
    }


def cell(name: str, seed: int, settings: Settings) -> dict[str, Any]:
    density, draw = DATA[name]
    data = draw(100_000, seed=seed)
    cells = 1200 if name == "ring" else 20_000
    before = Gaussians(data.shape[0], settings.parts, spread=settings.spread, seed=seed)
    wall, processor = time.perf_counter(), time.process_time()
    generator = play(name, data, seed, settings)
    seconds = {"wall": round(time.perf_counter() - wall, 1), "processor": round(time.process_time() - processor, 1)}
    return {
        "jsd_nats": round(divergence(generator, density, cells), 4),
        "jsd_nats_at_the_start": round(divergence(before, density, cells), 4),
        **modes(generator, density),
        "seconds": seconds,
        "settings": asdict(settings),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[*SETTINGS])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    known = json.loads(FILE.read_text())["cells"] if FILE.exists() else {}
    for name in arguments.names:
        for seed in range(arguments.seeds):
            key = f"{name}, seed {seed}"
            if key not in known:
                known[key] = cell(name, seed, SETTINGS[name])
                about = {"worst_possible": round(math.log(2), 4), "torch": torch.__version__}
                write_json(FILE, {**about, "cells": known})
            print(key, json.dumps({k: v for k, v in known[key].items() if k != "settings"}), flush=True)


if __name__ == "__main__":
    main()
