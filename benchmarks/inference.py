"""From images back to z on MNIST: an encoder after the fact, and one that is learned along with the generator.

Arms, each with the same minutes of processor time, the same networks (dcgan of width 24) and the same loss:

- posthoc: Generate for 60 % of the time, then Infer with the generator fixed.
- invertible: the game of Invertible with z of 32 numbers, E(G(z)) near z and G(E(x)) near real x.
- bidirectional: the game of pairs (BiGAN, ALI).
- bidirectional-cycle: the same, with the squared error of E(G(z)) at weight 1.
- untrained: codes of an encoder and pictures of a generator as they start; the control.
- pixels: 1-NN on the images themselves.

Each is judged on the 10,000 test images: 1-NN accuracy in z with the 60,000 training codes, the squared error of
G(E(x)) in [-1, 1], that of the mean training image beside it, and, for the first 200, that of G(z) where z was refined
from E(x) and from draws of the prior; and on 10,000 draws the squared error of E(G(z)), where a constant answer has 1,
and the Fréchet distance of G(z) and test images in 64 principal components of pixels.
Donahue et al. (2017), table 1, have 97.39 % for 1-NN in the codes of BiGAN: fully connected networks of width 1024,
400 epochs.

    python benchmarks/inference.py --minutes 10            # what is in results/inference.json is not done again
    python benchmarks/inference.py --minutes 10 --arms posthoc --seeds 0 1 2
    python benchmarks/inference.py --minutes 1 --arms posthoc --out try
    python benchmarks/inference.py --minutes 40 --arms invertible --piece 10    # call it until the cell is there
"""

import argparse
import json
import math
import time
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import reference_classifier
from common.stored import stored_results
from evenodds import Game, Gradient, Local, train
from evenodds.apply.latent import refine
from evenodds.data.batches import Batches
from evenodds.data.readers.arrays import from_array
from evenodds.files.write import write_json
from evenodds.game import checkpoint
from evenodds.game.checkpoint import PlayersState
from evenodds.game.rules import Progress, Task
from evenodds.game.schedule import cosine
from evenodds.game.trainer import Training
from evenodds.metrics.frechet import frechet
from evenodds.parts.losses.adversarial import relativistic_paired
from evenodds.parts.losses.penalties import r1_r2
from evenodds.parts.networks import dcgan
from evenodds.parts.networks._joint import JointDiscriminator
from evenodds.parts.priors import Normal
from evenodds.show import pictures
from evenodds.tasks.bidirectional import Bidirectional
from evenodds.tasks.contest import Contest
from evenodds.tasks.generate import Generate
from evenodds.tasks.infer import Infer, encoder_options
from evenodds.tasks.invertible import Invertible

SHAPE, PRIOR, WIDTH, SEEN = (1, 28, 28), Normal(64), 24, 64
SMALL_PRIOR = Normal(32)
"""That of the arms named invertible."""
CONTEST = Contest(relativistic_paired, r1_r2, weight=0.3, every=8, fused=True)
GENERATION = 0.6  # share of the posthoc arm's time
REFINED = 200
COMPONENTS = 64
RESULTS = Path(__file__).parent / "results"


@dataclass
class Clock:
    """Ends a run after so many seconds of processor time, and lets learning rates fall by the share that is over.

    Args:
        seconds: of the run.
        piece: of this call; the next one goes on.
        spent: by calls before.
    """

    seconds: float
    piece: float = math.inf
    spent: float = 0.0
    begun: float = field(default_factory=time.process_time)

    def total(self) -> float:
        return self.spent + time.process_time() - self.begun

    def share(self) -> float:
        return min(1.0, self.total() / self.seconds)

    def rate(self, progress: Progress) -> float:
        return cosine(0.3, 0.02)(Progress(total=1000, images=round(1000 * self.share())))

    def begin(self, training: Training) -> None:
        """Nothing to open."""

    def after_round(self, training: Training) -> None:
        training.stop = self.share() >= 1 or self.total() - self.spent >= self.piece

    def end(self, training: Training) -> None:
        """Nothing to close."""


class Unfinished(Exception):
    """A run whose next piece is due."""


def new_players(arm: str) -> dict[str, nn.Module]:
    """Spectral norms would bound the encoder's slopes; it takes batch norm or none, the discriminators nothing."""
    pairs, size = arm.startswith("bidirectional"), prior_of(arm).size
    discriminator = dcgan.Discriminator(SHAPE, width=WIDTH, norm="none", outputs=SEEN if pairs else 1)
    norm = "none" if arm.startswith("invertible") else "batch"
    return {
        "generator": dcgan.Generator(size, SHAPE, width=WIDTH),
        "encoder": dcgan.Discriminator(SHAPE, width=WIDTH, norm=norm, **encoder_options(size)),
        "discriminator": JointDiscriminator(discriminator, SHAPE, size, outputs=SEEN) if pairs else discriminator,
    }


def prior_of(arm: str) -> Normal:
    return SMALL_PRIOR if arm.startswith("invertible") else PRIOR


def play(
    task: Task, players: dict[str, nn.Module], feed: Batches, seconds: float, seed: int, place: Path, piece: float
) -> tuple[int, float]:
    """Images shown, and seconds of processor time.

    Args:
        place: folder of what an unfinished run needs to go on.
        piece: seconds of processor time after which Unfinished is raised.
    """
    clock, progress = Clock(seconds, piece), Progress(total=10**9)
    # An encoder plays against nobody: where it learns along, it is given its momentum.
    momentum = {"encoder": 0.9} if isinstance(task, Invertible) else {}
    adam = {
        name: torch.optim.Adam(p.parameters(), 2e-3, betas=(momentum.get(name, 0.0), 0.99))
        for name, p in players.items()
    }
    learner = Gradient(adam, clock.rate)
    parts = {"players": PlayersState(players), "learner": learner}
    for kept in checkpoint.listing(place)[-1:]:
        states, _ = checkpoint.load(kept)
        checkpoint.restore(parts, states)
        progress = Progress(**json.loads((place / "progress.json").read_text()))
        clock.spent = json.loads((place / "spent.json").read_text())
    if clock.share() < 1:
        train(
            Game(task, players), feed, learner, Local(), images=10**9, seed=seed, progress=progress, listeners=[clock]
        )
    if clock.piece < math.inf:
        checkpoint.save(place / str(progress.images), parts, {})
        write_json(place / "progress.json", {"total": 10**9, "images": progress.images, "round": progress.round})
        write_json(place / "spent.json", clock.total())
    if clock.share() < 1:
        raise Unfinished(f"{clock.share():.0%} of {place.name}, {progress.images:,} images")
    return progress.images, clock.total()


def trained(
    arm: str, feed: Batches, seconds: float, seed: int, place: Path, piece: float
) -> tuple[dict[str, nn.Module], dict[str, int], float]:
    """The players of one arm, how many images each training showed, and seconds of processor time of them all."""
    torch.manual_seed(seed)
    players, prior, shown, spent = new_players(arm), prior_of(arm), {}, 0.0

    def played(what: str, task: Task, share: float = 1.0) -> None:
        nonlocal spent
        shown[what], more = play(task, players, feed, share * seconds, seed, place / what, piece)
        spent += more

    if arm == "posthoc":
        played("generate", Generate(prior, CONTEST), GENERATION)
        played("infer", Infer(prior), 1 - GENERATION)
    elif arm == "invertible":
        played("both", Invertible(prior, CONTEST))
    elif arm != "untrained":
        played("pairs", Bidirectional(prior, CONTEST, cycle=1.0 if arm.endswith("cycle") else 0.0))
    return {name: player.eval() for name, player in players.items()}, shown, spent


@torch.no_grad()
def each(player: nn.Module, x: Tensor) -> Tensor:
    return torch.cat([player(part) for part in x.split(1000)])


def neighbours(train_codes: Tensor, train_y: Tensor, codes: Tensor, y: Tensor) -> float:
    """The share whose nearest training code has their class."""
    nearest = torch.cat([torch.cdist(part, train_codes).argmin(1) for part in codes.split(250)])
    return float((train_y[nearest] == y).double().mean())


def distance(made: Tensor, x: Tensor) -> float:
    """The Fréchet distance of samples and test images in the first 64 principal components of the latter."""
    made, x = made.flatten(1).double(), x.flatten(1).double()
    first = torch.linalg.eigh(torch.cov(x.T)).eigenvectors[:, -COMPONENTS:]
    return float(frechet(x @ first, made @ first))


def error(made: Tensor, x: Tensor) -> float:
    return round(float((made - x).square().mean()), 5)


def figures_of(
    players: dict[str, nn.Module], real: dict[str, Tensor], prior: Normal
) -> tuple[dict[str, float], Tensor]:
    """The figures of one arm; and originals, reconstructions and refined ones, 16 of each."""
    generator, encoder = players["generator"], players["encoder"]
    x, some, rng = real["x_test"], real["x_test"][:REFINED], torch.Generator().manual_seed(1)
    codes, z = each(encoder, x), prior(10_000, rng)
    made, drawn = each(generator, codes), each(generator, z)
    from_code, from_draw = (refine(generator, some, z0, steps=100) for z0 in (codes[:REFINED], prior(REFINED, rng)))
    figures = {
        "nearest_neighbour_accuracy": neighbours(
            each(encoder, real["x_train"]), real["y_train"], codes, real["y_test"]
        ),
        "reconstruction_error": error(made, x),
        "mean_image_error": error(real["x_train"].mean(0), x),
        "refined_error": error(each(generator, from_code), some),
        "refined_from_draws_error": error(each(generator, from_draw), some),
        "cycle_error": error(each(encoder, drawn), z),
        "distance": round(distance(drawn, x), 3),
    }
    return figures, torch.cat([x[:16], made[:16], each(generator, from_code[:16])])


def arrays() -> dict[str, Tensor]:
    """x in [-1, 1], (N, 1, 28, 28), channels last, and y."""
    read = reference_classifier.read("mnist")
    x = {name: 2 * reference_classifier.prepared(read[name]) - 1 for name in ("x_train", "x_test")}
    return {**x, **{name: torch.from_numpy(read[name]).long() for name in ("y_train", "y_test")}}


def measured(
    arm: str, seed: int, minutes: float, real: dict[str, Tensor], out: Path, piece: float
) -> dict[str, object]:
    if arm == "pixels":
        flat = {name: real[name].flatten(1) for name in ("x_train", "x_test")}
        accuracy = neighbours(flat["x_train"], real["y_train"], flat["x_test"], real["y_test"])
        return {"nearest_neighbour_accuracy": accuracy}
    feed = Batches(from_array(np.ascontiguousarray(reference_classifier.read("mnist")["x_train"])), None, 64, seed)
    place = out / f"{arm}-{minutes:g}-{seed}.pieces"
    players, shown, spent = trained(arm, feed, 60 * minutes, seed, place, 60 * piece)
    figures, rows = figures_of(players, real, prior_of(arm))
    picture = ((rows + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
    if arm != "untrained" and not seed:
        pictures.write(out / f"inference-{arm}.png", pictures.enlarge(pictures.grid(picture, columns=16), 900))
    machine = {"threads": torch.get_num_threads(), "torch": torch.__version__}
    return {**figures, "images": shown, "minutes": minutes, "cpu_seconds": round(spent, 1), **machine}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = ["posthoc", "invertible", "bidirectional", "bidirectional-cycle", "untrained", "pixels"]
    parser.add_argument("--arms", nargs="+", default=known, choices=known)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="a picture is written for 0")
    parser.add_argument("--piece", type=float, default=math.inf, help="minutes of processor time of a call")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "inference.json"
    results = stored_results(path)
    real = arrays()
    for arm, seed in product(arguments.arms, arguments.seeds):
        key = f"{arm}, {arguments.minutes:g} minutes, seed {seed}"
        if key not in results:
            try:
                results[key] = measured(arm, seed, arguments.minutes, real, arguments.out, arguments.piece)
            except Unfinished as piece:
                raise SystemExit(f"{key}: {piece}; call again to go on") from None
            write_json(path, results)
            print(key, json.dumps(results[key]), flush=True)


if __name__ == "__main__":
    main()
