"""A game without a recipe: your own data, networks and loss on the package's trainer."""

import torch
from torch import Tensor, nn

from evenodds import Game, Gradient, Local, train
from evenodds.parts.losses.penalties import r1_r2
from evenodds.parts.priors import Normal
from evenodds.tasks.contest import Contest
from evenodds.tasks.generate import Generate


class Circle:
    """Real data as a function of the position: points on a circle of radius 0.8."""

    size = 128

    def at(self, position: int) -> dict[str, Tensor]:
        angle = 6.2832 * torch.rand(self.size, generator=torch.Generator().manual_seed(position))
        return {"x": 0.8 * torch.stack([angle.cos(), angle.sin()], 1)}


def my_loss(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Least squares on logits, unreduced: the discriminator's cost, the generator's cost."""
    return (real - 1) ** 2 + fake**2, (fake - 1) ** 2


torch.manual_seed(0)
players = {
    "generator": nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)),
    "discriminator": nn.Sequential(
        nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1), nn.Flatten(0)
    ),
}
game = Game(Generate(Normal(8), Contest(my_loss, penalty=r1_r2, weight=0.05)), players)
learner = Gradient({name: torch.optim.Adam(p.parameters(), 2e-3, betas=(0.0, 0.99)) for name, p in players.items()})
progress = train(game, Circle(), learner, Local(), images=70_000)
points = game.task.answer(players, {"z": torch.randn(1000, 8)})["x"]
radius = points.norm(dim=1)
print(f"{progress.images} images shown; the radius of 1,000 samples is {radius.mean():.2f} +- {radius.std():.2f}")
