"""Digits on demand: a generator of 8 x 8 digits that is asked for a class, on the package's trainer."""

import torch

from evenodds import Game, Gradient, Local, train
from evenodds.data.batches import Batches
from evenodds.data.readers.digits import digits
from evenodds.metrics.probe import fit_probe
from evenodds.parts.losses.adversarial import relativistic_paired
from evenodds.parts.losses.penalties import r1_r2
from evenodds.parts.networks import mlp
from evenodds.parts.priors import Normal
from evenodds.tasks.condition import Condition, discriminator_options
from evenodds.tasks.contest import Contest

torch.manual_seed(0)
data, shape = digits(), (1, 8, 8)
task = Condition(Normal(16), Contest(relativistic_paired, r1_r2, weight=0.1, every=4, fused=True), length=10)
players = {
    "generator": mlp.Generator(16, shape, condition=10),
    "discriminator": mlp.Discriminator(**discriminator_options(task.way, shape, length=10)),
}
learner = Gradient({name: torch.optim.Adam(p.parameters(), 1e-3, betas=(0.0, 0.99)) for name, p in players.items()})
progress = train(Game(task, players), Batches(data, None, 64, seed=0), learner, Local(), images=26_000)

asked = torch.arange(10).repeat(100)
made = task.answer(players, {"z": torch.randn(1000, 16), "y": asked})["x"]
real = data.batch(torch.arange(len(data)))
classifier = fit_probe(real["x"], real["y"], classes=10, seed=0, images=10_000)
right = (classifier(made).argmax(1) == asked).float().mean()
print(f"{progress.images} images shown; {right:.0%} of 1,000 samples are the digit that was asked for")
