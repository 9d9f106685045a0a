"""MNIST with 10 labels per class, as in Table 1 of Salimans et al., "Improved Techniques for Training GANs" (2016).

All 60,000 training images are shown, 100 of them with their label; the error is that on the 10,000 test images. Beside
the semi-supervised classifier stand, for the same 100 labels: the same network without unlabelled images, label
spreading of scikit-learn over 10 neighbours of the labelled and further images, and a logistic regression on the
features that the semi-supervised network has learned. A seed draws the labels and the weights. No image is turned,
moved or deformed, and no network knows which pixels lie side by side. Beside the paper's costs, the answers through the
network's own noise follow those without it (`consistency`); arithmetic is in bfloat16.

What results/few_labels.json holds already is not done again.

    python benchmarks/few_labels.py                       # 3 seeds of 10 minutes each, on one thread
    python benchmarks/few_labels.py --seeds 1 --minutes 3
    python benchmarks/few_labels.py --dataset fashion_mnist --labels 100
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

from evenodds import Game, Gradient, Local, Progress, train
from evenodds.data.batches import Batches
from evenodds.data.dataset import Dataset, Units
from evenodds.files.write import write_json
from evenodds.game.listeners.average import Average
from evenodds.game.rules import Players
from evenodds.game.trainer import Training
from evenodds.parts.priors import Normal
from evenodds.tasks.classify import Classify, WithLabels, draw_labels
from reference_classifier import read

FILE = Path(__file__).parent / "results" / "few_labels.json"
PUBLISHED = {"Salimans et al., feature matching, 10 draws": 0.0093, "the same, 10 networks voting": 0.0086}
"""Table 1 of the paper, 100 labels: 93 +- 6.5 and 86 +- 5.6 wrong of 10,000, after 300 epochs."""
LATENT, WIDTHS = 100, (1000, 500, 250, 250, 250)
RATE = 3e-3
CONSISTENCY = 0.3
ALONE = 0.1
"""The share of the minutes that the network has for the labels alone: it is done with 100 images much sooner."""


class Normed(nn.Module):
    """A linear layer whose rows have length 1, times a gain (Salimans and Kingma 2016), which need not be learned."""

    def __init__(self, inputs: int, outputs: int, learned: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.1 * torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain = nn.Parameter(torch.ones(outputs), requires_grad=learned)

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias, F.linear(x, self.weight), self.gain / self.weight.norm(dim=1))

    @torch.no_grad()
    def begin(self, x: Tensor) -> Tensor:
        """Gain and bias such that the answers to x have mean 0 and deviation 1; these answers."""
        y = self(x)
        mean, deviation = y.mean(0), y.std(0) + 1e-6
        self.gain.div_(deviation)
        self.bias.copy_(-mean / deviation)
        answers: Tensor = self(x)
        return answers


class Network(nn.Module):
    """x (N, 1, 28, 28) in [-1, 1] -> logits (N, 10): the paper's.

    Gaussian noise of 0.3 on pixels in [0, 1] and of 0.5 on each hidden layer, while training.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(Normed(a, b, False) for a, b in zip([784, *WIDTHS], WIDTHS, strict=False))
        self.logit = Normed(WIDTHS[-1], 10, True)

    def forward(self, x: Tensor, features: bool = False) -> Any:
        """Logits (N, 10); with `features` the pair (logits, features (N, 250))."""
        seen = self._noisy((x.flatten(1) + 1) / 2, 0.3)
        for layer in self.hidden:
            answers = F.relu(layer(seen))
            seen = self._noisy(answers, 0.5)
        logits = self.logit(seen)
        return (logits, answers) if features else logits

    def _noisy(self, x: Tensor, deviation: float) -> Tensor:
        return torch.add(x, torch.randn_like(x), alpha=deviation) if self.training else x

    @torch.no_grad()
    def begin(self, x: Tensor) -> None:
        """Gains and biases by some images."""
        seen = self._noisy((x.flatten(1) + 1) / 2, 0.3)
        for layer in self.hidden:
            seen = self._noisy(F.relu(layer.begin(seen)), 0.5)
        self.logit.begin(seen)


class Generator(nn.Module):
    """z (N, 100) -> x: the paper's, two layers of 500 softplus units with batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(a, 500, bias=False) for a in (LATENT, 500))
        self.norms = nn.ModuleList(nn.BatchNorm1d(500) for _ in range(2))
        self.out = Normed(500, 784, True)

    def forward(self, z: Tensor) -> Tensor:
        for layer, norm in zip(self.hidden, self.norms, strict=True):
            z = F.softplus(norm(layer(z).float()))
        return torch.tanh(self.out(z) / 2).unflatten(1, (1, 28, 28))


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
    unsupervised: float, feed: WithLabels, begin: Tensor, test: dict[str, Tensor], seconds: float, seed: int
) -> tuple[nn.Module, int]:
    """The averaged classifier after so many seconds, and its rounds."""
    torch.manual_seed(seed)
    consistency = CONSISTENCY if unsupervised else 0.0
    task = Classify(prior=Normal(LATENT), classes=10, unsupervised=unsupervised, consistency=consistency, fused=True)
    network = Network()
    network.begin(begin)
    players = {"generator": Generator(), "discriminator": network}
    clock = Clock(seconds, lambda of: error(of["discriminator"], test))
    optimizers = {
        name: torch.optim.Adam(player.parameters(), RATE, betas=(0.5, 0.999), fused=True)
        for name, player in players.items()
    }
    average = Average(players, ("discriminator",), half_life_images=100_000)
    game = Game(task, players, tuple(task.moves() if unsupervised else task.moves()[:1]))
    learner = Gradient(optimizers, clock.rate)
    made = train(game, feed, learner, Local(precision="bfloat16"), images=10**10, seed=seed, listeners=[average, clock])
    return average.copies["discriminator"], made.round


@torch.no_grad()
def error(network: nn.Module, test: dict[str, Tensor]) -> float:
    """The share of wrong answers, without noise."""
    said = deepcopy(network).eval()(test["x"]).argmax(1)
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

    of_labelled, of_test = (deepcopy(network).eval()(batch["x"], features=True)[1] for batch in (labelled, test))
    probe = LogisticRegression(max_iter=1000).fit(of_labelled.numpy(), labelled["y"].numpy())
    return round(float((probe.predict(of_test.numpy()) != test["y"].numpy()).mean()), 4)


def cell(data: Dataset, test: dict[str, Tensor], arguments: argparse.Namespace, seed: int) -> dict[str, Any]:
    """All errors for one draw of the labels."""
    assert data.y is not None
    index = draw_labels(data.y, arguments.labels // 10, seed)
    labelled = data.batch(index)
    feed = WithLabels(Batches(data, None, 100, seed), labelled, 100, seed)
    begin = data.batch(torch.arange(500))["x"]
    errors, seconds = {}, 60 * arguments.minutes
    alone, _ = learn(0.0, feed, begin, test, ALONE * seconds, seed)
    errors["labels alone"] = error(alone, test)
    hidden = data.batch(Batches(data, None, arguments.neighbours, seed).indices(0))["x"]
    x, y = torch.cat([labelled["x"], hidden]), torch.cat([labelled["y"], torch.full((len(hidden),), -1)])
    errors[f"label spreading, {len(hidden)} images"] = spread_error(x, y, test)
    network, rounds = learn(0.5, feed, begin, test, seconds, seed)
    errors["evenodds"] = error(network, test)
    errors["logistic regression on its features"] = probe_error(network, labelled, test)
    return {"errors": errors, "rounds": rounds, "epochs": round(rounds * 100 / len(data), 1)}


def images(x: Any, y: Any) -> Dataset:
    """Arrays (N, 28, 28) uint8 and (N,) as a data set."""
    names = tuple(str(digit) for digit in range(10))
    return Dataset(torch.from_numpy(x)[:, None], Units((0,), (255,), "uint8"), torch.from_numpy(y).long(), names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="mnist", choices=["mnist", "fashion_mnist"])
    parser.add_argument("--labels", type=int, default=100, help="in all, as many of each of ten classes")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=10, help="of processor time for each semi-supervised run")
    parser.add_argument("--neighbours", type=int, default=10_000, help="unlabelled images of label spreading")
    parser.add_argument("--data", type=Path, help="folder with the .npz; default ../shared/data")
    parser.add_argument("--out", type=Path, default=FILE)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arrays = read(arguments.dataset, arguments.data)
    data, held_out = images(arrays["x_train"], arrays["y_train"]), images(arrays["x_test"], arrays["y_test"])
    test = held_out.batch(torch.arange(len(held_out)))
    known = json.loads(arguments.out.read_text())["cells"] if arguments.out.exists() else {}
    for seed in range(arguments.seeds):
        key = f"{arguments.labels} labels, {arguments.minutes:g} minutes, seed {seed}"
        key = key if arguments.dataset == "mnist" else f"{arguments.dataset}, {key}"
        if key not in known:
            known[key] = cell(data, test, arguments, seed)
            write_json(arguments.out, {"published": PUBLISHED, "torch": torch.__version__, "cells": known})
        print(key, json.dumps(known[key]), flush=True)


if __name__ == "__main__":
    main()
