"""Players that are no networks: an evolved mixture of Gaussians against a logistic regression, on the same trainer."""

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from torch import Tensor

from evenodds import Game, Local, train
from evenodds.game.learners import Evolution, Fit
from evenodds.game.schedule import cosine
from evenodds.parts.losses.adversarial import non_saturating
from evenodds.parts.nonneural.fitted import Classifier
from evenodds.parts.nonneural.transformations import Gaussians
from evenodds.parts.priors import Normal
from evenodds.tasks.contest import Contest
from evenodds.tasks.generate import Generate


class TwoTowns:
    """Real data as a function of the position: one point in four is near -0.6, the others are near 0.5."""

    size = 256

    def at(self, position: int) -> dict[str, Tensor]:
        rng = torch.Generator().manual_seed(position)
        left = torch.rand(self.size, 1, generator=rng) < 0.25
        return {"x": torch.where(left, -0.6, 0.5) + 0.1 * torch.randn(self.size, 1, generator=rng)}


generator = Gaussians(size=1, parts=2)
discriminator = Classifier(make_pipeline(PolynomialFeatures(4), LogisticRegression(C=1e3, solver="newton-cholesky")))
game = Game(Generate(Normal(2), Contest(non_saturating)), {"generator": generator, "discriminator": discriminator})
learners = {
    "generator": Evolution(
        {"generator": torch.optim.Adam(generator.parameters(), 0.03, betas=(0.5, 0.99))}, cosine(), pairs=8, at_once=16
    ),
    "discriminator": Fit({"discriminator": discriminator}, rows=4096),
}
train(game, TwoTowns(), learners, Local(), images=300 * 256)
for weight, mean, spread in zip(generator.weights.softmax(0), generator.means, generator.factors.abs(), strict=True):
    print(f"{weight:.2f} of the samples near {mean.item():+.2f} +- {spread.item():.2f}")
