"""Fills in what is hidden of handwritten digits, several times each: one network for every hidden part."""

import torch

from evenodds import Game, Gradient, Local, train
from evenodds.data.batches import Batches
from evenodds.data.readers.digits import digits
from evenodds.game.schedule import cosine
from evenodds.parts.fillers.images import Generator
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.losses.penalties import r1_r2
from evenodds.parts.masks import Boxes, Halves, OneOf, Scattered
from evenodds.parts.networks.dcgan import Discriminator
from evenodds.parts.priors import Normal
from evenodds.tasks.contest import Contest
from evenodds.tasks.fill import Fill

torch.manual_seed(0)
data = digits()
shown, held_out = torch.arange(0, 1500), torch.arange(1500, 1797)
contest = Contest(non_saturating, penalty=r1_r2, weight=0.1, every=8, fused=True)
task = Fill(Normal(32), contest, masks=OneOf((Boxes(), Scattered(), Halves())))
players = {"generator": Generator(32, (1, 8, 8), width=16), "discriminator": Discriminator((3, 8, 8), width=32)}
learner = Gradient(
    {name: torch.optim.Adam(p.parameters(), 3e-3, betas=(0.5, 0.99)) for name, p in players.items()}, cosine()
)
train(Game(task, players), Batches(data, shown, 64, seed=0), learner, Local(), images=11_000)

x = data.batch(held_out)["x"]
mask = torch.ones(len(x), 1, 8, 8)
mask[:, :, 2:6, 2:6] = 0
average = data.batch(shown)["x"].mean(0)
fillings = task.answer(players, {"x": x, "mask": mask, "z": torch.randn(8 * len(x), 32)})["x"].view(8, *x.shape)
guesses = {"the average digit": average, "one filling": fillings[0], "the mean of 8": fillings.mean(0)}
for name, guess in guesses.items():
    print(f"error in the hidden box of {name}: {(guess - x)[:, :, 2:6, 2:6].square().mean().sqrt():.2f}")
