"""From images back to z on MNIST: an encoder after the fact, and one that is learned along with the generator.

Arms, each with the same minutes of processor time, the same networks (dcgan of width 24) and the same loss:

- posthoc: Generate for 60 % of the time, then Infer with the generator fixed.
- bidirectional: the game of pairs (BiGAN, ALI).
- bidirectional-cycle: the same, with the squared error of E(G(z)) at weight 1.
- untrained: codes of an encoder and pictures of a generator as they start; the control.
- pixels: 1-NN on the images themselves.

Each is judged on the 10,000 test images: 1-NN accuracy in z with the 60,000 training codes, the squared error of
G(E(x)) in [-1, 1], that of the mean training image beside it, and, for the first 200, that of G(z) where z was refined
from E(x) and from draws of the prior; and on 10,000 draws the squared error of E(G(z)), where a constant answer has 1.
Donahue et al. (2017), table 1, have 97.39 % for 1-NN in the codes of BiGAN: fully connected networks of width 1024,
400 epochs.

    python benchmarks/inference.py --minutes 10            # what is in results/inference.json is not done again
    python benchmarks/inference.py --minutes 10 --arms posthoc --seeds 0 1 2
    python benchmarks/inference.py --minutes 1 --arms posthoc --out try
"""

import argparse
import json
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
from evenodds.data.arrays import from_array
from evenodds.data.batches import Batches
from evenodds.files.write import write_json
from evenodds.game.rules import Progress, Task
from evenodds.game.schedule import cosine
from evenodds.game.trainer import Training
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

SHAPE, PRIOR, WIDTH, SEEN = (1, 28, 28), Normal(64), 24, 64
CONTEST = Contest(relativistic_paired, r1_r2, weight=0.3, every=8, fused=True)
GENERATION = 0.6  # share of the posthoc arm's time
REFINED = 200
RESULTS = Path(__file__).parent / "results"


@dataclass
class Clock:
    """Ends a run after so many seconds of processor time, and lets learning rates fall by the share that is over."""

    seconds: float
    begun: float = field(default_factory=time.process_time)

    def share(self) -> float:
        return min(1.0, (time.process_time() - self.begun) / self.seconds)

    def rate(self, progress: Progress) -> float:
        return cosine(0.3, 0.02)(Progress(total=1000, images=round(1000 * self.share())))

    def begin(self, training: Training) -> None:
        """Nothing to open."""

    def after_round(self, training: Training) -> None:
        training.stop = self.share() >= 1

    def end(self, training: Training) -> None:
        """Nothing to close."""


def new_players(pairs: bool) -> dict[str, nn.Module]:
    """Spectral norms would bound the encoder's slopes; it takes batch norm, the discriminators nothing."""
    discriminator = dcgan.Discriminator(SHAPE, width=WIDTH, norm="none", outputs=SEEN if pairs else 1)
    return {
        "generator": dcgan.Generator(PRIOR.size, SHAPE, width=WIDTH),
        "encoder": dcgan.Discriminator(SHAPE, width=WIDTH, norm="batch", **encoder_options(PRIOR.size)),
        "discriminator": JointDiscriminator(discriminator, SHAPE, PRIOR.size, outputs=SEEN) if pairs else discriminator,
    }


def play(task: Task, players: dict[str, nn.Module], feed: Batches, seconds: float, seed: int) -> int:
    """Images shown."""
    clock = Clock(seconds)
    adam = {name: torch.optim.Adam(p.parameters(), 2e-3, betas=(0.0, 0.99)) for name, p in players.items()}
    playing = Game(task, players)
    learner = Gradient(adam, clock.rate)
    return train(playing, feed, learner, Local(), images=10**9, seed=seed, listeners=[clock]).images


def trained(arm: str, feed: Batches, seconds: float, seed: int) -> tuple[dict[str, nn.Module], dict[str, int]]:
    """The players of one arm, and how many images each training showed."""
    torch.manual_seed(seed)
    players, shown = new_players(arm.startswith("bidirectional")), {}
    if arm == "posthoc":
        shown["generate"] = play(Generate(PRIOR, CONTEST), players, feed, GENERATION * seconds, seed)
        shown["infer"] = play(Infer(PRIOR), players, feed, (1 - GENERATION) * seconds, seed)
    elif arm != "untrained":
        task = Bidirectional(PRIOR, CONTEST, cycle=1.0 if arm.endswith("cycle") else 0.0)
        shown["pairs"] = play(task, players, feed, seconds, seed)
    return {name: player.eval() for name, player in players.items()}, shown


@torch.no_grad()
def each(player: nn.Module, x: Tensor) -> Tensor:
    return torch.cat([player(part) for part in x.split(1000)])


def neighbours(train_codes: Tensor, train_y: Tensor, codes: Tensor, y: Tensor) -> float:
    """The share whose nearest training code has their class."""
    nearest = torch.cat([torch.cdist(part, train_codes).argmin(1) for part in codes.split(250)])
    return float((train_y[nearest] == y).double().mean())


def error(made: Tensor, x: Tensor) -> float:
    return round(float((made - x).square().mean()), 5)


def figures_of(players: dict[str, nn.Module], real: dict[str, Tensor]) -> tuple[dict[str, float], Tensor]:
    """The figures of one arm; and originals, reconstructions and refined ones, 16 of each."""
    generator, encoder = players["generator"], players["encoder"]
    x, some, rng = real["x_test"], real["x_test"][:REFINED], torch.Generator().manual_seed(1)
    codes, z = each(encoder, x), PRIOR(10_000, rng)
    made = each(generator, codes)
    from_code, from_draw = (refine(generator, some, z0, steps=100) for z0 in (codes[:REFINED], PRIOR(REFINED, rng)))
    figures = {
        "nearest_neighbour_accuracy": neighbours(
            each(encoder, real["x_train"]), real["y_train"], codes, real["y_test"]
        ),
        "reconstruction_error": error(made, x),
        "mean_image_error": error(real["x_train"].mean(0), x),
        "refined_error": error(each(generator, from_code), some),
        "refined_from_draws_error": error(each(generator, from_draw), some),
        "cycle_error": error(each(encoder, each(generator, z)), z),
    }
    return figures, torch.cat([x[:16], made[:16], each(generator, from_code[:16])])


def arrays() -> dict[str, Tensor]:
    """x in [-1, 1], (N, 1, 28, 28), channels last, and y."""
    read = reference_classifier.read("mnist")
    x = {name: 2 * reference_classifier.prepared(read[name]) - 1 for name in ("x_train", "x_test")}
    return {**x, **{name: torch.from_numpy(read[name]).long() for name in ("y_train", "y_test")}}


def measured(arm: str, seed: int, minutes: float, real: dict[str, Tensor], out: Path) -> dict[str, object]:
    begun, worked = time.perf_counter(), time.process_time()
    if arm == "pixels":
        flat = {name: real[name].flatten(1) for name in ("x_train", "x_test")}
        accuracy = neighbours(flat["x_train"], real["y_train"], flat["x_test"], real["y_test"])
        return {"nearest_neighbour_accuracy": accuracy}
    feed = Batches(from_array(np.ascontiguousarray(reference_classifier.read("mnist")["x_train"])), None, 64, seed)
    players, shown = trained(arm, feed, 60 * minutes, seed)
    spent = {"seconds": round(time.perf_counter() - begun, 1), "cpu_seconds": round(time.process_time() - worked, 1)}
    figures, rows = figures_of(players, real)
    picture = ((rows + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
    if arm != "untrained" and not seed:
        pictures.write(out / f"inference-{arm}.png", pictures.enlarge(pictures.grid(picture, columns=16), 900))
    machine = {"threads": torch.get_num_threads(), "torch": torch.__version__}
    return {**figures, "images": shown, "minutes": minutes, **spent, **machine}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = ["posthoc", "bidirectional", "bidirectional-cycle", "untrained", "pixels"]
    parser.add_argument("--arms", nargs="+", default=known, choices=known)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="a picture is written for 0")
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
            results[key] = measured(arm, seed, arguments.minutes, real, arguments.out)
            write_json(path, results)
            print(key, json.dumps(results[key]), flush=True)


if __name__ == "__main__":
    main()
