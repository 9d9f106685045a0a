"""Five labels per digit: a classifier that also learns from unlabelled digits, by telling them from generated ones."""

import torch

from evenodds import Game, Gradient, Local, train
from evenodds.data.batches import Batches
from evenodds.data.labelled import WithLabels, draw_labels
from evenodds.data.readers.digits import digits
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.networks import dcgan, mlp
from evenodds.parts.priors import Normal
from evenodds.tasks.classify import Classify
from evenodds.tasks.contest import Contest

data, shape = digits(), (1, 8, 8)
training, held_out = data.split(0.3, seed=0)
labelled = training[draw_labels(data.y[training], each=5, seed=0)]
feed = WithLabels(Batches(data, training, 64, seed=0), data, labelled, size=50)
test = data.batch(held_out)


def accuracy(unsupervised: float) -> float:
    """Share of the held-out digits that are named rightly."""
    torch.manual_seed(0)
    consistency = 1.0 if unsupervised else 0.0
    task = Classify(
        prior=Normal(16),
        contest=Contest(non_saturating, fused=True),
        classes=10,
        unsupervised=unsupervised,
        consistency=consistency,
        noise=0.3,
    )
    players = {
        "generator": dcgan.Generator(16, shape, width=32),
        "discriminator": mlp.Discriminator(shape, outputs=10, dropout=0.3),
    }
    learner = Gradient({name: torch.optim.Adam(p.parameters(), 1e-3, betas=(0.5, 0.99)) for name, p in players.items()})
    moves = task.moves() if unsupervised else task.moves()[:1]
    train(Game(task, players, moves), feed, learner, Local(), images=12_000)
    players["discriminator"].eval()
    return float((task.answer(players, test)["y"] == test["y"]).float().mean())


alone, together = accuracy(0), accuracy(0.5)
print(f"{together:.1%} right with 50 labels and {len(training)} digits; {alone:.1%} with the 50 labels alone")
