"""From x back to z: an encoder for a generator of 8 x 8 digits that is already trained, and refinement after it."""

import torch

from evenodds import Game, Gradient, Local, train
from evenodds.apply.latent import refine
from evenodds.data.batches import Batches
from evenodds.data.readers.digits import digits
from evenodds.parts.losses.adversarial import relativistic_paired
from evenodds.parts.losses.penalties import r1_r2
from evenodds.parts.networks import mlp
from evenodds.parts.priors import Normal
from evenodds.tasks.contest import Contest
from evenodds.tasks.generate import Generate
from evenodds.tasks.infer import Infer, encoder_options

torch.manual_seed(0)
data, shape, prior = digits(), (1, 8, 8), Normal(16)
batches = Batches(data, None, 64, seed=0)
players = {
    "generator": mlp.Generator(16, shape),
    "discriminator": mlp.Discriminator(shape),
    "encoder": mlp.Discriminator(shape, **encoder_options(16)),
}
learner = Gradient({name: torch.optim.Adam(p.parameters(), 1e-3, betas=(0.0, 0.99)) for name, p in players.items()})
contest = Contest(relativistic_paired, r1_r2, weight=0.1, every=4, fused=True)
train(Game(Generate(prior, contest), players), batches, learner, Local(), images=30_000)
train(Game(Infer(prior), players), batches, learner, Local(), images=30_000)

real = data.batch(torch.arange(len(data)))
x, y = real["x"], real["y"]
z = Infer(prior).answer(players, {"x": x})["z"]
better = refine(players["generator"], x, z, steps=100, prior_weight=0.1)
mean, before, after = (
    (made - x).square().mean() for made in (x.mean(0), *(players["generator"](at).detach() for at in (z, better)))
)
nearest = (torch.cdist(better, better) + torch.eye(len(x)) * 1e9).argmin(1)
same = (y[nearest] == y).float().mean()
print(f"squared error {before:.3f} by the encoder, {after:.3f} refined, {mean:.3f} by the mean digit")
print(f"{same:.0%} of the nearest neighbours in z are the same digit; by chance {y.bincount().max() / len(y):.0%}")
