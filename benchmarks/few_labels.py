"""MNIST or Fashion-MNIST with few labels per class, as in Table 1 of Salimans et al. (2016).

All 60,000 training images are shown, some of them with their label; the error is that on the 10,000 test images. Beside
the semi-supervised classifiers stand, for the same labels: the same network without unlabelled images, and label
spreading of scikit-learn over 10 neighbours of the labelled and further images. A seed draws the labels and the
weights. An arm is one way to learn. In those with convolutions the discriminator sees images that are moved by up to 2
pixels and mirrored; in the others no image is deformed, and no network knows which pixels lie side by side. Arithmetic
is in bfloat16. With `--choose` errors are those on the last 10,000 training images, less those with a label: with it
settings are chosen, so that no choice sees a test image. In those with shifts the network has convolutions and sees
images that are moved by up to 2 pixels, not mirrored: digits are no digits in a mirror.

What the file of results holds already is not done again.

    python benchmarks/few_labels.py                       # MNIST, 100 labels: 3 seeds of 10 minutes each, on one thread
    python benchmarks/few_labels.py --seeds 0 --minutes 3
    python benchmarks/few_labels.py --dataset fashion_mnist --labels 1000 --minutes 4
    python benchmarks/few_labels.py --arms game consistency --seeds 100 --minutes 4 --choose
"""

import argparse
import json
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from common.few_label_networks import LATENT, Convolutions, FullyConnected, Generator
from common.stored import stored_results
from evenodds import Game, Gradient, Local, Progress, train
from evenodds.data.batches import Batches
from evenodds.data.dataset import Dataset
from evenodds.data.labelled import WithLabels, draw_labels
from evenodds.data.units import Units
from evenodds.files.write import write_json
from evenodds.game.dial import View
from evenodds.game.listeners.average import Average
from evenodds.game.rules import Players
from evenodds.game.trainer import Training
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.priors import Normal
from evenodds.tasks.classify import Classify
from evenodds.tasks.contest import Contest
from reference_classifier import read

FILE = Path(__file__).parent / "results" / "few_labels.json"
PUBLISHED = {"Salimans et al., feature matching, 10 draws": 0.0093, "the same, 10 networks voting": 0.0086}
"""Table 1 of the paper, 100 labels: 93 +- 6.5 and 86 +- 5.6 wrong of 10,000, after 300 epochs."""
RATE = 3e-3
ALONE, LEAST = 0.1, 20.0
"""The share of the minutes that a network has for the labels alone, and the least seconds: it is done much sooner."""
CHOICE = 50_000
"""From this training image on, errors are read for choices."""


@dataclass(frozen=True)
class Arm:
    """One way to learn: the weights of `Classify`, the network, and what it sees of an image."""

    unsupervised: float = 0.0
    consistency: float = 0.0
    temperature: float = 1.0
    threshold: float = 0.0
    shares: tuple[float, ...] | None = None
    network: Callable[[], nn.Module] = FullyConnected
    view: View | None = None
    batch: tuple[int, int] = (100, 100)
    """Images without and with a label."""


def shifted(x: Tensor, uniform: Tensor) -> Tensor:
    """Moves by up to 2 whole pixels either way, with background at the edge.

    Args:
        x: (N, 1, H, W) in [-1, 1], whose background is -1.
        uniform: (N, 4) in [0, 1).
    """
    (n, channels, height, width), shift = x.shape, (5 * uniform[:, :2]).floor().long()
    rows = (shift[:, :1] + torch.arange(height))[:, None, :, None].expand(n, channels, height, width + 4)
    columns = (shift[:, 1:] + torch.arange(width))[:, None, None, :].expand(x.shape)
    return F.pad(x, (2, 2, 2, 2), value=-1.0).gather(2, rows).gather(3, columns)


def moved(x: Tensor, uniform: Tensor) -> Tensor:
    """The same, and mirrors every second image."""
    x = shifted(x, uniform)
    return torch.where(uniform[:, 2, None, None, None] < 0.5, x.flip(3), x)


EQUAL = (0.1,) * 10

ARMS = {
    "labels alone": Arm(),
    "game": Arm(0.5),
    "consistency": Arm(0.0, 0.3),
    "game and consistency": Arm(0.5, 0.3),
    "game and aligned consistency": Arm(0.5, 0.3, shares=EQUAL),
    "game and strong aligned consistency": Arm(0.5, 1.0, shares=EQUAL, batch=(200, 50)),
    "game and sharpened consistency": Arm(0.5, 0.3, temperature=0.5),
    "sure pseudo-labels": Arm(0.0, 1.0, temperature=0.0, threshold=0.95),
    "game and sure pseudo-labels": Arm(0.5, 1.0, temperature=0.0, threshold=0.95),
    "shifts: labels alone": Arm(network=Convolutions, view=shifted),
    "shifts: game and aligned consistency": Arm(
        0.5, 1.0, shares=EQUAL, network=Convolutions, view=shifted, batch=(200, 50)
    ),
    "shifts: game and sure pseudo-labels": Arm(
        0.5, 1.0, 0.0, 0.9, shares=EQUAL, network=Convolutions, view=shifted, batch=(200, 50)
    ),
    "convolutions: labels alone": Arm(network=Convolutions, view=moved),
    "convolutions: game and consistency": Arm(0.5, 0.3, network=Convolutions, view=moved),
    "convolutions: sure pseudo-labels": Arm(
        0.0, 1.0, temperature=0.0, threshold=0.95, network=Convolutions, view=moved
    ),
}
SPREADING = "label spreading"
DEFAULT = ("labels alone", SPREADING, "game", "consistency", "game and consistency", "game and aligned consistency")


@dataclass
class Clock:
    """Ends a run after so many seconds of processor time, and lets the rate fall to 0 over the last half of them."""

    limit: float
    test: Callable[[Players], float]
    begun: float = field(default_factory=time.process_time)
    said: int = 0

    def share(self) -> float:
        """Of the time, what is gone."""
        return (time.process_time() - self.begun) / self.limit

    def rate(self, progress: Progress) -> float:
        """Factor on the learning rates."""
        return max(0.0, min(1.0, 2 * (1 - self.share())))

    def begin(self, training: Training) -> None:
        """Nothing to open."""

    def after_round(self, training: Training) -> None:
        """After a round."""
        share = self.share()
        training.stop = share >= 1
        if int(10 * share) > self.said:
            self.said = int(10 * share)
            terms = {name: round(value, 4) for name, value in training.engine.read(training.terms).items()}
            print(
                f"{share:.0%}, {training.progress.round} rounds, error {self.test(training.game.players):.4f}, {terms}",
                flush=True,
            )

    def end(self, training: Training) -> None:
        """Nothing to close."""


def learn(
    arm: Arm, feed: WithLabels, begin: Tensor, test: dict[str, Tensor], seconds: float, seed: int
) -> tuple[nn.Module, int]:
    """The averaged classifier after so many seconds, and its rounds."""
    torch.manual_seed(seed)
    task = Classify(
        prior=Normal(LATENT),
        classes=10,
        unsupervised=arm.unsupervised,
        consistency=arm.consistency,
        temperature=arm.temperature,
        threshold=arm.threshold,
        shares=arm.shares,
        contest=Contest(non_saturating, view=arm.view, fused=True),
    )
    network: Any = arm.network()
    network.begin(begin)
    players = {"generator": Generator(), "discriminator": network}
    few = {name: part[:1000] for name, part in test.items()}  # all of them would cost seconds each time
    clock = Clock(seconds, lambda of: error(of["discriminator"], few))
    optimizers = {
        name: torch.optim.Adam(player.parameters(), RATE, betas=(0.5, 0.999), fused=True)
        for name, player in players.items()
    }
    average = Average(players, ("discriminator",), half_life_images=100_000)
    game = Game(task, players, tuple(task.moves() if arm.unsupervised else task.moves()[:1]))
    learner = Gradient(optimizers, clock.rate)
    made = train(game, feed, learner, Local(precision="bfloat16"), images=10**10, seed=seed, listeners=[average, clock])
    return average.copies["discriminator"], made.round


@torch.no_grad()
def error(network: nn.Module, test: dict[str, Tensor]) -> float:
    """The share of wrong answers, without noise."""
    calm = deepcopy(network).eval()
    said = torch.cat([calm(part).argmax(1) for part in torch.split(test["x"], 1000)])
    return round(float((said != test["y"]).float().mean()), 4)


def spread_error(x: Tensor, y: Tensor, test: dict[str, Tensor]) -> float:
    """Of label spreading among 10 neighbours; y is -1 where it may not be seen."""
    from sklearn.semi_supervised import LabelSpreading

    spread = LabelSpreading(kernel="knn", n_neighbors=10, max_iter=100).fit(x.flatten(1).numpy(), y.numpy())
    return round(float((spread.predict(test["x"].flatten(1).numpy()) != test["y"].numpy()).mean()), 4)


@torch.no_grad()
def probe_error(network: nn.Module, labelled: dict[str, Tensor], test: dict[str, Tensor]) -> float:
    """Of a logistic regression on the network's features, fitted to the labelled images."""
    from sklearn.linear_model import LogisticRegression

    calm = deepcopy(network).eval()
    of_labelled, of_test = (
        torch.cat([calm(part, features=True)[1] for part in torch.split(batch["x"], 1000)])
        for batch in (labelled, test)
    )
    probe = LogisticRegression(max_iter=1000).fit(of_labelled.numpy(), labelled["y"].numpy())
    return round(float((probe.predict(of_test.numpy()) != test["y"].numpy()).mean()), 4)


def cell(data: Dataset, test: dict[str, Tensor], arguments: argparse.Namespace, arm: str, seed: int) -> dict[str, Any]:
    """The errors of one arm for one draw of the labels."""
    assert data.y is not None
    index = draw_labels(data.y, arguments.labels // 10, seed)
    labelled = data.batch(index)
    if arguments.choose:
        unseen = torch.arange(CHOICE, len(data))
        test = data.batch(unseen[~torch.isin(unseen, index)])
    if arm == SPREADING:
        hidden = data.batch(Batches(data, None, arguments.neighbours, seed).indices(0))["x"]
        x, y = torch.cat([labelled["x"], hidden]), torch.cat([labelled["y"], torch.full((len(hidden),), -1)])
        return {"error": spread_error(x, y, test), "images": len(hidden)}
    unlabelled, size = ARMS[arm].batch
    feed = WithLabels(Batches(data, None, unlabelled, seed), data, index, size, seed)
    begin = data.batch(torch.arange(500))["x"]
    alone = not ARMS[arm].unsupervised + ARMS[arm].consistency
    seconds = max(LEAST, ALONE * 60 * arguments.minutes) if alone else 60 * arguments.minutes
    network, rounds = learn(ARMS[arm], feed, begin, test, seconds, seed)
    found = {"error": error(network, test), "logistic regression on its features": probe_error(network, labelled, test)}
    return found | {"rounds": rounds, "epochs": round(rounds * unlabelled / len(data), 1)}


def images(x: Any, y: Any) -> Dataset:
    """Arrays (N, 28, 28) uint8 and (N,) as a data set."""
    names = tuple(str(digit) for digit in range(10))
    return Dataset(torch.from_numpy(x)[:, None], Units((0,), (255,), "uint8"), torch.from_numpy(y).long(), names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="mnist", choices=["mnist", "fashion_mnist"])
    parser.add_argument("--labels", type=int, default=100, help="in all, as many of each of ten classes")
    parser.add_argument("--arms", nargs="+", choices=[*ARMS, SPREADING], default=DEFAULT)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=10, help="of processor time for each semi-supervised run")
    parser.add_argument("--choose", action="store_true", help="errors on training images, for choices")
    parser.add_argument("--neighbours", type=int, default=10_000, help="unlabelled images of label spreading")
    parser.add_argument("--data", type=Path, help="folder with the .npz; default ../shared/data")
    parser.add_argument("--out", type=Path, default=FILE)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arrays = read(arguments.dataset, arguments.data)
    data, held_out = images(arrays["x_train"], arrays["y_train"]), images(arrays["x_test"], arrays["y_test"])
    test = held_out.batch(torch.arange(len(held_out)))
    for seed in arguments.seeds:
        key = f"{arguments.dataset}, {arguments.labels} labels, {arguments.minutes:g} minutes, seed {seed}"
        key += ", errors for choices" * arguments.choose
        for arm in arguments.arms:
            stored = stored_results(arguments.out)
            cells = stored.setdefault("cells", {})
            known = cells.setdefault(key, {})
            if arm not in known:
                known[arm] = cell(data, test, arguments, arm, seed)
                write_json(arguments.out, stored | {"published": PUBLISHED, "torch": torch.__version__})
            print(key, arm, json.dumps(known[arm]), flush=True)


if __name__ == "__main__":
    main()
